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
    /// Seed of [`generate`]. Every prompt has a stream of its own, by its place in the list.
    pub seed: u64,
    /// The so many most probable tokens of each place are reported; 0 for none.
    pub alternatives: usize,
}

impl SamplingParameters {
    /// The most probable token each time, 32 tokens, no stop.
    pub fn greedy() -> Self {
        Self {
            max_tokens: 32,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            stop: Vec::new(),
            seed: 0,
            alternatives: 0,
        }
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
    /// A stop sequence came, or the caller ended it.
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
    /// The most probable tokens of each place with their log-probabilities, likeliest first, if they were asked for.
    pub alternatives: Vec<Vec<(u32, f64)>>,
    /// Why it ended.
    pub stop: Stop,
}

/// Samples that are worked on together; more are taken in turns.
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
    let stream = |place| Stream::new(parameters.seed, &format!("sample {place}"));
    let streams = (0..prompts.len()).map(|place| vec![stream(place)]).collect();
    let samples = generate_many(model, prompts, streams, parameters, &|_| false)?;
    Ok(samples.into_iter().flatten().collect())
}

/// As many samples after each prompt as it has streams, in their order. A prompt is read once for all of its samples. `ended` is
/// shown the tokens of a sample after each new one, and may end it there.
///
/// # Errors
/// As [`generate`]; and if there are not as many lists of streams as prompts.
pub fn generate_many(
    model: &Decoder,
    prompts: &[Vec<u32>],
    streams: Vec<Vec<Stream>>,
    parameters: &SamplingParameters,
    ended: &dyn Fn(&[u32]) -> bool,
) -> Result<Vec<Vec<Generation>>, NnError> {
    parameters.validate()?;
    if streams.len() != prompts.len() {
        let (found, wanted) = (vec![streams.len()], vec![prompts.len()]);
        return Err(NnError::Shape { what: "streams of samples".into(), found, wanted });
    }
    for (at, prompt) in prompts.iter().enumerate() {
        if prompt.is_empty() {
            return Err(NnError::Empty { what: format!("prompt {}", at + 1) });
        }
        model.config().check(prompt)?;
    }
    let model = model.valid();
    let mut samples: Vec<Vec<Generation>> = prompts.iter().map(|_| Vec::new()).collect();
    let mut draws = streams
        .into_iter()
        .enumerate()
        .flat_map(|(prompt, streams)| streams.into_iter().map(move |stream| (prompt, stream)));
    loop {
        let group: Vec<(usize, Stream)> = draws.by_ref().take(ROWS).collect();
        if group.is_empty() {
            return Ok(samples);
        }
        let of: Vec<usize> = group.iter().map(|(prompt, _)| *prompt).collect();
        for (prompt, sample) in of.into_iter().zip(generate_group(&model, prompts, group, parameters, ended))
        {
            samples[prompt].push(sample);
        }
    }
}

/// A sample under way.
struct Row {
    /// Its place in the group.
    place: usize,
    /// Tokens of its prompt.
    prompt: usize,
    padding: usize,
    stream: Stream,
}

/// A sample for each prompt, by its number, and stream; equal numbers stand side by side.
fn generate_group(
    model: &Decoder,
    prompts: &[Vec<u32>],
    group: Vec<(usize, Stream)>,
    parameters: &SamplingParameters,
    ended: &dyn Fn(&[u32]) -> bool,
) -> Vec<Generation> {
    let empty = || Generation {
        tokens: Vec::new(),
        log_probabilities: Vec::new(),
        alternatives: Vec::new(),
        stop: Stop::Length,
    };
    let mut samples: Vec<Generation> = group.iter().map(|_| empty()).collect();
    let mut read: Vec<usize> = group.iter().map(|(prompt, _)| *prompt).collect();
    read.dedup();
    let longest = read.iter().map(|&prompt| prompts[prompt].len()).max().unwrap_or(0);
    let padding = |prompt: usize| longest - prompts[prompt].len();
    let mut next: Vec<Vec<u32>> = read
        .iter()
        .map(|&prompt| {
            std::iter::repeat_n(0, padding(prompt)).chain(prompts[prompt].iter().copied()).collect()
        })
        .collect();
    // The row of the first logits in which each sample finds its own.
    let mut source: Vec<usize> =
        group.iter().map(|(prompt, _)| read.partition_point(|at| at < prompt)).collect();
    let mut rows: Vec<Row> = group
        .into_iter()
        .enumerate()
        .map(|(place, (prompt, stream))| Row {
            place,
            prompt: prompts[prompt].len(),
            padding: padding(prompt),
            stream,
        })
        .collect();
    let mut cache = Cache::new(model.config().layers);
    let vocabulary = model.config().vocabulary;
    let mut paddings: Vec<usize> = read.iter().map(|&prompt| padding(prompt)).collect();
    for drawn in 1..=parameters.max_tokens {
        let width = next[0].len();
        let logits = model.extend(&next, &paddings, &mut cache).narrow(1, width - 1, 1);
        let logits = host_values(logits);
        let mut kept = Vec::new();
        next = Vec::new();
        for (at, row) in rows.iter_mut().enumerate() {
            let logits = &logits[source[at] * vocabulary..(source[at] + 1) * vocabulary];
            let (token, log_probability) = draw(logits, parameters, &mut row.stream);
            let sample = &mut samples[row.place];
            sample.tokens.push(token);
            sample.log_probabilities.push(log_probability);
            if parameters.alternatives > 0 {
                sample.alternatives.push(likeliest(logits, parameters.alternatives));
            }
            // The token just drawn must still be read, at this position.
            let position = row.prompt + drawn;
            if parameters.stop.iter().any(|stop| sample.tokens.ends_with(stop)) || ended(&sample.tokens) {
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
        let selected: Vec<usize> = kept.iter().map(|&at| source[at]).collect();
        if !selected.iter().copied().eq(0..paddings.len()) {
            cache = cache.select(&selected);
        }
        if kept.len() < rows.len() {
            let mut at = 0;
            rows.retain(|_| {
                at += 1;
                kept.binary_search(&(at - 1)).is_ok()
            });
        }
        paddings = rows.iter().map(|row| row.padding).collect();
        source = (0..rows.len()).collect();
    }
    samples
}

/// The most probable tokens with their log-probabilities, likeliest first; the smaller of equals first.
fn likeliest(logits: &[f32], count: usize) -> Vec<(u32, f64)> {
    let log_total = log_sum_exp(logits.iter().map(|&logit| f64::from(logit)));
    let mut order: Vec<usize> = (0..logits.len()).collect();
    let by_logit = |&a: &usize, &b: &usize| logits[b].total_cmp(&logits[a]).then(a.cmp(&b));
    let count = count.min(order.len());
    if count < order.len() {
        order.select_nth_unstable_by(count, by_logit);
        order.truncate(count);
    }
    order.sort_by(by_logit);
    order.into_iter().map(|token| (token as u32, f64::from(logits[token]) - log_total)).collect()
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
