//! The factorisations, the streaming counters and the running maximum.

use backstitch_numerics::Stream;
use backstitch_statistics::continual_dp::{
    ContinualDp, Exponentials, Key, MaxMechanism, MaxParameters, MaxSum, Mechanism, Neighbours, Parameters,
    Privacy, Query, Release, Row, State, auc, honaker_error, lower_bound, marginals_by_reduction,
    normalised_square_root_error, reduction_horizon, selection_scores, selections_by_reduction,
    square_root_coefficients, square_root_error, tracing_scores, tree_error,
};

const MECHANISMS: [Mechanism; 4] =
    [Mechanism::Tree, Mechanism::Honaker, Mechanism::SquareRoot, Mechanism::NormalisedSquareRoot];

fn start(parameters: Parameters, seed: u64) -> Release {
    ContinualDp::new(parameters).unwrap().start(Key::from_seed(seed))
}

fn event(time: usize) -> f64 {
    f64::from(u8::from(time * 7919 % 10 < 3))
}

#[test]
fn error_factors_at_1024_are_those_of_the_card_to_its_digits() {
    let table = [
        (tree_error(1024).max, 10.49, 0.005),
        (tree_error(1024).mean, 7.42, 0.005),
        (honaker_error(1024).max, 7.99, 0.005),
        (honaker_error(1024).mean, 5.65, 0.005),
        (square_root_error(1024).max, 3.273, 0.0005),
        (square_root_error(1024).mean, 3.110, 0.0005),
        (normalised_square_root_error(1024).max, 3.081, 0.0005),
        (normalised_square_root_error(1024).mean, 2.991, 0.0005),
        (lower_bound(1024), 2.910, 0.0005),
    ];
    for (found, card, digit) in table {
        assert!((found - card).abs() <= digit, "{found} is not {card}");
    }
}

#[test]
fn the_square_root_grows_like_the_logarithm_over_pi() {
    let horizon = 1_u32 << 20;
    let expected = (f64::from(horizon).ln() + 0.577_215_664_901_532_9 + 16_f64.ln()) / std::f64::consts::PI;
    assert!((square_root_error(1 << 20).max - expected).abs() < 1e-6);
}

#[test]
fn exponentials_reproduce_the_coefficients() {
    for horizon in [2, 10, 1000, 1 << 20] {
        let exact = square_root_coefficients(horizon);
        for (spacing, tolerance) in [(2.0, 0.021), (0.5, 1e-4)] {
            let factor = Exponentials::square_root(horizon, spacing);
            for (found, exact) in factor.coefficients(1, horizon - 1).iter().zip(&exact[1..]) {
                assert!(
                    (found / exact - 1.0).abs() < tolerance,
                    "T = {horizon}, spacing {spacing}: {found} {exact}"
                );
            }
        }
    }
}

#[test]
fn norms_in_closed_form_are_sums_of_squares() {
    let factor = Exponentials::square_root(5000, 2.0);
    let mut sum = 1.0;
    let mut sums = vec![1.0_f64];
    for b in factor.coefficients(1, 4999) {
        sum += b * b;
        sums.push(sum);
    }
    for count in [1, 2, 17, 1024, 5000] {
        assert!((factor.square(count) / sums[count - 1] - 1.0).abs() < 1e-12);
    }
    for (time, norm) in (3000..).zip(factor.column_norms(5000, 3000, 1024)) {
        assert!((norm * norm / sums[5000 - time - 1] - 1.0).abs() < 1e-12);
    }
}

#[test]
fn the_bounded_memory_form_is_within_two_per_cent_of_the_exact_factorisation() {
    for horizon in [1, 2, 3, 10, 100, 1024, 8192] {
        let factor = Exponentials::square_root(horizon, 2.0);
        for (ours, exact) in [
            (factor.error(horizon, true), normalised_square_root_error(horizon)),
            (factor.error(horizon, false), square_root_error(horizon)),
        ] {
            assert!(ours.max <= 1.02 * exact.max, "T = {horizon}: {ours:?} against {exact:?}");
            assert!(ours.mean <= 1.02 * exact.mean, "T = {horizon}: {ours:?} against {exact:?}");
            assert!(ours.max >= lower_bound(horizon) * (1.0 - 1e-9));
        }
    }
}

