//! What networks and regressions see of a path at a date, in numbers around 1.

use backstitch_numerics::Matrix;

use super::portfolio::{FactorKind, NettingSet, Portfolio};
use super::simulation::{Chunk, Grid};

/// Columns: time, each factor, the clean value where it is used, the distance to default of each firm.
#[derive(Clone, Debug)]
pub(crate) struct Features {
    horizon: f64,
    /// Position, centre and scale of the driver.
    drivers: Vec<(usize, f64, f64)>,
    /// Scale of the clean value.
    value: Option<f64>,
    /// How many of the drivers are factors.
    factors: usize,
}

impl Features {
    /// Of the factors of a set, with its clean value if its scale is given, and of some firms.
    pub(crate) fn new(portfolio: &Portfolio, set: &NettingSet, value: Option<f64>, firms: &[usize]) -> Self {
        let horizon = portfolio.horizon();
        let factors = set.factors();
        let mut drivers: Vec<(usize, f64, f64)> = factors
            .iter()
            .map(|&factor| {
                let terms = &portfolio.factors[factor];
                match terms.kind {
                    FactorKind::Gbm => (factor, 0.0, terms.volatility * horizon.sqrt()),
                    FactorKind::Ou => {
                        let variance = -(-2.0 * terms.reversion * horizon).exp_m1() / (2.0 * terms.reversion);
                        (factor, 0.5 * (terms.start + terms.mean), terms.volatility * variance.sqrt())
                    }
                }
            })
            .collect();
        drivers.extend(firms.iter().map(|&firm| {
            let scale = portfolio.firms[firm].volatility * horizon.sqrt();
            (portfolio.factors.len() + firm, 0.0, scale)
        }));
        Self { horizon, drivers, value, factors: factors.len() }
    }

    /// Number of columns.
    pub(crate) fn columns(&self) -> usize {
        1 + self.drivers.len() + usize::from(self.value.is_some())
    }

    /// Fills a row for each of the dates and paths, dates outermost. `values` has a value per date and path.
    pub(crate) fn fill(
        &self,
        grid: &Grid,
        chunk: &Chunk,
        values: &[f64],
        dates: std::ops::Range<usize>,
        rows: &mut Matrix,
    ) {
        let (paths, columns) = (chunk.paths, self.columns());
        let first = dates.start;
        let out = rows.values_mut();
        for date in dates {
            let block = &mut out[(date - first) * paths * columns..][..paths * columns];
            block.iter_mut().step_by(columns).for_each(|cell| *cell = grid.times[date] / self.horizon);
            for (place, &(driver, centre, scale)) in self.drivers.iter().enumerate() {
                let column = 1 + place + usize::from(place >= self.factors && self.value.is_some());
                let cells = block[column..].iter_mut().step_by(columns);
                for (cell, y) in cells.zip(chunk.logarithm(date, driver)) {
                    // Firms far from default are all alike.
                    *cell = ((y - centre) / scale).clamp(-6.0, 6.0);
                }
            }
            if let Some(scale) = self.value {
                let cells = block[1 + self.factors..].iter_mut().step_by(columns);
                for (cell, value) in cells.zip(&values[date * paths..][..paths]) {
                    *cell = value / scale;
                }
            }
        }
    }
}
