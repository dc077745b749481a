//! The bench of `scale-mixture-nngp`: kernels, and exact regressions at hyper-parameters that are given.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_data::table::{TableOptions, read_table};
use backstitch_numerics::{Matrix, Stream};
use backstitch_statistics::scale_mixture_nngp::{
    Architecture, Hyperparameters, Kernel, Parameters, Prior, ScaleMixtureNngp, evidence,
};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "scale-mixture-nngp", works, ours };

/// Largest relative difference of answers that counts as agreement.
const SAME: f64 = 1e-6;
/// Columns of the generated tables, rows that are predicted.
const FEATURES: usize = 8;
const NEW: usize = 200;

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let mut works = Vec::new();
    // The size of the training part of `concrete`, and the largest that the peer is asked.
    for rows in [824, 2000] {
        let file = folder.join(format!("rows{rows}.csv"));
        std::fs::write(&file, table(rows + NEW)).map_err(|error| format!("{}: {error}", file.display()))?;
        let work = |task: &str, name: String, peer| Work {
            name,
            peer,
            request: json!({"peer": "neural-tangents", "task": task, "data": file, "train": rows, "depth": 4,
                            "weight_std": 1.4, "bias_std": 0.3, "last_weight_std": 1.0, "noise": 0.1,
                            "shape": 2.0, "scale": 2.0}),
            compare: Box::new(compare),
        };
        let peer = Some("neural-tangents");
        works.push(work("kernel", format!("kernel of 4 ReLU layers, n={rows}"), peer));
        works.push(work("fit", format!("Student-t posterior, {NEW} rows predicted, n={rows}"), peer));
        works.push(work("gradient", format!("evidence and its gradient, n={rows}"), peer));
    }
    Ok(works)
}

/// A curved function of eight inputs with noise.
fn table(rows: usize) -> String {
    let mut stream = Stream::new(0, "scale-mixture-nngp bench");
    let line = |_| {
        let x: Vec<f64> = (0..FEATURES).map(|_| stream.normal()).collect();
        let y = (2.0 * x[0]).sin() + x[1] * x[2] + 0.3 * stream.normal();
        let fields: Vec<String> = x.iter().chain([&y]).map(f64::to_string).collect();
        fields.join(",") + "\n"
    };
    let head: Vec<String> = (0..FEATURES).map(|column| format!("x{column}")).collect();
    std::iter::once(head.join(",") + ",y\n").chain((0..rows).map(line)).collect()
}

fn ours(request: &Value) -> Result<Reply, String> {
    let file = request["data"].as_str().ok_or("the request names no data")?;
    let number = |name: &str| request[name].as_f64().ok_or(format!("the request has no {name}"));
    let table = read_table(file, &TableOptions::default()).map_err(|error| error.to_string())?.values;
    let train = number("train")? as usize;
    let rows = |from: usize, to: usize| {
        Matrix::from_fn(to - from, FEATURES, |row, column| table[(from + row, column)])
    };
    let (x, new) = (rows(0, train), rows(train, table.rows()));
    let y: Vec<f64> = table.column(FEATURES).take(train).collect();
    let initial = Hyperparameters {
        weight_std: number("weight_std")?,
        bias_std: number("bias_std")?,
        last_weight_std: number("last_weight_std")?,
        noise: number("noise")?,
    };
    let architecture =
        Architecture { depth: number("depth")? as usize, ..Parameters::default().architecture };
    let prior = Prior::InverseGamma { shape: number("shape")?, scale: number("scale")? };
    let parameters = Parameters { architecture, prior, initial, iterations: 0, ..Parameters::default() };
    let failed = |error: backstitch_statistics::Error| error.to_string();
    let begin = Instant::now();
    let answer = match request["task"].as_str() {
        Some("kernel") => {
            let kernel = Kernel::new(architecture, &initial).and_then(|kernel| kernel.matrix(&x));
            let kernel = kernel.map_err(failed)?;
            json!({"values": [kernel[(0, 0)], kernel[(0, 1)], kernel[(train - 1, train / 2)]]})
        }
        Some("fit") => {
            let predicted = ScaleMixtureNngp::new(parameters)
                .and_then(|method| method.fit(&x, &y))
                .and_then(|model| model.posterior())
                .and_then(|posterior| Ok((posterior.predict(&new, false)?, posterior.log_evidence())));
            let (predicted, evidence) = predicted.map_err(failed)?;
            let last = predicted.mean.len() - 1;
            json!({"values": [predicted.mean[0], predicted.mean[last], predicted.scale()[0], evidence]})
        }
        Some("gradient") => {
            let found = evidence(architecture, &initial, &prior, &x, &y).map_err(failed)?;
            let mut values = vec![found.value];
            values.extend(found.by_hyperparameters);
            json!({"values": values})
        }
        task => return Err(format!("no task {task:?}")),
    };
    let seconds = begin.elapsed().as_secs_f64();
    Ok(Reply { version: env!("CARGO_PKG_VERSION").to_owned(), seconds, peak_bytes: peak_bytes(), answer })
}

fn compare(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let values = |answer: &Value| -> Vec<f64> {
        answer["values"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let own = values(ours);
    let Some(theirs) = theirs.map(values) else {
        return (!own.is_empty() && own.iter().all(|value| value.is_finite()), format!("{own:.4?}"));
    };
    let apart = own.iter().zip(&theirs).map(|(own, other)| (own - other).abs() / (1e-3 + other.abs()));
    let most = apart.fold(0.0, f64::max);
    (!own.is_empty() && own.len() == theirs.len() && most <= SAME, format!("{own:.4?}, apart by {most:.1e}"))
}
