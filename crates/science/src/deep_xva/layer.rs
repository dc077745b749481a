//! One layer as a network: backward equations that end together are solved forward from today, with one network for all dates.
//!
//! With B the Brownian motions of the drivers, P the discounted amounts that a path is paid and τ where it ends, each equation says
//! P = Y₀ + Σ_{k<τ} D_k ζ(t_k, x_k)·ΔB_k. The network gives ζ, and beside it the value u(t, x) = Y, learned from what is still to be
//! paid less the same sum from t on: both have the same solution, and the second has no noise left where the first fits.

use backstitch_numerics::mlp::{Activation, Adam, Mlp, Tape};
use backstitch_numerics::{Matrix, Stream};

use super::features::Features;
use super::flows::Flows;
use super::portfolio::Portfolio;
use super::simulation::{CHUNK, Chunk, Draws, Grid};

/// How networks are trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// Steps of Adam, each on paths of its own.
    pub iterations: usize,
    /// Paths of a step.
    pub batch: usize,
    /// Step size at the beginning, a tenth of it for quantiles; it falls to a hundredth along half a cosine.
    pub learning_rate: f64,
}

impl Default for Training {
    fn default() -> Self {
        Self { hidden: vec![32, 32], iterations: 600, batch: CHUNK, learning_rate: 1e-2 }
    }
}

/// A trained layer of a netting set.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    network: Mlp,
    features: Features,
    /// Drivers whose Brownian motions the layer hedges with.
    drivers: Vec<usize>,
    /// Of every equation.
    scales: Vec<f64>,
    /// Y₀ as it was learned: the mean over the last quarter of the training.
    pub(crate) learned: Vec<f64>,
}

/// What a layer says along the paths of a chunk.
pub(crate) struct Evaluated {
    /// Y for every equation, date and path; 0 at the last date.
    pub(crate) values: Vec<Vec<f64>>,
    /// The sum of D ζ·ΔB until the end, for every equation and path.
    pub(crate) hedges: Vec<Vec<f64>>,
}

/// The flows of a chunk, given what was prepared and the values of the equations as the network has them.
pub(crate) type FlowsOf<'a, W> = &'a (dyn Fn(&Chunk, &W, Option<&[Vec<f64>]>) -> Flows + Sync);

/// What is to be learned.
pub(crate) struct Task<'a, W> {
    pub(crate) portfolio: &'a Portfolio,
    pub(crate) grid: &'a Grid,
    pub(crate) training: &'a Training,
    pub(crate) draws: Draws<'a>,
    pub(crate) features: Features,
    pub(crate) drivers: Vec<usize>,
    /// The feature of clean values, and whatever `flows` needs beside the chunk.
    pub(crate) prepare: &'a (dyn Fn(&Chunk) -> (Vec<f64>, W) + Sync),
    /// The flows of a chunk, given the values of the equations as the network has them now.
    pub(crate) flows: FlowsOf<'a, W>,
}

/// Chunks whose flows tell the scale of an equation.
const PILOTS: usize = 16;

