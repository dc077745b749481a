//! The study of `probtree`: is the surest of three answers the right one, and is a tree of them better than what it is made of?
//!
//! Two kinds of evidence. *Recorded*: the trees of 500 HotpotQA questions that the authors published, with all answers and scores; the
//! choices are made again and the answers compared with the right ones, a question being the unit. *Embedded*: a small model of our
//! own, which knows a part of a made-up world and can read passages of which some are missing and some wrong; questions that take two
//! facts, none of them in its training text.
//!
//! An embedded cell asks its model a few thousand short questions. All answers of the tree are kept by the arm `probtree`; arms that
//! look at one module of it read them there, so that they are about the same questions.

mod claims;
mod recorded;
mod world;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_llm::corpus::Skill;
use backstitch_reason::probtree::{Modules, Parameters, ProbTree, Prompts};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::embedded::embedded;
use claims::{ARMS, CLAIMS, EMBEDDED, METRICS, RECORDED};

/// The published trees, and the right answers.
const TREES: &str = "probtree-hotpotqa";
const GOLD: &str = "hotpotqa-dev";

/// The study.
pub static STUDY: Study = Study {
    method: "probtree",
    history: &["first version"],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 5,
    data: &[TREES, GOLD],
    configuration,
    cells,
    run,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Embedded: questions per seed, all of two facts.
    questions: usize,
    /// Embedded: samples of each of two prompts for the whole question, so that they take as many tokens as the tree or more.
    self_consistency: u32,
    /// Embedded: what the method is told.
    parameters: Parameters,
}

fn configuration(scale: Scale) -> Value {
    let parameters = Parameters {
        // A passage is one sentence, and the model has seen at most five at a time.
        top_k: 3,
        descendant_passages: 1,
        answer_tokens: 40,
        tree_tokens: 48,
        ..Parameters::default()
    };
    let questions = match scale {
        Scale::Smoke => 8,
        Scale::Quick => 300,
        Scale::Paper => 500,
    };
    json!(Configuration { questions, self_consistency: 5, parameters })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    configuration.parameters.validate().map_err(|error| error.to_string())?;
    let most = world::questions();
    if !(1..=most).contains(&configuration.questions) {
        return Err(format!("questions is {}, but must be from 1 to {most}", configuration.questions));
    }
    if !(2..=100).contains(&configuration.self_consistency) {
        return Err(format!(
            "self_consistency is {}, but must be from 2 to 100",
            configuration.self_consistency
        ));
    }
    let mut cells = Vec::new();
    for &seed in seeds {
        for arm in recorded::ARMS {
            cells.push(Cell::new(arm, RECORDED, seed).reading(TREES).reading(GOLD));
        }
        for arm in world::ASKING {
            cells.push(Cell::new(arm, EMBEDDED, seed));
        }
        for arm in world::LOOKING {
            cells.push(Cell::new(arm, EMBEDDED, seed).needing("probtree"));
        }
        cells.push(Cell::new("self-consistency", EMBEDDED, seed).needing("probtree"));
    }
    Ok(cells)
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    if cell.setting == RECORDED {
        return recorded::run(cell, context);
    }
    if world::LOOKING.contains(&cell.arm.as_str()) {
        return world::look(cell, context);
    }
    let model = embedded(Skill::Knowledge, cell.seed)?;
    world::ask(cell, &configuration, &model, context)
}

/// The method with the bare prompts that the embedded model learned.
fn method(parameters: Parameters) -> Result<ProbTree, CellError> {
    ProbTree::new(parameters, Prompts::bare(), Some(world::passages()?)).map_err(CellError::new)
}

/// The parameters of an arm that answers whole questions.
fn whole(parameters: Parameters, leaves: Modules) -> Parameters {
    Parameters { decompose: false, leaves, ..parameters }
}
