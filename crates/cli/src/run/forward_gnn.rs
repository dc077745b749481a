//! `backstitch run forward-gnn`: a graph in; classes of its nodes or scores of its missing links out.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use backstitch_data::graph::{GraphData, read_graph, read_graph_tables, read_node_pairs};
use backstitch_graph::forward_gnn::{
    Convolution, ForwardGnn, Graph, Labels, Learned, Learner, LinkSplit, Model, Parameters, Prediction,
    Split, Task, area_under_curve,
};
use backstitch_numerics::interval::proportion_exact;
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::model_file::ModelFile;
use super::output::write_all;
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

const MODEL_SCHEMA: &str = "backstitch/forward-gnn-model/1";

/// Learns on a graph, layer by layer, and says what it learned of nodes that were held back.
#[derive(Args, Debug)]
#[command(
    after_help = "A graph is one .npz file (compressed sparse rows adj_*, attr_* and labels, as public benchmarks have it; or edges, node_features, \
node_labels), or tables: --edges with two columns of nodes, --features with a row for every node, --labels with two columns, node and \
label, for nodes that have one. Nodes and labels are whole numbers from 0. Edges are taken in both directions, repeated ones once; loops \
are dropped.

Labelled nodes are cut at random by --seed: --test of them are only measured, --validation of the rest decide when to stop. Nodes without \
a label are predicted. With --task links it is edges that are cut, and messages pass along training edges only.

Reading the result: memory counts activations and their gradients that are alive at once, without features and weights. Accuracy of one \
layer is what this layer says alone; the answer is the mean over layers.

Examples:
  backstitch run forward-gnn fit --graph cora.npz --out model/
  backstitch run forward-gnn fit --edges edges.csv --features features.csv --labels labels.csv --learner top-to-loss --layers 3
  backstitch run forward-gnn predict --model model/model.json --graph cora.npz > predictions.csv
  backstitch run forward-gnn fit --graph cora.npz --task links --out links/
  backstitch run forward-gnn predict --model links/model.json --graph cora.npz --pairs pairs.csv"
)]
pub(crate) struct ForwardGnnArguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Learn classes of nodes, or which nodes are joined
    Fit(Box<FitArguments>),
    /// Predict with a model that `fit --out` has written
    Predict(PredictArguments),
}

#[derive(Args, Debug)]
struct GraphArguments {
    /// Graph with features and labels (.npz)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["edges", "features", "labels"], required_unless_present = "edges")]
    graph: Option<PathBuf>,
    /// Table of edges: two columns of nodes
    #[arg(long, value_name = "FILE", requires = "features")]
    edges: Option<PathBuf>,
    /// Table of features: a row for every node, in their order or numbered by a column `node`
    #[arg(long, value_name = "FILE", requires = "edges")]
    features: Option<PathBuf>,
    /// Table of labels: node and label
    #[arg(long, value_name = "FILE", requires = "edges")]
    labels: Option<PathBuf>,
}

impl GraphArguments {
    fn read(&self) -> Result<(Graph, GraphData), Failure> {
        let data = match (&self.graph, &self.edges, &self.features) {
            (Some(file), ..) => read_graph(file),
            (None, Some(edges), Some(features)) => read_graph_tables(edges, features, self.labels.as_deref()),
            _ => {
                return Err(
                    Failure::input("no graph is given").hint("give --graph, or --edges and --features")
                );
            }
        };
        let data = data.map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
        let graph = Graph::new(&data.edges, &data.features).map_err(Failure::input)?;
        Ok((graph, data))
    }
}