impl<W> Task<'_, W> {
    /// Trains the layer.
    pub(crate) fn train(self) -> Layer {
        let Self { portfolio, grid, training, draws, features, drivers, prepare, flows } = self;
        let mut chunk = Chunk::default();
        let paths = training.batch.next_multiple_of(2);
        let scales = scales(portfolio, grid, &draws, prepare, flows);
        let (equations, width) = (scales.len(), 1 + drivers.len());
        let mut widths = vec![features.columns()];
        widths.extend(&training.hidden);
        widths.push(equations * width);
        let mut stream = Stream::new(draws.seed, &format!("deep-xva network {}", draws.purpose));
        let mut network = match Mlp::new(&widths, Activation::Relu, &mut stream) {
            Ok(network) => network,
            // Parameters are checked before: widths are above 0.
            Err(error) => unreachable!("{error}"),
        };
        // An untrained layer says nothing: its hedge is 0 and so is its value.
        if let Some(last) = network.layers.last_mut() {
            last.weights.values_mut().iter_mut().for_each(|weight| *weight *= 0.01);
        }
        let mut layer = Layer { network, features, drivers, scales, learned: vec![0.0; equations] };
        let rows = grid.steps() * paths;
        let mut inputs = Matrix::zeros(rows, layer.features.columns());
        let mut outputs = Matrix::zeros(rows, equations * width);
        let mut errors = Matrix::zeros(rows, equations * width);
        let mut tape = Tape::default();
        let mut gradient = layer.network.zero_gradient();
        let mut optimizer = Adam::new(&layer.network, training.learning_rate);
        let kept = (training.iterations / 4).max(1);
        for iteration in 0..training.iterations {
            chunk.draw(portfolio, grid, &draws, PILOTS + iteration, paths);
            let (values, with) = prepare(&chunk);
            layer.features.fill(grid, &chunk, &values, 0..grid.steps(), &mut inputs);
            layer.network.forward_with(&inputs, &mut outputs, &mut tape);
            let evaluated = layer.read(portfolio, grid, &chunk, &outputs);
            let amounts = flows(&chunk, &with, Some(&evaluated));
            errors.values_mut().fill(0.0);
            for equation in 0..equations {
                let start = layer.errors(&chunk, &amounts, &outputs, equation, &mut errors);
                if iteration + kept >= training.iterations {
                    layer.learned[equation] += start / kept as f64;
                }
            }
            layer.network.backward(&inputs, &errors, &mut tape, &mut gradient, None);
            let left =
                0.5 * (1.0 + (std::f64::consts::PI * iteration as f64 / training.iterations as f64).cos());
            optimizer.learning_rate = training.learning_rate * (0.01 + 0.99 * left);
            optimizer.step(&mut layer.network, &gradient);
        }
        layer
    }
}

/// Root of the mean square of what every equation is paid; 0 for one that no path pays, of which nothing can be learned: its hedge and its
/// value are 0.
fn scales<W>(
    portfolio: &Portfolio,
    grid: &Grid,
    draws: &Draws<'_>,
    prepare: &dyn Fn(&Chunk) -> (Vec<f64>, W),
    flows: FlowsOf<'_, W>,
) -> Vec<f64> {
    let mut squares: Vec<f64> = Vec::new();
    let mut chunk = Chunk::default();
    for index in 0..PILOTS {
        chunk.draw(portfolio, grid, draws, index, CHUNK);
        let flows = flows(&chunk, &prepare(&chunk).1, None);
        squares.resize(flows.amounts.len(), 0.0);
        for (equation, square) in squares.iter_mut().enumerate() {
            *square += flows.totals(equation).iter().map(|total| total * total).sum::<f64>();
        }
    }
    let scale = |square: f64| (square / (PILOTS * CHUNK) as f64).sqrt();
    squares.into_iter().map(scale).collect()
}

impl Layer {
    /// Y of every equation on every date and path, from raw outputs.
    fn read(&self, portfolio: &Portfolio, grid: &Grid, chunk: &Chunk, outputs: &Matrix) -> Vec<Vec<f64>> {
        let width = 1 + self.drivers.len();
        let dates = grid.times.len();
        let one = |equation: usize| {
            let mut values = vec![0.0; dates * chunk.paths];
            let cells = outputs.values()[equation * width..].iter().step_by(outputs.columns());
            values.iter_mut().zip(cells).for_each(|(value, cell)| *value = self.scales[equation] * cell);
            for (date, row) in values.chunks_exact_mut(chunk.paths).enumerate() {
                let growth = (portfolio.market.rate * grid.times[date]).exp();
                row.iter_mut().for_each(|value| *value *= growth);
            }
            values
        };
        (0..self.scales.len()).map(one).collect()
    }

    /// D ζ·ΔB summed over the steps before the end, in scales of the equation.
    fn hedge(
        &self,
        chunk: &Chunk,
        ends: &[usize],
        outputs: &Matrix,
        equation: usize,
        step: usize,
        sums: &mut [f64],
    ) {
        let first = equation * (1 + self.drivers.len()) + 1;
        for (place, &driver) in self.drivers.iter().enumerate() {
            for (path, increment) in chunk.increment(step, driver).iter().enumerate() {
                if step < ends[path] {
                    sums[path] += outputs[(step * chunk.paths + path, first + place)] * increment;
                }
            }
        }
    }