/// At a million rows the dense computation would take hours. Exponentials with coefficients within 1e-6 stand in for it; at
/// 8192 rows they give its error to 1e-5.
#[test]
fn the_bounded_memory_form_is_within_two_per_cent_at_a_million_rows() {
    let fine = |horizon| Exponentials::square_root(horizon, 0.5);
    let stand_in = fine(8192).error(8192, true);
    let exact = normalised_square_root_error(8192);
    assert!((stand_in.max / exact.max - 1.0).abs() < 1e-5 && (stand_in.mean / exact.mean - 1.0).abs() < 1e-5);
    let horizon = 1_000_000;
    let reference = fine(horizon).error(horizon, true);
    let ours = Exponentials::square_root(horizon, 2.0).error(horizon, true);
    assert!(ours.max <= 1.02 * reference.max, "{ours:?} against {reference:?}");
    assert!(ours.mean <= 1.02 * reference.mean, "{ours:?} against {reference:?}");
    let plain = Exponentials::square_root(horizon, 2.0).error(horizon, false);
    assert!(plain.max <= 1.02 * square_root_error(horizon).max);
}

#[test]
fn the_same_noise_on_two_streams_leaves_their_difference() {
    for mechanism in MECHANISMS {
        let parameters = Parameters { mechanism, horizon: 3000, ..Parameters::default() };
        let (mut with, mut without) = (start(parameters.clone(), 1), start(parameters, 1));
        let mut sum = 0.0;
        for time in 0..3000 {
            sum += event(time);
            let found =
                with.push(&[event(time)]).unwrap().values[0] - without.push(&[0.0]).unwrap().values[0];
            assert!((found - sum).abs() < 1e-4, "{mechanism:?} at {time}: {found} is not {sum}");
        }
    }
}

/// False alarm: 4 mechanisms, each compared at 6 standard deviations of the mean square of 400 independent runs at one time
/// (relative sd √(2/400)); a Gaussian mean square of 400 leaves that with probability below 1e-8.
#[test]
fn the_error_has_the_predicted_size_for_every_mechanism() {
    let horizon = 100;
    for mechanism in MECHANISMS {
        for privacy in [Privacy::Concentrated { rho: 0.5 }, Privacy::Pure { epsilon: 1.0 }] {
            let parameters = Parameters { mechanism, privacy, horizon, ..Parameters::default() };
            if parameters.validate().is_err() {
                continue; // Pure ε on a square root.
            }
            let mut ratio = 0.0;
            let runs = 400;
            for run in 0..runs {
                let mut release = start(parameters.clone(), run);
                let answers: Vec<_> = (0..horizon).map(|_| release.push(&[1.0]).unwrap()).collect();
                let last = &answers[90];
                ratio += ((last.values[0] - 91.0) / last.standard_error).powi(2) / runs as f64;
            }
            // A sum of Laplace draws has at most the kurtosis 6 of one: sd √(5/400) at most.
            let limit =
                6.0 * (if matches!(privacy, Privacy::Pure { .. }) { 5.0 } else { 2.0 } / 400.0_f64).sqrt();
            assert!((ratio - 1.0).abs() < limit, "{mechanism:?} {privacy:?}: {ratio}");
        }
    }
}

#[test]
fn standard_errors_are_those_of_the_error_factors() {
    let horizon = 777;
    for (mechanism, factor) in [
        (Mechanism::Tree, tree_error(horizon)),
        (Mechanism::Honaker, honaker_error(horizon)),
        (Mechanism::SquareRoot, Exponentials::square_root(horizon, 2.0).error(horizon, false)),
        (Mechanism::NormalisedSquareRoot, Exponentials::square_root(horizon, 2.0).error(horizon, true)),
    ] {
        let privacy = Privacy::Concentrated { rho: 0.5 };
        let mut release = start(Parameters { mechanism, privacy, horizon, ..Parameters::default() }, 0);
        let errors: Vec<f64> = (0..horizon).map(|_| release.push(&[0.0]).unwrap().standard_error).collect();
        let largest = errors.iter().copied().fold(0.0, f64::max);
        let mean = (errors.iter().map(|error| error * error).sum::<f64>() / horizon as f64).sqrt();
        // rho = 1/2 means σ = sensitivity. The grid costs a little, which the factor does not know.
        assert!((largest / factor.max - 1.0).abs() < 1e-4, "{mechanism:?}: {largest} {factor:?}");
        assert!((mean / factor.mean - 1.0).abs() < 1e-4, "{mechanism:?}: {mean} {factor:?}");
    }
}

