//! What is minimised: a smooth loss of columns or a quadratic, with a ridge, an L1 penalty and bounds.

use backstitch_numerics::SparseMatrix;

use super::penalty::Penalty;
use crate::Error;
use crate::objective::{Loss, largest_eigenvalue};

/// The smooth part, without the ridge.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Smooth {
    /// `½‖Ax − y‖²`.
    LeastSquares { labels: Vec<f64> },
    /// `Σ log(1 + exp(−y aᵀx))`, labels −1 and 1.
    Logistic { labels: Vec<f64> },
    /// `Σ log Σ_c exp(aᵀx_c) − aᵀx_y`.
    Softmax { labels: Vec<usize>, classes: usize },
    /// `½xᵀAx − bᵀx + constant`.
    Quadratic { linear: Vec<f64>, constant: f64 },
}

/// A convex problem whose coordinates can be updated in blocks.
///
/// `f(x) + (ρ/2)‖x‖² + λ‖x‖₁` over lower ≤ x ≤ upper. Sums over rows are not divided by their number.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub(super) smooth: Smooth,
    /// The features as rows of this matrix, or the symmetric matrix of a quadratic.
    pub(super) columns: SparseMatrix,
    pub(super) ridge: f64,
    pub(super) penalty: Penalty,
    /// Of every coordinate, without the ridge.
    curvatures: Vec<f64>,
    /// Coordinates that the value depends on.
    pub(super) live: Vec<usize>,
}

impl Problem {
    /// `½‖Ax − y‖²` with one row of A and one label per observation.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::NoFeatures`], [`Error::Labels`], [`Error::NotFinite`], [`Error::TooLarge`],
    /// [`Error::EmptyColumns`].
    pub fn least_squares(features: &SparseMatrix, labels: &[f64]) -> Result<Self, Error> {
        check_rows(features, labels.len())?;
        check_labels(labels)?;
        if !labels.iter().map(|label| label * label).sum::<f64>().is_finite() {
            return Err(Error::parameter(
                "labels",
                "too large to square",
                "of a finite sum of squares",
                "rescale them",
            ));
        }
        Self::of_rows(features, Smooth::LeastSquares { labels: labels.to_vec() })
    }

    /// `Σ log(1 + exp(−y aᵀx))` with labels −1 and 1.
    ///
    /// # Errors
    /// As [`Self::least_squares`]; [`Error::NotSigned`], [`Error::OneClass`].
    pub fn logistic(features: &SparseMatrix, labels: &[f64]) -> Result<Self, Error> {
        check_rows(features, labels.len())?;
        check_labels(labels)?;
        if let Some(row) = labels.iter().position(|label| label.abs() != 1.0) {
            return Err(Error::NotSigned { row, value: labels[row] });
        }
        if labels.iter().all(|label| *label == labels[0]) {
            return Err(Error::OneClass { label: labels[0], rows: labels.len() });
        }
        Self::of_rows(features, Smooth::Logistic { labels: labels.to_vec() })
    }

    /// `Σ log Σ_c exp(aᵀx_c) − aᵀx_y`: weights per feature and class, the class y of every row from 0 up to `classes`. Coordinate
    /// `feature·classes + class` is the weight of a feature for a class.
    ///
    /// # Errors
    /// As [`Self::least_squares`]; [`Error::Parameter`] for a label outside or fewer than two classes, [`Error::OneClass`].
    pub fn softmax(features: &SparseMatrix, labels: &[usize], classes: usize) -> Result<Self, Error> {
        check_rows(features, labels.len())?;
        if classes < 2 {
            return Err(Error::parameter(
                "classes",
                classes,
                "2 or more",
                "use least squares for one column",
            ));
        }
        if let Some(label) = labels.iter().find(|label| **label >= classes) {
            let way_out = "number the classes from 0 without gaps";
            return Err(Error::parameter("label", label, format!("below the {classes} classes"), way_out));
        }
        if labels.iter().all(|label| *label == labels[0]) {
            return Err(Error::OneClass { label: labels[0] as f64, rows: labels.len() });
        }
        Self::of_rows(features, Smooth::Softmax { labels: labels.to_vec(), classes })
    }

    /// `½xᵀAx − bᵀx` with a symmetric positive semidefinite A, given by all its entries.
    ///
    /// # Errors
    /// [`Error::NoFeatures`], [`Error::Length`], [`Error::NotFinite`], [`Error::NotSymmetric`].
    pub fn quadratic(matrix: SparseMatrix, linear: Vec<f64>) -> Result<Self, Error> {
        Self::of_matrix(matrix, linear, 0.0)
    }

    /// With `(ρ/2)‖x‖²` added.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless ρ is finite and not negative.
    pub fn with_ridge(mut self, ridge: f64) -> Result<Self, Error> {
        if !(ridge.is_finite() && ridge >= 0.0) {
            return Err(Error::parameter("ridge", ridge, "a finite number from 0 up", "use 0 for none"));
        }
        self.ridge = ridge;
        Ok(self)
    }

