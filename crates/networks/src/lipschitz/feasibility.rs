//! Whether some point of a box meets linear inequalities.
//!
//! The sum of squared violations is minimised over the box by accelerated projected gradients. Violations that cannot be helped are a
//! proof: weighted with them, the inequalities add up to one that fails even at the best corner of the box. Only that proof rules a
//! region out, so that stopping early is safe.

use faer::Mat;

use super::forward::Decision;
use super::network::{Activation, Network};
use super::rounding::factor;

const ITERATIONS: usize = 400;
/// How far inside the inequalities a point is looked for, where their coefficients sum to 1 in absolute value over the half-widths.
const INSIDE: f64 = 1e-7;

/// What is known about some inequalities.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// No point of the box meets them.
    Empty,
    /// This one does.
    Point(Vec<f64>),
    Unknown,
}

/// Inequalities `rows · x + constants ≥ 0`.
#[derive(Clone, Debug, Default)]
pub(super) struct Inequalities {
    rows: Vec<Vec<f64>>,
    constants: Vec<f64>,
    /// What rounding has done to each of them, anywhere in the box.
    errors: Vec<f64>,
}

impl Inequalities {
    /// What decisions say about the input: those of the first stage, and of later ones as long as all kinks before are decided.
    /// `decided` gives the side of every neuron's kink, where it is known.
    pub(super) fn of(
        network: &Network,
        (lower, upper): (&[f64], &[f64]),
        decisions: &[Decision],
        decided: &[Vec<Option<bool>>],
    ) -> Self {
        let mut found = Self::default();
        let inputs = network.inputs();
        let rounding = factor(inputs + network.stages.iter().map(|stage| stage.map.rows()).sum::<usize>());
        // The sum of the absolute values of all that was added up for a value.
        let mut sizes: Vec<f64> =
            lower.iter().zip(upper).map(|(low, high)| low.abs().max(high.abs())).collect();
        // What comes out of the stage before, as functions of the input: one column each, the constant last.
        let mut values: Option<Mat<f64>> = None;
        for (place, stage) in network.stages.iter().enumerate() {
            let mut before = match &values {
                Some(values) => stage.map.push(values.as_ref()),
                None => {
                    let mut first = Mat::zeros(inputs + 1, stage.map.rows());
                    stage.map.for_each(|row, column, weight| first[(column, row)] = weight);
                    first
                }
            };
            let mut sums: Vec<f64> = stage.bias.iter().map(|bias| bias.abs()).collect();
            stage.map.for_each(|row, column, weight| sums[row] += weight.abs() * sizes[column]);
            for (neuron, bias) in stage.bias.iter().enumerate() {
                before[(inputs, neuron)] += bias;
            }
            for &(_, neuron, on) in decisions.iter().filter(|decision| decision.0 == place) {
                let sign = if on { 1.0 } else { -1.0 };
                let row = before.col(neuron).iter().take(inputs).map(|entry| sign * entry).collect();
                found.rows.push(row);
                found.constants.push(sign * before[(inputs, neuron)]);
                found.errors.push(rounding * sums[neuron]);
            }
            for (neuron, kind) in stage.activations.iter().enumerate() {
                let factor = match (kind, decided[place][neuron]) {
                    (Activation::Identity, _) => 1.0,
                    (Activation::Relu, Some(on)) => f64::from(u8::from(on)),
                    (Activation::LeakyRelu(share), Some(on)) => {
                        if on {
                            1.0
                        } else {
                            *share
                        }
                    }
                    _ => return found,
                };
                before.col_mut(neuron).iter_mut().for_each(|entry| *entry *= factor);
            }
            values = Some(before);
            sizes = sums;
        }
        found
    }

