//! Penalty methods for bilevel problems: gradients, sets, both loops, the certificate, ready problems.

use backstitch_numerics::{Matrix, SparseMatrix, Stream};
use backstitch_optimize::Error;
use backstitch_optimize::objective::Loss;
use backstitch_optimize::penalty_bilevel::{
    Affine, Ball, Bilevel, Bounds, CARD, Certificate, Classified, ConvexSet, DataCleaning, Effort, Estimate,
    Everything, Fit, FlatLeastSquares, Inversion, Jump, Labelled, Loop, Outcome, Parameters, PenaltyBilevel,
    PenaltySelection, Samples, Sets, Sharing, Sigma, Simplex, Slopes, UpperStep, hypergradient,
    penalty_gradient, with_ones,
};
use proptest::prelude::*;

const FREE: Sets<'_> = Sets { upper: &Everything, lower: &Everything };
const EXACT: Effort = Effort { steps: 200_000, tolerance: 1e-12, accelerated: true };
const PSEUDO: Inversion = Inversion::PseudoInverse { tolerance: 1e-9 };

fn flat(seed: u64) -> FlatLeastSquares {
    FlatLeastSquares::drawn(seed, false).unwrap()
}

fn normals(seed: u64, length: usize) -> Vec<f64> {
    let mut stream = Stream::new(seed, "penalty-bilevel tests");
    (0..length).map(|_| stream.normal()).collect()
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn apart(one: &[f64], other: &[f64]) -> f64 {
    assert_eq!(one.len(), other.len());
    length(&one.iter().zip(other).map(|(x, y)| x - y).collect::<Vec<_>>())
}

/// Central differences of a function.
fn slopes_of(value: impl Fn(&[f64]) -> f64, point: &[f64]) -> Vec<f64> {
    let step = 1e-5;
    (0..point.len())
        .map(|place| {
            let at = |sign: f64| {
                let mut moved = point.to_vec();
                moved[place] += sign * step;
                value(&moved)
            };
            (at(1.0) - at(-1.0)) / (2.0 * step)
        })
        .collect()
}

/// Rows of features and a linear score of each.
fn rows(seed: u64, count: usize, columns: usize) -> (SparseMatrix, Vec<f64>) {
    let mut stream = Stream::new(seed, "penalty-bilevel rows");
    let dense =
        Matrix::from_fn(count, columns, |_, _| if stream.uniform() < 0.3 { 0.0 } else { stream.normal() });
    let scores =
        (0..count).map(|row| dense.row(row)[0] - 0.5 * dense.row(row)[1] + 0.3 * stream.normal()).collect();
    (SparseMatrix::from_dense(&dense), scores)
}

struct Tables {
    training: SparseMatrix,
    validation: SparseMatrix,
    scores: (Vec<f64>, Vec<f64>),
    signs: (Vec<f64>, Vec<f64>),
    classes: (Vec<usize>, Vec<usize>),
}

fn tables(seed: u64, count: usize, columns: usize) -> Tables {
    let (training, own) = rows(2 * seed, count, columns);
    let (validation, other) = rows(2 * seed + 1, count / 2, columns);
    let signs = |scores: &[f64]| scores.iter().map(|score| if *score > 0.0 { 1.0 } else { -1.0 }).collect();
    let classes = |scores: &[f64]| {
        scores.iter().map(|score| if *score < -0.5 { 0 } else { usize::from(*score > 0.5) + 1 }).collect()
    };
    Tables {
        signs: (signs(&own), signs(&other)),
        classes: (classes(&own), classes(&other)),
        scores: (own, other),
        training,
        validation,
    }
}

impl Tables {
    fn selection(&self, loss: Loss, sharing: Sharing, free: usize) -> PenaltySelection<'_> {
        let (own, other) = if loss == Loss::Logistic { &self.signs } else { &self.scores };
        let training = Labelled { features: &self.training, labels: own };
        let validation = Labelled { features: &self.validation, labels: other };
        PenaltySelection::new(training, validation, loss, sharing, free).unwrap()
    }

    fn cleaning(&self, ridge: f64) -> DataCleaning<'_> {
        let training = Classified { features: &self.training, labels: &self.classes.0 };
        let validation = Classified { features: &self.validation, labels: &self.classes.1 };
        DataCleaning::new(training, validation, 3, ridge).unwrap()
    }

    /// Every problem of this room, by name.
    fn problems(&self) -> Vec<(&'static str, Box<dyn Bilevel + '_>)> {
        vec![
            ("squares", Box::new(self.selection(Loss::LeastSquares, Sharing::PerFeature, 1))),
            ("logistic", Box::new(self.selection(Loss::Logistic, Sharing::PerFeature, 0))),
            ("one penalty", Box::new(self.selection(Loss::Logistic, Sharing::One, 1))),
            ("cleaning", Box::new(self.cleaning(0.01))),
            ("flat", Box::new(flat(3))),
            ("noisy", Box::new(flat(3).with_noise(20, 0.7, 1).unwrap())),
            ("jump", Box::new(Jump)),
        ]
    }
}

