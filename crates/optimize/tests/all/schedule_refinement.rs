//! Schedule refinement: medians, schedules, bounds, the conversion to the last point, logs.

use backstitch_numerics::Stream;
use backstitch_optimize::Error;
use backstitch_optimize::schedule_refinement::{
    GradientLog, LastIterate, Line, MOST_STEPS, Norm, Parameters, Refined, Schedule, ScheduleRefinement,
    Shape, Warning, best_steps, best_weights, bound_of_steps, bound_of_weights, draw, median_filter,
    resample, schedule_of_weights,
};
use proptest::prelude::*;

/// The definition: sort every window.
fn plain_median_filter(values: &[f64], window: usize) -> Vec<f64> {
    let (half, last) = (window / 2, values.len() - 1);
    let at = |place: usize| match place.checked_sub(half) {
        None => values[0],
        Some(place) if place > last => values[2 * last - place],
        Some(place) => values[place],
    };
    let median = |begin: usize| {
        let mut sorted: Vec<f64> = (begin..begin + window).map(at).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted[half]
    };
    (0..values.len()).map(median).collect()
}

/// The definition: a sum for every step.
fn plain_schedule(weights: &[f64]) -> Vec<f64> {
    let products: Vec<f64> =
        (0..weights.len()).map(|t| weights[t] * weights[t + 1..].iter().rev().sum::<f64>()).collect();
    let largest = products.iter().copied().fold(0.0, f64::max);
    products.iter().map(|product| product / largest).collect()
}

fn refine(norms: &[f64], norm: Norm) -> Refined {
    let parameters = Parameters { norm, ..Parameters::default() };
    ScheduleRefinement::new(parameters).unwrap().refine(&GradientLog::new(norms).unwrap()).unwrap()
}

fn random_norms(seed: u64, count: usize) -> Vec<f64> {
    let mut stream = Stream::new(seed, "norms");
    (0..count).map(|_| stream.normal().exp()).collect()
}

