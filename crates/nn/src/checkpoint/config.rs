//! `config.json` of the families GPT-2, Llama and Qwen2.

use serde_json::{Map, Value, json};

use super::Precision;
use crate::decoder::{Activation, DecoderConfig, Feed, Norm, Positions, RotaryScaling};
use crate::error::NnError;

/// A family of published models: the names of its tensors and of its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Gpt2,
    Llama,
    Qwen2,
}

impl Family {
    /// The family that has a decoder of this shape.
    pub(crate) fn of(config: &DecoderConfig) -> Result<Self, NnError> {
        let learned = config.positions == Positions::Learned;
        let square = config.heads * config.head_width == config.width;
        if config.norm == Norm::Layer && config.feed == Feed::Plain && learned && square {
            let grouped = config.key_value_heads != config.heads;
            if config.qkv_bias && config.bias && !grouped {
                return Ok(Self::Gpt2);
            }
        } else if config.norm == Norm::Rms && config.feed == Feed::Gated && !learned && !config.bias {
            return Ok(if config.qkv_bias { Self::Qwen2 } else { Self::Llama });
        }
        Err(NnError::Parameter {
            name: "shape of the model",
            value: format!("{:?} norm, {:?} feed-forward", config.norm, config.feed),
            allowed: "one of GPT-2, Llama and Qwen2",
            hint: "make it with DecoderConfig::gpt2 or DecoderConfig::llama to save it as a checkpoint",
        })
    }
}

/// Reads the fields that make a [`DecoderConfig`].
pub(crate) fn parse(text: &[u8]) -> Result<(DecoderConfig, Family), String> {
    let value: Value = serde_json::from_slice(text).map_err(|error| format!("not JSON: {error}"))?;
    let Value::Object(fields) = value else { return Err("not a JSON object".into()) };
    let fields = Fields(&fields);
    match fields.0.get("model_type").and_then(Value::as_str) {
        Some("gpt2") => Ok((gpt2(&fields)?, Family::Gpt2)),
        Some("llama") => Ok((llama(&fields, "attention_bias", false)?, Family::Llama)),
        Some("qwen2") => Ok((llama(&fields, "", true)?, Family::Qwen2)),
        Some(other) => Err(format!("model_type {other:?} is not supported\nhint: gpt2, llama and qwen2 are")),
        None => Err("the field model_type is missing\nhint: is this a Hugging Face checkpoint?".into()),
    }
}

/// Writes them.
pub(crate) fn text(config: &DecoderConfig, family: Family, precision: Precision) -> String {
    let kind_of_weights = match precision {
        Precision::Single => "float32",
        Precision::Half => "float16",
    };
    let value = match family {
        Family::Gpt2 => json!({
            "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": config.vocabulary,
            "n_positions": config.context, "n_embd": config.width, "n_layer": config.layers, "n_head": config.heads,
            "n_inner": config.hidden, "activation_function": activation_name(config.activation),
            "layer_norm_epsilon": config.epsilon, "tie_word_embeddings": config.tied,
            "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "torch_dtype": kind_of_weights,
        }),
        Family::Llama | Family::Qwen2 => {
            let (architecture, kind) = if family == Family::Llama {
                ("LlamaForCausalLM", "llama")
            } else {
                ("Qwen2ForCausalLM", "qwen2")
            };
            let (base, rotary) = rotary_fields(&config.positions);
            json!({
                "architectures": [architecture], "model_type": kind, "vocab_size": config.vocabulary,
                "max_position_embeddings": config.context, "hidden_size": config.width,
                "num_hidden_layers": config.layers, "num_attention_heads": config.heads,
                "num_key_value_heads": config.key_value_heads, "head_dim": config.head_width,
                "intermediate_size": config.hidden, "hidden_act": activation_name(config.activation),
                "rms_norm_eps": config.epsilon, "rope_theta": base, "rope_scaling": rotary, "tie_word_embeddings": config.tied,
                "attention_dropout": 0.0, "torch_dtype": kind_of_weights,
            })
        }
    };
    format!("{value:#}\n")
}

fn gpt2(fields: &Fields<'_>) -> Result<DecoderConfig, String> {
    for (field, wanted) in [("scale_attn_weights", true), ("scale_attn_by_inverse_layer_idx", false)] {
        fields.must_be(field, wanted)?;
    }
    let width = fields.size("n_embd")?;
    let config = DecoderConfig::gpt2(
        fields.size("vocab_size")?,
        fields.size("n_positions")?,
        width,
        fields.size("n_layer")?,
        fields.size("n_head")?,
    );
    Ok(DecoderConfig {
        hidden: fields.size_or("n_inner", 4 * width)?,
        activation: fields.activation("activation_function", "gelu_new")?,
        epsilon: fields.number_or("layer_norm_epsilon", 1e-5)?,
        tied: fields.flag_or("tie_word_embeddings", true)?,
        ..config
    })
}

