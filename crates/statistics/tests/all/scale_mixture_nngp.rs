//! Scale mixtures: kernels, evidence and posteriors against plain formulas, limits and identities.

use backstitch_numerics::{Matrix, Stream};
use backstitch_statistics::scale_mixture_nngp::{
    Activation, Architecture, Hyperparameters, ImageShape, Kernel, Mixing, Model, Parameters, Prior,
    ScaleMixtureNngp, evidence,
};

const HYPER: Hyperparameters =
    Hyperparameters { weight_std: 1.3, bias_std: 0.4, last_weight_std: 0.9, noise: 0.2 };

fn dense(depth: usize, activation: Activation) -> Architecture {
    Architecture { depth, activation, image: None }
}

fn images() -> Architecture {
    let image = Some(ImageShape { height: 3, width: 4, channels: 2 });
    Architecture { depth: 3, activation: Activation::Relu, image }
}

fn normal(rows: usize, columns: usize, purpose: &str) -> Matrix {
    let mut stream = Stream::new(5, purpose);
    Matrix::from_fn(rows, columns, |_, _| stream.normal())
}

/// A curved function with noise.
fn curve(rows: usize) -> (Matrix, Vec<f64>) {
    let x = normal(rows, 3, "inputs");
    let mut stream = Stream::new(5, "noise");
    let y = (0..rows).map(|row| 2.0 * (1.5 * x[(row, 0)]).sin() + x[(row, 1)] + 0.3 * stream.normal());
    let y = y.collect();
    (x, y)
}

fn fixed(prior: Prior) -> Parameters {
    Parameters { prior, initial: HYPER, iterations: 0, ..Parameters::default() }
}

fn fit(parameters: Parameters, x: &Matrix, y: &[f64]) -> Model {
    ScaleMixtureNngp::new(parameters).unwrap().fit(x, y).unwrap()
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * (1.0 + expected.abs()), "{found} is not {expected}");
}

const PRIORS: [Prior; 4] = [
    Prior::InverseGamma { shape: 1.5, scale: 2.5 },
    Prior::BurrXii { c: 2.0, k: 1.5 },
    Prior::HalfCauchy { scale: 0.7 },
    Prior::Gamma { shape: 2.0, rate: 1.0 },
];

/// Blocks, segments and symmetry change nothing: every entry is the plain recursion's.
#[test]
fn the_blocked_kernel_is_the_plain_one() {
    let cases = [
        (dense(0, Activation::Relu), 7),
        (dense(1, Activation::Relu), 300),
        (dense(4, Activation::Relu), 120),
        (dense(3, Activation::Erf), 120),
        (images(), 110),
    ];
    for (architecture, rows) in cases {
        let columns = architecture.image.map_or(5, |image| image.values());
        let mut x = normal(rows, columns, "kernel");
        // A row of zeros, a repeated row and an opposite one.
        x.row_mut(1).fill(0.0);
        let first = x.row(0).to_vec();
        x.row_mut(2).copy_from_slice(&first);
        x.row_mut(3).iter_mut().zip(&first).for_each(|(to, from)| *to = -from);
        let kernel = Kernel::new(architecture, &HYPER).unwrap();
        let all = kernel.matrix(&x).unwrap();
        let between = kernel.between(&x, &x).unwrap();
        let diagonal = kernel.diagonal(&x).unwrap();
        for row in 0..rows {
            close(diagonal[row], kernel.plain(x.row(row), x.row(row)).unwrap(), 1e-12);
            for column in 0..rows {
                let plain = kernel.plain(x.row(row), x.row(column)).unwrap();
                close(all[(row, column)], plain, 1e-12);
                // A row beside itself is at arccos 1, where rounding of 1e-16 costs its root.
                close(between[(row, column)], plain, 1e-12);
            }
        }
    }
}

/// One hidden ReLU layer has a closed form: at right angles, opposite and in the same direction.
#[test]
fn one_layer_has_its_known_values() {
    let unit = Hyperparameters { weight_std: 1.0, bias_std: 0.0, last_weight_std: 1.0, noise: 0.0 };
    let kernel = Kernel::new(dense(1, Activation::Relu), &unit).unwrap();
    let root = 2.0_f64.sqrt();
    let value = |x: [f64; 2], y: [f64; 2]| kernel.plain(&x, &y).unwrap();
    close(value([root, 0.0], [root, 0.0]), 0.5, 1e-15);
    close(value([root, 0.0], [0.0, root]), 0.5 / std::f64::consts::PI, 1e-15);
    close(value([root, 0.0], [-root, 0.0]), 0.0, 1e-15);
}

