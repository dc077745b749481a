//! The bench of `continual-dp`: discrete Gaussian noise beside the sampler of opendp, and whole releases, which opendp does not
//! have.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_numerics::Stream;
use backstitch_statistics::continual_dp::{
    ContinualDp, Key, Mechanism, Parameters, discrete_gaussian, discrete_gaussian_by_rejection,
};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "continual-dp", works, ours };

const DRAWS: usize = 1 << 16;
const ROWS: usize = 1 << 20;

fn works(_folder: &Path) -> Result<Vec<Work>, String> {
    let noise = |name: String, sampler: &str, scale: u64| Work {
        name,
        peer: Some("opendp"),
        request: json!({"peer": "opendp", "work": sampler, "scale": scale, "draws": DRAWS}),
        compare: Box::new(compare_noise),
    };
    let release = |mechanism: Mechanism| Work {
        name: format!("{}: 2^20 rows counted, beside nothing", json!(mechanism).as_str().unwrap_or_default()),
        peer: None,
        request: json!({"peer": "opendp", "work": "release", "mechanism": mechanism}),
        compare: Box::new(|ours, _| {
            let speed = ours["rows_per_second"].as_f64().unwrap_or(f64::NAN) / 1e6;
            (ours["error"].as_f64().is_some_and(f64::is_finite), format!("{speed:.2} million rows/s"))
        }),
    };
    Ok(vec![
        noise("2^16 discrete Gaussian draws, σ = 2^30".into(), "noise", 1 << 30),
        noise("2^16 discrete Gaussian draws, σ = 4".into(), "noise", 4),
        noise("2^16 discrete Gaussian draws, σ = 4, our plain rejection sampler".into(), "rejection", 4),
        release(Mechanism::NormalisedSquareRoot),
        release(Mechanism::SquareRoot),
        release(Mechanism::Honaker),
        release(Mechanism::Tree),
    ])
}

fn ours(request: &Value) -> Result<Reply, String> {
    let (seconds, answer) = match request["work"].as_str() {
        Some("release") => release(request)?,
        Some(sampler) => noise(request, sampler)?,
        None => return Err("the request names no work".into()),
    };
    Ok(Reply { version: env!("CARGO_PKG_VERSION").to_owned(), seconds, peak_bytes: peak_bytes(), answer })
}

fn noise(request: &Value, sampler: &str) -> Result<(f64, Value), String> {
    let scale = request["scale"].as_u64().ok_or("the request names no scale")?;
    let draws = request["draws"].as_u64().ok_or("the request names no number of draws")?;
    let draw = if sampler == "noise" { discrete_gaussian::<Stream> } else { discrete_gaussian_by_rejection };
    let mut words = Stream::new(0, "continual-dp bench");
    for _ in 0..1000 {
        black_box(draw(&mut words, scale));
    }
    let begin = Instant::now();
    let drawn: Vec<i64> = (0..draws).map(|_| draw(&mut words, scale)).collect();
    let seconds = begin.elapsed().as_secs_f64();
    let unit: Vec<f64> = drawn.iter().map(|&draw| draw as f64 / scale as f64).collect();
    let mean = unit.iter().sum::<f64>() / draws as f64;
    let square = unit.iter().map(|draw| draw * draw).sum::<f64>() / draws as f64;
    Ok((seconds, json!({"mean": mean, "square": square})))
}

/// From the first row to the last answer, one answer per row.
fn release(request: &Value) -> Result<(f64, Value), String> {
    let mechanism =
        serde_json::from_value(request["mechanism"].clone()).map_err(|error| error.to_string())?;
    let parameters = Parameters { mechanism, horizon: ROWS, ..Parameters::default() };
    let method = ContinualDp::new(parameters).map_err(|error| error.to_string())?;
    let begin = Instant::now();
    let mut release = method.start(Key::from_seed(0));
    let mut last = 0.0;
    for row in 0..ROWS {
        let answer =
            release.push(&[f64::from(u8::from(row.is_multiple_of(3)))]).map_err(|error| error.to_string())?;
        last = black_box(answer).values[0];
    }
    let seconds = begin.elapsed().as_secs_f64();
    let error = last - ROWS.div_ceil(3) as f64;
    Ok((seconds, json!({"rows_per_second": ROWS as f64 / seconds, "error": error})))
}

/// Mean and mean square in units of σ, both within 6 standard errors of 0 and 1: a fair sampler misses with probability 1e-8.
fn compare_noise(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let fair = |answer: &Value| {
        let (mean, square) = (answer["mean"].as_f64()?, answer["square"].as_f64()?);
        let error = (1.0 / DRAWS as f64).sqrt();
        Some((mean.abs() < 6.0 * error && (square - 1.0).abs() < 6.0 * error * 2_f64.sqrt(), mean, square))
    };
    let Some((agrees, mean, square)) = fair(ours) else { return (false, "our answer is no moments".into()) };
    match theirs.map(fair) {
        None => (agrees, format!("mean {mean:.4}, mean square {square:.4}")),
        Some(Some((peer, peer_mean, peer_square))) => (
            agrees && peer,
            format!("mean {mean:.4} and {peer_mean:.4}, mean square {square:.4} and {peer_square:.4}"),
        ),
        Some(None) => (false, "the peer's answer is no moments".into()),
    }
}
