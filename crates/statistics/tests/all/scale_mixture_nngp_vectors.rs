//! Against neural-tangents 0.6.5 and scipy, in double precision (`peers/scale_mixture_nngp_vectors.py` made the file).

use backstitch_numerics::Matrix;
use backstitch_statistics::scale_mixture_nngp::{
    Activation, Architecture, Hyperparameters, ImageShape, Kernel, Model, Prior, Standardisation,
};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/scale_mixture_nngp.json")).unwrap()
}

fn matrix(value: &Value) -> Matrix {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    Matrix::new(rows.len(), rows[0].len(), rows.concat()).unwrap()
}

fn hyperparameters(vectors: &Value, noise: f64) -> Hyperparameters {
    let number = |name: &str| vectors[name].as_f64().unwrap();
    Hyperparameters {
        weight_std: number("weight_std"),
        bias_std: number("bias_std"),
        last_weight_std: number("last_weight_std"),
        noise,
    }
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * (1.0 + expected.abs()), "{found} is not {expected}");
}

/// The same recursion in another order of operations: at an angle of zero arccos turns 1e-16 into 1e-8, whose effect on the kernel is
/// its square.
#[test]
fn dense_kernels_are_those_of_neural_tangents() {
    let vectors = vectors();
    let x = matrix(&vectors["x"]);
    for case in vectors["dense"].as_array().unwrap() {
        let activation = serde_json::from_value::<Activation>(case["activation"].clone()).unwrap();
        let depth = case["depth"].as_u64().unwrap() as usize;
        let architecture = Architecture { depth, activation, image: None };
        let found = Kernel::new(architecture, &hyperparameters(&vectors, 0.0)).unwrap().matrix(&x).unwrap();
        let expected = matrix(&case["kernel"]);
        for (found, expected) in found.values().iter().zip(expected.values()) {
            close(*found, *expected, 1e-8);
        }
    }
}

#[test]
fn the_convolutional_kernel_is_that_of_neural_tangents() {
    let vectors = vectors();
    let image = Some(ImageShape { height: 4, width: 3, channels: 2 });
    let architecture = Architecture { depth: 3, activation: Activation::Relu, image };
    let kernel = Kernel::new(architecture, &hyperparameters(&vectors, 0.0)).unwrap();
    let found = kernel.matrix(&matrix(&vectors["images"])).unwrap();
    let expected = matrix(&vectors["image_kernel"]);
    for (found, expected) in found.values().iter().zip(expected.values()) {
        close(*found, *expected, 1e-8);
    }
}

/// The evidence and the predictive density of the next value, of scipy's multivariate and univariate t on the peer's kernel.
#[test]
fn the_student_t_process_is_that_of_scipy() {
    let vectors = vectors();
    let t = &vectors["t"];
    let number = |value: &Value| value.as_f64().unwrap();
    let x = matrix(&vectors["x"]);
    let y: Vec<f64> = serde_json::from_value(t["y"].clone()).unwrap();
    let as_it_is = Standardisation { mean: 0.0, deviation: 1.0 };
    let model = |rows: usize| Model {
        architecture: Architecture { depth: 4, activation: Activation::Relu, image: None },
        hyperparameters: hyperparameters(&vectors, number(&t["noise"])),
        prior: Prior::InverseGamma { shape: number(&t["shape"]), scale: number(&t["scale"]) },
        inputs: vec![as_it_is; x.columns()],
        target: as_it_is,
        x: (0..rows).map(|row| x.row(row).to_vec()).collect(),
        y: y[..rows].to_vec(),
        inducing: None,
    };
    close(model(6).posterior().unwrap().log_evidence(), number(&t["log_density"]), 1e-8);
    let last = Matrix::from_fn(1, x.columns(), |_, column| x[(5, column)]);
    let next = model(5).posterior().unwrap().predict(&last, false).unwrap();
    close(next.mean[0], number(&t["next"]["mean"]), 1e-8);
    close(next.mean[0] + next.half_width(0.95)[0], number(&t["next"]["upper"]), 1e-8);
    close(next.log_density(&y[5..]).unwrap()[0], number(&t["next"]["log_density"]), 1e-8);
}

#[test]
fn evidences_under_other_priors_are_those_of_scipys_quadrature() {
    for case in vectors()["evidence"].as_array().unwrap() {
        let prior = match case["prior"].as_str().unwrap() {
            "burr" => Prior::BurrXii { c: 2.0, k: 1.5 },
            "half_cauchy" => Prior::HalfCauchy { scale: 0.7 },
            _ => Prior::Gamma { shape: 2.0, rate: 1.0 },
        };
        let n = case["n"].as_u64().unwrap() as usize;
        let found = prior.posterior(n, case["q"].as_f64().unwrap()).log_evidence;
        close(found, case["value"].as_f64().unwrap(), 1e-9);
    }
}
