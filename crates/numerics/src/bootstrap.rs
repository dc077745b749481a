//! The interval of a mean over many items when observations of one item belong together.
//!
//! Ten answers to the same question are not ten independent observations: the question is the unit that was drawn,
//! and it is resampled whole, with all its answers (a *cluster*). [`cluster_bootstrap`] does that with a studentised
//! bootstrap: each resample is measured in its own standard errors, which is what makes the interval lean the right
//! way on skewed data.

use crate::interval::{Interval, IntervalError, TAIL, power_of_two_near, refuse_not_finite};
use crate::special::student_t_quantile;
use crate::stream::Stream;

/// Fewest clusters: below this neither resampling nor a normal shape can be trusted.
pub const MIN_CLUSTERS: usize = 20;

/// Resamples per interval; with 4,999 the tail probabilities fall exactly on the 125th value from either end.
pub const RESAMPLES: usize = 4_999;

/// A resample whose squares cancel to less than this share of themselves has no variation but rounding.
const ROUNDING: f64 = 1e-12;

/// The mean over all observations, with its interval when whole clusters are the units that were drawn.
///
/// `clusters` holds the observations of each item; items may have different numbers of them. The estimate is the
/// sum over the count, so an item with more observations weighs more.
///
/// Each of [`RESAMPLES`] resamples draws as many clusters as there are, with replacement, from `stream`, and gives
/// `(mean* − mean) / standard error*`, the standard error being that of a ratio of sums over clusters. Each end of
/// the interval is the wider of two: the studentised bootstrap's, and that of Student's t with one degree of freedom
/// less than there are clusters. Either alone fails somewhere. Coverage with 30 clusters, 1,500 replications
/// (`python peers/interval_vectors.py --coverage`; one to eight observations per cluster but for the last row):
///
/// | clusters | Student's t | studentised | wider of the two | BCa |
/// |---|---|---|---|---|
/// | normal | 93.9 % | 94.1 % | 94.7 % | 91.7 % |
/// | exponential | 91.7 % | 95.1 % | 95.9 % | 91.8 % |
/// | log-normal | 86.5 % | 91.7 % | 92.5 % | 86.9 % |
/// | binary, one in ten | 90.9 % | 97.5 % | 98.3 % | 93.3 % |
/// | differences of paired answers | 94.0 % | 94.7 % | 94.9 % | 93.2 % |
/// | rare differences, one observation each | 95.8 % | 90.8 % | 95.8 % | 89.3 % |
///
/// With 20 clusters the wider of the two covers 91.5 % on the log-normal ones and 93.7 % or more on the others.
///
/// Clusters that all have the same mean give an interval of one point, as equal values do in
/// [`crate::interval::mean_t`]. If more than 2.5 % of the resamples have no variation (a handful of clusters out of
/// many that all agree), the end on that side is infinite, because nothing in the data bounds it.
///
/// # Errors
/// Fewer than [`MIN_CLUSTERS`] clusters, an empty cluster, a value that is not finite.
pub fn cluster_bootstrap(clusters: &[Vec<f64>], stream: &mut Stream) -> Result<Interval, IntervalError> {
    const NAME: &str = "cluster bootstrap";
    if clusters.len() < MIN_CLUSTERS {
        return Err(IntervalError::TooFew {
            statistic: NAME,
            what: "clusters",
            needed: MIN_CLUSTERS,
            found: clusters.len(),
        });
    }
    for (index, cluster) in clusters.iter().enumerate() {
        if cluster.is_empty() {
            return Err(IntervalError::EmptyCluster { cluster: index });
        }
        refuse_not_finite(NAME, cluster)?;
    }
    let first = clusters[0][0];
    if clusters.iter().flatten().all(|&value| value == first) {
        return Ok(Interval::point(first));
    }
    // A power of two changes no digit, and keeps squares of very large or very small values in range.
    let largest = clusters.iter().flatten().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let scale = power_of_two_near(largest);
    let mut units: Vec<Unit> = clusters
        .iter()
        .map(|cluster| Unit {
            residual: cluster.iter().map(|value| value / scale).sum(),
            count: cluster.len() as f64,
        })
        .collect();
    let observations: f64 = units.iter().map(|unit| unit.count).sum();
    let mean = units.iter().map(|unit| unit.residual).sum::<f64>() / observations;
    for unit in &mut units {
        unit.residual -= mean * unit.count;
    }
    let mut sample = Sums::default();
    units.iter().for_each(|unit| sample.add(unit));
    let Some(standard_error) = sample.standard_error(units.len()) else {
        return Ok(Interval::point(mean * scale));
    };

    let mut studentised: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut sums = Sums::default();
            for _ in 0..units.len() {
                sums.add(&units[stream.below(units.len())]);
            }
            sums.studentised(units.len())
        })
        .collect();
    studentised.sort_unstable_by(f64::total_cmp);
    let rank = (TAIL * (RESAMPLES + 1) as f64).round() as usize;
    let (low, high) = (studentised[rank - 1], studentised[RESAMPLES - rank]);
    let student = student_t_quantile(1.0 - TAIL, (units.len() - 1) as f64);
    Ok(Interval {
        estimate: mean * scale,
        lower: (mean - high.max(student) * standard_error) * scale,
        upper: (mean - low.min(-student) * standard_error) * scale,
    })
}

/// One cluster: the sum of its observations less the overall mean, and their number.
struct Unit {
    residual: f64,
    count: f64,
}

/// What a resample is summed into.
#[derive(Default)]
struct Sums {
    residual: f64,
    count: f64,
    residual_squared: f64,
    residual_count: f64,
    count_squared: f64,
}

impl Sums {
    fn add(&mut self, unit: &Unit) {
        self.residual += unit.residual;
        self.count += unit.count;
        self.residual_squared += unit.residual * unit.residual;
        self.residual_count += unit.residual * unit.count;
        self.count_squared += unit.count * unit.count;
    }

    /// Mean of the resample less the overall mean.
    fn shift(&self) -> f64 {
        self.residual / self.count
    }

    /// Standard error of the mean as a ratio of sums over `clusters` clusters; `None` without variation.
    fn standard_error(&self, clusters: usize) -> Option<f64> {
        let shift = self.shift();
        let squares =
            self.residual_squared - 2.0 * shift * self.residual_count + shift * shift * self.count_squared;
        if squares <= ROUNDING * self.residual_squared {
            return None;
        }
        let clusters = clusters as f64;
        Some((squares * clusters / (clusters - 1.0)).sqrt() / self.count)
    }

    /// The shift in standard errors. Without variation a shift is infinitely many of them.
    fn studentised(&self, clusters: usize) -> f64 {
        let shift = self.shift();
        match self.standard_error(clusters) {
            Some(standard_error) => shift / standard_error,
            None if self.residual_squared == 0.0 => 0.0,
            None => shift.signum() * f64::INFINITY,
        }
    }
}
