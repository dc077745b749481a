//! Quadratics with a diagonal and a rotation of rank one: smooth by construction, for studies and tests.

use super::{Objective, squared_norm};

/// `f(x) = ½ (x − c)ᵀ H (x − c)` with `H = R diag(h) R`, `R = I − 2uuᵀ` a reflection along the unit vector u.
///
/// Its eigenvalues are the entries of h, so its smoothness is known exactly, and no coordinate is special to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Quadratic {
    centre: Vec<f64>,
    eigenvalues: Vec<f64>,
    axis: Vec<f64>,
}

impl Quadratic {
    /// A quadratic from its minimiser, the eigenvalues of its Hessian, and the axis of the reflection (zero for none), all of one
    /// length. Eigenvalues must not be negative.
    ///
    /// # Errors
    /// [`crate::Error::Length`] or [`crate::Error::Parameter`].
    pub fn new(centre: Vec<f64>, eigenvalues: Vec<f64>, mut axis: Vec<f64>) -> Result<Self, crate::Error> {
        for (what, vector) in [("the eigenvalues", &eigenvalues), ("the axis", &axis)] {
            if vector.len() != centre.len() {
                let (found, expected) = (vector.len(), centre.len());
                return Err(crate::Error::Length { what: what.into(), found, expected });
            }
        }
        if let Some(value) = eigenvalues.iter().find(|value| !(value.is_finite() && **value >= 0.0)) {
            let way_out = "a quadratic below a bound has no negative curvature";
            return Err(crate::Error::parameter("eigenvalue", value, "finite and 0 or more", way_out));
        }
        let length = squared_norm(&axis).sqrt();
        if length > 0.0 {
            axis.iter_mut().for_each(|entry| *entry /= length);
        }
        Ok(Self { centre, eigenvalues, axis })
    }

    /// `H v`, written over v.
    fn multiply(&self, vector: &mut [f64]) {
        self.reflect(vector);
        for (entry, eigenvalue) in vector.iter_mut().zip(&self.eigenvalues) {
            *entry *= eigenvalue;
        }
        self.reflect(vector);
    }

    fn reflect(&self, vector: &mut [f64]) {
        let along = 2.0 * vector.iter().zip(&self.axis).map(|(x, u)| x * u).sum::<f64>();
        for (entry, axis) in vector.iter_mut().zip(&self.axis) {
            *entry -= along * axis;
        }
    }
}

impl Objective for Quadratic {
    fn dimension(&self) -> usize {
        self.centre.len()
    }

    fn value(&self, point: &[f64]) -> f64 {
        let away: Vec<f64> = point.iter().zip(&self.centre).map(|(x, c)| x - c).collect();
        let mut image = away.clone();
        self.multiply(&mut image);
        0.5 * away.iter().zip(&image).map(|(x, y)| x * y).sum::<f64>()
    }

    fn gradient(&self, point: &[f64], gradient: &mut [f64]) {
        for ((slope, x), c) in gradient.iter_mut().zip(point).zip(&self.centre) {
            *slope = x - c;
        }
        self.multiply(gradient);
    }

    fn smoothness(&self) -> f64 {
        self.eigenvalues.iter().copied().fold(0.0, f64::max)
    }

    fn lower_bound(&self) -> Option<f64> {
        Some(0.0)
    }
}
