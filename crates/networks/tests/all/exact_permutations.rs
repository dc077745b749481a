//! Closed forms, error probabilities, numbers of models, and inputs that are refused.

use backstitch_networks::Error;
use backstitch_networks::exact_permutations::{
    Coverage, Curve, ExactPermutations, Input, Parameters, Parametrisation, Permutation, Rounding, draw,
    solve,
};
use backstitch_numerics::{Matrix, Stream};
use proptest::prelude::*;

const BOTH: [Parametrisation; 2] = [Parametrisation::Ntk, Parametrisation::Standard];

fn method(length: usize, parametrisation: Parametrisation, rounding: Rounding) -> ExactPermutations {
    ExactPermutations::new(Parameters { length, parametrisation, rounding, ..Parameters::default() }).unwrap()
}

/// Every number of ones up to k = 64, both kernels, means and covariances, to 1e-12.
#[test]
fn closed_forms_are_the_numeric_solution() {
    let mut stream = Stream::new(0, "supports");
    for parametrisation in BOTH {
        for length in [2, 3, 5, 8, 13, 31, 64] {
            let method = method(length, parametrisation, Rounding::Zero);
            let inputs: Vec<Input> =
                (1..=length).map(|ones| Input::random(length, ones, &mut stream).unwrap()).collect();
            let numeric = solve(method.parameters(), &inputs, true).unwrap();
            for (row, input) in inputs.iter().enumerate() {
                let prediction = method.prediction(input.ones().len()).unwrap();
                for bit in 0..length {
                    let closed = if input.has(bit) { prediction.on } else { prediction.off };
                    let gap = (closed - numeric.means[(row, bit)]).abs();
                    assert!(gap < 1e-12, "{parametrisation:?}, k = {length}, m = {}: {gap:e}", row + 1);
                }
                let gap = (prediction.variance - numeric.covariance[(row, row)]).abs();
                assert!(gap < 1e-12, "variance, k = {length}, m = {}: {gap:e}", row + 1);
                for (column, other) in inputs.iter().enumerate() {
                    let closed = method.covariance(input, other).unwrap();
                    let gap = (closed - numeric.covariance[(row, column)]).abs();
                    assert!(gap < 1e-12, "covariance, k = {length}: {gap:e}");
                }
            }
        }
    }
}

#[test]
fn training_inputs_are_met_exactly() {
    for parametrisation in BOTH {
        for rounding in [Rounding::Zero, Rounding::Midpoint] {
            let method = method(7, parametrisation, rounding);
            let prediction = method.prediction(1).unwrap();
            assert_eq!((prediction.off, prediction.on, prediction.variance), (0.0, 1.0, 0.0));
            assert_eq!(prediction.threshold, 0.5);
            assert_eq!(method.error(Coverage::Ones(1), 1).unwrap(), 0.0);
            assert_eq!(method.models(Coverage::Ones(1), 1e-9).unwrap(), 1);
        }
    }
}

#[test]
fn the_sign_of_the_mean_is_the_bit() {
    for parametrisation in BOTH {
        for length in (2..40).chain([100, 1_000, 100_000]) {
            let method = method(length, parametrisation, Rounding::Zero);
            for ones in (2..=length).step_by(length.div_ceil(50)) {
                let prediction = method.prediction(ones).unwrap();
                assert!(prediction.on > 0.0 && prediction.off < 0.0, "{parametrisation:?} {prediction:?}");
                assert!(prediction.variance > 0.0);
            }
        }
    }
}

