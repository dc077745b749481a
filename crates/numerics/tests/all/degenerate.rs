//! Inputs at the edge: too few, equal, infinite, not a number, very large and very small.

use backstitch_numerics::bootstrap::cluster_bootstrap;
use backstitch_numerics::interval::{
    Interval, IntervalError, identity, mean_t, median, proportion_exact, quantile, slope_t,
};
use backstitch_numerics::special::{beta_quantile, student_t_quantile};
use backstitch_numerics::stream::Stream;

fn stream() -> Stream {
    Stream::new(11, "degenerate")
}

#[test]
fn a_mean_of_one_value_has_no_interval() {
    let error = mean_t(&[1.0]).unwrap_err();
    assert_eq!(error.to_string(), "t interval of a mean needs at least 2 values, found 1");
    assert!(mean_t(&[]).is_err());
}

#[test]
fn equal_values_give_one_point_exactly() {
    assert_eq!(mean_t(&[0.1; 7]).unwrap(), Interval::point(0.1));
    assert_eq!(cluster_bootstrap(&vec![vec![0.1; 3]; 25], &mut stream()).unwrap(), Interval::point(0.1));
}

#[test]
fn a_diverged_value_is_the_worst_one() {
    let worst = Interval::point(f64::NEG_INFINITY);
    assert_eq!(mean_t(&[1.0, f64::NEG_INFINITY, 2.0]).unwrap(), worst);
    assert_eq!(mean_t(&[f64::INFINITY, f64::NEG_INFINITY]).unwrap(), worst);
}

#[test]
fn an_infinite_gain_decides_nothing() {
    let interval = mean_t(&[1.0, f64::INFINITY, 2.0]).unwrap();
    assert_eq!(interval.lower, f64::NEG_INFINITY);
    assert_eq!(interval.upper, f64::INFINITY);
}

#[test]
fn not_a_number_is_refused_with_its_position() {
    let error = mean_t(&[1.0, 2.0, f64::NAN]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "t interval of a mean: value 2 is NaN; only finite numbers have an interval here"
    );
    assert!(identity(&[0.0, f64::NAN]).is_err());
    assert!(median(&[f64::NAN]).is_err());
    let mut clusters = vec![vec![1.0]; 30];
    clusters[4] = vec![1.0, f64::INFINITY];
    assert!(cluster_bootstrap(&clusters, &mut stream()).is_err());
    assert!(
        slope_t(&[(vec![0.0, 1.0], vec![0.0, f64::NEG_INFINITY]), (vec![0.0, 1.0], vec![0.0, 1.0])]).is_err()
    );
}

#[test]
fn extreme_magnitudes_scale_the_interval() {
    let values = [1.0, 2.0, 4.0, 3.5, 2.5];
    let ordinary = mean_t(&values).unwrap();
    for exponent in [-1000, -700, 700, 1000] {
        let factor = 2.0_f64.powi(exponent);
        let scaled = mean_t(&values.map(|value| value * factor)).unwrap();
        assert_eq!(scaled.lower, ordinary.lower * factor);
        assert_eq!(scaled.upper, ordinary.upper * factor);
    }
    let clusters: Vec<_> = (0..30).map(|i| vec![f64::from(i % 7), f64::from(i % 3)]).collect();
    let ordinary = cluster_bootstrap(&clusters, &mut stream()).unwrap();
    let large: Vec<_> =
        clusters.iter().map(|c| c.iter().map(|value| value * 2.0_f64.powi(800)).collect()).collect();
    assert_eq!(cluster_bootstrap(&large, &mut stream()).unwrap().lower, ordinary.lower * 2.0_f64.powi(800));
}

#[test]
fn proportions_refuse_impossible_counts() {
    assert!(proportion_exact(0, 0).is_err());
    assert_eq!(
        proportion_exact(6, 5).unwrap_err().to_string(),
        "6 successes in 5 trials: successes must lie in 0..=5"
    );
    assert_eq!(
        proportion_exact(1, 1_000_000_001).unwrap_err().to_string(),
        "1000000001 trials are above the limit of 1000000000, up to which the exact binomial interval is tested"
    );
    let none = proportion_exact(0, 10).unwrap();
    assert_eq!((none.estimate, none.lower), (0.0, 0.0));
    let all = proportion_exact(10, 10).unwrap();
    assert_eq!((all.estimate, all.upper), (1.0, 1.0));
    assert!((all.lower - (1.0 - none.upper)).abs() < 1e-15);
}