#[derive(Args, Debug)]
struct FitArguments {
    #[command(flatten)]
    graph: GraphArguments,
    /// What is learned
    #[arg(long, value_enum, default_value_t = TaskName::Nodes)]
    task: TaskName,
    /// How the layers learn
    #[arg(long, value_enum, default_value_t = LearnerName::SingleForward)]
    learner: LearnerName,
    /// What a layer does with the graph
    #[arg(long, value_enum, default_value_t = ConvolutionName::Gcn)]
    convolution: ConvolutionName,
    /// Layers
    #[arg(long, value_name = "N", default_value_t = 2)]
    layers: usize,
    /// Outputs of a layer
    #[arg(long, value_name = "N", default_value_t = 128)]
    hidden: usize,
    /// Most epochs, of every layer where layers learn one after the other
    #[arg(long, value_name = "N", default_value_t = 1000)]
    epochs: usize,
    /// Validations in a row without a better one that end training
    #[arg(long, value_name = "N", default_value_t = 100)]
    patience: usize,
    /// Epochs from one validation to the next
    #[arg(long, value_name = "N", default_value_t = 2)]
    validate_every: usize,
    /// Step size of Adam
    #[arg(long, value_name = "RATE", default_value_t = 1e-3, allow_negative_numbers = true)]
    learning_rate: f64,
    /// L2 penalty
    #[arg(long, value_name = "NUMBER", default_value_t = 5e-4, allow_negative_numbers = true)]
    weight_decay: f64,
    /// Share of labelled nodes, or of edges, for testing
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, allow_negative_numbers = true)]
    test: f64,
    /// Share of the rest for validation
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, allow_negative_numbers = true)]
    validation: f64,
    /// Folder for model.json, predictions.csv, history.csv and summary.json; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct PredictArguments {
    /// A model.json
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    #[command(flatten)]
    graph: GraphArguments,
    /// Table of pairs of nodes, for a model of links
    #[arg(long, value_name = "FILE")]
    pairs: Option<PathBuf>,
    /// Folder for predictions.csv; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TaskName {
    /// The class of every node
    Nodes,
    /// Which nodes are joined
    Links,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LearnerName {
    /// Layer after layer, one forward pass per epoch
    SingleForward,
    /// All layers at each step, those above heard in the loss
    TopToLoss,
    /// All layers at each step, those above heard as input
    TopToInput,
    /// Forward-forward, labels among the features
    LabelAppending,
    /// Forward-forward, labels as edges to virtual nodes
    VirtualNodes,
    /// End to end: the baseline
    Backpropagation,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ConvolutionName {
    Gcn,
    Sage,
    Gat,
    /// Features alone, by backpropagation
    None,
}

impl FitArguments {
    fn parameters(&self, seed: u64) -> Parameters {
        Parameters {
            learner: match self.learner {
                LearnerName::SingleForward => Learner::SingleForward,
                LearnerName::TopToLoss => Learner::TopToLoss,
                LearnerName::TopToInput => Learner::TopToInput,
                LearnerName::LabelAppending => Learner::LabelAppending,
                LearnerName::VirtualNodes => Learner::VirtualNodes,
                LearnerName::Backpropagation => Learner::Backpropagation,
            },
            convolution: match self.convolution {
                ConvolutionName::Gcn => Convolution::Gcn,
                ConvolutionName::Sage => Convolution::Sage,
                ConvolutionName::Gat => Convolution::Gat,
                ConvolutionName::None => Convolution::None,
            },
            layers: self.layers,
            hidden: self.hidden,
            epochs: self.epochs,
            validate_every: self.validate_every,
            patience: self.patience,
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            seed,
            ..Parameters::default()
        }
    }
}

/// `model.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema: String,
    model: Model,
}

pub(crate) fn execute(arguments: &ForwardGnnArguments, common: &Common) -> Result<i32, Failure> {
    match &arguments.verb {
        Verb::Fit(arguments) => fit(arguments, common),
        Verb::Predict(arguments) => predict(arguments, common),
    }
}

fn fit(arguments: &FitArguments, common: &Common) -> Result<i32, Failure> {
    let method = ForwardGnn::new(arguments.parameters(common.seed)).map_err(Failure::input)?;
    let (graph, data) = arguments.graph.read()?;
    let (learned, predictions, measured) = match arguments.task {
        TaskName::Nodes => nodes(arguments, common, &method, &graph, data)?,
        TaskName::Links => links(arguments, common, &method, &graph)?,
    };
    let summary = json!({
        "schema": "backstitch/forward-gnn/1",
        "graph": {
            "nodes": graph.nodes(),
            "edges": graph.pairs().len(),
            "features": graph.columns(),
            "components": graph.components(),
            "isolated": graph.isolated(),
            "loops_dropped": graph.cleaning().loops,
            "repeated_merged": graph.cleaning().repeated,
        },
        "parameters": learned.model.parameters(),
        "weights": learned.model.weights(),
        "best_epochs": learned.best_epochs,
        "epochs": learned.history.len(),
        "passes": learned.passes,
        "peak_activation_bytes": learned.peak_bytes,
        "quality": measured,
    });
    if let Some(folder) = &arguments.out {
        let saved = Saved { schema: MODEL_SCHEMA.into(), model: learned.model.clone() };
        let model = serde_json::to_string(&saved).map_err(Failure::internal)? + "\n";
        let text = serde_json::to_string_pretty(&summary).map_err(Failure::internal)? + "\n";
        let files = [
            ("model.json", model),
            ("predictions.csv", predictions),
            ("history.csv", history(&learned)),
            ("summary.json", text),
        ];
        write_all(folder, &files)?;
    }
    if common.json {
        terminal::print_json(&summary)?;
    } else {
        terminal::print(&words(&graph, &learned, &summary["quality"]))?;
    }
    if let Some(folder) = &arguments.out {
        terminal::say(format_args!("written: {}", folder.display()));
    }
    Ok(EXIT_DONE)
}

