//! One token at a time: constant memory, constant time per token.

use std::collections::BTreeMap;

use backstitch_kernels::{Real, delta, linear};
use backstitch_nn::{Eigenvalues, KEY_EPSILON, Mixer, NamedTensor, TrackerConfig, named_parameters};

use super::model::{Model, Prediction, decide};
use crate::Error;

/// Added to mean squares, as in the network.
const EPSILON: f32 = 1e-6;

/// A model that reads a sequence token by token. It holds one state per layer, whatever the length.
#[derive(Clone, Debug)]
pub struct Stepper {
    config: TrackerConfig,
    tokens: Vec<f32>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Dense,
    /// Eigenvalues this near −1, 0 or 1 are taken as exactly that.
    snap: f32,
    hidden: Vec<f32>,
    logits: Vec<f32>,
}

/// `x W + b`.
#[derive(Clone, Debug)]
struct Dense {
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
    output: Vec<f32>,
}

impl Dense {
    fn run(&mut self, x: &[f32]) -> &[f32] {
        linear::row(x, &self.weight, self.bias.as_deref(), &mut self.output);
        &self.output
    }
}

#[derive(Clone, Debug)]
struct Layer {
    norm: Vec<f32>,
    mixer: State,
    feed: Option<(Vec<f32>, Dense, Dense)>,
}

#[derive(Clone, Debug)]
enum State {
    Delta(Box<DeltaState>),
    Diagonal(Box<DiagonalState>),
    Gru { input: Dense, recurrent: Dense, hidden: Vec<f32> },
}

#[derive(Clone, Debug)]
struct DeltaState {
    query: Dense,
    key: Dense,
    value: Dense,
    beta: Dense,
    convolutions: Option<[Window; 3]>,
    norm: Vec<f32>,
    output: Dense,
    /// `M` `[heads, key, value]`.
    memory: Vec<f32>,
    read: Vec<f32>,
    /// `1 − β`, `[steps, heads]`.
    eigenvalues: Vec<f32>,
}

#[derive(Clone, Debug)]
struct DiagonalState {
    input: Dense,
    gate: Dense,
    convolution: Option<Window>,
    delta: Dense,
    write: Dense,
    read: Dense,
    /// `eʷ`.
    rate: Vec<f32>,
    skip: Vec<f32>,
    output: Dense,
    /// `[width, states]`.
    memory: Vec<f32>,
    eigenvalues: Vec<f32>,
}

/// The last inputs of a short convolution, oldest first.
#[derive(Clone, Debug)]
struct Window {
    weight: Vec<f32>,
    seen: Vec<f32>,
}

impl Window {
    /// Takes a row in, and puts the convolution of the last rows in its place, through SiLU.
    fn slide(&mut self, row: &mut [f32]) {
        let width = row.len();
        self.seen.copy_within(width.., 0);
        let last = self.seen.len() - width;
        self.seen[last..].copy_from_slice(row);
        row.fill(0.0);
        for (seen, weight) in self.seen.chunks_exact(width).zip(self.weight.chunks_exact(width)) {
            for ((sum, &seen), &weight) in row.iter_mut().zip(seen).zip(weight) {
                *sum += seen * weight;
            }
        }
        row.iter_mut().for_each(|x| *x = silu(*x));
    }
}

