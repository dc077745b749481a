//! The study of `forward-gnn`: do layers that learn from a loss of their own classify nodes and find links as well as layers that
//! learn end to end, and what do they save?
//!
//! Every seed cuts the nodes, or the edges, anew (64 / 16 / 20) and draws initial weights; all arms of a seed see the same cut. Public
//! graphs are Cora and CiteSeer; the generated graph has communities, and features that say little of them.

mod claims;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_data::graph::read_graph;
use backstitch_graph::dense::Dense;
use backstitch_graph::forward_gnn::{
    Convolution, ForwardGnn, Graph, Labels, Learned, Learner, LinkSplit, Parameters, Split, area_under_curve,
};
use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use claims::{ARMS, BLOCKS, CLAIMS, METRICS, PUBLIC};

/// The study.
pub static STUDY: Study = Study {
    method: "forward-gnn",
    history: &[
        "first version",
        "Adam's constants are those of double precision: its steps were 2e-5 too short",
    ],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 5,
    data: PUBLIC,
    configuration,
    cells,
    run,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    layers: usize,
    hidden: usize,
    /// Most epochs, of a layer where layers learn one after the other; the same for all arms.
    epochs: usize,
    validate_every: usize,
    patience: usize,
    /// Step size of Adam, by what learns: single forward, forward-forward, backpropagation.
    single_forward_rate: f64,
    forward_forward_rate: f64,
    backpropagation_rate: f64,
    /// The same for links.
    link_single_forward_rate: f64,
    link_backpropagation_rate: f64,
    /// L2 penalty of links, for both.
    link_weight_decay: f64,
    /// Graphs that are used, and those among them that forward-forward learns too.
    settings: Vec<String>,
    forward_forward_settings: Vec<String>,
    /// Those that forward-forward with virtual nodes learns.
    virtual_nodes_settings: Vec<String>,
    /// Those whose links are learned.
    link_settings: Vec<String>,
    /// Nodes of the generated graph, its classes, and neighbours of a node in its own class and in others.
    nodes: usize,
    classes: usize,
    own: f64,
    other: f64,
    /// Features, and how far the means of classes are from zero, in standard deviations of a feature.
    features: usize,
    signal: f64,
}

fn configuration(scale: Scale) -> Value {
    let quick = Configuration {
        layers: 2,
        hidden: 128,
        epochs: 200,
        validate_every: 4,
        patience: 12,
        single_forward_rate: 1e-2,
        forward_forward_rate: 1e-2,
        backpropagation_rate: 1e-2,
        link_single_forward_rate: 1e-2,
        link_backpropagation_rate: 1e-2,
        link_weight_decay: 0.0,
        settings: ["cora", "citeseer", BLOCKS].map(String::from).to_vec(),
        forward_forward_settings: ["cora", BLOCKS].map(String::from).to_vec(),
        virtual_nodes_settings: vec![BLOCKS.into()],
        link_settings: PUBLIC.iter().map(ToString::to_string).collect(),
        nodes: 1_000,
        classes: 4,
        own: 4.0,
        other: 2.0,
        features: 32,
        signal: 0.25,
    };
    json!(match scale {
        Scale::Smoke => {
            let blocks = vec![BLOCKS.to_owned()];
            Configuration {
                hidden: 16,
                epochs: 4,
                settings: blocks.clone(),
                forward_forward_settings: blocks.clone(),
                virtual_nodes_settings: blocks.clone(),
                link_settings: blocks,
                nodes: 200,
                ..quick
            }
        }
        Scale::Quick => quick,
        Scale::Paper => Configuration {
            epochs: 1_000,
            validate_every: 2,
            patience: 100,
            forward_forward_settings: quick.settings.clone(),
            virtual_nodes_settings: quick.settings.clone(),
            ..quick
        },
    })
}

