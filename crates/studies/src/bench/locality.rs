//! The bench of `locality`: joint samples and exact conditionals of a Bayes net, beside pgmpy.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_language::locality::{Network, NetworkParameters, Samples, Variable};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "locality", works, ours };

/// Exact probabilities may differ by rounding only.
const SAME: f64 = 1e-9;
/// Frequencies of a sample may differ from exact probabilities by this many standard errors in any of the variables and edges.
const DEVIATIONS: f64 = 5.5;

fn works(_: &Path) -> Result<Vec<Work>, String> {
    let work = |work: &str, size: usize, variables: usize, name: String| -> Result<Work, String> {
        let parameters = NetworkParameters { variables, edges: variables, ..NetworkParameters::default() };
        let net = Network::random(&parameters, 0).map_err(|error| error.to_string())?;
        let (marginals, edges) = exact(&net)?;
        Ok(Work {
            name,
            peer: Some("pgmpy"),
            request: json!({
                "peer": "pgmpy", "work": work, "samples": size, "net": net.to_variables(),
            }),
            compare: match work {
                "sample" => {
                    Box::new(move |ours, theirs| compare_samples(ours, theirs, &marginals, &edges, size))
                }
                _ => Box::new(compare_conditionals),
            },
        })
    };
    Ok(vec![
        work("sample", 10_000, 24, "10,000 joint samples of a net of 24 variables".into())?,
        work("sample", 1_000_000, 100, "1,000,000 joint samples of a net of 100 variables".into())?,
        work(
            "conditionals",
            0,
            24,
            "exact P(x | y = 1) of all 552 ordered pairs of a net of 24 variables".into(),
        )?,
    ])
}

/// P(v = 1) of every variable, and P(both = 1) of every edge.
fn exact(net: &Network) -> Result<(Vec<f64>, Vec<f64>), String> {
    let pairs = net.pairs().map_err(|error| error.to_string())?;
    let marginals = (0..net.len()).map(|v| pairs.marginal(v)).collect();
    let edges = net.edges().map(|(parent, child)| pairs.joint(parent, child)[3]).collect();
    Ok((marginals, edges))
}

fn ours(request: &Value) -> Result<Reply, String> {
    let variables = Vec::<Variable>::deserialize(&request["net"]).map_err(|error| error.to_string())?;
    let net = Network::from_variables(&variables).map_err(|error| error.to_string())?;
    let (answer, seconds) = match request["work"].as_str() {
        Some("sample") => {
            sample(&net, request["samples"].as_u64().ok_or("the request names no samples")? as usize)
        }
        Some("conditionals") => conditionals(&net)?,
        other => return Err(format!("no work {other:?}")),
    };
    Ok(Reply { version: env!("CARGO_PKG_VERSION").to_owned(), seconds, peak_bytes: peak_bytes(), answer })
}

fn sample(net: &Network, size: usize) -> (Value, f64) {
    // Warms up threads and caches.
    std::hint::black_box(Samples::draw(net, size.min(10_000), 1));
    let begin = Instant::now();
    let samples = std::hint::black_box(Samples::draw(net, size, 0));
    let seconds = begin.elapsed().as_secs_f64();
    let share = |count: u64| count as f64 / size as f64;
    let marginals: Vec<f64> = (0..net.len()).map(|v| share(samples.counts(v, v)[3])).collect();
    let edges: Vec<f64> =
        net.edges().map(|(parent, child)| share(samples.counts(parent, child)[3])).collect();
    (json!({"marginals": marginals, "edges": edges}), seconds)
}

fn conditionals(net: &Network) -> Result<(Value, f64), String> {
    // Too quick for the clock once; the first round also warms up.
    const ROUNDS: u32 = 20;
    let mut pairs = net.pairs().map_err(|error| error.to_string())?;
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        pairs = std::hint::black_box(net.pairs().map_err(|error| error.to_string())?);
    }
    let seconds = begin.elapsed().as_secs_f64() / f64::from(ROUNDS);
    // Of target x given y = 1, row by row; null where y is never 1, and on the diagonal.
    let n = net.len();
    let rows: Vec<Vec<Option<f64>>> = (0..n)
        .map(|x| (0..n).map(|y| if x == y { None } else { pairs.conditional(x, y, true) }).collect())
        .collect();
    Ok((json!({"conditionals": rows}), seconds))
}

fn numbers(answer: &Value, name: &str) -> Vec<f64> {
    answer[name].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

/// Both samples against the exact probabilities: the largest difference in standard errors.
fn compare_samples(
    ours: &Value,
    theirs: Option<&Value>,
    marginals: &[f64],
    edges: &[f64],
    size: usize,
) -> (bool, String) {
    let away = |answer: &Value| {
        let mut most: f64 = 0.0;
        for (name, exact) in [("marginals", marginals), ("edges", edges)] {
            let found = numbers(answer, name);
            if found.len() != exact.len() {
                return f64::INFINITY;
            }
            for (found, &p) in found.iter().zip(exact) {
                // One sample more or less is allowed where the probability is next to zero or one.
                let error = (p * (1.0 - p) / size as f64).sqrt().max(1.0 / size as f64);
                most = most.max((found - p).abs() / error);
            }
        }
        most
    };
    let own = away(ours);
    match theirs.map(away) {
        None => (own < DEVIATIONS, format!("at most {own:.1} standard errors from the exact probabilities")),
        Some(peer) => (
            own < DEVIATIONS && peer < DEVIATIONS,
            format!("at most {own:.1} and {peer:.1} standard errors from the exact probabilities"),
        ),
    }
}

fn compare_conditionals(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let cells = |answer: &Value| -> Vec<Option<f64>> {
        let rows = answer["conditionals"].as_array().into_iter().flatten();
        rows.flat_map(|row| row.as_array().into_iter().flatten().map(Value::as_f64)).collect()
    };
    let own = cells(ours);
    let defined = own.iter().flatten().count();
    let Some(theirs) = theirs.map(cells) else {
        return (defined > 0, format!("{defined} probabilities"));
    };
    let mut largest = if own.len() == theirs.len() && defined > 0 { 0.0 } else { f64::INFINITY };
    for (one, other) in own.iter().zip(&theirs) {
        largest = match (one, other) {
            (Some(one), Some(other)) => f64::max(largest, (one - other).abs()),
            (None, None) => largest,
            _ => f64::INFINITY,
        };
    }
    (largest < SAME, format!("{defined} probabilities, largest difference {largest:.1e}"))
}
