//! Specifications of Hugging Face decoders, from the names of their tensors and their config.json: GPT-2, Llama, Qwen2.
//!
//! Three kinds of permutations leave the function as it is: of the hidden units of each feed-forward layer; of the attention heads of
//! each layer, moved whole (rotary positions are the same in every head), where query heads that share keys move with them or among
//! themselves; and one of the residual stream, which every layer reads and writes (layer norm and RMS norm do not see the order).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::checkpoint::Checkpoint;
use super::specification::{AxisUse, Draft, Specification, is_mask, units};
use crate::Error;

/// What is read of a config.json.
#[derive(Debug, Default, Deserialize)]
struct Configuration {
    model_type: Option<String>,
    n_head: Option<usize>,
    num_attention_heads: Option<usize>,
    num_key_value_heads: Option<usize>,
}

/// Names that only one shape has.
const GPT2: &str = "wte.weight";
const LLAMA: &str = "embed_tokens.weight";

/// Whether names are those of a decoder.
pub(super) fn is_decoder(weights: &Checkpoint) -> bool {
    weights
        .tensors()
        .any(|(name, _)| [GPT2, LLAMA].iter().any(|end| name == *end || name.ends_with(&format!(".{end}"))))
}

/// The specification of a decoder. Without a configuration, attention heads stay where they are: shapes do not tell how many there are.
pub(super) fn specification(
    weights: &Checkpoint,
    configuration: Option<&str>,
) -> Result<Specification, Error> {
    let configuration = match configuration {
        None => None,
        Some(text) => Some(serde_json::from_str::<Configuration>(text).map_err(|error| Error::Model {
            problem: format!("config.json cannot be read: {error}"),
            way_out: "give the config.json that belongs to the weights",
        })?),
    };
    let gpt2 = weights.tensors().any(|(name, _)| name.ends_with(GPT2));
    let own_type = configuration.as_ref().and_then(|found| found.model_type.as_deref());
    let known: &[&str] = if gpt2 { &["gpt2"] } else { &["llama", "qwen2"] };
    if let Some(other) = own_type.filter(|own| !known.contains(own)) {
        return Err(Error::Model {
            problem: format!(
                "config.json has the model type {other:?}, but names are those of {}",
                known.join(" or ")
            ),
            way_out: "give a specification of your own with --spec",
        });
    }
    let mut draft = Draft::default();
    let mut parts = Parts { draft: &mut draft, residual: 0, heads: BTreeMap::new(), hidden: BTreeMap::new() };
    let width = weights.tensors().find(|(name, _)| name.ends_with(GPT2) || name.ends_with(LLAMA));
    let width = width.and_then(|(_, tensor)| tensor.shape().get(1)).copied().unwrap_or(0);
    parts.residual = parts.draft.permutation("residual", width, 1);
    for (name, tensor) in weights.tensors() {
        let short = name.strip_prefix(if gpt2 { "transformer." } else { "model." }).unwrap_or(name);
        let shape = tensor.shape();
        if !tensor.is_floating() || is_mask(name) {
            continue;
        }
        let axes = if gpt2 {
            parts.gpt2(short, shape, configuration.as_ref())
        } else {
            parts.llama(short, shape, configuration.as_ref())
        };
        let axes = axes.map_err(|problem| Error::Tensor {
            name: name.into(),
            problem,
            way_out: "give a specification of your own with --spec; --write-spec shows the form",
        })?;
        parts.draft.tensor(name, &axes);
    }
    let counted =
        configuration.as_ref().is_some_and(|found| found.n_head.or(found.num_attention_heads).is_some());
    if !counted {
        draft.notes.push(
            "attention heads stay where they are: without config.json their number is not known".into(),
        );
    }
    draft.finish(weights)
}

struct Parts<'a> {
    draft: &'a mut Draft,
    residual: usize,
    /// By layer.
    heads: BTreeMap<usize, usize>,
    hidden: BTreeMap<usize, usize>,
}

/// Layer and rest of `<stem>.<layer>.<rest>`.
fn in_layer<'a>(name: &'a str, stem: &str) -> Option<(usize, &'a str)> {
    let (layer, rest) = name.strip_prefix(stem)?.strip_prefix('.')?.split_once('.')?;
    Some((layer.parse().ok()?, rest))
}

type Axes = Result<Vec<Option<AxisUse>>, String>;

fn unknown<T>() -> Result<T, String> {
    Err("decoders of this family have no tensor of that name".into())
}

