//! The study of `negative-eigenvalues`: do linear recurrences follow a state once their eigenvalues may be negative?
//!
//! Four tasks, all generated: the parity of bits, the order of three and of four things after swaps, and counting modulo 3. Every arm is one
//! layer of width 16 without convolution and without a feed-forward part between a table of tokens and a linear head, all with the same
//! batches of the same seed; every position of a sequence has its label in training. What is judged is the last position of sequences, mostly
//! longer than any in training, so that no table of short prefixes and no window of last tokens helps.

mod claims;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_kernels::delta::{self, Inputs, Sizes};
use backstitch_nn::Tracker;
use backstitch_numerics::Stream;
use backstitch_sequence::negative_eigenvalues::sequences::Vocabulary;
use backstitch_sequence::negative_eigenvalues::tasks::{Example, Group, Sampler, Task};
use backstitch_sequence::negative_eigenvalues::{
    Eigenvalues, Mixer, Model, NegativeEigenvalues, Parameters, Stepper, batch_of,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::training::train_with;
use claims::{ARMS, CHUNKS, CLAIMS, COUNT, METRICS, PARITY, S3, S4};

/// The study.
pub static STUDY: Study = Study {
    method: "negative-eigenvalues",
    history: &["first version"],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 5,
    data: &[],
    configuration,
    cells,
    run,
};

/// Sequences of so many tokens tell whether an arm learned anything at all.
const SHORT: usize = 4;
/// Eigenvalues this near −1, 0 and 1 are taken as these.
const SNAP: f64 = 0.05;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// The network and its training; mixer, eigenvalues, householders, steps and seed are the cell's.
    network: Parameters,
    /// Training steps by task.
    parity_steps: u64,
    group_steps: u64,
    count_steps: u64,
    /// Longest training sequence of parity and counting.
    longest: usize,
    /// Longest training sequence of groups.
    group_longest: usize,
    /// Lengths that are judged.
    parity_long: usize,
    group_long: usize,
    count_long: usize,
    /// The length of the horizon.
    far: usize,
    /// Test sequences per length.
    tests: usize,
    /// Steps of the identity.
    identity_length: usize,
    /// Steps between checkpoints.
    checkpoint_every: u64,
}

fn configuration(scale: Scale) -> Value {
    let quick = Configuration {
        network: Parameters { width: 16, heads: 2, states: 1, feed: 0, ..Parameters::default() },
        parity_steps: 600,
        group_steps: 800,
        count_steps: 800,
        longest: 40,
        group_longest: 16,
        parity_long: 128,
        group_long: 64,
        count_long: 80,
        far: 256,
        tests: 512,
        identity_length: 1000,
        checkpoint_every: 400,
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            network: Parameters { width: 8, batch: 8, ..quick.network },
            parity_steps: 6,
            group_steps: 6,
            count_steps: 6,
            tests: 8,
            identity_length: 100,
            checkpoint_every: 3,
            ..quick
        },
        Scale::Quick => quick,
        Scale::Paper => Configuration {
            network: Parameters {
                width: 128,
                layers: 2,
                heads: 4,
                states: 16,
                convolution: 4,
                batch: 256,
                learning_rate: 1e-3,
                ..quick.network
            },
            parity_steps: 20_000,
            group_steps: 100_000,
            count_steps: 20_000,
            group_longest: 32,
            parity_long: 256,
            group_long: 500,
            count_long: 256,
            far: 1000,
            tests: 8192,
            checkpoint_every: 1000,
            ..quick
        },
    })
}

fn arms_of(setting: &str) -> &'static [&'static str] {
    match setting {
        PARITY => &[
            "delta-signed",
            "diagonal-signed",
            "delta-positive",
            "diagonal-positive",
            "delta-short",
            "diagonal-short",
            "attention",
            "gru",
            "shuffled",
        ],
        COUNT => &["two-reflections", "one-reflection", "diagonal-signed", "gru"],
        CHUNKS => &["chunks", "forgetful"],
        _ => &["delta-signed", "delta-positive", "gru", "shuffled"],
    }
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    configuration.check()?;
    let mut cells = Vec::new();
    for &seed in seeds {
        for setting in [PARITY, S3, S4, COUNT, CHUNKS] {
            cells.extend(arms_of(setting).iter().map(|arm| Cell::new(arm, setting, seed)));
        }
    }
    Ok(cells)
}

