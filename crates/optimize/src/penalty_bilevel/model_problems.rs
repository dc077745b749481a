//! Two small problems whose hyper-objective is known in closed form: one with many lower-level minimisers, one without an error bound.

use backstitch_numerics::{Matrix, Stream};
use faer::Mat;

use super::problem::{Bilevel, Samples, Slopes, add};
use crate::Error;

/// `g(x, y) = ½‖By − Ax‖²` and `f(x, y) = ½(y − c)ᵀM(y − c) + ½‖x − a‖²`, M symmetric and positive definite.
///
/// Where B has fewer independent rows than columns, the minimisers of g are a whole flat; the bilevel problem takes the one that f
/// likes best. Where its rows are dependent, the least value of g is not zero and changes with x.
///
/// g and f are also means over samples with noise: sample i weighs row r of `By − Ax` with its own factor and adds a term that is linear
/// in `By − Ax`, so that the mean over all samples is g itself.
#[derive(Clone, Debug)]
pub struct FlatLeastSquares {
    a: Matrix,
    b: Matrix,
    metric: Matrix,
    centre: Vec<f64>,
    anchor: Vec<f64>,
    /// `y*(x) = map·x + offset`.
    map: Matrix,
    offset: Vec<f64>,
    smoothness: (f64, f64),
    /// Per sample and row of B: the factor's distance from 1, then the linear term.
    noise: Matrix,
    /// Per sample and coordinate of y: the linear term of f.
    noise_of_f: Matrix,
}

impl FlatLeastSquares {
    /// A problem from A (r × p), B (r × q), M (q × q), the centre c and the anchor a, without noise.
    ///
    /// # Errors
    /// [`Error::Length`] if shapes do not fit; [`Error::Parameter`] if M is not positive definite or something is not finite.
    pub fn new(
        a: Matrix,
        b: Matrix,
        metric: Matrix,
        centre: Vec<f64>,
        anchor: Vec<f64>,
    ) -> Result<Self, Error> {
        let (rows, p, q) = (b.rows(), a.columns(), b.columns());
        for (what, found, expected) in [
            ("the columns of A", a.rows(), rows),
            ("the rows of M", metric.rows(), q),
            ("the columns of M", metric.columns(), q),
            ("the centre", centre.len(), q),
            ("the anchor", anchor.len(), p),
        ] {
            if found != expected {
                return Err(Error::Length { what: what.into(), found, expected });
            }
        }
        let refused =
            |value: &str| Error::parameter("problem", value, "finite, with M positive definite", "check M");
        let numbers =
            a.values().iter().chain(b.values()).chain(metric.values()).chain(&centre).chain(&anchor);
        if numbers.into_iter().any(|value| !value.is_finite()) {
            return Err(refused("not finite"));
        }
        let dense = |matrix: &Matrix| {
            Mat::from_fn(matrix.rows(), matrix.columns(), |row, column| matrix[(row, column)])
        };
        let (of_a, of_b, of_m) = (dense(&a), dense(&b), dense(&metric));
        let values =
            of_m.self_adjoint_eigenvalues(faer::Side::Lower).map_err(|_| refused("not decomposed"))?;
        if !values.first().is_some_and(|least| *least > 0.0) {
            return Err(refused("M with an eigenvalue of 0 or less"));
        }
        let gram = of_b.transpose() * &of_b;
        let flat = gram.self_adjoint_eigen(faer::Side::Lower).map_err(|_| refused("not decomposed"))?;
        let largest = flat.S().column_vector()[q - 1];
        let rank_free = (0..q).filter(|&place| flat.S().column_vector()[place] <= 1e-10 * largest).count();
        let null = flat.U().subcols(0, rank_free).to_owned();
        let steep = of_b.thin_svd().map_err(|_| refused("not decomposed"))?.pseudoinverse() * &of_a;
        // y = steep·x + null·t; the best t solves (nullᵀ M null) t = nullᵀ M (c − steep·x).
        let left = null.transpose() * &of_m;
        let inner =
            (&left * &null).self_adjoint_eigen(faer::Side::Lower).map_err(|_| refused("not decomposed"))?;
        let select = &null * inner.pseudoinverse() * &left;
        let map = &steep - &select * &steep;
        let offset =
            (0..q).map(|row| (0..q).map(|column| select[(row, column)] * centre[column]).sum()).collect();
        Ok(Self {
            map: Matrix::from_fn(q, p, |row, column| map[(row, column)]),
            smoothness: (values[q - 1], largest),
            noise: Matrix::zeros(1, 2 * rows),
            noise_of_f: Matrix::zeros(1, q),
            a,
            b,
            metric,
            centre,
            anchor,
            offset,
        })
    }

