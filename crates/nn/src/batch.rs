//! Batches of token sequences, and the order in which examples are seen.

use backstitch_numerics::Stream;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::decoder::DecoderConfig;
use crate::error::NnError;

/// Sequences for next-token prediction, padded on the right. Row-major `[rows, length]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenBatch {
    rows: usize,
    length: usize,
    inputs: Vec<i32>,
    targets: Vec<i32>,
    weights: Vec<f32>,
}

impl TokenBatch {
    /// Every token of every sequence but the first is a target.
    ///
    /// # Errors
    /// If a sequence has fewer than two tokens, or does not fit the model.
    pub fn whole(sequences: &[impl AsRef<[u32]>], config: &DecoderConfig) -> Result<Self, NnError> {
        let from: Vec<usize> = vec![1; sequences.len()];
        Self::from(sequences, &from, config)
    }

    /// The tokens of sequence `i` from position `first_target[i]` on are targets (at least 1): the loss is on a completion,
    /// not on its prompt.
    ///
    /// # Errors
    /// If a sequence has no target, or does not fit the model.
    pub fn from(
        sequences: &[impl AsRef<[u32]>],
        first_target: &[usize],
        config: &DecoderConfig,
    ) -> Result<Self, NnError> {
        if sequences.len() != first_target.len() {
            let (found, wanted) = (vec![first_target.len()], vec![sequences.len()]);
            return Err(NnError::Shape { what: "first targets".into(), found, wanted });
        }
        let longest = sequences.iter().map(|sequence| sequence.as_ref().len()).max().unwrap_or(0);
        let length = longest.saturating_sub(1);
        let (rows, size) = (sequences.len(), sequences.len() * length);
        let (mut inputs, mut targets, mut weights) = (vec![0; size], vec![0; size], vec![0.0; size]);
        for (row, (sequence, &first)) in sequences.iter().zip(first_target).enumerate() {
            let sequence = sequence.as_ref();
            if sequence.len() <= first.max(1) {
                return Err(NnError::Empty { what: format!("the target of sequence {}", row + 1) });
            }
            // The last token is a target only: the model never sees it.
            config.check(&sequence[..sequence.len() - 1])?;
            config.check(&sequence[sequence.len() - 1..])?;
            for (at, pair) in sequence.windows(2).enumerate() {
                let place = row * length + at;
                inputs[place] = pair[0] as i32;
                targets[place] = pair[1] as i32;
                weights[place] = if at + 1 >= first { 1.0 } else { 0.0 };
            }
        }
        Ok(Self { rows, length, inputs, targets, weights })
    }

    /// Number of sequences and padded length.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.length]
    }

    /// Number of targets.
    pub fn targets_count(&self) -> usize {
        self.weights.iter().filter(|&&weight| weight > 0.0).count()
    }

    /// Inputs, `[rows, length]`.
    pub fn inputs(&self, device: &Device) -> Tensor<2, Int> {
        Tensor::from_data(TensorData::new(self.inputs.clone(), [self.rows, self.length]), device)
    }

    /// Targets, `[rows · length]`.
    pub fn targets(&self, device: &Device) -> Tensor<1, Int> {
        Tensor::from_data(TensorData::new(self.targets.clone(), [self.rows * self.length]), device)
    }

    /// Weights of the targets, `[rows · length]`.
    pub fn weights(&self, device: &Device) -> Tensor<1> {
        Tensor::from_data(TensorData::new(self.weights.clone(), [self.rows * self.length]), device)
    }
}

/// Examples in epochs, each in a random order of its own that depends on the seed and the epoch only: the step alone says
/// which examples come next, so a killed run needs no saved position.
#[derive(Clone, Debug)]
pub struct Shuffled {
    count: usize,
    batch: usize,
    seed: u64,
    purpose: String,
    order: Option<(u64, Vec<usize>)>,
}

impl Shuffled {
    /// Batches of `batch` out of `count` examples.
    ///
    /// # Errors
    /// If either is 0.
    pub fn new(count: usize, batch: usize, seed: u64, purpose: &str) -> Result<Self, NnError> {
        for (name, value) in [("examples", count), ("batch", batch)] {
            if value == 0 {
                return Err(NnError::Parameter {
                    name,
                    value: "0".into(),
                    allowed: "at least 1",
                    hint: "give some",
                });
            }
        }
        Ok(Self { count, batch, seed, purpose: purpose.into(), order: None })
    }

    /// How many steps one pass over the examples takes (the last batch of a pass is filled from the next one).
    pub fn steps_per_epoch(&self) -> u64 {
        self.count.div_ceil(self.batch) as u64
    }

    /// The examples of step `step`, counted from 1.
    pub fn at(&mut self, step: u64) -> Vec<usize> {
        let first = step.saturating_sub(1) * self.batch as u64;
        (first..first + self.batch as u64).map(|place| self.example(place)).collect()
    }

    fn example(&mut self, place: u64) -> usize {
        let (epoch, within) = (place / self.count as u64, (place % self.count as u64) as usize);
        if self.order.as_ref().is_none_or(|(known, _)| *known != epoch) {
            let mut stream = Stream::new(self.seed, &format!("{} epoch {epoch}", self.purpose));
            self.order = Some((epoch, stream.permutation(self.count)));
        }
        self.order.as_ref().map_or(0, |(_, order)| order[within])
    }
}