impl Parts<'_> {
    fn hidden(&mut self, layer: usize, width: usize) -> Option<AxisUse> {
        let draft = &mut *self.draft;
        units(
            *self
                .hidden
                .entry(layer)
                .or_insert_with(|| draft.permutation(&format!("layer {layer} hidden"), width, 1)),
        )
    }

    /// Heads on an axis of `before` times as many; none if their number is not known.
    fn heads(
        &mut self,
        layer: usize,
        heads: Heads,
        length: usize,
        before: usize,
        groups: bool,
    ) -> Result<Option<AxisUse>, String> {
        let Some((count, shared)) = heads.0 else { return Ok(None) };
        let units = if groups { shared } else { count };
        if count == 0
            || shared == 0
            || !count.is_multiple_of(shared)
            || !length.is_multiple_of(units * before)
        {
            return Err(format!(
                "{count} heads, {shared} of them with keys, do not divide an axis of {length} numbers"
            ));
        }
        let draft = &mut *self.draft;
        let permutation = *self
            .heads
            .entry(layer)
            .or_insert_with(|| draft.permutation(&format!("layer {layer} heads"), count, count / shared));
        Ok(Some(AxisUse { permutation, groups, before, after: length / (units * before) }))
    }

    fn gpt2(&mut self, name: &str, shape: &[usize], configuration: Option<&Configuration>) -> Axes {
        let residual = units(self.residual);
        let heads = Heads(
            configuration
                .and_then(|found| found.n_head.or(found.num_attention_heads))
                .map(|count| (count, count)),
        );
        match (name, shape) {
            ("wte.weight" | "wpe.weight" | "lm_head.weight", [_, _]) => return Ok(vec![None, residual]),
            ("ln_f.weight" | "ln_f.bias", [_]) => return Ok(vec![residual]),
            _ => {}
        }
        let Some((layer, rest)) = in_layer(name, "h") else { return unknown() };
        Ok(match (rest, shape) {
            (
                "ln_1.weight" | "ln_1.bias" | "ln_2.weight" | "ln_2.bias" | "attn.c_proj.bias"
                | "mlp.c_proj.bias",
                [_],
            ) => vec![residual],
            // Inputs × outputs, unlike everywhere else.
            ("attn.c_attn.weight", [_, length]) => {
                vec![residual, self.heads(layer, heads, *length, 3, false)?]
            }
            ("attn.c_attn.bias", [length]) => vec![self.heads(layer, heads, *length, 3, false)?],
            ("attn.c_proj.weight", [length, _]) => {
                vec![self.heads(layer, heads, *length, 1, false)?, residual]
            }
            ("mlp.c_fc.weight", [_, width]) => vec![residual, self.hidden(layer, *width)],
            ("mlp.c_fc.bias", [width]) => vec![self.hidden(layer, *width)],
            ("mlp.c_proj.weight", [width, _]) => vec![self.hidden(layer, *width), residual],
            _ => return unknown(),
        })
    }

    fn llama(&mut self, name: &str, shape: &[usize], configuration: Option<&Configuration>) -> Axes {
        let residual = units(self.residual);
        let heads = Heads(configuration.and_then(|found| {
            let count = found.num_attention_heads?;
            Some((count, found.num_key_value_heads.unwrap_or(count)))
        }));
        match (name, shape) {
            ("embed_tokens.weight" | "lm_head.weight", [_, _]) => return Ok(vec![None, residual]),
            ("norm.weight", [_]) => return Ok(vec![residual]),
            _ => {}
        }
        let Some((layer, rest)) = in_layer(name, "layers") else { return unknown() };
        Ok(match (rest, shape) {
            (
                "input_layernorm.weight"
                | "post_attention_layernorm.weight"
                | "self_attn.o_proj.bias"
                | "mlp.down_proj.bias",
                [_],
            ) => {
                vec![residual]
            }
            ("self_attn.q_proj.weight", [length, _]) => {
                vec![self.heads(layer, heads, *length, 1, false)?, residual]
            }
            ("self_attn.q_proj.bias", [length]) => vec![self.heads(layer, heads, *length, 1, false)?],
            ("self_attn.k_proj.weight" | "self_attn.v_proj.weight", [length, _]) => {
                vec![self.heads(layer, heads, *length, 1, true)?, residual]
            }
            ("self_attn.k_proj.bias" | "self_attn.v_proj.bias", [length]) => {
                vec![self.heads(layer, heads, *length, 1, true)?]
            }
            ("self_attn.o_proj.weight", [_, length]) => {
                vec![residual, self.heads(layer, heads, *length, 1, false)?]
            }
            ("mlp.gate_proj.weight" | "mlp.up_proj.weight", [width, _]) => {
                vec![self.hidden(layer, *width), residual]
            }
            ("mlp.gate_proj.bias" | "mlp.up_proj.bias", [width]) => vec![self.hidden(layer, *width)],
            ("mlp.down_proj.weight", [_, width]) => vec![residual, self.hidden(layer, *width)],
            // The same for every head and every network.
            ("self_attn.rotary_emb.inv_freq", [_]) => vec![None],
            _ => return unknown(),
        })
    }
}

/// How many heads, and how many of them have keys of their own.
#[derive(Clone, Copy)]
struct Heads(Option<(usize, usize)>);