#[test]
fn a_resumed_release_is_an_uninterrupted_one() {
    for mechanism in MECHANISMS {
        for cut in [0, 1, 700, 1023, 1024, 1025, 2047, 2500] {
            let parameters = Parameters {
                query: Query::Sum,
                columns: 2,
                mechanism,
                horizon: 2500,
                ..Parameters::default()
            };
            let mut whole = start(parameters.clone(), 3);
            let mut first = start(parameters, 3);
            for time in 0..cut {
                let row = [event(time), event(time + 1)];
                assert_eq!(whole.push(&row).unwrap(), first.push(&row).unwrap());
            }
            let text = serde_json::to_string(&first.state()).unwrap();
            let state: State = serde_json::from_str(&text).unwrap();
            let mut second = Release::resume(state).unwrap();
            for time in cut..2500 {
                let row = [event(time), event(time + 1)];
                assert_eq!(
                    whole.push(&row).unwrap(),
                    second.push(&row).unwrap(),
                    "{mechanism:?} cut at {cut}"
                );
            }
        }
    }
}

#[test]
fn users_and_columns_cost_what_they_should() {
    let rho = Privacy::Concentrated { rho: 0.5 };
    let base = Parameters { privacy: rho, horizon: 1000, ..Parameters::default() };
    let sensitivity = |parameters: &Parameters| parameters.plan().unwrap().sensitivity;
    let near =
        |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
    near(sensitivity(&base), 1.0);
    near(sensitivity(&Parameters { neighbours: Neighbours::User(7), ..base.clone() }), 7.0);
    near(sensitivity(&Parameters { bound: 50.0, ..base.clone() }), 50.0);
    near(sensitivity(&Parameters { query: Query::Sum, columns: 9, ..base.clone() }), 3.0);
    near(sensitivity(&Parameters { query: Query::Histogram, columns: 9, ..base.clone() }), 2_f64.sqrt());
    near(sensitivity(&Parameters { mechanism: Mechanism::Tree, ..base.clone() }), 11_f64.sqrt());
    let pure = Parameters { mechanism: Mechanism::Tree, privacy: Privacy::Pure { epsilon: 1.0 }, ..base };
    near(sensitivity(&pure), 11.0);
    near(sensitivity(&Parameters { query: Query::Histogram, columns: 9, ..pure }), 22.0);
}

fn maximum(columns: usize, horizon: usize, mechanism: MaxMechanism) -> MaxParameters {
    let privacy = Privacy::Concentrated { rho: 0.5 };
    MaxParameters {
        columns,
        horizon,
        privacy,
        neighbours: Neighbours::Event,
        mechanism,
        interval: None,
        select: false,
    }
}

#[test]
fn the_best_of_three_depends_on_rows_and_columns() {
    let chosen = |columns, horizon| {
        MaxSum::new(maximum(columns, horizon, MaxMechanism::Best), Key::from_seed(0)).unwrap().mechanism()
    };
    assert_eq!(chosen(16, 1 << 20), MaxMechanism::Counters);
    assert_eq!(chosen(1 << 16, 1 << 16), MaxMechanism::Recompute);
    assert_eq!(chosen(1 << 16, 2), MaxMechanism::Zero);
    let recompute = MaxSum::new(maximum(4, 4096, MaxMechanism::Recompute), Key::from_seed(0)).unwrap();
    // r* = (T / 8ρ)^(1/3) = 10.08.
    assert_eq!(recompute.interval(), 10);
}

