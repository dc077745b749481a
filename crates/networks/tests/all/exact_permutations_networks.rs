//! Real networks: kernels of random ones, training, and the theory's means.

use backstitch_networks::Error;
use backstitch_networks::exact_permutations::{
    ExactPermutations, Input, NetworkParameters, Parameters, Parametrisation, solve,
};
use backstitch_numerics::Stream;

fn method(length: usize, parametrisation: Parametrisation) -> ExactPermutations {
    ExactPermutations::new(Parameters { length, parametrisation, ..Parameters::default() }).unwrap()
}

/// Feature products of random hidden units beside the kernel: the mean over 400,000 units within 5.5 standard errors (sample
/// standard deviation), 21 entries. False alarms below 21·4e-8 < 1e-6.
#[test]
fn random_units_have_the_kernel() {
    let length = 5;
    let supports: [&[usize]; 6] = [&[0], &[1], &[0, 1], &[0, 1, 2], &[3, 4], &[0, 1, 2, 3, 4]];
    let inputs: Vec<Input> = supports.iter().map(|ones| Input::new(length, ones).unwrap()).collect();
    let units = 400_000;
    let mut stream = Stream::new(0, "random units");
    let n = inputs.len();
    let (mut sums, mut squares) = (vec![0.0; n * n], vec![0.0; n * n]);
    for _ in 0..units {
        let weights: Vec<f64> = (0..length).map(|_| stream.normal() / (length as f64).sqrt()).collect();
        let active: Vec<f64> = inputs
            .iter()
            .map(|input| {
                let sum: f64 = input.ones().iter().map(|&bit| weights[bit]).sum();
                (sum / (input.ones().len() as f64).sqrt()).max(0.0)
            })
            .collect();
        for i in 0..n {
            for j in 0..n {
                let product = active[i] * active[j];
                sums[i * n + j] += product;
                squares[i * n + j] += product * product;
            }
        }
    }
    // With cut weights at zero the covariance of the prior is the kernel: prior = posterior + explained.
    for i in 0..n {
        for j in 0..=i {
            let mean = sums[i * n + j] / f64::from(units);
            let deviation = (squares[i * n + j] / f64::from(units) - mean * mean).sqrt();
            let (m, o) = (inputs[i].ones().len() as f64, inputs[j].ones().len() as f64);
            let cosine = inputs[i].overlap(&inputs[j]) as f64 / (m * o).sqrt();
            let angle = cosine.acos();
            let kernel = (angle.sin() + (std::f64::consts::PI - angle) * cosine)
                / (2.0 * std::f64::consts::PI * length as f64);
            let error = deviation / f64::from(units).sqrt();
            assert!((mean - kernel).abs() < 5.5 * error, "{i} {j}: {mean} against {kernel} ± {error}");
        }
    }
}

/// 240 networks of width 1,024. The misfit is the root mean square of (average − mean of a theory) in that theory's standard errors,
/// over outputs and inputs; what to expect of it follows from both theories. Beside their own theory networks have about 1: a mean
/// of squares with more than 20 independent terms is above 2.2² once in a million. Beside the other one they have several times that.
#[test]
fn trained_networks_follow_their_own_theory_and_not_the_other_one() {
    let inputs: Vec<Input> =
        Input::all(5).unwrap().into_iter().filter(|input| input.ones().len() > 1).collect();
    let settings = NetworkParameters { width: 1_024, ..NetworkParameters::default() };
    let networks = 240;
    let expected = |trained: &ExactPermutations, theory: &ExactPermutations| {
        let mut sum = 0.0;
        for input in &inputs {
            let ones = input.ones().len();
            let (own, other) = (trained.prediction(ones).unwrap(), theory.prediction(ones).unwrap());
            for bit in 0..5 {
                let shift = if input.has(bit) { own.on - other.on } else { own.off - other.off };
                sum += (own.variance + networks as f64 * shift * shift) / other.variance;
            }
        }
        (sum / (5 * inputs.len()) as f64).sqrt()
    };
    let (ntk, standard) = (method(5, Parametrisation::Ntk), method(5, Parametrisation::Standard));
    for (trained, other) in [(&ntk, &standard), (&standard, &ntk)] {
        let found = trained.train_many(&settings, &inputs, true, networks, 0).unwrap();
        assert!(found.residual <= settings.tolerance && found.steps < 1_000);
        let misfit = |theory: &ExactPermutations| {
            let mut sum = 0.0;
            for (row, input) in inputs.iter().enumerate() {
                let prediction = theory.prediction(input.ones().len()).unwrap();
                for bit in 0..5 {
                    let mean = if input.has(bit) { prediction.on } else { prediction.off };
                    let away = found.averages[(row, bit)] - mean;
                    sum += away * away * networks as f64 / prediction.variance;
                }
            }
            (sum / (5 * inputs.len()) as f64).sqrt()
        };
        assert!((expected(trained, trained) - 1.0).abs() < 1e-12);
        let (own, foreign) = (misfit(trained), misfit(other));
        let foreseen = expected(trained, other);
        println!("own {own}, other {foreign}, expected {foreseen}");
        assert!(own < 2.2, "{own}");
        assert!(foreseen > 3.0 && (foreign / foreseen - 1.0).abs() < 0.5, "{foreign} for {foreseen}");
    }
}