    /// A drawn problem: p = 3, q = 6, four rows of which three are independent, or seven of which six are where the lower level is to be
    /// strongly convex.
    ///
    /// # Errors
    /// As [`Self::new`], for draws that no seed is known to make.
    pub fn drawn(seed: u64, strongly_convex: bool) -> Result<Self, Error> {
        let (p, q) = (3, 6);
        let rank = if strongly_convex { q } else { 3 };
        let mut stream = Stream::new(seed, "penalty-bilevel flat least squares");
        let mut normal = |rows: usize, columns: usize| Matrix::from_fn(rows, columns, |_, _| stream.normal());
        // Singular values from 0.5 to 1, so that the curvature of g is at most 1.
        let (left, right) = (orthogonal(&normal(rank + 1, rank)), orthogonal(&normal(q, rank)));
        let b = Matrix::from_fn(rank + 1, q, |row, column| {
            (0..rank)
                .map(|k| left[(row, k)] * (1.0 - 0.5 * k as f64 / (rank - 1) as f64) * right[(column, k)])
                .sum()
        });
        let a = normal(rank + 1, p);
        let a = Matrix::from_fn(rank + 1, p, |row, column| 0.5 * a[(row, column)]);
        let turn = orthogonal(&normal(q, q));
        let metric = Matrix::from_fn(q, q, |row, column| {
            (0..q)
                .map(|k| turn[(row, k)] * (0.25 + 0.75 * k as f64 / (q - 1) as f64) * turn[(column, k)])
                .sum()
        });
        let centre = normal(1, q).values().to_vec();
        let anchor = normal(1, p).values().to_vec();
        Self::new(a, b, metric, centre, anchor)
    }

    /// The same problem as a mean over samples, with noise of this size.
    ///
    /// # Errors
    /// [`Error::Parameter`] if there are fewer than two samples.
    pub fn with_noise(mut self, samples: usize, size: f64, seed: u64) -> Result<Self, Error> {
        if samples < 2 {
            return Err(Error::parameter("samples", samples, "2 or more", "leave the noise out"));
        }
        let mut stream = Stream::new(seed, "penalty-bilevel noise");
        let mut centred = |columns: usize| {
            let mut drawn = Matrix::from_fn(samples, columns, |_, _| size * stream.normal());
            for column in 0..columns {
                let mean = drawn.column(column).sum::<f64>() / samples as f64;
                for row in 0..samples {
                    drawn[(row, column)] -= mean;
                }
            }
            drawn
        };
        self.noise = centred(2 * self.b.rows());
        self.noise_of_f = centred(self.b.columns());
        Ok(self)
    }

    /// The lower-level minimiser that f likes best.
    pub fn best_response(&self, x: &[f64]) -> Vec<f64> {
        self.offset.iter().enumerate().map(|(row, offset)| offset + dot(self.map.row(row), x)).collect()
    }

    /// `ψ(x) = f(x, y*(x))`.
    pub fn hyper_objective(&self, x: &[f64]) -> f64 {
        self.upper_value(x, &self.best_response(x))
    }

    /// `∇ψ(x)`.
    pub fn hyper_gradient(&self, x: &[f64]) -> Vec<f64> {
        let y = self.best_response(x);
        let mut slope = vec![0.0; y.len()];
        self.upper_gradient(x, &y, Samples::All, Slopes::in_y(&mut slope));
        let mut gradient: Vec<f64> = x.iter().zip(&self.anchor).map(|(x, a)| x - a).collect();
        for (row, slope) in slope.iter().enumerate() {
            add(&mut gradient, *slope, self.map.row(row));
        }
        gradient
    }

    /// `By − Ax`.
    fn misfit(&self, x: &[f64], y: &[f64]) -> Vec<f64> {
        (0..self.b.rows()).map(|row| dot(self.b.row(row), y) - dot(self.a.row(row), x)).collect()
    }
}

impl Bilevel for FlatLeastSquares {
    fn upper_dimension(&self) -> usize {
        self.a.columns()
    }

    fn lower_dimension(&self) -> usize {
        self.b.columns()
    }

    fn upper_value(&self, x: &[f64], y: &[f64]) -> f64 {
        let away: Vec<f64> = y.iter().zip(&self.centre).map(|(y, c)| y - c).collect();
        let of_y: f64 =
            away.iter().enumerate().map(|(row, away_row)| away_row * dot(self.metric.row(row), &away)).sum();
        let of_x: f64 = x.iter().zip(&self.anchor).map(|(x, a)| (x - a) * (x - a)).sum();
        0.5 * (of_y + of_x)
    }

    fn lower_value(&self, x: &[f64], y: &[f64]) -> f64 {
        0.5 * crate::objective::squared_norm(&self.misfit(x, y))
    }

