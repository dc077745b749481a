//! The bench of `weight-matching`: one exact assignment, and the matching of two perceptrons until nothing moves, beside scipy's
//! assignment in a transcription of the published descent; and the same from networks alone, what may be permuted to be found, beside
//! rebasin. The second perceptron is the first with noise, permuted: all then end at the same distance, whatever order they visit
//! permutations in.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_networks::weight_matching::{Checkpoint, Parameters, Specification, WeightMatching};
use backstitch_numerics::assignment::assign;
use backstitch_numerics::{Matrix, Stream, interval};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "weight-matching", works, ours };

/// Largest relative difference of costs and distances that counts as agreement.
const SAME: f64 = 1e-9;

/// Inner products that a cost of units is the sum of.
const FEATURES: usize = 512;

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let mut works = Vec::new();
    for (size, repeat) in [(512, 10), (2048, 2)] {
        let name = format!("assignment of {size} units by inner products of {FEATURES} numbers");
        let mut stream = Stream::new(0, &name);
        let mut draw = || Matrix::from_fn(size, FEATURES, |_, _| stream.normal());
        let (left, right) = (draw(), draw());
        let costs: Vec<f64> = (0..size * size)
            .map(|pair| {
                let (row, column) = (left.row(pair / size), right.row(pair % size));
                row.iter().zip(column).map(|(left, right)| left * right).sum()
            })
            .collect();
        let file = folder.join(format!("costs-{size}.bin"));
        write(&file, &costs)?;
        works.push(Work {
            name,
            peer: Some("scipy"),
            request: json!({"peer": "scipy", "task": "assignment", "file": file, "size": size, "repeat": repeat}),
            compare: Box::new(compare),
        });
    }
    for (widths, repeat) in [(&[64, 256, 256, 10][..], 10), (&[784, 512, 512, 512, 10], 3)] {
        let shown: Vec<String> = widths.iter().map(ToString::to_string).collect();
        let name = format!("matching of two {} perceptrons until nothing moves", shown.join("-"));
        let mut stream = Stream::new(0, &name);
        let (first, second) = pair(widths, &mut stream)?;
        let files = ["first", "second"].map(|which| folder.join(format!("{which}-{}.bin", shown.join("-"))));
        write(&files[0], &first)?;
        write(&files[1], &second)?;
        for (peer, task, name) in [
            ("scipy", "matching", name.clone()),
            ("rebasin", "from networks", format!("{name}, what may be permuted to be found")),
        ] {
            works.push(Work {
                name,
                peer: Some(peer),
                request: json!({"peer": peer, "task": task, "first": files[0], "second": files[1], "widths": widths,
                    "repeat": repeat}),
                compare: Box::new(compare),
            });
        }
    }
    Ok(works)
}

/// A perceptron, and the same with as much noise as weights, its hidden units shuffled: layer after layer, weights and bias.
fn pair(widths: &[usize], stream: &mut Stream) -> Result<(Vec<f64>, Vec<f64>), String> {
    let failed = |error: backstitch_networks::Error| error.to_string();
    let draw = |stream: &mut Stream| -> Vec<f64> {
        let layer = |pair: &[usize], stream: &mut Stream| {
            let scale = (2.0 / pair[0] as f64).sqrt();
            (0..pair[1] * (pair[0] + 1)).map(|_| scale * stream.normal()).collect::<Vec<f64>>()
        };
        widths.windows(2).flat_map(|pair| layer(pair, stream)).collect()
    };
    let (first, noise) = (draw(stream), draw(stream));
    let noisy: Vec<f64> = first.iter().zip(&noise).map(|(value, noise)| value + noise).collect();
    let second = network(widths, &noisy)?;
    let specification = Specification::found(&second, None).map_err(failed)?;
    let orders: Vec<Vec<usize>> =
        specification.permutations().iter().map(|own| stream.permutation(own.units)).collect();
    let second = specification.apply(&orders, &second).map_err(failed)?;
    let mut numbers = Vec::new();
    for place in 0..widths.len() - 1 {
        for part in ["weight", "bias"] {
            let tensor = second.tensor(&format!("{place}.{part}")).map_err(failed)?;
            numbers.extend(tensor.values().unwrap_or_default());
        }
    }
    Ok((first, numbers))
}

fn network(widths: &[usize], numbers: &[f64]) -> Result<Checkpoint, String> {
    let mut found = Checkpoint::default();
    let mut rest = numbers;
    for (place, pair) in widths.windows(2).enumerate() {
        for (part, shape) in [("weight", &[pair[1], pair[0]][..]), ("bias", &[pair[1]])] {
            let count = shape.iter().product::<usize>().min(rest.len());
            let (own, others) = rest.split_at(count);
            found
                .insert(&format!("{place}.{part}"), shape, own.to_vec())
                .map_err(|error| error.to_string())?;
            rest = others;
        }
    }
    Ok(found)
}

fn write(file: &Path, numbers: &[f64]) -> Result<(), String> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    std::fs::write(file, bytes).map_err(|error| format!("{}: {error}", file.display()))
}

fn read(request: &Value, name: &str) -> Result<Vec<f64>, String> {
    let file = request[name].as_str().ok_or_else(|| format!("the request names no {name}"))?;
    let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    Ok(bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
}

fn ours(request: &Value) -> Result<Reply, String> {
    let work: Box<dyn Fn() -> Result<f64, String>> = if request["task"] == "assignment" {
        let size = request["size"].as_u64().ok_or("the request has no size")? as usize;
        let costs = Matrix::new(size, size, read(request, "file")?).map_err(|error| error.to_string())?;
        Box::new(move || {
            Ok(assign(std::hint::black_box(&costs)).map_err(|error| error.to_string())?.cost(&costs))
        })
    } else {
        let widths: Vec<usize> = request["widths"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .map(|width| width as usize)
            .collect();
        let (first, second) =
            (network(&widths, &read(request, "first")?)?, network(&widths, &read(request, "second")?)?);
        let failed = |error: backstitch_networks::Error| error.to_string();
        let known = match request["task"].as_str() {
            Some("matching") => Some(Specification::found(&first, None).map_err(failed)?),
            _ => None,
        };
        let method = WeightMatching::new(Parameters::default()).map_err(failed)?;
        Box::new(move || {
            let first = std::hint::black_box(&first);
            let found = match &known {
                Some(specification) => method.weights(specification, first, &second),
                None => Specification::found(first, None)
                    .and_then(|specification| method.weights(&specification, first, &second)),
            };
            Ok(found.map_err(failed)?.distance_after)
        })
    };
    let mut value = work()?;
    let mut times = Vec::new();
    for _ in 0..request["repeat"].as_u64().unwrap_or(1) {
        let begin = Instant::now();
        value = work()?;
        times.push(begin.elapsed().as_secs_f64());
    }
    let seconds = interval::median(&times).map_err(|error| error.to_string())?;
    Ok(Reply {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seconds,
        peak_bytes: peak_bytes(),
        answer: json!({"value": value}),
    })
}

fn compare(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let own = ours["value"].as_f64().unwrap_or(f64::NAN);
    let words = format!("objective {own:.9}");
    let Some(other) = theirs.map(|theirs| theirs["value"].as_f64().unwrap_or(f64::NAN)) else {
        return (own.is_finite(), words);
    };
    let apart = (own - other).abs() / other.abs();
    (apart <= SAME, format!("{words}; apart by {apart:.1e}"))
}