    /// With an L1 penalty and bounds.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless λ is finite and not negative, and the bounds leave an interval.
    pub fn with_penalty(mut self, penalty: Penalty) -> Result<Self, Error> {
        if !(penalty.l1.is_finite() && penalty.l1 >= 0.0) {
            return Err(Error::parameter("l1", penalty.l1, "a finite number from 0 up", "use 0 for none"));
        }
        let bounds = penalty.lower < penalty.upper
            && penalty.lower < f64::INFINITY
            && penalty.upper > f64::NEG_INFINITY;
        if !bounds {
            let found = format!("{} to {}", penalty.lower, penalty.upper);
            let way_out = "give the lower bound first";
            return Err(Error::parameter(
                "bounds",
                found,
                "an interval, its lower end below its upper",
                way_out,
            ));
        }
        self.penalty = penalty;
        Ok(self)
    }

    /// Length of x.
    pub fn dimension(&self) -> usize {
        self.columns.rows() * self.classes()
    }

    /// Features, or unknowns of a quadratic.
    pub fn features(&self) -> usize {
        self.columns.rows()
    }

    /// Rows of the data; unknowns of a quadratic.
    pub fn rows(&self) -> usize {
        self.columns.columns()
    }

    /// Entries of the data that are not zero.
    pub fn entries(&self) -> usize {
        self.columns.entries()
    }

    /// Weights per feature: the classes of a softmax, otherwise 1.
    pub fn classes(&self) -> usize {
        match self.smooth {
            Smooth::Softmax { classes, .. } => classes,
            _ => 1,
        }
    }

    /// Strength ρ of the ridge.
    pub fn ridge(&self) -> f64 {
        self.ridge
    }

    /// The L1 penalty and the bounds.
    pub fn penalty(&self) -> &Penalty {
        &self.penalty
    }

    /// Features without an entry other than zero: their weights stay at the point of the bounds nearest to zero.
    pub fn empty_features(&self) -> Vec<usize> {
        let classes = self.classes();
        (0..self.features()).filter(|feature| self.curvatures[feature * classes] == 0.0).collect()
    }

    /// The Lipschitz constant of the slope along a coordinate, the ridge included.
    pub fn lipschitz(&self, coordinate: usize) -> f64 {
        self.curvatures[coordinate] + self.ridge
    }

    /// The smallest strength of an L1 penalty at which all weights are zero; the bounds are not looked at.
    pub fn largest_l1(&self) -> f64 {
        let free = Self { penalty: Penalty::default(), ..self.clone() };
        let mut slopes = vec![0.0; self.dimension()];
        super::state::State::new(&free).gradient(&mut slopes);
        slopes.iter().fold(0.0, |most, slope| most.max(slope.abs()))
    }

    /// Whether curvature is the same everywhere.
    pub(super) fn is_quadratic(&self) -> bool {
        matches!(self.smooth, Smooth::LeastSquares { .. } | Smooth::Quadratic { .. })
    }

    /// The matrix A of a quadratic, whose graph blocks may follow.
    pub fn matrix(&self) -> Option<&SparseMatrix> {
        matches!(self.smooth, Smooth::Quadratic { .. }).then_some(&self.columns)
    }

    /// The linear part b of a quadratic.
    pub fn linear(&self) -> Option<&[f64]> {
        match &self.smooth {
            Smooth::Quadratic { linear, .. } => Some(linear),
            _ => None,
        }
    }

    /// The largest second derivative of the loss in a prediction, along one class and for all directions of a row.
    pub(super) fn curvature(&self) -> f64 {
        match self.smooth {
            Smooth::LeastSquares { .. } | Smooth::Quadratic { .. } => 1.0,
            Smooth::Logistic { .. } => Loss::Logistic.curvature(),
            Smooth::Softmax { .. } => 0.5,
        }
    }

    /// For every coordinate a number that no row sum of absolute values of the Hessian's bound is above: a diagonal of these majorises
    /// it. For rows `|a_i|ᵀ Σ_j |a_j|`, so no product of columns is formed.
    pub fn majoriser(&self) -> Vec<f64> {
        if self.matrix().is_some() {
            let sum = |row| self.columns.row(row).iter().map(|(_, value)| value.abs()).sum::<f64>();
            return (0..self.features()).map(|row| sum(row) + self.ridge).collect();
        }
        let classes = self.classes();
        // Of `½(1[c = c'] − 1/k)` over c'.
        let share = match self.smooth {
            Smooth::Softmax { classes, .. } => (classes - 1) as f64 / classes as f64,
            _ => self.curvature(),
        };
        let mut totals = vec![0.0; self.rows()];
        for feature in 0..self.features() {
            self.columns.row(feature).iter().for_each(|(row, value)| totals[row] += value.abs());
        }
        let sums = (0..self.features()).flat_map(|feature| {
            let sum: f64 =
                self.columns.row(feature).iter().map(|(row, value)| value.abs() * totals[row]).sum();
            std::iter::repeat_n(share * sum + self.ridge, classes)
        });
        sums.collect()
    }

