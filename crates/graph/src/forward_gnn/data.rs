//! What is learned from: a graph, labels of some of its nodes, and who trains, validates and tests.

use std::collections::HashSet;

use backstitch_numerics::{SparseMatrix, Stream};
use serde::{Deserialize, Serialize};

use super::layer::Block;
use crate::Error;
use crate::dense::Dense;
use crate::rows::Rows;
use crate::structure::{Cleaning, undirected};

/// Features with more entries than this share are kept as a dense matrix.
const DENSE_SHARE: f64 = 0.25;

/// An undirected graph whose nodes have features.
#[derive(Clone, Debug)]
pub struct Graph {
    pub(crate) nodes: usize,
    pub(crate) pairs: Vec<(u32, u32)>,
    pub(crate) features: Features,
    cleaning: Cleaning,
}

/// Features of nodes, one row each.
#[derive(Clone, Debug)]
pub(crate) enum Features {
    Sparse(Rows),
    Dense(Dense),
}

impl Graph {
    /// A graph of as many nodes as there are rows of features. Edges may stand in one direction or both, and repeat; loops are
    /// dropped: every convolution that needs the node itself adds it.
    ///
    /// # Errors
    /// [`Error::Node`], [`Error::Feature`], and [`Error::Count`] without nodes or features.
    pub fn new(edges: &[(usize, usize)], features: &SparseMatrix) -> Result<Self, Error> {
        let nodes = features.rows();
        if nodes == 0 || features.columns() == 0 || nodes > (u32::MAX / 2) as usize {
            return Err(Error::Count {
                what: "features",
                found: if features.columns() == 0 { 0 } else { nodes },
                nodes,
                way_out: "give at least one node (at most 2^31) with at least one feature; a column of ones will do",
            });
        }
        for node in 0..nodes {
            let odd = features.row(node).iter().find(|(_, value)| !(*value as f32).is_finite());
            if let Some((feature, value)) = odd {
                return Err(Error::Feature { node, feature, value });
            }
        }
        let (pairs, cleaning) = undirected(nodes, edges)?;
        let share = features.entries() as f64 / (nodes as f64 * features.columns() as f64);
        let features = if share > DENSE_SHARE {
            let mut dense = Dense::zeros(nodes, features.columns());
            for node in 0..nodes {
                for (column, value) in features.row(node).iter() {
                    dense.row_mut(node)[column] = value as f32;
                }
            }
            Features::Dense(dense)
        } else {
            Features::Sparse(Rows::from_sparse(features))
        };
        Ok(Self { nodes, pairs, features, cleaning })
    }

    /// From a dense matrix of features, one row per node.
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn from_dense(edges: &[(usize, usize)], features: Dense) -> Result<Self, Error> {
        let nodes = features.rows();
        let columns = features.columns();
        if nodes == 0 || columns == 0 || nodes > (u32::MAX / 2) as usize {
            let way_out =
                "give at least one node (at most 2^31) with at least one feature; a column of ones will do";
            return Err(Error::Count { what: "features", found: nodes.min(columns), nodes, way_out });
        }
        if let Some(place) = features.values().iter().position(|value| !value.is_finite()) {
            let value = f64::from(features.values()[place]);
            return Err(Error::Feature { node: place / columns, feature: place % columns, value });
        }
        let (pairs, cleaning) = undirected(nodes, edges)?;
        Ok(Self { nodes, pairs, features: Features::Dense(features), cleaning })
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Number of features.
    pub fn columns(&self) -> usize {
        self.features.columns()
    }

    /// The edges: each pair once, the smaller node first, ascending.
    pub fn pairs(&self) -> &[(u32, u32)] {
        &self.pairs
    }

    /// What was done to the edges that were given.
    pub fn cleaning(&self) -> Cleaning {
        self.cleaning
    }

    /// The same nodes with other edges.
    ///
    /// # Errors
    /// [`Error::Node`].
    pub fn with_pairs(&self, pairs: &[(u32, u32)]) -> Result<Self, Error> {
        let edges: Vec<_> = pairs.iter().map(|&(from, to)| (from as usize, to as usize)).collect();
        let (pairs, cleaning) = undirected(self.nodes, &edges)?;
        Ok(Self { pairs, cleaning, ..self.clone() })
    }

    /// Nodes without an edge.
    pub fn isolated(&self) -> usize {
        let mut met = vec![false; self.nodes];
        for &(from, to) in &self.pairs {
            (met[from as usize], met[to as usize]) = (true, true);
        }
        met.into_iter().filter(|met| !met).count()
    }

    /// Parts that no path joins.
    pub fn components(&self) -> usize {
        fn root(parents: &mut [u32], mut node: u32) -> u32 {
            while parents[node as usize] != node {
                parents[node as usize] = parents[parents[node as usize] as usize];
                node = parents[node as usize];
            }
            node
        }
        let mut parents: Vec<u32> = (0..self.nodes as u32).collect();
        let mut parts = self.nodes;
        for &(from, to) in &self.pairs {
            let (from, to) = (root(&mut parents, from), root(&mut parents, to));
            if from != to {
                parents[from as usize] = to;
                parts -= 1;
            }
        }
        parts
    }
}

impl Features {
    pub(crate) fn columns(&self) -> usize {
        match self {
            Self::Sparse(rows) => rows.columns(),
            Self::Dense(dense) => dense.columns(),
        }
    }

