//! The study of `weight-matching`: does a permutation of hidden units remove the barrier between networks trained apart, and is it
//! the distance of the weights that explains it, or the alignment of singular vectors?
//!
//! Each seed trains three perceptrons on 8 × 8 digits in place of MNIST, from different initial weights and batches, by Adam. Every arm
//! permutes the second towards the first, and the third too; losses are on test rows. No arm has anything to tune.

mod claims;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_data::embedded::DIGITS as TABLE;
use backstitch_networks::lipschitz::Activation;
use backstitch_networks::weight_matching::{
    Checkpoint, Data, Layers, Matching, Parameters, Specification, WeightMatching,
};
use backstitch_numerics::mlp::{Activation as Between, Mlp, Training, train};
use backstitch_numerics::{Matrix, Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use claims::{ARMS, CLAIMS, METRICS};

/// The study.
pub static STUDY: Study = Study {
    method: "weight-matching",
    history: &["first version"],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 6,
    data: &[],
    configuration,
    cells,
    run,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Hidden units of every hidden layer, and how many of those.
    width: usize,
    hidden: usize,
    /// Training rows; the others are for testing.
    rows: usize,
    epochs: usize,
    batch: usize,
    rate: f64,
    /// Of the straight-through estimator.
    estimator_epochs: usize,
    estimator_batch: usize,
    estimator_rate: f64,
}

fn configuration(scale: Scale) -> Value {
    let quick = Configuration {
        width: 256,
        hidden: 2,
        rows: 1_400,
        epochs: 15,
        batch: 64,
        rate: 1e-3,
        estimator_epochs: 8,
        estimator_batch: 128,
        estimator_rate: 1e-2,
    };
    json!(match scale {
        Scale::Smoke => Configuration { width: 16, rows: 300, epochs: 2, estimator_epochs: 1, ..quick },
        Scale::Quick => quick,
        Scale::Paper => Configuration { width: 512, hidden: 3, epochs: 30, estimator_epochs: 30, ..quick },
    })
}

const MATCHED: &[&str] = &[
    "none",
    "weights",
    "activations",
    "straight-through",
    "random",
    "copy",
    "random-copy",
    "near",
    "near-copy",
    "weights-again",
];

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    configuration.check()?;
    let mut cells = Vec::new();
    for &seed in seeds {
        cells.push(Cell::new("network", "digits", seed));
        cells.extend(MATCHED.iter().map(|arm| Cell::new(arm, "digits", seed).needing("network")));
    }
    Ok(cells)
}

impl Configuration {
    fn check(&self) -> Result<(), String> {
        for (name, value) in [
            ("width", self.width),
            ("hidden", self.hidden),
            ("batch", self.batch),
            ("estimator_epochs", self.estimator_epochs),
            ("estimator_batch", self.estimator_batch),
        ] {
            if value == 0 {
                return Err(format!("{name} is 0, but must be at least 1"));
            }
        }
        if !(10..=1_700).contains(&self.rows) {
            return Err(format!("rows is {}, but must be from 10 to 1700 of the 1797 digits", self.rows));
        }
        for (name, value) in [("rate", self.rate), ("estimator_rate", self.estimator_rate)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(format!("{name} is {value}, but must be positive and finite"));
            }
        }
        Ok(())
    }

    /// Training rows and test rows.
    fn data(&self, seed: u64) -> Result<(Data, Data), CellError> {
        let table = TABLE.table().map_err(CellError::new)?.values;
        let order = Stream::new(seed, "weight matching study rows").permutation(table.rows());
        let pixels = table.columns() - 1;
        let part = |rows: &[usize]| {
            let inputs = Matrix::from_fn(rows.len(), pixels, |row, pixel| table[(rows[row], pixel)] / 16.0);
            Data::new(inputs, rows.iter().map(|&row| table[(row, pixels)]).collect()).map_err(CellError::new)
        };
        Ok((part(&order[..self.rows])?, part(&order[self.rows..])?))
    }

    fn train(&self, data: &Data, name: &str, seed: u64) -> Result<Checkpoint, CellError> {
        let mut stream = Stream::new(seed, &format!("weight matching study network {name}"));
        let mut widths = vec![data.inputs().columns()];
        widths.extend(vec![self.width; self.hidden]);
        widths.push(10);
        let mut network = Mlp::new(&widths, Between::Relu, &mut stream).map_err(CellError::new)?;
        let Self { batch, epochs, rate, .. } = *self;
        let options = Training { batch, epochs, learning_rate: rate, final_learning_rate: rate };
        train(&mut network, data.inputs(), &options, &mut stream, |rows, outputs, gradients| {
            let (loss, found) = data.loss_of(rows, outputs);
            *gradients = found;
            loss
        });
        let mut weights = Checkpoint::default();
        for (place, layer) in network.layers.iter().enumerate() {
            let shape = [layer.weights.rows(), layer.weights.columns()];
            weights
                .insert(&format!("{place}.weight"), &shape, layer.weights.values().to_vec())
                .map_err(CellError::new)?;
            weights
                .insert(&format!("{place}.bias"), &shape[..1], layer.biases.clone())
                .map_err(CellError::new)?;
        }
        Ok(weights)
    }
}