#[test]
fn gradients_are_those_of_the_values() {
    let tables = tables(1, 30, 4);
    for (name, problem) in tables.problems() {
        let (x, y) = (normals(5, problem.upper_dimension()), normals(6, problem.lower_dimension()));
        let (mut in_x, mut in_y) = (vec![f64::NAN; x.len()], vec![f64::NAN; y.len()]);
        let check = |what: &str, found: (&[f64], &[f64]), value: &dyn Fn(&[f64], &[f64]) -> f64| {
            let of_x = slopes_of(|x| value(x, &y), &x);
            let of_y = slopes_of(|y| value(&x, y), &y);
            assert!(
                apart(found.0, &of_x) <= 1e-8 * (1.0 + length(&of_x)),
                "{name}, {what} in x: {found:?} {of_x:?}"
            );
            assert!(
                apart(found.1, &of_y) <= 1e-8 * (1.0 + length(&of_y)),
                "{name}, {what} in y: {found:?} {of_y:?}"
            );
        };
        problem.upper_gradient(&x, &y, Samples::All, Slopes::both(&mut in_x, &mut in_y));
        check("f", (&in_x, &in_y), &|x, y| problem.upper_value(x, y));
        problem.lower_gradient(&x, &y, Samples::All, Slopes::both(&mut in_x, &mut in_y));
        check("g", (&in_x, &in_y), &|x, y| problem.lower_value(x, y));
        // Parts that are asked for alone are the same.
        let (mut alone_x, mut alone_y) = (vec![f64::NAN; x.len()], vec![f64::NAN; y.len()]);
        problem.lower_gradient(&x, &y, Samples::All, Slopes::in_x(&mut alone_x));
        problem.lower_gradient(&x, &y, Samples::All, Slopes::in_y(&mut alone_y));
        assert_eq!((alone_x, alone_y), (in_x, in_y), "{name}");
    }
}

#[test]
fn batches_average_to_the_gradient() {
    let tables = tables(2, 30, 4);
    for (name, problem) in tables.problems() {
        let (x, y) = (normals(5, problem.upper_dimension()), normals(6, problem.lower_dimension()));
        for lower in [true, false] {
            let of = |samples: Samples<'_>| {
                let (mut in_x, mut in_y) = (vec![0.0; x.len()], vec![0.0; y.len()]);
                let slopes = Slopes::both(&mut in_x, &mut in_y);
                if lower {
                    problem.lower_gradient(&x, &y, samples, slopes);
                } else {
                    problem.upper_gradient(&x, &y, samples, slopes);
                }
                [in_x, in_y].concat()
            };
            let count = if lower { problem.lower_samples() } else { problem.upper_samples() };
            let mut mean = vec![0.0; x.len() + y.len()];
            for sample in 0..count {
                for (sum, value) in mean.iter_mut().zip(of(Samples::Chosen(&[sample]))) {
                    *sum += value / count as f64;
                }
            }
            let whole = of(Samples::All);
            assert!(apart(&mean, &whole) <= 1e-12 * (1.0 + length(&whole)), "{name}, lower {lower}");
            // A pair is the mean of its two.
            let (first, last) = (of(Samples::Chosen(&[0])), of(Samples::Chosen(&[count - 1])));
            let pair: Vec<f64> = first.iter().zip(&last).map(|(x, y)| 0.5 * (x + y)).collect();
            let found = of(Samples::Chosen(&[0, count - 1]));
            assert!(apart(&found, &pair) <= 1e-12 * (1.0 + length(&pair)), "{name}, lower {lower}");
        }
    }
}

#[test]
fn curvatures_are_bounds() {
    let tables = tables(3, 30, 4);
    for (name, problem) in tables.problems() {
        let x = normals(7, problem.upper_dimension());
        for draw in 0..20 {
            let (one, other) =
                (normals(draw, problem.lower_dimension()), normals(draw + 50, problem.lower_dimension()));
            let of = |lower: bool, y: &[f64]| {
                let mut slope = vec![0.0; y.len()];
                if lower {
                    problem.lower_gradient(&x, y, Samples::All, Slopes::in_y(&mut slope));
                } else {
                    problem.upper_gradient(&x, y, Samples::All, Slopes::in_y(&mut slope));
                }
                slope
            };
            for (lower, bound) in [(true, problem.lower_smoothness(&x)), (false, problem.upper_smoothness())]
            {
                let moved = apart(&of(lower, &one), &of(lower, &other));
                assert!(moved <= bound * apart(&one, &other) * (1.0 + 1e-9), "{name}, lower {lower}");
            }
        }
    }
}

