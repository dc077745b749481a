//! The bench of `flexround`: learning the rounding of one layer, beside torch; and products with quantised weights, beside torch's dynamic int8.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_compress::Rows;
use backstitch_compress::flexround::{
    Description, FlexRound, Granularity, Kind, Moments, Network, Packed, Parameters, Rounding,
};
use backstitch_numerics::Stream;
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "flexround", works, ours };

const SIDE: usize = 256;
const ROWS: usize = 1_024;
const WIDE: usize = 2_048;
const WIDE_ROWS: usize = 64;
/// Products of one timing.
const PASSES: usize = 50;
/// By how much our error may be above the peer's and still count as good.
const NEAR: f64 = 1.1;

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let file = |name: &str, values: Vec<f32>| -> Result<String, String> {
        let path = folder.join(name);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path.display().to_string())
    };
    let values = drawn("weights", SIDE, SIDE);
    let grid = {
        let weights = Rows::new(SIDE, SIDE, values.clone()).ok_or("the weights are no matrix")?;
        let mut moments = Moments::new(SIDE);
        moments.add(&weights).map_err(|error| error.to_string())?;
        let parameters = Parameters {
            rounding: Rounding::Nearest,
            granularity: Granularity::Tensor,
            ..Parameters::default()
        };
        let method = FlexRound::new(parameters).map_err(|error| error.to_string())?;
        method.quantise("weights", &weights, None, &moments).map_err(|error| error.to_string())?.0.grid
    };
    let weights = file("weights.bin", values)?;
    let inputs = file("inputs.bin", correlated())?;
    let wide = file("wide.bin", drawn("wide", WIDE, WIDE))?;
    let wide_inputs = file("wide-inputs.bin", drawn("wide inputs", WIDE_ROWS, WIDE))?;
    let learning = |name: &str, ours: &str, theirs: &str, moments: bool| Work {
        name: format!("1,000 steps for a layer of 256 × 256 at 4 bits: {name}"),
        peer: Some("torch"),
        request: json!({
            "peer": "torch", "what": "learn", "rounding": theirs, "ours": ours, "moments": moments, "weights": weights,
            "inputs": inputs, "side": SIDE, "rows": ROWS, "batch": 32, "steps": 1000, "bits": 4,
            "rate": if theirs == "flexround" { 3e-3 } else { 1e-2 }, "scale": grid.scales[0], "zero": grid.zeros[0],
        }),
        compare: Box::new(compare_learned),
    };
    let product = |name: &str, bits: u8, rows: usize, theirs: &str| Work {
        name: format!("{PASSES} products of {rows} × 2048 with 2048 × 2048: {name}"),
        peer: Some("torch"),
        request: json!({
            "peer": "torch", "what": "product", "ours_bits": bits, "theirs": theirs, "weights": wide, "inputs": wide_inputs,
            "side": WIDE, "rows": rows, "passes": PASSES,
        }),
        compare: Box::new(compare_products),
    };
    Ok(vec![
        learning("AdaRound as BRECQ has it, both in batches of 32", "ada-round", "adaround", false),
        learning("FlexRound, both in batches of 32", "flex-round", "flexround", false),
        learning(
            "FlexRound on moments of all rows beside AdaRound in batches",
            "flex-round",
            "adaround",
            true,
        ),
        product("4 bits beside dynamic int8", 4, 1, "int8"),
        product("8 bits beside dynamic int8", 8, 1, "int8"),
        product("single precision, both", 32, 1, "float"),
        product("4 bits beside dynamic int8", 4, WIDE_ROWS, "int8"),
        product("single precision, both", 32, WIDE_ROWS, "float"),
    ])
}

fn drawn(name: &str, rows: usize, columns: usize) -> Vec<f32> {
    let mut stream = Stream::new(0, &format!("flexround bench {name}"));
    (0..rows * columns).map(|_| stream.normal() as f32).collect()
}

/// Rows of 48 causes and a little noise.
fn correlated() -> Vec<f32> {
    let mut stream = Stream::new(0, "flexround bench causes");
    let mixing = Rows::from_fn(48, SIDE, |_, _| stream.normal() as f32);
    let mut found = Rows::from_fn(ROWS, SIDE, |_, _| 0.3 * stream.normal() as f32);
    for row in 0..ROWS {
        for cause in 0..48 {
            let factor = stream.normal() as f32;
            found.row_mut(row).iter_mut().zip(mixing.row(cause)).for_each(|(x, m)| *x += factor * m);
        }
    }
    found.values().to_vec()
}

fn matrix(request: &Value, name: &str, rows: usize, columns: usize) -> Result<Rows, String> {
    let file = request[name].as_str().ok_or_else(|| format!("the request names no {name}"))?;
    let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    let values =
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).take(rows * columns).collect();
    Rows::new(rows, columns, values).ok_or_else(|| format!("{file} is cut off"))
}

fn number(request: &Value, name: &str) -> usize {
    request[name].as_u64().unwrap_or(0) as usize
}

