//! The sparse variational classifier: what it learns, its limits and what it refuses.

use backstitch_numerics::{Matrix, Stream};
use backstitch_statistics::Error;
use backstitch_statistics::scale_mixture_nngp::{
    Activation, Architecture, ClassScale, ClassificationParameters, Hyperparameters,
};

fn parameters(scale: ClassScale) -> ClassificationParameters {
    ClassificationParameters {
        architecture: Architecture { depth: 2, activation: Activation::Relu, image: None },
        hyperparameters: Hyperparameters { last_weight_std: 4.0, ..Hyperparameters::default() },
        scale,
        inducing: 30,
        steps: 400,
        batch: 50,
        rate: 0.05,
        seed: 3,
    }
}

const T: ClassScale = ClassScale::InverseGamma { shape: 2.0, scale: 2.0 };

/// Three clouds in the plane.
fn clouds(rows: usize, purpose: &str) -> (Matrix, Vec<usize>) {
    let mut stream = Stream::new(8, purpose);
    let labels: Vec<usize> = (0..rows).map(|row| row % 3).collect();
    let centre = [[2.0, 0.0], [-1.0, 1.8], [-1.0, -1.8]];
    let x = Matrix::from_fn(rows, 2, |row, column| centre[labels[row]][column] + 0.6 * stream.normal());
    (x, labels)
}

/// Clouds are told apart, probabilities sum to 1, the loss falls, and far from all data the classifier is less sure.
#[test]
fn clouds_are_told_apart() {
    let (x, labels) = clouds(150, "train");
    let (new, truth) = clouds(90, "test");
    for scale in [ClassScale::Fixed, T] {
        let classifier = parameters(scale).fit(&x, &labels, 3).unwrap();
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let losses = &classifier.losses;
        assert!(mean(&losses[losses.len() - 50..]) < 0.5 * mean(&losses[..10]), "{scale:?}");
        let probabilities = classifier.predict(&new).unwrap();
        let mut right = 0;
        for (row, &label) in truth.iter().enumerate() {
            let values = probabilities.row(row);
            assert!((values.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            right += usize::from(values.iter().all(|value| *value <= values[label]));
        }
        assert!(right >= 85, "{scale:?}: {right} of 90");
        assert_eq!(classifier.scale().is_some(), scale == T);
    }
}

/// A prior of the scale that leaves nothing open gives the Gaussian classifier, up to the draws: those are the same in number, and
/// stand at other nodes.
#[test]
fn a_stiff_scale_is_the_gaussian_classifier() {
    let (x, labels) = clouds(60, "train");
    let (new, _) = clouds(30, "test");
    let predict = |scale| parameters(scale).fit(&x, &labels, 3).unwrap().predict(&new).unwrap();
    let (gaussian, stiff) =
        (predict(ClassScale::Fixed), predict(ClassScale::InverseGamma { shape: 1e9, scale: 1e9 }));
    for (one, other) in gaussian.values().iter().zip(stiff.values()) {
        assert!((one - other).abs() < 0.05, "{one} {other}");
    }
}

#[test]
fn the_same_seed_gives_the_same_classifier() {
    let (x, labels) = clouds(60, "train");
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| parameters(T).fit(&x, &labels, 3).unwrap().predict(&x).unwrap())
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn what_cannot_be_classified_is_refused() {
    let (x, labels) = clouds(9, "train");
    let refused = |change: fn(&mut ClassificationParameters)| {
        let mut changed = parameters(T);
        change(&mut changed);
        changed.fit(&x, &labels, 3).map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(|p| p.batch = 0).starts_with("batch is 0"));
    assert!(refused(|p| p.inducing = 0).starts_with("inducing is 0"));
    assert!(refused(|p| p.rate = f64::NAN).starts_with("rate is NaN"));
    assert!(
        refused(|p| p.scale = ClassScale::InverseGamma { shape: 0.4, scale: 1.0 })
            .starts_with("shape is 0.4")
    );
    let fit = |x: &Matrix, labels: &[usize], classes| {
        parameters(T).fit(x, labels, classes).map(|_| ()).unwrap_err()
    };
    assert!(matches!(fit(&x, &labels[..8], 3), Error::Shape { what: "the labels", .. }));
    assert_eq!(fit(&x, &labels, 2), Error::Label { row: 2, value: 2.0, most: 1 });
    assert!(matches!(fit(&x, &[0; 9], 1), Error::Parameter { name: "classes", .. }));
    assert_eq!(fit(&Matrix::zeros(2, 0), &[0, 1], 2), Error::NoColumns);
}
