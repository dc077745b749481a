//! One layer: its weights on a grid, and what became of its outputs.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::grid::{Grid, LEAST_SCALE};
use super::learner::{Gradient, Learner};
use super::moments::Moments;
use super::parameters::{Parameters, Rounding};
use crate::{Error, Rows};

/// A matrix of weights, outputs × inputs, as whole numbers on a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantised {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// Where the whole numbers lie.
    pub grid: Grid,
    /// The q of every weight, row after row.
    pub integers: Vec<u8>,
}

impl Quantised {
    /// The weights that the whole numbers stand for.
    pub fn weights(&self) -> Rows {
        let mut found = Rows::zeros(self.rows, self.columns);
        for row in 0..self.rows {
            let (scale, zero) = (self.grid.scale(row), f32::from(self.grid.zero(row)));
            let integers = &self.integers[row * self.columns..(row + 1) * self.columns];
            for (value, integer) in found.row_mut(row).iter_mut().zip(integers) {
                *value = scale * (f32::from(*integer) - zero);
            }
        }
        found
    }
}

/// What became of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Its name.
    pub name: String,
    /// Outputs.
    pub outputs: usize,
    /// Inputs of one output.
    pub inputs: usize,
    /// Mean squared error of its outputs on the calibration rows as a share of the outputs' mean square: rounded to nearest.
    pub before: f64,
    /// The same as it was left.
    pub after: f64,
    /// Whether learning made the calibration error worse, so that weights are rounded to nearest.
    pub kept_nearest: bool,
    /// Weights that ended 0, 1 and 2 or more steps away from the nearest point, for four classes of equal size by magnitude, smallest first.
    pub moves: [[usize; 3]; 4],
    /// What a user should know.
    pub warnings: Vec<String>,
    /// Time taken; not part of files, which are the same from run to run.
    #[serde(skip)]
    pub seconds: f64,
}

impl LayerReport {
    /// Share of all weights that ended so many steps from the nearest point: 0, 1, and 2 or more.
    pub fn moved(&self) -> [f64; 3] {
        let total: usize = self.moves.iter().flatten().sum();
        std::array::from_fn(|steps| {
            self.moves.iter().map(|class| class[steps]).sum::<usize>() as f64 / total.max(1) as f64
        })
    }
}

/// Refuses weights that cannot be quantised.
pub(super) fn check_weights(name: &str, weights: &Rows) -> Result<(), Error> {
    let refuse = |problem: String, way_out| Err(Error::Tensor { name: name.into(), problem, way_out });
    if weights.values().is_empty() {
        return refuse("it has no weights".into(), "give at least one");
    }
    if let Some((row, column, value)) = weights.first_not_finite() {
        return refuse(
            format!("weight {} of output {} is {value}", column + 1, row + 1),
            "train again, or repair the file: what is not finite cannot be quantised",
        );
    }
    Ok(())
}

/// Rounds one matrix of weights for the least output error over the rows in `moments`.
pub(super) fn quantise(
    name: &str,
    weights: &Rows,
    taps: Option<usize>,
    moments: &Moments,
    parameters: &Parameters,
) -> Result<(Quantised, LayerReport), Error> {
    let begin = Instant::now();
    check_weights(name, weights)?;
    check_shapes(name, weights, taps, moments)?;
    let grid = Grid::of(weights, parameters);
    let nearest = nearest(weights, &grid, parameters);
    let (before, signal) = moments.errors(weights, &nearest.weights());
    let (mut after, mut kept_nearest) = (before, false);
    let mut found = nearest.clone();
    if parameters.trains() {
        let learned = learned(weights, taps, &grid, moments, signal, parameters);
        let (error, _) = moments.errors(weights, &learned.weights());
        if error <= before {
            (found, after) = (learned, error);
        } else {
            kept_nearest = true;
        }
    }
    let share = |error: f64| if signal > 0.0 { error / signal } else { 0.0 };
    let report = LayerReport {
        name: name.into(),
        outputs: weights.rows(),
        inputs: weights.columns(),
        before: share(before),
        after: share(after),
        kept_nearest,
        moves: moves(weights, &nearest, &found),
        warnings: warnings(weights, &grid, signal),
        seconds: begin.elapsed().as_secs_f64(),
    };
    Ok((found, report))
}

