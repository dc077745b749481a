//! The bench of `topo`: linear data sets of growing size, what `run topo` does beside DAGMA and NOTEARS.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_data::dag::{DagParameters, DagSample, generate};
use backstitch_data::table::{TableOptions, read_table};
use backstitch_numerics::Matrix;
use backstitch_statistics::topo::{Neighbourhood, Parameters, Topo, prune, refit, shd, threshold};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "topo", works, ours };

/// A graph re-fitted by least squares may score this much worse, as a share, and still count as no worse.
const SAME_SCORE: f64 = 1e-6;
/// Weights below it are no edges, on both sides.
const THRESHOLD: f64 = 0.3;

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    // NOTEARS takes many minutes on 30 columns and DAGMA hours on 500: they are asked for what they finish.
    let sizes = [(10, Some("gcastle-notears")), (30, Some("dagma")), (100, Some("dagma")), (500, None)];
    sizes.iter().map(|&(nodes, peer)| work(folder, nodes, peer)).collect()
}

fn work(folder: &Path, nodes: usize, peer: Option<&'static str>) -> Result<Work, String> {
    let parameters = DagParameters { nodes, edges: 4 * nodes, ..DagParameters::default() };
    let sample = generate(&parameters, 0).map_err(|error| error.to_string())?;
    let file = folder.join(format!("er4-{nodes}.csv"));
    std::fs::write(&file, csv(&sample.samples)).map_err(|error| format!("{}: {error}", file.display()))?;
    let request = json!({"peer": peer.unwrap_or("dagma"), "data": file, "repeat": 1});
    Ok(Work {
        name: format!("ER4, d={nodes}, n={}, beside {}", parameters.rows, peer.unwrap_or("nothing")),
        peer,
        request,
        compare: Box::new(move |ours, theirs| compare(&sample, ours, theirs)),
    })
}

fn ours(request: &Value) -> Result<Reply, String> {
    let file = request["data"].as_str().ok_or("the request names no data")?;
    let table = read_table(file, &TableOptions::default()).map_err(|error| error.to_string())?;
    let parameters = Parameters { neighbourhood: Neighbourhood::Insertions, ..Parameters::default() };
    let topo = Topo::new(parameters).map_err(|error| error.to_string())?;
    // Warms up the thread pool and the pages of the code, as the peer warms up on a tiny problem.
    let tiny = Matrix::from_fn(20, 5, |i, j| ((i * 7 + j * 3) % 11) as f64 + 0.1 * (i * j % 5) as f64);
    topo.fit(&tiny).map_err(|error| error.to_string())?;
    let begin = Instant::now();
    let graph = fit(&topo, &table.values).map_err(|error| error.to_string())?;
    let seconds = begin.elapsed().as_secs_f64();
    let rows: Vec<&[f64]> = (0..graph.rows()).map(|row| graph.row(row)).collect();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Reply { version, seconds, peak_bytes: peak_bytes(), answer: json!({"weights": rows}) })
}

/// From the table to the graph: moments, search, pruning.
fn fit(topo: &Topo, table: &Matrix) -> Result<Matrix, backstitch_statistics::Error> {
    let fit = topo.fit(table)?;
    prune(topo.prepare(table)?.covariance(), &fit.weights, THRESHOLD).map(|(graph, _)| graph)
}

/// Thresholded support re-fitted by least squares, for both: ours agrees if it scores no worse.
fn compare(sample: &DagSample, ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let judged = graph(ours).and_then(|graph| judge(sample, &graph));
    let other = theirs.map(|answer| graph(answer).and_then(|graph| judge(sample, &graph)));
    match (judged, other) {
        (Ok((score, distance)), None) => (true, format!("score {score:.4}, SHD {distance}")),
        (Ok((score, distance)), Some(Ok((peer_score, peer_distance)))) => (
            score <= peer_score * (1.0 + SAME_SCORE),
            format!("score {score:.4} and {peer_score:.4}, SHD {distance} and {peer_distance}"),
        ),
        (Err(error), _) | (_, Some(Err(error))) => (false, error),
    }
}

fn judge(sample: &DagSample, weights: &Matrix) -> Result<(f64, usize), String> {
    let problem = Topo::new(Parameters::default())
        .and_then(|topo| topo.prepare(&sample.samples))
        .map_err(|error| error.to_string())?;
    let graph = threshold(weights, THRESHOLD);
    let (_, score) = refit(problem.covariance(), &graph).map_err(|error| error.to_string())?;
    Ok((score, shd(&graph, &sample.weights).map_err(|error| error.to_string())?))
}

fn graph(answer: &Value) -> Result<Matrix, String> {
    let rows = answer["weights"].as_array().ok_or("the answer has no weights")?;
    let values: Vec<f64> =
        rows.iter().flat_map(|row| row.as_array().into_iter().flatten()).filter_map(Value::as_f64).collect();
    Matrix::new(rows.len(), rows.len(), values).map_err(|error| error.to_string())
}

fn csv(samples: &Matrix) -> String {
    let mut text: String = (0..samples.columns())
        .map(|column| format!("{}x{column}", if column > 0 { "," } else { "" }))
        .collect();
    for row in 0..samples.rows() {
        text.push('\n');
        for (column, value) in samples.row(row).iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{value}", if column > 0 { "," } else { "" });
        }
    }
    text + "\n"
}