/// Names of the three networks: what the others are matched to, and those.
const NETWORKS: [&str; 3] = ["a", "b", "c"];

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    let (training, test) = configuration.data(cell.seed)?;
    if cell.arm == "network" {
        let mut accuracy = 0.0;
        for name in NETWORKS {
            let network = configuration.train(&training, name, cell.seed)?;
            let layers = layers(&network)?;
            accuracy += layers.score(&network, &test).map_err(CellError::new)?.accuracy.unwrap_or(0.0) / 3.0;
            context.artifact(&format!("{name}.safetensors"), &network.write().map_err(CellError::new)?)?;
        }
        context.observe("accuracy", accuracy);
        return Ok(());
    }
    let read = |name: &str| -> Result<Checkpoint, CellError> {
        Checkpoint::read(&context.read_need("network", &format!("{name}.safetensors"))?)
            .map_err(CellError::new)
    };
    let [one, mut second, third] = [read("a")?, read("b")?, read("c")?];
    let search = Search { cell, configuration: &configuration, layers: layers(&one)?, training: &training };
    let specification = search.layers.specification(&one).map_err(CellError::new)?;
    let arm = cell.arm.as_str();
    let is_copy = arm == "copy" || arm == "random-copy";
    if is_copy {
        second = one.clone();
    }
    if arm == "near" || arm == "near-copy" {
        second = one.combined(0.99, &[(0.01, &second)]).map_err(CellError::new)?;
    }
    if is_copy || arm == "near-copy" {
        let orders = random(&specification, cell.seed, "copy");
        second = specification.apply(&orders, &second).map_err(CellError::new)?;
    }
    let layers = &search.layers;
    let found = search.matched(&specification, &one, &second, "second")?;
    let barrier = |one: &Checkpoint, other: &Checkpoint| {
        layers.barrier(one, other, training.inputs(), &test).map_err(CellError::new)
    };
    let before = barrier(&one, &read("b")?)?.loss;
    let between = barrier(&one, &found.permuted)?;
    context.observe("barrier", between.loss);
    context.observe("barrier_share", between.loss / before);
    context.observe("reduction", found.reduction());
    let alignment = |orders: &[Vec<usize>], other: &Checkpoint| {
        let found = specification.alignments(orders, &one, other, &[0.3]).map_err(CellError::new)?;
        Ok::<f64, CellError>(found[0].after)
    };
    let own = alignment(&found.orders, &second)?;
    context.observe("alignment", own);
    if is_copy {
        let middle = one.combined(0.5, &[(0.5, &found.permuted)]).map_err(CellError::new)?;
        let outputs = |weights: &Checkpoint| layers.outputs(weights, test.inputs()).map_err(CellError::new);
        let (middle, ends) = (outputs(&middle)?, outputs(&one)?);
        let pairs = middle.values().iter().zip(ends.values());
        context.observe("copy_gap", pairs.fold(0.0, |most: f64, (one, other)| most.max((one - other).abs())));
        return Ok(());
    }
    let by_weights = search.by_weights(&specification, &one, &second)?;
    context.observe("alignment_share", own / alignment(&by_weights.orders, &second)?);
    let half = between.points[between.points.len() / 2].1.loss;
    let ends = (between.points[0].1.loss + between.points[between.points.len() - 1].1.loss) / 2.0;
    let estimate = layers.taylor_estimate(&one, &found.permuted, &test).map_err(CellError::new)?;
    context.observe("taylor_miss", (estimate - (half - ends)).abs() / before);
    let other = search.matched(&specification, &one, &third, "third")?;
    // A barrier below a millionth of a nat is none.
    context.observe("log_third", barrier(&found.permuted, &other.permuted)?.loss.max(1e-6).ln());
    Ok(())
}

fn layers(weights: &Checkpoint) -> Result<Layers, CellError> {
    let found = Layers::found(weights, Activation::Relu).map_err(CellError::new)?;
    found.ok_or_else(|| CellError::new("the network is no chain of dense layers"))
}

fn random(specification: &Specification, seed: u64, purpose: &str) -> Vec<Vec<usize>> {
    let mut stream = Stream::new(seed, &format!("weight matching study {purpose}"));
    specification.permutations().iter().map(|own| stream.permutation(own.units)).collect()
}

struct Search<'a> {
    cell: &'a Cell,
    configuration: &'a Configuration,
    layers: Layers,
    training: &'a Data,
}

impl Search<'_> {
    /// What the arm permutes the other network by.
    fn matched(
        &self,
        specification: &Specification,
        one: &Checkpoint,
        other: &Checkpoint,
        purpose: &str,
    ) -> Result<Matching, CellError> {
        let given = |orders| Matching::given(specification, one, other, orders);
        let found = match self.cell.arm.as_str() {
            "weights" | "copy" | "near-copy" => return self.by_weights(specification, one, other),
            // The seed of a matching is the order in which it goes through the layers.
            "weights-again" => self.method(!self.cell.seed)?.weights(specification, one, other),
            "activations" => self.own()?.activations(&self.layers, one, other, self.training.inputs()),
            "straight-through" => self.own()?.straight_through(&self.layers, one, other, self.training),
            "random" | "random-copy" => given(random(specification, self.cell.seed, purpose)),
            _ => given(specification.permutations().iter().map(|own| (0..own.units).collect()).collect()),
        };
        found.map_err(CellError::new)
    }

    fn by_weights(
        &self,
        specification: &Specification,
        one: &Checkpoint,
        other: &Checkpoint,
    ) -> Result<Matching, CellError> {
        self.own()?.weights(specification, one, other).map_err(CellError::new)
    }

    fn own(&self) -> Result<WeightMatching, CellError> {
        self.method(self.cell.seed)
    }

    fn method(&self, seed: u64) -> Result<WeightMatching, CellError> {
        let Configuration { estimator_epochs, estimator_batch, estimator_rate, .. } = *self.configuration;
        let parameters = Parameters {
            seed,
            epochs: estimator_epochs,
            batch: estimator_batch,
            rate: estimator_rate,
            ..Parameters::default()
        };
        WeightMatching::new(parameters).map_err(CellError::new)
    }
}
