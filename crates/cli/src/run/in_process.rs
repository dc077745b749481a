//! Language models in this process, as `--model` names them: folders and embedded ones.

use std::path::Path;
use std::sync::Arc;

use backstitch_llm::corpus::Skill;
use backstitch_llm::{Budget, Model};

use crate::failure::Failure;

/// The model in this process of that name, or `None` for the address of a server.
pub(super) fn open(
    name: &str,
    skill: Skill,
    budget: &Arc<Budget>,
) -> Result<Option<Box<dyn Model>>, Failure> {
    if name.starts_with("http://") || name.starts_with("https://") {
        return Ok(None);
    }
    match embedded_seed(name) {
        Some(seed) => local::embedded(skill, seed, budget).map(Some),
        None if Path::new(name).is_dir() => local::folder(Path::new(name), budget).map(Some),
        None => {
            let wrong = if name.starts_with('.') || Path::new(name).is_absolute() {
                "there is no such folder"
            } else {
                "this is neither the address of a server nor a folder"
            };
            Err(Failure::input(format!("--model {name}: {wrong}")).hint(
                "give the base address of an OpenAI-compatible server, like --model http://localhost:8000/v1 --model-name NAME, a folder \
                 with a model, or `embedded`",
            ))
        }
    }
}

/// The seed of an embedded model's name: `embedded` is the first one, `embedded-2` the last.
pub(super) fn embedded_seed(name: &str) -> Option<u64> {
    match name.strip_prefix("embedded")? {
        "" => Some(0),
        rest => rest.strip_prefix('-')?.parse().ok(),
    }
}

/// Models in this process, where this build has them.
#[cfg(feature = "in-process")]
mod local {
    use super::super::language_model::failure;
    use super::{Arc, Budget, Failure, Model, Path, Skill};
    use backstitch_llm::InProcess;

    pub(super) fn embedded(skill: Skill, seed: u64, budget: &Arc<Budget>) -> Result<Box<dyn Model>, Failure> {
        Ok(Box::new(InProcess::embedded(skill, seed, Arc::clone(budget)).map_err(failure)?))
    }

    pub(super) fn folder(folder: &Path, budget: &Arc<Budget>) -> Result<Box<dyn Model>, Failure> {
        Ok(Box::new(InProcess::read(folder, Arc::clone(budget)).map_err(failure)?))
    }
}

#[cfg(not(feature = "in-process"))]
mod local {
    use super::{Arc, Budget, Failure, Model, Path, Skill};

    pub(super) fn embedded(_: Skill, _: u64, _: &Arc<Budget>) -> Result<Box<dyn Model>, Failure> {
        Err(missing())
    }

    pub(super) fn folder(_: &Path, _: &Arc<Budget>) -> Result<Box<dyn Model>, Failure> {
        Err(missing())
    }

    fn missing() -> Failure {
        Failure::input("this build has no models in process")
            .hint("build with the feature `in-process`, which the default build has, or give the address of a server")
    }
}
