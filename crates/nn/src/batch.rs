//! Batches of token sequences, and the order in which examples are seen.

use backstitch_numerics::Stream;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::attention::Visibility;
use crate::decoder::DecoderConfig;
use crate::error::NnError;

/// Sequences for next-token prediction or denoising, padded on the right. Row-major `[rows, length]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenBatch {
    rows: usize,
    length: usize,
    inputs: Vec<i32>,
    targets: Vec<i32>,
    weights: Vec<f32>,
    /// Inputs that no position attends to; without it, positions attend to what is before them.
    hidden: Option<Vec<bool>>,
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
        Ok(Self { rows, length, inputs, targets, weights, hidden: None })
    }

    /// Denoising with attention both ways: a hidden token is read as `mask`, no position attends to it or to padding, all other
    /// tokens are seen from everywhere. The hidden ones are the targets, each predicted from the position before it, as the next
    /// token is. `hidden[i]` is as long as sequence `i`, and its first token is not hidden. The last token of a sequence is never
    /// an input.
    ///
    /// # Errors
    /// If nothing is hidden, a first token is, or the lengths differ; and as [`TokenBatch::whole`].
    pub fn denoising(
        sequences: &[impl AsRef<[u32]>],
        hidden: &[Vec<bool>],
        mask: u32,
        config: &DecoderConfig,
    ) -> Result<Self, NnError> {
        let lengths = |lengths: &mut dyn Iterator<Item = usize>| lengths.collect::<Vec<usize>>();
        let wanted = lengths(&mut sequences.iter().map(|sequence| sequence.as_ref().len()));
        let found = lengths(&mut hidden.iter().map(Vec::len));
        if found != wanted {
            return Err(NnError::Shape { what: "hidden tokens".into(), found, wanted });
        }
        if !hidden.iter().flatten().any(|&hidden| hidden) {
            return Err(NnError::Empty { what: "the list of hidden tokens".into() });
        }
        if let Some(row) = hidden.iter().position(|row| row[0]) {
            let what = format!("what comes before the hidden first token of sequence {}", row + 1);
            return Err(NnError::Empty { what });
        }
        config.check(&[mask])?;
        let mut batch = Self::whole(sequences, config)?;
        let mut unseen = vec![true; batch.inputs.len()];
        for (row, hidden) in hidden.iter().enumerate() {
            for (at, pair) in hidden.windows(2).enumerate() {
                let place = row * batch.length + at;
                unseen[place] = pair[0];
                if pair[0] {
                    batch.inputs[place] = mask as i32;
                }
                batch.weights[place] = if pair[1] { 1.0 } else { 0.0 };
            }
        }
        batch.hidden = Some(unseen);
        Ok(batch)
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

    /// What each position may look at.
    pub fn visible(&self, device: &Device) -> Visibility {
        self.hidden.as_ref().map_or(Visibility::Causal, |hidden| {
            let data = TensorData::new(hidden.clone(), [self.rows, 1, 1, self.length]);
            Visibility::Hidden(Tensor::<4, Bool>::from_data(data, device))
        })
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
