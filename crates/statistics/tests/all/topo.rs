//! TOPO: known answers, the prototyped figures, properties of the search.

use std::collections::HashSet;

use backstitch_data::dag::{DagParameters, DagSample, Noise, Scale, generate};
use backstitch_numerics::{Matrix, Stream};
use backstitch_statistics::topo::{
    Neighbourhood, Operation, Parameters, Problem, Score, Search, Stop, Topo, Warning, prune, refit,
    score_of_weights, shd, threshold,
};
use proptest::prelude::*;

pub(crate) fn erdos_renyi(nodes: usize, edges: usize, rows: usize, seed: u64) -> DagSample {
    generate(&DagParameters { nodes, edges, rows, ..DagParameters::default() }, seed).unwrap()
}

fn problem(sample: &DagSample, parameters: Parameters) -> Problem {
    Topo::new(parameters).unwrap().prepare(&sample.samples).unwrap()
}

#[test]
fn two_columns_by_hand() {
    // x = ±1, y = 2x ± 1 over all four sign pairs: var x = 1, var y = 5, cov = 2, means 0.
    let samples = Matrix::new(4, 2, vec![1.0, 3.0, 1.0, 1.0, -1.0, -1.0, -1.0, -3.0]).unwrap();
    let topo = Topo::new(Parameters::default()).unwrap();
    let problem = topo.prepare(&samples).unwrap();
    // ½(1 + 1) against ½(5 + 1/5).
    assert!((problem.score_of_order(&[0, 1]).unwrap() - 1.0).abs() < 1e-12);
    assert!((problem.score_of_order(&[1, 0]).unwrap() - 2.6).abs() < 1e-12);
    for start in [[0, 1], [1, 0]] {
        let fit = topo.fit_from(&samples, &start).unwrap();
        assert_eq!(fit.order, [0, 1]);
        assert!((fit.weights[(0, 1)] - 2.0).abs() < 1e-12);
        assert_eq!((fit.weights[(1, 0)], fit.weights[(0, 0)]), (0.0, 0.0));
        assert!(fit.kkt);
    }
}

/// The prototype of this method reported, with random starts and 5 graphs a size, a final score within 2e-4 of the true
/// order's in 15/15 and SHD 0 in 15/15. On 200 pilot graphs a size (seeds 1000 to 1199) the best of 3 starts reached that
/// score in 200, 200 and 200, and SHD 0 in 200, 200 and 197, after thresholding one edge at a time ([`prune`]); one start
/// reached the score in 199, 200 and 196 and SHD 0 in 200, 200 and 193.
#[test]
fn the_prototyped_figures_hold_with_the_best_of_three_random_starts() {
    for (nodes, edges) in [(10, 20), (20, 40), (30, 120)] {
        for seed in 0..5 {
            let sample = erdos_renyi(nodes, edges, 1000, seed);
            let topo = Topo::new(Parameters { seed, starts: 3, ..Parameters::default() }).unwrap();
            let fit = topo.fit(&sample.samples).unwrap();
            let problem = topo.prepare(&sample.samples).unwrap();
            let truth = problem.score_of_order(&sample.order).unwrap();
            assert!(fit.score <= truth + 2e-4, "d {nodes} seed {seed}: {} against {truth}", fit.score);
            let (graph, _) = prune(problem.covariance(), &fit.weights, 0.3).unwrap();
            assert_eq!(shd(&graph, &sample.weights).unwrap(), 0, "d {nodes} seed {seed}");
            assert!((100..12_000).contains(&fit.evaluations), "{} evaluations", fit.evaluations);
            assert!(fit.kkt);
        }
    }
}

