//! Derivatives with respect to today's values, with standard errors.
//!
//! What a path is paid in all, discounted, is P = Y₀ + Σ D ζ·ΔB + a rest that no Brownian motion up to the first date moves, so that
//! E[P ΔB_j / h] = Σ ρ_jk ζ_k over the first step of length h. A factor that is a little higher today is higher by the same at the first
//! date, and so ζ is a derivative. The learned hedge M of all steps is taken away from P and its ζ today added: the mean is the same
//! whatever was learned, and the error is that of what the hedge leaves.

use backstitch_numerics::Matrix;

use super::flows::LINEAR;
use super::layers::{Layers, VALUED_TILTED};
use super::parameters::Parameters;
use super::portfolio::{FactorKind, NettingSet, Portfolio};
use super::sample::{Sample, exact_value};
use super::simulation::{Chunk, Draws, Grid, transition};
use super::valuation::{Estimate, Sensitivity};

/// The drivers of a set over the first step.
#[derive(Clone, Debug)]
pub(crate) struct Today {
    drivers: Vec<usize>,
    /// The inverse of their correlations, over h; `None` if one follows from the others.
    inverse: Option<Matrix>,
}

/// Sums over independent paths of p = P w and q = W w, with W the density of the measure at the first date, and of their products: the
/// mean of P − c W times w, and its error, for any c.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    p: f64,
    q: f64,
    pp: f64,
    pq: f64,
    qq: f64,
    count: f64,
}

impl Today {
    /// Of the factors of a set, its counterparty and the bank.
    pub(crate) fn new(portfolio: &Portfolio, set: &NettingSet, grid: &Grid) -> Self {
        let factors = portfolio.factors.len();
        let mut drivers = set.factors();
        drivers.push(factors + set.counterparty);
        drivers.extend(portfolio.bank().map(|bank| factors + bank));
        let correlation = |i: usize, j: usize| -> f64 {
            let (left, right) = (portfolio.root.row(drivers[i]), portfolio.root.row(drivers[j]));
            left.iter().zip(right).map(|(a, b)| a * b).sum()
        };
        let matrix = Matrix::from_fn(drivers.len(), drivers.len(), correlation);
        let mut inverse = invert(&matrix);
        if let Some(inverse) = &mut inverse {
            inverse.values_mut().iter_mut().for_each(|value| *value /= grid.step(0));
        }
        Self { drivers, inverse }
    }

    /// Of numbers per path, for every driver.
    pub(crate) fn moments(&self, chunk: &Chunk, numbers: &[f64], antithetic: bool) -> Vec<Moments> {
        let Some(inverse) = self.inverse.as_ref().filter(|_| !numbers.is_empty()) else { return Vec::new() };
        let mut weights = vec![0.0; chunk.paths];
        let one = |place: usize| {
            weights.fill(0.0);
            for (&driver, scale) in self.drivers.iter().zip(inverse.row(place)) {
                let increments = chunk.increment(0, driver).iter();
                weights.iter_mut().zip(increments).for_each(|(weight, moved)| *weight += scale * moved);
            }
            let pair = |path: usize| (numbers[path] * weights[path], chunk.weight(1, path) * weights[path]);
            let mut sums = Moments::default();
            let independent = if antithetic { chunk.paths / 2 } else { chunk.paths };
            for path in 0..independent {
                let (mut p, mut q) = pair(path);
                if antithetic {
                    let (mirrored_p, mirrored_q) = pair(path + independent);
                    (p, q) = (0.5 * (p + mirrored_p), 0.5 * (q + mirrored_q));
                }
                sums.add(&Moments { p, q, pp: p * p, pq: p * q, qq: q * q, count: 1.0 });
            }
            sums
        };
        (0..self.drivers.len()).map(one).collect()
    }
}

impl Moments {
    fn add(&mut self, other: &Self) {
        self.p += other.p;
        self.q += other.q;
        self.pp += other.pp;
        self.pq += other.pq;
        self.qq += other.qq;
        self.count += other.count;
    }

    /// Mean of (P − centre W) w, with its standard error.
    fn estimate(&self, centre: f64) -> Estimate {
        let mean = (self.p - centre * self.q) / self.count;
        let square = (self.pp - 2.0 * centre * self.pq + centre * centre * self.qq) / self.count;
        let variance = (square - mean * mean).max(0.0);
        Estimate { mean, standard_error: (variance / (self.count - 1.0).max(1.0)).sqrt() }
    }
}

