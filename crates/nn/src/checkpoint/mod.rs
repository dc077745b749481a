//! Checkpoints in the Hugging Face layout: a folder with `config.json`, `model.safetensors` (or parts with an index) and
//! `tokenizer.json`, read and written for the families GPT-2, Llama and Qwen2.

mod config;
mod names;
pub(crate) mod state;
mod weights;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use crate::decoder::{Decoder, DecoderConfig};
use crate::error::NnError;
use crate::tensors::{NamedTensor, named_parameters, with_parameters};
use crate::tokenizer::Tokenizer;

use config::Family;
pub use names::Place;

/// A model with its tokenizer.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The model.
    pub model: Decoder,
    /// Its tokenizer, if the folder has one.
    pub tokenizer: Option<Tokenizer>,
}

/// How weights are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits: as they are trained.
    #[default]
    Single,
    /// 16 bits, rounded to nearest: half the size, to be shipped.
    Half,
}

impl Checkpoint {
    /// Reads a checkpoint folder.
    ///
    /// # Errors
    /// Names the file, and the tensor or the field: one that is missing, too many, of another shape or of an unknown kind; a
    /// tokenizer with more tokens than the model.
    pub fn read(folder: &Path, device: &Device) -> Result<Self, NnError> {
        let path = folder.join("config.json");
        let text = std::fs::read(&path).map_err(|error| NnError::file(&path, error))?;
        let (config, family) = config::parse(&text).map_err(|reason| NnError::content(&path, reason))?;
        let (path, weights) = weights::read(folder)?;
        let model =
            assemble(&config, family, weights, device).map_err(|reason| NnError::content(&path, reason))?;
        let path = folder.join("tokenizer.json");
        let tokenizer = if path.exists() { Some(Tokenizer::read(&path)?) } else { None };
        if let Some(tokenizer) = &tokenizer
            && tokenizer.size() > config.vocabulary
        {
            let (size, vocabulary) = (tokenizer.size(), config.vocabulary);
            let reason = format!(
                "{size} tokens, but the model knows {vocabulary}\nhint: the tokenizer belongs to another model"
            );
            return Err(NnError::content(&path, reason));
        }
        Ok(Self { model, tokenizer })
    }

    /// A model from the bytes of `config.json` and of `model.safetensors`.
    ///
    /// # Errors
    /// What is wrong with them, as [`read`](Self::read) says it.
    pub fn parse(config: &[u8], weights: &[u8], device: &Device) -> Result<Decoder, String> {
        let (config, family) = config::parse(config)?;
        assemble(&config, family, weights::parse(weights)?, device)
    }

    /// A model from the bytes of `config.json` and the tensors of its family, by the names they have there.
    ///
    /// # Errors
    /// What is wrong with them, as [`read`](Self::read) says it.
    pub fn assemble(
        config: &[u8],
        tensors: BTreeMap<String, NamedTensor>,
        device: &Device,
    ) -> Result<Decoder, String> {
        let (config, family) = config::parse(config)?;
        assemble(&config, family, tensors, device)
    }

    /// All tensors as their family names and keeps them.
    ///
    /// # Errors
    /// If no published family has the shape of the model.
    pub fn tensors(&self) -> Result<BTreeMap<String, NamedTensor>, NnError> {
        let config = self.model.config();
        Ok(names::theirs(config, Family::of(config)?, named_parameters(&self.model)))
    }

    /// Where the family keeps the matrices that [`named_parameters`] gives.
    ///
    /// # Errors
    /// As [`tensors`](Self::tensors).
    pub fn places(&self) -> Result<BTreeMap<String, Vec<Place>>, NnError> {
        let config = self.model.config();
        Ok(names::places(config, Family::of(config)?))
    }

    /// The bytes of `config.json`.
    ///
    /// # Errors
    /// As [`tensors`](Self::tensors).
    pub fn config_json(&self) -> Result<Vec<u8>, NnError> {
        let config = self.model.config();
        Ok(config::text(config, Family::of(config)?, Precision::Single).into_bytes())
    }

    /// The files of the checkpoint folder, by name, in single precision. Equal models give equal bytes.
    ///
    /// # Errors
    /// If no published family has the shape of the model.
    pub fn files(&self) -> Result<BTreeMap<&'static str, Vec<u8>>, NnError> {
        self.files_in(Precision::Single)
    }

    /// The files with weights of this precision.
    ///
    /// # Errors
    /// As [`files`](Self::files).
    pub fn files_in(&self, precision: Precision) -> Result<BTreeMap<&'static str, Vec<u8>>, NnError> {
        let config = self.model.config();
        let family = Family::of(config)?;
        let weights = names::theirs(config, family, named_parameters(&self.model));
        let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let mut files = BTreeMap::from([
            ("config.json", config::text(config, family, precision).into_bytes()),
            ("model.safetensors", state::safetensors_bytes(&weights, precision, Some(format))?),
        ]);
        if let Some(tokenizer) = &self.tokenizer {
            files.insert("tokenizer.json", tokenizer.to_json()?.into_bytes());
        }
        Ok(files)
    }

    /// Writes the checkpoint into a folder, in single precision. The folder is made if it is not there. The weights come last.
    ///
    /// # Errors
    /// If no published family has the shape of the model, or a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), NnError> {
        let files = self.files()?;
        std::fs::create_dir_all(folder).map_err(|error| NnError::file(folder, error))?;
        for name in ["tokenizer.json", "config.json", "model.safetensors"] {
            if let Some(bytes) = files.get(name) {
                let path = folder.join(name);
                backstitch_claim::write::write_atomic(&path, bytes, "model")
                    .map_err(|error| NnError::file(&path, error))?;
            }
        }
        Ok(())
    }
}

/// The weights of any model as the bytes of a safetensors file, by the names of [`named_parameters`].
///
/// # Errors
/// If they cannot be laid out.
pub fn weights_bytes<M: Module>(model: &M) -> Result<Vec<u8>, NnError> {
    state::safetensors_bytes(&named_parameters(model), Precision::Single, None)
}

/// A model of the same shape with the weights of such a file.
///
/// # Errors
/// What is wrong with the bytes: no safetensors file, a tensor that is missing, too many or of another shape, a weight that is not
/// finite.
pub fn read_weights<M: Module>(model: M, bytes: &[u8]) -> Result<M, String> {
    let tensors = weights::parse(bytes)?;
    for (name, tensor) in &tensors {
        if let Some(value) = tensor.values.iter().find(|value| !value.is_finite()) {
            return Err(format!("the tensor `{name}` holds {value}"));
        }
    }
    with_parameters(model, tensors).map_err(|error| match error {
        NnError::State { reason } => reason,
        other => other.to_string(),
    })
}

/// Every tensor is compared with the configuration before anything of its size is made.
fn assemble(
    config: &DecoderConfig,
    family: Family,
    weights: BTreeMap<String, NamedTensor>,
    device: &Device,
) -> Result<Decoder, String> {
    config.validate().map_err(|error| error.to_string())?;
    let named = names::ours(config, family, weights)?;
    let model = Decoder::new(config, 0, device).and_then(|model| with_parameters(model, named));
    model.map_err(|error| error.to_string())
}
