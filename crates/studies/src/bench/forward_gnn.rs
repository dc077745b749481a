//! The bench of `forward-gnn`: full-batch epochs of a graph convolutional network by backpropagation, beside torch-geometric, on a graph
//! of the size of Cora and on one with a million edges. Both sides begin with the same weights, so that the losses must agree.
//!
//! torch-geometric passes messages along a list of edges, which is what its documentation shows, or multiplies by a sparse matrix; each is
//! a peer of its own. Single forward has no peer: its row says what an epoch costs beside ours by backpropagation.
//!
//! Two differences are part of what is compared: torch-geometric gets features as a dense matrix, as its documentation has them, and ours
//! keep entries that are not zero where few are; ours sum the features over neighbours once, before the first epoch, because they do not
//! change.

use std::path::{Path, PathBuf};
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_graph::dense::Dense;
use backstitch_graph::forward_gnn::{Backpropagation, ForwardGnn, Graph, Labels, Learner, Parameters, Split};
use backstitch_numerics::{SparseBuilder, SparseMatrix, Stream, interval};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "forward-gnn", works, ours };

/// Largest relative difference of the losses that counts as agreement: both are in single precision.
const SAME: f64 = 1e-3;
/// Epochs before the clock starts.
const WARM_UP: usize = 5;

/// How large a graph is.
struct Size {
    name: &'static str,
    nodes: usize,
    edges: usize,
    features: usize,
    /// Entries of a row of features; all where nothing is said.
    entries: Option<usize>,
    classes: usize,
    epochs: usize,
}

const SIZES: [Size; 2] = [
    Size {
        name: "the size of Cora (2,708 nodes, 5,278 edges, 1,433 features of which 18 are 1; dense for the peer)",
        nodes: 2_708,
        edges: 5_278,
        features: 1_433,
        entries: Some(18),
        classes: 7,
        epochs: 100,
    },
    Size {
        name: "100,000 nodes, 1,000,000 edges, 128 features (summed over neighbours once for all epochs in ours)",
        nodes: 100_000,
        edges: 1_000_000,
        features: 128,
        entries: None,
        classes: 16,
        epochs: 5,
    },
];

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let mut works = Vec::new();
    for size in SIZES {
        let files = write(folder, &size)?;
        let Size { name, nodes, features, classes, epochs, .. } = size;
        let request = |peer: &str, learner: &str| {
            json!({"peer": peer, "learner": learner, "nodes": nodes, "features": features, "classes": classes, "hidden": 128,
                "epochs": epochs, "warm_up": WARM_UP, "edges": files[0], "entries": files[1], "labels": files[2],
                "weights": files[3], "form": if peer.ends_with("matrix") { "matrix" } else { "edges" }})
        };
        for peer in ["torch-geometric", "torch-geometric-matrix"] {
            let how = if peer.ends_with("matrix") { "sparse matrix" } else { "list of edges" };
            works.push(Work {
                name: format!("GCN epoch, {how}, {name}"),
                peer: Some(peer),
                request: request(peer, "backpropagation"),
                compare: Box::new(compare),
            });
        }
        works.push(Work {
            name: format!("single-forward epoch of both layers, {name}"),
            peer: None,
            request: request("", "single-forward"),
            compare: Box::new(compare),
        });
    }
    Ok(works)
}

