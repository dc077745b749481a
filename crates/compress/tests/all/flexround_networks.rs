//! Networks layer by layer and block by block.

use backstitch_compress::Rows;
use backstitch_compress::flexround::{
    Description, FlexRound, Granularity, Moments, Network, Parameters, QuantisedNetwork, Rounding,
};
use backstitch_numerics::Stream;

pub(crate) const DENSE: &str = r#"{"input": [12], "layers": [
    {"kind": "dense", "weight": "0.weight", "bias": "0.bias"}, {"kind": "relu"},
    {"kind": "dense", "weight": "2.weight", "bias": "2.bias"}, {"kind": "tanh"},
    {"kind": "dense", "weight": "4.weight"}]}"#;
pub(crate) const CONVOLUTIONS: &str = r#"{"input": [2, 6, 6], "layers": [
    {"kind": "convolution", "weight": "0.weight", "bias": "0.bias", "padding": [1, 1]}, {"kind": "keep", "name": "skip"},
    {"kind": "leaky-relu", "share": 0.1},
    {"kind": "convolution", "weight": "1.weight", "padding": [1, 1]}, {"kind": "add", "name": "skip"}, {"kind": "relu"},
    {"kind": "average-pooling", "kernel": [2, 2]}, {"kind": "flatten"},
    {"kind": "dense", "weight": "2.weight", "bias": "2.bias"}, {"kind": "sigmoid"}]}"#;

/// A network with drawn weights.
pub(crate) fn network(text: &str) -> Network {
    let mut stream = Stream::new(0, "flexround test network");
    let shape = |name: &str| match (text == DENSE, name) {
        (true, "0.weight") => vec![20, 12],
        (true, "0.bias" | "2.bias") => vec![20],
        (true, "2.weight") => vec![20, 20],
        (true, _) => vec![5, 20],
        (false, "0.weight") => vec![4, 2, 3, 3],
        (false, "0.bias") => vec![4],
        (false, "1.weight") => vec![4, 4, 3, 3],
        (false, "2.weight") => vec![5, 36],
        (false, _) => vec![5],
    };
    let description: Description = serde_json::from_str(text).unwrap();
    Network::from_parts(&description, |name| {
        let shape = shape(name);
        let count: usize = shape.iter().product();
        let scale = (2.0 / (count / shape[0]) as f64).sqrt();
        Ok((shape, (0..count).map(|_| (scale * stream.normal()) as f32).collect()))
    })
    .unwrap()
}

pub(crate) fn rows(network: &Network, count: usize, purpose: &str) -> Rows {
    let mut stream = Stream::new(0, purpose);
    let width = network.inputs();
    let mut last = 0.0;
    Rows::from_fn(count, width, |_, _| {
        last = 0.7 * last + stream.normal() as f32;
        last
    })
}

fn quantised(network: &Network, change: impl FnOnce(&mut Parameters)) -> QuantisedNetwork {
    let mut parameters = Parameters {
        bits: 3,
        steps: 400,
        granularity: Granularity::Tensor,
        rate: Some(5e-3),
        ..Parameters::default()
    };
    change(&mut parameters);
    let rows = rows(network, 200, "calibration");
    FlexRound::new(parameters).unwrap().quantise_network(network, &rows).unwrap()
}

/// Mean squared error of outputs on rows that were not calibrated on.
fn error(network: &Network, found: &QuantisedNetwork) -> f64 {
    let rows = rows(network, 300, "test");
    let (wanted, own) = (network.outputs_of(&rows), found.outputs_of(&rows));
    wanted.values().iter().zip(own.values()).map(|(left, right)| f64::from(left - right).powi(2)).sum()
}

#[test]
fn learning_is_below_nearest_on_other_rows() {
    for text in [DENSE, CONVOLUTIONS] {
        let network = network(text);
        let nearest = error(&network, &quantised(&network, |own| own.rounding = Rounding::Nearest));
        let layers = error(&network, &quantised(&network, |_| {}));
        let blocks = error(&network, &quantised(&network, |own| own.block = 2));
        assert!(layers < 0.8 * nearest, "{layers} {nearest}");
        assert!(blocks < 0.8 * nearest, "{blocks} {nearest}");
    }
}

#[test]
fn activations_are_rounded_and_dropped() {
    let network = network(CONVOLUTIONS);
    let of = |drop: f64, rounding: Rounding| {
        quantised(&network, |own| {
            own.block = 3;
            own.activation_bits = Some(4);
            own.drop = drop;
            own.rounding = rounding;
        })
    };
    let nearest = error(&network, &of(0.0, Rounding::Nearest));
    for drop in [0.0, 0.5] {
        let found = of(drop, Rounding::FlexRound);
        assert!(found.activations().iter().all(Option::is_some));
        assert!(error(&network, &found) < nearest);
    }
}

#[test]
fn moments_and_rows_learn_the_same() {
    // One layer in batches of all rows has the gradients of its moments.
    let text = r#"{"input": [12], "layers": [{"kind": "dense", "weight": "w"}]}"#;
    let description: Description = serde_json::from_str(text).unwrap();
    let mut stream = Stream::new(1, "same");
    let weights: Vec<f32> = (0..8 * 12).map(|_| stream.normal() as f32).collect();
    let network = Network::from_parts(&description, |_| Ok((vec![8, 12], weights.clone()))).unwrap();
    let rows = rows(&network, 64, "same");
    for rounding in [Rounding::FlexRound, Rounding::AdaRound, Rounding::AdaQuant] {
        let parameters = Parameters { rounding, steps: 60, batch: 64, bits: 3, ..Parameters::default() };
        let method = FlexRound::new(parameters.clone()).unwrap();
        let mut moments = Moments::new(12);
        moments.add(&rows).unwrap();
        let affine = network.affine().next().unwrap();
        let (by_moments, _) = method.quantise("w", &affine.weights, None, &moments).unwrap();
        // A drop so small that nothing is dropped takes the way of blocks.
        let by_rows = FlexRound::new(Parameters { drop: 1e-300, ..parameters }).unwrap();
        let by_rows = by_rows.quantise_network(&network, &rows).unwrap();
        let differ =
            by_moments.integers.iter().zip(&by_rows.layers()[0].integers).filter(|(a, b)| a != b).count();
        assert!(differ <= 2, "{rounding:?}: {differ}");
    }
}