/// One task of a cell.
struct Setting {
    task: Task,
    steps: u64,
    /// Longest training sequence.
    longest: usize,
    long: usize,
}

impl Configuration {
    fn check(&self) -> Result<(), String> {
        self.network.validate().map_err(|error| error.to_string())?;
        for (name, value) in [
            ("parity_steps", self.parity_steps),
            ("group_steps", self.group_steps),
            ("count_steps", self.count_steps),
            ("checkpoint_every", self.checkpoint_every),
            ("tests", self.tests as u64),
            ("identity_length", self.identity_length as u64),
            ("far", self.far as u64),
        ] {
            if value == 0 {
                return Err(format!("{name} is 0, but must be at least 1"));
            }
        }
        for (name, long, longest) in [
            ("parity_long", self.parity_long, self.longest),
            ("count_long", self.count_long, self.longest),
            ("group_long", self.group_long, self.group_longest),
        ] {
            if longest < SHORT || long <= longest {
                return Err(format!(
                    "{name} is {long}, but must be above the longest training sequence, which is {longest} and must be at least {SHORT}"
                ));
            }
        }
        Ok(())
    }

    fn setting(&self, name: &str) -> Setting {
        let group = |group| Setting {
            task: Task::Group { group, swaps: true },
            steps: self.group_steps,
            longest: self.group_longest,
            long: self.group_long,
        };
        match name {
            S3 => group(Group::S3),
            S4 => group(Group::S4),
            COUNT => Setting {
                task: Task::Count(3),
                steps: self.count_steps,
                longest: self.longest,
                long: self.count_long,
            },
            _ => Setting {
                task: Task::Parity,
                steps: self.parity_steps,
                longest: self.longest,
                long: self.parity_long,
            },
        }
    }

    fn of_arm(&self, cell: &Cell, steps: u64) -> Parameters {
        let shared = Parameters { steps, seed: cell.seed, ..self.network };
        let of = |mixer, eigenvalues, householders| Parameters { mixer, eigenvalues, householders, ..shared };
        match cell.arm.as_str() {
            "delta-positive" | "delta-short" => of(Mixer::Delta, Eigenvalues::Positive, 1),
            "diagonal-positive" | "diagonal-short" => of(Mixer::Diagonal, Eigenvalues::Positive, 1),
            "diagonal-signed" => of(Mixer::Diagonal, Eigenvalues::Signed, 1),
            "two-reflections" => of(Mixer::Delta, Eigenvalues::Signed, 2),
            "attention" => of(Mixer::Attention, Eigenvalues::Signed, 1),
            "gru" => of(Mixer::Gru, Eigenvalues::Signed, 1),
            _ => of(Mixer::Delta, Eigenvalues::Signed, 1),
        }
    }
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    if cell.setting == CHUNKS {
        let residual = identity(cell, configuration.identity_length);
        context.observe("residual", residual);
        return Ok(());
    }
    let Setting { task, steps, longest, long } = configuration.setting(&cell.setting);
    let parameters = configuration.of_arm(cell, steps);
    let sampler = task.sampler().map_err(CellError::new)?;
    let vocabulary = Vocabulary { tokens: task.tokens(), labels: task.labels() };
    let method = NegativeEigenvalues::new(parameters).map_err(CellError::new)?;
    let trainer = method.trainer(&vocabulary).map_err(CellError::new)?;
    let network = *trainer.model().config();
    let longest_learned = if cell.arm.ends_with("-short") { SHORT } else { longest };
    let batch = |step: u64| {
        let mut stream = Stream::new(cell.seed, &format!("negative-eigenvalues study batch {step}"));
        let mut draw = || {
            let length = 1 + stream.below(longest_learned);
            let mut example = sampler.draw(length, &mut stream);
            if cell.arm == "shuffled" {
                example.labels.fill_with(|| Some(stream.below(network.classes) as u32));
            }
            example
        };
        let examples: Vec<Example> = (0..parameters.batch).map(|_| draw()).collect();
        batch_of(&examples, &network)
    };
    let every = configuration.checkpoint_every;
    let trained = train_with(context, trainer, every, batch, Tracker::loss, |batch| batch.targets_count())?;
    let lengths = [("short", SHORT), ("trained", longest), ("long", long), ("far", configuration.far)];
    let Some(tracker) = trained else {
        for (metric, _) in lengths {
            context.observe_diverged(metric);
        }
        return Ok(());
    };
    let model = Model::new(tracker, vocabulary).map_err(CellError::new)?;
    for (metric, length) in lengths {
        let examples = tests(cell.seed, &sampler, length, configuration.tests, metric == "short");
        let accuracy = model.accuracy(&examples).map_err(CellError::new)?;
        context.observe(metric, accuracy.unwrap_or(f64::NAN));
    }
    if model.mixer() != Mixer::Attention {
        let examples = tests(cell.seed, &sampler, configuration.far, configuration.tests, false);
        context.observe("snapped", snapped(&model, &examples).map_err(CellError::new)?);
    }
    Ok(())
}