/// Plain thresholding of the dense fit is noisier than the prototype's 15/15: at d = 30 the dense fit on the *true* order
/// already has a false or lost edge on about every second graph. The search is not what fails there.
#[test]
fn plain_thresholding_is_as_good_as_the_true_order_allows() {
    let (mut found, mut best) = (0, 0);
    for seed in 0..20 {
        let sample = erdos_renyi(30, 120, 1000, seed);
        let topo = Topo::new(Parameters { seed, ..Parameters::default() }).unwrap();
        let problem = topo.prepare(&sample.samples).unwrap();
        let truth = problem.weights_of_order(&sample.order).unwrap();
        best += shd(&threshold(&truth, 0.3), &sample.weights).unwrap();
        let fit = topo.fit(&sample.samples).unwrap();
        found += shd(&threshold(&fit.weights, 0.3), &sample.weights).unwrap();
    }
    assert!(best > 0, "the true order left no error, so the sentence above is wrong");
    assert!(found <= 2 * best, "{found} against {best}");
}

#[test]
fn at_d_100_insertions_reach_the_true_order_and_the_published_candidate_sets_do_not() {
    let sample = erdos_renyi(100, 400, 1000, 0);
    let fit = |neighbourhood| {
        Topo::new(Parameters { neighbourhood, ..Parameters::default() })
            .unwrap()
            .fit(&sample.samples)
            .unwrap()
    };
    let problem = problem(&sample, Parameters::default());
    let truth = problem.score_of_order(&sample.order).unwrap();
    let insertions = fit(Neighbourhood::Insertions);
    assert!(insertions.score <= truth, "{} against {truth}", insertions.score);
    let (graph, _) = prune(problem.covariance(), &insertions.weights, 0.3).unwrap();
    assert!(shd(&graph, &sample.weights).unwrap() <= 1);
    // Recorded because it decides which neighbourhood to recommend, not because it is wished for.
    assert!(fit(Neighbourhood::Candidates).score > truth + 0.1);
}

#[test]
fn the_local_search_finds_the_exact_optimum_on_small_tables() {
    let mut hits = 0;
    for seed in 0..20 {
        let sample = erdos_renyi(7, 12, 200, seed);
        let parameters = Parameters { starts: 5, seed, ..Parameters::default() };
        let topo = Topo::new(parameters.clone()).unwrap();
        let (order, best) = problem(&sample, parameters).exact_order().unwrap();
        let fit = topo.fit(&sample.samples).unwrap();
        assert!((topo.prepare(&sample.samples).unwrap().score_of_order(&order).unwrap() - best).abs() < 1e-9);
        assert!(fit.score >= best - 1e-9, "below the optimum: {} against {best}", fit.score);
        hits += usize::from(fit.score <= best + 1e-9);
    }
    assert!(hits >= 18, "{hits} of 20");
}

#[test]
fn the_exact_optimum_is_that_of_all_permutations() {
    let sample = erdos_renyi(5, 8, 50, 3);
    let problem = problem(&sample, Parameters::default());
    let mut stream = Stream::new(0, "permutations");
    let mut seen = HashSet::new();
    let mut best = f64::INFINITY;
    while seen.len() < 120 {
        let order = stream.permutation(5);
        best = best.min(problem.score_of_order(&order).unwrap());
        seen.insert(order);
    }
    assert!((problem.exact_order().unwrap().1 - best).abs() < 1e-11);
}

#[test]
fn post_processing_never_raises_the_score() {
    for operation in [Operation::Exchange, Operation::MoveAfter, Operation::MoveBefore] {
        for neighbourhood in [Neighbourhood::Candidates, Neighbourhood::Insertions] {
            for seed in 0..10 {
                let sample = erdos_renyi(15, 40, 300, seed);
                let parameters = Parameters { operation, neighbourhood, ..Parameters::default() };
                let topo = Topo::new(parameters.clone()).unwrap();
                let problem = problem(&sample, parameters);
                for start in [problem.variance_order(), sample.order.clone()] {
                    let before = problem.score_of_order(&start).unwrap();
                    let after = topo.fit_from(&sample.samples, &start).unwrap().score;
                    assert!(after <= before, "{after} above {before}");
                }
            }
        }
    }
}