#[test]
fn every_route_to_the_hypergradient_agrees() {
    for seed in 0..5 {
        let problem = flat(seed);
        let x = normals(seed, 3);
        let exact = problem.hyper_gradient(&x);
        let best = problem.best_response(&x);
        let differences = slopes_of(|x| problem.hyper_objective(x), &x);
        assert!(apart(&exact, &differences) <= 1e-8 * length(&exact));
        let implicit = hypergradient(&problem, &x, &best, PSEUDO).unwrap();
        assert!(apart(&exact, &implicit) <= 1e-9 * length(&exact), "{exact:?} {implicit:?}");
        // Elimination meets a singular matrix: whatever it gives cannot be relied on, but it is no panic.
        let _ = hypergradient(&problem, &x, &best, Inversion::Elimination);
        let steep = FlatLeastSquares::drawn(seed, true).unwrap();
        let best = steep.best_response(&x);
        let exact = steep.hyper_gradient(&x);
        let conjugate = Inversion::ConjugateGradients { steps: 50, tolerance: 1e-12 };
        for inversion in [PSEUDO, Inversion::Elimination, conjugate] {
            let found = hypergradient(&steep, &x, &best, inversion).unwrap();
            assert!(apart(&exact, &found) <= 1e-8 * length(&exact), "{inversion:?}");
        }
    }
}

#[test]
fn the_bias_is_proportional_to_sigma() {
    for seed in 0..3 {
        let problem = flat(seed);
        let x = normals(seed, 3);
        let exact = problem.hyper_gradient(&x);
        let bias = |sigma: f64| {
            let found = penalty_gradient(&problem, FREE, &x, &[0.0; 6], sigma, EXACT).unwrap();
            assert!(found.gap >= 0.0 && found.gap <= 20.0 * sigma * sigma, "{}", found.gap);
            apart(&found.gradient, &exact)
        };
        for sigma in [1e-2, 1e-3] {
            let ratio = bias(sigma) / bias(0.1 * sigma);
            assert!((9.0..11.0).contains(&ratio), "{sigma}: {ratio}");
        }
    }
}

#[test]
fn extrapolation_removes_the_first_order() {
    let problem = flat(1);
    let base = Parameters {
        sigma: Sigma::Fixed(0.02),
        upper_step: UpperStep::Gradient(Some(0.2)),
        lower_steps: 400,
        iterations: 400,
        ..Parameters::convex()
    };
    let bias = |extrapolate| {
        length(&problem.hyper_gradient(&fit(&problem, Parameters { extrapolate, ..base.clone() }).x))
    };
    let (plain, extrapolated) = (bias(false), bias(true));
    assert!(extrapolated < 0.1 * plain, "{extrapolated} {plain}");
}

fn fit(problem: &dyn Bilevel, parameters: Parameters) -> Fit {
    let (x, y) = (vec![0.0; problem.upper_dimension()], vec![0.0; problem.lower_dimension()]);
    PenaltyBilevel::new(parameters).unwrap().fit(problem, FREE, &x, &y).unwrap()
}

#[test]
fn the_loops_find_the_closed_form() {
    let convex = Parameters {
        upper_step: UpperStep::Gradient(Some(0.2)),
        lower_steps: 100,
        iterations: 500,
        ..Parameters::convex()
    };
    let proximal = Parameters {
        lower_steps: 30,
        iterations: 6000,
        upper_step: UpperStep::Gradient(Some(0.02)),
        ..Parameters::default()
    };
    let continuation = Sigma::Continuation { first: 0.3, last: 0.01 };
    let adaptive = Sigma::Adaptive { first: 0.3, last: 0.01 };
    let variants = [
        ("accelerated", convex.clone()),
        ("adam", Parameters { upper_step: UpperStep::Adam(0.01), iterations: 1500, ..convex.clone() }),
        (
            "continuation",
            Parameters { sigma: continuation, iterations: 30_000, lower_steps: 5, ..convex.clone() },
        ),
        ("adaptive", Parameters { sigma: adaptive, ..convex.clone() }),
        ("proximal", proximal.clone()),
        (
            "single",
            Parameters {
                interleaving: Loop::Single,
                iterations: 40_000,
                upper_step: UpperStep::Gradient(None),
                ..proximal
            },
        ),
    ];
    for seed in 0..2 {
        for (name, parameters) in &variants {
            let problem = flat(seed);
            let found = fit(&problem, parameters.clone());
            let slope = length(&problem.hyper_gradient(&found.x));
            assert!(slope < 0.05, "{name}, seed {seed}: {slope} after {:?}", found.trace.last());
            assert_eq!(found.sigma, 0.01, "{name}");
            assert!(found.trace.last().unwrap().gradient < 0.01, "{name} {:?}", found.trace.last());
        }
    }
}

