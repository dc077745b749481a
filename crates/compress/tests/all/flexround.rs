//! One layer at a time.

use backstitch_compress::Rows;
use backstitch_compress::flexround::{FlexRound, Granularity, Moments, Parameters, Rounding};
use backstitch_numerics::Stream;

/// Student-t weights, and inputs of 24 causes with a little noise: outputs × inputs, and rows × inputs.
pub(crate) fn layer(seed: u64, outputs: usize, inputs: usize, rows: usize) -> (Rows, Rows) {
    let mut stream = Stream::new(seed, "flexround test");
    let weights = Rows::from_fn(outputs, inputs, |_, _| {
        let square: f64 = (0..5).map(|_| stream.normal().powi(2)).sum();
        (stream.normal() / (square / 5.0).sqrt()) as f32
    });
    let mixing = Rows::from_fn(24, inputs, |_, _| stream.normal() as f32);
    let inputs = Rows::from_fn(rows, inputs, |_, _| 0.3 * stream.normal() as f32);
    let mut found = inputs;
    for row in 0..rows {
        let causes: Vec<f32> = (0..24).map(|_| stream.normal() as f32).collect();
        for (cause, factor) in causes.iter().enumerate() {
            found.row_mut(row).iter_mut().zip(mixing.row(cause)).for_each(|(x, m)| *x += factor * m);
        }
    }
    (weights, found)
}

fn of(inputs: &Rows) -> Moments {
    let mut moments = Moments::new(inputs.columns());
    moments.add(inputs).unwrap();
    moments
}

fn errors(rounding: Rounding, bits: u8, change: impl FnOnce(&mut Parameters)) -> (f64, f64) {
    let (weights, inputs) = layer(1, 16, 40, 400);
    let mut parameters =
        Parameters { rounding, bits, steps: 800, granularity: Granularity::Tensor, ..Parameters::default() };
    change(&mut parameters);
    let method = FlexRound::new(parameters).unwrap();
    let (_, report) = method.quantise("layer", &weights, None, &of(&inputs)).unwrap();
    (report.before, report.after)
}

#[test]
fn learned_rounding_is_far_below_nearest() {
    for (rounding, bound) in
        [(Rounding::AdaRound, 0.35), (Rounding::AdaQuant, 0.35), (Rounding::FlexRound, 0.35)]
    {
        let (before, after) = errors(rounding, 4, |_| {});
        assert!(after < bound * before, "{rounding:?}: {after} of {before}");
    }
    let (before, after) = errors(Rounding::Nearest, 4, |_| {});
    assert_eq!(before, after);
    let (before, after) = errors(Rounding::FlexRound, 4, |parameters| parameters.steps = 0);
    assert_eq!(before, after);
}

#[test]
fn white_inputs_leave_little_to_gain() {
    let mut stream = Stream::new(4, "white");
    let weights = Rows::from_fn(16, 24, |_, _| stream.normal() as f32);
    let inputs = Rows::from_fn(20_000, 24, |_, _| stream.normal() as f32);
    let parameters = Parameters { steps: 500, ..Parameters::default() };
    let (_, report) =
        FlexRound::new(parameters).unwrap().quantise("layer", &weights, None, &of(&inputs)).unwrap();
    assert!(report.after > 0.8 * report.before, "{} of {}", report.after, report.before);
}

#[test]
fn more_bits_are_nearer() {
    let all: Vec<f64> = (2..=8).map(|bits| errors(Rounding::FlexRound, bits, |_| {}).1).collect();
    assert!(all.windows(2).all(|pair| pair[1] < pair[0]), "{all:?}");
}

#[test]
fn a_rate_that_is_too_high_is_not_worse_than_nearest() {
    let (before, after) = errors(Rounding::FlexRound, 8, |parameters| {
        parameters.rate = Some(1.0);
        parameters.steps = 3;
    });
    assert!(after <= before);
}

#[test]
fn results_depend_on_no_number_of_threads() {
    let (weights, inputs) = layer(2, 200, 260, 300);
    let moments = of(&inputs);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let parameters = Parameters { steps: 30, ..Parameters::default() };
            FlexRound::new(parameters).unwrap().quantise("layer", &weights, Some(4), &moments).unwrap().0
        })
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn what_cannot_be_quantised_is_named() {
    let method = FlexRound::new(Parameters { steps: 5, ..Parameters::default() }).unwrap();
    let (mut weights, inputs) = layer(3, 4, 6, 20);
    let moments = of(&inputs);
    weights.row_mut(2)[1] = f32::NAN;
    let error = method.quantise("head", &weights, None, &moments).unwrap_err().to_string();
    assert!(error.contains("\"head\"") && error.contains("weight 2 of output 3 is NaN"), "{error}");
    let (weights, _) = layer(3, 4, 7, 1);
    let error = method.quantise("head", &weights, None, &moments).unwrap_err().to_string();
    assert!(error.contains("take 7 inputs, but the calibration rows have 6"), "{error}");
    let (weights, _) = layer(3, 4, 6, 1);
    let error = method.quantise("head", &weights, None, &Moments::new(6)).unwrap_err().to_string();
    assert!(error.contains("no calibration rows"), "{error}");
    assert!(FlexRound::new(Parameters { bits: 9, ..Parameters::default() }).is_err());
    assert!(FlexRound::new(Parameters { rate: Some(f64::NAN), ..Parameters::default() }).is_err());
}

#[test]
fn zeros_are_kept_with_a_warning() {
    let method = FlexRound::new(Parameters { steps: 5, ..Parameters::default() }).unwrap();
    let (mut weights, inputs) = layer(5, 4, 6, 20);
    weights.row_mut(1).fill(0.0);
    let (found, report) = method.quantise("head", &weights, None, &of(&inputs)).unwrap();
    assert_eq!(found.weights().row(1), [0.0; 6]);
    assert!(report.warnings[0].contains("1 of 4 outputs"), "{:?}", report.warnings);
    let (found, report) = method.quantise("head", &Rows::zeros(4, 6), None, &of(&inputs)).unwrap();
    assert_eq!(found.weights(), Rows::zeros(4, 6));
    assert_eq!((report.before, report.after), (0.0, 0.0));
    // One row is enough for a layer; inputs of zero teach nothing.
    let (_, report) = method.quantise("head", &weights, None, &of(&Rows::zeros(1, 6))).unwrap();
    assert!(report.warnings.iter().any(|warning| warning.contains("nothing can be learned")));
}