#[test]
fn a_resumed_search_continues_exactly() {
    for score in [Score::LeastSquares, Score::LogVariance] {
        let sample = erdos_renyi(15, 40, 200, 1);
        let problem = problem(&sample, Parameters { score, ..Parameters::default() });
        let whole = problem.run(problem.start(0).unwrap()).unwrap();
        assert!(whole.iterations > 3);
        let mut resumed = problem.start(0).unwrap();
        let mut scores = vec![resumed.score];
        while {
            // Every iteration goes through a file.
            let text = serde_json::to_string(&resumed).unwrap();
            resumed = serde_json::from_str::<Search>(&text).unwrap();
            resumed.step(&problem).unwrap()
        } {
            scores.push(resumed.score);
        }
        assert_eq!(resumed, whole);
        assert!(scores.windows(2).all(|pair| pair[1] < pair[0]), "{scores:?}");
    }
}

#[test]
fn threads_do_not_change_the_result() {
    let sample = erdos_renyi(25, 80, 300, 2);
    for (score, neighbourhood) in [
        (Score::LeastSquares, Neighbourhood::Candidates),
        (Score::LeastSquares, Neighbourhood::Insertions),
        (Score::LogVariance, Neighbourhood::Candidates),
    ] {
        let topo = Topo::new(Parameters { score, neighbourhood, ..Parameters::default() }).unwrap();
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| topo.fit(&sample.samples).unwrap())
        };
        assert_eq!(with(1), with(2));
    }
}

#[test]
fn the_iteration_limit_stops_and_says_so() {
    let sample = erdos_renyi(15, 40, 200, 1);
    let topo = Topo::new(Parameters { iterations: 2, ..Parameters::default() }).unwrap();
    let fit = topo.fit(&sample.samples).unwrap();
    assert_eq!(fit.iterations, 2);
    assert!(!fit.kkt);
    assert!(fit.warnings.contains(&Warning::Unfinished { iterations: 2 }));
    let problem = topo.prepare(&sample.samples).unwrap();
    assert_eq!(problem.run(problem.start(0).unwrap()).unwrap().stopped, Some(Stop::IterationLimit));
}

/// Unequal noise and standardised columns: least squares loses the order, the log-variance score keeps most of the graph.
#[test]
fn the_log_variance_score_survives_standardised_columns() {
    let (mut log_variance, mut least_squares) = (0, 0);
    for seed in 0..6 {
        let parameters = DagParameters {
            nodes: 10,
            edges: 15,
            rows: 2000,
            scale: Scale::Between { low: 0.5, high: 2.0 },
            ..DagParameters::default()
        };
        let sample = generate(&parameters, seed).unwrap();
        let skeleton = |score| {
            let parameters = Parameters { score, standardise: true, starts: 3, ..Parameters::default() };
            let topo = Topo::new(parameters).unwrap();
            let fit = topo.fit(&sample.samples).unwrap();
            let graph = threshold(&fit.weights, 0.05);
            // Gaussian data give the graph up to its equivalence class: compare which nodes are joined.
            let joined = |g: &Matrix| {
                Matrix::from_fn(10, 10, |i, j| {
                    f64::from(u8::from(i < j && (g[(i, j)] != 0.0 || g[(j, i)] != 0.0)))
                })
            };
            (shd(&joined(&graph), &joined(&sample.weights)).unwrap(), fit)
        };
        let (distance, fit) = skeleton(Score::LogVariance);
        assert!(fit.kkt);
        log_variance += distance;
        let (distance, fit) = skeleton(Score::LeastSquares);
        assert!(fit.warnings.contains(&Warning::EqualVariances));
        least_squares += distance;
    }
    assert!(4 * log_variance < least_squares, "{log_variance} against {least_squares}");
    assert!(log_variance <= 12, "{log_variance} wrong pairs in 6 graphs of 15 edges");
}