impl Stepper {
    /// Reads from the beginning. With `snap` above 0, eigenvalues that near −1, 0 or 1 are taken as exactly that, so that what was
    /// learned nearly exactly does not fade over long sequences.
    ///
    /// # Errors
    /// If the model is one of attention, which has no state of constant size, or `snap` is not in [0, 0.5).
    pub fn new(model: &Model, snap: f64) -> Result<Self, Error> {
        if !(0.0..0.5).contains(&snap) {
            return Err(Error::Parameter {
                name: "snap",
                value: snap.to_string(),
                allowed: "from 0 to below 0.5",
                way_out: "0 takes eigenvalues as they are, 0.05 is usual",
            });
        }
        let config = *model.tracker().config();
        if config.mixer == Mixer::Attention {
            return Err(Error::Parameter {
                name: "mixer",
                value: "attention".into(),
                allowed: "delta, diagonal or gru to read token by token",
                way_out: "attention keeps all tokens; ask for whole sequences by predict",
            });
        }
        let mut weights = Weights { named: named_parameters(model.tracker()) };
        let layers = (0..config.layers).map(|at| weights.layer(&format!("blocks.{at}"), &config));
        let layers = layers.collect::<Result<_, _>>()?;
        let mut stepper = Self {
            config,
            tokens: weights.take("tokens.weight")?,
            layers,
            norm: weights.take("norm.weight")?,
            head: weights.dense("head")?,
            snap: snap as f32,
            hidden: Vec::new(),
            logits: vec![0.0; config.classes],
        };
        stepper.read(config.vocabulary);
        Ok(stepper)
    }

    /// Reads one token and labels its position.
    ///
    /// # Errors
    /// If the model does not know the token.
    pub fn step(&mut self, token: u32) -> Result<Prediction, Error> {
        if token as usize >= self.config.vocabulary {
            let (vocabulary, token) = (self.config.vocabulary, token);
            return Err(backstitch_nn::NnError::UnknownToken { token, vocabulary }.into());
        }
        self.read(token as usize);
        Ok(decide(&self.logits))
    }

    /// The logits of the position read last.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// The eigenvalues of the last token's state transitions, layer by layer: `1 − β` of every step and head of a delta layer, the
    /// factors of all states of a diagonal one.
    pub fn eigenvalues(&self) -> impl Iterator<Item = &[f32]> {
        self.layers.iter().map(|layer| match &layer.mixer {
            State::Delta(state) => state.eigenvalues.as_slice(),
            State::Diagonal(state) => state.eigenvalues.as_slice(),
            State::Gru { .. } => &[],
        })
    }

    /// Numbers that the states hold, whatever the length of the sequence.
    pub fn state_size(&self) -> usize {
        let size = |layer: &Layer| match &layer.mixer {
            State::Delta(state) => {
                let windows = state.convolutions.iter().flatten().map(|own| own.seen.len());
                state.memory.len() + windows.sum::<usize>()
            }
            State::Diagonal(state) => {
                state.memory.len() + state.convolution.as_ref().map_or(0, |own| own.seen.len())
            }
            State::Gru { hidden, .. } => hidden.len(),
        };
        self.layers.iter().map(size).sum()
    }

    fn read(&mut self, token: usize) {
        let Self { config, hidden, .. } = self;
        let width = config.width;
        hidden.clear();
        hidden.extend_from_slice(&self.tokens[token * width..(token + 1) * width]);
        for layer in &mut self.layers {
            let normed = normed(hidden, &layer.norm);
            let mixed = match &mut layer.mixer {
                State::Delta(state) => state.step(&normed, config, self.snap),
                State::Diagonal(state) => state.step(&normed, config, self.snap),
                State::Gru { input, recurrent, hidden } => {
                    gru_step(input.run(&normed), recurrent.run(hidden), hidden);
                    hidden
                }
            };
            hidden.iter_mut().zip(mixed).for_each(|(x, &y)| *x += y);
            if let Some((norm, up, down)) = &mut layer.feed {
                let x = self::normed(hidden, norm);
                let inner: Vec<f32> = up.run(&x).iter().map(|&x| gelu(x)).collect();
                hidden.iter_mut().zip(down.run(&inner)).for_each(|(x, &y)| *x += y);
            }
        }
        let last = normed(hidden, &self.norm);
        self.logits.copy_from_slice(self.head.run(&last));
    }
}