/// Test sequences of one length, labelled at their last position or at all.
fn tests(seed: u64, sampler: &Sampler, length: usize, count: usize, all: bool) -> Vec<Example> {
    let mut stream = Stream::new(seed, &format!("negative-eigenvalues study test {length}"));
    let draw = |_| {
        let example = sampler.draw(length, &mut stream);
        if all { example } else { example.last_only() }
    };
    (0..count).map(draw).collect()
}

/// The share of last positions that are right when the eigenvalues are snapped.
fn snapped(model: &Model, examples: &[Example]) -> Result<f64, backstitch_sequence::Error> {
    let beginning = Stepper::new(model, SNAP)?;
    let mut right = 0;
    for example in examples {
        let (mut stepper, mut last) = (beginning.clone(), None);
        for &token in &example.tokens {
            last = Some(stepper.step(token)?.label as u32);
        }
        right += usize::from(last == example.labels.last().copied().flatten());
    }
    Ok(right as f64 / examples.len() as f64)
}

/// The largest difference between chunks and steps, over the largest output.
fn identity(cell: &Cell, length: usize) -> f64 {
    let width = 16;
    let sizes = Sizes { batch: 1, length, heads: 2, key: width, value: width, chunk: delta::CHUNK };
    let steps = length * sizes.heads;
    let mut stream = Stream::new(cell.seed, "negative-eigenvalues study identity");
    let mut normal = |count: usize| (0..count).map(|_| stream.normal()).collect::<Vec<f64>>();
    let (query, mut key, value) = (normal(steps * width), normal(steps * width), normal(steps * width));
    for key in key.chunks_exact_mut(width) {
        let norm = key.iter().map(|x| x * x).sum::<f64>().sqrt();
        key.iter_mut().for_each(|x| *x /= norm);
    }
    let beta: Vec<f64> = (0..steps).map(|_| 2.0 * stream.uniform()).collect();
    let inputs = Inputs { query: &query, key: &key, value: &value, beta: &beta };
    let (mut by_steps, mut by_chunks) = (vec![0.0; value.len()], vec![0.0; value.len()]);
    delta::recurrence(inputs, sizes, &mut by_steps);
    if cell.arm == "forgetful" {
        let row = sizes.heads * width;
        for from in (0..length).step_by(sizes.chunk) {
            let to = (from + sizes.chunk).min(length);
            let (rows, betas) = (from * row..to * row, from * sizes.heads..to * sizes.heads);
            let part = Inputs {
                query: &query[rows.clone()],
                key: &key[rows.clone()],
                value: &value[rows.clone()],
                beta: &beta[betas],
            };
            delta::forward(part, Sizes { length: to - from, ..sizes }, &mut by_chunks[rows]);
        }
    } else {
        delta::forward(inputs, sizes, &mut by_chunks);
    }
    let largest = by_steps.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    let apart = by_steps.iter().zip(&by_chunks).map(|(a, b)| (a - b).abs());
    apart.fold(0.0, f64::max) / largest
}
