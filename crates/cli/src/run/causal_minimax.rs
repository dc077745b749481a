//! `backstitch run causal-minimax`: rows of several environments in, the stable columns to transfer and their predictor out.

use std::path::{Path, PathBuf};

use backstitch_data::edges::read_edges;
use backstitch_data::table::{Table, TableOptions, read_table};
use backstitch_numerics::Matrix;
use backstitch_statistics::causal_minimax::{
    self, Fit, Form, Graph, Model, Parameters, Ranked, Set, discover, read_gml,
};
use backstitch_statistics::topo::draw;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::model_file::ModelFile;
use super::output::{quoted, write_all};
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Options of the method on the command line.
#[derive(Args, Debug)]
#[command(
    after_help = "With --data: fits. Prints the chosen stable columns, their worst-case risk, the alternatives, the graph and the \
assumptions; with --out the folder gets model.json, ranking.csv, edges.csv, graph.svg and summary.json. With --model: predicts \
the rows of --test.

Reading the result: risks are mean squared errors in units of the target's variance over the training rows, so that 1 is what \
its mean achieves. The worst-case risk is the largest that was found over maps from their causes to the mutable columns, which \
may go --reach standard deviations from their means; it is a lower bound of the true maximum.

Graphs: GML (`*.gml`), or a CSV with columns from,to; names are those of the table, the environment column among them. Without \
--graph one is searched for by linear tests; if they leave a direction open, --propose writes the edges for you to complete.

Examples:
  backstitch run causal-minimax --data table.csv --target y --environment site --graph graph.gml --out model/
  backstitch run causal-minimax --model model/model.json --test new.csv"
)]
pub(crate) struct CausalMinimax {
    /// Training table: one row per observation, numeric columns, one of them the environment
    #[arg(long, value_name = "FILE", required_unless_present = "model", conflicts_with = "model")]
    data: Option<PathBuf>,
    /// Column to predict
    #[arg(long, value_name = "COLUMN", required_unless_present = "model", conflicts_with = "model")]
    target: Option<String>,
    /// Column that names the environment, as a number
    #[arg(long, value_name = "COLUMN", required_unless_present = "model", conflicts_with = "model")]
    environment: Option<String>,
    /// Causal graph over the columns: GML, or CSV with columns from,to
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    graph: Option<PathBuf>,
    /// Write the edges that the tests find (an open pair in both directions), and end
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "graph", "out", "test"])]
    propose: Option<PathBuf>,
    /// Level of the tests that search for a graph
    #[arg(long, value_name = "SHARE", default_value_t = 0.01, allow_negative_numbers = true)]
    level: f64,
    /// Folder for the results; made if it is not there
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    out: Option<PathBuf>,
    /// A model that --out has written: predict with it
    #[arg(long, value_name = "FILE", requires = "test")]
    model: Option<PathBuf>,
    /// Table to predict; with --data and --out the folder also gets predictions.csv
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// How far mutable columns may go from their means, in standard deviations
    #[arg(long, value_name = "DEVIATIONS", default_value_t = 3.0, allow_negative_numbers = true)]
    reach: f64,
    /// Linear equations instead of networks, for few rows
    #[arg(long)]
    linear: bool,
    /// Intervene and regenerate as the released code does
    #[arg(long)]
    published: bool,
    /// Judge every class, even where the graph says that the whole stable set is optimal
    #[arg(long)]
    search_always: bool,
    /// Most classes that are judged
    #[arg(long, value_name = "N", default_value_t = 4096)]
    classes: usize,
}

/// What the assumptions are; nothing in the data can show that they fail.
const ASSUMPTIONS: [&str; 5] = [
    "the graph is right: no edge is missing, above all none from the environment",
    "no hidden column causes two of these",
    "the environment does not change the target, nor the stable columns, given their causes",
    "new environments change the mechanisms of the mutable columns only, however much",
    "mutable columns stay within the reach",
];

/// `model.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: String,
    target: String,
    /// Names of the columns read, in the order of the model's inputs.
    inputs: Vec<String>,
    model: Model,
}

const MODEL_SCHEMA: &str = "backstitch/causal-minimax-model/1";

