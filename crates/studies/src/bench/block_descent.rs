//! The bench of `block-descent`: the lasso beside scikit-learn, skglm and celer, and label propagation on a lattice beside scipy.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_data::libsvm::{LibsvmData, LibsvmOptions, read_libsvm};
use backstitch_numerics::{SparseBuilder, SparseMatrix, Stream};
use backstitch_optimize::block_descent::{BlockDescent, Parameters, Penalty, Problem, Solution};
use serde_json::{Value, json};

use super::{Bench, Work};
use crate::block_descent::{lattice, sparse_rows};

/// The bench.
pub static BENCH: Bench = Bench { environment: "block-descent", works, ours };

/// The paper's data set A.
const ROWS: usize = 1_000;
const COLUMNS: usize = 10_000;
/// Duality gap, as a share of the loss at zero.
const GAP: f64 = 1e-8;
/// Largest entry of Ax − b, as a share of the largest of b.
const SHARE: f64 = 1e-8;
const REPEAT: usize = 5;

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let data = sparse_rows(ROWS, COLUMNS, &mut Stream::new(0, "block-descent bench"));
    let file = folder.join("rows.txt");
    std::fs::write(&file, libsvm(&data.features, &data.labels))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let problem = Problem::least_squares(&data.features, &data.labels).map_err(|error| error.to_string())?;
    let squares: f64 = data.labels.iter().map(|label| label * label).sum();
    let largest = problem.largest_l1();
    let mut works = Vec::new();
    for (share, positive) in [(0.1, false), (0.01, false), (0.1, true)] {
        for peer in ["scikit-learn", "skglm", "celer"] {
            let request = json!({
                "peer": peer, "work": "lasso", "data": file, "features": COLUMNS, "l1": share * largest, "positive": positive,
                "gap": 0.5 * squares * GAP, "repeat": REPEAT,
            });
            let kind = if positive { "non-negative lasso" } else { "lasso" };
            let name = format!(
                "{kind}, {ROWS} x {COLUMNS}, 7 % filled, penalty {share} of the largest, beside {peer}"
            );
            works.push(Work { name, peer: Some(peer), request, compare: Box::new(compare_objectives) });
        }
    }
    let graph = folder.join("graph.json");
    let problem = lattice(50, 100, &mut Stream::new(0, "block-descent bench lattice"))?.problem;
    std::fs::write(&graph, triplets(&problem)).map_err(|error| format!("{}: {error}", graph.display()))?;
    for peer in ["scipy-cg", "scipy-spsolve"] {
        let request = json!({"peer": peer, "work": "graph", "data": graph, "share": SHARE, "repeat": REPEAT});
        let name = format!("label propagation, 50 x 50 lattice, 100 labels, beside {peer}");
        works.push(Work { name, peer: Some(peer), request, compare: Box::new(compare_solutions) });
    }
    Ok(works)
}

fn libsvm(features: &SparseMatrix, labels: &[f64]) -> String {
    let mut text = String::new();
    for (row, label) in labels.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{label}");
        for (column, value) in features.row(row).iter() {
            let _ = write!(text, " {}:{value}", column + 1);
        }
        text.push('\n');
    }
    text
}

