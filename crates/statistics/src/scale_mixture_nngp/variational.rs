//! The variational posterior of the classifier: its expectations, its loss and their derivatives.

use libm::lgamma;

use super::classification::ClassScale;
use super::prior::{digamma, inverse_softplus, logistic, softplus};

/// Nodes of the quadrature over s², and normal draws per row and class in a step and in a prediction, over all nodes together: as many
/// where the scale is fixed.
const NODES: usize = 24;
pub(crate) const DRAWS: usize = 96;
pub(crate) const PREDICTION_DRAWS: usize = 480;
/// How far below its maximum the logarithm of q(s²) is at the ends of the quadrature.
const DEPTH: f64 = 14.0;

/// q: whitened values at the inducing rows, v = L⁻¹ u ~ N(m, s² diag(e^r)) given s², per class; and shape and scale of q(s²) through
/// softplus.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variational {
    /// m, then r, then (with a scale that is drawn) the two of s²: one list, as the optimiser sees it.
    pub(crate) values: Vec<f64>,
    inducing: usize,
    classes: usize,
    prior: ClassScale,
}

/// A row as q sees it.
pub(crate) struct Row<'a> {
    /// L⁻¹ K_zx.
    pub(crate) seen: &'a [f64],
    /// What of its variance the inducing rows do not see.
    pub(crate) left: f64,
    pub(crate) label: usize,
}

/// A node of the quadrature over s²: its value, its weight, and the derivatives of its logarithmic density by shape and scale.
pub(crate) struct Node {
    pub(crate) scale: f64,
    pub(crate) weight: f64,
    slopes: [f64; 2],
}

impl Variational {
    pub(crate) fn new(inducing: usize, classes: usize, prior: ClassScale) -> Self {
        let mut values = vec![0.0; 2 * inducing * classes];
        if let ClassScale::InverseGamma { shape, scale } = prior {
            values.extend([inverse_softplus(shape), inverse_softplus(scale)]);
        }
        Self { values, inducing, classes, prior }
    }

    pub(crate) fn scale(&self) -> Option<(f64, f64)> {
        let size = 2 * self.inducing * self.classes;
        match self.values[size..] {
            [shape, scale] => Some((softplus(shape), softplus(scale))),
            _ => None,
        }
    }

    /// Nodes in log s² with normalised weights; one where the scale is fixed.
    pub(crate) fn quadrature(&self) -> Vec<Node> {
        let Some((shape, scale)) = self.scale() else {
            return vec![Node { scale: 1.0, weight: 1.0, slopes: [0.0; 2] }];
        };
        // With t measured from the mode ln(scale/shape), the logarithm is -shape (t + e^-t - 1).
        let drop = |t: f64| shape * (t + (-t).exp() - 1.0) - DEPTH;
        let edge = |direction: f64| {
            let (mut inside, mut outside) = (0.0, 1.0);
            while drop(direction * outside) < 0.0 {
                outside *= 2.0;
            }
            for _ in 0..40 {
                let middle = 0.5 * (inside + outside);
                if drop(direction * middle) < 0.0 { inside = middle } else { outside = middle }
            }
            direction * inside
        };
        let (lower, upper) = (edge(-1.0), edge(1.0));
        let width = (upper - lower) / (NODES - 1) as f64;
        let mode = (scale / shape).ln();
        let mut nodes: Vec<Node> = (0..NODES)
            .map(|node| {
                let t = lower + width * node as f64;
                let log = mode + t;
                Node {
                    scale: log.exp(),
                    weight: (-drop(t)).exp(),
                    slopes: [scale.ln() - log - digamma(shape), shape / scale - (-log).exp()],
                }
            })
            .collect();
        let total: f64 = nodes.iter().map(|node| node.weight).sum();
        nodes.iter_mut().for_each(|node| node.weight /= total);
        // Weights are normalised, so that only what a slope has above the mean counts.
        let mean: [f64; 2] =
            [0, 1].map(|which| nodes.iter().map(|node| node.weight * node.slopes[which]).sum());
        for node in &mut nodes {
            node.slopes = [node.slopes[0] - mean[0], node.slopes[1] - mean[1]];
        }
        nodes
    }