pub(crate) fn execute(arguments: &CausalMinimax, common: &Common) -> Result<i32, Failure> {
    match (&arguments.model, &arguments.data) {
        (Some(model), _) => predict(arguments, model, common),
        (None, Some(data)) => fit(arguments, data, common),
        // Excluded by the parser.
        (None, None) => Err(Failure::input("--data or --model is needed")),
    }
}

fn table(file: &Path) -> Result<Table, Failure> {
    read_table(file, &TableOptions::default())
        .map_err(|error| Failure::input(&error).maybe_hint(error.hint()))
}

fn fit(arguments: &CausalMinimax, data: &Path, common: &Common) -> Result<i32, Failure> {
    let table = table(data)?;
    let names = &table.columns;
    let named = |error: backstitch_statistics::Error| Failure::input(error.named(names));
    let column = |option: &str, name: Option<&String>| {
        let name = name.map(String::as_str).unwrap_or_default();
        table
            .column_position(name)
            .map_err(|error| Failure::input(format!("--{option}: {error}")).maybe_hint(error.hint()))
    };
    let target = column("target", arguments.target.as_ref())?;
    let environment = column("environment", arguments.environment.as_ref())?;
    if let Some(file) = &arguments.propose {
        return propose(arguments, &table, environment, file);
    }
    let form = if arguments.linear { Form::Linear } else { Form::Network };
    let base = if arguments.published { Parameters::published() } else { Parameters::default() };
    let parameters = Parameters {
        form,
        reach: arguments.reach,
        search_always: arguments.search_always,
        classes: arguments.classes,
        seed: common.seed,
        ..base
    };
    let method = causal_minimax::CausalMinimax::new(parameters).map_err(named)?;
    let graph = match &arguments.graph {
        Some(file) => {
            read_graph(file, names).and_then(|edges| Graph::new(names.len(), &edges).map_err(named))?
        }
        None => found_graph(arguments, &table, environment)?,
    };
    let test = arguments.test.as_deref().map(self::table).transpose()?;
    let fit = method.fit(&table.values, target, environment, &graph).map_err(named)?;
    let saved = Saved {
        schema: MODEL_SCHEMA.into(),
        target: names[target].clone(),
        inputs: fit.chosen().model.inputs.iter().map(|&input| names[input].clone()).collect(),
        model: fit.chosen().model.clone(),
    };
    let predictions = match (&test, &arguments.test) {
        (Some(test), Some(file)) => Some(predictions(&saved, test, file)?),
        _ => None,
    };
    let summary = summary(arguments, &table, &graph, &fit);
    let Some(folder) = &arguments.out else {
        if common.json {
            terminal::print_json(&summary)?;
        } else {
            terminal::print(&words(&fit, &graph, names, true))?;
            if let Some(predictions) = predictions {
                terminal::print(&format!("\n{predictions}"))?;
            }
        }
        return Ok(EXIT_DONE);
    };
    let weights = Matrix::from_fn(names.len(), names.len(), |from, to| {
        f64::from(u8::from(graph.parents(to).contains(from)))
    });
    let pretty = |value: serde_json::Result<String>| value.map(|text| text + "\n").map_err(Failure::internal);
    let mut files = vec![
        ("model.json", pretty(serde_json::to_string_pretty(&saved))?),
        ("ranking.csv", ranking(&fit, names)),
        ("edges.csv", edges(graph.edges(), names)),
        ("graph.svg", draw(&weights, names).map_err(named)?),
        ("summary.json", pretty(serde_json::to_string_pretty(&summary))?),
    ];
    files.extend(predictions.map(|text| ("predictions.csv", text)));
    write_all(folder, &files)?;
    if common.json {
        terminal::print_json(&summary)?;
    } else {
        terminal::print(&words(&fit, &graph, names, false))?;
        terminal::say(format_args!("written: {}", folder.display()));
    }
    Ok(EXIT_DONE)
}

/// Edges of a file, by the names of the table's columns.
fn read_graph(file: &Path, names: &[String]) -> Result<Vec<(usize, usize)>, Failure> {
    if !file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gml")) {
        let edges =
            read_edges(file, names).map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
        return Ok(edges.iter().map(|edge| (edge.from, edge.to)).collect());
    }
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::input(format!("{shown}: {error}")).hint("give a graph that can be read"))?;
    let graph = read_gml(&text).map_err(|error| Failure::input(format!("{shown}: {error}")))?;
    let place = |name: &String| {
        names.iter().position(|known| known == name).ok_or_else(|| {
            Failure::input(format!("{shown}: the graph names {name:?}, which is no column of the table"))
                .hint("rename the node, or add the column")
        })
    };
    let places = graph.names.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    Ok(graph.edges.iter().map(|&(from, to)| (places[from], places[to])).collect())
}

