//! The bench of `negative-eigenvalues`: the delta rule with its derivatives beside our transcription of its published chunk form in torch, a
//! diagonal recurrence beside mambapy, and answers token by token beside the same layer in torch.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_kernels::{delta, scan};
use backstitch_nn::{Tracker, cpu};
use backstitch_numerics::Stream;
use backstitch_sequence::negative_eigenvalues::sequences::Vocabulary;
use backstitch_sequence::negative_eigenvalues::{Model, Parameters, Stepper};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "negative-eigenvalues", works, ours };

/// Relative difference up to which sizes of outputs and derivatives agree, in single precision.
const NEAR: f64 = 1e-3;
const SIZES: delta::Sizes =
    delta::Sizes { batch: 8, length: 2048, heads: 4, key: 32, value: 32, chunk: delta::CHUNK };
/// Batch, length, width of the diagonal recurrence.
const SCAN: [usize; 3] = [8, 2048, 128];
const TOKENS: usize = 2000;
const VOCABULARY: usize = 16;
/// Runs of which the median is told.
const REPEAT: usize = 5;

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let file = |name: &str, values: &[f32]| {
        let path = folder.join(name);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok::<_, String>(path)
    };
    let steps = SIZES.batch * SIZES.length * SIZES.heads;
    let mut stream = Stream::new(0, "negative-eigenvalues bench");
    let mut normal = |count: usize| (0..count).map(|_| stream.normal() as f32).collect::<Vec<f32>>();
    let (query, mut key, value) = (normal(steps * 32), normal(steps * 32), normal(steps * 32));
    for key in key.chunks_exact_mut(32) {
        let length = key.iter().map(|x| x * x).sum::<f32>().sqrt();
        key.iter_mut().for_each(|x| *x /= length);
    }
    let size = SCAN.iter().product();
    let inputs = normal(size);
    let beta: Vec<f32> = (0..steps).map(|_| 2.0 * stream.uniform() as f32).collect();
    let factors: Vec<f32> = (0..size).map(|_| 2.0 * stream.uniform() as f32 - 1.0).collect();
    let model = folder.join("model");
    std::fs::create_dir_all(&model).map_err(|error| format!("{}: {error}", model.display()))?;
    for (name, bytes) in streamed()?.files().map_err(|error| error.to_string())? {
        let path = model.join(name);
        std::fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let work = |name: &str, peer: &'static str, request: Value| Work {
        name: name.into(),
        peer: Some(peer),
        request,
        compare: Box::new(compare),
    };
    Ok(vec![
        work(
            "delta rule, 8 sequences of 2,048, 4 heads of 32, forward and backward",
            "torch",
            json!({
                "peer": "torch", "what": "delta", "batch": SIZES.batch, "length": SIZES.length, "heads": SIZES.heads, "width": 32,
                "chunk": 32, "repeat": REPEAT, "query": file("query.bin", &query)?, "key": file("key.bin", &key)?,
                "value": file("value.bin", &value)?, "beta": file("beta.bin", &beta)?,
            }),
        ),
        work(
            "diagonal recurrence, 8 sequences of 2,048, 128 channels, forward and backward",
            "mambapy",
            json!({
                "peer": "mambapy", "what": "scan", "shape": SCAN, "repeat": REPEAT, "factors": file("factors.bin", &factors)?,
                "inputs": file("inputs.bin", &inputs)?,
            }),
        ),
        work(
            "token by token: 2,000 tokens through one delta layer of width 128",
            "torch",
            json!({"peer": "torch", "what": "stream", "model": model, "tokens": TOKENS, "vocabulary": VOCABULARY, "repeat": 1}),
        ),
    ])
}