    fn rows(&self) -> usize {
        match self {
            Self::Sparse(rows) => rows.rows(),
            Self::Dense(dense) => dense.rows(),
        }
    }

    pub(crate) fn block(&self) -> Block<'_> {
        match self {
            Self::Sparse(rows) => Block::Sparse(rows),
            Self::Dense(dense) => Block::Dense(dense),
        }
    }

    /// Every row, changed by a factor of its own.
    fn scaled(&self, factor: impl Fn(&mut dyn Iterator<Item = f32>) -> f32) -> Self {
        match self {
            Self::Sparse(rows) => {
                let row = |node: usize| {
                    let factor = factor(&mut rows.row(node).map(|(_, value)| value));
                    rows.row(node).map(|(column, value)| (column, factor * value)).collect()
                };
                Self::Sparse(Rows::new(rows.columns(), (0..rows.rows()).map(row)))
            }
            Self::Dense(dense) => {
                let mut scaled = dense.clone();
                for node in 0..dense.rows() {
                    let factor = factor(&mut dense.row(node).iter().copied());
                    scaled.row_mut(node).iter_mut().for_each(|value| *value *= factor);
                }
                Self::Dense(scaled)
            }
        }
    }

    /// Rows divided by their Euclidean norm plus 1e-8.
    pub(crate) fn normalised(&self) -> Self {
        self.scaled(|row| {
            let square: f64 = row.map(|value| f64::from(value).powi(2)).sum();
            (1.0 / (square.sqrt() + 1e-8)) as f32
        })
    }

    /// Rows divided by their sum, where no feature is negative; else as they are.
    pub(crate) fn summing_to_one(&self) -> Self {
        let negative = match self {
            Self::Sparse(rows) => (0..rows.rows()).any(|node| rows.row(node).any(|(_, value)| value < 0.0)),
            Self::Dense(dense) => dense.values().iter().any(|value| *value < 0.0),
        };
        if negative {
            return self.clone();
        }
        self.scaled(|row| {
            let sum: f64 = row.map(f64::from).sum();
            if sum > 0.0 { (1.0 / sum) as f32 } else { 0.0 }
        })
    }

    /// More rows below.
    pub(crate) fn with_rows(&self, more: &Dense) -> Self {
        match self {
            Self::Sparse(rows) => {
                let own = (0..rows.rows()).map(|node| rows.row(node).collect());
                let added = (0..more.rows()).map(|row| more.row(row).iter().copied().enumerate().collect());
                Self::Sparse(Rows::new(rows.columns(), own.chain(added)))
            }
            Self::Dense(dense) => {
                Self::Dense(Dense::from_fn(dense.rows() + more.rows(), dense.columns(), |row, column| {
                    match row.checked_sub(dense.rows()) {
                        None => dense.row(row)[column],
                        Some(row) => more.row(row)[column],
                    }
                }))
            }
        }
    }

    /// As many more columns as there are classes: one where the label is known, else equal shares.
    pub(crate) fn with_labels(&self, labels: &[Option<usize>], classes: usize) -> Self {
        let share = 1.0 / classes as f32;
        let own = self.columns();
        match self {
            Self::Sparse(rows) => {
                let row = |node: usize| {
                    let label = match labels[node] {
                        Some(class) => vec![(own + class, 1.0)],
                        None => (0..classes).map(|class| (own + class, share)).collect(),
                    };
                    rows.row(node).chain(label).collect()
                };
                Self::Sparse(Rows::new(own + classes, (0..self.rows()).map(row)))
            }
            Self::Dense(dense) => {
                Self::Dense(Dense::from_fn(self.rows(), own + classes, |node, column| {
                    match (column.checked_sub(own), labels[node]) {
                        (None, _) => dense.row(node)[column],
                        (Some(class), Some(label)) => f32::from(class == label),
                        (Some(_), None) => share,
                    }
                }))
            }
        }
    }
}

