//! Interval statistics at 95 %: what a verdict rests on.
//!
//! A claim of a study is an inequality about an effect. Its verdict compares the margin with the two ends of one of
//! the intervals made here, so each is chosen for its coverage at the sample sizes studies have: a t interval over
//! five or more paired seeds ([`mean_t`], [`slope_t`]), the exact binomial interval ([`proportion_exact`]) and a
//! studentised bootstrap over many items ([`crate::bootstrap::cluster_bootstrap`]). There is no percentile
//! bootstrap: over three to five seeds it covers far less than it promises. [`identity`] is for mathematics, where
//! nothing is random.
//!
//! Every interval is two-sided with level [`LEVEL`]; nothing here draws random numbers except the bootstrap.
//!
//! # Example
//! ```
//! use backstitch_numerics::interval::mean_t;
//! // Method minus baseline, one difference per seed.
//! let differences = [0.021, 0.034, 0.018, 0.027, 0.030];
//! let interval = mean_t(&differences)?;
//! assert!(interval.lower > 0.0, "the method wins: {interval:?}");
//! # Ok::<(), backstitch_numerics::interval::IntervalError>(())
//! ```

use crate::special::{beta_quantile, student_t_quantile};

/// Level of every interval: 95 %, two-sided.
pub const LEVEL: f64 = 0.95;

/// Most trials [`proportion_exact`] takes: up to here its ends are tested to 1e-9 relative.
pub const MAX_TRIALS: u64 = 1_000_000_000;

/// Probability below the lower end, and above the upper end.
pub(crate) const TAIL: f64 = 0.025;

/// An estimate with its two-sided 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Point estimate.
    pub estimate: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

impl Interval {
    /// The interval that consists of one point.
    pub fn point(value: f64) -> Self {
        Self { estimate: value, lower: value, upper: value }
    }
}

/// Why there is no interval.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum IntervalError {
    /// Fewer values than the statistic needs.
    #[error("{statistic} needs at least {needed} {what}, found {found}")]
    TooFew {
        /// Name of the statistic.
        statistic: &'static str,
        /// What is counted: values, clusters, …
        what: &'static str,
        /// Smallest number allowed.
        needed: usize,
        /// Number given.
        found: usize,
    },
    /// A value that is not a number, or infinite where that has no meaning.
    #[error("{statistic}: value {index} is {value}; only finite numbers have an interval here")]
    NotFinite {
        /// Name of the statistic.
        statistic: &'static str,
        /// Position of the value, counted from 0 (in a series of clusters: within its cluster).
        index: usize,
        /// The value.
        value: f64,
    },
    /// More successes than trials.
    #[error("{successes} successes in {trials} trials: successes must lie in 0..={trials}")]
    MoreSuccessesThanTrials {
        /// Successes given.
        successes: u64,
        /// Trials given.
        trials: u64,
    },
    /// More trials than [`MAX_TRIALS`].
    #[error(
        "{trials} trials are above the limit of {MAX_TRIALS}, up to which the exact binomial interval is tested"
    )]
    TooManyTrials {
        /// Trials given.
        trials: u64,
    },
    /// A cluster without observations.
    #[error("cluster {cluster} has no observations; every resampled item needs at least one")]
    EmptyCluster {
        /// Position of the cluster, counted from 0.
        cluster: usize,
    },
    /// A series whose x and y differ in length.
    #[error("series {series} has {x} x values but {y} y values")]
    UnequalLengths {
        /// Position of the series, counted from 0.
        series: usize,
        /// Number of x values.
        x: usize,
        /// Number of y values.
        y: usize,
    },
    /// A series whose x values are all the same.
    #[error("series {series} has fewer than two distinct x values, so it has no slope")]
    NoDistinctX {
        /// Position of the series, counted from 0.
        series: usize,
    },
    /// A probability outside `[0, 1]`.
    #[error("a quantile needs a probability in [0, 1], found {probability}")]
    Probability {
        /// The probability given.
        probability: f64,
    },
}

