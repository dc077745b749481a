//! Whole decoders: the linear layers of every block, in the order in which data passes them.
//!
//! The token table, the positions, the norms and the output stay as they are. Each layer is rounded for the inputs that the blocks and
//! layers before it give once they are quantised.

use backstitch_nn::{
    BlockPass, Checkpoint, Decoder, Int, Module, NamedTensor, Tensor, TensorData, TokenBatch,
    named_parameters, with_some_parameters,
};
use std::collections::BTreeMap;

use super::FlexRound;
use super::layer::{LayerReport, Quantised};
use super::moments::Moments;
use super::parameters::Parameters;
use super::sequential::Calibration;
use crate::{Error, Rows};

/// Sequences that are worked on together.
const TOGETHER: usize = 8;

/// Layers of a block that have the same input.
struct Stage {
    layers: &'static [&'static str],
    input: fn(BlockPass) -> Tensor<3>,
}

const STAGES: [Stage; 4] = [
    Stage { layers: &["attention.qkv"], input: |pass| pass.qkv },
    Stage { layers: &["attention.output"], input: |pass| pass.output },
    Stage { layers: &["feed.up", "feed.gate"], input: |pass| pass.feed },
    Stage { layers: &["feed.down"], input: |pass| pass.down },
];

/// A decoder whose blocks have whole numbers for weights.
#[derive(Clone, Debug)]
pub struct QuantisedDecoder {
    /// With the weights that the whole numbers stand for.
    pub(super) checkpoint: Checkpoint,
    /// By the names of the parameters, outputs × inputs.
    pub(super) layers: BTreeMap<String, Quantised>,
    pub(super) reports: Vec<LayerReport>,
    pub(super) parameters: Parameters,
    pub(super) calibration: Calibration,
}

impl QuantisedDecoder {
    /// The model, with the weights that the whole numbers stand for, and its tokenizer.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// What became of each layer, in the order of the data.
    pub fn reports(&self) -> &[LayerReport] {
        &self.reports
    }

    /// What was set.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What it was calibrated on.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Says what it was calibrated on.
    pub fn set_calibration(&mut self, calibration: Calibration) {
        self.calibration = calibration;
    }
}

impl FlexRound {
    /// Quantises the linear layers of all blocks for calibration sequences of one length; `said` hears of each layer.
    ///
    /// # Errors
    /// [`Error::Calibration`] for no sequences, sequences of several lengths or that do not fit the model; [`Error::Tensor`] for weights that
    /// are not finite; [`Error::Parameter`] for what is not for decoders: blocks of layers, and inputs of few bits.
    pub fn quantise_decoder(
        &self,
        checkpoint: &Checkpoint,
        sequences: &[Vec<u32>],
        mut said: impl FnMut(&LayerReport),
    ) -> Result<QuantisedDecoder, Error> {
        self.refuse_networks_only()?;
        let full = checkpoint.model.clone().valid();
        let batches = batches(&full, sequences)?;
        let weights = named_parameters(&full);
        let mut current = full.clone();
        let (mut layers, mut reports) = (BTreeMap::new(), Vec::new());
        // The residual streams of both models before the block.
        let mut streams: Vec<[Tensor<3>; 2]> = batches
            .into_iter()
            .map(|tokens| {
                let stream = full.stream(tokens);
                [stream.clone(), stream]
            })
            .collect();
        for block in 0..full.config().layers {
            let pass = |model: &Decoder, stream: &Tensor<3>| {
                model.block(block, stream.clone()).map_err(|error| inner(&error))
            };
            for stage in &STAGES {
                let mut moments: Option<Moments> = None;
                for [own, quantised] in &streams {
                    let own = rows((stage.input)(pass(&full, own)?))?;
                    let quantised = rows((stage.input)(pass(&current, quantised)?))?;
                    moments.get_or_insert_with(|| Moments::new(own.columns())).add_pair(&own, &quantised)?;
                }
                let Some(moments) = moments else { continue };
                let mut replaced = BTreeMap::new();
                for layer in stage.layers {
                    let name = format!("backbone.blocks.{block}.{layer}.weight");
                    let Some(tensor) = weights.get(&name) else { continue };
                    let shown = format!("block {block}, {layer}");
                    let (found, mut report) = self.quantise(&shown, &transposed(tensor)?, None, &moments)?;
                    report.name = name.clone();
                    said(&report);
                    reports.push(report);
                    replaced.insert(name.clone(), weights_of(&found));
                    layers.insert(name, found);
                }
                current = with_some_parameters(current, replaced).map_err(|error| inner(&error))?;
            }
            for [own, quantised] in &mut streams {
                *own = pass(&full, own)?.stream;
                *quantised = pass(&current, quantised)?.stream;
            }
        }
        let order = format!("{} sequences of {} tokens", sequences.len(), sequences[0].len());
        Ok(QuantisedDecoder {
            checkpoint: Checkpoint { model: current, tokenizer: checkpoint.tokenizer.clone() },
            layers,
            reports,
            parameters: self.parameters().clone(),
            calibration: Calibration { rows: sequences.len(), sha256: String::new(), order },
        })
    }