/// An image of one pixel sees a ninth of what a dense layer sees.
#[test]
fn one_pixel_is_a_dense_network_of_a_third_of_the_deviation() {
    let image = Some(ImageShape { height: 1, width: 1, channels: 4 });
    let x = normal(6, 4, "pixel");
    let pixel = Kernel::new(Architecture { depth: 3, activation: Activation::Relu, image }, &HYPER).unwrap();
    let third = Hyperparameters { weight_std: HYPER.weight_std / 3.0, ..HYPER };
    let plain = Kernel::new(dense(3, Activation::Relu), &third).unwrap();
    let (pixel, plain) = (pixel.matrix(&x).unwrap(), plain.matrix(&x).unwrap());
    pixel.values().iter().zip(plain.values()).for_each(|(one, other)| close(*one, *other, 1e-12));
}

#[test]
fn derivatives_of_the_evidence_are_central_differences() {
    let (x, y) = curve(40);
    let pictures = normal(30, 24, "pictures");
    let labels: Vec<f64> = (0..30).map(|row| pictures.row(row).iter().sum::<f64>() / 5.0).collect();
    let cases = [
        (dense(0, Activation::Relu), &x, &y),
        (dense(1, Activation::Relu), &x, &y),
        (dense(4, Activation::Relu), &x, &y),
        (dense(2, Activation::Erf), &x, &y),
        (images(), &pictures, &labels),
    ];
    for (architecture, x, y) in cases {
        for prior in PRIORS.into_iter().chain([Prior::Fixed]) {
            let at = |hyper: [f64; 4], prior: &Prior| {
                let [weight_std, bias_std, last_weight_std, noise] = hyper;
                let hyper = Hyperparameters { weight_std, bias_std, last_weight_std, noise };
                evidence(architecture, &hyper, prior, x, y).unwrap()
            };
            let point = [HYPER.weight_std, HYPER.bias_std, HYPER.last_weight_std, HYPER.noise];
            let found = at(point, &prior);
            let step = 1e-5;
            for place in 0..4 {
                let moved = |by: f64| {
                    let mut point = point;
                    point[place] += by;
                    at(point, &prior).value
                };
                let central = (moved(step) - moved(-step)) / (2.0 * step);
                close(found.by_hyperparameters[place], central, 2e-7);
            }
            if let Prior::InverseGamma { shape, scale } = prior {
                let of = |shape, scale| at(point, &Prior::InverseGamma { shape, scale }).value;
                let by_shape = (of(shape + step, scale) - of(shape - step, scale)) / (2.0 * step);
                let by_scale = (of(shape, scale + step) - of(shape, scale - step)) / (2.0 * step);
                close(found.by_prior[0], by_shape, 2e-7);
                close(found.by_prior[1], by_scale, 2e-7);
            }
        }
    }
}

/// The evidence of a Student-t process is the multivariate t density, written out with a dense determinant of two rows.
#[test]
fn the_evidence_of_two_rows_is_the_bivariate_t() {
    let x = normal(2, 3, "two");
    let y = [0.7, -1.1];
    let (shape, scale) = (1.5, 2.5);
    let prior = Prior::InverseGamma { shape, scale };
    let found = evidence(dense(2, Activation::Relu), &HYPER, &prior, &x, &y).unwrap().value;
    let k = Kernel::new(dense(2, Activation::Relu), &HYPER).unwrap().matrix(&x).unwrap();
    let factor = scale / shape;
    let (a, b, c) = (factor * (k[(0, 0)] + 0.2), factor * k[(0, 1)], factor * (k[(1, 1)] + 0.2));
    let determinant = a * c - b * b;
    let square = (c * y[0] * y[0] - 2.0 * b * y[0] * y[1] + a * y[1] * y[1]) / determinant;
    let nu = 2.0 * shape;
    // Γ((ν + 2)/2) / Γ(ν/2) = ν/2.
    let density =
        1.0 / (2.0 * std::f64::consts::PI * determinant.sqrt()) * (1.0 + square / nu).powf(-0.5 * (nu + 2.0));
    close(found, density.ln(), 1e-12);
}

