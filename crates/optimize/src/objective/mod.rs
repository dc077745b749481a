//! What the methods of this wing minimise: losses over sparse rows, regularisers, quadratics; gradients and smoothness constants.
//!
//! A function is L-smooth if its gradient is Lipschitz: `‖∇f(x) − ∇f(y)‖ ≤ L‖x − y‖`. Constants here are upper bounds that hold
//! ([`EigenvalueBounds`]), because step sizes that are certified rest on them.

mod eigenvalue;
mod labels;
mod loss;
mod quadratic;
mod rows;

pub use eigenvalue::{EigenvalueBounds, largest_eigenvalue};
pub use labels::Classes;
pub(crate) use loss::exponential;
pub use loss::{Loss, Regulariser};
pub use quadratic::Quadratic;
pub use rows::RowObjective;

/// A differentiable function of a vector, with what a certified step size needs to know of it.
pub trait Objective: Sync {
    /// Length d of its argument.
    fn dimension(&self) -> usize;

    /// Its value at a point of length d.
    fn value(&self, point: &[f64]) -> f64;

    /// Writes its gradient at a point into `gradient`, both of length d.
    fn gradient(&self, point: &[f64], gradient: &mut [f64]);

    /// A constant L for which it is L-smooth.
    fn smoothness(&self) -> f64;

    /// A number that no value is below, if one is known.
    fn lower_bound(&self) -> Option<f64>;

    /// How many samples it is the mean of; 1 where it is no mean.
    fn samples(&self) -> usize {
        1
    }

    /// Writes the mean gradient of some samples, by their numbers from 0. Their mean over all samples is the gradient.
    fn sample_gradient(&self, point: &[f64], samples: &[usize], gradient: &mut [f64]) {
        debug_assert!(samples.iter().all(|sample| *sample < self.samples()));
        self.gradient(point, gradient);
    }

    /// A bound, over all points, of the variance `E‖∇_B f − ∇f‖²` of the mean gradient of a batch drawn without replacement.
    /// `None` where it is not bounded.
    fn sample_variance(&self, batch: usize) -> Option<f64> {
        debug_assert!(batch > 0);
        (self.samples() == 1).then_some(0.0)
    }

    /// Multiplications of one gradient, roughly: decides whether clients are worth a thread each.
    fn work(&self) -> usize {
        self.dimension()
    }
}

pub(crate) fn squared_norm(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum()
}