proptest! {
    #[test]
    fn the_sliding_median_is_the_plain_one(
        values in prop::collection::vec(prop_oneof![0.0..10.0f64, (0..4i32).prop_map(f64::from), Just(f64::INFINITY)], 1..300),
        half in 0..150usize,
    ) {
        let window = 2 * half.min(values.len() - 1) + 1;
        prop_assert_eq!(median_filter(&values, window).unwrap(), plain_median_filter(&values, window));
    }

    #[test]
    fn schedules_of_weights_are_the_plain_ones(weights in prop::collection::vec(1e-6..1e6f64, 2..100)) {
        let ours = schedule_of_weights(&weights).unwrap();
        for (x, y) in ours.iter().zip(plain_schedule(&weights)) {
            prop_assert!((x - y).abs() <= 1e-12, "{} {}", x, y);
        }
        prop_assert_eq!(ours.last(), Some(&0.0));
    }

    #[test]
    fn multipliers_do_not_depend_on_the_scale_of_the_norms(seed in 0..1000u64, exponent in -290..290i32) {
        let norms = random_norms(seed, 60);
        let scaled: Vec<f64> = norms.iter().map(|norm| norm * 10f64.powi(exponent)).collect();
        for norm in [Norm::L1, Norm::L2] {
            for (x, y) in refine(&norms, norm).multipliers.iter().zip(refine(&scaled, norm).multipliers) {
                prop_assert!((x - y).abs() < 1e-11);
            }
        }
    }

    #[test]
    fn no_weights_have_a_lower_bound_than_the_best(seed in 0..1000u64, distance in 0.1..10.0f64) {
        let norms = random_norms(seed, 30);
        let best = best_weights(&norms, distance);
        let least = bound_of_weights(&best, &norms, distance).unwrap();
        let inverse: f64 = norms.iter().map(|norm| norm.powi(-2)).sum();
        prop_assert!((least / (distance / inverse.sqrt()) - 1.0).abs() < 1e-12);
        let mut stream = Stream::new(seed, "others");
        for size in [0.001, 0.1, 1.0] {
            let other: Vec<f64> = best.iter().map(|weight| weight * (size * stream.normal()).exp()).collect();
            prop_assert!(bound_of_weights(&other, &norms, distance).unwrap() >= least * (1.0 - 1e-12));
        }
    }

    #[test]
    fn the_last_point_is_within_the_regret(seed in 0..1000u64, count in 2..200usize, rate in 0.01..2.0f64) {
        // On |x - a| + |x - b| + …, a convex function of one number, with gradient steps.
        let mut stream = Stream::new(seed, "kinks");
        let kinks: Vec<f64> = (0..5).map(|_| stream.normal()).collect();
        let value = |x: f64| kinks.iter().map(|kink| (x - kink).abs()).sum::<f64>();
        let weights: Vec<f64> = (0..count).map(|_| 0.1 + stream.uniform()).collect();
        let mut last_iterate = LastIterate::new(&weights).unwrap();
        let (mut x, mut z, u) = ([3.0], 3.0, stream.normal());
        let mut regret = 0.0;
        for weight in &weights {
            let slope: f64 = kinks.iter().map(|kink| (x[0] - kink).signum()).sum();
            regret += weight * slope * (z - u);
            let step = -rate * weight * slope;
            z += step;
            last_iterate.advance(&mut x, &[step]).unwrap();
        }
        prop_assert_eq!(last_iterate.shares()[count - 1], 0.0);
        let guaranteed = value(u) + regret / weights.iter().sum::<f64>();
        prop_assert!(value(x[0]) <= guaranteed + 1e-9 * guaranteed.abs().max(1.0));
    }

    #[test]
    fn any_numbers_as_a_log_are_refused_or_refined(
        norms in prop::collection::vec(prop_oneof![
            any::<f64>(), 0.0..5.0f64, Just(0.0), Just(f64::INFINITY), Just(1e-320), Just(1e300)
        ], 0..80),
        steps in prop::collection::vec(prop_oneof![any::<f64>(), 0.0..200.0f64], 0..80),
        smoothing in 0.0..0.33f64,
    ) {
        let mut ascending = steps.clone();
        ascending.sort_unstable_by(f64::total_cmp);
        let positive: Vec<f64> = norms.iter().map(|norm| norm.abs()).collect();
        let logs = [
            GradientLog::new(&norms),
            GradientLog::new(&positive),
            GradientLog::with_steps(&steps, &norms),
            GradientLog::with_steps(&ascending[..steps.len().min(norms.len())], &positive[..steps.len().min(norms.len())]),
        ];
        for log in logs.into_iter().flatten() {
            prop_assert!(log.norms().iter().all(|norm| *norm > 0.0 && norm.is_finite()));
            for norm in [Norm::L1, Norm::L2] {
                let method = ScheduleRefinement::new(Parameters { norm, smoothing }).unwrap();
                let refined = method.refine(&log).unwrap();
                let largest = refined.multipliers.iter().copied().fold(0.0, f64::max);
                prop_assert_eq!(largest, 1.0);
                prop_assert!(refined.multipliers.iter().all(|multiplier| (0.0..=1.0).contains(multiplier)));
            }
        }
    }

    #[test]
    fn resampling_keeps_ends_and_straight_lines(count in 2..200usize, steps in 2..500usize) {
        let line: Vec<f64> = (0..count).map(|place| 1.0 - place as f64 / (count - 1) as f64).collect();
        for (place, value) in resample(&line, steps).unwrap().iter().enumerate() {
            prop_assert!((value - (1.0 - place as f64 / (steps - 1) as f64)).abs() < 1e-12);
        }
    }
}

#[test]
fn equal_norms_give_linear_decay() {
    for count in [10, 11, 64, 1000, 12_345] {
        for norm in [Norm::L1, Norm::L2] {
            let refined = refine(&vec![3.7; count], norm);
            for (step, multiplier) in refined.multipliers.iter().enumerate() {
                let linear = 1.0 - step as f64 / (count - 1) as f64;
                assert!((multiplier - linear).abs() <= 1e-15, "{count} {step}: {multiplier} {linear}");
            }
        }
    }
}

