//! What can be chosen.

use super::layer::Training;
use super::simulation::Monitoring;
use crate::Error;

/// How conditional expectations along the paths are had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    /// Backward equations as networks, layer upon layer.
    #[default]
    Deep,
    /// Regressions on polynomials, date by date.
    LeastSquares,
    /// Inner simulations from every date of every path. No MVA and no FVA, and no netting set with margin: they would need simulations
    /// within those.
    Nested,
}

/// Parameters of [`super::DeepXva`].
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// How conditional expectations are had.
    pub method: Method,
    /// Paths of the valuation.
    pub paths: usize,
    /// Even steps to the last maturity; maturities are dates too.
    pub steps: usize,
    /// Paths of the regressions of [`Method::LeastSquares`].
    pub regression_paths: usize,
    /// Inner paths of [`Method::Nested`].
    pub inner_paths: usize,
    /// How networks are trained.
    pub training: Training,
    /// Whether clean values are taken from closed formulas where there are any; the others are always learned.
    pub formulas: bool,
    /// How defaults between dates are noticed.
    pub monitoring: Monitoring,
    /// Below this probability of default, CVA is valued under a measure in which the counterparty defaults half of the time; 0 for
    /// never.
    pub tilt_below: f64,
    /// Whether the layer of CVA is also trained under that measure, as published. With short training the values that it learns
    /// are then wrong near today, where they are small, by a share of what they are near default.
    pub learn_tilted: bool,
    /// Mirrored draws.
    pub antithetic: bool,
    /// Seed of all draws.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            method: Method::default(),
            paths: 20_480,
            steps: 50,
            regression_paths: 20_480,
            inner_paths: 500,
            training: Training::default(),
            formulas: true,
            monitoring: Monitoring::default(),
            tilt_below: 0.1,
            learn_tilted: false,
            antithetic: true,
            seed: 0,
        }
    }
}

impl Parameters {
    /// Checks every range.
    ///
    /// # Errors
    /// The first that is left.
    pub fn validate(&self) -> Result<(), Error> {
        let counts = [
            (
                "paths",
                self.paths,
                2,
                100_000_000,
                "between 2 and 100,000,000",
                "20480 give errors of about a percent",
            ),
            ("steps", self.steps, 1, 10_000, "between 1 and 10,000", "50 are usual"),
            (
                "regression_paths",
                self.regression_paths,
                100,
                100_000_000,
                "between 100 and 100,000,000",
                "20480 are usual",
            ),
            ("inner_paths", self.inner_paths, 1, 1_000_000, "between 1 and 1,000,000", "500 are usual"),
            (
                "iterations",
                self.training.iterations,
                1,
                1_000_000,
                "between 1 and 1,000,000",
                "600 are usual",
            ),
            ("batch", self.training.batch, 2, 65_536, "between 2 and 65,536", "256 are usual"),
        ];
        for (name, value, least, most, allowed, way_out) in counts {
            if value < least || value > most {
                return Err(Error::Parameter { name: name.into(), value: value as f64, allowed, way_out });
            }
        }
        for &width in &self.training.hidden {
            if width == 0 || width > 4096 {
                let (allowed, way_out) = ("between 1 and 4096", "two layers of 32 are usual");
                return Err(Error::Parameter {
                    name: "a hidden width".into(),
                    value: width as f64,
                    allowed,
                    way_out,
                });
            }
        }
        let rate = self.training.learning_rate;
        if !(rate > 0.0 && rate < 1.0) {
            let (allowed, way_out) = ("above 0 and below 1", "0.01 is usual");
            return Err(Error::Parameter { name: "learning_rate".into(), value: rate, allowed, way_out });
        }
        if !(0.0..=1.0).contains(&self.tilt_below) {
            let (allowed, way_out) = ("between 0 and 1", "0 never changes the measure");
            return Err(Error::Parameter {
                name: "tilt_below".into(),
                value: self.tilt_below,
                allowed,
                way_out,
            });
        }
        Ok(())
    }
}
