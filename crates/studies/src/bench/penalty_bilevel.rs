//! The bench of `penalty-bilevel`: penalties of features and weights of rows, beside implicit differentiation with jaxopt, to equal
//! validation loss.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_numerics::{Matrix, SparseMatrix, Stream};
use backstitch_optimize::objective::Loss;
use backstitch_optimize::penalty_bilevel::{
    Bilevel, Bounds, Classified, DataCleaning, Effort, Everything, Labelled, Parameters, PenaltyBilevel,
    PenaltySelection, Sets, Sharing, Sigma, penalty_gradient,
};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "penalty-bilevel", works, ours };

/// Validation losses within this share of each other count as equal.
const EQUAL: f64 = 0.01;
/// How near to the target the work ends, on both sides.
const NEAR: f64 = 0.005;
const CLASSES: usize = 10;
const RIDGE: f64 = 1e-3;
/// Where x may lie: logarithms of penalties, and numbers whose sigmoid is a weight.
const RANGE: (f64, f64) = (-8.0, 4.0);
const WIDEST: f64 = 6.0;
/// x of every penalty at the start.
const START: f64 = -4.0;
/// How far the lower level is solved when the loss is looked at, which is not timed.
const EXACT: Effort = Effort { steps: 20_000, tolerance: 1e-6, accelerated: true };

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    [("selection", 1_000, 100), ("cleaning", 2_000, 64)]
        .iter()
        .map(|&(task, rows, features)| {
            let file = folder.join(format!("{task}.txt"));
            std::fs::write(&file, drawn(task, rows, features))
                .map_err(|error| format!("{}: {error}", file.display()))?;
            let mut request = json!({
                "peer": "jaxopt", "task": task, "data": file, "rows": rows, "iterations": 100, "step": 0.1,
                "start": START, "lowest": RANGE.0, "highest": RANGE.1, "widest": WIDEST, "ridge": RIDGE,
                "classes": CLASSES,
            });
            // Both sides stop within half a percent of the loss that we reach in the end.
            let data = Data::read(&request)?;
            let target = data.run(&request)?.1;
            request["target"] = json!(target);
            for iterations in [20, 40, 60, 80, 100] {
                request["iterations"] = json!(iterations);
                if data.run(&request)?.1 <= target * (1.0 + NEAR) {
                    break;
                }
            }
            let what = if task == "selection" {
                "penalties of 100 features, logistic loss"
            } else {
                "weights of 2,000 rows, 10 classes"
            };
            Ok(Work {
                name: format!("{what}, to equal validation loss"),
                peer: Some("jaxopt"),
                request,
                compare: Box::new(compare),
            })
        })
        .collect()
}

/// Training rows, then half as many validation rows: a label and the features of each.
fn drawn(task: &str, rows: usize, features: usize) -> String {
    let mut stream = Stream::new(0, &format!("penalty-bilevel bench {task}"));
    let mut weights = Matrix::from_fn(features, CLASSES, |_, _| stream.normal() / (features as f64).sqrt());
    // A tenth of the features matter for penalties.
    for feature in features / 10..features {
        if task == "selection" {
            weights.row_mut(feature).fill(0.0);
        } else {
            weights.row_mut(feature).iter_mut().for_each(|weight| *weight *= 4.0);
        }
    }
    let mut text = String::new();
    for row in 0..rows + rows / 2 {
        let values: Vec<f64> = (0..features).map(|_| stream.normal()).collect();
        let mut scores = [0.0; CLASSES];
        for (feature, value) in values.iter().enumerate() {
            for (score, weight) in scores.iter_mut().zip(weights.row(feature)) {
                *score += value * weight;
            }
        }
        let label = if task == "selection" {
            if 6.0 * scores[0] + stream.normal() > 0.0 { 1 } else { -1 }
        } else {
            let best =
                (0..CLASSES).fold(0, |best, class| if scores[class] > scores[best] { class } else { best });
            // Two labels of five are wrong in the training rows.
            if row < rows && stream.uniform() < 0.4 {
                ((best + 1 + stream.below(CLASSES - 1)) % CLASSES) as i32
            } else {
                best as i32
            }
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "{label}");
        for value in &values {
            let _ = write!(text, " {value}");
        }
        text.push('\n');
    }
    text
}

struct Data {
    features: [SparseMatrix; 2],
    labels: [Vec<f64>; 2],
}

