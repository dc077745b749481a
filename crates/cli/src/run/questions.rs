//! Files of questions on the command line: ours, and those in which question sets are published.

use std::path::Path;

use backstitch_llm::answer::Kind;
use backstitch_llm::question::{Form, Question, read_published, read_questions};
use clap::ValueEnum;

use crate::failure::Failure;

/// The form of a file of questions.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum FormName {
    /// JSON Lines with "id", "question" and, if known, "answer" and "options"
    Lines,
    /// GSM8K as it is published (`data get gsm8k-test`)
    Gsm8k,
    /// SVAMP as it is published (`data get svamp`)
    Svamp,
    /// AQuA as it is published (`data get aqua-test`)
    Aqua,
    /// StrategyQA as it is published (`data get strategyqa-dev`)
    Strategyqa,
    /// HotpotQA without its paragraphs (`data get hotpotqa-dev`)
    Hotpotqa,
}

/// The questions of a file; `kind` is that of the answers in a file of ours.
pub(super) fn read(file: &Path, form: FormName, kind: Kind) -> Result<Vec<Question>, Failure> {
    let form = match form {
        FormName::Lines => {
            return read_questions(file, kind).map_err(|error| {
                Failure::input(error).hint(
                    "write one {\"id\": \"…\", \"question\": \"…\", \"answer\": \"…\"} per line, or name a published --form",
                )
            });
        }
        FormName::Gsm8k => Form::Gsm8k,
        FormName::Svamp => Form::Svamp,
        FormName::Aqua => Form::Aqua,
        FormName::Strategyqa => Form::StrategyQa,
        FormName::Hotpotqa => Form::HotpotQa,
    };
    read_published(file, form).map_err(|error| {
        Failure::input(error)
            .hint("--form says how the set is published; leave it out for a file of your own")
    })
}
