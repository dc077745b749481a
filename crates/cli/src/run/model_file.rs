//! A `model.json`: what `--out` has written and a prediction reads back.

use std::fmt::Display;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// A file that must be a model of one method.
pub(super) struct ModelFile<'a> {
    pub(super) path: &'a Path,
    /// What its field `schema` must say.
    pub(super) schema: &'static str,
    /// The options that write such a file.
    pub(super) writer: &'static str,
}

impl ModelFile<'_> {
    /// The model, if the file is one of this schema.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let text = std::fs::read_to_string(self.path)
            .map_err(|error| self.unusable(&format!("cannot be read: {error}")))?;
        // First, so that a model of another method is told by its name.
        let head: Head = serde_json::from_str(&text).map_err(|error| self.unusable(&error))?;
        if head.schema != self.schema {
            let problem = format!("its schema is {:?}, but must be {:?}", head.schema, self.schema);
            return Err(self.unusable(&problem));
        }
        serde_json::from_str(&text).map_err(|error| self.unusable(&error))
    }

    /// The failure of a file that cannot be used.
    pub(super) fn unusable(&self, problem: &dyn Display) -> Failure {
        Failure::input(format!("{}: {problem}", self.path.display()))
            .hint(format!("give a model.json that {} has written", self.writer))
    }
}