/// False alarm below 1e-9: every answer lies within 7 predicted standard errors and the staleness.
#[test]
fn the_running_maximum_is_near_the_maximum() {
    for mechanism in [MaxMechanism::Counters, MaxMechanism::Recompute] {
        let mut release = MaxSum::new(maximum(5, 2000, mechanism), Key::from_seed(4)).unwrap();
        for time in 1..=2000_usize {
            let other = 1 + time % 4;
            let answer = release.push(Row::Ones(&[0, other])).unwrap();
            let error = (answer.value - time as f64).abs();
            assert!(
                error <= 7.0 * answer.standard_error + answer.age as f64 + 1e-9,
                "{mechanism:?}: {answer:?}"
            );
        }
    }
}

#[test]
fn rows_said_in_three_ways_are_the_same_rows() {
    for mechanism in [MaxMechanism::Counters, MaxMechanism::Recompute] {
        let start = || MaxSum::new(maximum(3, 60, mechanism), Key::from_seed(5)).unwrap();
        let (mut dense, mut sparse) = (start(), start());
        for _ in 0..30 {
            let pair = (dense.push(Row::Dense(&[true, false, true])), sparse.push(Row::Zeros(&[1])));
            assert_eq!(pair.0.unwrap(), pair.1.unwrap());
            let pair = (dense.push(Row::Dense(&[false, false, true])), sparse.push(Row::Ones(&[2])));
            assert_eq!(pair.0.unwrap(), pair.1.unwrap());
        }
    }
}

#[test]
fn a_resumed_maximum_is_an_uninterrupted_one() {
    for mechanism in [MaxMechanism::Counters, MaxMechanism::Recompute] {
        let mut whole = MaxSum::new(maximum(3, 500, mechanism), Key::from_seed(6)).unwrap();
        let mut first = whole.clone();
        for time in 0..333 {
            assert_eq!(
                whole.push(Row::Ones(&[time % 3])).unwrap(),
                first.push(Row::Ones(&[time % 3])).unwrap()
            );
        }
        let text = serde_json::to_string(&first.state()).unwrap();
        let mut second = MaxSum::resume(serde_json::from_str(&text).unwrap()).unwrap();
        for time in 333..500 {
            assert_eq!(
                whole.push(Row::Ones(&[time % 3])).unwrap(),
                second.push(Row::Ones(&[time % 3])).unwrap()
            );
        }
    }
}

/// Column 1 is ahead by far more than the noise: missing it has probability below e^-40.
#[test]
fn the_selection_finds_a_column_that_is_far_ahead() {
    for privacy in [
        Privacy::Concentrated { rho: 0.5 },
        Privacy::Pure { epsilon: 1.0 },
        Privacy::Approximate { epsilon: 1.0, delta: 1e-6 },
    ] {
        let parameters = MaxParameters {
            select: true,
            privacy,
            interval: Some(1000),
            ..maximum(4, 4000, MaxMechanism::Recompute)
        };
        let mut release = MaxSum::new(parameters, Key::from_seed(7)).unwrap();
        let last = (0..4000).map(|_| release.push(Row::Ones(&[1])).unwrap()).last().unwrap();
        assert_eq!(last.value, 1.0);
    }
}

fn table(rows: usize, columns: usize) -> Vec<Vec<bool>> {
    (0..rows).map(|i| (0..columns).map(|j| (i * 31 + j * 17) % 7 < 3).collect()).collect()
}

/// Adds a row to the running sums.
fn add(sums: &mut [i64], row: Row<'_>) {
    for (column, sum) in sums.iter_mut().enumerate() {
        *sum += i64::from(match row {
            Row::Dense(entries) => entries[column],
            Row::Ones(ones) => ones.contains(&column),
            Row::Zeros(zeros) => !zeros.contains(&column),
        });
    }
}

#[test]
fn the_reduction_gives_the_column_means_exactly_and_uses_the_rows_it_says() {
    let table = table(9, 12);
    let mut sums = [0_i64; 12];
    let mut sent = 0;
    let means = marginals_by_reduction::<()>(&table, |row, _| {
        sent += 1;
        add(&mut sums, row);
        Ok(sums.iter().copied().max().unwrap() as f64)
    })
    .unwrap();
    assert_eq!(sent, reduction_horizon(9, 12));
    for (column, mean) in means.iter().enumerate() {
        let expected = table.iter().filter(|row| row[column]).count() as f64 / 9.0;
        assert!((mean - expected).abs() < 1e-12);
    }
}

