//! The embedded language models, as studies ask them.

use backstitch_claim::CellError;
use backstitch_llm::Model;
use backstitch_llm::corpus::Skill;

/// The embedded model of a skill. There are three; seeds go round.
#[cfg(feature = "in-process")]
pub(crate) fn embedded(skill: Skill, seed: u64) -> Result<impl Model, CellError> {
    use backstitch_llm::{Budget, EMBEDDED_SEEDS, InProcess};
    InProcess::embedded(skill, seed % EMBEDDED_SEEDS, Budget::unlimited().into()).map_err(CellError::new)
}

/// This build has none.
#[cfg(not(feature = "in-process"))]
pub(crate) fn embedded(_skill: Skill, _seed: u64) -> Result<Box<dyn Model>, CellError> {
    Err(CellError::new(
        "this build has no embedded model; build with the feature `in-process`, which the default build has",
    ))
}