#[test]
fn large_norms_give_small_steps_and_norms_at_the_end_decide_the_annealing() {
    let shaped = |shape: fn(f64) -> f64| {
        let norms: Vec<f64> = (0..1000).map(|step| shape(f64::from(step) / 999.0)).collect();
        refine(&norms, Norm::L2).multipliers
    };
    let spike = shaped(|p| 1.0 + 4.0 * (-p / 0.1).exp());
    assert!(spike[0] < 0.3, "{}", spike[0]);
    // Linear decay has 0.1 at 90 % of the run.
    assert!(shaped(|p| if p < 0.7 { 1.0 } else { 0.5 })[900] > 0.15);
    assert!(shaped(|p| if p < 0.7 { 1.0 } else { 2.0 })[900] < 0.05);
    // The last norms, reflected, fill the window behind the end.
    let medians = median_filter(&[1.0, 1.0, 1.0, 1.0, 5.0, 6.0, 7.0], 5).unwrap();
    assert_eq!(medians, [1.0, 1.0, 1.0, 1.0, 5.0, 6.0, 6.0]);
}

#[test]
fn every_length_has_its_window() {
    let window = |rows| Parameters::default().window(rows);
    assert_eq!([10, 19, 20, 39, 40, 100, 10_000].map(window), [1, 1, 3, 3, 5, 11, 1001]);
    assert_eq!(Parameters { smoothing: 0.0, ..Parameters::default() }.window(1000), 1);
    for smoothing in [-0.1, 0.34, 1.0, f64::NAN] {
        let error = ScheduleRefinement::new(Parameters { smoothing, ..Parameters::default() }).unwrap_err();
        assert!(error.to_string().contains("from 0 to 1/3"), "{error}");
    }
}

#[test]
fn medians_do_not_depend_on_threads_or_blocks() {
    let values = random_norms(5, 50_000);
    let threads = |number| rayon_threads(number, || median_filter(&values, 4001).unwrap());
    let (one, four) = (threads(1), threads(4));
    assert_eq!(one, four);
    // Spot checks by the definition; all of them would take minutes.
    let plain = plain_median_filter(&values[..3000], 301);
    assert_eq!(median_filter(&values[..3000], 301).unwrap(), plain);
}

fn rayon_threads<T: Send>(number: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(number).build().unwrap().install(work)
}

#[test]
fn windows_that_are_none_are_refused() {
    for window in [0, 2, 9, 11] {
        assert!(
            matches!(median_filter(&[1.0, 2.0, 3.0, 4.0], window), Err(Error::Parameter { .. })),
            "{window}"
        );
    }
    assert!(matches!(median_filter(&[], 1), Err(Error::Parameter { .. })));
    assert!(matches!(median_filter(&[1.0, f64::NAN], 1), Err(Error::NotFinite { row: 1, .. })));
}

#[test]
fn tiny_norms_are_raised() {
    let mut norms = vec![2.0; 200];
    norms[..4].copy_from_slice(&[0.0, 0.0, 1e-12, 0.0]);
    let log = GradientLog::new(&norms).unwrap();
    assert_eq!(log.norms()[..5], [2e-8, 2e-8, 2e-8, 2e-8, 2.0]);
    assert!(log.warnings().contains(&Warning::Tiny { raised: 4, floor: 2e-8 }), "{:?}", log.warnings());
    assert_eq!(GradientLog::new(&[0.0; 20]).unwrap_err(), Error::ZeroNorms);
}

#[test]
fn infinite_norms_are_dropped_and_clipped_ones_are_said() {
    let mut norms = random_norms(1, 200);
    norms[3] = f64::INFINITY;
    norms[4] = f64::INFINITY;
    let log = GradientLog::new(&norms).unwrap();
    assert_eq!((log.norms().len(), log.warnings()), (198, &[Warning::Infinite { dropped: 2 }][..]));
    let clipped: Vec<f64> = norms.iter().map(|norm| norm.min(0.5)).collect();
    let warnings = GradientLog::new(&clipped).unwrap().warnings().to_vec();
    assert!(matches!(warnings[..], [Warning::Clipped { norm: 0.5, .. }]), "{warnings:?}");
    assert_eq!(GradientLog::new(&[f64::INFINITY; 30]).unwrap_err(), Error::ShortLog { found: 0 });
}