/// Labels of some nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    classes: usize,
    of: Vec<Option<usize>>,
}

impl Labels {
    /// One label per node, or none where it is not known. Labels count from 0 without a gap.
    ///
    /// # Errors
    /// [`Error::Gap`], or [`Error::Split`] with fewer than two classes.
    pub fn new(of: Vec<Option<usize>>) -> Result<Self, Error> {
        let classes = of.iter().flatten().max().map_or(0, |most| most.saturating_add(1));
        let labelled = of.iter().flatten().count();
        if classes < 2 {
            let problem =
                format!("{labelled} nodes have a label, of {classes} classes; at least 2 classes are needed");
            return Err(Error::Split { problem, way_out: "label nodes of every class, from 0 up" });
        }
        let known: HashSet<usize> = of.iter().flatten().copied().collect();
        if known.len() < classes {
            let missing = (0..classes).find(|class| !known.contains(class)).unwrap_or(0);
            return Err(Error::Gap { missing, largest: classes - 1 });
        }
        Ok(Self { classes, of })
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Label by node.
    pub fn of(&self) -> &[Option<usize>] {
        &self.of
    }

    /// Which of these nodes have a prediction that is their label, as a share.
    pub fn accuracy(&self, nodes: &[usize], predicted: &[usize]) -> f64 {
        let right = nodes.iter().filter(|&&node| self.of[node] == Some(predicted[node])).count();
        right as f64 / nodes.len().max(1) as f64
    }
}

/// Who trains, validates and tests: nodes with labels, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Nodes whose labels are learned.
    pub training: Vec<usize>,
    /// Nodes that decide when to stop.
    pub validation: Vec<usize>,
    /// Nodes that are only measured.
    pub test: Vec<usize>,
}

impl Split {
    /// Labelled nodes cut at random: a share for testing, and a share of the rest for validation. The paper's are 0.2 and 0.2.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a share outside 0 to 1.
    pub fn random(labels: &Labels, test: f64, validation: f64, seed: u64) -> Result<Self, Error> {
        for (name, value) in
            [("the share of test nodes", test), ("the share of validation nodes", validation)]
        {
            if !(0.0..1.0).contains(&value) {
                let allowed = "at least 0 and below 1".into();
                return Err(Error::Parameter {
                    name,
                    value: value.to_string(),
                    allowed,
                    way_out: "0.2 is usual",
                });
            }
        }
        let mut nodes: Vec<usize> = (0..labels.of.len()).filter(|&node| labels.of[node].is_some()).collect();
        Stream::new(seed, "forward-gnn split").shuffle(&mut nodes);
        let tested = (test * nodes.len() as f64).round() as usize;
        let mut rest = nodes.split_off(tested);
        let validated = (validation * rest.len() as f64).round() as usize;
        let mut training = rest.split_off(validated);
        for part in [&mut training, &mut rest, &mut nodes] {
            part.sort_unstable();
        }
        Ok(Self { training, validation: rest, test: nodes })
    }

    /// Whether the parts hold labelled nodes, each once, and training nodes of every class.
    ///
    /// # Errors
    /// [`Error::Split`], [`Error::ClassWithoutTraining`].
    pub fn check(&self, labels: &Labels) -> Result<(), Error> {
        let refuse = |problem: String, way_out| Err(Error::Split { problem, way_out });
        let mut seen = HashSet::new();
        let mut trained = vec![0; labels.classes];
        let parts = [("training", &self.training), ("validation", &self.validation), ("test", &self.test)];
        for (name, part) in parts {
            for &node in part {
                let Some(Some(class)) = labels.of.get(node) else {
                    return refuse(
                        format!("{name} node {node} has no label"),
                        "put only labelled nodes into a split",
                    );
                };
                if !seen.insert(node) {
                    return refuse(
                        format!("node {node} stands in two parts of the split"),
                        "put it into one",
                    );
                }
                if name == "training" {
                    trained[*class] += 1;
                }
            }
        }
        if self.validation.is_empty() {
            return refuse(
                "there are no validation nodes".into(),
                "they decide when to stop: label more nodes, or give a share of validation nodes above 0",
            );
        }
        if let Some(class) = trained.iter().position(|count| *count == 0) {
            let labelled = labels.of.iter().flatten().filter(|label| **label == class).count();
            return Err(Error::ClassWithoutTraining { class, labelled });
        }
        Ok(())
    }
}