/// Figures of an independent transcription of the formulas in Python.
#[test]
fn known_numbers_of_models() {
    let numbers = |parametrisation, rounding, coverage, error| -> Vec<u64> {
        let models = |length| method(length, parametrisation, rounding).models(coverage, error).unwrap();
        [5, 10, 20, 30].map(models).to_vec()
    };
    let (ntk, standard) = (Parametrisation::Ntk, Parametrisation::Standard);
    let pair = Coverage::Ones(2);
    assert_eq!(numbers(ntk, Rounding::Zero, pair, 0.1), [205, 333, 579, 840]);
    assert_eq!(numbers(standard, Rounding::Zero, pair, 0.1), [28, 58, 121, 190]);
    assert_eq!(numbers(ntk, Rounding::Zero, Coverage::All, 0.01), [716, 1092, 1868, 2701]);
    assert_eq!(numbers(standard, Rounding::Zero, Coverage::All, 0.01), [96, 189, 391, 610]);
    assert_eq!(numbers(ntk, Rounding::Midpoint, Coverage::All, 0.01), [10, 21, 44, 67]);
    assert_eq!(numbers(standard, Rounding::Midpoint, Coverage::All, 0.01), [7, 15, 30, 46]);
}

#[test]
fn the_midpoint_needs_fewer_models() {
    for parametrisation in BOTH {
        for length in [3, 8, 20, 60, 300] {
            for coverage in [Coverage::Ones(2), Coverage::Ones(length / 2 + 1), Coverage::All] {
                let models =
                    |rounding| method(length, parametrisation, rounding).models(coverage, 0.01).unwrap();
                let (zero, midpoint) = (models(Rounding::Zero), models(Rounding::Midpoint));
                assert!(
                    midpoint <= zero,
                    "{parametrisation:?} {length} {coverage:?}: {midpoint} against {zero}"
                );
            }
        }
    }
}

/// Where nearly all bits are one, the many ones decide, and zero lies further from their mean than the midpoint does.
#[test]
fn with_nearly_all_ones_the_midpoint_can_need_one_model_more() {
    let models =
        |rounding| method(20, Parametrisation::Ntk, rounding).models(Coverage::Ones(19), 0.01).unwrap();
    assert_eq!((models(Rounding::Zero), models(Rounding::Midpoint)), (21, 22));
}

#[test]
fn models_are_proportional_to_the_weight_variance() {
    let models = |weight_variance| {
        let parameters = Parameters { weight_variance, ..Parameters::default() };
        ExactPermutations::new(parameters).unwrap().models(Coverage::All, 0.01).unwrap()
    };
    let one = models(1.0);
    assert!(models(10.0).abs_diff(10 * one) <= 10);
    assert!(models(0.1).abs_diff(one / 10) <= 1);
}

/// The share of 20,000 simulated ensembles that are wrong stays within 5 standard errors of the closed form, six times: false
/// alarms below 4e-6 for a correct program (5.8e-7 each).
#[test]
fn the_error_probability_is_what_simulation_finds() {
    let runs = 20_000;
    for (ones, models, rounding) in [
        (2, 30, Rounding::Zero),
        (2, 100, Rounding::Zero),
        (5, 40, Rounding::Zero),
        (6, 20, Rounding::Zero),
        (2, 1, Rounding::Midpoint),
        (5, 3, Rounding::Midpoint),
    ] {
        let method = method(6, Parametrisation::Standard, rounding);
        let expected = method.error(Coverage::Ones(ones), models).unwrap();
        let ensemble = method.ensemble(vec![Input::new(6, &(0..ones).collect::<Vec<_>>()).unwrap()]).unwrap();
        let mut stream = Stream::new(1, "error probability");
        let wrong = (0..runs)
            .filter(|_| !ensemble.correct(&ensemble.average(models, &mut stream)).unwrap()[0])
            .count() as f64;
        let deviation = (expected * (1.0 - expected) / f64::from(runs)).sqrt();
        let share = wrong / f64::from(runs);
        assert!((share - expected).abs() < 5.0 * deviation, "{share} against {expected} ± {deviation}");
    }
}