#[test]
fn gradients_are_those_of_differences() {
    for text in [DENSE, CONVOLUTIONS] {
        let mut network = network(text);
        let rows = rows(&network, 5, "gradients");
        let loss = |network: &Network| {
            network.outputs_of(&rows).values().iter().map(|value| f64::from(*value).powi(2)).sum::<f64>()
        };
        let (_, gradients) = network.gradients(&rows, |outputs| {
            outputs.values_mut().iter_mut().for_each(|value| *value *= 2.0);
        });
        for layer in 0..3 {
            for place in [0, 7, 13] {
                let mut moved = |by: f32| {
                    let own = &mut network.affine_mut().nth(layer).unwrap().weights.values_mut()[place];
                    let before = *own;
                    *own += by;
                    let loss = loss(&network);
                    network.affine_mut().nth(layer).unwrap().weights.values_mut()[place] = before;
                    loss
                };
                let difference = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                let own = f64::from(gradients[layer].weights.values()[place]);
                assert!(
                    (own - difference).abs() < 2e-2 * (own.abs() + 1.0),
                    "{layer} {place}: {own} {difference}"
                );
            }
        }
    }
}

#[test]
fn bad_calibration_rows_are_refused() {
    let network = network(DENSE);
    let method = FlexRound::new(Parameters { steps: 5, ..Parameters::default() }).unwrap();
    let refusal = |rows: &Rows| method.quantise_network(&network, rows).unwrap_err().to_string();
    assert!(refusal(&Rows::zeros(7, 12)).contains("7 rows, but at least 8"));
    assert!(refusal(&Rows::zeros(9, 13)).contains("13 numbers, but the network takes 12"));
    let bad = Rows::from_fn(9, 12, |row, _| if row == 4 { f32::INFINITY } else { 0.0 });
    assert!(refusal(&bad).contains("number 1 of row 5 is inf"));
    // Eight are enough, with a warning.
    let found = method.quantise_network(&network, &rows(&network, 8, "few")).unwrap();
    assert!(found.reports()[1].warnings[0].contains("8 calibration rows for 20 inputs"));
}

#[test]
fn layers_that_do_not_fit_are_named() {
    let read = |text: &str, shape: &[usize]| {
        let description: Description = serde_json::from_str(text).unwrap();
        let count = shape.iter().product();
        Network::from_parts(&description, |_| Ok((shape.to_vec(), vec![1.0; count]))).unwrap_err().to_string()
    };
    let dense = r#"{"input": [3], "layers": [{"kind": "relu"}, {"kind": "dense", "weight": "w"}]}"#;
    assert!(
        read(dense, &[2, 4])
            .contains("layer 2 (dense, \"w\"): weights for 4 inputs meet a value of shape [3]")
    );
    let groups = r#"{"input": [2, 4, 4], "layers": [{"kind": "convolution", "weight": "w", "groups": 2}]}"#;
    assert!(read(groups, &[2, 1, 3, 3]).contains("2 groups"));
    let large = r#"{"input": [1, 2, 2], "layers": [{"kind": "convolution", "weight": "w"}]}"#;
    assert!(read(large, &[1, 1, 3, 3]).contains("a window of 3 does not fit into 2"));
    let norm = r#"{"input": [3], "layers": [{"kind": "batch-normalisation", "weight": "a", "bias": "b", "mean": "c", "variance": "d"}]}"#;
    assert!(read(norm, &[3]).contains("right before it"));
    let twice =
        r#"{"input": [3], "layers": [{"kind": "dense", "weight": "w"}, {"kind": "dense", "weight": "w"}]}"#;
    assert!(read(twice, &[3, 3]).contains("belongs to an earlier layer"));
    let lost = r#"{"input": [3], "layers": [{"kind": "add", "name": "x"}]}"#;
    assert!(read(lost, &[3]).contains("nothing is kept"));
    assert!(serde_json::from_str::<Description>(r#"{"input": [3], "layers": [{"kind": "lstm"}]}"#).is_err());
}

#[test]
fn batch_normalisation_is_folded() {
    let text = r#"{"input": [2], "layers": [{"kind": "dense", "weight": "w"},
        {"kind": "batch-normalisation", "weight": "g", "bias": "b", "mean": "m", "variance": "v", "epsilon": 0.0}]}"#;
    let description: Description = serde_json::from_str(text).unwrap();
    let network = Network::from_parts(&description, |name| {
        Ok(match name {
            "w" => (vec![1, 2], vec![1.0, 2.0]),
            "g" => (vec![1], vec![3.0]),
            "b" => (vec![1], vec![0.5]),
            "m" => (vec![1], vec![1.0]),
            _ => (vec![1], vec![4.0]),
        })
    })
    .unwrap();
    let outputs = network.outputs_of(&Rows::new(1, 2, vec![1.0, 1.0]).unwrap());
    assert_eq!(outputs.values(), [3.0 * (3.0 - 1.0) / 2.0 + 0.5]);
}
