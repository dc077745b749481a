//! How often the intervals cover the truth.
//!
//! The simulations are seeded, so they give the same answer every time; the bounds are set as if they were not. A
//! check fails by chance with probability at most [`FALSE_ALARM`] when the coverage is what it claims: the bound on
//! the count of covering intervals comes from the Chernoff inequality `P(K ≤ qR) ≤ exp(−R·KL(q ‖ c))`, which holds
//! exactly for every number of replications R and every coverage c.

use backstitch_numerics::bootstrap::cluster_bootstrap;
use backstitch_numerics::interval::{Interval, mean_t, proportion_exact, slope_t};
use backstitch_numerics::stream::Stream;

/// Probability that a single bound is crossed by chance.
const FALSE_ALARM: f64 = 1e-6;

/// Least share of covering intervals, out of `replications`, that is still compatible with `coverage`.
fn least_share(coverage: f64, replications: usize) -> f64 {
    chernoff(coverage, replications, 0.0)
}

/// Largest share compatible with `coverage`.
fn largest_share(coverage: f64, replications: usize) -> f64 {
    chernoff(coverage, replications, 1.0)
}

/// The share between `coverage` and `end` at which the Chernoff bound equals [`FALSE_ALARM`].
fn chernoff(coverage: f64, replications: usize, end: f64) -> f64 {
    let divergence = |q: f64| {
        let term = |q: f64, c: f64| if q == 0.0 { 0.0 } else { q * (q / c).ln() };
        term(q, coverage) + term(1.0 - q, 1.0 - coverage)
    };
    let (mut near, mut far) = (coverage, end);
    for _ in 0..200 {
        let middle = 0.5 * (near + far);
        if (replications as f64 * divergence(middle)).exp() < 1.0 / FALSE_ALARM {
            near = middle;
        } else {
            far = middle;
        }
    }
    far
}

fn covering_share(replications: usize, truth: f64, mut draw: impl FnMut(usize) -> Interval) -> f64 {
    let covering = (0..replications)
        .filter(|&replication| {
            let interval = draw(replication);
            interval.lower <= truth && truth <= interval.upper
        })
        .count();
    covering as f64 / replications as f64
}

#[test]
fn the_bounds_are_where_they_should_be() {
    // exp(-R KL) = 1e-6 solved by hand for R = 4,000: KL = 0.003454; KL(0.9309 || 0.95) = 0.003455.
    assert!((least_share(0.95, 4_000) - 0.9309).abs() < 2e-4);
    assert!(largest_share(0.95, 4_000) > 0.95 && largest_share(0.95, 4_000) < 0.97);
}

#[test]
fn t_over_five_normal_values_covers_95_percent() {
    const REPLICATIONS: usize = 40_000;
    let mut stream = Stream::new(1, "coverage t");
    let share = covering_share(REPLICATIONS, 3.0, |_| {
        let values: Vec<f64> = (0..5).map(|_| 3.0 + 2.0 * stream.normal()).collect();
        mean_t(&values).unwrap()
    });
    println!("t, 5 normal values: {share}");
    assert!(share >= least_share(0.95, REPLICATIONS), "{share}");
    assert!(share <= largest_share(0.95, REPLICATIONS), "{share}");
}

#[test]
fn the_check_notices_a_normal_quantile_over_five_values() {
    // The classical mistake, 1.96 instead of 2.78 standard errors, covers 88 %.
    const REPLICATIONS: usize = 40_000;
    let mut stream = Stream::new(1, "coverage z");
    let share = covering_share(REPLICATIONS, 0.0, |_| {
        let values: Vec<f64> = (0..5).map(|_| stream.normal()).collect();
        let interval = mean_t(&values).unwrap();
        let shrink = |end: f64| interval.estimate + (end - interval.estimate) * 1.959964 / 2.776445;
        Interval { lower: shrink(interval.lower), upper: shrink(interval.upper), ..interval }
    });
    assert!(share < least_share(0.95, REPLICATIONS), "{share}");
}

#[test]
fn slopes_with_normal_noise_cover_95_percent() {
    const REPLICATIONS: usize = 20_000;
    let mut stream = Stream::new(1, "coverage slope");
    let x = [1.0, 2.0, 3.0, 5.0];
    let share = covering_share(REPLICATIONS, -0.5, |_| {
        let series: Vec<_> = (0..5)
            .map(|_| (x.to_vec(), x.iter().map(|x| 4.0 - 0.5 * x + stream.normal()).collect()))
            .collect();
        slope_t(&series).unwrap()
    });
    println!("slope, 5 seeds: {share}");
    assert!(share >= least_share(0.95, REPLICATIONS), "{share}");
    assert!(share <= largest_share(0.95, REPLICATIONS), "{share}");
}