/// Largest number of columns that a test of the search for a graph holds fixed.
const MOST_GIVEN: usize = 3;

fn found_graph(arguments: &CausalMinimax, table: &Table, environment: usize) -> Result<Graph, Failure> {
    let names = &table.columns;
    let named = |error: backstitch_statistics::Error| Failure::input(error.named(names));
    let found = discover(&table.values, environment, arguments.level, MOST_GIVEN).map_err(named)?;
    if !found.undirected.is_empty() {
        let error = backstitch_statistics::Error::Undirected { edges: found.undirected };
        return Err(Failure::input(format!("no --graph was given, and from the data {}", error.named(names)))
            .hint("--propose FILE writes the edges; delete one of the two lines of each open pair and give the file as --graph"));
    }
    terminal::say(
        "warning: the graph was found by linear tests; it is a guess, and the result stands or falls with it",
    );
    Graph::new(names.len(), &found.directed).map_err(|error| {
        named(error).hint("--propose FILE writes the edges; correct them and give the file as --graph")
    })
}

fn propose(
    arguments: &CausalMinimax,
    table: &Table,
    environment: usize,
    file: &Path,
) -> Result<i32, Failure> {
    let names = &table.columns;
    let found = discover(&table.values, environment, arguments.level, MOST_GIVEN)
        .map_err(|error| Failure::input(error.named(names)))?;
    let both = found.undirected.iter().flat_map(|&(one, other)| [(one, other), (other, one)]);
    let text = edges(found.directed.iter().copied().chain(both), names);
    backstitch_claim::write::write_atomic(file, text.as_bytes(), "output").map_err(|error| {
        Failure::input(format!("{} cannot be written: {error}", file.display()))
            .hint("give another --propose")
    })?;
    terminal::say(format_args!(
        "written: {} ({} edges, {} pairs open)",
        file.display(),
        found.directed.len(),
        found.undirected.len()
    ));
    Ok(EXIT_DONE)
}

fn predict(arguments: &CausalMinimax, file: &Path, common: &Common) -> Result<i32, Failure> {
    let model = ModelFile { path: file, schema: MODEL_SCHEMA, writer: "`--data` with `--out`" };
    let saved: Saved = model.read()?;
    saved.model.validate().map_err(|error| model.unusable(&error))?;
    if saved.inputs.len() != saved.model.inputs.len() {
        return Err(model.unusable(&"it names another number of columns than its model reads"));
    }
    // The parser requires it.
    let test_file = arguments.test.as_deref().unwrap_or(file);
    let text = predictions(&saved, &table(test_file)?, test_file)?;
    if common.json {
        let values: Vec<f64> = text.lines().skip(1).filter_map(|line| line.parse().ok()).collect();
        terminal::print_json(&json!({"target": saved.target, "predictions": values}))?;
    } else {
        terminal::print(&text)?;
    }
    Ok(EXIT_DONE)
}

/// One prediction per row, in the target's units, as CSV.
fn predictions(saved: &Saved, test: &Table, file: &Path) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::input(format!("{}: {error}", file.display()));
    let places = saved
        .inputs
        .iter()
        .map(|name| test.column_position(name).map_err(|error| failed(&error).maybe_hint(error.hint())))
        .collect::<Result<Vec<_>, _>>()?;
    let inputs =
        Matrix::from_fn(test.values.rows(), places.len(), |row, place| test.values[(row, places[place])]);
    let values = saved.model.predict(&inputs).map_err(|error| failed(&error.named(&saved.inputs)))?;
    let lines = values.iter().map(|value| format!("{value}\n"));
    Ok(std::iter::once(format!("{}\n", quoted(&saved.target))).chain(lines).collect())
}

fn listed(set: Set, names: &[String]) -> Vec<&str> {
    set.iter().map(|column| names[column].as_str()).collect()
}