/// The sample covariance of 40,000 draws is the closed form, and outputs are independent: 2·15² entries within 6.5 standard
/// errors (false alarms below 2·15²·1e-10 = 5e-8).
#[test]
fn the_simulated_process_has_the_closed_covariance() {
    let method = method(4, Parametrisation::Ntk, Rounding::Zero);
    let inputs = Input::all(4).unwrap();
    let ensemble = method.ensemble(inputs.clone()).unwrap();
    let mut stream = Stream::new(2, "covariance");
    let (draws, n) = (40_000, inputs.len());
    let (mut own, mut between) = (Matrix::zeros(n, n), Matrix::zeros(n, n));
    for _ in 0..draws {
        let average = ensemble.average(1, &mut stream);
        let centred = |input: usize, bit: usize| {
            let prediction = ensemble.predictions()[input];
            average[(input, bit)] - if inputs[input].has(bit) { prediction.on } else { prediction.off }
        };
        for i in 0..n {
            for j in 0..n {
                own[(i, j)] += centred(i, 0) * centred(j, 0) / f64::from(draws);
                between[(i, j)] += centred(i, 0) * centred(j, 1) / f64::from(draws);
            }
        }
    }
    for i in 0..n {
        for j in 0..n {
            let covariance = |a: usize, b: usize| method.covariance(&inputs[a], &inputs[b]).unwrap();
            let spread = covariance(i, i) * covariance(j, j);
            let error = ((spread + covariance(i, j).powi(2)) / f64::from(draws)).sqrt();
            let gap = (own[(i, j)] - covariance(i, j)).abs();
            assert!(gap <= 6.5 * error, "{i} {j}: {gap:e} with standard error {error:e}");
            assert!(between[(i, j)].abs() <= 6.5 * (spread / f64::from(draws)).sqrt());
        }
    }
}

#[test]
fn one_path_ends_where_its_inputs_are_right() {
    let method = method(6, Parametrisation::Standard, Rounding::Zero);
    let ensemble = method.ensemble(Input::pairs(6, 100, &mut Stream::new(0, "unused"))).unwrap();
    assert_eq!(ensemble.inputs().len(), 15);
    let until = |share, most| ensemble.models_until(share, most, &mut Stream::new(3, "path"));
    let (some, all) = (until(0.5, 10_000).unwrap(), until(1.0, 10_000).unwrap());
    assert!(1 <= some && some <= all);
    assert_eq!(until(1.0, all), Some(all));
    assert_eq!(until(1.0, all - 1), None);
    let training = method.ensemble(vec![Input::new(6, &[3]).unwrap()]).unwrap();
    assert_eq!(training.models_until(1.0, 5, &mut Stream::new(3, "path")), Some(1));
}

#[test]
fn predictions_follow_the_permutation() {
    let method = method(3, Parametrisation::Ntk, Rounding::Zero);
    let permutation = Permutation::new(vec![2, 0, 1]).unwrap();
    let bits = method.predict(&permutation, &Input::new(3, &[0, 1]).unwrap()).unwrap();
    assert_eq!(bits.iter().map(|bit| bit.bit).collect::<Vec<_>>(), [true, false, true]);
    let prediction = method.prediction(2).unwrap();
    assert_eq!((bits[2].mean, bits[1].mean), (prediction.on, prediction.off));
}

