//! One network through a sequence of tasks.

use backstitch_numerics::{Matrix, Stream};

use super::directions::used;
use super::elastic::Elastic;
use super::layer::{Gradient, Scaled, Split, effective};
use super::network::Network;
use super::parameters::{Heads, Parameters, Strategy};
use super::products::{add, rows};
use super::relations::{Earlier, Guard, Relation};
use super::task::Task;
use crate::Error;

/// Rows of a pass that adds up gradients.
const PIECE: usize = 500;
/// Most numbers that are kept of what the first layer sees of a task: a quarter of a gigabyte.
const MOST_COORDINATES: usize = 1 << 25;

/// A network, and what it keeps of the tasks it has learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Learner {
    pub(super) parameters: Parameters,
    pub(super) inputs: usize,
    /// Of a shared head.
    pub(super) classes: usize,
    /// Weights of layers that all tasks share: outputs × inputs.
    pub(super) weights: Vec<Matrix>,
    /// Directions that tasks use, for every such layer: orthonormal rows.
    pub(super) directions: Vec<Matrix>,
    /// Heads of the tasks, where they have their own.
    pub(super) heads: Vec<Matrix>,
    pub(super) learned: Vec<Learned>,
    pub(super) elastic: Option<Elastic>,
}

/// What is kept of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    pub(super) name: String,
    /// For every shared layer; empty where the strategy keeps nothing.
    pub(super) layers: Vec<Record>,
}

/// What is kept of a task for a layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    /// Rows of the layer's directions.
    pub(super) columns: Vec<usize>,
    /// Of the task's loss at its end: outputs × inputs.
    pub(super) gradient: Matrix,
    pub(super) scaled: Vec<Scaled>,
    pub(super) relations: Vec<Relation>,
}

impl Learned {
    /// What the task was called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For every layer that tasks share: how the task related to each earlier one.
    pub fn relations(&self) -> impl Iterator<Item = &[Relation]> {
        self.layers.iter().map(|record| record.relations.as_slice())
    }

    /// For every layer that tasks share: how many directions the task uses.
    pub fn directions(&self) -> impl Iterator<Item = usize> + '_ {
        self.layers.iter().map(|record| record.columns.len())
    }
}

impl Learner {
    pub(super) fn new(parameters: Parameters, inputs: usize, classes: usize) -> Result<Self, Error> {
        let refuse = |name, value: usize, allowed, way_out| {
            Err(Error::Parameter { name, value: value as f64, allowed, way_out })
        };
        if inputs == 0 {
            return refuse("the number of inputs", inputs, "at least 1", "give rows with inputs");
        }
        if parameters.heads == Heads::Shared && classes < 2 {
            return refuse(
                "the number of classes",
                classes,
                "at least 2",
                "give tasks of two classes or more",
            );
        }
        let mut widths = vec![inputs];
        widths.extend(&parameters.hidden);
        if parameters.heads == Heads::Shared {
            widths.push(classes);
        } else if parameters.hidden.is_empty() {
            return refuse(
                "the number of hidden layers",
                0,
                "at least 1 where tasks have heads of their own",
                "give --hidden",
            );
        }
        let constant = usize::from(parameters.bias);
        let mut stream = Stream::new(parameters.seed, "cuber weights");
        let weights: Vec<Matrix> =
            widths.windows(2).map(|pair| initial(pair[1], pair[0] + constant, &mut stream)).collect();
        let directions = weights.iter().map(|weights| Matrix::zeros(0, weights.columns())).collect();
        let elastic = (parameters.strategy == Strategy::Ewc).then(|| Elastic::new(&weights));
        Ok(Self {
            parameters,
            inputs,
            classes,
            weights,
            directions,
            heads: Vec::new(),
            learned: Vec::new(),
            elastic,
        })
    }

    /// The tasks so far.
    pub fn learned(&self) -> &[Learned] {
        &self.learned
    }

    /// What it was made with.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Inputs of a row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Weights of the layers that tasks share, outputs × inputs, the weight of the constant last where there is one.
    pub fn weights(&self) -> &[Matrix] {
        &self.weights
    }

    /// For every layer that tasks share: how many directions are used by tasks, and how many there are.
    pub fn capacity(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.directions.iter().map(|directions| (directions.rows(), directions.columns()))
    }