/// Without normalisation outputs are larger by the root of the number of ones, because networks without biases are homogeneous:
/// signs, and so rounding at zero, stay.
#[test]
fn normalising_changes_sizes_and_not_signs() {
    let method = method(4, Parametrisation::Ntk);
    let inputs = Input::all(4).unwrap();
    let settings = NetworkParameters { width: 256, ..NetworkParameters::default() };
    let network = method.train(&settings, &mut Stream::new(5, "homogeneous")).unwrap();
    let (plain, normalised) = (network.outputs(&inputs, false), network.outputs(&inputs, true));
    let numeric = |normalise| solve(method.parameters(), &inputs, normalise).unwrap().means;
    let (plain_mean, normalised_mean) = (numeric(false), numeric(true));
    for (row, input) in inputs.iter().enumerate() {
        let size = (input.ones().len() as f64).sqrt();
        for bit in 0..4 {
            assert!((plain[(row, bit)] - size * normalised[(row, bit)]).abs() < 1e-12);
            assert!((plain_mean[(row, bit)] - size * normalised_mean[(row, bit)]).abs() < 1e-12);
        }
    }
}

#[test]
fn a_network_fits_its_training_data_and_says_how() {
    for parametrisation in [Parametrisation::Ntk, Parametrisation::Standard] {
        let settings = NetworkParameters { width: 512, ..NetworkParameters::default() };
        let network = method(6, parametrisation).train(&settings, &mut Stream::new(0, "fits")).unwrap();
        assert!(network.residual() <= settings.tolerance && network.steps() > 5);
        let inputs: Vec<Input> = (0..6).map(|bit| Input::new(6, &[bit]).unwrap()).collect();
        let outputs = network.outputs(&inputs, true);
        for row in 0..6 {
            for bit in 0..6 {
                let target = f64::from(u8::from(row == bit));
                assert!((outputs[(row, bit)] - target).abs() <= 1e-8);
            }
        }
    }
}

#[test]
fn a_network_that_cannot_fit_says_so() {
    let few = NetworkParameters { width: 64, steps: 3, ..NetworkParameters::default() };
    let error = method(5, Parametrisation::Ntk).train(&few, &mut Stream::new(0, "few")).unwrap_err();
    assert!(matches!(error, Error::NotTrained { steps: 3, .. }), "{error}");
    assert!(error.to_string().contains("take more steps"));
    let fixed = method(5, Parametrisation::Ntk).train_steps(&few, &mut Stream::new(0, "few")).unwrap();
    assert_eq!(fixed.steps(), 3);
    for wrong in [
        NetworkParameters { width: 0, ..few.clone() },
        NetworkParameters { steps: 0, ..few.clone() },
        NetworkParameters { rate: 2.0, ..few.clone() },
        NetworkParameters { rate: f64::NAN, ..few.clone() },
        NetworkParameters { tolerance: 0.0, ..few },
    ] {
        let error = method(5, Parametrisation::Ntk).train(&wrong, &mut Stream::new(0, "wrong")).unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }), "{error}");
    }
}

#[test]
fn averages_do_not_depend_on_the_number_of_threads() {
    let method = method(4, Parametrisation::Ntk);
    let inputs = Input::all(4).unwrap();
    let settings = NetworkParameters { width: 64, ..NetworkParameters::default() };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| method.train_many(&settings, &inputs, true, 70, 3).unwrap())
    };
    assert_eq!(with(1), with(3));
}