#[test]
fn slopes_need_two_distinct_x_and_equal_lengths() {
    let good = (vec![0.0, 1.0], vec![0.0, 2.0]);
    assert!(matches!(slope_t(std::slice::from_ref(&good)), Err(IntervalError::TooFew { found: 1, .. })));
    assert_eq!(
        slope_t(&[good.clone(), (vec![3.0; 4], vec![0.0, 1.0, 2.0, 3.0])]),
        Err(IntervalError::NoDistinctX { series: 1 })
    );
    assert_eq!(slope_t(&[good.clone(), (vec![], vec![])]), Err(IntervalError::NoDistinctX { series: 1 }));
    assert_eq!(
        slope_t(&[(vec![0.0, 1.0, 2.0], vec![0.0]), good.clone()]),
        Err(IntervalError::UnequalLengths { series: 0, x: 3, y: 1 })
    );
    assert_eq!(slope_t(&[good.clone(), good]).unwrap(), Interval::point(2.0));
}

#[test]
fn an_identity_reports_its_largest_residual() {
    assert_eq!(identity(&[1e-12, -3e-9, 0.0]).unwrap(), Interval::point(3e-9));
    assert_eq!(identity(&[0.0, f64::NEG_INFINITY]).unwrap(), Interval::point(f64::INFINITY));
    assert!(identity(&[]).is_err());
}

#[test]
fn clusters_below_the_minimum_or_empty_are_refused() {
    let error = cluster_bootstrap(&vec![vec![1.0]; 19], &mut stream()).unwrap_err();
    assert_eq!(error.to_string(), "cluster bootstrap needs at least 20 clusters, found 19");
    let mut clusters = vec![vec![1.0]; 20];
    clusters[7].clear();
    assert_eq!(cluster_bootstrap(&clusters, &mut stream()), Err(IntervalError::EmptyCluster { cluster: 7 }));
}

#[test]
fn one_deviating_cluster_leaves_its_side_unbounded() {
    // A resample misses the one deviating cluster with probability 0.36, and then has no variation.
    let mut clusters = vec![vec![0.0]; 30];
    clusters[3] = vec![1.0];
    let interval = cluster_bootstrap(&clusters, &mut stream()).unwrap();
    assert_eq!(interval.upper, f64::INFINITY);
    assert!(interval.lower.is_finite() && interval.lower < interval.estimate);
}

#[test]
fn the_bootstrap_depends_on_its_stream_only() {
    let clusters: Vec<_> = (0..40).map(|i| vec![f64::from(i * i % 17); 1 + i as usize % 3]).collect();
    let first = cluster_bootstrap(&clusters, &mut stream()).unwrap();
    assert_eq!(first, cluster_bootstrap(&clusters, &mut stream()).unwrap());
    assert_ne!(first, cluster_bootstrap(&clusters, &mut Stream::new(12, "degenerate")).unwrap());
    assert!(first.lower < first.estimate && first.estimate < first.upper);
}

#[test]
fn quantiles_handle_infinities_and_refuse_bad_probabilities() {
    assert_eq!(median(&[f64::INFINITY, f64::INFINITY, 1.0]).unwrap(), f64::INFINITY);
    assert_eq!(quantile(&[f64::NEG_INFINITY, 1.0, 2.0], 0.5).unwrap(), 1.0);
    assert!(median(&[]).is_err());
    assert_eq!(
        quantile(&[1.0], 1.5).unwrap_err().to_string(),
        "a quantile needs a probability in [0, 1], found 1.5"
    );
    assert!(quantile(&[1.0], f64::NAN).is_err());
}

#[test]
fn special_functions_outside_their_domain_are_not_numbers() {
    for probability in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
        assert!(student_t_quantile(probability, 3.0).is_nan(), "{probability}");
        assert!(beta_quantile(probability, 1.0, 1.0).is_nan(), "{probability}");
    }
    for shape in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(student_t_quantile(0.975, shape).is_nan(), "{shape}");
        assert!(beta_quantile(0.5, shape, 1.0).is_nan(), "{shape}");
    }
}