impl DeltaState {
    fn step(&mut self, x: &[f32], config: &TrackerConfig, snap: f32) -> &[f32] {
        let (heads, wide) = (config.heads, config.width / config.heads);
        let inner = heads * wide;
        self.query.run(x);
        self.key.run(x);
        self.value.run(x);
        if let Some([query, key, value]) = &mut self.convolutions {
            query.slide(&mut self.query.output);
            key.slide(&mut self.key.output);
            value.slide(&mut self.value.output);
        }
        self.query.output.chunks_exact_mut(wide).for_each(unit);
        self.key.output.chunks_exact_mut(wide).for_each(unit);
        let range = if config.eigenvalues == Eigenvalues::Signed { 2.0 } else { 1.0 };
        for (eigenvalue, &beta) in self.eigenvalues.iter_mut().zip(self.beta.run(x)) {
            *eigenvalue = snapped(1.0 - range * beta.logistic(), snap);
        }
        for step in 0..config.householders {
            for head in 0..heads {
                let at = step * inner + head * wide;
                let (key, value) = (&self.key.output[at..at + wide], &self.value.output[at..at + wide]);
                let beta = 1.0 - self.eigenvalues[step * heads + head];
                let memory = &mut self.memory[head * wide * wide..(head + 1) * wide * wide];
                let read = &mut self.read[head * wide..(head + 1) * wide];
                if step + 1 == config.householders {
                    let query = &self.query.output[head * wide..(head + 1) * wide];
                    delta::step(query, key, value, beta, memory, read);
                    let length = normalised(read, EPSILON);
                    read.iter_mut().zip(&self.norm).for_each(|(x, &by)| *x *= length * by);
                } else {
                    delta::advance(key, value, beta, memory, read);
                }
            }
        }
        self.output.run(&self.read)
    }
}

impl DiagonalState {
    fn step(&mut self, x: &[f32], config: &TrackerConfig, snap: f32) -> &[f32] {
        self.gate.run(x);
        self.input.run(x);
        if let Some(window) = &mut self.convolution {
            window.slide(&mut self.input.output);
        }
        let u = &self.input.output;
        self.delta.run(u);
        self.write.run(u);
        self.read.run(u);
        let (states, signed) = (config.states, config.eigenvalues == Eigenvalues::Signed);
        let mut out = Vec::with_capacity(u.len());
        for (channel, &u) in u.iter().enumerate() {
            let delta = softplus(self.delta.output[channel]);
            let mut sum = u * self.skip[channel];
            for state in 0..states {
                let at = channel * states + state;
                let plain = (-delta * self.rate[at]).exponential();
                let factor = snapped(if signed { 2.0 * plain - 1.0 } else { plain }, snap);
                self.eigenvalues[at] = factor;
                self.memory[at] = factor * self.memory[at] + delta * u * self.write.output[state];
                sum += self.memory[at] * self.read.output[state];
            }
            out.push(sum * silu(self.gate.output[channel]));
        }
        self.output.run(&out)
    }
}

fn gru_step(a: &[f32], b: &[f32], hidden: &mut [f32]) {
    let width = hidden.len();
    for at in 0..width {
        let reset = (a[at] + b[at]).logistic();
        let update = (a[width + at] + b[width + at]).logistic();
        let new = (a[2 * width + at] + reset * b[2 * width + at]).hyperbolic_tangent();
        hidden[at] = new + update * (hidden[at] - new);
    }
}

fn snapped(eigenvalue: f32, snap: f32) -> f32 {
    let nearest = eigenvalue.round();
    if (eigenvalue - nearest).abs() <= snap { nearest } else { eigenvalue }
}

fn silu(x: f32) -> f32 {
    x * x.logistic()
}

/// GELU by the hyperbolic tangent.
fn gelu(x: f32) -> f32 {
    let inner = std::f32::consts::FRAC_2_PI.sqrt() * (x + 0.044_715 * x * x * x);
    0.5 * x * (1.0 + inner.hyperbolic_tangent())
}

fn softplus(x: f32) -> f32 {
    if x > 20.0 { x } else { x.exp().ln_1p() }
}

/// `1 / √(mean square + ε)`.
fn normalised(x: &[f32], epsilon: f32) -> f32 {
    let mean = x.iter().map(|x| x * x).sum::<f32>() / x.len().max(1) as f32;
    1.0 / (mean + epsilon).sqrt()
}