fn summary(arguments: &CausalMinimax, table: &Table, graph: &Graph, fit: &Fit) -> serde_json::Value {
    let names = &table.columns;
    let roles = &fit.roles;
    let ranked = |ranked: &Ranked| {
        json!({
            "subset": listed(ranked.judged.subset, names),
            "worst_case_risk": ranked.judged.worst_case_risk,
            "training_risk": ranked.judged.training_risk,
            "worst_training_risk": ranked.judged.worst_training_risk,
            "class_size": ranked.class.size(),
            "optional": listed(ranked.class.optional, names),
        })
    };
    let edges: Vec<_> =
        graph.edges().map(|(from, to)| json!({"from": names[from], "to": names[to]})).collect();
    json!({
        "schema": "backstitch/causal-minimax/1",
        "data": arguments.data.as_ref().map(|file| file.to_string_lossy()),
        "rows": table.values.rows(),
        "target": names[roles.target],
        "environment": names[roles.environment],
        "mutable": listed(roles.mutable, names),
        "stable": listed(roles.stable, names),
        "whole_stable_set_is_optimal": roles.whole_set_is_optimal,
        "classes": fit.classes.len(),
        "chosen": ranked(&fit.ranking[0]),
        "ranking": fit.ranking.iter().map(ranked).collect::<Vec<_>>(),
        "reach": arguments.reach,
        "graph": edges,
        "graph_given": arguments.graph.is_some(),
        "assumptions": ASSUMPTIONS,
    })
}

/// Alternatives shown on the terminal; ranking.csv has all.
const SHOWN: usize = 10;

/// The summary for people.
fn words(fit: &Fit, graph: &Graph, names: &[String], with_edges: bool) -> String {
    let roles = &fit.roles;
    let join = |set: Set| match listed(set, names) {
        list if list.is_empty() => "(none)".to_owned(),
        list => list.join(", "),
    };
    let chosen = fit.chosen();
    let mut text = format!(
        "chosen: {}\nworst-case risk {:.4} (1 is the mean of {}) · over the training rows {:.4}\n\nmutable: {}\nstable: {}\n",
        join(chosen.subset),
        chosen.worst_case_risk,
        names[roles.target],
        chosen.training_risk,
        join(roles.mutable),
        join(roles.stable),
    );
    text.push_str(if roles.whole_set_is_optimal {
        "the graph says that all stable columns are optimal; the chosen ones are the shortest set that says as much\n"
    } else {
        "the graph does not say that all stable columns are optimal, so one subset of each class was judged\n"
    });
    if chosen.worst_case_risk >= 1.0 {
        text.push_str("warning: in its worst case the predictor is no better than the mean of the target\n");
    }
    text.push_str("\nworst case   training   class  subset\n");
    for ranked in fit.ranking.iter().take(SHOWN) {
        let judged = &ranked.judged;
        text.push_str(&format!(
            "{:>10.4} {:>10.4} {:>7}  {}\n",
            judged.worst_case_risk,
            judged.training_risk,
            ranked.class.size(),
            join(judged.subset)
        ));
    }
    if fit.ranking.len() > SHOWN {
        text.push_str(&format!("… and {} more\n", fit.ranking.len() - SHOWN));
    }
    if with_edges {
        text.push_str("\ngraph:");
        for (from, to) in graph.edges() {
            text.push_str(&format!(" {}→{}", names[from], names[to]));
        }
        text.push('\n');
    }
    text.push_str("\nassumed, and not tested:\n");
    for assumption in ASSUMPTIONS {
        text.push_str(&format!("- {assumption}\n"));
    }
    text
}

fn ranking(fit: &Fit, names: &[String]) -> String {
    let line = |ranked: &Ranked| {
        let judged = &ranked.judged;
        format!(
            "{},{},{},{},{},{}\n",
            quoted(&listed(judged.subset, names).join(" ")),
            judged.worst_case_risk,
            judged.training_risk,
            judged.worst_training_risk,
            ranked.class.size(),
            quoted(&listed(ranked.class.optional, names).join(" "))
        )
    };
    let head = "subset,worst_case_risk,training_risk,worst_training_risk,class_size,optional\n".to_owned();
    std::iter::once(head).chain(fit.ranking.iter().map(line)).collect()
}

fn edges(edges: impl Iterator<Item = (usize, usize)>, names: &[String]) -> String {
    let line = |(from, to): (usize, usize)| format!("{},{}\n", quoted(&names[from]), quoted(&names[to]));
    std::iter::once("from,to\n".to_owned()).chain(edges.map(line)).collect()
}
