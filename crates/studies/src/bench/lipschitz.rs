//! The bench of `lipschitz`: bounds of all outputs around a point, beside our transcription of the published ones in torch. Weights are
//! drawn, not trained: what is done does not depend on them, except for how many neurons are off.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_networks::lipschitz::{Activation, Lipschitz, Network, Parameters, Region};
use backstitch_numerics::{Matrix, Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "lipschitz", works, ours };

/// Largest relative difference of bounds that counts as agreement: ours are rounded outward.
const SAME: f64 = 1e-7;

/// A layer in the file that both sides read.
#[derive(Serialize, Deserialize)]
struct Layer {
    weights: Vec<Vec<f64>>,
    bias: Vec<f64>,
}

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let sizes: [(&[usize], f64, u32); 4] = [
        (&[16, 64, 64, 64, 10], 0.01, 50),
        (&[16, 64, 64, 64, 10], 0.1, 50),
        (&[784, 100, 100, 10], 0.01, 10),
        (&[784, 400, 400, 10], 0.01, 2),
    ];
    let mut works = Vec::new();
    for (widths, radius, repeat) in sizes {
        let shown: Vec<String> = widths.iter().map(usize::to_string).collect();
        let name = format!("bounds of a {} ReLU network, radius {radius}", shown.join("-"));
        let mut stream = Stream::new(0, &name);
        let layers: Vec<Layer> = widths
            .windows(2)
            .map(|pair| {
                let scale = (2.0 / pair[0] as f64).sqrt();
                let row = |_| (0..pair[0]).map(|_| scale * stream.normal()).collect();
                Layer { weights: (0..pair[1]).map(row).collect(), bias: vec![0.0; pair[1]] }
            })
            .collect();
        let file = folder.join(format!("{}-{radius}.json", shown.join("-")));
        let text = serde_json::to_vec(&layers).map_err(|error| error.to_string())?;
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        let center: Vec<f64> = (0..widths[0]).map(|_| stream.uniform()).collect();
        works.push(Work {
            name,
            peer: Some("torch"),
            request: json!({"peer": "torch", "model": file, "center": center, "radius": radius, "repeat": repeat}),
            compare: Box::new(compare),
        });
    }
    Ok(works)
}

fn ours(request: &Value) -> Result<Reply, String> {
    let file = request["model"].as_str().ok_or("the request names no model")?;
    let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    let layers: Vec<Layer> = serde_json::from_slice(&bytes).map_err(|error| format!("{file}: {error}"))?;
    let layers: Vec<(Matrix, Vec<f64>)> = layers
        .into_iter()
        .map(|Layer { weights, bias }| {
            let columns = weights.first().map_or(0, Vec::len);
            (Matrix::from_fn(weights.len(), columns, |row, column| weights[row][column]), bias)
        })
        .collect();
    let failed = |error: backstitch_networks::Error| error.to_string();
    let network = Network::dense(&layers, Activation::Relu).map_err(failed)?;
    let center = numbers(request, "center");
    let radius = request["radius"].as_f64().ok_or("the request has no radius")?;
    let region = Region::around(&center, radius).map_err(failed)?;
    // As published: no search for slopes, the bound at the end of each propagation, nothing sampled.
    let parameters = Parameters { slope_steps: 0, tighten: false, samples: 0, ..Parameters::default() };
    let method = Lipschitz::new(parameters).map_err(failed)?;
    let mut found = method.bound(&network, &region).map_err(failed)?;
    let mut times = Vec::new();
    for _ in 0..request["repeat"].as_u64().unwrap_or(1) {
        let begin = Instant::now();
        found = method.bound(std::hint::black_box(&network), &region).map_err(failed)?;
        times.push(begin.elapsed().as_secs_f64());
    }
    let seconds = backstitch_numerics::interval::median(&times).map_err(|error| error.to_string())?;
    let answer = json!({"upper": found.upper, "undecided": found.undecided});
    Ok(Reply { version: env!("CARGO_PKG_VERSION").to_owned(), seconds, peak_bytes: peak_bytes(), answer })
}

fn numbers(answer: &Value, name: &str) -> Vec<f64> {
    answer[name].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

fn compare(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let own = numbers(ours, "upper");
    let largest = own.iter().copied().fold(0.0, f64::max);
    let words = format!("largest bound {largest:.6}, {} neurons undecided", ours["undecided"]);
    let Some(theirs) = theirs.map(|answer| numbers(answer, "upper")) else {
        return (largest > 0.0 && largest.is_finite(), words);
    };
    let apart =
        own.iter().zip(&theirs).map(|(own, other)| (own - other).abs() / other.abs()).fold(0.0, f64::max);
    let same = !own.is_empty() && own.len() == theirs.len() && apart <= SAME;
    (same, format!("{words}; apart by {apart:.1e}"))
}