fn normed(x: &[f32], weight: &[f32]) -> Vec<f32> {
    let length = normalised(x, EPSILON);
    x.iter().zip(weight).map(|(x, by)| x * length * by).collect()
}

fn unit(x: &mut [f32]) {
    let square = x.iter().map(|x| x * x).sum::<f32>();
    let length = 1.0 / (square + KEY_EPSILON as f32).sqrt();
    x.iter_mut().for_each(|x| *x *= length);
}

/// The weights of a network, taken by name.
struct Weights {
    named: BTreeMap<String, NamedTensor>,
}

impl Weights {
    fn take(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        let found = self.named.remove(name).map(|tensor| tensor.values);
        found.ok_or_else(|| Error::data(format!("the model has no weight `{name}`"), "fit it anew"))
    }

    fn dense(&mut self, name: &str) -> Result<Dense, Error> {
        let outputs = self.named.get(&format!("{name}.weight")).map_or(0, |own| own.shape[1]);
        let weight = self.take(&format!("{name}.weight"))?;
        let bias = self.take(&format!("{name}.bias")).ok();
        Ok(Dense { weight, bias, output: vec![0.0; outputs] })
    }

    fn window(&mut self, name: &str) -> Result<Window, Error> {
        let weight = self.take(&format!("{name}.weight"))?;
        Ok(Window { seen: vec![0.0; weight.len()], weight })
    }

    fn layer(&mut self, name: &str, config: &TrackerConfig) -> Result<Layer, Error> {
        let TrackerConfig { width, heads, householders, states, convolution, .. } = *config;
        let mixer = match config.mixer {
            Mixer::Diagonal => {
                let name = format!("{name}.diagonal");
                let rate = self.take(&format!("{name}.rate"))?;
                State::Diagonal(Box::new(DiagonalState {
                    input: self.dense(&format!("{name}.input"))?,
                    gate: self.dense(&format!("{name}.gate"))?,
                    convolution: match convolution {
                        0 => None,
                        _ => Some(self.window(&format!("{name}.convolution"))?),
                    },
                    delta: self.dense(&format!("{name}.delta"))?,
                    write: self.dense(&format!("{name}.write"))?,
                    read: self.dense(&format!("{name}.read"))?,
                    rate: rate.into_iter().map(f32::exp).collect(),
                    skip: self.take(&format!("{name}.skip"))?,
                    output: self.dense(&format!("{name}.output"))?,
                    memory: vec![0.0; width * states],
                    eigenvalues: vec![0.0; width * states],
                }))
            }
            Mixer::Gru => {
                let name = format!("{name}.gru");
                State::Gru {
                    input: self.dense(&format!("{name}.input"))?,
                    recurrent: self.dense(&format!("{name}.recurrent"))?,
                    hidden: vec![0.0; width],
                }
            }
            Mixer::Delta | Mixer::Attention => {
                let name = format!("{name}.delta");
                State::Delta(Box::new(DeltaState {
                    query: self.dense(&format!("{name}.query"))?,
                    key: self.dense(&format!("{name}.key"))?,
                    value: self.dense(&format!("{name}.value"))?,
                    beta: self.dense(&format!("{name}.beta"))?,
                    convolutions: match convolution {
                        0 => None,
                        _ => Some([
                            self.window(&format!("{name}.convolutions.0"))?,
                            self.window(&format!("{name}.convolutions.1"))?,
                            self.window(&format!("{name}.convolutions.2"))?,
                        ]),
                    },
                    norm: self.take(&format!("{name}.norm.weight"))?,
                    output: self.dense(&format!("{name}.output"))?,
                    memory: vec![0.0; width * (width / heads)],
                    read: vec![0.0; width],
                    eigenvalues: vec![0.0; householders * heads],
                }))
            }
        };
        let feed = match config.feed {
            0 => None,
            _ => Some((
                self.take(&format!("{name}.feed_norm.weight"))?,
                self.dense(&format!("{name}.up"))?,
                self.dense(&format!("{name}.down"))?,
            )),
        };
        Ok(Layer { norm: self.take(&format!("{name}.norm.weight"))?, mixer, feed })
    }
}