    /// Learns the next task.
    ///
    /// # Errors
    /// [`Error::Task`] for rows of another width, labels beyond the classes of a shared head, and fewer rows than samples;
    /// [`Error::Diverged`]; [`Error::Decomposition`]. The learner is then as it was.
    pub fn learn(&mut self, task: &Task) -> Result<(), Error> {
        self.check(task)?;
        let mut next = self.clone();
        next.begin(task);
        next.train(task)?;
        *self = next;
        Ok(())
    }

    /// Learns tasks that are all there at once, in batches of one task each.
    pub(super) fn learn_jointly(&mut self, tasks: &[Task]) -> Result<(), Error> {
        for task in tasks {
            self.check(task)?;
        }
        for task in tasks {
            self.begin(task);
            self.learned.push(Learned { name: task.name().into(), layers: Vec::new() });
        }
        let mut networks: Vec<Network> = (0..tasks.len()).map(|place| self.in_use(Some(place))).collect();
        let mut stream = Stream::new(self.parameters.seed, "cuber joint batches");
        let Parameters { epochs, batch, rate, .. } = self.parameters;
        let mut step = 0;
        for _ in 0..epochs {
            let mut batches: Vec<(usize, Vec<usize>)> = Vec::new();
            for (place, task) in tasks.iter().enumerate() {
                let order = stream.permutation(task.labels().len());
                batches.extend(order.chunks(batch).map(|rows| (place, rows.to_vec())));
            }
            stream.shuffle(&mut batches);
            for (place, rows) in batches {
                step += 1;
                let task = &tasks[place];
                for layer in 0..self.weights.len() {
                    networks[place].layers[layer].plain.clone_from(&self.weights[layer]);
                }
                let (rows, labels) = task.rows(&rows);
                let network = &networks[place];
                let (loss, gradients) = network.loss(network.first_inputs(rows), None, &labels);
                check_loss(task, step, loss)?;
                for (place, layer) in networks[place].layers.iter_mut().zip(&gradients).enumerate() {
                    layer.0.step(rate, layer.1);
                    if let Some(weights) = self.weights.get_mut(place) {
                        weights.clone_from(&layer.0.plain);
                    }
                }
            }
        }
        for (head, network) in self.heads.iter_mut().zip(&networks) {
            if let Some(last) = network.layers.last() {
                head.clone_from(&last.plain);
            }
        }
        Ok(())
    }

    /// Probabilities of classes for rows of a task: rows × classes. With a shared head, a task that is still to come is allowed.
    ///
    /// # Errors
    /// [`Error::Task`] for rows of another width, or a task that was not learned and has no head.
    pub fn predict(&self, task: usize, rows: &Matrix) -> Result<Matrix, Error> {
        let name =
            self.learned.get(task).map_or_else(|| format!("number {}", task + 1), |own| own.name.clone());
        let refuse = |problem, way_out| Err(Error::Task { task: name, problem, way_out });
        if rows.columns() != self.inputs {
            let problem =
                format!("its rows have {} inputs, but the network has {}", rows.columns(), self.inputs);
            return refuse(problem, "give the columns that the network was trained on");
        }
        if self.parameters.heads == Heads::Own && task >= self.heads.len() {
            let problem = format!("only {} tasks have been learned", self.learned.len());
            return refuse(problem, "learn it first");
        }
        Ok(self.in_use((task < self.learned.len()).then_some(task)).probabilities(rows))
    }