/// Derivatives of the clean value and of every adjustment with respect to each driver of a set. `tilted` are the samples under the other
/// measure, if CVA is valued under one.
pub(crate) fn sensitivities(
    (portfolio, set, grid): (&Portfolio, &NettingSet, &Grid),
    layers: &Layers,
    parameters: &Parameters,
    (samples, tilted): (&[Sample], Option<&[Sample]>),
) -> Vec<Sensitivity> {
    let factors = portfolio.factors.len();
    let today = Today::new(portfolio, set, grid);
    let draws = Draws {
        seed: parameters.seed,
        purpose: "today",
        antithetic: false,
        monitoring: parameters.monitoring,
        tilt: None,
    };
    let mut chunk = Chunk::default();
    chunk.draw(portfolio, grid, &draws, 0, 2);
    let values = layers.clean.along(portfolio, set, grid, &chunk, &draws, None);
    let one = |(place, &driver): (usize, &usize)| {
        let scale = unit(portfolio, grid, driver);
        // The derivative of a column, from its moments and the ζ that its network has.
        let of = |column: usize, samples: &[Sample], network: Option<(&super::layer::Layer, usize)>| {
            let all = samples.iter().flat_map(|sample| sample.columns[column].iter().copied());
            let (sum, count) = all.fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
            let centre = if count > 0.0 { sum / count } else { return None };
            let mut sums = Moments::default();
            for sample in samples {
                sums.add(sample.moments[column].get(place)?);
            }
            let found = sums.estimate(centre);
            let learned = network.and_then(|(layer, equation)| {
                let own = layer.drivers().iter().position(|&own| own == driver)?;
                Some(layer.today(grid, &chunk, &values, equation)[own])
            });
            Some(Estimate {
                mean: (found.mean + learned.unwrap_or(0.0)) * scale,
                standard_error: found.standard_error * scale,
            })
        };
        let mut adjustments = [None; 5];
        for (adjustment, derivative) in adjustments.iter_mut().enumerate() {
            let pays = if adjustment == LINEAR { layers.funds } else { layers.paying.contains(&adjustment) };
            *derivative = match tilted.filter(|_| adjustment == VALUED_TILTED) {
                _ if !pays => Some(Estimate::default()),
                // Under the other measure there is no hedge.
                Some(tilted) => of(1 + adjustment, tilted, None),
                None => of(1 + adjustment, samples, layers.network(adjustment)),
            };
        }
        let (name, clean) = match portfolio.factors.get(driver) {
            None => (portfolio.firms[driver - factors].name.clone(), Some(Estimate::default())),
            Some(factor) => {
                let exact = bumped(portfolio, set, driver, parameters.formulas);
                let learned =
                    set.trades.iter().any(|trade| !(parameters.formulas && trade.has_closed_form()));
                let rest = if learned {
                    of(0, samples, layers.clean.layer().map(|layer| (layer, 0)))
                } else {
                    Some(Estimate::default())
                };
                let clean = rest.map(|rest| Estimate { mean: rest.mean + exact, ..rest });
                (factor.name.clone(), clean)
            }
        };
        Sensitivity { driver: name, clean, adjustments }
    };
    today.drivers.iter().enumerate().map(one).collect()
}

/// By what ζ is multiplied for a derivative with respect to today's value of a factor, or to the assets of a firm.
fn unit(portfolio: &Portfolio, grid: &Grid, driver: usize) -> f64 {
    let (keep, _, scale) = transition(portfolio, driver, grid.step(0));
    let level = match portfolio.factors.get(driver) {
        Some(factor) if factor.kind == FactorKind::Ou => 1.0,
        Some(factor) => factor.start,
        None => portfolio.firms[driver - portfolio.factors.len()].assets,
    };
    keep / (scale * level)
}

/// Derivative of the closed formulas, by central differences.
fn bumped(portfolio: &Portfolio, set: &NettingSet, driver: usize, formulas: bool) -> f64 {
    let factor = &portfolio.factors[driver];
    let level = if factor.kind == FactorKind::Gbm { factor.start } else { 1.0 };
    let bump = 1e-4 * factor.volatility * level;
    let value = |by: f64| {
        let mut other = portfolio.clone();
        other.factors[driver].start += by;
        exact_value(&other, set, formulas)
    };
    (value(bump) - value(-bump)) / (2.0 * bump)
}

/// By Gauss's elimination; `None` for a matrix of correlations that is singular or nearly so.
fn invert(matrix: &Matrix) -> Option<Matrix> {
    let n = matrix.rows();
    let mut left = matrix.clone();
    let mut inverse = Matrix::from_fn(n, n, |i, j| f64::from(u8::from(i == j)));
    for pivot in 0..n {
        // Positive definite: the pivots are what those before leave of a variance of 1.
        let by = left[(pivot, pivot)];
        if by < 1e-6 {
            return None;
        }
        for column in 0..n {
            left[(pivot, column)] /= by;
            inverse[(pivot, column)] /= by;
        }
        for row in (0..n).filter(|&row| row != pivot) {
            let times = left[(row, pivot)];
            for column in 0..n {
                let (of_left, of_inverse) = (left[(pivot, column)], inverse[(pivot, column)]);
                left[(row, column)] -= times * of_left;
                inverse[(row, column)] -= times * of_inverse;
            }
        }
    }
    Some(inverse)
}