#[test]
fn a_tolerance_ends_the_iterations() {
    let parameters = Parameters {
        upper_step: UpperStep::Gradient(Some(0.2)),
        lower_steps: 100,
        tolerance: 1e-3,
        iterations: 5000,
        ..Parameters::convex()
    };
    let found = fit(&flat(1), parameters);
    assert_eq!(found.outcome, Outcome::Converged);
    assert!(found.iterations < 5000);
    let last = found.trace.last().unwrap();
    assert!(last.gradient <= 1e-3 && last.residual <= found.sigma && last.iteration == found.iterations);
}

#[test]
fn steps_that_are_too_long_are_reported() {
    let parameters = Parameters { upper_step: UpperStep::Gradient(Some(1e6)), ..Parameters::default() };
    assert_eq!(fit(&flat(1), parameters).outcome, Outcome::Diverged);
}

#[test]
fn calls_are_counted() {
    let parameters = Parameters { iterations: 7, lower_steps: 3, ..Parameters::default() };
    let method = PenaltyBilevel::new(parameters).unwrap();
    // From where no level is solved.
    let calls = method.fit(&flat(1), FREE, &[1.0; 3], &[1.0; 6]).unwrap().calls;
    // Three steps of y and of z, then both gradients of x.
    assert_eq!((calls.upper, calls.lower), (7 * (3 + 1), 7 * (3 + 3 + 2)));
    let batches = Parameters {
        interleaving: Loop::Single,
        batch: Some(4),
        estimate: Estimate::Storm { share: 0.2 },
        iterations: 10,
        ..Parameters::default()
    };
    let calls = fit(&flat(1).with_noise(50, 0.1, 0).unwrap(), batches).calls;
    // STORM takes two gradients from the second iteration on; what is measured does not count.
    assert_eq!((calls.upper, calls.lower), (4 * 19, 4 * 2 * 19));
}

#[test]
fn stochastic_loops_come_near_and_depend_on_the_seed_only() {
    let noisy = flat(2).with_noise(200, 0.3, 5).unwrap();
    let single = Parameters {
        interleaving: Loop::Single,
        sigma: Sigma::Fixed(0.05),
        upper_step: UpperStep::Gradient(Some(2e-3)),
        batch: Some(5),
        estimate: Estimate::Storm { share: 0.05 },
        iterations: 20_000,
        ..Parameters::default()
    };
    let double = Parameters {
        interleaving: Loop::Double,
        estimate: Estimate::Batch,
        upper_batch: Some(50),
        iterations: 4_000,
        upper_step: UpperStep::Gradient(Some(0.01)),
        ..single.clone()
    };
    for parameters in [single, double] {
        let found = fit(&noisy, parameters.clone());
        let slope = length(&noisy.hyper_gradient(&found.x));
        assert!(slope < 0.3, "{:?}: {slope}", parameters.interleaving);
        // Measuring more often changes nothing.
        assert_eq!(found.x, fit(&noisy, Parameters { measure_every: 97, ..parameters.clone() }).x);
        assert_ne!(found.x, fit(&noisy, Parameters { seed: 1, ..parameters }).x);
    }
}

