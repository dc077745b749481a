//! The bench of the network floor: training steps and decoding, beside PyTorch.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_nn::{
    Activation, Decoder, DecoderConfig, Gru, Int, Mlp, Module, NnError, SamplingParameters, Schedule, Tensor,
    TensorData, TokenBatch, Trainer, TrainingParameters, cpu, cross_entropy, generate,
};
use backstitch_numerics::Stream;
use backstitch_numerics::interval::median;
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "nn", works, ours };

const PEERS: [&str; 2] = ["torch eager", "torch.compile"];

fn works(_: &Path) -> Result<Vec<Work>, String> {
    let decoder = |layers: usize,
                   width: usize,
                   heads: usize,
                   context: usize,
                   batch: usize,
                   vocabulary: usize| {
        json!({
            "work": "decoder", "layers": layers, "width": width, "heads": heads, "context": context, "batch": batch,
            "vocabulary": vocabulary, "repeat": 20,
        })
    };
    let (small, large) = (decoder(2, 64, 4, 32, 64, 64), decoder(4, 256, 8, 128, 16, 1024));
    let decode = |batch: usize, repeat: usize| {
        let mut request = large.clone();
        request["work"] = "decode".into();
        request["batch"] = batch.into();
        request["repeat"] = repeat.into();
        request
    };
    let requests = [
        ("a: step of a decoder, 2 layers, width 64, context 32, batch 64", small),
        ("b: step of a decoder, 4 layers, width 256, context 128, batch 16", large.clone()),
        ("c: step of an MLP, 784-256-256-10, batch 64", json!({"work": "mlp", "batch": 64, "repeat": 200})),
        (
            "d: step of a GRU, width 128, 64 steps, batch 32",
            json!({"work": "gru", "batch": 32, "repeat": 20}),
        ),
        ("decoding 127 tokens with b, batch 1", decode(1, 3)),
        ("decoding 127 tokens with b, batch 32", decode(32, 1)),
    ];
    Ok(requests
        .into_iter()
        .flat_map(|(name, request)| {
            PEERS.into_iter().filter(move |peer| *peer == PEERS[0] || !name.starts_with("decoding")).map(
                move |peer| {
                    let mut request = request.clone();
                    request["peer"] = peer.into();
                    Work {
                        name: format!("{name}, beside {peer}"),
                        peer: Some(peer),
                        request,
                        compare: Box::new(compare),
                    }
                },
            )
        })
        .collect())
}

/// Both must have the same number of parameters. A training must begin with the loss of a guess and lower it; a decoding must give
/// as many tokens.
fn compare(ours: &Value, peer: Option<&Value>) -> (bool, String) {
    let number = |answer: &Value, field: &str| answer[field].as_f64().unwrap_or(f64::NAN);
    let described = |answer: &Value| {
        if answer["tokens"].is_u64() {
            return format!("{} tokens", answer["tokens"]);
        }
        format!("loss {:.3} to {:.3}", number(answer, "first"), number(answer, "last"))
    };
    let note = format!("{} parameters, {}", ours["parameters"], described(ours));
    let Some(peer) = peer else { return (true, note) };
    let same = ours["parameters"] == peer["parameters"] && ours["tokens"] == peer["tokens"];
    let learned =
        |answer: &Value| answer["tokens"].is_u64() || number(answer, "last") < number(answer, "first");
    let started = ours["tokens"].is_u64() || (number(ours, "first") - number(peer, "first")).abs() < 0.3;
    (same && started && learned(ours) && learned(peer), format!("{note}; peer {}", described(peer)))
}

fn ours(request: &Value) -> Result<Reply, String> {
    let number = |name: &str| {
        request[name].as_u64().map(|value| value as usize).ok_or_else(|| format!("the request has no {name}"))
    };
    let (batch, repeat) = (number("batch")?, number("repeat")?);
    let config = || -> Result<DecoderConfig, String> {
        let [vocabulary, context, width, layers, heads] = [
            number("vocabulary")?,
            number("context")?,
            number("width")?,
            number("layers")?,
            number("heads")?,
        ];
        Ok(DecoderConfig::gpt2(vocabulary, context, width, layers, heads))
    };
    let timed = match request["work"].as_str() {
        Some("decoder") => train_decoder(&config()?, batch, repeat),
        Some("mlp") => train_mlp(batch, repeat),
        Some("gru") => train_gru(batch, repeat),
        Some("decode") => decode(&config()?, batch, repeat),
        other => return Err(format!("no work {other:?}")),
    };
    let (seconds, answer) = timed.map_err(|error| error.to_string())?;
    Ok(Reply { version: env!("CARGO_PKG_VERSION").into(), seconds, peak_bytes: peak_bytes(), answer })
}