#[test]
fn steps_of_more_than_one_run_are_refused() {
    let norms = random_norms(2, 120);
    let even: Vec<f64> = (0..120).map(|row| f64::from(10 * row)).collect();
    let log = GradientLog::with_steps(&even, &norms).unwrap();
    assert_eq!((log.norms(), log.warnings()), (&norms[..], &[][..]));
    let with = |change: fn(&mut Vec<f64>)| {
        let mut steps = even.clone();
        change(&mut steps);
        GradientLog::with_steps(&steps, &norms)
    };
    let restart = with(|steps| (60..120).for_each(|row| steps[row] -= 600.0)).unwrap_err();
    assert_eq!(restart, Error::StepsFall { row: 60, from: 590.0, to: 0.0 });
    assert_eq!(with(|steps| steps[5] = 40.0).unwrap_err(), Error::StepTwice { row: 5, step: 40.0 });
    assert!(matches!(with(|steps| steps[5] = f64::NAN), Err(Error::Parameter { .. })));
    assert!(matches!(with(|steps| steps[119] = 1e300), Err(Error::Parameter { .. })));
    assert!(matches!(with(|steps| steps.truncate(4)), Err(Error::Length { found: 4, expected: 120, .. })));
    // The same row twice is one row.
    let (mut steps, mut twice) = (even.clone(), norms.clone());
    steps.insert(7, steps[6]);
    twice.insert(7, twice[6]);
    let log = GradientLog::with_steps(&steps, &twice).unwrap();
    assert_eq!((log.norms(), log.warnings()), (&norms[..], &[Warning::Repeated { dropped: 1 }][..]));
}

#[test]
fn uneven_steps_are_spread() {
    // A straight line stays one, whatever the steps.
    let mut stream = Stream::new(3, "steps");
    let mut steps: Vec<f64> = (0..150).map(|_| (1000.0 * stream.uniform()).floor()).collect();
    steps.sort_unstable_by(f64::total_cmp);
    steps.dedup();
    let norms: Vec<f64> = steps.iter().map(|step| 5.0 + step / 100.0).collect();
    let log = GradientLog::with_steps(&steps, &norms).unwrap();
    let (first, last) = (norms[0], norms[norms.len() - 1]);
    for (place, norm) in log.norms().iter().enumerate() {
        let expected = first + (last - first) * place as f64 / (norms.len() - 1) as f64;
        assert!((norm - expected).abs() < 1e-9, "{place}: {norm} {expected}");
    }
    assert!(!log.warnings().is_empty());
    let gap: Vec<f64> = (0..150).map(|row| f64::from(row + if row < 75 { 0 } else { 500 })).collect();
    let log = GradientLog::with_steps(&gap, &random_norms(3, 150)).unwrap();
    assert_eq!(log.warnings(), [Warning::Gap { from: 74.0, to: 575.0 }]);
}

#[test]
fn logs_that_say_nothing_are_refused() {
    for (norms, said) in [
        (vec![1.0; 9], "the log has 9 usable norms, but at least 10 are needed"),
        (Vec::new(), "the log has 0 usable norms"),
        (vec![1.0, -2.0], "the gradient norm of row 2 is -2, but must be 0 or more"),
        (vec![f64::NAN; 20], "the gradient norm of row 1 is NaN"),
    ] {
        let error = GradientLog::new(&norms).unwrap_err().to_string();
        assert!(error.starts_with(said), "{error}");
    }
    assert_eq!(GradientLog::new(&random_norms(1, 50)).unwrap().warnings(), [Warning::Few { norms: 50 }]);
}

#[test]
fn several_logs_give_their_mean_and_a_band() {
    let logs: Vec<GradientLog> =
        (0..4).map(|seed| GradientLog::new(&random_norms(seed, 400 + 10 * seed as usize)).unwrap()).collect();
    let method = ScheduleRefinement::new(Parameters::default()).unwrap();
    let combined = method.refine_all(&logs, 250).unwrap();
    let schedules: Vec<Vec<f64>> =
        combined.runs.iter().map(|run| resample(&run.multipliers, 250).unwrap()).collect();
    let mean = |step: usize| schedules.iter().map(|schedule| schedule[step]).sum::<f64>() / 4.0;
    let peak = (0..250).map(mean).fold(0.0, f64::max);
    let band = combined.band.unwrap();
    for step in 0..250 {
        assert!((combined.multipliers[step] - mean(step) / peak).abs() < 1e-12);
        let values: Vec<f64> = schedules.iter().map(|schedule| schedule[step]).collect();
        let interval = backstitch_numerics::interval::mean_t(&values).unwrap();
        let (lower, upper) = band[step];
        assert!((lower - interval.lower.max(0.0) / peak).abs() < 1e-9, "{step}");
        assert!((upper - interval.upper / peak).abs() < 1e-9, "{step}");
    }
    // One log is its own schedule, without a band.
    let one = method.refine_all(&logs[..1], 400).unwrap();
    assert_eq!((&one.multipliers, one.band), (&one.runs[0].multipliers, None));
    assert!(matches!(method.refine_all(&[], 10), Err(Error::Length { .. })));
    assert!(matches!(method.refine_all(&logs, 1), Err(Error::Parameter { .. })));
    for steps in [MOST_STEPS + 1, usize::MAX] {
        assert!(matches!(method.refine_all(&logs, steps), Err(Error::Parameter { .. })));
    }
}