#[test]
fn quadrature_is_the_closed_form_where_there_is_one() {
    for (shape, scale) in [(0.6, 1.0), (2.0, 2.0), (40.0, 3.0)] {
        for (n, q) in [(1, 0.0), (1, 4.0), (10, 3.0), (1000, 1700.0)] {
            let prior = Prior::InverseGamma { shape, scale };
            let (closed, numeric) = (prior.posterior(n, q), prior.by_quadrature(n, q));
            close(numeric.log_evidence, closed.log_evidence, 1e-12);
            close(numeric.mean_precision, closed.mean_precision, 1e-11);
            close(numeric.mixing.degrees_of_freedom(), closed.mixing.degrees_of_freedom(), 1e-9);
            for z in [0.0, 0.5, 3.0, 20.0] {
                close(numeric.mixing.log_density(z), closed.mixing.log_density(z), 1e-9);
            }
            for level in [0.5, 0.9, 0.99] {
                close(numeric.mixing.half_width(level), closed.mixing.half_width(level), 1e-9);
            }
        }
    }
}

/// The importance sampling of the released code, with enough draws, says the same. False alarm below 1e-6: seven standard errors.
#[test]
fn quadrature_is_what_sampling_tends_to() {
    let draws = 200_000;
    for prior in PRIORS {
        let (exact, sampled) =
            (prior.posterior(5, 6.0), prior.by_sampling(5, 6.0, draws, &mut Stream::new(1, "sampling")));
        let Mixing::Nodes { weights, .. } = &sampled.mixing else { panic!("no nodes") };
        let effective = 1.0 / weights.iter().map(|weight| weight * weight).sum::<f64>();
        let error = 7.0 * (1.0 / effective - 1.0 / draws as f64).sqrt();
        assert!((sampled.log_evidence - exact.log_evidence).abs() < error, "{prior:?}");
        assert!((sampled.mean_precision / exact.mean_precision - 1.0).abs() < error, "{prior:?}");
        assert!(error < 0.1, "{error}");
    }
}

/// With many degrees of freedom a Student-t process is the Gaussian one.
#[test]
fn a_large_shape_is_the_gaussian_process() {
    let (x, y) = curve(30);
    let new = normal(9, 3, "new");
    let predict = |prior| fit(fixed(prior), &x, &y).posterior().unwrap();
    let gaussian = predict(Prior::Fixed);
    let large = predict(Prior::InverseGamma { shape: 1e8, scale: 1e8 });
    close(large.log_evidence(), gaussian.log_evidence(), 1e-6);
    let (one, other) = (gaussian.predict(&new, false).unwrap(), large.predict(&new, false).unwrap());
    assert_eq!(one.mean, other.mean);
    for (one, other) in one.half_width(0.95).iter().zip(other.half_width(0.95)) {
        close(other, *one, 1e-6);
    }
}

/// The evidence factorises: p(y₁, y₂) = p(y₁) p(y₂ | y₁). It ties posterior, prediction and evidence together, for every prior.
#[test]
fn evidence_is_the_product_of_predictions() {
    let (x, y) = curve(12);
    let part = Matrix::from_fn(11, 3, |row, column| x[(row, column)]);
    let last = Matrix::from_fn(1, 3, |_, column| x[(11, column)]);
    for prior in PRIORS.into_iter().chain([Prior::Fixed]) {
        let mut model = fit(fixed(prior), &part, &y[..11]);
        let fewer = model.posterior().unwrap();
        let next = fewer.predict(&last, false).unwrap().log_density(&y[11..]).unwrap()[0];
        model.x.push(x.row(11).to_vec());
        model.y.push(y[11]);
        let more = model.posterior().unwrap();
        close(more.log_evidence(), fewer.log_evidence() + next, 1e-9);
    }
}

