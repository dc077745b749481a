//! Identities of the models: what may depend on what.

use backstitch_nn::{
    Decoder, DecoderConfig, Encoder, Gru, Int, Lstm, Mlp, Norm, Tensor, TensorData, Visibility, cpu,
    cross_entropy, named_parameters,
};

use crate::{model, shapes};

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn tokens(rows: &[&[i32]]) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(rows.concat(), [rows.len(), rows[0].len()]), &cpu())
}

#[test]
fn a_causal_model_does_not_see_what_comes_later() {
    for config in shapes() {
        let model = model(&config, 5);
        let width = config.vocabulary;
        let a = values(model.forward(tokens(&[&[1, 2, 3, 4]]), &Visibility::Causal));
        let b = values(model.forward(tokens(&[&[1, 2, 9, 9]]), &Visibility::Causal));
        for at in 0..2 * width {
            assert!((a[at] - b[at]).abs() < 1e-5);
        }
        assert!((2 * width..4 * width).any(|at| (a[at] - b[at]).abs() > 1e-3));
        let c = values(model.forward(tokens(&[&[1, 2, 3, 4]]), &Visibility::Full));
        assert!((0..width).any(|at| (a[at] - c[at]).abs() > 1e-3));
    }
}

#[test]
fn blocks_one_after_another_are_the_model() {
    for config in shapes() {
        let model = model(&config, 5);
        let tokens = tokens(&[&[1, 2, 3, 4], &[4, 4, 0, 1]]);
        let mut stream = model.stream(tokens.clone());
        for block in 0..config.layers {
            let pass = model.block(block, stream).unwrap();
            let widths = [&pass.qkv, &pass.output, &pass.feed, &pass.down].map(|input| input.dims()[2]);
            let heads = config.heads * config.head_width;
            assert_eq!(widths, [config.width, heads, config.width, config.hidden]);
            stream = pass.stream;
        }
        assert_eq!(
            values(model.read_out(stream.clone())),
            values(model.forward(tokens, &Visibility::Causal))
        );
        let message = model.block(config.layers, stream).unwrap_err().to_string();
        assert!(message.contains("below the number of layers"), "{message}");
    }
}

#[test]
fn an_encoder_does_not_see_padding() {
    let encoder = Encoder::new(&shapes()[1], 5, &cpu()).unwrap();
    let padding = || Tensor::from_data(TensorData::new(vec![false, false, false, true], [1, 4]), &cpu());
    let a = values(encoder.forward(tokens(&[&[1, 2, 3, 4]]), Some(padding())));
    let b = values(encoder.forward(tokens(&[&[1, 2, 3, 9]]), Some(padding())));
    let alone = values(encoder.forward(tokens(&[&[1, 2, 3]]), None));
    for at in 0..3 * 8 {
        assert!((a[at] - b[at]).abs() < 1e-6 && (a[at] - alone[at]).abs() < 1e-5);
    }
    let mean = values(encoder.mean(tokens(&[&[1, 2, 3, 4]]), padding()));
    for (column, mean) in mean.iter().enumerate() {
        let wanted: f32 = (0..3).map(|row| alone[row * 8 + column]).sum::<f32>() / 3.0;
        assert!((mean - wanted).abs() < 1e-5);
    }
}

#[test]
fn rotary_scores_depend_on_distances_only() {
    // One layer without values mixing in positions: shifting all positions must not change the logits. A prefix of hidden
    // padding shifts them.
    let config = &shapes()[1];
    let model = model(config, 6);
    let hidden = Tensor::from_data(TensorData::new(vec![true, true, false, false], [1, 1, 1, 4]), &cpu());
    let shifted = values(model.forward(tokens(&[&[0, 0, 5, 6]]), &Visibility::Hidden(hidden)));
    let plain = values(model.forward(tokens(&[&[5, 6]]), &Visibility::Full));
    for at in 0..2 * config.vocabulary {
        assert!((shifted[2 * config.vocabulary + at] - plain[at]).abs() < 1e-3);
    }
}

#[test]
fn initial_weights_are_named_by_their_place() {
    let small = named_parameters(&Decoder::new(&DecoderConfig::gpt2(13, 10, 8, 1, 2), 7, &cpu()).unwrap());
    let large = named_parameters(&Decoder::new(&DecoderConfig::gpt2(13, 10, 8, 3, 2), 7, &cpu()).unwrap());
    let name = "backbone.blocks.0.attention.qkv.weight";
    assert_eq!(small[name], large[name]);
    let table = &large["backbone.tokens.weight"].values;
    let deviation = (table.iter().map(|x| x * x).sum::<f32>() / table.len() as f32).sqrt();
    assert!((0.014..0.026).contains(&deviation), "{deviation}");
}