    fn refuse_networks_only(&self) -> Result<(), Error> {
        let Parameters { block, activation_bits, .. } = *self.parameters();
        let refuse = |name, value: f64, allowed| {
            let way_out = "decoders are quantised layer by layer, with inputs as they are";
            Err(Error::Parameter { name, value, allowed, way_out })
        };
        match activation_bits {
            Some(bits) => refuse("activation_bits", f64::from(bits), "left out for a decoder"),
            None if block != 1 => refuse("block", block as f64, "1 for a decoder"),
            None => Ok(()),
        }
    }
}

/// The mean of −ln p over all tokens of the sequences but the first of each: e to its power is the perplexity.
///
/// # Errors
/// [`Error::Calibration`] for sequences without a second token, or that do not fit the model.
pub fn nats_per_token(model: &Decoder, sequences: &[Vec<u32>]) -> Result<f64, Error> {
    let refuse = |problem: String| Error::Calibration { problem, way_out: "give more text" };
    let (mut total, mut count) = (0.0, 0);
    for sequences in sequences.chunks(TOGETHER) {
        let batch =
            TokenBatch::whole(sequences, model.config()).map_err(|error| refuse(error.to_string()))?;
        let tokens: usize = sequences.iter().map(|sequence| sequence.len() - 1).sum();
        total += f64::from(model.loss(&batch).into_scalar::<f32>()) * tokens as f64;
        count += tokens;
    }
    if count == 0 {
        return Err(refuse("there is no token to predict".into()));
    }
    Ok(total / count as f64)
}

/// Tokens in batches, once they are known to fit.
fn batches(model: &Decoder, sequences: &[Vec<u32>]) -> Result<Vec<Tensor<2, Int>>, Error> {
    let refuse = |problem: String, way_out| Err(Error::Calibration { problem, way_out });
    let Some(length) = sequences.first().map(Vec::len).filter(|length| *length > 0) else {
        return refuse("there are no sequences".into(), "give text that is at least as long as one sequence");
    };
    for (place, sequence) in sequences.iter().enumerate() {
        if sequence.len() != length {
            return refuse(
                format!("sequence {} has {} tokens, and the first has {length}", place + 1, sequence.len()),
                "cut the text into sequences of one length",
            );
        }
        if let Err(error) = model.config().check(sequence) {
            return refuse(format!("sequence {}: {error}", place + 1), "cut the text as the model takes it");
        }
    }
    let batch = |sequences: &[Vec<u32>]| {
        let flat: Vec<i32> = sequences.iter().flatten().map(|&token| token as i32).collect();
        Tensor::from_data(TensorData::new(flat, [sequences.len(), length]), &model.device())
    };
    Ok(sequences.chunks(TOGETHER).map(batch).collect())
}

/// `[batch, length, width]` as rows of numbers.
fn rows(tensor: Tensor<3>) -> Result<Rows, Error> {
    let [batch, length, width] = tensor.dims();
    let values = tensor.into_data().try_into_vec::<f32>().unwrap_or_default();
    Rows::new(batch * length, width, values).ok_or_else(|| Error::Calibration {
        problem: "the model is not in single precision".into(),
        way_out: "read it with weights in single precision",
    })
}

/// Inputs × outputs, as models of ours keep weights, to outputs × inputs.
fn transposed(tensor: &NamedTensor) -> Result<Rows, Error> {
    match tensor.shape[..] {
        [inputs, outputs] if inputs * outputs == tensor.values.len() => {
            Ok(Rows::from_fn(outputs, inputs, |output, input| tensor.values[input * outputs + output]))
        }
        _ => Err(Error::Calibration {
            problem: format!("a weight has the shape {:?}, but must be a matrix", tensor.shape),
            way_out: "give a decoder as published",
        }),
    }
}

/// The weights that whole numbers stand for, inputs × outputs.
pub(super) fn weights_of(quantised: &Quantised) -> NamedTensor {
    let weights = quantised.weights();
    let (outputs, inputs) = (quantised.rows, quantised.columns);
    let values = (0..inputs * outputs).map(|at| weights.row(at % outputs)[at / outputs]).collect();
    NamedTensor { shape: vec![inputs, outputs], values }
}

pub(super) fn inner(error: &backstitch_nn::NnError) -> Error {
    Error::Model { problem: error.to_string(), way_out: "give a decoder as published" }
}