/// An untrained model: what it says does not matter for the time.
fn streamed() -> Result<Model, String> {
    let parameters = Parameters { width: 128, heads: 4, feed: 0, ..Parameters::default() };
    let names = |count: usize| (0..count).map(|at| at.to_string()).collect();
    let vocabulary = Vocabulary { tokens: names(VOCABULARY), labels: names(VOCABULARY) };
    let tracker =
        Tracker::new(&parameters.config(&vocabulary), 0, &cpu()).map_err(|error| error.to_string())?;
    Model::new(tracker, vocabulary).map_err(|error| error.to_string())
}

fn read(request: &Value, name: &str) -> Result<Vec<f32>, String> {
    let file = request[name].as_str().ok_or_else(|| format!("the request has no file {name}"))?;
    let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    Ok(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

fn ours(request: &Value) -> Result<Reply, String> {
    let (seconds, answer) = match request["what"].as_str() {
        Some("delta") => rule(request)?,
        Some("scan") => recurrence(request)?,
        _ => tokens(request)?,
    };
    Ok(Reply { seconds, peak_bytes: peak_bytes(), answer, version: env!("CARGO_PKG_VERSION").into() })
}

/// The median time of several runs after one that warms up, and what the last gave.
fn timed<R>(repeat: usize, mut work: impl FnMut() -> R) -> (f64, R) {
    let mut last = work();
    let mut seconds: Vec<f64> = (0..repeat)
        .map(|_| {
            let begin = Instant::now();
            last = work();
            begin.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    (seconds[repeat / 2], last)
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

fn rule(request: &Value) -> Result<(f64, Value), String> {
    let [query, key, value, beta] =
        [read(request, "query")?, read(request, "key")?, read(request, "value")?, read(request, "beta")?];
    let inputs = delta::Inputs { query: &query, key: &key, value: &value, beta: &beta };
    let (seconds, (output, derivatives)) = timed(REPEAT, || {
        let mut output = vec![0.0; value.len()];
        let saved = delta::forward(inputs, SIZES, &mut output);
        // The loss is half the square of the output.
        let derivatives = delta::backward(inputs, &saved, &output, SIZES);
        (output, derivatives)
    });
    let delta::Derivatives { query, key, value, beta } = derivatives;
    let norms = [output, query, key, value, beta].map(|values| norm(&values));
    Ok((seconds, json!({"values": norms})))
}

fn recurrence(request: &Value) -> Result<(f64, Value), String> {
    let (a, b) = (read(request, "factors")?, read(request, "inputs")?);
    let [_, length, width] = SCAN;
    let (seconds, norms) = timed(REPEAT, || {
        let (mut h, mut da, mut db) = (vec![0.0; b.len()], vec![0.0; b.len()], vec![0.0; b.len()]);
        scan::forward(&a, &b, [length, width], &mut h);
        scan::backward(&a, &h, &h, [length, width], &mut da, &mut db);
        [h, da, db]
    });
    Ok((seconds, json!({"values": norms.map(|values| norm(&values))})))
}

fn tokens(request: &Value) -> Result<(f64, Value), String> {
    let folder = request["model"].as_str().ok_or("the request has no model")?;
    let failed = |error: backstitch_sequence::Error| error.to_string();
    let model = Model::read(Path::new(folder)).map_err(failed)?;
    let beginning = Stepper::new(&model, 0.0).map_err(failed)?;
    let (seconds, logits) = timed(REPEAT, || {
        let mut stepper = beginning.clone();
        for at in 0..TOKENS {
            stepper.step((at * 7 % VOCABULARY) as u32)?;
        }
        Ok(stepper.logits().to_vec())
    });
    let logits: Vec<f32> = logits.map_err(failed)?;
    Ok((seconds, json!({"values": logits})))
}

fn compare(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let values = |answer: &Value| -> Vec<f64> {
        answer["values"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let own = values(ours);
    let Some(theirs) = theirs else {
        return (!own.is_empty(), format!("{} values", own.len()));
    };
    let theirs = values(theirs);
    let largest = theirs.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let apart = own.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let agree = own.len() == theirs.len() && !own.is_empty() && apart <= NEAR * largest;
    (agree, format!("largest relative difference {:.1e}", apart / largest))
}
