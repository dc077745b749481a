//! `backstitch run fobar`: questions in, checked answers out.

mod report;

use std::path::PathBuf;

use backstitch_llm::answer::Kind;
use backstitch_llm::corpus::Skill;
use backstitch_llm::question::Question;
use backstitch_reason::Error;
use backstitch_reason::fobar::{self, Combination, Extraction, Parameters, Prompts, Verified};
use clap::{Args, ValueEnum};

use super::answers::{self, Estimates};
use super::language_model::{self, LanguageModelOptions};
use super::output;
use super::questions::FormName;
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;
use report::Report;

/// The form of a file of prompts.
const PROMPTS: &str = "\"forward\" is a list of {\"question\", \"steps\", \"answer\"}, \"backward\" of {\"question\", \"answer\", \"steps\", \"value\"} \
     with x for the unknown; \"system\", \"role\" and \"statement\" are texts";

/// Options of the method on the command line.
#[derive(Args, Debug)]
#[command(
    after_help = "Without --out, the answers go to standard output: one JSON object per question, with all candidates and the evidence for each. \
A question that could not be asked has its reason in `error`; the exit code is then 1, and the same command asks what is missing. \
A limit or Ctrl-C ends with 130; what has arrived is kept in the cache, and the same command continues.

Reading the result: `recovered` counts the backward samples in which a candidate led back to a masked number. A mask that does not tell \
candidates apart says nothing. The accuracy of the majority vote (self-consistency) stands beside that of FOBAR, but FOBAR takes more \
samples: for a fair comparison, give as many forward samples to --alpha 1.

