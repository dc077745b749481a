//! The bench of `cuber`: five tasks of 784 inputs one after another, beside avalanche-lib (no protection, elastic weight consolidation,
//! gradient episodic memory), and beside a transcription of gradient projection memory in torch. Both sides train the same network
//! on the same rows with the same steps; batches are drawn by each side, so accuracies are near, not equal.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_continual::cuber::{Cuber, Parameters, Strategy, Task, learn_all};
use backstitch_numerics::{Matrix, Stream};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "cuber", works, ours };

/// Points of mean accuracy that ours may lie below the peer's and still count as good.
const NEAR: f64 = 2.0;
const TASKS: usize = 5;
const ROWS: usize = 2_000;
const TEST_ROWS: usize = 500;
const INPUTS: usize = 784;
const CLASSES: usize = 10;

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let files = (0..TASKS)
        .map(|task| {
            let file = folder.join(format!("task-{task}.bin"));
            let bytes: Vec<u8> = drawn(task).iter().flat_map(|value| value.to_le_bytes()).collect();
            std::fs::write(&file, bytes).map_err(|error| format!("{}: {error}", file.display()))?;
            Ok(file)
        })
        .collect::<Result<Vec<_>, String>>()?;
    let work = |name: &str, ours: Strategy, peer: &'static str, theirs: &str| Work {
        name: format!("five tasks of 2,000 rows: {name}"),
        peer: Some(peer),
        request: json!({
            "peer": peer, "strategy": theirs, "ours": ours, "files": files, "rows": ROWS, "test_rows": TEST_ROWS,
            "inputs": INPUTS, "classes": CLASSES, "hidden": [100, 100], "epochs": 2, "batch": 10, "rate": 0.01,
            "elasticity": 3.0, "samples": 300, "thresholds": [0.95, 0.99], "memory": 256,
        }),
        compare: Box::new(compare),
    };
    Ok(vec![
        work("no protection, both", Strategy::Naive, "avalanche", "naive"),
        work("elastic weight consolidation, both", Strategy::Ewc, "avalanche", "ewc"),
        work("gradient projection memory, both", Strategy::Gpm, "torch", "gpm"),
        work("cuber beside gradient episodic memory", Strategy::Cuber, "avalanche", "gem"),
    ])
}

/// Training rows, then test rows: the label and the inputs of each. Classes are noisy copies of smooth patterns, most inputs of which are 0,
/// and every task permutes the inputs anew.
fn drawn(task: usize) -> Vec<f32> {
    let mut stream = Stream::new(0, "cuber bench patterns");
    let patterns = Matrix::from_fn(CLASSES, INPUTS, |_, _| (stream.normal() - 0.8).max(0.0));
    let mut stream = Stream::new(task as u64, "cuber bench task");
    let moved = stream.permutation(INPUTS);
    let mut values = Vec::with_capacity((ROWS + TEST_ROWS) * (INPUTS + 1));
    for row in 0..ROWS + TEST_ROWS {
        let label = row % CLASSES;
        values.push(label as f32);
        let strength = 0.3 + 0.4 * stream.uniform();
        for &input in &moved {
            let value = strength * patterns[(label, input)] + 0.35 * stream.normal();
            values.push(value.clamp(0.0, 1.0) as f32);
        }
    }
    values
}

fn read(request: &Value) -> Result<Vec<[Task; 2]>, String> {
    let files = request["files"].as_array().ok_or("the request names no files")?;
    files
        .iter()
        .enumerate()
        .map(|(place, file)| {
            let file = file.as_str().ok_or("a file is no text")?;
            let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
            let values: Vec<f64> =
                bytes.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect();
            let part = |first: usize, count: usize| {
                let row =
                    |row: usize| &values[(first + row) * (INPUTS + 1)..(first + row + 1) * (INPUTS + 1)];
                let inputs = Matrix::from_fn(count, INPUTS, |number, input| row(number)[input + 1]);
                let labels = (0..count).map(|number| row(number)[0] as usize).collect();
                Task::new(&format!("{}", place + 1), inputs, labels).map_err(|error| error.to_string())
            };
            Ok([part(0, ROWS)?, part(ROWS, TEST_ROWS)?])
        })
        .collect()
}

fn ours(request: &Value) -> Result<Reply, String> {
    let strategy: Strategy =
        serde_json::from_value(request["ours"].clone()).map_err(|error| error.to_string())?;
    let parameters = Parameters {
        strategy,
        epochs: request["epochs"].as_u64().unwrap_or(1) as usize,
        ..Parameters::default()
    };
    let (tasks, tests): (Vec<Task>, Vec<Task>) =
        read(request)?.into_iter().map(|[task, test]| (task, test)).unzip();
    let failed = |error: backstitch_continual::Error| error.to_string();
    let mut learner = Cuber::new(parameters).map_err(failed)?.learner(INPUTS, CLASSES).map_err(failed)?;
    let begin = Instant::now();
    for task in &tasks {
        learner.learn(task).map_err(failed)?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let measures = learn_all(&mut learner, &[], &tests).map_err(failed)?;
    // With nothing left to learn, the accuracies before it are those at the end.
    let accuracies: Vec<f64> = measures.untrained.iter().copied().flatten().collect();
    let accuracy = 100.0 * accuracies.iter().sum::<f64>() / accuracies.len() as f64;
    Ok(Reply {
        seconds,
        peak_bytes: peak_bytes(),
        answer: json!({"accuracy": accuracy}),
        version: env!("CARGO_PKG_VERSION").into(),
    })
}

fn compare(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let Some(own) = ours["accuracy"].as_f64() else {
        return (false, "no accuracy".into());
    };
    match theirs.and_then(|theirs| theirs["accuracy"].as_f64()) {
        Some(other) => (own >= other - NEAR, format!("mean accuracy {own:.1} %, theirs {other:.1} %")),
        None => (true, format!("mean accuracy {own:.1} %")),
    }
}
