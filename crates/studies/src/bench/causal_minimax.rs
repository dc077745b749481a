//! The bench of `causal-minimax`: classes of the published simulation, and one subset judged.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_data::table::{TableOptions, read_table};
use backstitch_statistics::causal_minimax::{CausalMinimax, Graph, Parameters, Set, equivalence_classes};
use serde_json::{Value, json};

use super::{Bench, Work};
use crate::causal_minimax::simulation_csv;

/// The bench.
pub static BENCH: Bench = Bench { environment: "causal-minimax", works, ours };

/// Largest relative difference of two worst-case risks that counts as agreement: two optimisers of two random starts.
const SAME: f64 = 0.15;

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let (text, _, graph) = simulation_csv(20, 100, 0).map_err(|error| error.to_string())?;
    let file = folder.join("simulation.csv");
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    let edges: Vec<(usize, usize)> = graph.edges().collect();
    let request = |task: &str| {
        json!({"peer": "transcription", "task": task, "data": file, "edges": edges, "target": 1, "environment": 0,
               "subset": [7, 6, 5], "reach": Parameters::default().reach})
    };
    Ok(vec![
        Work {
            name: "classes of the simulation graph, 8 stable columns".into(),
            peer: Some("transcription"),
            request: request("classes"),
            compare: Box::new(|ours, theirs| {
                let own = ours["sizes"].to_string();
                let agree = theirs.is_none_or(|theirs| theirs["sizes"] == ours["sizes"]);
                (agree, format!("{} classes of sizes {own}", ours["sizes"].as_array().map_or(0, Vec::len)))
            }),
        },
        Work {
            name: "one subset of the simulation judged, n=1000".into(),
            peer: Some("transcription"),
            request: request("judge"),
            compare: Box::new(|ours, theirs| {
                let own = ours["risk"].as_f64().unwrap_or(f64::NAN);
                let Some(theirs) = theirs else { return (own.is_finite(), format!("h* {own:.4}")) };
                let other = theirs["risk"].as_f64().unwrap_or(f64::NAN);
                ((own / other - 1.0).abs() <= SAME, format!("h* {own:.4} and {other:.4}"))
            }),
        },
    ])
}

fn ours(request: &Value) -> Result<Reply, String> {
    let file = request["data"].as_str().ok_or("the request names no data")?;
    let number = |name: &str| request[name].as_u64().map(|value| value as usize).ok_or(format!("no {name}"));
    let (target, environment) = (number("target")?, number("environment")?);
    let edges: Vec<(usize, usize)> =
        serde_json::from_value(request["edges"].clone()).map_err(|error| error.to_string())?;
    let table = read_table(file, &TableOptions::default()).map_err(|error| error.to_string())?;
    let graph = Graph::new(table.columns.len(), &edges).map_err(|error| error.to_string())?;
    let method = CausalMinimax::new(Parameters::default()).map_err(|error| error.to_string())?;
    let begin;
    let answer = match request["task"].as_str() {
        Some("classes") => {
            let stable: Set =
                (2..12).filter(|column| !graph.parents(*column).contains(environment)).collect();
            let isolated = (0..12).filter(|column| !stable.contains(*column) && *column != target).collect();
            let part = graph.isolating(isolated);
            begin = Instant::now();
            let classes =
                equivalence_classes(&part, target, stable, 4096).map_err(|error| error.to_string())?;
            let mut sizes: Vec<u64> = classes.iter().map(|class| class.size() as u64).collect();
            sizes.sort_unstable();
            json!({"sizes": sizes})
        }
        _ => {
            let subset: Vec<usize> =
                serde_json::from_value(request["subset"].clone()).map_err(|error| error.to_string())?;
            begin = Instant::now();
            let judged = method
                .prepare(&table.values, target, environment, &graph)
                .and_then(|problem| problem.judge(subset.into_iter().collect()))
                .map_err(|error| error.to_string())?;
            json!({"risk": judged.worst_case_risk})
        }
    };
    let seconds = begin.elapsed().as_secs_f64();
    Ok(Reply { version: env!("CARGO_PKG_VERSION").to_owned(), seconds, peak_bytes: peak_bytes(), answer })
}