#[test]
fn x_and_y_stay_in_their_sets() {
    let problem = flat(4);
    let ball = Ball { centre: vec![0.0; 3], radius: 0.1 };
    let simplex = Simplex { total: 1.0 };
    let sets = Sets { upper: &ball, lower: &simplex };
    let parameters = Parameters {
        upper_step: UpperStep::Gradient(Some(0.1)),
        lower_steps: 200,
        iterations: 600,
        ..Parameters::convex()
    };
    let method = PenaltyBilevel::new(parameters).unwrap();
    let found = method.fit(&problem, sets, &[3.0; 3], &[3.0; 6]).unwrap();
    assert!(length(&found.x) <= 0.1 + 1e-12);
    for point in [&found.y, &found.z] {
        assert!(point.iter().all(|entry| *entry >= 0.0));
        assert!((point.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
    // Stationary over the ball.
    assert!(found.trace.last().unwrap().gradient < 1e-3, "{:?}", found.trace.last());
    // A descent of ψ_σ, whose value counts both levels over the simplex.
    let value = |x: &[f64]| penalty_gradient(&problem, sets, x, &[0.0; 6], 0.01, EXACT).unwrap().value;
    let at = value(&found.x);
    for draw in 0..10 {
        let mut near = normals(draw, 3);
        ball.project(&mut near);
        assert!(value(&near) >= at - 1e-4, "{near:?}");
    }
}

#[test]
fn constrained_gradients_are_those_of_the_value() {
    let problem = flat(4);
    let simplex = Simplex { total: 1.0 };
    let bounds = Bounds::uniform(6, -0.2, 0.3);
    for lower in [&simplex as &dyn ConvexSet, &bounds] {
        let sets = Sets { upper: &Everything, lower };
        let x = normals(8, 3);
        let at = |x: &[f64]| penalty_gradient(&problem, sets, x, &[0.1; 6], 0.05, EXACT).unwrap();
        let differences = slopes_of(|x| at(x).value, &x);
        let found = at(&x).gradient;
        assert!(apart(&found, &differences) <= 1e-5 * (1.0 + length(&found)), "{found:?} {differences:?}");
    }
}

fn certified(problem: &dyn Bilevel, sets: Sets<'_>, x: &[f64], sigma: f64) -> Certificate {
    let parameters = Parameters { sigma: Sigma::Fixed(sigma), ..Parameters::default() };
    let effort = Effort { steps: 50_000, tolerance: 1e-9, accelerated: true };
    let start = vec![0.0; problem.lower_dimension()];
    PenaltyBilevel::new(parameters).unwrap().certificate(problem, sets, x, &start, effort).unwrap()
}

#[test]
fn the_jump_is_reported_and_the_flat_is_not() {
    let bounds = Bounds::uniform(1, -1.0, 1.0);
    let sets = Sets { upper: &bounds, lower: &bounds };
    for sigma in [0.05, 0.01] {
        for share in [-0.5, -0.3, 0.1, 0.4] {
            let found = certified(&Jump, sets, &[share * sigma], sigma);
            assert!(found.violated, "{found:?}");
            assert!(matches!(found.check(), Err(Error::ErrorBound { .. })));
        }
        for x in [-0.9, -0.3, 0.3, 0.8] {
            let found = certified(&Jump, sets, &[x], sigma);
            assert!(!found.violated, "{found:?}");
            assert!(found.check().is_ok(), "{found:?}");
        }
    }
    for seed in 0..5 {
        let problem = flat(seed);
        let x = normals(seed, 3);
        let found = certified(&problem, FREE, &x, 0.01);
        assert!(!found.violated && found.check().is_ok(), "{found:?}");
        // B has singular values from 0.5 to 1, so that the constant is 1/4; steps never see less.
        assert!((0.2499..1.0).contains(&found.error_bound.unwrap()), "{found:?}");
        assert!((found.halving.unwrap() - 0.5).abs() < 0.02, "{found:?}");
        let exact = penalty_gradient(&problem, FREE, &x, &[0.0; 6], 0.01, EXACT).unwrap();
        let bias = apart(&exact.gradient, &problem.hyper_gradient(&x));
        assert!((found.bias / bias - 1.0).abs() < 0.1, "{} {bias}", found.bias);
    }
}

#[test]
fn a_lower_level_that_is_not_solved_is_refused() {
    let effort = Effort { steps: 3, tolerance: 1e-12, accelerated: false };
    let error = penalty_gradient(&flat(1), FREE, &[3.0; 3], &[5.0; 6], 1e-3, effort).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("lower-level gradient residual "), "{text}");
    assert!(text.ends_with(
        "is larger than sigma=1e-3: penalty gradient unreliable; run more inner steps or raise sigma"
    ));
}

#[test]
fn ready_problems_agree_with_implicit_differentiation() {
    let tables = tables(4, 40, 4);
    let problems: [(&str, Box<dyn Bilevel + '_>); 3] = [
        ("squares", Box::new(tables.selection(Loss::LeastSquares, Sharing::PerFeature, 1))),
        ("one", Box::new(tables.selection(Loss::Logistic, Sharing::One, 0))),
        ("cleaning", Box::new(tables.cleaning(0.05))),
    ];
    for (name, problem) in &problems {
        let problem = &**problem;
        let x: Vec<f64> = normals(9, problem.upper_dimension()).iter().map(|x| x - 1.0).collect();
        let start = vec![0.0; problem.lower_dimension()];
        let at = |x: &[f64]| penalty_gradient(problem, FREE, x, &start, 1e-5, EXACT).unwrap();
        let found = at(&x);
        let implicit = hypergradient(problem, &x, &found.z, PSEUDO).unwrap();
        assert!(
            apart(&found.gradient, &implicit) <= 1e-3 * length(&implicit),
            "{name}: {found:?} {implicit:?}"
        );
        let conjugate = Inversion::ConjugateGradients { steps: 200, tolerance: 1e-10 };
        let iterated = hypergradient(problem, &x, &found.z, conjugate).unwrap();
        assert!(apart(&iterated, &implicit) <= 1e-6 * length(&implicit), "{name}");
        let differences = slopes_of(|x| problem.upper_value(x, &at(x).z), &x);
        assert!(
            apart(&differences, &implicit) <= 1e-5 * length(&implicit),
            "{name}: {differences:?} {implicit:?}"
        );
    }
}

#[test]
fn wrong_labels_lose_their_weight() {
    let mut tables = tables(5, 400, 5);
    for row in (0..400).step_by(4) {
        tables.classes.0[row] = (tables.classes.0[row] + 1) % 3;
    }
    let gap = |tables: &Tables| {
        let problem = tables.cleaning(0.001);
        let bounds = Bounds::uniform(400, -6.0, 6.0);
        let sets = Sets { upper: &bounds, lower: &Everything };
        let parameters = Parameters { iterations: 100, ..Parameters::convex() };
        let method = PenaltyBilevel::new(parameters).unwrap();
        let weights = problem.row_weights(&method.fit(&problem, sets, &[0.0; 400], &[0.0; 15]).unwrap().x);
        let of_wrong = weights.iter().step_by(4).sum::<f64>() / 100.0;
        (weights.iter().sum::<f64>() - 100.0 * of_wrong) / 300.0 - of_wrong
    };
    let found = gap(&tables);
    // Validation rows with labels at random do not speak against the wrong ones.
    Stream::new(0, "shuffled").shuffle(&mut tables.classes.1);
    let shuffled = gap(&tables);
    assert!(found > 0.2 && shuffled < 0.0, "{found} {shuffled}");
}

#[test]
fn useless_features_get_larger_penalties() {
    let tables = tables(6, 60, 12);
    let problem = tables.selection(Loss::LeastSquares, Sharing::PerFeature, 0);
    let bounds = Bounds::uniform(12, -8.0, 4.0);
    let sets = Sets { upper: &bounds, lower: &Everything };
    let parameters = Parameters { iterations: 300, ..Parameters::convex() };
    let start = [-2.0; 12];
    let found = PenaltyBilevel::new(parameters).unwrap().fit(&problem, sets, &start, &[0.0; 12]).unwrap();
    assert!(problem.penalties(&found.x)[0] < 0.05 * problem.penalties(&found.x)[2..].iter().sum::<f64>());
    let first = penalty_gradient(&problem, sets, &start, &[0.0; 12], 1e-4, EXACT).unwrap();
    assert!(problem.upper_value(&found.x, &found.y) < problem.upper_value(&start, &first.z));
}

#[test]
fn nothing_depends_on_the_number_of_threads() {
    let tables = tables(7, 6_000, 30);
    let problem = tables.cleaning(0.01);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&problem, Parameters { iterations: 5, ..Parameters::convex() }))
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn parameters_out_of_range_are_refused() {
    let base = Parameters::default;
    let single = || Parameters { interleaving: Loop::Single, ..base() };
    let wrong = [
        Parameters { sigma: Sigma::Fixed(0.0), ..base() },
        Parameters { sigma: Sigma::Fixed(f64::NAN), ..base() },
        Parameters { sigma: Sigma::Continuation { first: 0.01, last: 0.1 }, ..base() },
        Parameters { sigma: Sigma::Adaptive { first: 1.0, last: -0.1 }, ..base() },
        Parameters { upper_step: UpperStep::Adam(0.0), ..base() },
        Parameters { upper_step: UpperStep::Gradient(Some(f64::INFINITY)), ..base() },
        Parameters { lower_step: Some(-1.0), ..base() },
        Parameters { lower_steps: 0, ..base() },
        Parameters { iterations: 0, ..base() },
        Parameters { mixing: 0.0, ..base() },
        Parameters { mixing: 1.1, ..base() },
        Parameters { batch: Some(0), ..base() },
        Parameters { upper_batch: Some(3), ..base() },
        Parameters { upper_batch: Some(3), batch: Some(1), ..single() },
        Parameters { estimate: Estimate::Storm { share: 0.1 }, ..single() },
        Parameters { estimate: Estimate::Storm { share: 0.0 }, batch: Some(1), ..single() },
        Parameters { estimate: Estimate::Storm { share: 0.1 }, batch: Some(1), ..base() },
        Parameters { accelerated: true, ..single() },
        Parameters { accelerated: true, batch: Some(2), ..base() },
        Parameters { tolerance: -1.0, ..base() },
        Parameters { measure_every: 0, ..base() },
    ];
    for parameters in wrong {
        assert!(matches!(parameters.validate(), Err(Error::Parameter { .. })), "{parameters:?}");
    }
    base().validate().unwrap();
    Parameters::convex().validate().unwrap();
    assert_eq!(CARD.id, "penalty-bilevel");
}

#[test]
fn what_does_not_fit_is_refused() {
    let problem = flat(1);
    let method = PenaltyBilevel::new(Parameters::default()).unwrap();
    let refused = |upper: &dyn ConvexSet, lower: &dyn ConvexSet, x: &[f64], y: &[f64]| {
        method.fit(&problem, Sets { upper, lower }, x, y).unwrap_err()
    };
    let (x, y) = ([0.0; 3], [0.0; 6]);
    let everything = &Everything;
    assert!(matches!(
        refused(everything, everything, &[0.0; 2], &y),
        Error::Length { found: 2, expected: 3, .. }
    ));
    assert!(matches!(
        refused(everything, everything, &x, &[0.0; 7]),
        Error::Length { found: 7, expected: 6, .. }
    ));
    assert!(matches!(
        refused(everything, everything, &[0.0, f64::NAN, 0.0], &y),
        Error::NotFinite { row: 1, .. }
    ));
    assert!(matches!(refused(&Bounds::uniform(2, 0.0, 1.0), everything, &x, &y), Error::Length { .. }));
    assert!(matches!(refused(&Bounds::uniform(3, 1.0, 0.0), everything, &x, &y), Error::Parameter { .. }));
    let ball = |radius| Ball { centre: vec![0.0; 6], radius };
    assert!(matches!(refused(everything, &ball(-1.0), &x, &y), Error::Parameter { .. }));
    assert!(matches!(refused(everything, &Simplex { total: 0.0 }, &x, &y), Error::Parameter { .. }));
    let adam = PenaltyBilevel::new(Parameters::convex()).unwrap();
    let sets = Sets { upper: &Simplex { total: 1.0 }, lower: &Everything };
    assert!(matches!(adam.fit(&problem, sets, &x, &y), Err(Error::Parameter { .. })));
    let row = || Matrix::new(1, 2, vec![1.0, 1.0]).unwrap();
    assert!(matches!(Affine::new(row(), vec![1.0, 2.0]), Err(Error::Length { .. })));
    let contrary = Matrix::new(2, 2, vec![1.0, 1.0, 1.0, 1.0]).unwrap();
    assert!(matches!(Affine::new(contrary, vec![1.0, 2.0]), Err(Error::Parameter { .. })));
    assert!(matches!(Affine::new(row(), vec![f64::NAN]), Err(Error::Parameter { .. })));
    assert!(matches!(penalty_gradient(&problem, FREE, &x, &y, 0.0, EXACT), Err(Error::Parameter { .. })));
    assert!(matches!(hypergradient(&problem, &[1.0], &y, PSEUDO), Err(Error::Length { .. })));
    assert!(matches!(flat(1).with_noise(1, 0.1, 0), Err(Error::Parameter { .. })));
    let eye = |n: usize| Matrix::from_fn(n, n, |row, column| f64::from(u8::from(row == column)));
    let shaped = FlatLeastSquares::new(eye(2), eye(3), eye(3), vec![0.0; 3], vec![0.0; 2]);
    assert!(matches!(shaped, Err(Error::Length { .. })));
    let indefinite = Matrix::from_fn(2, 2, |row, column| if row == column { -1.0 } else { 0.0 });
    let shaped = FlatLeastSquares::new(eye(2), eye(2), indefinite, vec![0.0; 2], vec![0.0; 2]);
    assert!(matches!(shaped, Err(Error::Parameter { .. })));
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let tables = tables(8, 20, 3);
    let narrow = rows(1, 5, 2).0;
    let selection = |features: &SparseMatrix, labels: &[f64], loss, free| {
        let training = Labelled { features: &tables.training, labels: &tables.scores.0 };
        PenaltySelection::new(training, Labelled { features, labels }, loss, Sharing::One, free).err()
    };
    assert!(matches!(selection(&narrow, &[0.0; 5], Loss::LeastSquares, 0), Some(Error::Length { .. })));
    let other = &tables.scores.1;
    assert!(matches!(selection(&tables.validation, other, Loss::LeastSquares, 3), Some(Error::NoFeatures)));
    assert!(matches!(
        selection(&tables.validation, &other[1..], Loss::LeastSquares, 0),
        Some(Error::Labels { .. })
    ));
    assert!(matches!(selection(&tables.validation, other, Loss::Logistic, 0), Some(Error::NotSigned { .. })));
    let cleaning = |features: &SparseMatrix, labels: &[usize], classes, ridge| {
        let training = Classified { features: &tables.training, labels: &tables.classes.0 };
        DataCleaning::new(training, Classified { features, labels }, classes, ridge).err()
    };
    let labels = &tables.classes.1;
    assert!(matches!(cleaning(&tables.validation, labels, 3, -1.0), Some(Error::Parameter { .. })));
    assert!(matches!(cleaning(&tables.validation, labels, 2, 0.1), Some(Error::Parameter { .. })));
    assert!(matches!(cleaning(&tables.validation, labels, 65, 0.1), Some(Error::Parameter { .. })));
    assert!(matches!(cleaning(&narrow, &[0; 5], 3, 0.1), Some(Error::Length { .. })));
    assert!(matches!(cleaning(&tables.validation, &labels[1..], 3, 0.1), Some(Error::Labels { .. })));
    let large = SparseMatrix::from_dense(&Matrix::from_fn(2, 3, |_, _| 1e200));
    assert!(matches!(cleaning(&large, &[0, 1], 3, 0.1), Some(Error::TooLarge { row: 0 })));
    let none = SparseMatrix::from_dense(&Matrix::zeros(0, 3));
    assert!(matches!(cleaning(&none, &[], 3, 0.1), Some(Error::NoRows)));
}

#[test]
fn a_column_of_ones_comes_last() {
    let (features, _) = rows(1, 6, 3);
    let (plain, more) = (features.to_dense(), with_ones(&features).unwrap().to_dense());
    for row in 0..6 {
        assert_eq!(&more.row(row)[..3], plain.row(row));
        assert_eq!(more.row(row)[3], 1.0);
    }
}

proptest! {
    /// Nearest, in the set, and no two points further apart than before.
    #[test]
    fn projections_are_projections(seed in 0_u64..500, scale in 0.1_f64..10.0) {
        let draw = |number: u64| -> Vec<f64> { normals(1000 * seed + number, 4).iter().map(|x| scale * x).collect() };
        let equations = Matrix::new(2, 4, normals(seed + 77, 8)).unwrap();
        let affine = Affine::new(equations.clone(), vec![1.0, -0.5]).unwrap();
        let sets: [&dyn ConvexSet; 5] = [
            &Everything,
            &Bounds { lower: vec![-1.0, f64::NEG_INFINITY, 0.0, 0.5], upper: vec![1.0, 0.0, f64::INFINITY, 0.5] },
            &Ball { centre: vec![0.3, 0.0, -1.0, 0.0], radius: 0.7 },
            &Simplex { total: 1.5 },
            &affine,
        ];
        for (place, set) in sets.into_iter().enumerate() {
            set.check(4).unwrap();
            let project = |point: &[f64]| { let mut moved = point.to_vec(); set.project(&mut moved); moved };
            let (one, other) = (draw(0), draw(1));
            let (near, far) = (project(&one), project(&other));
            prop_assert!(apart(&near, &project(&near)) <= 1e-9 * (1.0 + scale), "set {}", place);
            prop_assert!(apart(&near, &far) <= apart(&one, &other) * (1.0 + 1e-9) + 1e-9, "set {}", place);
            prop_assert!(apart(&one, &near) <= apart(&one, &far) + 1e-9 * (1.0 + scale), "set {}", place);
            match place {
                2 => prop_assert!(apart(&near, &[0.3, 0.0, -1.0, 0.0]) <= 0.7 + 1e-9),
                3 => {
                    prop_assert!(near.iter().all(|entry| *entry >= 0.0));
                    prop_assert!((near.iter().sum::<f64>() - 1.5).abs() <= 1e-9 * (1.0 + scale));
                }
                4 => for (row, right) in [(0, 1.0), (1, -0.5)] {
                    let product: f64 = equations.row(row).iter().zip(&near).map(|(a, x)| a * x).sum();
                    prop_assert!((product - right).abs() <= 1e-8 * (1.0 + scale));
                },
                _ => {}
            }
        }
    }
}