fn nodes(
    arguments: &FitArguments,
    common: &Common,
    method: &ForwardGnn,
    graph: &Graph,
    data: GraphData,
) -> Result<(Learned, String, Value), Failure> {
    let labels = data.labels.ok_or_else(|| {
        Failure::input("the graph has no labels").hint("give --labels, or learn links with --task links")
    })?;
    let labels = Labels::new(labels).map_err(Failure::input)?;
    let split =
        Split::random(&labels, arguments.test, arguments.validation, common.seed).map_err(Failure::input)?;
    let learned = method.fit(graph, &labels, &split).map_err(Failure::input)?;
    let prediction = learned.model.predict(graph).map_err(Failure::internal)?;
    let own = prediction.classes();
    let right = |nodes: &[usize]| (labels.accuracy(nodes, &own) * nodes.len() as f64).round() as u64;
    let part = |nodes: &[usize]| {
        let interval = proportion_exact(right(nodes), nodes.len() as u64).ok();
        json!({
            "nodes": nodes.len(),
            "accuracy": (!nodes.is_empty()).then(|| labels.accuracy(nodes, &own)),
            "lower": interval.as_ref().map(|interval| interval.lower),
            "upper": interval.as_ref().map(|interval| interval.upper),
        })
    };
    let layers = 0..prediction.by_layer.len();
    let by_layer = layers.map(|layer| labels.accuracy(&split.test, &prediction.classes_of_layer(layer)));
    let measured = json!({
        "classes": labels.classes(),
        "training_nodes": split.training.len(),
        "validation": part(&split.validation),
        "test": part(&split.test),
        "test_accuracy_by_layer": by_layer.collect::<Vec<f64>>(),
    });
    let csv = prediction_lines(&prediction);
    Ok((learned, csv, measured))
}

fn links(
    arguments: &FitArguments,
    common: &Common,
    method: &ForwardGnn,
    graph: &Graph,
) -> Result<(Learned, String, Value), Failure> {
    let split = LinkSplit::random(graph, arguments.test, arguments.validation, common.seed)
        .map_err(Failure::input)?;
    let learned = method.fit_links(graph, &split).map_err(Failure::input)?;
    let known = graph.with_pairs(&split.training).map_err(Failure::internal)?;
    let scores = |pairs: &[(u32, u32)]| learned.model.link_scores(&known, pairs).map_err(Failure::internal);
    let area = |pairs: &[Vec<(u32, u32)>; 2]| {
        Ok::<f64, Failure>(area_under_curve(&scores(&pairs[0])?, &scores(&pairs[1])?))
    };
    let measured = json!({
        "training_edges": split.training.len(),
        "validation": {"edges": split.validation[0].len(), "area_under_curve": area(&split.validation)?},
        "test": {"edges": split.test[0].len(), "area_under_curve": area(&split.test)?},
    });
    let mut csv = String::from("from,to,edge,score\n");
    for (edge, pairs) in [(1, &split.test[0]), (0, &split.test[1])] {
        for ((from, to), score) in pairs.iter().zip(scores(pairs)?) {
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(csv, "{from},{to},{edge},{score}");
        }
    }
    Ok((learned, csv, measured))
}