impl Data {
    fn read(request: &Value) -> Result<Self, String> {
        let file = request["data"].as_str().ok_or("the request names no data")?;
        let rows = request["rows"].as_u64().ok_or("the request has no rows")? as usize;
        let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        let (mut labels, mut values) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let mut numbers =
                line.split(' ').map(|number| number.parse::<f64>().map_err(|error| error.to_string()));
            labels.push(numbers.next().ok_or("a line is empty")??);
            values.push(numbers.collect::<Result<Vec<f64>, _>>()?);
        }
        let part = |rows: &[Vec<f64>]| {
            SparseMatrix::from_dense(&Matrix::from_fn(rows.len(), rows[0].len(), |row, column| {
                rows[row][column]
            }))
        };
        let (own, other) = values.split_at(rows.min(values.len() - 1));
        Ok(Self {
            features: [part(own), part(other)],
            labels: [labels[..own.len()].to_vec(), labels[own.len()..].to_vec()],
        })
    }

    /// Seconds, and the validation loss.
    fn run(&self, request: &Value) -> Result<(f64, f64), String> {
        let classes =
            self.labels.clone().map(|labels| labels.iter().map(|label| *label as usize).collect::<Vec<_>>());
        let begin = Instant::now();
        if request["task"] == "selection" {
            let part =
                |place: usize| Labelled { features: &self.features[place], labels: &self.labels[place] };
            let problem = PenaltySelection::new(part(0), part(1), Loss::Logistic, Sharing::PerFeature, 0)
                .map_err(|error| error.to_string())?;
            let bounds = Bounds::uniform(problem.upper_dimension(), RANGE.0, RANGE.1);
            return minimised(&problem, &bounds, START, request, begin);
        }
        let part = |place: usize| Classified { features: &self.features[place], labels: &classes[place] };
        let problem =
            DataCleaning::new(part(0), part(1), CLASSES, RIDGE).map_err(|error| error.to_string())?;
        let bounds = Bounds::uniform(problem.upper_dimension(), -WIDEST, WIDEST);
        minimised(&problem, &bounds, 0.0, request, begin)
    }
}

fn minimised(
    problem: &impl Bilevel,
    bounds: &Bounds,
    start: f64,
    request: &Value,
    begin: Instant,
) -> Result<(f64, f64), String> {
    let iterations = request["iterations"].as_u64().ok_or("the request has no iterations")? as usize;
    let parameters = Parameters {
        sigma: Sigma::Continuation { first: 0.3, last: 0.03 },
        iterations,
        measure_every: iterations,
        ..Parameters::convex()
    };
    let sets = Sets { upper: bounds, lower: &Everything };
    let (x, y) = (vec![start; problem.upper_dimension()], vec![0.0; problem.lower_dimension()]);
    let fit = PenaltyBilevel::new(parameters)
        .and_then(|method| method.fit(problem, sets, &x, &y))
        .map_err(|error| error.to_string())?;
    let seconds = begin.elapsed().as_secs_f64();
    let solved =
        penalty_gradient(problem, sets, &fit.x, &fit.z, 1e-3, EXACT).map_err(|error| error.to_string())?;
    Ok((seconds, problem.upper_value(&fit.x, &solved.z)))
}

fn ours(request: &Value) -> Result<Reply, String> {
    let data = Data::read(request)?;
    // Warms up, as the peer does.
    let mut short = request.clone();
    short["iterations"] = json!(2);
    data.run(&short)?;
    let (seconds, loss) = data.run(request)?;
    let answer = json!({"loss": loss, "target": request["target"]});
    Ok(Reply { version: env!("CARGO_PKG_VERSION").into(), seconds, peak_bytes: peak_bytes(), answer })
}

fn compare(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let loss = |answer: &Value| answer["loss"].as_f64().unwrap_or(f64::NAN);
    let target = ours["target"].as_f64().unwrap_or(f64::NAN);
    let reached = |answer: &Value| loss(answer) <= target * (1.0 + EQUAL);
    let Some(theirs) = theirs else {
        return (reached(ours), format!("validation loss {:.5}", loss(ours)));
    };
    let steps = theirs["steps"].as_u64().unwrap_or(0);
    (
        reached(ours) && reached(theirs),
        format!("validation loss {:.5} and {:.5}, theirs after {steps} steps", loss(ours), loss(theirs)),
    )
}