--seed N, other than 0, is sent with every request, and asks for samples of its own. Keys come from the environment and are never written."
)]
pub(crate) struct Fobar {
    /// Questions: JSON Lines {"id": "…", "question": "…"} with, if known, "answer" and, for a multiple choice, "options": ["…", "…"]
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// How the questions are written down
    #[arg(long, value_enum, default_value_t = FormName::Lines)]
    form: FormName,
    /// File for the answers, JSON Lines
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What the answers are; questions with options are multiple choices in any case
    #[arg(long, value_enum, default_value_t = AnswerName::Number)]
    answer: AnswerName,
    /// Forward samples per question (the paper takes 40 for completion models)
    #[arg(long, value_name = "N", default_value_t = 10)]
    samples: u32,
    /// Backward samples per masked number and candidate
    #[arg(long, value_name = "N", default_value_t = 8)]
    backward_samples: u32,
    /// Temperature of all samples
    #[arg(long, value_name = "T", allow_negative_numbers = true, default_value_t = 0.7)]
    temperature: f64,
    /// Weight of the forward samples; 1 is the majority vote alone, 0 the backward samples alone
    #[arg(long, value_name = "WEIGHT", allow_negative_numbers = true, default_value_t = 0.5)]
    alpha: f64,
    /// How forward and backward are combined
    #[arg(long, value_enum, default_value_t = CombinationName::Geometric)]
    combination: CombinationName,
    /// Numbers masked per question, the first ones of its text [default: all]
    #[arg(long, value_name = "N")]
    masks: Option<u32>,
    /// Forward samples that an answer needs to be checked backward
    #[arg(long, value_name = "N", default_value_t = 1)]
    threshold: u32,
    /// How answers are found in replies
    #[arg(long, value_enum, default_value_t = ExtractionName::Robust)]
    extraction: ExtractionName,
    /// Most tokens of a sample
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_tokens: u32,
    /// Texts of the prompts: JSON with any of "system", "forward", "role", "backward", "statement" [default: built-in ones; for
    /// an embedded model the questions alone]
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    #[command(flatten)]
    model: LanguageModelOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AnswerName {
    /// A number
    Number,
    /// One of the options, which every question then has to have
    Choice,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CombinationName {
    /// The product of their powers (the paper's)
    Geometric,
    /// Their weighted mean
    Arithmetic,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExtractionName {
    /// Numbers compared as exact fractions; a reply without an answer is no candidate
    Robust,
    /// The rule of the official repository, for comparisons with published numbers
    Paper,
}

pub(crate) fn execute(arguments: &Fobar, common: &Common) -> Result<i32, Failure> {
    let prompts = answers::prompts(arguments.prompts.as_deref(), PROMPTS, &arguments.model, Prompts::bare)?;
    let method = fobar::Fobar::new(parameters(arguments, common), prompts).map_err(answers::failure)?;
    let questions = questions(arguments)?;
    if arguments.model.dry_run {
        return dry_run(arguments, &method, &questions, common);
    }
    if let Some(out) = &arguments.out {
        output::refuse_unwritable(out)?;
        output::refuse_same(out, &arguments.data, "--data")?;
        arguments.model.refuse_output(out)?;
    }
    let model = arguments.model.open(Skill::Arithmetic)?;
    let outcomes = method.answer(&model, &questions);
    let limit = answers::limit_of(&outcomes)?;
    tell(&outcomes);
    let report = Report::new(&questions, &outcomes, model.used());
    let lines = answers::lines("backstitch/fobar-answer/1", &questions, &outcomes);
    answers::write(arguments.out.as_deref(), &lines, &report.words(), report.json(), common)?;
    Ok(answers::exit_code(&outcomes, limit, &arguments.model))
}

fn parameters(arguments: &Fobar, common: &Common) -> Parameters {
    Parameters {
        forward_samples: arguments.samples,
        backward_samples: arguments.backward_samples,
        temperature: arguments.temperature,
        alpha: arguments.alpha,
        combination: match arguments.combination {
            CombinationName::Geometric => Combination::Geometric,
            CombinationName::Arithmetic => Combination::Arithmetic,
        },
        threshold: arguments.threshold,
        most_masks: arguments.masks,
        extraction: match arguments.extraction {
            ExtractionName::Robust => Extraction::Robust,
            ExtractionName::Paper => Extraction::Paper,
        },
        max_tokens: arguments.max_tokens,
        seed: Some(common.seed).filter(|seed| *seed != 0),
    }
}

fn questions(arguments: &Fobar) -> Result<Vec<Question>, Failure> {
    let questions = super::questions::read(&arguments.data, arguments.form, Kind::Number)?;
    let without_options = questions.iter().find(|question| question.options.is_empty());
    match without_options.filter(|_| arguments.answer == AnswerName::Choice) {
        None => Ok(questions),
        Some(question) => {
            let message =
                format!("{}: question {:?} has no `options`", arguments.data.display(), question.id);
            Err(Failure::input(message).hint("give them as a list of texts, or leave --answer choice out"))
        }
    }
}

/// What would be asked. Nothing is sent, and nothing written.
fn dry_run(
    arguments: &Fobar,
    method: &fobar::Fobar,
    questions: &[Question],
    common: &Common,
) -> Result<i32, Failure> {
    let (model, unsent) = arguments.model.rehearse(Skill::Arithmetic)?;
    let mut open = Vec::new();
    for (question, outcome) in questions.iter().zip(method.answer(&model, questions)) {
        match outcome {
            Err(Error::Model { source, .. }) if !language_model::is_unsent(&source) => {
                return Err(language_model::failure(*source));
            }
            Err(Error::Model { stage: "forward", .. }) => open.push(question.clone()),
            _ => {}
        }
    }
    let prices = arguments.model.prices();
    let known = |stage| backstitch_llm::estimate(&unsent.stage(stage), prices);
    let estimates = Estimates {
        questions: questions.len(),
        kept: model.delivered(),
        stages: vec![
            ("forward", "forward", known(0)),
            // Of questions whose forward samples are there, and of the others.
            ("backward", "backward, known", known(1)),
            ("most_backward", "backward, at most", method.most_backward(&open, prices)),
        ],
    };
    if common.json {
        terminal::print_json(&estimates.json("backstitch/fobar-estimate/1"))?;
    } else {
        terminal::print(&estimates.words())?;
    }
    Ok(EXIT_DONE)
}

/// Says what failed, and with `-v` what was not checked.
fn tell(outcomes: &[Result<Verified, Error>]) {
    answers::tell_failures(outcomes);
    if terminal::verbose() {
        for verified in outcomes.iter().flatten() {
            if let Some(unchecked) = verified.unchecked {
                terminal::say(unchecked.sentence(&verified.id));
            }
        }
    }
}
