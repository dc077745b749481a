//! Initial margin: quantiles of how far the clean value moves within the margin period, given today's state.

use backstitch_numerics::mlp::{Activation, Adam, Mlp, Tape};
use backstitch_numerics::{Matrix, Stream};

use super::features::Features;
use super::layer::Training;
use super::numbers::normal_quantile;
use super::portfolio::{MarginTerms, Portfolio};
use super::regression::{Regression, Sums};
use super::simulation::{CHUNK, Chunk, Draws, Grid, simulate};

/// The margin of one netting set as a function of date and state.
#[derive(Clone, Debug)]
pub(crate) struct Margin {
    /// Mean and mean square of the move.
    moments: Regression,
    /// Deviations below it count as it: polynomials can be negative.
    floor: f64,
    tails: Tails,
}

/// How far in the tails the margin is, in conditional standard deviations from the conditional mean.
#[derive(Clone, Debug)]
enum Tails {
    /// As of a normal distribution.
    Normal(f64),
    /// Learned: two outputs, for the rise and for the fall.
    Network(Box<Mlp>, Features),
}

/// Values at the dates of a chunk, and after the margin period.
pub(crate) type Moves<'a> = &'a (dyn Fn(&Chunk) -> (Vec<f64>, Vec<f64>) + Sync);

/// Step size of quantiles as a share of that of values. It begins where moves are normal, little is left to learn, and what is once far
/// too high comes down slowly.
const SLOWER: f64 = 0.1;

/// Paths on which the moments of moves are fitted before a network is trained.
const MOMENT_PATHS: usize = 16 * CHUNK;

impl Margin {
    /// As if moves were normal, with mean and variance by regression.
    pub(crate) fn normal(
        portfolio: &Portfolio,
        grid: &Grid,
        draws: Draws<'_>,
        paths: usize,
        features: Features,
        terms: MarginTerms,
        moves: Moves<'_>,
    ) -> Self {
        let found = simulate(portfolio, grid, &draws, paths, |chunk: &Chunk| {
            let (now, then) = moves(chunk);
            let first: Vec<f64> = then.iter().zip(&now).map(|(then, now)| then - now).collect();
            let second: Vec<f64> = first.iter().map(|x| x * x).collect();
            let square = second.iter().sum::<f64>() / second.len() as f64;
            let ends = vec![grid.steps(); chunk.paths];
            (square, Sums::of(&features, grid, chunk, &now, &ends, &[first, second]))
        });
        let square = found.iter().map(|(square, _)| square).sum::<f64>() / found.len() as f64;
        let sums = found.into_iter().map(|(_, sums)| sums).collect();
        let floor = if square > 0.0 { 1e-3 * square.sqrt() } else { 1.0 };
        Self {
            moments: Regression::fit(features, sums),
            floor,
            tails: Tails::Normal(normal_quantile(terms.level)),
        }
    }

    /// By quantile regression: both outputs minimise the pinball loss ρ(e) = max(αe, (α − 1)e) of moves in conditional standard
    /// deviations, whose quantiles hardly vary.
    pub(crate) fn train(
        portfolio: &Portfolio,
        grid: &Grid,
        draws: Draws<'_>,
        training: &Training,
        features: Features,
        terms: MarginTerms,
        moves: Moves<'_>,
    ) -> Self {
        let mut margin = Self::normal(portfolio, grid, draws, MOMENT_PATHS, features.clone(), terms, moves);
        let paths = training.batch.next_multiple_of(2);
        let rows = grid.steps() * paths;
        let mut widths = vec![features.columns()];
        widths.extend(&training.hidden);
        widths.push(2);
        let mut stream = Stream::new(draws.seed, &format!("deep-xva margin {}", draws.purpose));
        let mut network = match Mlp::new(&widths, Activation::Relu, &mut stream) {
            Ok(network) => network,
            // Parameters are checked before: widths are above 0.
            Err(error) => unreachable!("{error}"),
        };
        // It begins at the normal quantile everywhere: what is too high is pushed back a hundred times as slowly as what is too low.
        if let Some(last) = network.layers.last_mut() {
            last.weights.values_mut().iter_mut().for_each(|weight| *weight *= 0.01);
            last.biases.fill(normal_quantile(terms.level));
        }
        let mut chunk = Chunk::default();
        let mut inputs = Matrix::zeros(rows, features.columns());
        let mut outputs = Matrix::zeros(rows, 2);
        let mut errors = Matrix::zeros(rows, 2);
        let mut tape = Tape::default();
        let mut gradient = network.zero_gradient();
        let learning_rate = SLOWER * training.learning_rate;
        let mut optimizer = Adam::new(&network, learning_rate);
        for iteration in 0..training.iterations {
            chunk.draw(portfolio, grid, &draws, MOMENT_PATHS / CHUNK + iteration, paths);
            let (now, then) = moves(&chunk);
            let (means, deviations) = margin.moments(grid, &chunk, &now);
            features.fill(grid, &chunk, &now, 0..grid.steps(), &mut inputs);
            network.forward_with(&inputs, &mut outputs, &mut tape);
            for row in 0..rows {
                let rise = (then[row] - now[row] - means[row]) / deviations[row];
                for (column, value) in [rise, -rise].into_iter().enumerate() {
                    let below = value <= outputs[(row, column)];
                    errors[(row, column)] =
                        if below { 1.0 - terms.level } else { -terms.level } / rows as f64;
                }
            }
            network.backward(&inputs, &errors, &mut tape, &mut gradient, None);
            let left =
                0.5 * (1.0 + (std::f64::consts::PI * iteration as f64 / training.iterations as f64).cos());
            optimizer.learning_rate = learning_rate * (0.01 + 0.99 * left);
            optimizer.step(&mut network, &gradient);
        }
        margin.tails = Tails::Network(Box::new(network), features);
        margin
    }

    /// Conditional mean and standard deviation of the move at every date but the last and every path.
    fn moments(&self, grid: &Grid, chunk: &Chunk, values: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut found = self.moments.evaluate(grid, chunk, values);
        let squares = found.pop().unwrap_or_default();
        let means = found.pop().unwrap_or_default();
        let floor = self.floor;
        let deviation = |(square, mean): (&f64, &f64)| (square - mean * mean).max(floor * floor).sqrt();
        let deviations = squares.iter().zip(&means).map(deviation).collect();
        (means, deviations)
    }

    /// Margin received and margin posted at every date and path; 0 at the last date.
    pub(crate) fn along(&self, grid: &Grid, chunk: &Chunk, values: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let rows = grid.steps() * chunk.paths;
        let mut found = (vec![0.0; values.len()], vec![0.0; values.len()]);
        let (means, deviations) = self.moments(grid, chunk, values);
        let tails = match &self.tails {
            Tails::Normal(quantile) => Matrix::from_fn(rows, 2, |_, _| *quantile),
            Tails::Network(network, features) => {
                let mut inputs = Matrix::zeros(rows, features.columns());
                features.fill(grid, chunk, values, 0..grid.steps(), &mut inputs);
                network.forward(&inputs)
            }
        };
        for row in 0..rows {
            found.0[row] = (tails[(row, 0)] * deviations[row] + means[row]).max(0.0);
            found.1[row] = (tails[(row, 1)] * deviations[row] - means[row]).max(0.0);
        }
        found
    }
}
