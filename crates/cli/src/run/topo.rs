//! `backstitch run topo`: a table in, a graph out.

use std::path::PathBuf;

use backstitch_data::edges::{adjacency, read_edges};
use backstitch_data::order::read_order;
use backstitch_data::table::{Table, TableOptions, read_table};
use backstitch_numerics::Matrix;
use backstitch_statistics::topo::{self, Comparison, Fit, Neighbourhood, Operation, Parameters, Score};
use clap::{Args, ValueEnum};
use serde_json::json;

pub(super) use super::output::write_all;
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Options of the method on the command line.
#[derive(Args, Debug)]
#[command(
    after_help = "Without --out, the edges go to standard output as CSV; with it, the folder gets edges.csv, order.csv, \
weights.csv, graph.svg and summary.json.

Reading the result: the score is that of the final order with all its edges (weights.csv); edges.csv keeps the edges that \
remain, re-fitted where --selection is prune, and its weights are in units of the child per unit of the parent. an edge a,b,w says that b changes by w when a changes by 1 and the other parents of b stay. \
With --truth, a reversed edge counts once in the distance (SHD)."
)]
pub(crate) struct Topo {
    /// Table with one row per observation and one numeric column per variable: CSV, TSV or spaces, plain or gzip
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Folder for the results; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How an order is judged
    #[arg(long, value_enum, default_value_t = ScoreName::LeastSquares)]
    score: ScoreName,
    /// Inverse penalty C of the logistic score
    #[arg(long, value_name = "C", allow_negative_numbers = true, default_value_t = 0.1)]
    inverse_penalty: f64,
    /// Known edges (CSV with columns from,to): adds SHD, precision and recall; a reversed edge counts once
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Start from this order (one column name per line), as post-processing of another learner
    #[arg(long, value_name = "FILE", conflicts_with = "starts")]
    start: Option<PathBuf>,
    /// Random orders to start from; the best end is kept
    #[arg(long, value_name = "N", default_value_t = 1)]
    starts: usize,
    /// How edges with small weights are dropped
    #[arg(long, value_enum, default_value_t = SelectionName::Prune)]
    selection: SelectionName,
    /// Weights below it in absolute value are no edges
    #[arg(long, value_name = "WEIGHT", allow_negative_numbers = true, default_value_t = 0.3)]
    threshold: f64,
    /// Do not subtract the column means
    #[arg(long)]
    no_centre: bool,
    /// Divide columns by their standard deviations (the least-squares score then no longer identifies the order)
    #[arg(long)]
    standardise: bool,
    /// Add this share of its variance to each variance; 1e-8 is a way out of collinear columns
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, default_value_t = 0.0)]
    ridge: f64,
    /// Which neighbours of an order are tried
    #[arg(long, value_enum, default_value_t = NeighbourhoodName::Insertions)]
    neighbourhood: NeighbourhoodName,
    /// What a candidate pair does to the order (only for `--neighbourhood candidates`)
    #[arg(long, value_enum, default_value_t = OperationName::Exchange)]
    operation: OperationName,
    /// Size of the small candidate set (likewise)
    #[arg(long, value_name = "PAIRS", default_value_t = 100)]
    small: usize,
    /// Size of the large candidate set (likewise)
    #[arg(long, value_name = "PAIRS", default_value_t = 400)]
    large: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScoreName {
    /// Half the mean squared residual; identifies the order when noise variances are equal
    LeastSquares,
    /// Gaussian likelihood with a variance per node and a BIC charge per edge, for unequal noise
    LogVariance,
    /// Logistic regression with an L1 penalty, for 0/1 columns
    Logistic,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum NeighbourhoodName {
    /// Every move of one node to another place (ours); the better choice, above all from 50 columns up
    Insertions,
    /// The paper's: pairs with the smallest gradient of the acyclicity function
    Candidates,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SelectionName {
    /// One at a time with a least-squares fit between (ours); other scores use the threshold
    Prune,
    /// All at once (the paper's)
    Threshold,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OperationName {
    /// Both nodes change places
    Exchange,
    /// The earlier one moves behind the later one
    MoveAfter,
    /// The later one moves before the earlier one
    MoveBefore,
}

pub(crate) fn execute(arguments: &Topo, common: &Common) -> Result<i32, Failure> {
    let table = read_table(&arguments.data, &TableOptions::default())
        .map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
    let names = &table.columns;
    let named = |error: backstitch_statistics::Error| Failure::input(error.named(names));
    if !(arguments.threshold >= 0.0 && arguments.threshold.is_finite()) {
        return Err(Failure::input(format!("--threshold is {}, but must be 0 or more", arguments.threshold)));
    }
    let truth = match &arguments.truth {
        Some(file) => {
            let edges =
                read_edges(file, names).map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
            let truth = adjacency(&edges, names.len());
            refuse_two_way(&truth, names)?;
            Some(truth)
        }
        None => None,
    };
    let method = topo::Topo::new(parameters(arguments, common)).map_err(named)?;
    let fit = match &arguments.start {
        Some(file) => {
            let order =
                read_order(file, names).map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
            method.fit_from(&table.values, &order)
        }
        None => method.fit(&table.values),
    }
    .map_err(named)?;
    for warning in &fit.warnings {
        terminal::say(format_args!("warning: {warning}"));
    }
    let graph = match (arguments.selection, arguments.score) {
        (SelectionName::Prune, ScoreName::LeastSquares) => {
            let problem = method.prepare(&table.values).map_err(named)?;
            topo::prune(problem.covariance(), &fit.weights, arguments.threshold).map_err(named)?.0
        }
        _ => topo::threshold(&fit.weights, arguments.threshold),
    };
    let comparison = truth.map(|truth| Comparison::new(&graph, &truth)).transpose().map_err(named)?;
    let summary = summary(arguments, &table, &fit, &graph, comparison.as_ref());
    match &arguments.out {
        None if common.json => terminal::print_json(&summary)?,
        None => {
            terminal::print(&edges(&graph, names))?;
            terminal::say(words(&fit, &graph, comparison.as_ref()).trim_end());
        }
        Some(folder) => {
            let drawing = topo::draw(&graph, names).map_err(named)?;
            let order: String = fit.order.iter().map(|&node| quoted(&names[node]) + "\n").collect();
            let text = serde_json::to_string_pretty(&summary).map_err(Failure::internal)? + "\n";
            write_all(
                folder,
                &[
                    ("edges.csv", edges(&graph, names)),
                    ("order.csv", order),
                    ("weights.csv", weights(&fit.weights, names)),
                    ("graph.svg", drawing),
                    ("summary.json", text),
                ],
            )?;
            if common.json {
                terminal::print_json(&summary)?;
            } else {
                terminal::print(&words(&fit, &graph, comparison.as_ref()))?;
                terminal::say(format_args!("written: {}", folder.display()));
            }
        }
    }
    Ok(EXIT_DONE)
}

/// A pair joined in both directions would be counted once, and the recall be wrong.
fn refuse_two_way(truth: &Matrix, names: &[String]) -> Result<(), Failure> {
    for (from, to, _) in listed(truth) {
        if truth[(to, from)] != 0.0 {
            let pair = format!("\"{}\" and \"{}\"", names[from], names[to]);
            return Err(Failure::input(format!("--truth joins {pair} in both directions"))
                .hint("keep the direction that is true"));
        }
    }
    Ok(())
}

fn parameters(arguments: &Topo, common: &Common) -> Parameters {
    Parameters {
        score: match arguments.score {
            ScoreName::LeastSquares => Score::LeastSquares,
            ScoreName::LogVariance => Score::LogVariance,
            ScoreName::Logistic => Score::Logistic { inverse_penalty: arguments.inverse_penalty },
        },
        neighbourhood: match arguments.neighbourhood {
            NeighbourhoodName::Candidates => Neighbourhood::Candidates,
            NeighbourhoodName::Insertions => Neighbourhood::Insertions,
        },
        operation: match arguments.operation {
            OperationName::Exchange => Operation::Exchange,
            OperationName::MoveAfter => Operation::MoveAfter,
            OperationName::MoveBefore => Operation::MoveBefore,
        },
        small: arguments.small,
        large: arguments.large,
        starts: arguments.starts,
        seed: common.seed,
        centre: !arguments.no_centre,
        standardise: arguments.standardise,
        ridge: arguments.ridge,
        ..Parameters::default()
    }
}

fn summary(
    arguments: &Topo,
    table: &Table,
    fit: &Fit,
    graph: &Matrix,
    comparison: Option<&Comparison>,
) -> serde_json::Value {
    let names = &table.columns;
    let edges: Vec<_> = listed(graph)
        .map(|(i, j, weight)| json!({"from": names[i], "to": names[j], "weight": weight}))
        .collect();
    json!({
        "schema": "backstitch/topo/1",
        "data": arguments.data.to_string_lossy(),
        "rows": table.values.rows(),
        "columns": names,
        "order": fit.order.iter().map(|&node| &names[node]).collect::<Vec<_>>(),
        "score": fit.score,
        "kkt": fit.kkt,
        "evaluations": fit.evaluations,
        "iterations": fit.iterations,
        "threshold": arguments.threshold,
        "edges": edges,
        "warnings": fit.warnings.iter().map(|warning| warning.to_string()).collect::<Vec<_>>(),
        "truth": comparison.map(|counts| json!({
            "shd": counts.shd(), "precision": counts.precision(), "recall": counts.recall(), "correct": counts.correct,
            "reversed": counts.reversed, "extra": counts.extra, "missing": counts.missing,
        })),
    })
}

/// The summary for people.
fn words(fit: &Fit, graph: &Matrix, comparison: Option<&Comparison>) -> String {
    let mut text = format!(
        "{} columns, {} edges · score {:.6} · KKT point: {} · {} scores in {} iterations\n",
        fit.order.len(),
        listed(graph).count(),
        fit.score,
        if fit.kkt { "yes" } else { "no" },
        fit.evaluations,
        fit.iterations,
    );
    if let Some(counts) = comparison {
        text.push_str(&format!(
            "SHD {} (reversed {}, extra {}, missing {}) · precision {:.3} · recall {:.3}\n",
            counts.shd(),
            counts.reversed,
            counts.extra,
            counts.missing,
            counts.precision(),
            counts.recall(),
        ));
    }
    text
}

/// The edges of a graph with their weights.
fn listed(graph: &Matrix) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
    let pairs = (0..graph.rows()).flat_map(|i| (0..graph.columns()).map(move |j| (i, j)));
    pairs.map(|(i, j)| (i, j, graph[(i, j)])).filter(|(_, _, weight)| *weight != 0.0)
}

fn edges(graph: &Matrix, names: &[String]) -> String {
    let lines =
        listed(graph).map(|(i, j, weight)| format!("{},{},{weight}\n", quoted(&names[i]), quoted(&names[j])));
    std::iter::once("from,to,weight\n".to_owned()).chain(lines).collect()
}

/// The dense weights: row and column names, then one row per node.
fn weights(dense: &Matrix, names: &[String]) -> String {
    let head: String = names.iter().map(|name| format!(",{}", quoted(name))).collect();
    let rows = (0..dense.rows()).map(|i| {
        let values: String = dense.row(i).iter().map(|value| format!(",{value}")).collect();
        format!("{}{values}\n", quoted(&names[i]))
    });
    std::iter::once(format!("from{head}\n")).chain(rows).collect()
}

/// A CSV field.
pub(super) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