/// Pairs of nodes (u32), features as row, column and value (u32, u32, f32) or a whole matrix (f32), labels (u32), initial weights
/// (f32).
fn write(folder: &Path, size: &Size) -> Result<[PathBuf; 4], String> {
    let mut stream = Stream::new(0, &format!("forward-gnn bench {}", size.name));
    let mut edges: Vec<u8> = Vec::new();
    for _ in 0..size.edges {
        // Half of the edges stay in a class, which is the node modulo the number of classes.
        let from = stream.below(size.nodes);
        let other = stream.below(size.nodes);
        let near = (other / size.classes * size.classes + from % size.classes).min(size.nodes - 1);
        let to = if stream.uniform() < 0.5 { near } else { other };
        edges.extend((from as u32).to_le_bytes());
        edges.extend((to as u32).to_le_bytes());
    }
    let mut entries: Vec<u8> = Vec::new();
    match size.entries {
        Some(count) => {
            for node in 0..size.nodes as u32 {
                let mut columns: Vec<u32> = Vec::new();
                while columns.len() < count {
                    let column = stream.below(size.features) as u32;
                    if !columns.contains(&column) {
                        columns.push(column);
                    }
                }
                columns.sort_unstable();
                for column in columns {
                    entries.extend(node.to_le_bytes());
                    entries.extend(column.to_le_bytes());
                    entries.extend(1.0_f32.to_le_bytes());
                }
            }
        }
        None => {
            for _ in 0..size.nodes * size.features {
                entries.extend((stream.normal() as f32).to_le_bytes());
            }
        }
    }
    let labels: Vec<u8> =
        (0..size.nodes).flat_map(|node| ((node % size.classes) as u32).to_le_bytes()).collect();
    let place = |what: &str| folder.join(format!("{what}-{}.bin", size.nodes));
    let files = [place("edges"), place("entries"), place("labels"), place("weights")];
    for (file, bytes) in files.iter().zip([&edges, &entries, &labels]) {
        std::fs::write(file, bytes).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let request = json!({"nodes": size.nodes, "features": size.features, "edges": files[0], "entries": files[1], "labels": files[2]});
    let (graph, labels, split) = read(&request)?;
    let trainer = Backpropagation::new(&parameters("backpropagation"), &graph, &labels, &split)
        .map_err(|error| error.to_string())?;
    let weights: Vec<u8> = trainer
        .weights()
        .flat_map(|part| part.values().iter().flat_map(|value| value.to_le_bytes()))
        .collect();
    std::fs::write(&files[3], weights).map_err(|error| format!("{}: {error}", files[3].display()))?;
    Ok(files)
}

fn parameters(learner: &str) -> Parameters {
    let learner = if learner == "single-forward" { Learner::SingleForward } else { Learner::Backpropagation };
    Parameters { learner, learning_rate: 0.01, ..Parameters::default() }
}

fn numbers(request: &Value, name: &str) -> Result<Vec<[u8; 4]>, String> {
    let file = request[name].as_str().ok_or_else(|| format!("the request names no {name}"))?;
    let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    Ok(bytes.as_chunks().0.to_vec())
}

fn read(request: &Value) -> Result<(Graph, Labels, Split), String> {
    let whole = |name: &str| request[name].as_u64().map(|value| value as usize).ok_or(format!("no {name}"));
    let (nodes, columns) = (whole("nodes")?, whole("features")?);
    let edges: Vec<(usize, usize)> = numbers(request, "edges")?
        .as_chunks::<2>()
        .0
        .iter()
        .map(|[from, to]| (u32::from_le_bytes(*from) as usize, u32::from_le_bytes(*to) as usize))
        .collect();
    let entries = numbers(request, "entries")?;
    let graph = if entries.len() == nodes * columns {
        let features = Dense::from_fn(nodes, columns, |node, column| {
            f32::from_le_bytes(entries[node * columns + column])
        });
        Graph::from_dense(&edges, features)
    } else {
        Graph::new(&edges, &sparse(&entries, nodes, columns)?)
    };
    let labels = numbers(request, "labels")?;
    let labels = labels.into_iter().map(|label| Some(u32::from_le_bytes(label) as usize)).collect();
    let labels = Labels::new(labels).map_err(|error| error.to_string())?;
    // Two of three nodes train; the first of the others only keep the split whole.
    let (training, others): (Vec<usize>, Vec<usize>) = (0..nodes).partition(|node| node % 3 != 0);
    let split = Split { training, validation: others[..1].to_vec(), test: Vec::new() };
    Ok((graph.map_err(|error| error.to_string())?, labels, split))
}

fn sparse(entries: &[[u8; 4]], nodes: usize, columns: usize) -> Result<SparseMatrix, String> {
    let mut builder = SparseBuilder::new();
    for [row, column, value] in entries.as_chunks::<3>().0 {
        while builder.rows() < u32::from_le_bytes(*row) as usize {
            builder.end_row();
        }
        let value = f64::from(f32::from_le_bytes(*value));
        builder.push(u32::from_le_bytes(*column) as usize, value).map_err(|error| error.to_string())?;
    }
    while builder.rows() < nodes {
        builder.end_row();
    }
    builder.finish().with_columns(columns).map_err(|error| error.to_string())
}

fn ours(request: &Value) -> Result<Reply, String> {
    let (graph, labels, split) = read(request)?;
    let epochs = request["epochs"].as_u64().unwrap_or(1) as usize;
    let parameters = parameters(request["learner"].as_str().unwrap_or_default());
    let (seconds, loss) = if parameters.learner == Learner::SingleForward {
        // Two runs of other lengths: their difference is epochs alone.
        let run = |epochs: usize| -> Result<(f64, f64), String> {
            let own =
                Parameters { epochs, patience: 1_000_000, validate_every: 1_000_000, ..parameters.clone() };
            let method = ForwardGnn::new(own).map_err(|error| error.to_string())?;
            let begin = Instant::now();
            let learned = method.fit(&graph, &labels, &split).map_err(|error| error.to_string())?;
            Ok((begin.elapsed().as_secs_f64(), learned.history.last().map_or(f64::NAN, |epoch| epoch.loss)))
        };
        let (short, _) = run(WARM_UP)?;
        let (whole, loss) = run(WARM_UP + epochs)?;
        ((whole - short) / epochs as f64, loss)
    } else {
        let mut trainer =
            Backpropagation::new(&parameters, &graph, &labels, &split).map_err(|error| error.to_string())?;
        (0..WARM_UP).for_each(|_| {
            trainer.epoch();
        });
        let (mut times, mut loss) = (Vec::new(), f64::NAN);
        for _ in 0..epochs {
            let begin = Instant::now();
            loss = trainer.epoch();
            times.push(begin.elapsed().as_secs_f64());
        }
        (interval::median(&times).map_err(|error| error.to_string())?, loss)
    };
    Ok(Reply {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seconds,
        peak_bytes: peak_bytes(),
        answer: json!({"loss": loss}),
    })
}

fn compare(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let own = ours["loss"].as_f64().unwrap_or(f64::NAN);
    let words = format!("loss of the last epoch {own:.6}");
    let Some(other) = theirs.map(|theirs| theirs["loss"].as_f64().unwrap_or(f64::NAN)) else {
        return (own.is_finite(), words);
    };
    let apart = (own - other).abs() / other.abs();
    (apart <= SAME, format!("{words}; apart by {apart:.1e}"))
}
