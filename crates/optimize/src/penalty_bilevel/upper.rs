//! Steps of x.

use super::parameters::UpperStep;
use super::problem::{add, distance};
use super::sets::ConvexSet;

/// Decay of the running mean of the gradient, and of its square, as Adam has them.
const MEAN: f64 = 0.9;
const SQUARE: f64 = 0.999;
/// Keeps a coordinate without any gradient where it is.
const FLOOR: f64 = 1e-12;

/// Moves x along directions.
pub(super) struct Mover {
    kind: UpperStep,
    mean: Vec<f64>,
    square: Vec<f64>,
    steps: i32,
}

impl Mover {
    pub(super) fn new(kind: UpperStep, dimension: usize) -> Self {
        Self { kind, mean: vec![0.0; dimension], square: vec![0.0; dimension], steps: 0 }
    }

    /// The length that the gradient mapping is measured with.
    pub(super) fn length(&self, sigma: f64) -> f64 {
        match self.kind {
            UpperStep::Gradient(step) => step.unwrap_or(0.2 * sigma),
            UpperStep::Adam(_) => 1.0,
        }
    }

    /// One step against the direction; the set is the caller's business.
    pub(super) fn step(&mut self, x: &mut [f64], direction: &[f64], sigma: f64) {
        let UpperStep::Adam(length) = self.kind else {
            add(x, -self.length(sigma), direction);
            return;
        };
        self.steps = self.steps.saturating_add(1);
        let (of_mean, of_square) = (1.0 - MEAN.powi(self.steps), 1.0 - SQUARE.powi(self.steps));
        let running = self.mean.iter_mut().zip(&mut self.square);
        for ((x, slope), (mean, square)) in x.iter_mut().zip(direction).zip(running) {
            *mean += (1.0 - MEAN) * (slope - *mean);
            *square += (1.0 - SQUARE) * (slope * slope - *square);
            *x -= length * (*mean / of_mean) / ((*square / of_square).sqrt() + FLOOR);
        }
    }
}

/// Length of `(x − Proj(x − length·direction))/length`: the gradient, where the set does not matter.
pub(super) fn mapping(x: &[f64], direction: &[f64], length: f64, set: &dyn ConvexSet) -> f64 {
    let mut moved = x.to_vec();
    add(&mut moved, -length, direction);
    set.project(&mut moved);
    distance(x, &moved) / length
}
