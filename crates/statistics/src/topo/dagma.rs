//! DAGMA for linear models: the strongest continuous method that TOPO is compared with.
//!
//! K. Bello, B. Aragam, P. Ravikumar, *DAGMA: Learning DAGs via M-matrices and a Log-Determinant Acyclicity
//! Characterization*, NeurIPS 2022, arXiv 2209.08037. Minimises `μ(½ tr((I − W)'S(I − W)) + λ₁‖W‖₁) + h_s(W)`,
//! `h_s(W) = −log det(sI − W∘W) + d log s`, by Adam for a falling sequence of μ, each from the last solution. The
//! schedule and the rules for leaving the domain are those of the package `dagma` 1.1.1, which the tests hold it to.

use backstitch_numerics::Matrix;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::lu::partial_pivoting::{factor, inverse};
use faer::perm::PermRef;
use faer::{Mat, MatRef, Par, Spec};

use super::graph::{square, threshold};
use crate::Error;

/// Settings of [`dagma`]. The defaults are those of the package.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DagmaParameters {
    /// Weight of the L1 penalty, λ₁.
    pub penalty: f64,
    /// Weights below this are set to zero at the end.
    pub threshold: f64,
    /// First weight of the score, μ.
    pub first_weight: f64,
    /// Factor on μ from one stage to the next.
    pub weight_factor: f64,
    /// The s of each stage; its length is the number of stages, T.
    pub domains: Vec<f64>,
    /// Most iterations of every stage but the last.
    pub warm_iterations: usize,
    /// Most iterations of the last stage.
    pub last_iterations: usize,
    /// Step size of Adam.
    pub step: f64,
    /// Decay of Adam's first and second moment.
    pub decay: (f64, f64),
    /// The objective is looked at every so many iterations.
    pub checkpoint: usize,
    /// A stage ends when the objective changed by less than this share between two looks.
    pub tolerance: f64,
}

impl Default for DagmaParameters {
    fn default() -> Self {
        Self {
            penalty: 0.03,
            threshold: 0.3,
            first_weight: 1.0,
            weight_factor: 0.1,
            domains: vec![1.0, 0.9, 0.8, 0.7, 0.6],
            warm_iterations: 30_000,
            last_iterations: 60_000,
            step: 3e-4,
            decay: (0.99, 0.999),
            checkpoint: 1000,
            tolerance: 1e-6,
        }
    }
}

/// What [`dagma`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct DagmaFit {
    /// d × d after the threshold. Usually acyclic; [`super::topological_order`] says when it is not.
    pub weights: Matrix,
    /// d × d before the threshold.
    pub raw: Matrix,
    /// Gradient steps taken.
    pub iterations: usize,
}

/// Runs DAGMA on a d × d covariance (of centred columns, as the package centres them).
///
/// # Errors
/// [`Error::Shape`] if the matrix is not square, [`Error::Parameter`] for settings outside their range.
pub fn dagma(covariance: &Matrix, parameters: &DagmaParameters) -> Result<DagmaFit, Error> {
    let d = square("the covariance", covariance)?;
    parameters.validate()?;
    let mut run = Run {
        parameters,
        covariance: Mat::from_fn(d, d, |i, j| covariance[(i, j)]),
        weights: Mat::zeros(d, d),
        iterations: 0,
    };
    let mut weight = parameters.first_weight;
    for (stage, &domain) in parameters.domains.iter().enumerate() {
        let last = stage + 1 == parameters.domains.len();
        let most = if last { parameters.last_iterations } else { parameters.warm_iterations };
        let (mut domain, mut step) = (domain, parameters.step);
        // Outside the domain of M-matrices: try again from the last solution in a larger domain with a smaller step.
        loop {
            if let Some(weights) = run.minimise(weight, domain, most, step) {
                run.weights = weights;
                break;
            }
            step *= 0.5;
            domain += 0.1;
            if step < 1e-16 {
                return Err(Error::Parameter {
                    name: "domains",
                    value: format!("{domain}"),
                    allowed: "such that sI − W∘W stays an M-matrix",
                    way_out: "rescale the columns or raise the penalty",
                });
            }
        }
        weight *= parameters.weight_factor;
    }
    let raw = Matrix::from_fn(d, d, |i, j| run.weights[(i, j)]);
    Ok(DagmaFit { weights: threshold(&raw, parameters.threshold), raw, iterations: run.iterations })
}