#[test]
fn cross_entropy_has_its_closed_form() {
    let logits =
        Tensor::<2>::from_data(TensorData::new(vec![0.0_f32, 1.0, 2.0, 5.0, 5.0, 5.0], [2, 3]), &cpu());
    let targets = || Tensor::<1, Int>::from_data(TensorData::new(vec![2_i32, 0], [2]), &cpu());
    let loss = |weights: Vec<f32>| {
        let weights = Tensor::<1>::from_data(TensorData::new(weights, [2]), &cpu());
        f64::from(cross_entropy(logits.clone(), targets(), weights).into_scalar::<f32>())
    };
    let first = (1.0 + (-1.0_f64).exp() + (-2.0_f64).exp()).ln();
    let second = 3.0_f64.ln();
    assert!((loss(vec![1.0, 0.0]) - first).abs() < 1e-6);
    assert!((loss(vec![1.0, 1.0]) - (first + second) / 2.0).abs() < 1e-6);
    assert!((loss(vec![3.0, 1.0]) - (3.0 * first + second) / 4.0).abs() < 1e-6);
    assert_eq!(loss(vec![0.0, 0.0]), 0.0);
}

/// PyTorch's equations, one number at a time.
#[test]
fn recurrent_networks_follow_their_equations() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let x: [f64; 3] = [0.5, -1.0, 2.0];
    let inputs = || {
        let x: Vec<f32> = x.iter().map(|x| *x as f32).collect();
        Tensor::<3>::from_data(TensorData::new(x, [1, 3, 1]), &cpu())
    };
    let lstm = Lstm::new(1, 1, 3, &cpu());
    let p = named_parameters(&lstm);
    let at = |name: &str, gate: usize| f64::from(p[name].values[gate]);
    let (mut h, mut c) = (0.0, 0.0);
    let (states, cell) = lstm.forward(inputs());
    for (step, found) in values(states).into_iter().enumerate() {
        let gate = |gate| {
            at("input.weight", gate) * x[step]
                + at("input.bias", gate)
                + at("recurrent.weight", gate) * h
                + at("recurrent.bias", gate)
        };
        c = sigmoid(gate(1)) * c + sigmoid(gate(0)) * gate(2).tanh();
        h = sigmoid(gate(3)) * f64::tanh(c);
        assert!((f64::from(found) - h).abs() < 1e-6);
    }
    assert!((f64::from(values(cell)[0]) - c).abs() < 1e-6);

    let gru = Gru::new(1, 1, 3, &cpu());
    let p = named_parameters(&gru);
    let at = |name: &str, gate: usize| f64::from(p[name].values[gate]);
    let mut h = 0.0;
    for (step, found) in values(gru.forward(inputs())).into_iter().enumerate() {
        let input = |gate| at("input.weight", gate) * x[step] + at("input.bias", gate);
        let recurrent = |gate| at("recurrent.weight", gate) * h + at("recurrent.bias", gate);
        let (r, z) = (sigmoid(input(0) + recurrent(0)), sigmoid(input(1) + recurrent(1)));
        let n = (input(2) + r * recurrent(2)).tanh();
        h = (1.0 - z) * n + z * h;
        assert!((f64::from(found) - h).abs() < 1e-6);
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let error = |config: DecoderConfig| Decoder::new(&config, 0, &cpu()).unwrap_err().to_string();
    assert!(error(DecoderConfig::gpt2(0, 1, 1, 1, 1)).contains("vocabulary is 0"));
    assert!(error(DecoderConfig::llama(9, 9, 8, 1, 4, 3)).contains("key_value_heads is 3"));
    assert!(error(DecoderConfig::llama(9, 9, 4, 1, 4, 4)).contains("head_width is 1"));
    assert!(Mlp::new(&[3], backstitch_nn::Activation::Relu, 0, &cpu()).is_err());
    // A decoder without layers is a table lookup, and allowed.
    assert!(
        Decoder::new(&DecoderConfig { norm: Norm::Rms, ..DecoderConfig::gpt2(4, 4, 4, 0, 1) }, 0, &cpu())
            .is_ok()
    );
}