    /// A number that no eigenvalue of the Hessian's bound is above.
    pub(super) fn smoothness(&self) -> f64 {
        if self.matrix().is_some() {
            return self.majoriser().into_iter().fold(0.0, f64::max);
        }
        let curvature = self.curvature();
        // The eigenvalues of AAᵀ are those of AᵀA.
        largest_eigenvalue(&self.columns, 0..self.features(), |_| curvature, 1e-2, 200).upper + self.ridge
    }

    fn of_rows(features: &SparseMatrix, smooth: Smooth) -> Result<Self, Error> {
        let columns = features.transposed().map_err(|_| too_many_rows(features.rows()))?;
        let norms = (0..columns.rows()).map(|feature| columns.row(feature).squared_norm());
        let (share, classes) = match &smooth {
            Smooth::Logistic { .. } => (Loss::Logistic.curvature(), 1),
            // p(1 − p) of one class; ½(1 − 1/k), the diagonal of the bound of all, is no smaller.
            Smooth::Softmax { classes, .. } => (0.25, *classes),
            _ => (1.0, 1),
        };
        let curvatures: Vec<f64> =
            norms.flat_map(|norm| std::iter::repeat_n(share * norm, classes)).collect();
        Self::new(smooth, columns, curvatures)
    }

    fn of_matrix(matrix: SparseMatrix, linear: Vec<f64>, constant: f64) -> Result<Self, Error> {
        let n = matrix.rows();
        if n == 0 {
            return Err(Error::NoFeatures);
        }
        for (what, found) in
            [("the columns of the matrix", matrix.columns()), ("the linear part", linear.len())]
        {
            if found != n {
                return Err(Error::Length { what: what.into(), found, expected: n });
            }
        }
        if let Some(row) = linear.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite { what: "the linear part", row, value: linear[row] });
        }
        let mut diagonal = vec![0.0; n];
        let flipped = matrix.transposed().map_err(|_| too_many_rows(n))?;
        for row in 0..n {
            if let Some((column, _)) = matrix
                .row(row)
                .iter()
                .zip(flipped.row(row).iter())
                .find(|(one, other)| one != other)
                .map(|(one, _)| one)
                .or((matrix.row(row).entries() != flipped.row(row).entries()).then_some((row, 0.0)))
            {
                return Err(Error::NotSymmetric { row, column });
            }
            for (column, value) in matrix.row(row).iter() {
                if !value.is_finite() {
                    return Err(Error::NotFinite { what: "an entry of the matrix", row, value });
                }
                if column == row {
                    diagonal[row] = value;
                }
            }
            if diagonal[row] < 0.0 {
                let way_out = "a quadratic below a bound has no negative curvature";
                return Err(Error::parameter("diagonal entry", diagonal[row], "0 or more", way_out));
            }
        }
        Self::new(Smooth::Quadratic { linear, constant }, matrix, diagonal)
    }

    /// From a Laplacian: see [`super::Propagation`].
    pub(super) fn of_graph(matrix: SparseMatrix, linear: Vec<f64>, constant: f64) -> Result<Self, Error> {
        Self::of_matrix(matrix, linear, constant)
    }

    fn new(smooth: Smooth, columns: SparseMatrix, curvatures: Vec<f64>) -> Result<Self, Error> {
        let live: Vec<usize> = (0..curvatures.len()).filter(|&i| curvatures[i] > 0.0).collect();
        if live.is_empty() {
            return Err(Error::EmptyColumns { features: columns.rows() });
        }
        Ok(Self { smooth, columns, ridge: 0.0, penalty: Penalty::default(), curvatures, live })
    }
}

fn check_rows(features: &SparseMatrix, labels: usize) -> Result<(), Error> {
    if labels != features.rows() {
        return Err(Error::Labels { labels, rows: features.rows() });
    }
    if features.rows() == 0 {
        return Err(Error::NoRows);
    }
    if features.columns() == 0 {
        return Err(Error::NoFeatures);
    }
    for row in 0..features.rows() {
        if features.row(row).squared_norm().is_finite() {
            continue;
        }
        return Err(match features.row(row).iter().find(|(_, value)| !value.is_finite()) {
            Some((_, value)) => Error::NotFinite { what: "a feature", row, value },
            None => Error::TooLarge { row },
        });
    }
    Ok(())
}

fn check_labels(labels: &[f64]) -> Result<(), Error> {
    match labels.iter().position(|label| !label.is_finite()) {
        Some(row) => Err(Error::NotFinite { what: "the label", row, value: labels[row] }),
        None => Ok(()),
    }
}

pub(super) fn too_many_rows(rows: usize) -> Error {
    Error::parameter("rows", rows, "below 4,294,967,295", "use a part of them")
}