#[test]
fn usual_schedules_rise_to_their_peak_and_have_their_ends() {
    let schedules = [
        (Schedule::Flat, 1.0),
        (Schedule::Inverse { rate: 19.0 }, 0.05),
        (Schedule::InverseSquareRoot { rate: 19.0 }, 0.05f64.sqrt()),
        (Schedule::Cosine, 0.0),
        (Schedule::thirty_sixty_ninety(), 1e-3),
        (Schedule::Linear, 0.0),
        (Schedule::Polynomial { power: 3.0 }, 0.0),
    ];
    for (schedule, end) in schedules {
        let multipliers = schedule.multipliers(2000, 0.05).unwrap();
        assert_eq!((multipliers[0], multipliers[99], multipliers[100]), (0.01, 1.0, 1.0), "{schedule}");
        assert!((multipliers[1999] - end).abs() < 1e-3, "{schedule}: {}", multipliers[1999]);
        assert!(multipliers[100..].windows(2).all(|pair| pair[1] <= pair[0]), "{schedule}");
        assert!(
            multipliers.iter().all(|multiplier| *multiplier > 0.0),
            "{schedule} has a step that does nothing"
        );
    }
    // Warm-up steps divided by the step.
    let inverse = Schedule::Inverse { rate: 19.0 }.multipliers(2000, 0.05).unwrap();
    assert!((inverse[1000] - 0.1).abs() < 1e-12);
    for schedule in [
        Schedule::Inverse { rate: -1.0 },
        Schedule::Polynomial { power: f64::NAN },
        Schedule::Stepwise { milestones: vec![0.5, 0.5], factor: 0.1 },
        Schedule::Stepwise { milestones: vec![1.0], factor: 0.1 },
        Schedule::Stepwise { milestones: vec![0.5], factor: f64::INFINITY },
    ] {
        assert!(matches!(schedule.multipliers(100, 0.0), Err(Error::Parameter { .. })), "{schedule:?}");
    }
    assert!(matches!(Schedule::Linear.multipliers(1, 0.0), Err(Error::Parameter { name: "steps", .. })));
    assert!(matches!(Schedule::Linear.multipliers(10, 1.5), Err(Error::Parameter { name: "warm_up", .. })));
    assert_eq!(Schedule::Linear.multipliers(4, 1.0).unwrap(), [0.25, 0.5, 0.75, 1.0]);
}

#[test]
fn the_shape_of_a_shape_is_itself() {
    for (warm_up, power) in [(0.2, 0.9), (0.28, 1.0), (0.45, 0.8), (0.0, 1.5), (0.01, 3.0), (0.05, 0.3)] {
        let multipliers = Schedule::Polynomial { power }.multipliers(5000, warm_up).unwrap();
        let shape = Shape::of(&multipliers).unwrap();
        let close = (shape.warm_up - warm_up).abs() < 0.004 && (shape.power / power - 1.0).abs() < 0.02;
        assert!(close && shape.root_mean_square < 0.01, "{warm_up} {power}: {shape:?}");
        assert_eq!(shape.schedule(), Schedule::Polynomial { power: shape.power });
    }
    assert!(matches!(Shape::of(&[1.0]), Err(Error::Length { .. })));
}

