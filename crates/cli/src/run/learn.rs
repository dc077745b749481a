//! What `run reversal-curse` and `run spt` share: facts from a file, a small decoder, and its answers as a table.

use std::path::{Path, PathBuf};

use backstitch_data::jsonl::read_lines;
use backstitch_language::facts::{Fact, FactSet, Group, Template, Templates, people_templates, read_facts};
use backstitch_language::reversal_curse::{Evaluation, SummaryRow};
use backstitch_language::train::{FitParameters, Learned, LossOn};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::output;
use crate::failure::Failure;
use crate::terminal;

/// How a small decoder is trained.
#[derive(Args, Debug)]
pub(super) struct FitOptions {
    /// Facts: JSON Lines {"name": "…", "description": "…", "direction": "name-to-description", "description-to-name" or "both"}
    #[arg(long, value_name = "FILE")]
    pub(super) facts: PathBuf,
    /// Folder for the model (Hugging Face layout) and summary.json; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Sentence patterns, one per line, like "{name} is the {description}", at least two per direction; the last of each
    /// direction only asks [default: eight built-in ones]
    #[arg(long, value_name = "FILE")]
    pub(super) templates: Option<PathBuf>,
    /// Training steps
    #[arg(long, value_name = "N", default_value_t = FitParameters::default().steps)]
    steps: u64,
    /// Sentences per step
    #[arg(long, value_name = "N", default_value_t = FitParameters::default().batch)]
    batch: usize,
    /// Width of the decoder
    #[arg(long, value_name = "N", default_value_t = FitParameters::default().width)]
    width: usize,
    /// Blocks of the decoder
    #[arg(long, value_name = "N", default_value_t = FitParameters::default().layers)]
    layers: usize,
    /// Attention heads
    #[arg(long, value_name = "N", default_value_t = FitParameters::default().heads)]
    heads: usize,
    /// Peak learning rate
    #[arg(long, value_name = "RATE", default_value_t = FitParameters::default().learning_rate)]
    learning_rate: f64,
    /// Which tokens are learned
    #[arg(long, value_enum, default_value_t = LossName::Everything)]
    loss: LossName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LossName {
    /// All of a sentence
    Everything,
    /// What completes its prompt only
    Completion,
}

impl FitOptions {
    pub(super) fn parameters(&self, seed: u64) -> FitParameters {
        FitParameters {
            width: self.width,
            layers: self.layers,
            heads: self.heads,
            batch: self.batch,
            steps: self.steps,
            learning_rate: self.learning_rate,
            loss: match self.loss {
                LossName::Everything => LossOn::Everything,
                LossName::Completion => LossOn::Completion,
            },
            seed,
        }
    }

    /// The facts with their training sentences and questions, checked for leaks.
    pub(super) fn facts(&self) -> Result<FactSet, Failure> {
        let facts = read_facts(&self.facts).map_err(Failure::input)?;
        if let Some(fact) = facts.iter().find(|fact| fact.group == Group::Unstated) {
            let message =
                format!("{}: the fact of {:?} has no \"direction\"", self.facts.display(), fact.name);
            return Err(Failure::input(message).hint(
                "say how it is to be trained: \"name-to-description\", \"description-to-name\" or \"both\"",
            ));
        }
        let templates = match &self.templates {
            Some(file) => training_templates(file)?,
            None => people_templates().map_err(Failure::internal)?,
        };
        let set = FactSet::new(facts, &templates);
        set.check().map_err(Failure::input)?;
        Ok(set)
    }

    /// Writes the model and the summary; says what was written.
    pub(super) fn write(&self, learned: &Learned, summary: &Value) -> Result<(), Failure> {
        learned.checkpoint.write(&self.out).map_err(Failure::input)?;
        output::write(&self.out.join("summary.json"), output::json(summary)?.as_bytes())?;
        terminal::say(format_args!("written: {}", self.out.display()));
        Ok(())
    }
}

/// Patterns, one per line.
pub(super) fn read_templates(file: &Path) -> Result<Vec<Template>, Failure> {
    let lines = read_lines(file).map_err(Failure::input)?;
    if lines.is_empty() {
        let message = format!("{}: no patterns", file.display());
        return Err(Failure::input(message).hint("write one per line, like \"{name} is the {description}\""));
    }
    let read = |(line, text): (usize, String)| {
        Template::new(&text)
            .map_err(|error| Failure::input(format!("{}, line {line}: {error}", file.display())))
    };
    lines.into_iter().map(read).collect()
}

fn training_templates(file: &Path) -> Result<Templates, Failure> {
    let mut sides = [Vec::new(), Vec::new()];
    for template in read_templates(file)? {
        sides[usize::from(template.direction() == backstitch_language::facts::Direction::DescriptionToName)]
            .push(template);
    }
    let mut split = Vec::new();
    for (mut side, name) in sides.into_iter().zip(["name", "description"]) {
        let last = side.pop();
        match last {
            Some(last) if !side.is_empty() => split.push((side, vec![last])),
            _ => {
                let message = format!("{}: fewer than two patterns with the {name} first", file.display());
                return Err(Failure::input(message)
                    .hint("the last one of each direction only asks, the others train"));
            }
        }
    }
    let description_first = split.pop().unwrap_or_default();
    let name_first = split.pop().unwrap_or_default();
    Templates::new(name_first, description_first).map_err(Failure::input)
}

/// The answers as a table for people.
pub(super) fn table(evaluation: &Evaluation) -> String {
    let mut text = format!(
        "{:<21}{:<21}{:<10}{:>6}{:>10}{:>9}{:>9}{:>11}{:>9}\n",
        "trained", "asked", "", "facts", "questions", "exact", "first", "(chance)", "gap"
    );
    for row in evaluation.summary() {
        let SummaryRow { group, direction, reversed, facts, questions, exact, top1_in_group, .. } = &row;
        let kind = match reversed {
            Some(true) => "reversed",
            Some(false) => "forward",
            None => "",
        };
        let gap = row.difference.as_ref().map_or("-".into(), |gap| format!("{:+.2}", gap.estimate));
        text += &format!(
            "{:<21}{:<21}{kind:<10}{facts:>6}{questions:>10}{:>7.1} %{:>7.1} %{:>11}{gap:>9}\n",
            group.as_str(),
            direction.as_str(),
            100.0 * exact.estimate,
            100.0 * top1_in_group.estimate,
            format!("{:.1} %", 100.0 * row.chance_in_group),
        );
    }
    text
}

/// The summary of a training.
pub(super) fn summary(schema: &str, set: &FactSet, learned: &Learned, evaluation: &Evaluation) -> Value {
    json!({
        "schema": schema,
        "facts": set.facts.len(),
        "training_sentences": set.train.len(),
        "tokens": learned.tokens,
        "loss": learned.loss,
        "rows": evaluation.summary(),
    })
}

/// A fact by what a completion says, in any case and without a final full stop.
pub(super) fn fact_of(facts: &[Fact], completion: &str) -> Option<(usize, bool)> {
    let wanted = completion.trim().trim_end_matches('.').to_lowercase();
    let place = |text: fn(&Fact) -> &str| {
        facts.iter().position(|fact| text(fact).trim_end_matches('.').to_lowercase() == wanted)
    };
    place(|fact| &fact.name)
        .map(|fact| (fact, true))
        .or(place(|fact| &fact.description).map(|fact| (fact, false)))
}
