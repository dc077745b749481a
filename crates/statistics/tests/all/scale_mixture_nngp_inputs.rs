//! What is refused, and in which words.

use backstitch_numerics::Matrix;
use backstitch_statistics::Error;
use backstitch_statistics::scale_mixture_nngp::{
    Architecture, Hyperparameters, ImageShape, Kernel, Parameters, Prior, ScaleMixtureNngp,
};

fn message(parameters: Parameters) -> String {
    ScaleMixtureNngp::new(parameters).unwrap_err().to_string()
}

#[test]
fn parameters_outside_their_range_are_named() {
    let base = Parameters::default;
    let prior = |prior| message(Parameters { prior, ..base() });
    let half = prior(Prior::InverseGamma { shape: 0.5, scale: 1.0 });
    assert!(half.starts_with("shape is 0.5, but must be above 0.5"), "{half}");
    assert!(prior(Prior::InverseGamma { shape: 2.0, scale: f64::NAN }).starts_with("scale is NaN"));
    assert!(prior(Prior::BurrXii { c: 21.0, k: 1.0 }).starts_with("c is 21"));
    assert!(prior(Prior::HalfCauchy { scale: 0.0 }).starts_with("scale is 0"));
    assert!(prior(Prior::Gamma { shape: 1.0, rate: -1.0 }).starts_with("rate is -1"));
    let initial = |initial| message(Parameters { initial, ..base() });
    let noise = initial(Hyperparameters { noise: -0.1, ..Hyperparameters::default() });
    assert!(noise.starts_with("noise is -0.1, but must be from 0 to 1e6"), "{noise}");
    assert!(
        initial(Hyperparameters { weight_std: 0.0, ..Hyperparameters::default() }).starts_with("weight_std")
    );
    let deep = Architecture { depth: 101, ..base().architecture };
    assert!(message(Parameters { architecture: deep, ..base() }).starts_with("depth is 101"));
    assert!(message(Parameters { inducing: Some(0), ..base() }).starts_with("inducing is 0"));
    assert!(message(Parameters { exact_rows: 1, ..base() }).starts_with("exact_rows is 1"));
    let burr = Prior::BurrXii { c: 2.0, k: 1.0 };
    assert!(message(Parameters { fit_prior: true, prior: burr, ..base() }).starts_with("fit_prior is true"));
}

#[test]
fn tables_that_cannot_be_learned_from_are_refused() {
    let method = ScaleMixtureNngp::new(Parameters { exact_rows: 4, ..Parameters::default() }).unwrap();
    let x = Matrix::from_fn(3, 2, |row, column| (row * 2 + column) as f64);
    let y = [1.0, 2.0, 4.0];
    assert_eq!(method.fit(&Matrix::zeros(3, 0), &y), Err(Error::NoColumns));
    assert_eq!(method.fit(&Matrix::zeros(1, 2), &[1.0]), Err(Error::OneRow { rows: 1 }));
    assert!(matches!(method.fit(&x, &y[..2]), Err(Error::Shape { what: "the target", .. })));
    assert_eq!(method.fit(&x, &[2.0; 3]), Err(Error::ConstantTarget { value: 2.0 }));
    assert!(matches!(method.fit(&x, &[1.0, f64::NAN, 2.0]), Err(Error::NotFinite { row: 1, column: 2, .. })));
    let mut bad = x.clone();
    bad[(2, 1)] = f64::INFINITY;
    assert!(matches!(method.fit(&bad, &y), Err(Error::NotFinite { row: 2, column: 1, .. })));
    bad[(2, 1)] = 1e200;
    assert!(matches!(method.fit(&bad, &y), Err(Error::TooLarge { column: 1, .. })));
    let many = method.fit(&Matrix::zeros(5, 2), &[0.0; 5]).unwrap_err();
    assert!(matches!(many, Error::TooManyRows { rows: 5, limit: 4, .. }));
    assert!(many.to_string().contains("give a number of inducing points"), "{many}");
}

/// Repeated rows without noise: the kernel is singular. A little is added and reported; what cannot be rescued is an error.
#[test]
fn repeated_rows_are_rescued_and_reported() {
    let x = Matrix::from_fn(6, 1, |row, _| (row / 2) as f64);
    let y = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0];
    let fit = |noise: f64| {
        let initial = Hyperparameters { noise, ..Hyperparameters::default() };
        let parameters = Parameters { initial, iterations: 0, ..Parameters::default() };
        ScaleMixtureNngp::new(parameters).unwrap().fit(&x, &y).unwrap().posterior()
    };
    let rescued = fit(0.0).unwrap();
    assert!(rescued.jitter() > 0.0, "{}", rescued.jitter());
    let predicted = rescued.predict(&x, true).unwrap();
    predicted.mean.iter().zip(y).for_each(|(mean, y)| assert!((mean - y).abs() < 1e-3, "{mean} {y}"));
    assert_eq!(fit(0.1).unwrap().jitter(), 0.0);
}

#[test]
fn constant_inputs_and_new_rows_far_away_are_no_problem() {
    let x = Matrix::from_fn(8, 2, |row, column| if column == 0 { 4.0 } else { row as f64 });
    let y: Vec<f64> = (0..8).map(|row| f64::from(row * row)).collect();
    let model = ScaleMixtureNngp::new(Parameters { iterations: 10, ..Parameters::default() });
    let posterior = model.unwrap().fit(&x, &y).unwrap().posterior().unwrap();
    let far = Matrix::from_fn(1, 2, |_, column| if column == 0 { -1e6 } else { 1e6 });
    let predicted = posterior.predict(&far, false).unwrap();
    assert!(predicted.mean[0].is_finite() && predicted.spread[0].is_finite());
    assert!(posterior.predict(&Matrix::zeros(0, 2), false).unwrap().mean.is_empty());
    assert!(matches!(posterior.predict(&Matrix::zeros(1, 3), false), Err(Error::Shape { .. })));
}

#[test]
fn images_of_another_shape_are_refused() {
    let image = Some(ImageShape { height: 2, width: 2, channels: 1 });
    let architecture = Architecture { image, ..Parameters::default().architecture };
    let kernel = Kernel::new(architecture, &Hyperparameters::default()).unwrap();
    assert!(matches!(
        kernel.matrix(&Matrix::zeros(2, 5)),
        Err(Error::Shape { what: "the table of images", .. })
    ));
    let none = Some(ImageShape { height: 0, width: 2, channels: 1 });
    let architecture = Architecture { image: none, ..architecture };
    assert!(Kernel::new(architecture, &Hyperparameters::default()).is_err());
}

#[test]
fn a_changed_model_is_refused() {
    let x = Matrix::from_fn(4, 1, |row, _| row as f64);
    let method = ScaleMixtureNngp::new(Parameters { iterations: 0, ..Parameters::default() }).unwrap();
    let model = method.fit(&x, &[0.0, 1.0, 0.0, 2.0]).unwrap();
    let refused = |change: fn(&mut backstitch_statistics::scale_mixture_nngp::Model)| {
        let mut changed = model.clone();
        change(&mut changed);
        assert!(changed.posterior().is_err());
    };
    refused(|model| model.x.clear());
    refused(|model| model.y.truncate(3));
    refused(|model| model.x[1].push(0.0));
    refused(|model| model.x[1][0] = f64::NAN);
    refused(|model| model.inputs[0].deviation = 0.0);
    refused(|model| model.inducing = Some(vec![9]));
    refused(|model| model.prior = Prior::InverseGamma { shape: 0.1, scale: 1.0 });
    refused(|model| model.hyperparameters.noise = -1.0);
}