#[test]
fn the_sharper_bound_agrees_with_the_closed_form() {
    // Equal norms: the best steps fall almost in a straight line but for the last one, as linear decay does.
    let steps = best_steps(&[1.0; 50], 1.0).unwrap();
    let largest = steps[0];
    for (step, found) in steps.iter().enumerate().take(45) {
        assert!((found / largest - (1.0 - step as f64 / 50.0)).abs() < 0.05, "{step}: {found}");
    }
    // A spike: both begin small, and the numerical optimum is no worse than the closed form at its best scale.
    let norms: Vec<f64> = (0..60).map(|step| 1.0 + 6.0 * (-f64::from(step) / 6.0).exp()).collect();
    let closed = schedule_of_weights(&best_weights(&norms, 1.0)).unwrap();
    let best = best_steps(&norms, 1.0).unwrap();
    let scales = (0..200).map(|power| 1e-3 * 1.05f64.powi(power));
    let of_closed = scales
        .map(|scale| {
            let mut steps: Vec<f64> = closed.iter().map(|multiplier| scale * multiplier).collect();
            // The bound wants a last step; the closed form has none.
            steps[59] = scale * closed[58];
            bound_of_steps(&steps, &norms, 1.0).unwrap()
        })
        .fold(f64::INFINITY, f64::min);
    let least = bound_of_steps(&best, &norms, 1.0).unwrap();
    assert!(least <= of_closed && of_closed < 1.1 * least, "{least} {of_closed}");
    let peak = best[..55].iter().copied().fold(0.0, f64::max);
    assert!(best[0] < 0.3 * peak && closed[0] < 0.3, "{} {}", best[0] / peak, closed[0]);
    assert!(matches!(best_steps(&[], 1.0), Err(Error::Length { .. })));
    assert!(matches!(best_steps(&[1.0, 0.0], 1.0), Err(Error::Parameter { .. })));
    assert!(matches!(bound_of_steps(&[1.0], &[1.0, 2.0], 1.0), Err(Error::Length { .. })));
}

#[test]
fn the_bound_of_steps_follows_its_formula() {
    let (steps, norms, distance) = ([0.5, 0.3, 0.2], [1.0, 2.0, 0.5], 1.5f64);
    let squares = [0.25, 0.36, 0.01];
    let expected = (distance.powi(2) + 0.62) / 2.0
        + 0.5 * (0.5 / (1.0 * 0.5) * 0.62 + 0.3 / (0.5 * 0.2) * (squares[1] + squares[2]));
    assert!((bound_of_steps(&steps, &norms, distance).unwrap() - expected).abs() < 1e-14);
}

#[test]
fn weights_and_steps_that_are_none_are_refused() {
    for weights in [vec![1.0, 0.0], vec![1.0, f64::NAN], vec![-1.0, 1.0], vec![1.0, f64::INFINITY]] {
        assert!(matches!(schedule_of_weights(&weights), Err(Error::Weights { .. })), "{weights:?}");
        assert!(matches!(LastIterate::new(&weights), Err(Error::Weights { .. })), "{weights:?}");
    }
    assert!(matches!(schedule_of_weights(&[1e-200, 1e-200]), Err(Error::Weights { .. })));
    assert!(matches!(LastIterate::new(&[f64::MAX, f64::MAX]), Err(Error::Weights { .. })));
    assert!(matches!(LastIterate::new(&[1.0]), Err(Error::Length { .. })));
    let mut last_iterate = LastIterate::new(&[1.0, 3.0]).unwrap();
    assert_eq!(last_iterate.shares(), [0.75, 0.0]);
    assert!(matches!(last_iterate.advance(&mut [0.0], &[1.0, 2.0]), Err(Error::Length { .. })));
    let mut point = [1.0];
    last_iterate.advance(&mut point, &[4.0]).unwrap();
    last_iterate.advance(&mut point, &[4.0]).unwrap();
    assert_eq!(point, [4.0]);
    assert!(matches!(
        last_iterate.advance(&mut point, &[4.0]),
        Err(Error::Length { found: 3, expected: 2, .. })
    ));
}

#[test]
fn pictures_hold_their_lines_and_escape_their_names() {
    let line = |name: &str| Line {
        name: name.into(),
        multipliers: (0..5000).map(|step| f64::from(step) / 4999.0).collect(),
    };
    let band = vec![(0.1, 1.3); 5000];
    let picture = draw(&[line("a<b"), line("linear")], Some(&band)).unwrap();
    assert_eq!(picture.matches("<polyline").count(), 2);
    assert!(picture.contains("a&lt;b") && picture.contains("<polygon") && picture.len() < 40_000);
    assert!(matches!(
        draw(&[Line { name: "x".into(), multipliers: vec![] }], None),
        Err(Error::Length { .. })
    ));
}
