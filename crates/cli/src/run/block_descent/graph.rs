//! `run block-descent propagate`: edges and some labels in, a value for every node out.

use std::path::{Path, PathBuf};

use backstitch_data::table::{Table, TableOptions, read_table};
use backstitch_optimize::block_descent::Propagation;
use clap::Args;
use serde_json::json;

use super::Solving;
use super::report::{note, solved, trace_files, words};
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::run::output::write_all;
use crate::terminal;

/// Numbers of nodes that every reader of JSON and CSV has exactly.
const LARGEST_NODE: f64 = 9_007_199_254_740_992.0;

#[derive(Args, Debug)]
#[command(
    after_help = "The values minimise the sum over edges of weight·(difference)²/2, with the labels as they are given. Edges are undirected; \
an edge listed in both directions counts once. For two classes label them -1 and 1 and take the sign."
)]
pub(super) struct PropagateArguments {
    /// Edges: a table with the columns from, to and, where they differ, weight; nodes are whole numbers
    #[arg(long, value_name = "FILE")]
    edges: PathBuf,
    /// Labels of some nodes: a table with the columns node and label
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    #[command(flatten)]
    solving: Solving,
    /// Folder for values.csv, trace.csv, trace.svg and summary.json; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A graph as it was read; nodes are places in `names`.
struct Graph {
    names: Vec<u64>,
    edges: Vec<(usize, usize, f64)>,
    labels: Vec<(usize, f64)>,
}

pub(super) fn propagate(arguments: &PropagateArguments, common: &Common) -> Result<i32, Failure> {
    let method = arguments.solving.method(common.seed)?;
    let graph = read(arguments)?;
    let propagation = Propagation::new(graph.names.len(), &graph.edges, &graph.labels)
        .map_err(|error| named(error, &graph.names))?;
    let solution = method.minimise(&propagation.problem).map_err(Failure::input)?;
    note(&solution);
    let mut values = vec![(0.0, false); graph.names.len()];
    graph.labels.iter().for_each(|&(node, label)| values[node] = (label, true));
    propagation.unknown.iter().zip(&solution.point).for_each(|(&node, value)| values[node] = (*value, false));
    let lines = graph.names.iter().zip(&values).map(|(name, (value, labelled))| {
        format!("{name},{value},{}\n", if *labelled { "yes" } else { "no" })
    });
    let table: String = std::iter::once("node,value,labelled\n".to_owned()).chain(lines).collect();
    let summary = json!({
        "schema": "backstitch/block-descent-propagation/1",
        "edges": arguments.edges.to_string_lossy(),
        "nodes": graph.names.len(),
        "edge_count": graph.edges.len(),
        "labelled": graph.labels.len(),
        "solution": solved(&solution, &propagation.problem),
    });
    if let Some(folder) = &arguments.out {
        let mut files = trace_files(&solution);
        let text = serde_json::to_string_pretty(&summary).map_err(Failure::internal)? + "\n";
        files.extend([("values.csv", table.clone()), ("summary.json", text)]);
        write_all(folder, &files)?;
    }
    if common.json {
        terminal::print_json(&summary)?;
    } else if arguments.out.is_some() {
        let (nodes, edges, labelled) = (graph.names.len(), graph.edges.len(), graph.labels.len());
        terminal::print(&format!("{nodes} nodes, {edges} edges, {labelled} labelled\n{}", words(&solution)))?;
    } else {
        terminal::print(&table)?;
        terminal::say(words(&solution).trim_end());
    }
    if let Some(folder) = &arguments.out {
        terminal::say(format_args!("written: {}", folder.display()));
    }
    Ok(EXIT_DONE)
}

fn read(arguments: &PropagateArguments) -> Result<Graph, Failure> {
    let edges = read_numbers(&arguments.edges)?;
    let labels = read_numbers(&arguments.labels)?;
    let (from, to) = (column(&edges, &arguments.edges, "from")?, column(&edges, &arguments.edges, "to")?);
    let weight = edges.columns.iter().position(|name| name == "weight");
    let (node, label) =
        (column(&labels, &arguments.labels, "node")?, column(&labels, &arguments.labels, "label")?);
    let mut ends = Vec::with_capacity(edges.values.rows());
    for row in 0..edges.values.rows() {
        let line = edges.values.row(row);
        let weight = weight.map_or(1.0, |weight| line[weight]);
        ends.push((
            number(line[from], &arguments.edges, row)?,
            number(line[to], &arguments.edges, row)?,
            weight,
        ));
    }
    let mut known = Vec::with_capacity(labels.values.rows());
    for row in 0..labels.values.rows() {
        let line = labels.values.row(row);
        known.push((number(line[node], &arguments.labels, row)?, line[label]));
    }
    let mut names: Vec<u64> =
        ends.iter().flat_map(|edge| [edge.0, edge.1]).chain(known.iter().map(|label| label.0)).collect();
    names.sort_unstable();
    names.dedup();
    let place = |name: u64| names.partition_point(|other| *other < name);
    let mut edges: Vec<(usize, usize, f64)> = ends
        .iter()
        .map(|&(from, to, weight)| (place(from).min(place(to)), place(from).max(place(to)), weight))
        .collect();
    let listed = edges.len();
    edges.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
    // Both directions of one edge; another weight stays, and is refused.
    edges.dedup();
    if edges.len() < listed {
        terminal::say(format_args!("note: {} edges were listed again and count once", listed - edges.len()));
    }
    for (place, &(from, to, weight)) in edges.iter().enumerate() {
        let (one, other) = (names[from], names[to]);
        let refused = |problem: String| Failure::input(format!("{}: {problem}", arguments.edges.display()));
        if from == to {
            return Err(refused(format!("an edge joins node {one} to itself")).hint("delete the line"));
        }
        if weight <= 0.0 {
            return Err(refused(format!(
                "the edge of {one} and {other} has the weight {weight}, which is not above 0"
            ))
            .hint("delete the line, or give a positive weight"));
        }
        if place > 0 && (edges[place - 1].0, edges[place - 1].1) == (from, to) {
            return Err(refused(format!("nodes {one} and {other} are joined twice, with different weights"))
                .hint("keep one of the lines"));
        }
    }
    let labels = known.iter().map(|&(name, label)| (place(name), label)).collect();
    Ok(Graph { names, edges, labels })
}

fn read_numbers(file: &Path) -> Result<Table, Failure> {
    read_table(file, &TableOptions::default())
        .map_err(|error| Failure::input(&error).maybe_hint(error.hint()))
}

fn column(table: &Table, file: &Path, name: &str) -> Result<usize, Failure> {
    table.columns.iter().position(|other| other == name).ok_or_else(|| {
        Failure::input(format!("{}: there is no column {name:?}", file.display()))
            .hint("start the edges with the line from,to[,weight] and the labels with node,label")
    })
}

/// A node, from its number in a table.
fn number(value: f64, file: &Path, row: usize) -> Result<u64, Failure> {
    if (0.0..=LARGEST_NODE).contains(&value) && value.fract() == 0.0 {
        return Ok(value as u64);
    }
    let message = format!("{}: row {row}, counted from 0, names the node {value}", file.display());
    Err(Failure::input(message).hint("nodes are whole numbers from 0 up"))
}

/// An error with the nodes as the file has them.
fn named(error: backstitch_optimize::Error, names: &[u64]) -> Failure {
    use backstitch_optimize::Error as Refused;
    match error {
        Refused::UnlabelledComponent { nodes, first } => Failure::input(format!(
            "node {} is in a component of {nodes} in which no node has a label, so that its solution is not unique",
            names[first]
        ))
        .hint("label one of them, or leave the component out"),
        Refused::NodeLabel { node, problem } => {
            Failure::input(format!("the label of node {}: {problem}", names.get(node).copied().unwrap_or_default()))
        }
        error => Failure::input(error),
    }
}