const LEARNED: &[&str] = &[
    "sf",
    "sf-top-to-loss",
    "sf-top-to-input",
    "ff-la",
    "ff-vn",
    "bp",
    "mlp",
    "sf-one-layer",
    "sf-untrained",
    "ff-la-shuffled",
    "sf-depth",
    "bp-depth",
    "bp-in-its-place",
    "link-sf",
    "link-bp",
    "link-neighbours",
    "link-untrained",
];
const FAMILY: &[&str] = &["sf", "sf-top-to-loss", "sf-top-to-input"];

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    configuration.check()?;
    let mut cells = Vec::new();
    for &seed in seeds {
        for setting in &configuration.settings {
            let public = PUBLIC.contains(&setting.as_str());
            let cell = |arm: &str| {
                let cell = Cell::new(arm, setting, seed);
                if public { cell.reading(setting) } else { cell }
            };
            let left_out = |arm: &str| {
                let settings = match arm {
                    "ff-vn" => &configuration.virtual_nodes_settings,
                    _ if arm.starts_with("ff-") => &configuration.forward_forward_settings,
                    _ if arm.starts_with("link-") => &configuration.link_settings,
                    _ => return false,
                };
                !settings.contains(setting)
            };
            cells.extend(LEARNED.iter().filter(|arm| !left_out(arm)).map(|arm| cell(arm)));
            let family =
                FAMILY.iter().fold(Cell::new("sf-family", setting, seed), |cell, arm| cell.needing(arm));
            cells.push(if public { family.reading(setting) } else { family });
        }
    }
    Ok(cells)
}

impl Configuration {
    fn check(&self) -> Result<(), String> {
        if let Some(name) =
            self.settings.iter().find(|name| !PUBLIC.contains(&name.as_str()) && *name != BLOCKS)
        {
            return Err(format!("settings has {name:?}, but only {}, {BLOCKS} are known", PUBLIC.join(", ")));
        }
        if !(2..=64).contains(&self.classes) || !(20 * self.classes..=1_000_000).contains(&self.nodes) {
            return Err(format!(
                "{} nodes of {} classes, but must be 2 to 64 classes of at least 20 nodes each",
                self.nodes, self.classes
            ));
        }
        if !(1..=10_000).contains(&self.features) {
            return Err(format!("features is {}, but must be from 1 to 10000", self.features));
        }
        for (name, value) in [("own", self.own), ("other", self.other), ("signal", self.signal)] {
            if !(0.0..=100.0).contains(&value) {
                return Err(format!("{name} is {value}, but must be from 0 to 100"));
            }
        }
        for learner in Learner::ALL {
            self.parameters(learner, 0).validate().map_err(|error| error.to_string())?;
        }
        for (name, rate) in [
            ("link_single_forward_rate", self.link_single_forward_rate),
            ("link_backpropagation_rate", self.link_backpropagation_rate),
        ] {
            if !(rate.is_finite() && rate > 0.0) {
                return Err(format!("{name} is {rate}, but must be positive and finite"));
            }
        }
        if !(self.link_weight_decay.is_finite() && self.link_weight_decay >= 0.0) {
            return Err(format!("link_weight_decay is {}, but must be at least 0", self.link_weight_decay));
        }
        Ok(())
    }

    fn parameters(&self, learner: Learner, seed: u64) -> Parameters {
        let Self { layers, hidden, epochs, validate_every, patience, .. } = *self;
        let learning_rate = match learner {
            Learner::Backpropagation => self.backpropagation_rate,
            learner if learner.is_forward_forward() => self.forward_forward_rate,
            _ => self.single_forward_rate,
        };
        Parameters {
            learner,
            layers,
            hidden,
            epochs,
            validate_every,
            patience,
            learning_rate,
            seed,
            ..Parameters::default()
        }
    }

