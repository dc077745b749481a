//! Closed convex sets, each known by its projection.

use backstitch_numerics::Matrix;
use faer::Mat;

use super::problem::norm;
use crate::Error;

/// A closed convex set that is not empty.
pub trait ConvexSet: Sync {
    /// Moves a point to the nearest one of the set.
    fn project(&self, point: &mut [f64]);

    /// Whether it fits vectors of a length.
    ///
    /// # Errors
    /// [`Error::Length`], and [`Error::Parameter`] where the set itself is none.
    fn check(&self, dimension: usize) -> Result<(), Error>;

    /// Whether every coordinate is projected on its own, so that coordinates may take steps of different lengths.
    fn is_separable(&self) -> bool {
        false
    }
}

/// All vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Everything;

impl ConvexSet for Everything {
    fn project(&self, _: &mut [f64]) {}

    fn check(&self, _: usize) -> Result<(), Error> {
        Ok(())
    }

    fn is_separable(&self) -> bool {
        true
    }
}

/// A box: every coordinate between two bounds, which may be infinite.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// The lower bounds.
    pub lower: Vec<f64>,
    /// The upper bounds.
    pub upper: Vec<f64>,
}

impl Bounds {
    /// The same two bounds for every coordinate.
    pub fn uniform(dimension: usize, lower: f64, upper: f64) -> Self {
        Self { lower: vec![lower; dimension], upper: vec![upper; dimension] }
    }
}

impl ConvexSet for Bounds {
    fn project(&self, point: &mut [f64]) {
        for ((entry, lower), upper) in point.iter_mut().zip(&self.lower).zip(&self.upper) {
            *entry = entry.max(*lower).min(*upper);
        }
    }

    fn check(&self, dimension: usize) -> Result<(), Error> {
        for (what, bounds) in [("the lower bounds", &self.lower), ("the upper bounds", &self.upper)] {
            fits(what, bounds.len(), dimension)?;
        }
        match self
            .lower
            .iter()
            .zip(&self.upper)
            .find(|(lower, upper)| lower.is_nan() || upper.is_nan() || lower > upper)
        {
            None => Ok(()),
            Some((lower, upper)) => Err(Error::parameter(
                "lower bound",
                lower,
                format!("at most the upper bound, which is {upper}"),
                "swap the two",
            )),
        }
    }

    fn is_separable(&self) -> bool {
        true
    }
}

/// A ball: `‖point − centre‖ ≤ radius`.
#[derive(Clone, Debug, PartialEq)]
pub struct Ball {
    /// The centre.
    pub centre: Vec<f64>,
    /// The radius, 0 or more.
    pub radius: f64,
}

impl ConvexSet for Ball {
    fn project(&self, point: &mut [f64]) {
        let away: Vec<f64> = point.iter().zip(&self.centre).map(|(x, c)| x - c).collect();
        let length = norm(&away);
        if length > self.radius {
            for ((entry, centre), away) in point.iter_mut().zip(&self.centre).zip(&away) {
                *entry = centre + self.radius / length * away;
            }
        }
    }

    fn check(&self, dimension: usize) -> Result<(), Error> {
        fits("the centre of the ball", self.centre.len(), dimension)?;
        positive_or_zero("radius", self.radius)
    }
}

/// A simplex: no coordinate negative, their sum a total.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Simplex {
    /// The total, above 0; 1 for probabilities.
    pub total: f64,
}

impl ConvexSet for Simplex {
    /// All coordinates are lowered by one number and cut at zero; the number is found among the sorted coordinates.
    fn project(&self, point: &mut [f64]) {
        let mut sorted = point.to_vec();
        sorted.sort_by(|one, other| other.total_cmp(one));
        let (mut sum, mut lowered) = (0.0, 0.0);
        for (place, value) in sorted.iter().enumerate() {
            sum += value;
            let candidate = (sum - self.total) / (place + 1) as f64;
            if *value <= candidate {
                break;
            }
            lowered = candidate;
        }
        for entry in point {
            *entry = (*entry - lowered).max(0.0);
        }
    }

    fn check(&self, _: usize) -> Result<(), Error> {
        if self.total.is_finite() && self.total > 0.0 {
            return Ok(());
        }
        Err(Error::parameter("total", self.total, "positive and finite", "use 1 for probabilities"))
    }
}

/// The solutions of `A·point = b`.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    equations: Matrix,
    right: Vec<f64>,
    /// The pseudo-inverse of A, transposed: a row per equation.
    inverse: Matrix,
}

impl Affine {
    /// The solutions of equations, a row each. Equations may repeat each other.
    ///
    /// # Errors
    /// [`Error::Length`] if the right sides are not as many as the rows; [`Error::Parameter`] if numbers are not finite or no point
    /// solves the equations.
    pub fn new(equations: Matrix, right: Vec<f64>) -> Result<Self, Error> {
        fits("the right side of the equations", right.len(), equations.rows())?;
        let dense =
            Mat::from_fn(equations.rows(), equations.columns(), |row, column| equations[(row, column)]);
        let unusable = |value: &str| {
            Error::parameter("equations", value, "finite and solvable", "check the rows and right sides")
        };
        if equations.values().iter().chain(&right).any(|value| !value.is_finite()) {
            return Err(unusable("not finite"));
        }
        let inverse = dense.thin_svd().map_err(|_| unusable("not decomposed"))?.pseudoinverse();
        let inverse =
            Matrix::from_fn(equations.rows(), equations.columns(), |row, column| inverse[(column, row)]);
        let set = Self { equations, right, inverse };
        let mut point = vec![0.0; set.equations.columns()];
        set.project(&mut point);
        let scale = 1.0 + norm(&set.right);
        match (0..set.right.len()).find(|&row| set.excess(row, &point).abs() > 1e-8 * scale) {
            None => Ok(set),
            Some(_) => Err(unusable("without a solution")),
        }
    }

    fn excess(&self, row: usize, point: &[f64]) -> f64 {
        let product: f64 = self.equations.row(row).iter().zip(point).map(|(a, x)| a * x).sum();
        product - self.right[row]
    }
}

impl ConvexSet for Affine {
    fn project(&self, point: &mut [f64]) {
        let excess: Vec<f64> = (0..self.right.len()).map(|row| self.excess(row, point)).collect();
        for (row, excess) in excess.iter().enumerate() {
            for (entry, inverse) in point.iter_mut().zip(self.inverse.row(row)) {
                *entry -= excess * inverse;
            }
        }
    }

    fn check(&self, dimension: usize) -> Result<(), Error> {
        fits("a row of the equations", self.equations.columns(), dimension)
    }
}

fn fits(what: &str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::Length { what: what.into(), found, expected }) }
}

fn positive_or_zero(name: &'static str, value: f64) -> Result<(), Error> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Error::parameter(name, value, "finite and 0 or more", "use 1"))
}