/// A quadratic as JSON: rows, columns and values of its matrix, and its linear part.
fn triplets(problem: &Problem) -> String {
    let (mut rows, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..problem.features() {
        for (column, value) in
            problem.matrix().into_iter().flat_map(|matrix| matrix.row(row).iter().collect::<Vec<_>>())
        {
            rows.push(row);
            columns.push(column);
            values.push(value);
        }
    }
    json!({"rows": rows, "columns": columns, "values": values, "linear": problem.linear()}).to_string()
}

fn ours(request: &Value) -> Result<Reply, String> {
    let number = |name: &str| request[name].as_f64().ok_or_else(|| format!("the request has no {name}"));
    let file = Path::new(request["data"].as_str().ok_or("the request names no data")?);
    let repeat = number("repeat")? as usize;
    let (seconds, answer) = if request["work"] == "lasso" {
        let options =
            LibsvmOptions { features: Some(number("features")? as usize), ..LibsvmOptions::default() };
        let data = read_libsvm(file, &options).map_err(|error| error.to_string())?;
        let squares: f64 = data.labels.iter().map(|label| label * label).sum();
        let (l1, tolerance) = (number("l1")?, number("gap")? / (0.5 * squares));
        let positive = request["positive"].as_bool().unwrap_or(false);
        let (seconds, solution) = timed(repeat, || lasso(&data, l1, positive, tolerance))?;
        (seconds, json!({"objective": solution.value, "gap": solution.certificate}))
    } else {
        let problem = read_graph(file)?;
        let parameters = Parameters { tolerance: number("share")?, ..Parameters::default() };
        let (seconds, solution) = timed(repeat, || minimised(&problem, parameters.clone()))?;
        (
            seconds,
            json!({"solution": solution.point, "share": solution.certificate / solution.unit, "iterations": solution.iterations}),
        )
    };
    Ok(Reply { version: env!("CARGO_PKG_VERSION").into(), seconds, peak_bytes: peak_bytes(), answer })
}

/// From rows in memory, the turning into columns included.
fn lasso(data: &LibsvmData, l1: f64, positive: bool, tolerance: f64) -> Result<Solution, String> {
    let lower = if positive { 0.0 } else { f64::NEG_INFINITY };
    let problem = Problem::least_squares(&data.features, &data.labels)
        .and_then(|problem| problem.with_penalty(Penalty { l1, lower, upper: f64::INFINITY }))
        .map_err(|error| error.to_string())?;
    minimised(&problem, Parameters { tolerance, ..Parameters::default() })
}

fn minimised(problem: &Problem, parameters: Parameters) -> Result<Solution, String> {
    BlockDescent::new(parameters)
        .and_then(|method| method.minimise(problem))
        .map_err(|error| error.to_string())
}

/// The median time after one round that warms up, as the peers do.
fn timed(repeat: usize, work: impl Fn() -> Result<Solution, String>) -> Result<(f64, Solution), String> {
    let mut solution = work()?;
    let mut times = Vec::new();
    for _ in 0..repeat {
        let begin = Instant::now();
        solution = work()?;
        times.push(begin.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], solution))
}

fn read_graph(file: &Path) -> Result<Problem, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let data: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let numbers = |name: &str| -> Vec<f64> {
        data[name].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let (rows, columns, values, linear) =
        (numbers("rows"), numbers("columns"), numbers("values"), numbers("linear"));
    let mut builder = SparseBuilder::new();
    let mut entry = 0;
    for row in 0..linear.len() {
        while rows.get(entry).is_some_and(|at| *at as usize == row) {
            builder.push(columns[entry] as usize, values[entry]).map_err(|error| error.to_string())?;
            entry += 1;
        }
        builder.end_row();
    }
    Problem::quadratic(builder.finish(), linear).map_err(|error| error.to_string())
}

fn compare_objectives(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let field = |answer: &Value, name: &str| answer[name].as_f64().unwrap_or(f64::NAN);
    let Some(theirs) = theirs else {
        return (
            true,
            format!("objective {:.10e}, gap {:.1e}", field(ours, "objective"), field(ours, "gap")),
        );
    };
    // Each is at most its gap above the same minimum.
    let apart = (field(ours, "objective") - field(theirs, "objective")).abs();
    let most = field(ours, "gap").max(field(theirs, "gap")) + 1e-12 * field(ours, "objective").abs();
    let note = format!(
        "objectives {:.10e} and {:.10e}, duality gaps {:.1e} and {:.1e}",
        field(ours, "objective"),
        field(theirs, "objective"),
        field(ours, "gap"),
        field(theirs, "gap")
    );
    (apart <= most, note)
}

fn compare_solutions(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let share = |answer: &Value| answer["share"].as_f64().unwrap_or(f64::NAN);
    let iterations = ours["iterations"].as_u64().unwrap_or(0);
    let Some(theirs) = theirs else {
        return (true, format!("{iterations} trees, residual {:.1e}", share(ours)));
    };
    let point = |answer: &Value| -> Vec<f64> {
        answer["solution"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let (one, other) = (point(ours), point(theirs));
    let largest = one.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    let apart = one.iter().zip(&other).fold(0.0, |most: f64, (x, y)| most.max((x - y).abs()));
    let agree = !one.is_empty() && one.len() == other.len() && apart <= 1e-5 * largest;
    let note = format!(
        "{iterations} trees; residuals {:.1e} and {:.1e} of the largest entry; values at most {:.1e} of the largest apart",
        share(ours),
        share(theirs),
        apart / largest
    );
    (agree, note)
}