    fn upper_gradient(&self, x: &[f64], y: &[f64], samples: Samples<'_>, slopes: Slopes<'_>) {
        if let Some(slope) = slopes.x {
            for ((slope, x), a) in slope.iter_mut().zip(x).zip(&self.anchor) {
                *slope = x - a;
            }
        }
        if let Some(slope) = slopes.y {
            let away: Vec<f64> = y.iter().zip(&self.centre).map(|(y, c)| y - c).collect();
            for (row, slope) in slope.iter_mut().enumerate() {
                *slope = dot(self.metric.row(row), &away);
            }
            if let Samples::Chosen(chosen) = samples {
                for &sample in chosen {
                    add(slope, 1.0 / chosen.len() as f64, self.noise_of_f.row(sample));
                }
            }
        }
    }

    fn lower_gradient(&self, x: &[f64], y: &[f64], samples: Samples<'_>, slopes: Slopes<'_>) {
        let mut misfit = self.misfit(x, y);
        if let Samples::Chosen(chosen) = samples {
            let share = 1.0 / chosen.len() as f64;
            for (row, entry) in misfit.iter_mut().enumerate() {
                let noise: f64 = chosen
                    .iter()
                    .map(|&sample| self.noise[(sample, 2 * row)] * *entry + self.noise[(sample, 2 * row + 1)])
                    .sum();
                *entry += share * noise;
            }
        }
        for (slope, matrix, sign) in [(slopes.x, &self.a, -1.0), (slopes.y, &self.b, 1.0)] {
            if let Some(slope) = slope {
                slope.fill(0.0);
                for (row, entry) in misfit.iter().enumerate() {
                    add(slope, sign * entry, matrix.row(row));
                }
            }
        }
    }

    fn upper_smoothness(&self) -> f64 {
        self.smoothness.0
    }

    fn lower_smoothness(&self, _: &[f64]) -> f64 {
        self.smoothness.1
    }

    fn upper_samples(&self) -> usize {
        self.noise_of_f.rows()
    }

    fn lower_samples(&self) -> usize {
        self.noise.rows()
    }

    fn lower_hessian_product(&self, _: &[f64], _: &[f64], direction: &[f64], slopes: Slopes<'_>) {
        let image: Vec<f64> = (0..self.b.rows()).map(|row| dot(self.b.row(row), direction)).collect();
        for (slope, matrix, sign) in [(slopes.x, &self.a, -1.0), (slopes.y, &self.b, 1.0)] {
            if let Some(slope) = slope {
                slope.fill(0.0);
                for (row, entry) in image.iter().enumerate() {
                    add(slope, sign * entry, matrix.row(row));
                }
            }
        }
    }
}

/// `g(x, y) = xy` and `f(x, y) = (x − 0.3)² + y²` on `[−1, 1]`: the lower-level minimiser jumps from one end to the other where x
/// changes its sign, and at 0 every y is one. There is no error bound near 0, and ψ jumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jump;

impl Bilevel for Jump {
    fn upper_dimension(&self) -> usize {
        1
    }

    fn lower_dimension(&self) -> usize {
        1
    }

    fn upper_value(&self, x: &[f64], y: &[f64]) -> f64 {
        (x[0] - 0.3).powi(2) + y[0] * y[0]
    }

    fn lower_value(&self, x: &[f64], y: &[f64]) -> f64 {
        x[0] * y[0]
    }

    fn upper_gradient(&self, x: &[f64], y: &[f64], _: Samples<'_>, slopes: Slopes<'_>) {
        for (slope, value) in [(slopes.x, 2.0 * (x[0] - 0.3)), (slopes.y, 2.0 * y[0])] {
            if let Some(slope) = slope {
                slope[0] = value;
            }
        }
    }

    fn lower_gradient(&self, x: &[f64], y: &[f64], _: Samples<'_>, slopes: Slopes<'_>) {
        for (slope, value) in [(slopes.x, y[0]), (slopes.y, x[0])] {
            if let Some(slope) = slope {
                slope[0] = value;
            }
        }
    }

    fn upper_smoothness(&self) -> f64 {
        2.0
    }

    /// g is linear in y; any positive number is above its curvature, and this one makes steps of length 1.
    fn lower_smoothness(&self, _: &[f64]) -> f64 {
        1.0
    }
}

/// Columns that are orthonormal and span those of a matrix (Gram and Schmidt, twice).
fn orthogonal(matrix: &Matrix) -> Matrix {
    let (rows, columns) = (matrix.rows(), matrix.columns());
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for column in 0..columns {
        let mut vector: Vec<f64> = matrix.column(column).collect();
        for _ in 0..2 {
            for other in &basis {
                let along = dot(other, &vector);
                add(&mut vector, -along, other);
            }
        }
        let length = super::problem::norm(&vector);
        vector.iter_mut().for_each(|entry| *entry /= length);
        basis.push(vector);
    }
    Matrix::from_fn(rows, columns, |row, column| basis[column][row])
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(x, y)| x * y).sum()
}
