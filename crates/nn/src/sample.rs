//! Sampling from a decoder with a key–value cache, many prompts at once.

use backstitch_numerics::Stream;
use burn::module::Module;

use crate::attention::Cache;
use crate::decoder::Decoder;
use crate::error::NnError;
use crate::tensors::host_values;

/// How to sample.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingParameters {
    /// At most so many new tokens.
    pub max_tokens: usize,
    /// 0 takes the most probable token; 1 samples from the model's distribution.
    pub temperature: f64,
    /// Only the so many most probable tokens are drawn; 0 for all.
    pub top_k: usize,
    /// Only the most probable tokens that together reach this probability are drawn; 1 for all.
    pub top_p: f64,
    /// A sample ends with any of these sequences, which stay part of it.
    pub stop: Vec<Vec<u32>>,
    /// Seed. Every prompt has a stream of its own, by its place in the list.
    pub seed: u64,
}

impl SamplingParameters {
    /// The most probable token each time, 32 tokens, no stop.
    pub fn greedy() -> Self {
        Self { max_tokens: 32, temperature: 0.0, top_k: 0, top_p: 1.0, stop: Vec::new(), seed: 0 }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the value that is out of range.
    pub fn validate(&self) -> Result<(), NnError> {
        let wrong = |name, value: f64, allowed| {
            let hint = "temperature 0 with top_p 1 is greedy decoding";
            Err(NnError::Parameter { name, value: value.to_string(), allowed, hint })
        };
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            return wrong("temperature", self.temperature, "a number of at least 0");
        }
        if self.top_p.is_nan() || self.top_p <= 0.0 || self.top_p > 1.0 {
            return wrong("top_p", self.top_p, "in (0, 1]");
        }
        if self.stop.iter().any(Vec::is_empty) {
            return Err(NnError::Empty { what: "a stop sequence".into() });
        }
        Ok(())
    }
}

/// Why a sample ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A stop sequence came.
    Sequence,
    /// `max_tokens` were drawn.
    Length,
    /// The context was full.
    Context,
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// The new tokens.
    pub tokens: Vec<u32>,
    /// The model's log-probability of each (at temperature 1, before top-k and top-p).
    pub log_probabilities: Vec<f64>,
    /// Why it ended.
    pub stop: Stop,
}

/// Prompts that are worked on together; more are taken in turns.
const ROWS: usize = 64;

/// One sample after each prompt, in the order of the prompts.
///
/// # Errors
/// If a prompt is empty, too long or has unknown tokens, or a parameter is out of range.
pub fn generate(
    model: &Decoder,
    prompts: &[Vec<u32>],
    parameters: &SamplingParameters,
) -> Result<Vec<Generation>, NnError> {
    parameters.validate()?;
    for (at, prompt) in prompts.iter().enumerate() {
        if prompt.is_empty() {
            return Err(NnError::Empty { what: format!("prompt {}", at + 1) });
        }
        model.config().check(prompt)?;
    }
    let model = model.valid();
    let mut samples = Vec::with_capacity(prompts.len());
    for (group, prompts) in prompts.chunks(ROWS).enumerate() {
        samples.extend(generate_group(&model, prompts, group * ROWS, parameters));
    }
    Ok(samples)
}

/// A prompt under way.
struct Row {
    /// Its place in the group.
    place: usize,
    padding: usize,
    stream: Stream,
}

fn generate_group(
    model: &Decoder,
    prompts: &[Vec<u32>],
    first: usize,
    parameters: &SamplingParameters,
) -> Vec<Generation> {
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
    let mut samples: Vec<Generation> = prompts
        .iter()
        .map(|_| Generation { tokens: Vec::new(), log_probabilities: Vec::new(), stop: Stop::Length })
        .collect();
    let mut rows: Vec<Row> = prompts
        .iter()
        .enumerate()
        .map(|(place, prompt)| Row {
            place,
            padding: longest - prompt.len(),
            stream: Stream::new(parameters.seed, &format!("sample {}", first + place)),
        })
        .collect();
    let mut next: Vec<Vec<u32>> = prompts
        .iter()
        .map(|prompt| std::iter::repeat_n(0, longest - prompt.len()).chain(prompt.iter().copied()).collect())
        .collect();
    let mut cache = Cache::new(model.config().layers);
    let vocabulary = model.config().vocabulary;
    for drawn in 1..=parameters.max_tokens {
        let padding: Vec<usize> = rows.iter().map(|row| row.padding).collect();
        let width = next[0].len();
        let logits = model.extend(&next, &padding, &mut cache).narrow(1, width - 1, 1);
        let logits = host_values(logits);
        let mut kept = Vec::new();
        next = Vec::new();
        for (at, row) in rows.iter_mut().enumerate() {
            let logits = &logits[at * vocabulary..(at + 1) * vocabulary];
            let (token, log_probability) = draw(logits, parameters, &mut row.stream);
            let sample = &mut samples[row.place];
            sample.tokens.push(token);
            sample.log_probabilities.push(log_probability);
            // The token just drawn must still be read, at this position.
            let position = prompts[row.place].len() + drawn;
            if parameters.stop.iter().any(|stop| sample.tokens.ends_with(stop)) {
                sample.stop = Stop::Sequence;
            } else if position > model.config().context && drawn < parameters.max_tokens {
                sample.stop = Stop::Context;
            } else {
                kept.push(at);
                next.push(vec![token]);
            }
        }
        if kept.is_empty() || drawn == parameters.max_tokens {
            break;
        }
        if kept.len() < rows.len() {
            cache = cache.select(&kept);
            let mut at = 0;
            rows.retain(|_| {
                at += 1;
                kept.binary_search(&(at - 1)).is_ok()
            });
        }
    }
    samples
}

/// A token and its log-probability under the model.
fn draw(logits: &[f32], parameters: &SamplingParameters, stream: &mut Stream) -> (u32, f64) {
    let log_total = log_sum_exp(logits.iter().map(|&logit| f64::from(logit)));
    let mut order: Vec<usize> = (0..logits.len()).collect();
    let token = if parameters.temperature == 0.0 {
        // Ties go to the smaller token, whatever the sort.
        order
            .into_iter()
            .reduce(|best, token| if logits[token] > logits[best] { token } else { best })
            .unwrap_or(0)
    } else {
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        if parameters.top_k > 0 {
            order.truncate(parameters.top_k);
        }
        let scaled = |token: usize| f64::from(logits[token]) / parameters.temperature;
        let log_scale = log_sum_exp(order.iter().map(|&token| scaled(token)));
        let mut probabilities: Vec<f64> =
            order.iter().map(|&token| (scaled(token) - log_scale).exp()).collect();
        let mut reached = 0.0;
        let enough = probabilities.iter().position(|probability| {
            reached += probability;
            reached >= parameters.top_p
        });
        probabilities.truncate(enough.map_or(order.len(), |last| last + 1));
        let mut left = stream.uniform() * probabilities.iter().sum::<f64>();
        let chosen = probabilities.iter().position(|probability| {
            left -= probability;
            left < 0.0
        });
        order[chosen.unwrap_or(probabilities.len() - 1)]
    };
    (token as u32, f64::from(logits[token]) - log_total)
}

/// `ln Σ eˣ` without overflow.
pub(crate) fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest.is_finite() {
        largest + values.map(|value| (value - largest).exp()).sum::<f64>().ln()
    } else {
        largest
    }
}