#[test]
fn the_logistic_score_recovers_a_strong_binary_chain() {
    let parameters = DagParameters {
        nodes: 4,
        edges: 3,
        rows: 3000,
        noise: Noise::Logistic,
        weight_low: 2.0,
        weight_high: 3.0,
        ..DagParameters::default()
    };
    let sample = generate(&parameters, 4).unwrap();
    for centre in [false, true] {
        let score = Score::Logistic { inverse_penalty: 0.1 };
        let topo = Topo::new(Parameters { score, centre, ..Parameters::default() }).unwrap();
        let problem = topo.prepare(&sample.samples).unwrap();
        let fit = topo.fit(&sample.samples).unwrap();
        assert!(fit.kkt);
        assert!(fit.score <= problem.score_of_order(&sample.order).unwrap() + 1e-9);
        for i in 0..4 {
            for j in 0..i {
                let joined = |g: &Matrix| g[(i, j)].abs().max(g[(j, i)].abs());
                assert_eq!(joined(&fit.weights) > 0.5, joined(&sample.weights) > 0.0, "{i} {j}");
            }
        }
    }
}

#[test]
fn baselines_know_their_budget_and_lose_to_the_search() {
    let sample = erdos_renyi(20, 60, 1000, 6);
    let topo = Topo::new(Parameters::default()).unwrap();
    let problem = topo.prepare(&sample.samples).unwrap();
    let fit = topo.fit(&sample.samples).unwrap();
    let random = problem.random_orders(fit.evaluations, 1).unwrap();
    let climbed = problem.random_restarts(fit.evaluations, 1).unwrap();
    let sorted = problem.sort_and_regress().unwrap();
    for search in [&random, &climbed] {
        assert_eq!(search.evaluations, fit.evaluations);
        assert!((problem.score_of_order(&search.order).unwrap() - search.score).abs() < 1e-9 * search.score);
    }
    assert_eq!(sorted.evaluations, 1);
    assert_eq!(climbed, problem.random_restarts(fit.evaluations, 1).unwrap());
    assert!(fit.score < random.score && climbed.score < random.score);
    assert!(fit.score <= climbed.score && fit.score <= sorted.score);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_fit_is_consistent_and_no_worse_than_its_start(seed in 0_u64..10_000, d in 1_usize..9) {
        let sample = erdos_renyi(d, d * d.saturating_sub(1) / 3, 40, seed);
        let topo = Topo::new(Parameters { seed, ..Parameters::default() }).unwrap();
        let problem = topo.prepare(&sample.samples).unwrap();
        let fit = topo.fit(&sample.samples).unwrap();
        prop_assert!(fit.score <= problem.start(0).unwrap().score);
        let mut sorted = fit.order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..d).collect::<Vec<_>>());
        for to in 0..d {
            for from in to..d {
                prop_assert_eq!(fit.weights[(fit.order[from], fit.order[to])], 0.0);
            }
        }
        let direct = score_of_weights(problem.covariance(), &fit.weights).unwrap();
        prop_assert!((direct - fit.score).abs() < 1e-9 * fit.score);
        let (again, score) = refit(problem.covariance(), &fit.weights).unwrap();
        prop_assert!((score - fit.score).abs() < 1e-9 * fit.score);
        for (x, y) in again.values().iter().zip(fit.weights.values()) {
            prop_assert!((x - y).abs() < 1e-7);
        }
    }

    #[test]
    fn renaming_columns_renames_the_answer(seed in 0_u64..10_000) {
        let sample = erdos_renyi(6, 9, 60, seed);
        let names = Stream::new(seed, "names").permutation(6);
        let renamed = Matrix::from_fn(60, 6, |r, c| sample.samples[(r, names[c])]);
        let start = [0, 1, 2, 3, 4, 5];
        let topo = Topo::new(Parameters::default()).unwrap();
        let there = topo.fit_from(&renamed, &start).unwrap();
        let here = topo.fit_from(&sample.samples, &names).unwrap();
        prop_assert!((there.score - here.score).abs() < 1e-9 * here.score);
        let back: Vec<usize> = there.order.iter().map(|&c| names[c]).collect();
        prop_assert_eq!(back, here.order);
    }
}