fn predict(arguments: &PredictArguments, common: &Common) -> Result<i32, Failure> {
    let file = ModelFile { path: &arguments.model, schema: MODEL_SCHEMA, writer: "`fit --out`" };
    let saved: Saved = file.read()?;
    saved.model.check().map_err(|error| file.unusable(&error))?;
    let (graph, _) = arguments.graph.read()?;
    let csv = match (saved.model.task(), &arguments.pairs) {
        (Task::Nodes, None) => prediction_lines(&saved.model.predict(&graph).map_err(Failure::input)?),
        (Task::Nodes, Some(_)) => {
            return Err(Failure::input("--pairs is for models of links, but this is one of nodes")
                .hint("leave --pairs out, or learn with `fit --task links`"));
        }
        (Task::Links, None) => {
            return Err(Failure::input("a model of links scores pairs of nodes, and none are given")
                .hint("give a table with two columns of nodes by --pairs"));
        }
        (Task::Links, Some(pairs)) => link_lines(&saved.model, &graph, pairs)?,
    };
    if let Some(folder) = &arguments.out {
        write_all(folder, &[("predictions.csv", &csv)])?;
        terminal::say(format_args!("written: {}", folder.display()));
    } else if common.json {
        let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let head = lines.next().unwrap_or_default();
        let rows = lines.map(|fields| {
            let field = |(name, text): (&&str, &str)| {
                ((*name).to_owned(), serde_json::from_str(text).unwrap_or(Value::Null))
            };
            head.iter().zip(fields).map(field).collect::<serde_json::Map<String, Value>>()
        });
        terminal::print_json(&rows.collect::<Vec<_>>())?;
    } else {
        terminal::print(&csv)?;
    }
    Ok(EXIT_DONE)
}

fn link_lines(model: &Model, graph: &Graph, file: &Path) -> Result<String, Failure> {
    let pairs = read_node_pairs(file, graph.nodes())
        .map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
    let pairs: Vec<(u32, u32)> = pairs.into_iter().map(|(from, to)| (from as u32, to as u32)).collect();
    let scores = model.link_scores(graph, &pairs).map_err(Failure::input)?;
    let mut csv = String::from("from,to,score\n");
    for ((from, to), score) in pairs.iter().zip(scores) {
        let _ = writeln!(csv, "{from},{to},{score}");
    }
    Ok(csv)
}

fn prediction_lines(prediction: &Prediction) -> String {
    let classes = prediction.classes();
    let mut csv = String::from("node,class");
    for class in 0..prediction.probabilities.columns() {
        let _ = write!(csv, ",p{class}");
    }
    csv.push('\n');
    for (node, class) in classes.iter().enumerate() {
        let _ = write!(csv, "{node},{class}");
        for value in prediction.probabilities.row(node) {
            let _ = write!(csv, ",{value}");
        }
        csv.push('\n');
    }
    csv
}

fn history(learned: &Learned) -> String {
    let mut csv = String::from("layer,epoch,loss,validation\n");
    for epoch in &learned.history {
        let text = |value: f64| if value.is_finite() { value.to_string() } else { String::new() };
        let validation = epoch.validation.map_or(String::new(), text);
        let _ = writeln!(csv, "{},{},{},{validation}", epoch.layer + 1, epoch.epoch, text(epoch.loss));
    }
    csv
}

fn words(graph: &Graph, learned: &Learned, quality: &Value) -> String {
    let mut text = format!(
        "{} nodes, {} edges, {} features; {} parts, {} isolated nodes\n",
        graph.nodes(),
        graph.pairs().len(),
        graph.columns(),
        graph.components(),
        graph.isolated()
    );
    let cleaning = graph.cleaning();
    if cleaning.loops + cleaning.repeated > 0 {
        let _ = writeln!(
            text,
            "dropped: {} loops; merged: {} edges given more than once",
            cleaning.loops, cleaning.repeated
        );
    }
    let test = &quality["test"];
    match quality["classes"].as_u64() {
        Some(classes) => {
            let _ = writeln!(text, "{classes} classes, learned from {} nodes", quality["training_nodes"]);
            if let Some(accuracy) = test["accuracy"].as_f64() {
                let end = |name: &str| test[name].as_f64().unwrap_or(f64::NAN);
                let (lower, upper) = (end("lower"), end("upper"));
                let _ = writeln!(
                    text,
                    "accuracy on {} test nodes: {accuracy:.4} ({lower:.4} to {upper:.4})",
                    test["nodes"]
                );
                let layers = quality["test_accuracy_by_layer"].as_array().into_iter().flatten();
                for (layer, accuracy) in layers.enumerate() {
                    let _ = writeln!(
                        text,
                        "  layer {} alone: {:.4}",
                        layer + 1,
                        accuracy.as_f64().unwrap_or(f64::NAN)
                    );
                }
            }
        }
        None => {
            let area = test["area_under_curve"].as_f64().unwrap_or(f64::NAN);
            let _ = writeln!(
                text,
                "{} training edges; area under the curve on {} test edges: {area:.4}",
                quality["training_edges"], test["edges"]
            );
        }
    }
    let _ = writeln!(
        text,
        "{} epochs, {} passes of a layer over a graph, at most {:.1} MB of activations",
        learned.history.len(),
        learned.passes,
        learned.peak_bytes as f64 / 1e6
    );
    text
}