    /// A graph with communities. Nodes of a class have the same mean of features.
    fn blocks(&self, seed: u64) -> Result<(Graph, Labels), CellError> {
        let mut stream = Stream::new(seed, "forward-gnn study blocks");
        let class = |node: usize| node % self.classes;
        let size = self.nodes as f64 / self.classes as f64;
        let (inside, across) = (self.own / size, self.other / (self.nodes as f64 - size));
        let mut edges = Vec::new();
        for from in 0..self.nodes {
            for to in 0..from {
                let chance = if class(from) == class(to) { inside } else { across };
                if stream.uniform() < chance {
                    edges.push((to, from));
                }
            }
        }
        let means: Vec<f64> =
            (0..self.classes * self.features).map(|_| self.signal * stream.normal()).collect();
        let features = Dense::from_fn(self.nodes, self.features, |node, column| {
            (means[class(node) * self.features + column] + stream.normal()) as f32
        });
        let graph = Graph::from_dense(&edges, features).map_err(CellError::new)?;
        let labels =
            Labels::new((0..self.nodes).map(|node| Some(class(node))).collect()).map_err(CellError::new)?;
        Ok((graph, labels))
    }

    fn graph(&self, cell: &Cell, context: &CellContext<'_>) -> Result<(Graph, Labels), CellError> {
        if cell.setting == BLOCKS {
            return self.blocks(cell.seed);
        }
        let file = context.data(&cell.setting)?.join(format!("{}.npz", cell.setting));
        let data = read_graph(file).map_err(CellError::new)?;
        let graph = Graph::new(&data.edges, &data.features).map_err(CellError::new)?;
        let labels = data.labels.ok_or_else(|| CellError::new("the graph has no labels"))?;
        Ok((graph, Labels::new(labels).map_err(CellError::new)?))
    }
}

/// What a learner leaves for the choice among the family.
#[derive(Serialize, Deserialize)]
struct Found {
    validation: f64,
    accuracy: f64,
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    if cell.arm == "sf-family" {
        let mut best: Option<Found> = None;
        for bytes in context.read_needs("found.json")? {
            let found: Found = serde_json::from_slice(&bytes).map_err(CellError::new)?;
            if best.as_ref().is_none_or(|best| found.validation > best.validation) {
                best = Some(found);
            }
        }
        let best = best.ok_or_else(|| CellError::new("no learner came before"))?;
        context.observe("accuracy", best.accuracy);
        context.observe("validation", best.validation);
        return Ok(());
    }
    let (graph, labels) = configuration.graph(cell, context)?;
    let arm = cell.arm.as_str();
    if arm.starts_with("link-") {
        return links(&configuration, cell, &graph, context);
    }
    let split = Split::random(&labels, 0.2, 0.2, cell.seed).map_err(CellError::new)?;
    if matches!(arm, "sf-depth" | "bp-depth" | "bp-in-its-place") {
        let learner = if arm == "sf-depth" { Learner::SingleForward } else { Learner::Backpropagation };
        let peak = |layers: usize| {
            let own = Parameters { layers, epochs: 2, ..configuration.parameters(learner, cell.seed) };
            Ok::<f64, CellError>(fit(own, &graph, &labels, &split)?.peak_bytes as f64)
        };
        let (one, four) = (peak(1)?, peak(4)?);
        context.observe("growth", four / one);
        context.observe("log_peak", four.ln());
        return Ok(());
    }
    nodes(&configuration, cell, &graph, &labels, &split, context)
}

fn fit(parameters: Parameters, graph: &Graph, labels: &Labels, split: &Split) -> Result<Learned, CellError> {
    let method = ForwardGnn::new(parameters).map_err(CellError::new)?;
    method.fit(graph, labels, split).map_err(CellError::new)
}

