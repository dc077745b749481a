//! Time and peak memory of TOPO on one generated table, and the same for this crate's DAGMA on request.
//!
//! `cargo run --release --example topo_size -p backstitch-statistics -- <nodes> <edges> <seed> <arm>`, arm one of
//! `insertions`, `candidates`, `all-exchanges`, `dagma`, `csv` (writes the table to stdout for `peers/topo.py`), `truth` (writes the true weights).

use std::time::Instant;

use backstitch_data::dag::{DagParameters, generate};
use backstitch_statistics::topo::{
    Comparison, DagmaParameters, Neighbourhood, Parameters, Topo, dagma, prune, refit, threshold,
    topological_order,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [nodes, edges, seed, arm] = arguments.as_slice() else {
        return Err("usage: topo_size <nodes> <edges> <seed> <arm>".into());
    };
    let (nodes, edges, seed) = (nodes.parse()?, edges.parse()?, seed.parse()?);
    let sample = generate(&DagParameters { nodes, edges, rows: 1000, ..DagParameters::default() }, seed)?;
    if arm == "csv" {
        let line = |values: Vec<String>| values.join(",");
        println!("{}", line((0..nodes).map(|c| format!("x{c}")).collect()));
        for row in 0..sample.samples.rows() {
            println!("{}", line(sample.samples.row(row).iter().map(f64::to_string).collect()));
        }
        return Ok(());
    }
    if arm == "truth" {
        for row in 0..nodes {
            println!("{}", sample.weights.row(row).iter().map(f64::to_string).collect::<Vec<_>>().join(","));
        }
        return Ok(());
    }
    let mut parameters = Parameters { seed, ..Parameters::default() };
    match arm.as_str() {
        "insertions" => parameters.neighbourhood = Neighbourhood::Insertions,
        "all-exchanges" => (parameters.small, parameters.large) = (usize::MAX, usize::MAX),
        "candidates" | "dagma" => {}
        other => return Err(format!("{other} is not an arm").into()),
    }
    let topo = Topo::new(parameters)?;
    let problem = topo.prepare(&sample.samples)?;
    println!("true order: score {}", problem.score_of_order(&sample.order)?);
    let clock = Instant::now();
    let weights = if arm == "dagma" {
        let fit = dagma(topo.prepare(&sample.samples)?.covariance(), &DagmaParameters::default())?;
        println!("dagma: {:.3} s, {} gradient steps", clock.elapsed().as_secs_f64(), fit.iterations);
        let order = topological_order(&fit.weights)?;
        println!("dense score of its order {}", problem.score_of_order(&order)?);
        fit.weights
    } else {
        let fit = topo.fit(&sample.samples)?;
        println!(
            "{arm}: {:.3} s, score {}, {} iterations, {} evaluations, kkt {}",
            clock.elapsed().as_secs_f64(),
            fit.score,
            fit.iterations,
            fit.evaluations,
            fit.kkt
        );
        fit.weights
    };
    let graph = threshold(&weights, 0.3);
    let (_, score) = refit(problem.covariance(), &graph)?;
    println!("threshold: refitted score {score}, {:?}", Comparison::new(&graph, &sample.weights)?);
    let clock = Instant::now();
    let (graph, score) = prune(problem.covariance(), &weights, 0.3)?;
    println!(
        "prune ({:.3} s): refitted score {score}, {:?}",
        clock.elapsed().as_secs_f64(),
        Comparison::new(&graph, &sample.weights)?
    );
    // Linux only; elsewhere there is no such file and nothing is printed.
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    }
    Ok(())
}