/// The mean with its one-sample t interval.
///
/// For a paired comparison pass the differences, one per seed. Equal values give an interval of one point.
///
/// A value of −∞ is a cell that diverged and counts as the worst one: estimate and both ends are −∞. A value of
/// +∞ (and no −∞) cannot be ranked: the estimate is +∞ and the interval is the whole line, so no verdict rests on it.
///
/// # Errors
/// Fewer than two values; NaN.
pub fn mean_t(values: &[f64]) -> Result<Interval, IntervalError> {
    const NAME: &str = "t interval of a mean";
    if values.len() < 2 {
        return Err(IntervalError::TooFew {
            statistic: NAME,
            what: "values",
            needed: 2,
            found: values.len(),
        });
    }
    refuse_nan(NAME, values)?;
    if values.contains(&f64::NEG_INFINITY) {
        return Ok(Interval::point(f64::NEG_INFINITY));
    }
    if values.contains(&f64::INFINITY) {
        return Ok(Interval { estimate: f64::INFINITY, lower: f64::NEG_INFINITY, upper: f64::INFINITY });
    }
    if values.iter().all(|&value| value == values[0]) {
        return Ok(Interval::point(values[0]));
    }
    // A power of two changes no digit, and keeps squares of very large or very small values in range.
    let scale = power_of_two_near(values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs())));
    let n = values.len() as f64;
    let rough_mean = values.iter().map(|value| value / scale / n).sum::<f64>();
    let mean = rough_mean + values.iter().map(|value| value / scale - rough_mean).sum::<f64>() / n;
    let variance = values.iter().map(|value| (value / scale - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half_width = student_t_quantile(1.0 - TAIL, n - 1.0) * (variance / n).sqrt();
    Ok(Interval {
        estimate: mean * scale,
        lower: (mean - half_width) * scale,
        upper: (mean + half_width) * scale,
    })
}

/// A proportion with its exact (Clopper–Pearson) binomial interval, which covers at least 95 % at every proportion.
///
/// # Errors
/// No trials, more than [`MAX_TRIALS`] trials, or more successes than trials.
pub fn proportion_exact(successes: u64, trials: u64) -> Result<Interval, IntervalError> {
    if trials == 0 {
        return Err(IntervalError::TooFew {
            statistic: "exact binomial interval",
            what: "trials",
            needed: 1,
            found: 0,
        });
    }
    if successes > trials {
        return Err(IntervalError::MoreSuccessesThanTrials { successes, trials });
    }
    if trials > MAX_TRIALS {
        return Err(IntervalError::TooManyTrials { trials });
    }
    let (k, n) = (successes as f64, trials as f64);
    // With no success or no failure the beta quantile is a power of the tail probability.
    let extreme = TAIL.ln() / n;
    let lower = match successes {
        0 => 0.0,
        _ if successes == trials => extreme.exp(),
        _ => beta_quantile(TAIL, k, n - k + 1.0),
    };
    let upper = match successes {
        0 => -extreme.exp_m1(),
        _ if successes == trials => 1.0,
        _ => beta_quantile(1.0 - TAIL, k + 1.0, n - k),
    };
    Ok(Interval { estimate: k / n, lower, upper })
}

/// The mean over seeds of the least-squares slope of y on x, with its t interval ([`mean_t`] of the slopes).
///
/// `series` holds `(x, y)` per seed.
///
/// # Errors
/// Fewer than two series; a series of unequal lengths, with a value that is not finite, or with fewer than two
/// distinct x.
pub fn slope_t(series: &[(Vec<f64>, Vec<f64>)]) -> Result<Interval, IntervalError> {
    if series.len() < 2 {
        return Err(IntervalError::TooFew {
            statistic: "t interval of a slope",
            what: "series",
            needed: 2,
            found: series.len(),
        });
    }
    let slopes = series
        .iter()
        .enumerate()
        .map(|(index, (x, y))| least_squares_slope(index, x, y))
        .collect::<Result<Vec<f64>, _>>()?;
    mean_t(&slopes)
}

/// The largest absolute residual of an identity, as an interval of one point: compare it with the tolerance.
///
/// An infinite residual is the largest there is and passes no tolerance.
///
/// # Errors
/// No residuals; NaN.
pub fn identity(residuals: &[f64]) -> Result<Interval, IntervalError> {
    const NAME: &str = "identity";
    if residuals.is_empty() {
        return Err(IntervalError::TooFew { statistic: NAME, what: "residuals", needed: 1, found: 0 });
    }
    refuse_nan(NAME, residuals)?;
    Ok(Interval::point(residuals.iter().fold(0.0, |largest: f64, residual| largest.max(residual.abs()))))
}

/// The median: the middle value, or the mean of the two middle values.
///
/// # Errors
/// No values; NaN.
pub fn median(values: &[f64]) -> Result<f64, IntervalError> {
    quantile(values, 0.5)
}

/// The value below which a share of `probability` of the values lies, interpolated linearly between neighbours
/// (what numpy and R do by default).
///
/// # Errors
/// No values; NaN; a probability outside `[0, 1]`.
pub fn quantile(values: &[f64], probability: f64) -> Result<f64, IntervalError> {
    const NAME: &str = "quantile";
    if !(0.0..=1.0).contains(&probability) {
        return Err(IntervalError::Probability { probability });
    }
    if values.is_empty() {
        return Err(IntervalError::TooFew { statistic: NAME, what: "values", needed: 1, found: 0 });
    }
    refuse_nan(NAME, values)?;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let position = probability * (sorted.len() - 1) as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    let share = position.fract();
    // Without the first case two equal infinities, or a share of zero beside one, would make NaN.
    Ok(if below == above || share == 0.0 { below } else { (1.0 - share) * below + share * above })
}

fn least_squares_slope(series: usize, x: &[f64], y: &[f64]) -> Result<f64, IntervalError> {
    const NAME: &str = "t interval of a slope";
    if x.len() != y.len() {
        return Err(IntervalError::UnequalLengths { series, x: x.len(), y: y.len() });
    }
    refuse_not_finite(NAME, x)?;
    refuse_not_finite(NAME, y)?;
    if x.iter().all(|&value| value == x[0]) {
        return Err(IntervalError::NoDistinctX { series });
    }
    let n = x.len() as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let mut products = 0.0;
    let mut squares = 0.0;
    for (x, y) in x.iter().zip(y) {
        products += (x - mean_x) * (y - mean_y);
        squares += (x - mean_x).powi(2);
    }
    let slope = products / squares;
    if slope.is_nan() {
        // Distinct x whose squared distances vanish or overflow.
        return Err(IntervalError::NoDistinctX { series });
    }
    Ok(slope)
}

fn refuse_nan(statistic: &'static str, values: &[f64]) -> Result<(), IntervalError> {
    match values.iter().position(|value| value.is_nan()) {
        Some(index) => Err(IntervalError::NotFinite { statistic, index, value: values[index] }),
        None => Ok(()),
    }
}

pub(crate) fn refuse_not_finite(statistic: &'static str, values: &[f64]) -> Result<(), IntervalError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(IntervalError::NotFinite { statistic, index, value: values[index] }),
        None => Ok(()),
    }
}

/// The largest power of two not above `magnitude` (which is positive and finite), within the normal range.
pub(crate) fn power_of_two_near(magnitude: f64) -> f64 {
    2.0_f64.powi(magnitude.log2().floor().clamp(-1000.0, 1000.0) as i32)
}
