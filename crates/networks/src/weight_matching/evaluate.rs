//! What networks are worth on data, between two of them too.

use backstitch_numerics::Matrix;

use super::checkpoint::Checkpoint;
use super::layers::Layers;
use crate::Error;

/// Places between two networks at which the barrier is looked for, ends included: the paper's grid.
pub const GRID: usize = 25;

/// Rows of inputs, each with what the network should say: its class (0, 1, …), or a number where it has one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    inputs: Matrix,
    targets: Vec<f64>,
}

/// What a network is worth on data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Mean cross-entropy of the classes in nat, or mean squared error of a single output.
    pub loss: f64,
    /// Share of rows whose class is right; none for a single output.
    pub accuracy: Option<f64>,
}

/// Scores on the way from one network to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Barrier {
    /// Shares of the second network, from 0 to 1, with the scores there.
    pub points: Vec<(f64, Score)>,
    /// Largest amount by which the loss is above the straight line between its ends.
    pub loss: f64,
    /// Largest amount by which the accuracy is below the straight line between its ends.
    pub accuracy: Option<f64>,
}

impl Data {
    /// Checks that there are as many targets as rows, at least one, and that all numbers are finite.
    ///
    /// # Errors
    /// [`Error::Model`] or [`Error::Coordinate`].
    pub fn new(inputs: Matrix, targets: Vec<f64>) -> Result<Self, Error> {
        if inputs.rows() == 0 || inputs.rows() != targets.len() {
            return Err(Error::Model {
                problem: format!("there are {} rows of inputs and {} targets", inputs.rows(), targets.len()),
                way_out: "give one target per row, and at least one row",
            });
        }
        for (what, values) in [("a row of the data", inputs.values()), ("the target of a row", &targets)] {
            if let Some(place) = values.iter().position(|value| !value.is_finite()) {
                let index = if what.starts_with("the") { 0 } else { place % inputs.columns() };
                return Err(Error::Coordinate { what, index, value: values[place] });
            }
        }
        Ok(Self { inputs, targets })
    }

    /// The rows of inputs.
    pub fn inputs(&self) -> &Matrix {
        &self.inputs
    }

    /// The targets.
    pub fn targets(&self) -> &[f64] {
        &self.targets
    }

    /// The score of outputs, rows × outputs.
    ///
    /// # Errors
    /// [`Error::Model`] if a target is no class of the network.
    pub fn score(&self, outputs: &Matrix) -> Result<Score, Error> {
        self.check_classes(outputs.columns())?;
        let count = self.targets.len() as f64;
        if outputs.columns() == 1 {
            let squares =
                self.targets.iter().enumerate().map(|(row, target)| (outputs[(row, 0)] - target).powi(2));
            return Ok(Score { loss: squares.sum::<f64>() / count, accuracy: None });
        }
        let (mut loss, mut right) = (0.0, 0);
        for (row, target) in self.targets.iter().enumerate() {
            let logits = outputs.row(row);
            let class = *target as usize;
            loss += logarithm_of_sum(logits) - logits[class];
            // The first of equal logits counts, as in an argmax.
            right +=
                usize::from(logits.iter().enumerate().all(|(other, logit)| {
                    *logit < logits[class] || (other >= class && *logit == logits[class])
                }));
        }
        Ok(Score { loss: loss / count, accuracy: Some(right as f64 / count) })
    }

    /// Checks that targets are classes of a network with so many outputs.
    ///
    /// # Errors
    /// [`Error::Model`] for the first that is not.
    pub fn check_classes(&self, outputs: usize) -> Result<(), Error> {
        let wrong =
            |target: &f64| outputs > 1 && !(target.fract() == 0.0 && (0.0..outputs as f64).contains(target));
        match self.targets.iter().enumerate().find(|(_, target)| wrong(target)) {
            None => Ok(()),
            Some((row, target)) => Err(Error::Model {
                problem: format!(
                    "the target of row {row} is {target}, but the network has the classes 0 to {}",
                    outputs - 1
                ),
                way_out: "number the classes from 0, in the order of the outputs",
            }),
        }
    }

    /// The loss of some rows, by what the network says of them, and its gradient with respect to that; for a training loop. Targets
    /// must be classes of the network ([`check_classes`](Self::check_classes)).
    pub fn loss_of(&self, rows: &[usize], outputs: &Matrix) -> (f64, Matrix) {
        let count = rows.len() as f64;
        let (mut loss, mut gradient) = (0.0, outputs.clone());
        for (place, &row) in rows.iter().enumerate() {
            let target = self.targets[row];
            let own = gradient.row_mut(place);
            if own.len() == 1 {
                loss += (own[0] - target).powi(2) / count;
                own[0] = 2.0 * (own[0] - target) / count;
                continue;
            }
            let whole = logarithm_of_sum(own);
            loss += (whole - own[target as usize]) / count;
            own.iter_mut().for_each(|logit| *logit = (*logit - whole).exp() / count);
            own[target as usize] -= 1.0 / count;
        }
        (loss, gradient)
    }
}

fn logarithm_of_sum(logits: &[f64]) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + logits.iter().map(|logit| (logit - largest).exp()).sum::<f64>().ln()
}

/// The barrier between two ends, from the score at each share of the second.
///
/// # Errors
/// Whatever the score fails with.
pub fn barrier<E>(points: usize, mut score: impl FnMut(f64) -> Result<Score, E>) -> Result<Barrier, E> {
    let count = points.max(2);
    let points = (0..count)
        .map(|place| place as f64 / (count - 1) as f64)
        .map(|share| Ok((share, score(share)?)))
        .collect::<Result<Vec<_>, E>>()?;
    let (first, last) = (points[0].1, points[count - 1].1);
    let line = |share: f64, one: f64, other: f64| (1.0 - share) * one + share * other;
    let above = points.iter().map(|(share, score)| score.loss - line(*share, first.loss, last.loss));
    let below = points
        .iter()
        .map(|(share, score)| Some(line(*share, first.accuracy?, last.accuracy?) - score.accuracy?));
    let loss = above
        .fold(f64::NEG_INFINITY, |most, value| if value > most || value.is_nan() { value } else { most });
    let accuracy =
        below.collect::<Option<Vec<f64>>>().map(|all| all.into_iter().fold(f64::NEG_INFINITY, f64::max));
    Ok(Barrier { points, loss, accuracy })
}

impl Layers {
    /// The score of a network on data.
    ///
    /// # Errors
    /// [`Error::Operator`], [`Error::Width`] or [`Error::Model`] if network and data do not fit.
    pub fn score(&self, weights: &Checkpoint, data: &Data) -> Result<Score, Error> {
        data.score(&self.outputs(weights, &data.inputs)?)
    }

    /// The barrier between two networks on data. Running statistics between the ends are computed anew from `training` rows, where
    /// the network has some.
    ///
    /// # Errors
    /// [`Error::Operator`], [`Error::Width`] or [`Error::Model`] if networks and data do not fit.
    pub fn barrier(
        &self,
        one: &Checkpoint,
        other: &Checkpoint,
        training: &Matrix,
        data: &Data,
    ) -> Result<Barrier, Error> {
        barrier(GRID, |share| {
            let mut between = one.combined(1.0 - share, &[(share, other)])?;
            if self.has_running_statistics() && share > 0.0 && share < 1.0 {
                between = self.with_statistics(&between, training)?;
            }
            self.score(&between, data)
        })
    }
}