fn reply(seconds: f64, answer: Value) -> Reply {
    Reply { seconds, peak_bytes: peak_bytes(), answer, version: env!("CARGO_PKG_VERSION").into() }
}

fn one_layer(weights: &Rows) -> Result<Network, String> {
    let kind = Kind::Dense { weight: "weight".into(), bias: None };
    let description = Description { input: vec![weights.columns()], layers: vec![kind] };
    let tensor = (vec![weights.rows(), weights.columns()], weights.values().to_vec());
    Network::from_parts(&description, |_| Ok(tensor.clone())).map_err(|error| error.to_string())
}

fn ours(request: &Value) -> Result<Reply, String> {
    if request["what"] == "product" { product(request) } else { learn(request) }
}

fn learn(request: &Value) -> Result<Reply, String> {
    let side = number(request, "side");
    let weights = matrix(request, "weights", side, side)?;
    let inputs = matrix(request, "inputs", number(request, "rows"), side)?;
    let rounding: Rounding =
        serde_json::from_value(request["ours"].clone()).map_err(|error| error.to_string())?;
    let batches = request["moments"] == false;
    let parameters = Parameters {
        rounding,
        bits: number(request, "bits") as u8,
        granularity: Granularity::Tensor,
        steps: number(request, "steps"),
        rate: Some(if rounding == Rounding::FlexRound { 3e-3 } else { 1e-2 }),
        batch: number(request, "batch"),
        // Nothing is dropped at so small a share, but batches are drawn.
        drop: if batches { f64::MIN_POSITIVE } else { 0.0 },
        ..Parameters::default()
    };
    let method = FlexRound::new(parameters).map_err(|error| error.to_string())?;
    let mut moments = Moments::new(side);
    moments.add(&inputs).map_err(|error| error.to_string())?;
    let network = one_layer(&weights)?;
    let begin = Instant::now();
    // From the rows on: the search for the grid and the moments are in it, of which the peer is spared the first and needs no second.
    let found = method.quantise_network(&network, &inputs).map_err(|error| error.to_string())?;
    let seconds = begin.elapsed().as_secs_f64();
    let error = moments.relative_error(&weights, &found.layers()[0].weights());
    Ok(reply(seconds, json!({"error": error})))
}

fn product(request: &Value) -> Result<Reply, String> {
    let side = number(request, "side");
    let weights = matrix(request, "weights", side, side)?;
    let inputs = matrix(request, "inputs", number(request, "rows"), side)?;
    let network = one_layer(&weights)?;
    let wanted = network.outputs_of(&inputs);
    let bits = number(request, "ours_bits");
    let packed = if bits < 32 {
        let parameters =
            Parameters { rounding: Rounding::Nearest, bits: bits as u8, ..Parameters::default() };
        let method = FlexRound::new(parameters).map_err(|error| error.to_string())?;
        // Rounding to nearest learns nothing from rows.
        let mut moments = Moments::new(side);
        moments.add(&inputs).map_err(|error| error.to_string())?;
        let (quantised, _) =
            method.quantise("weight", &weights, None, &moments).map_err(|error| error.to_string())?;
        Some(Packed::new(&quantised))
    } else {
        None
    };
    let once = || match &packed {
        Some(packed) => packed.times(&inputs),
        None => network.outputs_of(&inputs),
    };
    let mut outputs = once();
    let begin = Instant::now();
    for _ in 0..number(request, "passes") {
        outputs = once();
    }
    let seconds = begin.elapsed().as_secs_f64();
    let pairs = wanted.values().iter().zip(outputs.values());
    let error: f64 = pairs.map(|(wanted, own)| f64::from(wanted - own).powi(2)).sum();
    let signal: f64 = wanted.values().iter().map(|value| f64::from(*value).powi(2)).sum();
    let bytes = packed.as_ref().map_or_else(|| network.bytes(), Packed::bytes);
    Ok(reply(seconds, json!({"error": error / signal, "weight_bytes": bytes})))
}

fn compare_learned(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let Some(own) = ours["error"].as_f64() else { return (false, "no error".into()) };
    match theirs.and_then(|theirs| theirs["error"].as_f64()) {
        Some(other) => (own <= NEAR * other, format!("error of the outputs {own:.5}, theirs {other:.5}")),
        None => (true, format!("error of the outputs {own:.5}")),
    }
}

fn compare_products(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let (Some(error), Some(bytes)) = (ours["error"].as_f64(), ours["weight_bytes"].as_u64()) else {
        return (false, "no error".into());
    };
    let other = theirs.and_then(|theirs| Some((theirs["error"].as_f64()?, theirs["weight_bytes"].as_u64()?)));
    let own = format!("weights of {bytes} bytes, error of the outputs {error:.1e}");
    match other {
        Some((other, other_bytes)) => {
            (error < 0.02, format!("{own}; theirs {other_bytes} bytes, {other:.1e}"))
        }
        None => (error < 0.02, own),
    }
}