    /// Gradients of the two losses with respect to the outputs of an equation; gives the Y₀ that fits the batch best.
    fn errors(
        &self,
        chunk: &Chunk,
        flows: &Flows,
        outputs: &Matrix,
        equation: usize,
        errors: &mut Matrix,
    ) -> f64 {
        let (paths, steps, scale) = (chunk.paths, chunk.steps, self.scales[equation]);
        if scale == 0.0 {
            return 0.0;
        }
        let first = equation * (1 + self.drivers.len());
        // What is paid less what is hedged from each date on, from the last date to the first.
        let mut left: Vec<f64> = flows.amounts[equation][steps * paths..].iter().map(|x| x / scale).collect();
        let mut targets = vec![0.0; steps * paths];
        let mut step_hedge = vec![0.0; paths];
        for step in (0..steps).rev() {
            step_hedge.fill(0.0);
            self.hedge(chunk, &flows.ends, outputs, equation, step, &mut step_hedge);
            let amounts = &flows.amounts[equation][step * paths..][..paths];
            for path in 0..paths {
                left[path] += amounts[path] / scale - step_hedge[path];
            }
            targets[step * paths..][..paths].copy_from_slice(&left);
        }
        let start = left.iter().sum::<f64>() / paths as f64;
        let per_path = 2.0 / paths as f64;
        let per_row = 2.0 / (paths * steps) as f64;
        for step in 0..steps {
            for path in (0..paths).filter(|&path| step < flows.ends[path]) {
                let row = step * paths + path;
                errors[(row, first)] = per_row * (outputs[(row, first)] - targets[row]);
            }
            for (place, &driver) in self.drivers.iter().enumerate() {
                for (path, increment) in chunk.increment(step, driver).iter().enumerate() {
                    if step < flows.ends[path] {
                        let row = step * paths + path;
                        errors[(row, first + 1 + place)] = -per_path * (left[path] - start) * increment;
                    }
                }
            }
        }
        start * scale
    }

    /// What the layer says along the paths of a chunk; `values` is the feature of clean values. Hedges end where `ends` says.
    pub(crate) fn evaluate(
        &self,
        portfolio: &Portfolio,
        grid: &Grid,
        chunk: &Chunk,
        values: &[f64],
        ends: Option<&[usize]>,
    ) -> Evaluated {
        let mut inputs = Matrix::zeros(grid.steps() * chunk.paths, self.features.columns());
        self.features.fill(grid, chunk, values, 0..grid.steps(), &mut inputs);
        let outputs = self.network.forward(&inputs);
        let hedges = match ends {
            None => Vec::new(),
            Some(ends) => (0..self.scales.len())
                .map(|equation| {
                    let mut sums = vec![0.0; chunk.paths];
                    for step in 0..grid.steps() {
                        self.hedge(chunk, ends, &outputs, equation, step, &mut sums);
                    }
                    sums.iter_mut().for_each(|sum| *sum *= self.scales[equation]);
                    sums
                })
                .collect(),
        };
        Evaluated { values: self.read(portfolio, grid, chunk, &outputs), hedges }
    }

    /// ζ today, of an equation, for each of [`Layer::drivers`].
    pub(crate) fn today(&self, grid: &Grid, chunk: &Chunk, values: &[f64], equation: usize) -> Vec<f64> {
        let mut inputs = Matrix::zeros(chunk.paths, self.features.columns());
        self.features.fill(grid, chunk, values, 0..1, &mut inputs);
        let outputs = self.network.forward(&inputs);
        let first = equation * (1 + self.drivers.len()) + 1;
        (0..self.drivers.len()).map(|place| self.scales[equation] * outputs[(0, first + place)]).collect()
    }

    /// Drivers whose Brownian motions the layer hedges with.
    pub(crate) fn drivers(&self) -> &[usize] {
        &self.drivers
    }
}
