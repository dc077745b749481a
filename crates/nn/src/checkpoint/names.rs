//! The names and layouts of tensors: ours beside those of each family, one table for reading and writing.

use std::collections::BTreeMap;

use crate::decoder::DecoderConfig;
use crate::tensors::NamedTensor;

use super::config::Family;

/// One of our tensors and where a family keeps it.
struct Entry {
    ours: String,
    /// Their tensors, side by side in our last dimension, each with its width there.
    theirs: Vec<(String, usize)>,
    /// Rows of our tensor; 0 for a vector.
    rows: usize,
    /// Whether they keep the transpose (`[outputs, inputs]`).
    transposed: bool,
}

impl Entry {
    fn their_shape(&self, width: usize) -> Vec<usize> {
        match (self.rows, self.transposed) {
            (0, _) => vec![width],
            (rows, false) => vec![rows, width],
            (rows, true) => vec![width, rows],
        }
    }
}

struct Table<'a> {
    config: &'a DecoderConfig,
    family: Family,
    entries: Vec<Entry>,
}

impl Table<'_> {
    fn add(&mut self, ours: String, theirs: Vec<(String, usize)>, rows: usize, transposed: bool) {
        self.entries.push(Entry { ours, theirs, rows, transposed });
    }

    fn norm(&mut self, ours: &str, theirs: &str) {
        let ends: &[&str] = if self.family == Family::Gpt2 { &["weight", "bias"] } else { &["weight"] };
        for end in ends {
            let theirs = vec![(format!("{theirs}.{end}"), self.config.width)];
            self.add(format!("{ours}.{end}"), theirs, 0, false);
        }
    }

    /// GPT-2 keeps its weights as we do, `[inputs, outputs]`; the others keep the transpose.
    fn linear(&mut self, ours: &str, theirs: &[(String, usize)], inputs: usize, bias: bool) {
        let named = |end: &str| theirs.iter().map(|(name, size)| (format!("{name}.{end}"), *size)).collect();
        self.add(format!("{ours}.weight"), named("weight"), inputs, self.family != Family::Gpt2);
        if bias {
            self.add(format!("{ours}.bias"), named("bias"), 0, false);
        }
    }

    fn gpt2_block(&mut self, ours: &str, theirs: &str) {
        let &DecoderConfig { width, hidden, qkv_bias, bias, .. } = self.config;
        let part = |name: &str, size: usize| [(format!("{theirs}.{name}"), size)];
        self.norm(&format!("{ours}.attention_norm"), &format!("{theirs}.ln_1"));
        self.norm(&format!("{ours}.feed_norm"), &format!("{theirs}.ln_2"));
        self.linear(&format!("{ours}.attention.qkv"), &part("attn.c_attn", 3 * width), width, qkv_bias);
        self.linear(&format!("{ours}.attention.output"), &part("attn.c_proj", width), width, bias);
        self.linear(&format!("{ours}.feed.up"), &part("mlp.c_fc", hidden), width, bias);
        self.linear(&format!("{ours}.feed.down"), &part("mlp.c_proj", width), hidden, bias);
    }

    fn llama_block(&mut self, ours: &str, theirs: &str) {
        let &DecoderConfig { width, hidden, qkv_bias, bias, .. } = self.config;
        let query = self.config.heads * self.config.head_width;
        let shared = self.config.key_value_heads * self.config.head_width;
        let part = |name: &str, size: usize| (format!("{theirs}.{name}"), size);
        let qkv = [
            part("self_attn.q_proj", query),
            part("self_attn.k_proj", shared),
            part("self_attn.v_proj", shared),
        ];
        self.norm(&format!("{ours}.attention_norm"), &format!("{theirs}.input_layernorm"));
        self.norm(&format!("{ours}.feed_norm"), &format!("{theirs}.post_attention_layernorm"));
        self.linear(&format!("{ours}.attention.qkv"), &qkv, width, qkv_bias);
        self.linear(&format!("{ours}.attention.output"), &[part("self_attn.o_proj", width)], query, bias);
        self.linear(&format!("{ours}.feed.up"), &[part("mlp.up_proj", hidden)], width, bias);
        self.linear(&format!("{ours}.feed.gate"), &[part("mlp.gate_proj", hidden)], width, bias);
        self.linear(&format!("{ours}.feed.down"), &[part("mlp.down_proj", width)], hidden, bias);
    }
}

fn table(config: &DecoderConfig, family: Family) -> Vec<Entry> {
    let (tokens, norm) = match family {
        Family::Gpt2 => ("transformer.wte.weight", "transformer.ln_f"),
        Family::Llama | Family::Qwen2 => ("model.embed_tokens.weight", "model.norm"),
    };
    let mut table = Table { config, family, entries: Vec::new() };
    table.add("backbone.tokens.weight".into(), vec![(tokens.into(), config.width)], config.vocabulary, false);
    if family == Family::Gpt2 {
        let theirs = vec![("transformer.wpe.weight".into(), config.width)];
        table.add("backbone.positions".into(), theirs, config.context, false);
    }
    for layer in 0..config.layers {
        let ours = format!("backbone.blocks.{layer}");
        match family {
            Family::Gpt2 => table.gpt2_block(&ours, &format!("transformer.h.{layer}")),
            Family::Llama | Family::Qwen2 => table.llama_block(&ours, &format!("model.layers.{layer}")),
        }
    }
    table.norm("backbone.norm", norm);
    if !config.tied {
        let theirs = vec![("lm_head.weight".into(), config.vocabulary)];
        table.add("head.weight".into(), theirs, config.width, true);
    }
    table.entries
}