/// Edges cut for learning which pairs are joined, with as many pairs that are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSplit {
    /// Edges that are learned, and that messages pass along.
    pub training: Vec<(u32, u32)>,
    /// Edges that decide when to stop, and pairs that are no edges.
    pub validation: [Vec<(u32, u32)>; 2],
    /// Edges that are only measured, and pairs that are no edges.
    pub test: [Vec<(u32, u32)>; 2],
}

impl LinkSplit {
    /// Edges cut at random; pairs that are no edges are drawn among those that no part has. The paper's shares are 0.2 and 0.2.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a share outside 0 to 1, [`Error::Split`] if a part is empty or pairs run out.
    pub fn random(graph: &Graph, test: f64, validation: f64, seed: u64) -> Result<Self, Error> {
        for (name, value) in
            [("the share of test edges", test), ("the share of validation edges", validation)]
        {
            if !(value > 0.0 && value < 1.0) {
                let allowed = "above 0 and below 1".into();
                return Err(Error::Parameter {
                    name,
                    value: value.to_string(),
                    allowed,
                    way_out: "0.2 is usual",
                });
            }
        }
        let mut stream = Stream::new(seed, "forward-gnn link split");
        let mut edges = graph.pairs.clone();
        stream.shuffle(&mut edges);
        let tested = (test * edges.len() as f64).round() as usize;
        let mut rest = edges.split_off(tested);
        let validated = (validation * rest.len() as f64).round() as usize;
        let mut training = rest.split_off(validated);
        training.sort_unstable();
        if training.is_empty() || rest.is_empty() || edges.is_empty() {
            let problem = format!(
                "{} edges give {} for training, {} for validation and {} for testing",
                graph.pairs.len(),
                training.len(),
                rest.len(),
                edges.len()
            );
            return Err(Error::Split {
                problem,
                way_out: "give a graph with at least 10 edges, or other shares",
            });
        }
        let mut taken: HashSet<(u32, u32)> = graph.pairs.iter().copied().collect();
        let mut absent = |count: usize| absent_pairs(graph.nodes, count, &mut taken, &mut stream);
        let validation = [rest.clone(), absent(rest.len())?];
        let test = [edges.clone(), absent(edges.len())?];
        Ok(Self { training, validation, test })
    }
}

/// Pairs that are not taken, each once; they are taken then.
fn absent_pairs(
    nodes: usize,
    count: usize,
    taken: &mut HashSet<(u32, u32)>,
    stream: &mut Stream,
) -> Result<Vec<(u32, u32)>, Error> {
    let all = nodes as f64 * (nodes as f64 - 1.0) / 2.0;
    if (taken.len() + 2 * count) as f64 > 0.9 * all {
        let problem =
            format!("{} of {all} pairs are edges, too many to draw {count} that are none", taken.len());
        return Err(Error::Split {
            problem,
            way_out: "links are learned on graphs where most pairs are not joined",
        });
    }
    let mut found = Vec::with_capacity(count);
    while found.len() < count {
        let (from, to) = (stream.below(nodes) as u32, stream.below(nodes) as u32);
        let pair = (from.min(to), from.max(to));
        if from != to && taken.insert(pair) {
            found.push(pair);
        }
    }
    Ok(found)
}

/// The area under the ROC curve of scores of true and other pairs; a tie counts half.
///
/// Not a number if a side is empty.
pub fn area_under_curve(positive: &[f64], negative: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = positive.iter().map(|score| (*score, true)).collect();
    all.extend(negative.iter().map(|score| (*score, false)));
    all.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (mut below, mut wins, mut place) = (0.0, 0.0, 0);
    while place < all.len() {
        let end =
            all[place..].iter().position(|other| other.0 != all[place].0).map_or(all.len(), |n| place + n);
        let tied = &all[place..end];
        let positives = tied.iter().filter(|(_, positive)| *positive).count() as f64;
        let negatives = tied.len() as f64 - positives;
        wins += positives * (below + 0.5 * negatives);
        below += negatives;
        place = end;
    }
    wins / (positive.len() as f64 * negative.len() as f64)
}