/// The last group has fewer columns than the others.
#[test]
fn the_reduction_selects_the_largest_of_each_group_and_reads_it_when_it_says() {
    let (rows, columns, width) = (9, 14, 4);
    let mut coins = Stream::new(0, "groups");
    let table: Vec<Vec<bool>> =
        (0..rows).map(|_| (0..columns).map(|_| coins.uniform() < 0.5).collect()).collect();
    let count = |column: usize| table.iter().filter(|row| row[column]).count();
    let mut sums = vec![0_i64; columns];
    let (mut sent, mut read_at) = (0, Vec::new());
    let selected = selections_by_reduction::<()>(&table, width, |row, read| {
        sent += 1;
        add(&mut sums, row);
        if read {
            read_at.push(sent);
        }
        Ok((0..columns).max_by_key(|&column| sums[column]).unwrap())
    })
    .unwrap();
    assert_eq!(sent, reduction_horizon(rows, 4));
    assert_eq!(read_at, [18, 36, 54, 72]);
    for (group, &column) in selected.iter().enumerate() {
        let members = group * width..((group + 1) * width).min(columns);
        assert!(members.contains(&column), "group {group}: {column}");
        assert_eq!(count(column), members.map(count).max().unwrap());
    }
    assert_eq!(selections_by_reduction::<()>(&[], 4, |_, _| Ok(0)), Ok(vec![]));
}

/// The fingerprinting lemma: with column means drawn from Beta(β, β), the members' scores sum to β(2p − 1) per selected column in
/// expectation, whoever selected it. A total of 4000 selections, whose scores deviate by less than 1.6 each.
#[test]
fn selections_give_away_what_the_fingerprinting_lemma_says() {
    let (rows, groups, width, tables) = (10, 200, 4, 20);
    let (mut scored, mut expected) = (0.0, 0.0);
    for seed in 0..tables {
        let mut draws = Stream::new(seed, "fingerprints");
        // The median of five uniform numbers is Beta(3, 3).
        let mut mean = || {
            let mut five: Vec<f64> = (0..5).map(|_| draws.uniform()).collect();
            five.sort_by(f64::total_cmp);
            five[2]
        };
        let population: Vec<f64> = (0..groups * width).map(|_| mean()).collect();
        let table: Vec<Vec<bool>> =
            (0..rows).map(|_| population.iter().map(|&p| draws.uniform() < p).collect()).collect();
        let mut sums = vec![0_i64; population.len()];
        let selected = selections_by_reduction::<()>(&table, width, |row, _| {
            add(&mut sums, row);
            Ok((0..sums.len()).max_by_key(|&column| sums[column]).unwrap())
        })
        .unwrap();
        scored += selection_scores(&table, &population, &selected).iter().sum::<f64>();
        expected += selected.iter().map(|&column| 3.0 * (2.0 * population[column] - 1.0)).sum::<f64>();
    }
    let selections = tables as f64 * groups as f64;
    assert!(expected / selections > 0.8, "{expected}");
    let error = (scored - expected).abs() / selections;
    assert!(error < 5.0 * 1.6 / selections.sqrt(), "{scored} against {expected}");
}

#[test]
fn tracing_scores_single_out_the_members() {
    let mut coins = Stream::new(0, "tracing");
    let mut rows = || (0..5).map(|_| (0..500).map(|_| coins.uniform() < 0.5).collect()).collect();
    let (members, others): (Vec<Vec<bool>>, Vec<Vec<bool>>) = (rows(), rows());
    let means: Vec<f64> =
        (0..500).map(|j| members.iter().filter(|row| row[j]).count() as f64 / 5.0).collect();
    let population = vec![0.5; 500];
    let scores = |rows: &[Vec<bool>]| tracing_scores(rows, &population, &means);
    // A member's score is 25 on average, another's 0, both with a deviation of 5: all pairs are told apart but 3 in 10,000.
    assert_eq!(auc(&scores(&members), &scores(&others)), 1.0);
    assert_eq!(auc(&[1.0, 2.0], &[1.0]), 0.75);
}