fn nodes(
    configuration: &Configuration,
    cell: &Cell,
    graph: &Graph,
    labels: &Labels,
    split: &Split,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let learner = match cell.arm.as_str() {
        "sf-top-to-loss" => Learner::TopToLoss,
        "sf-top-to-input" => Learner::TopToInput,
        "ff-la" | "ff-la-shuffled" => Learner::LabelAppending,
        "ff-vn" => Learner::VirtualNodes,
        "bp" | "mlp" => Learner::Backpropagation,
        _ => Learner::SingleForward,
    };
    let mut parameters = configuration.parameters(learner, cell.seed);
    match cell.arm.as_str() {
        "mlp" => parameters.convolution = Convolution::None,
        "sf-one-layer" => parameters.layers = 1,
        // The first validation comes before the first step, and its weights are kept.
        "sf-untrained" => parameters.epochs = 1,
        _ => {}
    }
    let shuffled = (cell.arm == "ff-la-shuffled").then(|| shuffled(labels, split, cell.seed)).transpose()?;
    let learned = fit(parameters, graph, shuffled.as_ref().unwrap_or(labels), split)?;
    let prediction = learned.model.predict(graph).map_err(CellError::new)?;
    let accuracy = labels.accuracy(&split.test, &prediction.classes());
    let first = labels.accuracy(&split.test, &prediction.classes_of_layer(0));
    context.observe("accuracy", accuracy);
    context.observe("validation", learned.validation);
    context.observe("first_layer", first);
    context.observe("gain", accuracy - first);
    context.observe("peak", learned.peak_bytes as f64);
    let steps: Vec<_> = learned.history.iter().filter(|epoch| epoch.loss.is_finite()).collect();
    context.observe("epochs", steps.len() as f64);
    // An epoch of all layers together counts as one of each.
    let together = matches!(learner, Learner::TopToLoss | Learner::TopToInput | Learner::Backpropagation);
    let of_layers = steps.len() * if together { configuration.layers } else { 1 };
    context.observe("passes", (learned.passes as f64 / of_layers as f64).ln());
    for epoch in learned.history.iter().filter(|epoch| epoch.epoch % 20 == 0 && epoch.loss.is_finite()) {
        let layer = (epoch.layer + 1) as f64;
        let validation = epoch.validation.unwrap_or(0.0);
        context
            .log(epoch.epoch as u64, &[("layer", layer), ("loss", epoch.loss), ("validation", validation)])?;
    }
    let found = Found { validation: learned.validation, accuracy };
    context.artifact("found.json", &serde_json::to_vec(&found).map_err(CellError::new)?)
}

/// The labels of training nodes, dealt out among them anew.
fn shuffled(labels: &Labels, split: &Split, seed: u64) -> Result<Labels, CellError> {
    let mut of = labels.of().to_vec();
    let order = Stream::new(seed, "forward-gnn study shuffled labels").permutation(split.training.len());
    for (place, &node) in split.training.iter().enumerate() {
        of[node] = labels.of()[split.training[order[place]]];
    }
    Labels::new(of).map_err(CellError::new)
}

fn links(
    configuration: &Configuration,
    cell: &Cell,
    graph: &Graph,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let split = LinkSplit::random(graph, 0.2, 0.2, cell.seed).map_err(CellError::new)?;
    let known = graph.with_pairs(&split.training).map_err(CellError::new)?;
    if cell.arm == "link-neighbours" {
        let mut around = vec![Vec::new(); graph.nodes()];
        for &(from, to) in known.pairs() {
            around[from as usize].push(to);
            around[to as usize].push(from);
        }
        let common = |&(from, to): &(u32, u32)| {
            around[from as usize].iter().filter(|other| around[to as usize].contains(other)).count() as f64
        };
        let [edges, absent] = [0, 1].map(|side| split.test[side].iter().map(common).collect::<Vec<f64>>());
        context.observe("area", area_under_curve(&edges, &absent));
        return Ok(());
    }
    let learner = if cell.arm == "link-bp" { Learner::Backpropagation } else { Learner::SingleForward };
    let mut parameters = configuration.parameters(learner, cell.seed);
    parameters.weight_decay = configuration.link_weight_decay;
    parameters.learning_rate = match learner {
        Learner::Backpropagation => configuration.link_backpropagation_rate,
        _ => configuration.link_single_forward_rate,
    };
    if cell.arm == "link-untrained" {
        parameters.epochs = 1;
    }
    let method = ForwardGnn::new(parameters).map_err(CellError::new)?;
    let learned = method.fit_links(graph, &split).map_err(CellError::new)?;
    let scores = |pairs: &[(u32, u32)]| learned.model.link_scores(&known, pairs).map_err(CellError::new);
    context.observe("area", area_under_curve(&scores(&split.test[0])?, &scores(&split.test[1])?));
    context.observe("validation", learned.validation);
    context.observe("epochs", learned.history.len() as f64);
    Ok(())
}