fn check_shapes(name: &str, weights: &Rows, taps: Option<usize>, moments: &Moments) -> Result<(), Error> {
    let refuse = |problem: String, way_out| Err(Error::Layer { layer: name.into(), problem, way_out });
    if moments.inputs() != weights.columns() {
        return refuse(
            format!(
                "its weights take {} inputs, but the calibration rows have {}",
                weights.columns(),
                moments.inputs()
            ),
            "give the inputs of this layer",
        );
    }
    if moments.rows() == 0 {
        return refuse("there are no calibration rows".into(), "give at least one");
    }
    if taps.is_some_and(|taps| taps == 0 || !weights.columns().is_multiple_of(taps)) {
        let taps = taps.unwrap_or(0);
        return refuse(
            format!("{} inputs are no channels of {taps}", weights.columns()),
            "give kernel height × width",
        );
    }
    Ok(())
}

pub(super) fn nearest(weights: &Rows, grid: &Grid, parameters: &Parameters) -> Quantised {
    let parameters = Parameters { rounding: Rounding::Nearest, ..parameters.clone() };
    finished(weights, Learner::new(weights, grid, &parameters, None))
}

pub(super) fn finished(weights: &Rows, learner: Learner<'_>) -> Quantised {
    let (grid, integers) = learner.finish();
    Quantised { rows: weights.rows(), columns: weights.columns(), grid, integers }
}

fn learned(
    weights: &Rows,
    taps: Option<usize>,
    grid: &Grid,
    moments: &Moments,
    signal: f64,
    parameters: &Parameters,
) -> Quantised {
    let mut learner = Learner::new(weights, grid, parameters, taps);
    let target = moments.target(weights);
    let factor = (2.0 * unit(signal, weights.rows()) / moments.rows() as f64) as f32;
    let mut products = Rows::zeros(weights.rows(), weights.columns());
    for _ in 0..parameters.steps {
        learner.round_with(moments.gram(), &mut products);
        learner.descend(Gradient::Moments { products: &products, target: &target, factor });
    }
    finished(weights, learner)
}

/// What squared errors are multiplied by so that outputs have mean square 1: AdaRound's penalty is weighed against such errors. The others do
/// not depend on it.
pub(super) fn unit(signal: f64, outputs: usize) -> f64 {
    if signal > 0.0 { outputs as f64 / signal } else { 1.0 }
}

/// Counts by magnitude and steps moved.
pub(super) fn moves(weights: &Rows, nearest: &Quantised, found: &Quantised) -> [[usize; 3]; 4] {
    let mut order: Vec<usize> = (0..weights.values().len()).collect();
    order.sort_by(|left, right| {
        weights.values()[*left].abs().total_cmp(&weights.values()[*right].abs()).then(left.cmp(right))
    });
    let mut counts = [[0; 3]; 4];
    for (rank, &place) in order.iter().enumerate() {
        let class = 4 * rank / order.len();
        let steps = nearest.integers[place].abs_diff(found.integers[place]).min(2);
        counts[class][usize::from(steps)] += 1;
    }
    counts
}

pub(super) fn warnings(weights: &Rows, grid: &Grid, signal: f64) -> Vec<String> {
    let mut found = Vec::new();
    let dead: Vec<String> = (0..weights.rows())
        .filter(|&row| weights.row(row).iter().all(|weight| *weight == 0.0))
        .map(|row| (row + 1).to_string())
        .collect();
    if !dead.is_empty() {
        let listed = dead[..dead.len().min(8)].join(", ");
        let more = if dead.len() > 8 { ", …" } else { "" };
        found.push(format!(
            "{} of {} outputs have weights of 0 only: {listed}{more}",
            dead.len(),
            weights.rows()
        ));
    } else if grid.scales.iter().any(|scale| *scale <= LEAST_SCALE) {
        found.push(format!("weights are so small that a grid has the least size, {LEAST_SCALE:e}"));
    }
    if signal == 0.0 {
        found.push(
            "all outputs are 0 on the calibration rows, so that nothing can be learned from them".into(),
        );
    }
    found
}