    /// Means of the latent functions at a row, and their variances at s² = 1.
    pub(crate) fn moments(&self, row: &Row<'_>) -> (Vec<f64>, Vec<f64>) {
        let (m, classes) = (self.inducing, self.classes);
        let (means, logs) = self.values.split_at(m * classes);
        let mut mean = vec![0.0; classes];
        let mut variance = vec![row.left; classes];
        for (point, &seen) in row.seen.iter().enumerate() {
            for class in 0..classes {
                mean[class] += seen * means[point * classes + class];
                variance[class] += seen * seen * logs[point * classes + class].exp();
            }
        }
        (mean, variance)
    }

    /// The loss of a batch out of n rows, with these normals, and its gradient.
    pub(crate) fn loss(&self, rows: &[Row<'_>], n: usize, normals: &[f64]) -> (f64, Vec<f64>) {
        let (m, classes) = (self.inducing, self.classes);
        let size = m * classes;
        let nodes = self.quadrature();
        let each = DRAWS / nodes.len();
        let share = 1.0 / (rows.len() * each) as f64;
        let mut gradient = vec![0.0; self.values.len()];
        let mut likelihood = 0.0;
        let mut by_scale = [0.0; 2];
        let mut draws = normals.chunks_exact(classes);
        let mut values = vec![0.0; classes];
        for row in rows {
            let (means, variances) = self.moments(row);
            let mut by_mean = vec![0.0; classes];
            let mut by_variance = vec![0.0; classes];
            for node in &nodes {
                for normals in draws.by_ref().take(each) {
                    for class in 0..classes {
                        values[class] =
                            means[class] + (node.scale * variances[class]).sqrt() * normals[class];
                    }
                    softmax(&mut values);
                    let chosen = values[row.label].max(f64::MIN_POSITIVE).ln();
                    likelihood += share * node.weight * chosen;
                    for (by, slope) in by_scale.iter_mut().zip(node.slopes) {
                        *by += share * node.weight * slope * chosen;
                    }
                    for class in 0..classes {
                        let slope = f64::from(u8::from(class == row.label)) - values[class];
                        let weighted = share * node.weight * slope;
                        by_mean[class] += weighted;
                        if variances[class] > 0.0 {
                            by_variance[class] +=
                                0.5 * weighted * normals[class] * (node.scale / variances[class]).sqrt();
                        }
                    }
                }
            }
            for (point, &seen) in row.seen.iter().enumerate() {
                for class in 0..classes {
                    let place = point * classes + class;
                    gradient[place] -= seen * by_mean[class];
                    gradient[size + place] -=
                        seen * seen * self.values[size + place].exp() * by_variance[class];
                }
            }
        }
        let divergence = self.divergence(n, &mut gradient, by_scale);
        (divergence / n as f64 - likelihood, gradient)
    }

    /// The divergence of q from the prior; adds its gradient over n, and that of the likelihood by shape and scale.
    fn divergence(&self, n: usize, gradient: &mut [f64], by_scale: [f64; 2]) -> f64 {
        let size = self.inducing * self.classes;
        let (means, rest) = self.values.split_at(size);
        let logs = &rest[..size];
        let share = 1.0 / n as f64;
        let square: f64 = means.iter().map(|m| m * m).sum();
        let precision = self.scale().map_or(1.0, |(shape, scale)| shape / scale);
        for place in 0..size {
            gradient[place] += share * precision * means[place];
            gradient[size + place] += 0.5 * share * (logs[place].exp() - 1.0);
        }
        let spread: f64 = logs.iter().map(|r| r.exp() - r - 1.0).sum();
        let mut divergence = 0.5 * (spread + precision * square);
        if let (Some((a, b)), ClassScale::InverseGamma { shape, scale }) = (self.scale(), self.prior) {
            divergence += shape * (b / scale).ln() - lgamma(a)
                + lgamma(shape)
                + (a - shape) * digamma(a)
                + (scale - b) * a / b;
            let by_shape = 0.5 * square / b + (a - shape) * trigamma(a) + (scale - b) / b;
            let by_rate = -0.5 * square * a / (b * b) + shape / b - scale * a / (b * b);
            for (place, by) in [by_shape, by_rate].into_iter().enumerate() {
                let slope = logistic(self.values[2 * size + place]);
                gradient[2 * size + place] += slope * (share * by - by_scale[place]);
            }
        }
        divergence
    }
}

/// Replaces values by their softmax.
pub(crate) fn softmax(values: &mut [f64]) {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.iter_mut().for_each(|value| *value = (*value - top).exp());
    let total: f64 = values.iter().sum();
    values.iter_mut().for_each(|value| *value /= total);
}

/// ψ′ for x > 0.
fn trigamma(x: f64) -> f64 {
    let mut x = x;
    let mut sum = 0.0;
    while x < 12.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    // From Bernoulli numbers, as for digamma.
    const COEFFICIENTS: [f64; 6] =
        [1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2730.0];
    let square = 1.0 / (x * x);
    let tail = COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| sum * square + coefficient);
    sum + 1.0 / x + 0.5 * square + square * tail / x
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstitch_numerics::Stream;

