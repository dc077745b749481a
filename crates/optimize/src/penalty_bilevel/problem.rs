//! What a bilevel problem has to say of itself.

/// Which samples a gradient is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples<'a> {
    /// All of them.
    All,
    /// These, by their numbers from 0; a number may stand more than once.
    Chosen(&'a [usize]),
}

/// Where the parts of a gradient are written; a part that is not wanted is `None`.
#[derive(Debug, Default)]
pub struct Slopes<'a> {
    /// The part in x, of length p.
    pub x: Option<&'a mut [f64]>,
    /// The part in y, of length q.
    pub y: Option<&'a mut [f64]>,
}

impl<'a> Slopes<'a> {
    /// Both parts.
    pub fn both(x: &'a mut [f64], y: &'a mut [f64]) -> Self {
        Self { x: Some(x), y: Some(y) }
    }

    /// The part in x only.
    pub fn in_x(x: &'a mut [f64]) -> Self {
        Self { x: Some(x), y: None }
    }

    /// The part in y only.
    pub fn in_y(y: &'a mut [f64]) -> Self {
        Self { x: None, y: Some(y) }
    }
}

/// `min f(x, y)` over x and over the y that minimise `g(x, ·)`: x of length p, y of length q, both functions smooth.
///
/// Only first derivatives are asked for. Where f or g is a mean over samples, gradients of some of them can be given too, which the
/// stochastic variants need.
pub trait Bilevel: Sync {
    /// Length p of x.
    fn upper_dimension(&self) -> usize;

    /// Length q of y.
    fn lower_dimension(&self) -> usize;

    /// f.
    fn upper_value(&self, x: &[f64], y: &[f64]) -> f64;

    /// g.
    fn lower_value(&self, x: &[f64], y: &[f64]) -> f64;

    /// Writes the gradient of f, or the mean gradient of some of its samples.
    fn upper_gradient(&self, x: &[f64], y: &[f64], samples: Samples<'_>, slopes: Slopes<'_>);

    /// Writes the gradient of g, or the mean gradient of some of its samples.
    fn lower_gradient(&self, x: &[f64], y: &[f64], samples: Samples<'_>, slopes: Slopes<'_>);

    /// A number that the curvature of `f(x, ·)` is nowhere above.
    fn upper_smoothness(&self) -> f64;

    /// A number that the curvature of `g(x, ·)` is nowhere above, at this x.
    fn lower_smoothness(&self, x: &[f64]) -> f64;

    /// How many samples f is the mean of; 1 where it is no mean.
    fn upper_samples(&self) -> usize {
        1
    }

    /// How many samples g is the mean of; 1 where it is no mean.
    fn lower_samples(&self) -> usize {
        1
    }

    /// Writes the derivative of the gradient of g along a direction of y: `H_yy v` and `H_xy v`.
    ///
    /// Not used by the penalty method, only by [`hypergradient`](super::hypergradient). The default takes central differences of the gradient.
    fn lower_hessian_product(&self, x: &[f64], y: &[f64], direction: &[f64], slopes: Slopes<'_>) {
        let length = norm(direction);
        let Slopes { x: mut in_x, y: mut in_y } = slopes;
        for part in [in_x.as_deref_mut(), in_y.as_deref_mut()].into_iter().flatten() {
            part.fill(0.0);
        }
        if length == 0.0 {
            return;
        }
        // The cube root of the rounding is where truncation and cancellation are about equal.
        let step = f64::EPSILON.cbrt() * (1.0 + norm(y)) / length;
        let (mut of_x, mut of_y) = (vec![0.0; x.len()], vec![0.0; y.len()]);
        for sign in [1.0, -1.0] {
            let moved: Vec<f64> = y.iter().zip(direction).map(|(y, v)| y + sign * step * v).collect();
            self.lower_gradient(x, &moved, Samples::All, Slopes::both(&mut of_x, &mut of_y));
            for (part, moved) in [(in_x.as_deref_mut(), &of_x), (in_y.as_deref_mut(), &of_y)] {
                if let Some(part) = part {
                    add(part, sign / (2.0 * step), moved);
                }
            }
        }
    }
}

/// Gradients that were asked for, in samples: a whole gradient counts as many as there are samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Calls {
    /// Of f.
    pub upper: u64,
    /// Of g.
    pub lower: u64,
}

impl Calls {
    /// Of both.
    pub fn total(self) -> u64 {
        self.upper + self.lower
    }
}

impl std::ops::Add for Calls {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { upper: self.upper + other.upper, lower: self.lower + other.lower }
    }
}

/// A problem whose gradients are counted.
pub(super) struct Counted<'a, P: ?Sized> {
    pub(super) problem: &'a P,
    pub(super) calls: Calls,
}

impl<'a, P: Bilevel + ?Sized> Counted<'a, P> {
    pub(super) fn new(problem: &'a P) -> Self {
        Self { problem, calls: Calls::default() }
    }

    pub(super) fn upper(&mut self, x: &[f64], y: &[f64], samples: Samples<'_>, slopes: Slopes<'_>) {
        self.calls.upper += count(samples, self.problem.upper_samples());
        self.problem.upper_gradient(x, y, samples, slopes);
    }

    pub(super) fn lower(&mut self, x: &[f64], y: &[f64], samples: Samples<'_>, slopes: Slopes<'_>) {
        self.calls.lower += count(samples, self.problem.lower_samples());
        self.problem.lower_gradient(x, y, samples, slopes);
    }
}

fn count(samples: Samples<'_>, all: usize) -> u64 {
    match samples {
        Samples::All => all as u64,
        Samples::Chosen(chosen) => chosen.len() as u64,
    }
}

pub(super) fn norm(vector: &[f64]) -> f64 {
    crate::objective::squared_norm(vector).sqrt()
}

pub(super) fn distance(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
}

/// Adds a multiple of a vector.
pub(super) fn add(to: &mut [f64], multiple: f64, vector: &[f64]) {
    for (sum, value) in to.iter_mut().zip(vector) {
        *sum += multiple * value;
    }
}