fn llama(fields: &Fields<'_>, bias_field: &str, bias: bool) -> Result<DecoderConfig, String> {
    fields.must_be("mlp_bias", false)?;
    fields.must_be("use_sliding_window", false)?;
    let (width, heads) = (fields.size("hidden_size")?, fields.size("num_attention_heads")?);
    let head_width = fields.size_or("head_dim", width / heads.max(1))?;
    let bias = bias || (!bias_field.is_empty() && fields.flag_or(bias_field, false)?);
    Ok(DecoderConfig {
        key_value_heads: fields.size_or("num_key_value_heads", heads)?,
        head_width,
        hidden: fields.size("intermediate_size")?,
        norm: Norm::Rms,
        epsilon: fields.number_or("rms_norm_eps", 1e-6)?,
        positions: fields.rotary()?,
        feed: Feed::Gated,
        activation: fields.activation("hidden_act", "silu")?,
        qkv_bias: bias,
        // Llama's attention_bias gives the output projection a bias as well; Qwen2 has none.
        bias: false,
        tied: fields.flag_or("tie_word_embeddings", false)?,
        ..DecoderConfig::gpt2(
            fields.size("vocab_size")?,
            fields.size("max_position_embeddings")?,
            width,
            fields.size("num_hidden_layers")?,
            heads,
        )
    })
    .and_then(|config| {
        if config.qkv_bias && bias_field == "attention_bias" {
            return Err(
                "attention_bias is true, which is not supported\nhint: Llama models have it false".into()
            );
        }
        Ok(config)
    })
}

struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn size(&self, field: &str) -> Result<usize, String> {
        let value = self.get(field).ok_or_else(|| format!("the field {field} is missing"))?;
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.filter(|size| (1..=1 << 31).contains(size))
            .ok_or_else(|| format!("{field} is {value}, but it must be a whole number of at least 1"))
    }

    fn size_or(&self, field: &str, otherwise: usize) -> Result<usize, String> {
        if self.get(field).is_some() { self.size(field) } else { Ok(otherwise) }
    }

    fn number_or(&self, field: &str, otherwise: f64) -> Result<f64, String> {
        let Some(value) = self.get(field) else { return Ok(otherwise) };
        let number = value.as_f64().filter(|number| *number > 0.0);
        number.ok_or_else(|| format!("{field} is {value}, but it must be a number above 0"))
    }

    fn flag_or(&self, field: &str, otherwise: bool) -> Result<bool, String> {
        let Some(value) = self.get(field) else { return Ok(otherwise) };
        value.as_bool().ok_or_else(|| format!("{field} is {value}, but it must be true or false"))
    }

    fn must_be(&self, field: &str, wanted: bool) -> Result<(), String> {
        if self.flag_or(field, wanted)? == wanted {
            return Ok(());
        }
        Err(format!("{field} is {}, which is not supported", !wanted))
    }

    fn activation(&self, field: &str, otherwise: &str) -> Result<Activation, String> {
        match self.get(field).map_or(Some(otherwise), Value::as_str) {
            Some("gelu_new" | "gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
            Some("gelu") => Ok(Activation::Gelu),
            Some("relu") => Ok(Activation::Relu),
            Some("silu" | "swish") => Ok(Activation::Silu),
            other => Err(format!("{field} is {other:?}, but it must be gelu_new, gelu, relu or silu")),
        }
    }

    /// Rotary positions. Newer files keep all of it under `rope_parameters`, older ones under `rope_theta` and `rope_scaling`.
    fn rotary(&self) -> Result<Positions, String> {
        let empty = Map::new();
        let nested =
            ["rope_parameters", "rope_scaling"].iter().find_map(|field| self.get(field)?.as_object());
        let nested = Fields(nested.unwrap_or(&empty));
        let base = nested.number_or("rope_theta", self.number_or("rope_theta", 10_000.0)?)?;
        let kind = ["rope_type", "type"].iter().find_map(|field| nested.get(field)?.as_str());
        let scaling = match kind {
            None | Some("default") => RotaryScaling::None,
            Some("linear") => RotaryScaling::Linear { factor: nested.number_or("factor", 1.0)? },
            Some("llama3") => RotaryScaling::Llama3 {
                factor: nested.number_or("factor", 8.0)?,
                low: nested.number_or("low_freq_factor", 1.0)?,
                high: nested.number_or("high_freq_factor", 4.0)?,
                context: nested.number_or("original_max_position_embeddings", 8192.0)?,
            },
            Some(other) => {
                return Err(format!(
                    "rope_type {other:?} is not supported\nhint: default, linear and llama3 are"
                ));
            }
        };
        Ok(Positions::Rotary { base, scaling })
    }
}

/// The fields `rope_theta` and `rope_scaling`, which old and new readers know.
fn rotary_fields(positions: &Positions) -> (Option<f64>, Value) {
    let Positions::Rotary { base, scaling } = positions else { return (None, Value::Null) };
    let scaling = match scaling {
        RotaryScaling::None => Value::Null,
        RotaryScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
        RotaryScaling::Llama3 { factor, low, high, context } => json!({
            "rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
            "original_max_position_embeddings": context.round() as u64,
        }),
    };
    (Some(*base), scaling)
}

fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_new",
        Activation::Relu => "relu",
        Activation::Silu => "silu",
    }
}
