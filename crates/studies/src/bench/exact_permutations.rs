//! The bench of `exact-permutations`: theory at 20 bits and real networks, beside neural-tangents where it is and numpy.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_networks::exact_permutations::{
    Coverage, ExactPermutations, Input, NetworkParameters, Parameters, Parametrisation,
};
use backstitch_numerics::Stream;
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "exact-permutations", works, ours };

/// Means and variances may differ by this much; numbers of models by one, where a probability is at its bound.
const SAME: f64 = 1e-9;
/// The peer's networks start from other draws: their outputs on a test input may differ by this many deviations of one network.
const DEVIATIONS: f64 = 8.0;
/// Error of the number of models.
const ERROR: f64 = 0.1;
/// A step of the training work is a step for both: no stopping.
const STEPS: usize = 500;

fn works(_: &Path) -> Result<Vec<Work>, String> {
    let theory = |peer: &'static str| Work {
        name: format!(
            "kernels, means, variances and numbers of models, 20 bits, 2 to 20 ones, beside {peer}"
        ),
        peer: Some(peer),
        request: json!({"peer": peer, "work": "theory", "length": 20, "error": ERROR, "repeat": 5}),
        compare: Box::new(compare_theory),
    };
    let train = |width: usize| Work {
        name: format!(
            "training one network of width {width} for {STEPS} full-batch steps, 20 bits, beside numpy"
        ),
        peer: Some("numpy"),
        request: json!({
            "peer": "numpy", "work": "train", "length": 20, "width": width, "steps": STEPS, "repeat": 1,
        }),
        compare: Box::new(compare_training),
    };
    Ok(vec![theory("neural-tangents"), theory("numpy"), train(4_096)])
}

fn ours(request: &Value) -> Result<Reply, String> {
    let length = request["length"].as_u64().ok_or("the request names no length")? as usize;
    let exact = ExactPermutations::new(Parameters { length, ..Parameters::default() })
        .map_err(|error| error.to_string())?;
    let (answer, seconds) = match request["work"].as_str() {
        Some("theory") => theory(&exact)?,
        Some("train") => train(&exact, request)?,
        other => return Err(format!("no work {other:?}")),
    };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Reply { version, seconds, peak_bytes: peak_bytes(), answer })
}

fn theory(exact: &ExactPermutations) -> Result<(Value, f64), String> {
    // Too quick for the clock once; the first round also warms up.
    const ROUNDS: u32 = 200;
    let mut answer = rows(exact).map_err(|error| error.to_string())?;
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        answer = std::hint::black_box(rows(std::hint::black_box(exact)).map_err(|error| error.to_string())?);
    }
    let seconds = begin.elapsed().as_secs_f64() / f64::from(ROUNDS);
    let [off, on, variance, models] = answer;
    Ok((json!({"off": off, "on": on, "variance": variance, "models": models}), seconds))
}

/// μ₀, μ₁, σ² and N for 2 to k ones; m = k has no μ₀, and 0 stands for it.
fn rows(exact: &ExactPermutations) -> Result<[Vec<f64>; 4], backstitch_networks::Error> {
    let mut rows: [Vec<f64>; 4] = Default::default();
    let length = exact.parameters().length;
    for ones in 2..=length {
        let prediction = exact.prediction(ones)?;
        rows[0].push(if ones < length { prediction.off } else { 0.0 });
        rows[1].push(prediction.on);
        rows[2].push(prediction.variance);
        rows[3].push(exact.models(Coverage::Ones(ones), ERROR)? as f64);
    }
    Ok(rows)
}

fn train(exact: &ExactPermutations, request: &Value) -> Result<(Value, f64), String> {
    let number = |name: &str| {
        request[name].as_u64().map(|value| value as usize).ok_or_else(|| format!("the request has no {name}"))
    };
    let settings = NetworkParameters {
        width: number("width")?,
        steps: number("steps")?,
        rate: 0.5,
        ..NetworkParameters::default()
    };
    let length = exact.parameters().length;
    let tiny = NetworkParameters { width: 64, ..NetworkParameters::default() };
    // Warms up; whether so narrow a network fits does not matter.
    let _ = exact.train(&tiny, &mut Stream::new(1, "bench warm-up"));
    let inputs = [Input::new(length, &[0, 1]).map_err(|error| error.to_string())?];
    let mut stream = Stream::new(0, "bench network");
    let begin = Instant::now();
    let network = exact.train_steps(&settings, &mut stream).map_err(|error| error.to_string())?;
    let seconds = begin.elapsed().as_secs_f64();
    let outputs = network.outputs(&inputs, true);
    Ok((json!({"residual": network.residual(), "outputs": outputs.row(0)}), seconds))
}

fn numbers(answer: &Value, name: &str) -> Vec<f64> {
    answer[name].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

fn gap(ours: &[f64], theirs: &[f64]) -> f64 {
    if ours.len() != theirs.len() || ours.is_empty() {
        return f64::INFINITY;
    }
    ours.iter().zip(theirs).fold(0.0, |most, (x, y)| f64::max(most, (x - y).abs()))
}

fn compare_theory(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let Some(theirs) = theirs else {
        return (
            true,
            format!("{} models for two ones", numbers(ours, "models").first().unwrap_or(&f64::NAN)),
        );
    };
    let largest = ["off", "on", "variance"]
        .iter()
        .fold(0.0, |most, name| f64::max(most, gap(&numbers(ours, name), &numbers(theirs, name))));
    let models = gap(&numbers(ours, "models"), &numbers(theirs, "models"));
    (largest < SAME && models <= 1.0, format!("largest difference {largest:.1e}, of models {models}"))
}

fn compare_training(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let residual = |answer: &Value| answer["residual"].as_f64().unwrap_or(f64::INFINITY);
    let Some(theirs) = theirs else {
        return (residual(ours) < 1e-3, format!("training error {:.1e}", residual(ours)));
    };
    let (one, other) = (numbers(ours, "outputs"), numbers(theirs, "outputs"));
    let parameters =
        Parameters { length: one.len(), parametrisation: Parametrisation::Ntk, ..Parameters::default() };
    let deviation = ExactPermutations::new(parameters)
        .and_then(|exact| exact.prediction(2))
        .map_or(0.0, |prediction| prediction.variance.sqrt());
    let away = gap(&one, &other) / deviation;
    (
        residual(ours) < 1e-3 && residual(theirs) < 1e-3 && away < DEVIATIONS,
        format!(
            "training errors {:.1e} and {:.1e}; outputs on a test input at most {away:.1} deviations apart",
            residual(ours),
            residual(theirs)
        ),
    )
}
