//! A decoder trained on observations: the model of text that the estimators ask.

use backstitch_nn::{
    Decoder, DecoderConfig, Device, NnError, Scorer, Shuffled, TokenBatch, Trainer, TrainingParameters,
};
use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};

use super::observe::Observation;
use super::vocabulary::Vocabulary;
use crate::Error;

/// Batches that are cut from one shuffled pool, so that samples of like length share a batch and little is padded.
const POOL: u64 = 16;

/// How the decoder knows where a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Learned positions, as GPT-2 and the paper.
    Gpt2,
    /// Rotary positions and gated layers, as Llama.
    Llama,
}

/// Shape and training of the decoder. The default is this project's small one: width 64, 2 layers, 4 heads, 128 samples per step,
/// 1,000 steps. The paper has 10 layers of width 512.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearnerParameters {
    /// The kind of decoder.
    pub shape: Shape,
    /// Width of the residual stream.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads; divides the width.
    pub heads: usize,
    /// Samples per step.
    pub batch: usize,
    /// Steps, learning rate and optimiser.
    pub training: TrainingParameters,
}

impl Default for LearnerParameters {
    fn default() -> Self {
        Self {
            shape: Shape::Gpt2,
            width: 64,
            layers: 2,
            heads: 4,
            batch: 128,
            training: TrainingParameters::default(),
        }
    }
}

impl LearnerParameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a shape that does not fit, [`Error::Network`] for training parameters outside their range.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, value, most) in [
            ("width", self.width as u64, 1 << 14),
            ("layers", self.layers as u64, 1 << 10),
            ("heads", self.heads as u64, 1 << 10),
            ("batch", self.batch as u64, 1 << 20),
            ("steps", self.training.steps, 1 << 40),
        ] {
            if value == 0 || value > most {
                return Err(Error::Parameter {
                    name,
                    value: value.to_string(),
                    allowed: format!("from 1 to {most}"),
                    way_out: "width 64, 2 layers, 4 heads, 128 samples and 1000 steps do for 24 variables",
                });
            }
        }
        if !self.width.is_multiple_of(self.heads) {
            return Err(Error::Parameter {
                name: "heads",
                value: self.heads.to_string(),
                allowed: format!("a divisor of the width {}", self.width),
                way_out: "change one of the two",
            });
        }
        Ok(self.training.validate()?)
    }

    /// A decoder with a place for every token of the longest sample: the start, the target, and every variable
    /// with its value.
    pub fn decoder(&self, vocabulary: &Vocabulary) -> DecoderConfig {
        let context = 2 * vocabulary.names().len() + 2;
        let Self { width, layers, heads, .. } = *self;
        match self.shape {
            Shape::Gpt2 => DecoderConfig::gpt2(vocabulary.len(), context, width, layers, heads),
            Shape::Llama => DecoderConfig::llama(vocabulary.len(), context, width, layers, heads, heads),
        }
    }

    /// A trainer of a fresh decoder on a device without autodiff; initial weights depend on the seed only.
    ///
    /// # Errors
    /// As [`LearnerParameters::validate`].
    pub fn trainer(
        &self,
        vocabulary: &Vocabulary,
        seed: u64,
        device: &Device,
    ) -> Result<Trainer<Decoder>, Error> {
        self.validate()?;
        let model = Decoder::new(&self.decoder(vocabulary), seed, &device.clone().autodiff());
        Ok(Trainer::new(model?, self.training)?)
    }
}

/// Observations as token sequences, in batches that depend on the seed and the step only.
///
/// Sixteen batches at a time are cut from a shuffled pool sorted by length, and come in random order: a batch then has samples of
/// like length, and almost no place of it is padding.
#[derive(Clone, Debug)]
pub struct Lessons {
    sequences: Vec<Vec<u32>>,
    config: DecoderConfig,
    batch: usize,
    seed: u64,
    shuffled: Shuffled,
    /// The last pool made, and the sequences of its batches.
    pool: Option<(u64, Vec<Vec<usize>>)>,
}

impl Lessons {
    /// Takes what was observed.
    ///
    /// # Errors
    /// [`Error::Network`] if there is no observation.
    pub fn new(
        observations: &[Observation],
        vocabulary: &Vocabulary,
        parameters: &LearnerParameters,
        seed: u64,
    ) -> Result<Self, Error> {
        parameters.validate()?;
        let batch = parameters.batch;
        let shuffled = Shuffled::new(observations.len(), batch * POOL as usize, seed, "locality lessons")?;
        let sequences = observations.iter().map(|observation| vocabulary.encode(observation)).collect();
        Ok(Self { sequences, config: parameters.decoder(vocabulary), batch, seed, shuffled, pool: None })
    }

    /// The batch of a step, counted from 1.
    ///
    /// # Errors
    /// If an observation does not fit the vocabulary, or is empty.
    pub fn batch(&mut self, step: u64) -> Result<TokenBatch, NnError> {
        let place = step.saturating_sub(1);
        let (number, part) = (place / POOL, (place % POOL) as usize);
        if self.pool.as_ref().is_none_or(|(known, _)| *known != number) {
            let mut order = self.shuffled.at(number + 1);
            order.sort_by_key(|&sequence| self.sequences[sequence].len());
            let batches: Vec<&[usize]> = order.chunks(self.batch).collect();
            let turns =
                Stream::new(self.seed, &format!("locality lessons pool {number}")).permutation(batches.len());
            self.pool = Some((number, turns.into_iter().map(|turn| batches[turn].to_vec()).collect()));
        }
        let chosen = self.pool.as_ref().map_or(&[][..], |(_, batches)| &batches[part]);
        let rows: Vec<&[u32]> = chosen.iter().map(|&sequence| self.sequences[sequence].as_slice()).collect();
        TokenBatch::whole(&rows, &self.config)
    }

    /// Tokens of all sequences.
    pub fn tokens(&self) -> usize {
        self.sequences.iter().map(Vec::len).sum()
    }
}

/// Trains a decoder on observations from start to end. `after` is told the step and its loss.
///
/// # Errors
/// As [`LearnerParameters::trainer`] and [`Lessons::new`]; [`Error::Network`] if training diverges.
pub fn learn(
    observations: &[Observation],
    vocabulary: &Vocabulary,
    parameters: &LearnerParameters,
    seed: u64,
    device: &Device,
    mut after: impl FnMut(u64, f64),
) -> Result<Decoder, Error> {
    let mut lessons = Lessons::new(observations, vocabulary, parameters, seed)?;
    let mut trainer = parameters.trainer(vocabulary, seed, device)?;
    let told = |_: &Trainer<Decoder>, report: &backstitch_nn::StepReport| {
        after(report.step, report.loss);
        Ok(())
    };
    trainer.run(|step| lessons.batch(step), Decoder::loss, told)?;
    Ok(trainer.into_model())
}

/// The closure that an [`super::Estimator`] asks: log-probabilities of the next token by a decoder.
pub fn ask(scorer: &Scorer) -> impl FnMut(&[Vec<u32>]) -> Result<Vec<Vec<f64>>, Error> + '_ {
    |prompts| Ok(scorer.next(prompts)?)
}