/// Joint draws have the marginals that are predicted, and one scale for all rows of a draw. Five standard errors.
#[test]
fn joint_draws_share_their_scale() {
    let (x, y) = curve(6);
    let new = normal(2, 3, "new");
    let posterior = fit(fixed(Prior::InverseGamma { shape: 2.0, scale: 2.0 }), &x, &y).posterior().unwrap();
    let predictive = posterior.predict(&new, false).unwrap();
    let draws = posterior.sample(&new, 20_000, false, &mut Stream::new(0, "draws")).unwrap();
    let width = predictive.half_width(0.9);
    for row in 0..2 {
        let inside = draws.iter().filter(|draw| (draw[row] - predictive.mean[row]).abs() < width[row]);
        let share = inside.count() as f64 / 20_000.0;
        assert!((share - 0.9).abs() < 5.0 * (0.09_f64 / 20_000.0).sqrt(), "{share}");
    }
    // Sizes of two rows would be uncorrelated if each had a scale of its own and the covariance were zero.
    let size = |row: usize| -> Vec<f64> {
        draws.iter().map(|draw| ((draw[row] - predictive.mean[row]) / width[row]).abs().ln()).collect()
    };
    let (one, other) = (size(0), size(1));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (a, b) = (mean(&one), mean(&other));
    let covariance: f64 = one.iter().zip(&other).map(|(x, y)| (x - a) * (y - b)).sum::<f64>() / 20_000.0;
    assert!(covariance > 0.02, "{covariance}");
}

/// Exact where all rows are inducing ones.
#[test]
fn inducing_all_rows_is_exact() {
    let (x, y) = curve(25);
    let new = normal(7, 3, "new");
    for prior in PRIORS {
        let exact = fit(fixed(prior), &x, &y).posterior().unwrap();
        let through = Parameters { inducing: Some(25), ..fixed(prior) };
        let through = fit(through, &x, &y).posterior().unwrap();
        close(through.log_evidence(), exact.log_evidence(), 1e-7);
        let (one, other) = (exact.predict(&new, true).unwrap(), through.predict(&new, true).unwrap());
        one.mean.iter().zip(&other.mean).for_each(|(one, other)| close(*other, *one, 1e-6));
        one.scale().iter().zip(other.scale()).for_each(|(one, other)| close(other, *one, 1e-6));
    }
}

/// Fewer inducing rows know less: they are less certain on average, and their evidence tends to the exact one.
#[test]
fn more_inducing_rows_come_nearer_to_the_exact_posterior() {
    let (x, y) = curve(200);
    let new = normal(50, 3, "new");
    let exact = fit(fixed(Prior::Fixed), &x, &y).posterior().unwrap().predict(&new, true).unwrap();
    let far = |points| {
        let parameters = Parameters { inducing: Some(points), ..fixed(Prior::Fixed) };
        let through = fit(parameters, &x, &y).posterior().unwrap().predict(&new, true).unwrap();
        exact.mean.iter().zip(&through.mean).map(|(one, other)| (one - other).powi(2)).sum::<f64>()
    };
    let (few, some, many) = (far(5), far(40), far(150));
    assert!(few > 4.0 * some && some > 4.0 * many, "{few} {some} {many}");
}

/// The search does not end below where it began, and finds the noise that is there.
#[test]
fn the_search_raises_the_evidence_and_finds_the_noise() {
    let (x, y) = curve(150);
    for prior in [Prior::Fixed, PRIORS[0], PRIORS[1]] {
        let before = fit(fixed(prior), &x, &y).posterior().unwrap().log_evidence();
        let model = fit(Parameters { iterations: 60, ..fixed(prior) }, &x, &y);
        let posterior = model.posterior().unwrap();
        assert!(posterior.log_evidence() > before + 1.0, "{prior:?}");
        let noise = (model.hyperparameters.noise * posterior.mixing().squared_scale()).sqrt()
            * model.target.deviation;
        assert!(noise > 0.2 && noise < 0.42, "{prior:?} {noise}");
    }
}

/// What deviation 2 of the module says: where the scale of kernel and noise is free, more degrees of freedom never hurt the
/// evidence, so that its maximum is the Gaussian process.
#[test]
fn evidence_cannot_choose_the_degrees_of_freedom() {
    let (x, y) = curve(40);
    let best = |shape: f64| {
        // The scale of an inverse-gamma prior is that of kernel and noise together: its best value is found by its own derivative.
        let (mut low, mut high) = (1e-9_f64, 1e9_f64);
        for _ in 0..200 {
            let scale = (low * high).sqrt();
            let prior = Prior::InverseGamma { shape, scale };
            let slope = evidence(dense(2, Activation::Relu), &HYPER, &prior, &x, &y).unwrap().by_prior[1];
            if slope > 0.0 { low = scale } else { high = scale }
        }
        let prior = Prior::InverseGamma { shape, scale: low };
        evidence(dense(2, Activation::Relu), &HYPER, &prior, &x, &y).unwrap().value
    };
    let values: Vec<f64> = [0.6, 1.0, 3.0, 10.0, 100.0].into_iter().map(best).collect();
    assert!(values.windows(2).all(|pair| pair[1] > pair[0]), "{values:?}");
}