fn train_decoder(config: &DecoderConfig, batch: usize, repeat: usize) -> Result<(f64, Value), NnError> {
    let mut stream = Stream::new(0, "bench tokens");
    let sequences: Vec<Vec<u32>> = (0..batch)
        .map(|_| (0..=config.context).map(|_| stream.below(config.vocabulary) as u32).collect())
        .collect();
    let batch = TokenBatch::whole(&sequences, config)?;
    time_steps(Decoder::new(config, 0, &cpu().autodiff())?, repeat, |model| model.loss(&batch))
}

fn train_mlp(batch: usize, repeat: usize) -> Result<(f64, Value), NnError> {
    let model = Mlp::new(&[784, 256, 256, 10], Activation::Relu, 0, &cpu().autodiff())?;
    let (x, y, ones) = (inputs([batch, 784]), classes(batch), Tensor::ones([batch], &cpu()));
    time_steps(model, repeat, |model| cross_entropy(model.forward(x.clone()), y.clone(), ones.clone()))
}

fn train_gru(batch: usize, repeat: usize) -> Result<(f64, Value), NnError> {
    let device = cpu().autodiff();
    let model = (Gru::new(128, 128, 0, &device), Mlp::new(&[128, 10], Activation::Relu, 1, &device)?);
    let (x, y, ones) = (inputs([batch, 64, 128]), classes(batch), Tensor::ones([batch], &cpu()));
    time_steps(model, repeat, |(gru, head)| {
        let last = gru.forward(x.clone()).narrow(1, 63, 1).squeeze_dim::<2>(1);
        cross_entropy(head.forward(last), y.clone(), ones.clone())
    })
}

/// The median time of a step after five steps of warm-up, and the loss at both ends.
fn time_steps<M: Module>(
    model: M,
    repeat: usize,
    loss: impl Fn(&M) -> Tensor<1>,
) -> Result<(f64, Value), NnError> {
    let parameters = TrainingParameters { schedule: Schedule::Constant, ..TrainingParameters::default() };
    let size = model.num_params();
    let mut trainer = Trainer::new(model, parameters)?;
    let (mut times, mut losses) = (Vec::new(), Vec::new());
    for step in 0..repeat + 5 {
        let begin = Instant::now();
        let loss = loss(trainer.model());
        losses.push(trainer.descend(&loss)?.loss);
        if step >= 5 {
            times.push(begin.elapsed().as_secs_f64());
        }
    }
    let answer = json!({"parameters": size, "first": losses[0], "last": losses[losses.len() - 1]});
    Ok((median(&times).unwrap_or(f64::NAN), answer))
}

fn decode(config: &DecoderConfig, batch: usize, repeat: usize) -> Result<(f64, Value), NnError> {
    let model = Decoder::new(config, 0, &cpu())?;
    let prompts: Vec<Vec<u32>> = (0..batch).map(|row| vec![row as u32]).collect();
    let run = |tokens| {
        let parameters = SamplingParameters { max_tokens: tokens, ..SamplingParameters::greedy() };
        generate(&model, &prompts, &parameters)
    };
    run(8)?;
    let mut times = Vec::new();
    let mut tokens = 0;
    for _ in 0..repeat {
        let begin = Instant::now();
        tokens = run(127)?.iter().map(|sample| sample.tokens.len()).sum();
        times.push(begin.elapsed().as_secs_f64());
    }
    let answer = json!({"parameters": model.num_params(), "tokens": tokens});
    Ok((median(&times).unwrap_or(f64::NAN), answer))
}

fn inputs<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let mut stream = Stream::new(0, "bench inputs");
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &cpu())
}

fn classes(rows: usize) -> Tensor<1, Int> {
    let mut stream = Stream::new(0, "bench classes");
    let values: Vec<i32> = (0..rows).map(|_| stream.below(10) as i32).collect();
    Tensor::from_data(TensorData::new(values, [rows]), &cpu())
}