#[test]
fn wrong_inputs_are_refused_by_name() {
    let message = |error: Error| error.to_string();
    let zero = Matrix::new(2, 3, vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).unwrap();
    assert_eq!(
        message(Input::from_table(&zero, 3).unwrap_err()),
        "input 1 is all zeros: the all-zero input has no direction; the theory excludes it; drop the row"
    );
    let half = Matrix::new(1, 3, vec![1.0, 0.5, 0.0]).unwrap();
    assert_eq!(
        message(Input::from_table(&half, 3).unwrap_err()),
        "input 0, bit 1 is 0.5, but must be 0 or 1; encode the input in bits"
    );
    assert_eq!(
        message(Input::from_table(&half, 4).unwrap_err()),
        "input 0 has 3 bits, but must have 4; pad it or set length to 3"
    );
    assert_eq!(Input::from_table(&Matrix::zeros(0, 3), 3).unwrap_err(), Error::NoInputs);
    assert_eq!(Input::new(3, &[]).unwrap_err(), Error::ZeroInput { input: 0 });
    assert_eq!(
        message(Permutation::new(vec![0, 1, 1]).unwrap_err()),
        "the targets are not a permutation of 0 to 2: 1 is there twice; give every bit exactly once"
    );
    assert!(message(Permutation::new(vec![1, 2, 3]).unwrap_err()).contains("3 is no bit"));
    assert!(message(Input::all(40).unwrap_err()).contains("2^40 - 1"));
    let method = method(5, Parametrisation::Ntk, Rounding::Zero);
    assert!(method.prediction(0).is_err() && method.prediction(6).is_err());
    assert!(method.error(Coverage::All, 0).is_err());
    for error in [0.0, 1.0, -1.0, f64::NAN] {
        assert!(method.models(Coverage::All, error).is_err());
    }
    assert!(method.ensemble(vec![]).is_err());
    assert!(method.ensemble(vec![Input::new(4, &[0]).unwrap()]).is_err());
    for (length, weight_variance) in [(1, 1.0), (0, 1.0), (5, 0.0), (5, f64::NAN), (5, -1.0)] {
        let parameters = Parameters { length, weight_variance, ..Parameters::default() };
        assert!(ExactPermutations::new(parameters).is_err());
    }
    let huge = Parameters { weight_variance: 1e300, ..Parameters::default() };
    let error = ExactPermutations::new(huge).unwrap().models(Coverage::All, 0.01).unwrap_err();
    assert!(matches!(error, Error::TooManyModels { .. }));
}

#[test]
fn names_in_the_picture_are_escaped() {
    let curve = Curve { name: "a<b&c".into(), points: vec![(2, 1), (9, 3_000)] };
    let svg = draw(&[curve, Curve { name: "empty".into(), points: vec![] }]);
    assert!(svg.contains("a&lt;b&amp;c") && svg.ends_with("</svg>\n") && !svg.contains("NaN"));
    assert!(!draw(&[]).contains("NaN"));
}

proptest! {
    /// More models never hurt; more confidence never needs fewer; the number found is the smallest.
    #[test]
    fn sizes_invert_errors(
        length in 2_usize..80, ones in 2_usize..80, error in 1e-9..0.9_f64, standard: bool, midpoint: bool, all: bool,
    ) {
        let parametrisation = if standard { Parametrisation::Standard } else { Parametrisation::Ntk };
        let rounding = if midpoint { Rounding::Midpoint } else { Rounding::Zero };
        let method = method(length, parametrisation, rounding);
        let coverage = if all { Coverage::All } else { Coverage::Ones(ones.min(length)) };
        let models = method.models(coverage, error).unwrap();
        prop_assert!(method.error(coverage, models).unwrap() <= error * (1.0 + 1e-12));
        if models > 1 {
            prop_assert!(method.error(coverage, models - 1).unwrap() > error);
        }
        prop_assert!(method.models(coverage, error / 2.0).unwrap() >= models);
        prop_assert!(method.error(coverage, 2 * models).unwrap() <= method.error(coverage, models).unwrap());
    }

    /// Relabelling bits changes nothing but labels.
    #[test]
    fn covariances_depend_on_counts_only(seed: u64, length in 2_usize..30) {
        let mut stream = Stream::new(seed, "relabel");
        let relabel = stream.permutation(length);
        let (m, n) = (1 + stream.below(length), 1 + stream.below(length));
        let one = Input::random(length, m, &mut stream).unwrap();
        let other = Input::random(length, n, &mut stream).unwrap();
        let moved = |input: &Input| {
            Input::new(length, &input.ones().iter().map(|&bit| relabel[bit]).collect::<Vec<_>>()).unwrap()
        };
        let method = method(length, Parametrisation::Ntk, Rounding::Zero);
        let covariance = method.covariance(&one, &other).unwrap();
        prop_assert_eq!(covariance, method.covariance(&moved(&one), &moved(&other)).unwrap());
        prop_assert!((covariance - method.covariance(&other, &one).unwrap()).abs() < 1e-15);
        let bound = (method.covariance(&one, &one).unwrap() * method.covariance(&other, &other).unwrap()).sqrt();
        prop_assert!(covariance.abs() <= bound + 1e-15);
    }
}