/// Rows left out by the formula are predicted as by the model that never saw them.
#[test]
fn leaving_one_out_is_fitting_without_it() {
    let (x, y) = curve(9);
    for prior in PRIORS.into_iter().chain([Prior::Fixed]) {
        let model = fit(fixed(prior), &x, &y);
        let left = model.posterior().unwrap().leave_one_out().unwrap();
        for row in [0, 4, 8] {
            let mut fewer = model.clone();
            fewer.x.remove(row);
            fewer.y.remove(row);
            let alone = Matrix::from_fn(1, 3, |_, column| x[(row, column)]);
            let predicted = fewer.posterior().unwrap().predict(&alone, false).unwrap();
            close(left.mean[row], predicted.mean[0], 1e-9);
            close(left.log_density[row], predicted.log_density(&y[row..=row]).unwrap()[0], 1e-9);
            close(left.level[row], predicted.levels(&y[row..=row]).unwrap()[0], 1e-9);
        }
    }
}

/// The level of a target at the end of an interval is that interval's.
#[test]
fn levels_and_intervals_agree() {
    for prior in PRIORS.into_iter().chain([Prior::Fixed]) {
        let mixing = prior.posterior(4, 5.0).mixing;
        for level in [0.05, 0.5, 0.95, 0.999] {
            close(mixing.within(mixing.half_width(level)), level, 1e-11);
            close(mixing.within(-mixing.half_width(level)), level, 1e-11);
        }
        close(mixing.within(0.0), 0.0, 1e-12);
        assert!(mixing.half_width(1.0).is_nan() && mixing.half_width(0.0).is_nan());
    }
}

/// Numbers do not depend on the number of threads, to the last bit.
#[test]
fn threads_change_nothing() {
    let (x, y) = curve(230);
    let new = normal(20, 3, "new");
    let parameters = Parameters { iterations: 5, ..Parameters::default() };
    let run = |threads: usize, inducing: Option<usize>| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let model = fit(Parameters { inducing, ..parameters.clone() }, &x, &y);
            let posterior = model.posterior().unwrap();
            (posterior.predict(&new, false).unwrap(), posterior.log_evidence().to_bits(), model)
        })
    };
    for inducing in [None, Some(30)] {
        assert!(run(1, inducing) == run(4, inducing), "{inducing:?}");
    }
}

/// A saved model is the model.
#[test]
fn a_model_survives_its_file() {
    let (x, y) = curve(20);
    let model = fit(Parameters { iterations: 3, ..Parameters::default() }, &x, &y);
    let text = serde_json::to_string(&model).unwrap();
    assert_eq!(serde_json::from_str::<Model>(&text).unwrap(), model);
}

/// Units of inputs and of the target change nothing but the units of the answer.
#[test]
fn units_do_not_matter() {
    let (x, y) = curve(20);
    let new = normal(4, 3, "new");
    let scaled = |x: &Matrix| Matrix::from_fn(x.rows(), 3, |row, column| 1000.0 * x[(row, column)] + 5.0);
    let large: Vec<f64> = y.iter().map(|y| 0.01 * y - 3.0).collect();
    let one = fit(fixed(PRIORS[1]), &x, &y).posterior().unwrap().predict(&new, false).unwrap();
    let other = fit(fixed(PRIORS[1]), &scaled(&x), &large)
        .posterior()
        .unwrap()
        .predict(&scaled(&new), false)
        .unwrap();
    for row in 0..4 {
        close(other.mean[row], 0.01 * one.mean[row] - 3.0, 1e-9);
        close(other.spread[row], 0.01 * one.spread[row], 1e-9);
    }
    let (density, shifted) = (one.log_density(&[1.0; 4]).unwrap(), other.log_density(&[-2.99; 4]).unwrap());
    density.iter().zip(shifted).for_each(|(one, other)| close(other, one + 100.0_f64.ln(), 1e-9));
}