    /// Looks for a point of the box, or for a proof that there is none.
    pub(super) fn solve(&self, lower: &[f64], upper: &[f64]) -> Answer {
        let inputs = lower.len();
        let middle: Vec<f64> = (0..inputs).map(|place| 0.5 * lower[place] + 0.5 * upper[place]).collect();
        let half: Vec<f64> = (0..inputs).map(|place| 0.5 * (upper[place] - lower[place])).collect();
        let mut rows = Vec::with_capacity(self.rows.len());
        let (mut constants, mut errors) =
            (Vec::with_capacity(self.rows.len()), Vec::with_capacity(self.rows.len()));
        let rounding = factor(inputs + self.rows.len());
        for ((row, constant), error) in self.rows.iter().zip(&self.constants).zip(&self.errors) {
            let scaled: Vec<f64> = row.iter().zip(&half).map(|(a, half)| a * half).collect();
            let at_middle = constant + row.iter().zip(&middle).map(|(a, middle)| a * middle).sum::<f64>();
            let size: f64 = scaled.iter().map(|a| a.abs()).sum();
            if size > 0.0 {
                rows.push(scaled.iter().map(|a| a / size).collect::<Vec<f64>>());
                constants.push(at_middle / size);
                errors.push(error / size + rounding);
            }
        }
        let squares: f64 = rows.iter().flatten().map(|a| a * a).sum();
        let mut point = vec![0.0; inputs];
        let mut ahead = point.clone();
        let mut momentum = 1.0_f64;
        for _ in 0..ITERATIONS {
            let violation = |row: &Vec<f64>, constant: f64, point: &[f64], inside: f64| {
                let value = constant + row.iter().zip(point).map(|(a, t)| a * t).sum::<f64>();
                (inside - value).max(0.0)
            };
            let pairs = || rows.iter().zip(constants.iter().copied());
            if pairs().all(|(row, constant)| violation(row, constant, &point, INSIDE) <= 0.5 * INSIDE) {
                let place = |(place, t): (usize, &f64)| {
                    (middle[place] + half[place] * t).clamp(lower[place], upper[place])
                };
                return Answer::Point(point.iter().enumerate().map(place).collect());
            }
            let weights: Vec<f64> =
                pairs().map(|(row, constant)| violation(row, constant, &ahead, INSIDE)).collect();
            let mut gradient = vec![0.0; inputs];
            for (row, weight) in rows.iter().zip(&weights).filter(|(_, weight)| **weight > 0.0) {
                gradient.iter_mut().zip(row).for_each(|(sum, a)| *sum += weight * a);
            }
            let total: f64 = weights.iter().sum();
            let sum: f64 = weights.iter().zip(&constants).map(|(weight, constant)| weight * constant).sum();
            let sizes: f64 =
                weights.iter().zip(&constants).map(|(weight, constant)| weight * constant.abs()).sum();
            let best = sum + gradient.iter().map(|entry| entry.abs()).sum::<f64>();
            let wrong: f64 = weights.iter().zip(&errors).map(|(weight, error)| weight * error).sum();
            if best < -(wrong + rounding * (total + sizes)) {
                return Answer::Empty;
            }
            let before = point;
            point =
                ahead.iter().zip(&gradient).map(|(t, step)| (t + step / squares).clamp(-1.0, 1.0)).collect();
            let next = 0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt());
            let share = (momentum - 1.0) / next;
            ahead = point.iter().zip(&before).map(|(t, before)| t + share * (t - before)).collect();
            momentum = next;
        }
        Answer::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_of_a_square() {
        let strip = |low: f64, high: f64| Inequalities {
            rows: vec![vec![1.0, 1.0], vec![-1.0, -1.0]],
            constants: vec![-low, high],
            errors: vec![1e-12; 2],
        };
        let solve = |strip: Inequalities| strip.solve(&[-1.0, -1.0], &[1.0, 1.0]);
        assert_eq!(solve(strip(2.1, 3.0)), Answer::Empty);
        assert_eq!(solve(strip(0.5, 0.4)), Answer::Empty);
        for (low, high) in [(1.9, 3.0), (-1.5, -1.4), (0.0, 1.0)] {
            let Answer::Point(point) = solve(strip(low, high)) else { panic!("{low} {high}") };
            let sum = point[0] + point[1];
            assert!(low <= sum && sum <= high, "{point:?}");
        }
    }
}