#[test]
fn exact_binomial_covers_at_least_95_percent_at_every_proportion() {
    // Not simulated: the probability of every count is known, so the coverage is summed.
    for trials in [1, 2, 5, 20, 100, 229] {
        let intervals: Vec<Interval> =
            (0..=trials).map(|successes| proportion_exact(successes, trials).unwrap()).collect();
        for (successes, interval) in intervals.iter().enumerate() {
            let mirror = intervals[trials as usize - successes];
            assert!((interval.lower - (1.0 - mirror.upper)).abs() < 1e-14, "{successes} of {trials}");
        }
        // Proportions above one half are mirror images.
        let mut smallest = 1.0_f64;
        for step in 1..=250 {
            let proportion = f64::from(step) / 500.0;
            let mut probability = (1.0 - proportion).powi(trials as i32);
            let mut coverage = 0.0;
            for (successes, interval) in intervals.iter().enumerate() {
                if interval.lower <= proportion && proportion <= interval.upper {
                    coverage += probability;
                }
                let left = trials as f64 - successes as f64;
                probability *= left / (successes as f64 + 1.0) * proportion / (1.0 - proportion);
            }
            smallest = smallest.min(coverage);
        }
        println!("exact binomial, {trials} trials: at least {smallest}");
        assert!(smallest >= 0.95 - 1e-12, "{trials} trials: {smallest}");
        // Not wider than it must be either: with many trials the coverage comes near the level.
        assert!(trials < 100 || smallest < 0.96, "{trials} trials: {smallest}");
    }
}

/// Coverage of the cluster bootstrap over clusters drawn by `cluster`, held to at least 93 %.
fn check_bootstrap(
    name: &str,
    clusters: usize,
    truth: f64,
    mut cluster: impl FnMut(&mut Stream) -> Vec<f64>,
) {
    const REPLICATIONS: usize = 1_500;
    const COVERAGE: f64 = 0.93;
    let mut stream = Stream::new(1, &format!("coverage bootstrap {name}"));
    let share = covering_share(REPLICATIONS, truth, |replication| {
        let data: Vec<Vec<f64>> = (0..clusters).map(|_| cluster(&mut stream)).collect();
        let mut resampling = Stream::new(replication as u64, "coverage bootstrap resampling");
        cluster_bootstrap(&data, &mut resampling).expect("enough clusters")
    });
    println!("cluster bootstrap, {name}: {share}");
    assert!(share >= least_share(COVERAGE, REPLICATIONS), "{name}: {share}");
}

/// Between one and eight observations.
fn size(stream: &mut Stream) -> usize {
    1 + stream.below(8)
}

#[test]
fn bootstrap_covers_normal_clusters() {
    check_bootstrap("normal", 30, 1.0, |stream| {
        let (size, item) = (size(stream), stream.normal());
        (0..size).map(|_| 1.0 + item + stream.normal()).collect()
    });
}

#[test]
fn bootstrap_covers_skewed_clusters() {
    check_bootstrap("exponential", 30, 1.0, |stream| {
        let (size, item) = (size(stream), -(1.0 - stream.uniform()).ln());
        (0..size).map(|_| item + 0.3 * stream.normal()).collect()
    });
}

#[test]
fn bootstrap_covers_binary_clusters() {
    // Items differ in difficulty: the chance of success is uniform.
    check_bootstrap("binary, half", 30, 0.5, |stream| {
        let (size, chance) = (size(stream), stream.uniform());
        (0..size).map(|_| f64::from(stream.uniform() < chance)).collect()
    });
}

#[test]
fn bootstrap_covers_rare_successes() {
    check_bootstrap("binary, one in ten", 60, 0.1, |stream| {
        let (size, chance) = (size(stream), 0.2 * stream.uniform());
        (0..size).map(|_| f64::from(stream.uniform() < chance)).collect()
    });
}

#[test]
fn bootstrap_covers_paired_answers() {
    // One answer per item and arm: method right in 45 %, baseline in 30 %, so most differences are zero.
    check_bootstrap("paired answers", 30, 0.15, |stream| {
        let difficulty = stream.uniform();
        let (method, baseline) = (0.9 * difficulty, 0.6 * difficulty);
        vec![f64::from(stream.uniform() < method) - f64::from(stream.uniform() < baseline)]
    });
}

/// An observation whose logarithm is standard normal.
fn heavy(stream: &mut Stream) -> f64 {
    stream.normal().exp()
}

#[test]
fn the_check_notices_t_alone_over_skewed_items() {
    // Why the bootstrap is there: on thirty log-normal items Student's t covers less than the 93 % we hold it to.
    const REPLICATIONS: usize = 20_000;
    let mut stream = Stream::new(1, "coverage t skewed");
    let share = covering_share(REPLICATIONS, 0.5_f64.exp(), |_| {
        let values: Vec<f64> = (0..30).map(|_| heavy(&mut stream)).collect();
        mean_t(&values).expect("finite values")
    });
    println!("t, 30 log-normal values: {share}");
    assert!(share < least_share(0.93, REPLICATIONS), "{share}");
}

#[test]
fn bootstrap_covers_heavy_tails_with_enough_items() {
    check_bootstrap("log-normal", 60, 0.5_f64.exp(), |stream| vec![heavy(stream)]);
}