    /// Share of the rows of a task whose likeliest class is theirs.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub fn accuracy(&self, task: usize, rows: &Task) -> Result<f64, Error> {
        let probabilities = self.predict(task, rows.inputs())?;
        let right = rows
            .labels()
            .iter()
            .enumerate()
            .filter(|(row, label)| likeliest(probabilities.row(*row)) == **label);
        Ok(right.count() as f64 / rows.labels().len() as f64)
    }

    fn check(&self, task: &Task) -> Result<(), Error> {
        let refuse = |problem, way_out| Err(Error::Task { task: task.name().into(), problem, way_out });
        let (rows, width) = (task.inputs().rows(), task.inputs().columns());
        if width != self.inputs {
            let problem = format!("its rows have {width} inputs, but the network has {}", self.inputs);
            return refuse(problem, "all tasks need the same columns");
        }
        if self.parameters.heads == Heads::Shared && task.classes() > self.classes {
            let problem = format!(
                "it has label {}, but the shared head has {} classes",
                task.classes() - 1,
                self.classes
            );
            return refuse(problem, "give all classes from the start, or every task a head of its own");
        }
        if self.keeps() && rows < self.parameters.samples {
            let problem =
                format!("it has {rows} rows, but {} are wanted for its directions", self.parameters.samples);
            return refuse(problem, "give more rows, or begin with fewer samples");
        }
        Ok(())
    }

    /// Whether the strategy keeps directions.
    fn keeps(&self) -> bool {
        matches!(self.parameters.strategy, Strategy::Cuber | Strategy::Trgp | Strategy::Gpm)
    }

    fn begin(&mut self, task: &Task) {
        if self.parameters.heads == Heads::Own {
            let mut stream = Stream::new(self.parameters.seed, &format!("cuber head {}", self.heads.len()));
            let below = self.weights.last().map_or(0, Matrix::rows) + usize::from(self.parameters.bias);
            self.heads.push(initial(task.classes(), below, &mut stream));
        }
    }

    /// The network as a task uses it; without scales for a task that is not there yet.
    fn in_use(&self, task: Option<usize>) -> Network {
        let own = task.and_then(|task| self.learned.get(task));
        let layers =
            self.weights.iter().zip(&self.directions).enumerate().map(|(place, (weights, directions))| {
                match own.and_then(|own| own.layers.get(place)) {
                    Some(record) => Split::whole(&effective(weights, directions, &record.scaled)),
                    None => Split::whole(weights),
                }
            });
        let head = task.and_then(|task| self.heads.get(task)).map(Split::whole);
        Network { layers: layers.chain(head).collect(), bias: self.parameters.bias }
    }

    /// The network before the next task, whose head is there, is learned.
    fn in_training(&self) -> Network {
        let shared = self.weights.iter().zip(&self.directions);
        let layers = shared.map(|(weights, directions)| Split::new(weights, directions, Vec::new()));
        Network {
            layers: layers.chain(self.heads.last().map(Split::whole)).collect(),
            bias: self.parameters.bias,
        }
    }

    fn train(&mut self, task: &Task) -> Result<(), Error> {
        let place = self.learned.len();
        let mut network = self.in_training();
        let shared = self.weights.len();
        let mut stream = Stream::new(self.parameters.seed, &format!("cuber batches {place}"));
        let mut sample = stream.permutation(task.labels().len());
        sample.truncate(self.parameters.samples);
        let mut guards = Vec::new();
        if self.keeps() && place > 0 {
            let (inputs, labels) = task.rows(&sample);
            let (_, gradients) = network.loss(network.first_inputs(inputs), None, &labels);
            for layer in 0..shared {
                let earlier: Vec<Earlier<'_>> =
                    self.learned.iter().map(|own| own.layers[layer].earlier()).collect();
                let split = &mut network.layers[layer];
                let guard = Guard::new(&self.parameters, split, &gradients[layer], &earlier);
                let reused = guard.reused(&earlier).into_iter();
                split.scaled = reused.map(|(task, columns)| Scaled::new(task, columns.to_vec())).collect();
                guards.push(guard);
            }
        }
        let known = known_coordinates(task, &network);
        let mut step = 0;
        for _ in 0..self.parameters.epochs {
            for picked in stream.permutation(task.labels().len()).chunks(self.parameters.batch) {
                step += 1;
                let (inputs, labels) = task.rows(picked);
                let coordinates = known.as_ref().map(|known| rows(known, picked));
                let (loss, mut gradients) = network.loss(network.first_inputs(inputs), coordinates, &labels);
                check_loss(task, step, loss)?;
                for (layer, guard) in guards.iter_mut().enumerate() {
                    guard.restrain(&self.parameters, step, &mut gradients[layer]);
                }
                if let Some(elastic) = &self.elastic {
                    elastic.pull(self.parameters.elasticity, &network.layers, &mut gradients);
                }
                for (layer, gradient) in network.layers.iter_mut().zip(&gradients) {
                    layer.step(self.parameters.rate, gradient);
                }
                for (guard, layer) in guards.iter().zip(&mut network.layers) {
                    guard.shrink(&self.parameters, layer);
                }
            }
        }
        self.keep(task, &network, &sample, guards)
    }

    /// Takes over what was trained, and keeps what later tasks must know of it.
    fn keep(
        &mut self,
        task: &Task,
        network: &Network,
        sample: &[usize],
        guards: Vec<Guard>,
    ) -> Result<(), Error> {
        let place = self.learned.len();
        let mut layers = Vec::new();
        let mut directions = Vec::new();
        if self.keeps() {
            let (inputs, _) = task.rows(sample);
            let (_, tape) = network.forward(network.first_inputs(inputs), None);
            let gradients = mean_gradient(task, network);
            let mut relations = guards.into_iter().map(|guard| guard.relations);
            for (layer, gradient) in gradients.into_iter().take(self.weights.len()).enumerate() {
                let split = &network.layers[layer];
                let found = used(
                    &tape.inputs[layer],
                    &split.directions,
                    self.parameters.threshold(layer, place),
                    layer,
                )?;
                layers.push(Record {
                    columns: found.columns,
                    gradient: gradient.whole(&split.directions),
                    scaled: split.scaled.clone(),
                    relations: relations.next().unwrap_or_default(),
                });
                directions.push(found.directions);
            }
            self.directions = directions;
        }
        for (weights, layer) in self.weights.iter_mut().zip(&network.layers) {
            *weights = layer.weights();
        }
        if let (Some(head), Some(last)) = (self.heads.last_mut(), network.layers.last()) {
            head.clone_from(&last.plain);
        }
        if let Some(elastic) = &mut self.elastic {
            elastic.anchor(task, network);
        }
        self.learned.push(Learned { name: task.name().into(), layers });
        Ok(())
    }
}