/// Their tensors by our names, in our layout. Everything must be there, and nothing else.
pub(crate) fn ours(
    config: &DecoderConfig,
    family: Family,
    found: BTreeMap<String, NamedTensor>,
) -> Result<BTreeMap<String, NamedTensor>, String> {
    if config.layers > found.len() {
        let (layers, tensors) = (config.layers, found.len());
        return Err(format!("{tensors} tensors cannot be {layers} layers, which config.json asks for"));
    }
    let mut found: BTreeMap<String, NamedTensor> =
        found.into_iter().map(|(name, tensor)| (full_name(name, family), tensor)).collect();
    let mut named = BTreeMap::new();
    for entry in table(config, family) {
        let mut parts = Vec::new();
        for (name, width) in &entry.theirs {
            let tensor = found.remove(name).ok_or_else(|| format!("the tensor `{name}` is missing"))?;
            let wanted = entry.their_shape(*width);
            if tensor.shape != wanted {
                let found = &tensor.shape;
                return Err(format!(
                    "the tensor `{name}` has shape {found:?}, but config.json asks for {wanted:?}"
                ));
            }
            let values = if entry.transposed { transpose(&tensor.values, *width) } else { tensor.values };
            parts.push((values, *width));
        }
        named.insert(entry.ours.clone(), beside(&parts, entry.rows));
    }
    let rest = found.into_keys().find(|name| !carries_nothing(name, config));
    match rest {
        Some(name) => {
            Err(format!("the tensor `{name}` has no place in the model that config.json describes"))
        }
        None => Ok(named),
    }
}

/// Where a family keeps outputs of one of our linear layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its tensor there.
    pub name: String,
    /// How many outputs.
    pub outputs: usize,
    /// Whether it is `[outputs, inputs]` there.
    pub transposed: bool,
}

/// Where the weights of our matrices are kept, outputs in order.
pub(crate) fn places(config: &DecoderConfig, family: Family) -> BTreeMap<String, Vec<Place>> {
    let of = |entry: Entry| {
        let transposed = entry.transposed;
        let places = entry.theirs.into_iter().map(|(name, outputs)| Place { name, outputs, transposed });
        (entry.ours, places.collect())
    };
    table(config, family).into_iter().filter(|entry| entry.rows > 0).map(of).collect()
}

/// Our tensors by their names, in their layout.
pub(crate) fn theirs(
    config: &DecoderConfig,
    family: Family,
    mut ours: BTreeMap<String, NamedTensor>,
) -> BTreeMap<String, NamedTensor> {
    let mut named = BTreeMap::new();
    for entry in table(config, family) {
        let Some(tensor) = ours.remove(&entry.ours) else { continue };
        let total: usize = entry.theirs.iter().map(|(_, width)| width).sum();
        let mut start = 0;
        for (name, width) in &entry.theirs {
            let columns = start..start + width;
            let values: Vec<f32> =
                tensor.values.chunks(total).flat_map(|row| row[columns.clone()].iter().copied()).collect();
            let values = if entry.transposed { transpose(&values, entry.rows) } else { values };
            named.insert(name.clone(), NamedTensor { shape: entry.their_shape(*width), values });
            start += width;
        }
    }
    named
}

/// Matrices of equal height side by side, or vectors one after the other.
fn beside(parts: &[(Vec<f32>, usize)], rows: usize) -> NamedTensor {
    let total: usize = parts.iter().map(|(_, width)| width).sum();
    let values = (0..rows.max(1))
        .flat_map(|row| parts.iter().flat_map(move |(values, width)| &values[row * width..(row + 1) * width]))
        .copied()
        .collect();
    NamedTensor { shape: if rows == 0 { vec![total] } else { vec![rows, total] }, values }
}

/// `values` has `rows` rows; the result has `rows` columns.
fn transpose(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows.max(1);
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

/// Files saved without the language-model head leave out the first part of the name.
fn full_name(name: String, family: Family) -> String {
    let prefix = if family == Family::Gpt2 { "transformer." } else { "model." };
    if name.starts_with(prefix) || name.starts_with("lm_head.") { name } else { format!("{prefix}{name}") }
}

/// Constants that older files carry along, and the output of tied models.
fn carries_nothing(name: &str, config: &DecoderConfig) -> bool {
    [".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"].iter().any(|end| name.ends_with(end))
        || (config.tied && name == "lm_head.weight")
}
