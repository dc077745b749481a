//! The embedded models: small decoders of our own, three per skill, for trying out methods and for checks of mechanisms without anything set up.

use std::path::Path;
use std::sync::Arc;

use backstitch_data::hash::sha256_of_bytes;
use backstitch_nn::{Checkpoint, Tokenizer, cpu};

use super::InProcess;
use super::conversation::Conversation;
use crate::budget::Budget;
use crate::corpus::Skill;
use crate::error::Error;

/// How many models there are per skill: the same training from as many seeds.
pub const EMBEDDED_SEEDS: u64 = 3;

/// Tokens that an embedded model can see.
pub(super) const CONTEXT: usize = 192;

/// The texts of the messages, parted by empty lines.
pub(super) const TEMPLATE: &str = "{% for message in messages %}{{ message['content'] }}{% if not loop.last %}{{ '\\n\\n' }}{% endif %}{% endfor %}";

macro_rules! folder {
    ($name:literal) => {
        [
            ("config.json", include_bytes!(concat!("../../embedded/", $name, "/config.json"))),
            (
                "generation_config.json",
                include_bytes!(concat!("../../embedded/", $name, "/generation_config.json")),
            ),
            ("model.safetensors", include_bytes!(concat!("../../embedded/", $name, "/model.safetensors"))),
            ("tokenizer.json", include_bytes!(concat!("../../embedded/", $name, "/tokenizer.json"))),
            (
                "tokenizer_config.json",
                include_bytes!(concat!("../../embedded/", $name, "/tokenizer_config.json")),
            ),
        ]
    };
}

/// A file of a model: its name and its bytes.
type File = (&'static str, &'static [u8]);

/// The folders of the models of a skill, by seed.
type Folders = [[File; 5]; EMBEDDED_SEEDS as usize];

const ARITHMETIC: Folders = [folder!("arithmetic-0"), folder!("arithmetic-1"), folder!("arithmetic-2")];
const KNOWLEDGE: Folders = [folder!("knowledge-0"), folder!("knowledge-1"), folder!("knowledge-2")];
const FEEDBACK: Folders = [folder!("feedback-0"), folder!("feedback-1"), folder!("feedback-2")];

/// The files of an embedded model's folder in the Hugging Face layout, by name.
///
/// # Errors
/// [`Error::Parameter`] if there is no such model.
pub fn embedded_files(skill: Skill, seed: u64) -> Result<&'static [(&'static str, &'static [u8])], Error> {
    let folders = match skill {
        Skill::Arithmetic => &ARITHMETIC,
        Skill::Knowledge => &KNOWLEDGE,
        Skill::Feedback => &FEEDBACK,
    };
    let files = usize::try_from(seed).ok().and_then(|seed| folders.get(seed));
    files.map(|files| &files[..]).ok_or_else(|| Error::Parameter {
        name: "the seed of the embedded model",
        value: seed.to_string(),
        allowed: format!("0 to {}", EMBEDDED_SEEDS - 1),
        way_out: "the models of a skill differ in the seed of their training only",
    })
}

impl InProcess {
    /// The embedded model of this skill and seed.
    ///
    /// It knows a few hundred words and what [`crate::corpus`] taught it. A prompt with any other word is refused. It shows that a method
    /// works; it says nothing about large models.
    ///
    /// # Errors
    /// [`Error::Parameter`] if there is no such model.
    pub fn embedded(skill: Skill, seed: u64, budget: Arc<Budget>) -> Result<Self, Error> {
        let files = embedded_files(skill, seed)?;
        let name = format!("embedded-{}-{seed}", skill.name());
        let refuse = |problem: String| Error::Folder { folder: Path::new(&name).into(), problem };
        Self::from_files(files, &name, budget).map_err(refuse)
    }

    fn from_files(files: &[File], name: &str, budget: Arc<Budget>) -> Result<Self, String> {
        let file = |name: &str| files.iter().find(|(found, _)| *found == name).map(|(_, bytes)| *bytes);
        let bytes = |name: &str| file(name).unwrap_or_default();
        let model = Checkpoint::parse(bytes("config.json"), bytes("model.safetensors"), &cpu())?;
        let tokenizer = Some(Tokenizer::parse(bytes("tokenizer.json"))?);
        let conversation =
            Conversation::of(|name| Ok(file(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned())))?;
        let hashes: String = files.iter().map(|(_, bytes)| sha256_of_bytes(bytes)).collect();
        let hash = sha256_of_bytes(hashes.as_bytes());
        Self::new(Checkpoint { model, tokenizer }, conversation, name, &hash, budget)
    }
}