impl Record {
    fn earlier(&self) -> Earlier<'_> {
        Earlier { columns: &self.columns, gradient: &self.gradient }
    }
}

/// Uniform within one over the root of the number of inputs.
fn initial(outputs: usize, inputs: usize, stream: &mut Stream) -> Matrix {
    let bound = 1.0 / (inputs as f64).sqrt();
    Matrix::from_fn(outputs, inputs, |_, _| bound * (2.0 * stream.uniform() - 1.0))
}

fn check_loss(task: &Task, step: usize, loss: f64) -> Result<(), Error> {
    if loss.is_finite() { Ok(()) } else { Err(Error::Diverged { task: task.name().into(), step, loss }) }
}

/// Coordinates of all rows of a task in the first layer, if they are few enough to be held.
fn known_coordinates(task: &Task, network: &Network) -> Option<Matrix> {
    let first = network.layers.first()?;
    let numbers = task.labels().len() * first.directions.rows();
    (1..=MOST_COORDINATES)
        .contains(&numbers)
        .then(|| first.coordinates(&network.first_inputs(task.inputs().clone())))
}

/// Over all rows of a task.
fn mean_gradient(task: &Task, network: &Network) -> Vec<Gradient> {
    let all: Vec<usize> = (0..task.labels().len()).collect();
    let mut sum: Option<Vec<Gradient>> = None;
    for rows in all.chunks(PIECE) {
        let share = rows.len() as f64 / all.len() as f64;
        let (inputs, labels) = task.rows(rows);
        let (_, gradients) = network.loss(network.first_inputs(inputs), None, &labels);
        let target = sum.get_or_insert_with(|| {
            let zero = |matrix: &Matrix| Matrix::zeros(matrix.rows(), matrix.columns());
            let empty = |own: &Gradient| Gradient {
                plain: zero(&own.plain),
                excess: zero(&own.excess),
                inside: zero(&own.inside),
                scales: Vec::new(),
                inputs: None,
            };
            gradients.iter().map(empty).collect()
        });
        for (target, own) in target.iter_mut().zip(&gradients) {
            add(&mut target.plain, share, &own.plain);
            add(&mut target.excess, share, &own.excess);
            add(&mut target.inside, share, &own.inside);
        }
    }
    sum.unwrap_or_default()
}

/// The first of the largest.
fn likeliest(probabilities: &[f64]) -> usize {
    let better =
        |best: usize, class: usize| if probabilities[class] > probabilities[best] { class } else { best };
    (1..probabilities.len()).fold(0, better)
}