    fn problem(prior: ClassScale) -> (Variational, Vec<f64>, Vec<f64>) {
        let mut stream = Stream::new(2, "classification");
        let mut variational = Variational::new(4, 3, prior);
        variational.values.iter_mut().for_each(|value| *value += 0.5 * stream.normal());
        let seen = (0..5 * 4).map(|_| stream.normal()).collect();
        let normals = (0..DRAWS * 5 * 3).map(|_| stream.normal()).collect();
        (variational, seen, normals)
    }

    fn rows(seen: &[f64]) -> Vec<Row<'_>> {
        let row = |(at, seen)| Row { seen, left: 0.3, label: at % 3 };
        seen.chunks_exact(4).enumerate().map(row).collect()
    }

    #[test]
    fn the_gradient_of_the_loss_is_its_central_difference() {
        for prior in [ClassScale::Fixed, ClassScale::InverseGamma { shape: 2.0, scale: 3.0 }] {
            let (variational, seen, normals) = problem(prior);
            let (_, gradient) = variational.loss(&rows(&seen), 50, &normals);
            let size = 2 * 4 * 3;
            for place in 0..variational.values.len() {
                // Nodes move with shape and scale; that the quadrature does not depend on where they are is tested below.
                if place >= size {
                    continue;
                }
                let moved = |by: f64| {
                    let mut moved = variational.clone();
                    moved.values[place] += by;
                    moved.loss(&rows(&seen), 50, &normals).0
                };
                let central = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((central - gradient[place]).abs() < 1e-8, "{place}: {central} {}", gradient[place]);
            }
        }
    }

    /// Expectations under q(s²) and their derivatives by shape and scale, from the nodes and in closed form: E[1/s²] = a/b and
    /// E[log s²] = log b − ψ(a).
    #[test]
    fn nodes_give_moments_and_their_derivatives() {
        let prior = ClassScale::InverseGamma { shape: 2.0, scale: 3.0 };
        let variational = Variational::new(1, 2, prior);
        let (a, b) = variational.scale().unwrap();
        let nodes = variational.quadrature();
        let mean = |of: &dyn Fn(&Node) -> f64| nodes.iter().map(|node| node.weight * of(node)).sum::<f64>();
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 2e-4, "{found} {expected}");
        close(mean(&|node| 1.0 / node.scale), a / b);
        close(mean(&|node| node.scale.ln()), b.ln() - digamma(a));
        close(mean(&|node| node.slopes[0] / node.scale), 1.0 / b);
        close(mean(&|node| node.slopes[1] / node.scale), -a / (b * b));
        close(mean(&|node| node.slopes[0] * node.scale.ln()), -trigamma(a));
        close(mean(&|node| node.slopes[1] * node.scale.ln()), 1.0 / b);
    }

    #[test]
    fn the_divergence_has_its_derivatives_and_is_zero_at_the_prior() {
        let prior = ClassScale::InverseGamma { shape: 2.0, scale: 3.0 };
        let (variational, ..) = problem(prior);
        let at = |variational: &Variational| {
            let mut gradient = vec![0.0; variational.values.len()];
            (variational.divergence(1, &mut gradient, [0.0; 2]), gradient)
        };
        let (value, gradient) = at(&variational);
        assert!(value > 0.0);
        for place in 0..variational.values.len() {
            let moved = |by: f64| {
                let mut moved = variational.clone();
                moved.values[place] += by;
                at(&moved).0
            };
            let central = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((central - gradient[place]).abs() < 1e-7, "{place}: {central} {}", gradient[place]);
        }
        assert!(at(&Variational::new(4, 3, prior)).0.abs() < 1e-12);
    }

    #[test]
    fn trigamma_has_its_known_value() {
        let square = std::f64::consts::PI * std::f64::consts::PI;
        assert!((trigamma(1.0) - square / 6.0).abs() < 1e-13);
        assert!((trigamma(0.5) - square / 2.0).abs() < 1e-12);
    }
}
