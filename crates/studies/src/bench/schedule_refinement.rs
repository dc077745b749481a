//! The bench of `schedule-refinement`: refining a long log, beside scipy's median filter and a transcription in numpy.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_data::hash::sha256_of_bytes;
use backstitch_numerics::Stream;
use backstitch_optimize::schedule_refinement::{GradientLog, Parameters, Refined, ScheduleRefinement};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "schedule-refinement", works, ours };

/// Multipliers that are compared, evenly spread.
const SHOWN: usize = 1000;
/// They may differ by so much: sums are taken in other orders.
const SAME: f64 = 1e-12;

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    // The window of a million norms is 100,001; numpy holds all windows at once, so it gets a shorter log.
    let sizes = [(1_000_000, "scipy"), (100_000, "scipy"), (20_000, "scipy"), (20_000, "numpy")];
    sizes.iter().map(|&(norms, peer)| work(folder, norms, peer)).collect()
}

fn work(folder: &Path, norms: usize, peer: &'static str) -> Result<Work, String> {
    let file = folder.join(format!("norms-{norms}.txt"));
    std::fs::write(&file, log(norms)).map_err(|error| format!("{}: {error}", file.display()))?;
    let smoothing = Parameters::default().smoothing;
    let repeat = if norms < 500_000 { 3 } else { 1 };
    Ok(Work {
        name: format!("a schedule from {norms} gradient norms, beside {peer}"),
        peer: Some(peer),
        request: json!({"peer": peer, "data": file, "smoothing": smoothing, "shown": SHOWN, "repeat": repeat}),
        compare: Box::new(compare),
    })
}

/// Noisy norms that start high, settle and grow again, one per line.
fn log(norms: usize) -> String {
    let mut stream = Stream::new(0, "schedule-refinement bench");
    let mut text = String::new();
    for step in 0..norms {
        let progress = step as f64 / norms as f64;
        let level = 1.0 + 4.0 * (-20.0 * progress).exp() + progress;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", level * (0.5 * stream.normal()).exp());
    }
    text
}

fn ours(request: &Value) -> Result<Reply, String> {
    let file = request["data"].as_str().ok_or("the request names no data")?;
    let smoothing = request["smoothing"].as_f64().ok_or("the request has no smoothing")?;
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let norms: Vec<f64> =
        text.lines().map(str::parse).collect::<Result<_, _>>().map_err(|error| format!("{file}: {error}"))?;
    let method = ScheduleRefinement::new(Parameters { smoothing, ..Parameters::default() })
        .map_err(|error| error.to_string())?;
    // The log is checked for zeros and the like, which the peers do not do.
    let refine = |norms: &[f64]| {
        GradientLog::new(norms).and_then(|log| method.refine(&log)).map_err(|error| error.to_string())
    };
    // Warms up, as the peer does.
    refine(&norms[..1000])?;
    let begin = Instant::now();
    let refined = refine(&norms)?;
    let seconds = begin.elapsed().as_secs_f64();
    let answer = answer(&refined);
    Ok(Reply { version: env!("CARGO_PKG_VERSION").into(), seconds, peak_bytes: peak_bytes(), answer })
}

/// All smoothed norms by their hash, and some of the multipliers.
fn answer(refined: &Refined) -> Value {
    let bytes: Vec<u8> = refined.smoothed.iter().flat_map(|norm| norm.to_le_bytes()).collect();
    let every = refined.multipliers.len() / SHOWN;
    let shown: Vec<f64> = refined.multipliers.iter().step_by(every).copied().collect();
    json!({"smoothed": sha256_of_bytes(&bytes), "multipliers": shown})
}

fn compare(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let multipliers = |answer: &Value| -> Vec<f64> {
        answer["multipliers"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let one = multipliers(ours);
    let peak = one.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(place, _)| place);
    let words = format!("peak at {:.1} % of the run", 100.0 * peak as f64 / one.len().max(1) as f64);
    let Some(theirs) = theirs else { return (!one.is_empty(), words) };
    let other = multipliers(theirs);
    let apart = one.iter().zip(&other).fold(0.0, |most: f64, (x, y)| most.max((x - y).abs()));
    let same = ours["smoothed"] == theirs["smoothed"];
    let agree = same && !one.is_empty() && one.len() == other.len() && apart <= SAME;
    let smoothed = if same { "equal to the last bit" } else { "not equal" };
    (agree, format!("{words}; smoothed norms {smoothed}, multipliers at most {apart:.1e} apart"))
}
