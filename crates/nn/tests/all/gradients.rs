//! Gradients against central differences, and parameters that receive none.

use backstitch_nn::{
    Decoder, Encoder, Gru, Int, Lstm, Mlp, Module, NnError, Tensor, TensorData, TokenBatch, Trainer,
    TrainingParameters, cpu, named_parameters, with_parameters,
};
use backstitch_numerics::Stream;

use crate::{enlarge, model, shapes};

/// Compares one step of plain gradient descent with central differences of the loss along random directions.
fn check<M: Module>(name: &str, model: M, loss: impl Fn(&M) -> Tensor<1>) {
    let value =
        |values| f64::from(loss(&with_parameters(model.clone(), values).unwrap()).into_scalar::<f32>());
    let before = named_parameters(&model);
    let parameters = TrainingParameters {
        steps: 1,
        learning_rate: 1.0,
        schedule: backstitch_nn::Schedule::Constant,
        clip: f64::INFINITY,
        optimizer: backstitch_nn::OptimizerParameters::Sgd { momentum: 0.0, weight_decay: 0.0 },
    };
    let mut trainer = Trainer::new(model.clone(), parameters).unwrap();
    let first = loss(trainer.model());
    trainer.descend(&first).unwrap();
    let after = named_parameters(trainer.model());
    for direction in 0..3 {
        let mut stream = Stream::new(direction, "direction");
        let mut slope = 0.0;
        let (mut plus, mut minus) = (before.clone(), before.clone());
        let step = 2e-3_f32;
        for (key, old) in &before {
            for at in 0..old.values.len() {
                let along = stream.normal() as f32;
                slope += f64::from(along) * f64::from(old.values[at] - after[key].values[at]);
                plus.get_mut(key).unwrap().values[at] += step * along;
                minus.get_mut(key).unwrap().values[at] -= step * along;
            }
        }
        let found = (value(plus) - value(minus)) / (2.0 * f64::from(step));
        // f32 arithmetic: the difference of two losses carries some 1e-7/step of rounding, and the step bends the line.
        let tolerance = 2e-3 + 2e-2 * slope.abs();
        assert!((found - slope).abs() <= tolerance, "{name}: {found} {slope}");
    }
}

fn sequences() -> Vec<Vec<u32>> {
    vec![vec![1, 2, 3, 4, 5], vec![6, 7, 8], vec![9, 10, 11, 12, 0, 1, 2]]
}

#[test]
fn gradients_of_decoders_are_those_of_central_differences() {
    for config in shapes() {
        let start = model(&config, 1).train();
        let batch = TokenBatch::whole(&sequences(), &config).unwrap();
        check("decoder", start, |model: &Decoder| model.loss(&batch));
    }
}

#[test]
fn gradients_of_the_other_models_are_those_of_central_differences() {
    let device = cpu().autodiff();
    let mut stream = Stream::new(4, "inputs");
    let values: Vec<f32> = (0..2 * 5 * 3).map(|_| stream.normal() as f32).collect();
    let x = Tensor::<3>::from_data(TensorData::new(values, [2, 5, 3]), &cpu());
    check("lstm", Lstm::new(3, 4, 1, &device), |model| {
        let (states, cell) = model.forward(x.clone());
        states.square().sum() + cell.sum()
    });
    check("gru", Gru::new(3, 4, 1, &device), |model| model.forward(x.clone()).square().sum());
    let mlp = Mlp::new(&[3, 6, 2], backstitch_nn::Activation::Gelu, 1, &device).unwrap();
    check("mlp", mlp, |model| model.forward(x.clone().reshape([10, 3])).square().sum());
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(vec![1_i32, 2, 3, 4, 5, 6], [2, 3]), &cpu());
    // Most positions of the table are not used (10 positions, 3 tokens); their gradient is zero, not absent.
    let encoder = enlarge(Encoder::new(&shapes()[0], 1, &device).unwrap(), 1);
    check("encoder", encoder, |model| model.forward(tokens.clone(), None).powi_scalar(3).mean());
}

#[test]
fn a_parameter_without_a_gradient_is_an_error_and_a_frozen_one_is_not() {
    #[derive(Module, Debug)]
    struct Two {
        used: Mlp,
        idle: Mlp,
    }
    let device = cpu().autodiff();
    let mlp = |seed| Mlp::new(&[1, 1], backstitch_nn::Activation::Relu, seed, &device).unwrap();
    let x = Tensor::<2>::from_data(TensorData::new(vec![1.0_f32], [1, 1]), &cpu());
    let two = Two { used: mlp(1), idle: mlp(2) };
    let mut trainer = Trainer::new(two.clone(), TrainingParameters::default()).unwrap();
    let loss = trainer.model().used.forward(x.clone()).sum();
    match trainer.descend(&loss) {
        Err(NnError::NoGradient { names }) => {
            assert_eq!(names, ["idle.layers.0.weight", "idle.layers.0.bias"])
        }
        other => panic!("{other:?}"),
    }
    let frozen = Two { idle: two.idle.no_grad(), ..two };
    let before = named_parameters(&frozen);
    let mut trainer = Trainer::new(frozen, TrainingParameters::default()).unwrap();
    let loss = trainer.model().used.forward(x).sum();
    trainer.descend(&loss).unwrap();
    let after = named_parameters(trainer.model());
    assert_eq!(before["idle.layers.0.weight"], after["idle.layers.0.weight"]);
    assert_ne!(before["used.layers.0.weight"], after["used.layers.0.weight"]);
}