impl DagmaParameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let not_negative = |value: f64| value.is_finite() && value >= 0.0;
        let share = |value: f64| (0.0..1.0).contains(&value);
        let checks = [
            ("penalty", self.penalty.to_string(), not_negative(self.penalty), "0 or more", "use 0.03"),
            ("threshold", self.threshold.to_string(), not_negative(self.threshold), "0 or more", "use 0.3"),
            ("first_weight", self.first_weight.to_string(), positive(self.first_weight), "positive", "use 1"),
            (
                "weight_factor",
                self.weight_factor.to_string(),
                positive(self.weight_factor),
                "positive",
                "use 0.1",
            ),
            (
                "domains",
                format!("{:?}", self.domains),
                !self.domains.is_empty() && self.domains.iter().all(|&s| positive(s)),
                "one or more positive numbers",
                "use 1, 0.9, 0.8, 0.7, 0.6",
            ),
            ("step", self.step.to_string(), positive(self.step), "positive", "use 3e-4"),
            (
                "decay",
                format!("{:?}", self.decay),
                share(self.decay.0) && share(self.decay.1),
                "two numbers from 0 to below 1",
                "use 0.99 and 0.999",
            ),
            ("checkpoint", self.checkpoint.to_string(), self.checkpoint > 0, "at least 1", "use 1000"),
        ];
        for (name, value, good, allowed, way_out) in checks {
            if !good {
                return Err(Error::Parameter { name, value, allowed, way_out });
            }
        }
        Ok(())
    }
}

struct Run<'a> {
    parameters: &'a DagmaParameters,
    covariance: Mat<f64>,
    weights: Mat<f64>,
    iterations: usize,
}

impl Run<'_> {
    /// One stage from the current weights; none if they leave the domain.
    fn minimise(&mut self, weight: f64, domain: f64, most: usize, mut step: f64) -> Option<Mat<f64>> {
        let d = self.covariance.nrows();
        let (first_decay, second_decay) = self.parameters.decay;
        let mut weights = self.weights.clone();
        let (mut first, mut second) = (Mat::<f64>::zeros(d, d), Mat::<f64>::zeros(d, d));
        let mut direction = Mat::<f64>::zeros(d, d);
        let mut score_gradient = Mat::<f64>::zeros(d, d);
        let mut residual = Mat::<f64>::zeros(d, d);
        let mut previous = 1e16_f64;
        for iteration in 1..=most {
            self.iterations += 1;
            let mut inverse = m_matrix_inverse(weights.as_ref(), domain);
            while inverse.is_none() {
                if iteration == 1 || domain <= 0.9 {
                    return None;
                }
                // The last step went too far: take it back and go half as far.
                add(&mut weights, step, &direction);
                step *= 0.5;
                if step <= 1e-16 {
                    return Some(weights);
                }
                add(&mut weights, -step, &direction);
                inverse = m_matrix_inverse(weights.as_ref(), domain);
            }
            let inverse = inverse?;
            identity_minus(&mut residual, &weights);
            multiply(&mut score_gradient, &self.covariance, &residual);
            let (correct_first, correct_second) =
                (1.0 - first_decay.powf(iteration as f64), 1.0 - second_decay.powf(iteration as f64));
            for j in 0..d {
                for i in 0..d {
                    let w = weights[(i, j)];
                    let sign = if w == 0.0 { 0.0 } else { w.signum() };
                    let gradient = -weight * score_gradient[(i, j)]
                        + weight * self.parameters.penalty * sign
                        + 2.0 * w * inverse[(j, i)];
                    first[(i, j)] = first[(i, j)] * first_decay + (1.0 - first_decay) * gradient;
                    second[(i, j)] =
                        second[(i, j)] * second_decay + (1.0 - second_decay) * gradient * gradient;
                    let scale = (second[(i, j)] / correct_second).sqrt() + 1e-8;
                    direction[(i, j)] = first[(i, j)] / correct_first / scale;
                    weights[(i, j)] = w - step * direction[(i, j)];
                }
            }
            if iteration % self.parameters.checkpoint == 0 || iteration == most {
                let objective = self.objective(&weights, weight, domain);
                if ((previous - objective) / previous).abs() <= self.parameters.tolerance {
                    break;
                }
                previous = objective;
            }
        }
        Some(weights)
    }

    fn objective(&self, weights: &Mat<f64>, weight: f64, domain: f64) -> f64 {
        let d = weights.nrows();
        let mut residual = Mat::zeros(d, d);
        identity_minus(&mut residual, weights);
        let mut product = Mat::zeros(d, d);
        multiply(&mut product, &self.covariance, &residual);
        let (mut score, mut norm) = (0.0, 0.0);
        for j in 0..d {
            for i in 0..d {
                score += 0.5 * residual[(i, j)] * product[(i, j)];
                norm += weights[(i, j)].abs();
            }
        }
        let mut barrier = barrier_matrix(weights.as_ref(), domain);
        factor(&mut barrier);
        let log_determinant: f64 = (0..d).map(|k| barrier[(k, k)].abs().ln()).sum();
        weight * (score + self.parameters.penalty * norm) - log_determinant + d as f64 * domain.ln()
    }
}

/// `sI − W∘W`.
fn barrier_matrix(weights: MatRef<'_, f64>, domain: f64) -> Mat<f64> {
    Mat::from_fn(weights.nrows(), weights.ncols(), |i, j| {
        f64::from(u8::from(i == j)) * domain - weights[(i, j)] * weights[(i, j)]
    })
}

/// Replaces a matrix by its two triangular factors and returns the row permutation and its inverse. On one thread, so
/// that the number of threads cannot change a sum.
fn factor(matrix: &mut Mat<f64>) -> (Vec<usize>, Vec<usize>) {
    let d = matrix.nrows();
    let (mut forward, mut backward) = (vec![0_usize; d], vec![0_usize; d]);
    let scratch = factor::lu_in_place_scratch::<usize, f64>(d, d, Par::Seq, Spec::default());
    let mut memory = MemBuffer::new(scratch);
    factor::lu_in_place(
        matrix.as_mut(),
        &mut forward,
        &mut backward,
        Par::Seq,
        MemStack::new(&mut memory),
        Spec::default(),
    );
    (forward, backward)
}

/// The inverse of [`barrier_matrix`], if no entry is negative (up to the package's 1e-16): the mark of an M-matrix.
fn m_matrix_inverse(weights: MatRef<'_, f64>, domain: f64) -> Option<Mat<f64>> {
    let mut factors = barrier_matrix(weights, domain);
    let d = factors.nrows();
    let (forward, backward) = factor(&mut factors);
    let permutation = PermRef::new_checked(&forward, &backward, d);
    let mut inverse = Mat::zeros(d, d);
    let mut memory = MemBuffer::new(inverse::inverse_scratch::<usize, f64>(d, Par::Seq));
    inverse::inverse(
        inverse.as_mut(),
        factors.as_ref(),
        factors.as_ref(),
        permutation,
        Par::Seq,
        MemStack::new(&mut memory),
    );
    for j in 0..inverse.ncols() {
        for i in 0..inverse.nrows() {
            inverse[(i, j)] += 1e-16;
            // A singular matrix gives values that are not numbers; those are outside the domain as well.
            if inverse[(i, j)].is_nan() || inverse[(i, j)] < 0.0 {
                return None;
            }
        }
    }
    Some(inverse)
}

fn identity_minus(target: &mut Mat<f64>, weights: &Mat<f64>) {
    for j in 0..weights.ncols() {
        for i in 0..weights.nrows() {
            target[(i, j)] = f64::from(u8::from(i == j)) - weights[(i, j)];
        }
    }
}

fn multiply(target: &mut Mat<f64>, left: &Mat<f64>, right: &Mat<f64>) {
    faer::linalg::matmul::matmul(target.as_mut(), faer::Accum::Replace, left, right, 1.0, Par::Seq);
}

fn add(target: &mut Mat<f64>, factor: f64, other: &Mat<f64>) {
    for j in 0..target.ncols() {
        for i in 0..target.nrows() {
            target[(i, j)] += factor * other[(i, j)];
        }
    }
}
