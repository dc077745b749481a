//! `backstitch run probtree`: questions and passages in, answers with their trees out.

mod report;

use std::path::PathBuf;

use backstitch_data::bm25::Bm25Parameters;
use backstitch_data::passages::read_passages;
use backstitch_llm::answer::Kind;
use backstitch_llm::corpus::Skill;
use backstitch_llm::question::Question;
use backstitch_reason::Error;
use backstitch_reason::probtree::{
    Choice, Combination, Confidence, Modules, Parameters, Passages, ProbTree, Prompts, Solved,
};
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
const PROMPTS: &str = "\"system\" is a text; \"decomposition\", \"closed_book\", \"open_book\", \"open_book_inner\" and \"children\" are each \
     {\"instruction\", \"demonstrations\"}; a demonstration is {\"question\", \"tree\"} for decomposition, otherwise {\"question\", \
     \"explanation\", \"answer\"} with \"passages\" (texts) for open_book, \"context\" ([sub-question, answer] pairs) for children";

/// Options of the method on the command line.
#[derive(Args, Debug)]
#[command(
    after_help = "Without --out, the answers go to standard output: one JSON object per question, with the whole tree, every answer of every \
question and its confidence. A question that could not be asked has its reason in `error`; the exit code is then 1, and the same command \
asks what is missing. A limit or Ctrl-C ends with 130; what has arrived is kept in the cache, and the same command continues.

Reading the result: confidences are means of logarithms of probabilities, 0 is certain. Answers of the whole question from memory, from \
passages and from its sub-questions stand beside the chosen one, with their own exact matches and F1: where passages alone do as well, the \
tree is not worth its requests.

Without log-probabilities (most hosted chat models), --confidence agreement compares samples instead. --seed N, other than 0, is sent \
with every request, and draws --choice random. Keys come from the environment and are never written."
)]
pub(crate) struct ProbTreeArguments {
    /// Questions: JSON Lines {"id": "…", "question": "…"} with, if known, "answer"
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// How the questions are written down
    #[arg(long, value_enum, default_value_t = FormName::Lines)]
    form: FormName,
    /// Passages to search: JSON Lines {"id": "…", "title": "…", "text": "…"} (id and title may be left out), or one text per line
    #[arg(long, value_name = "FILE", required_unless_present = "closed_book")]
    passages: Option<PathBuf>,
    /// Use what the model knows, and no passages
    #[arg(long, conflicts_with = "passages")]
    closed_book: bool,
    /// File for the answers, JSON Lines
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Passages for a question [default: 5; for an embedded model 3]
    #[arg(long, value_name = "N")]
    top_k: Option<u32>,
    /// Passages for each question below, of a question with sub-questions (the paper takes 0 for HotpotQA) [default: 3; for an embedded
    /// model 1]
    #[arg(long, value_name = "N")]
    descendant_passages: Option<u32>,
    /// Passages for each answer that was filled into a sub-question (the paper takes as many as --top-k for HotpotQA)
    #[arg(long, value_name = "N", default_value_t = 0)]
    entity_passages: u32,
    /// Most characters of all passages of a request
    #[arg(long, value_name = "N", default_value_t = 12_000)]
    passage_characters: u32,
    /// What the confidence of a reply is
    #[arg(long, value_enum, default_value_t = ConfidenceName::Explanation)]
    confidence: ConfidenceName,
    /// Samples per request, for agreement
    #[arg(long, value_name = "N", default_value_t = 5)]
    samples: u32,
    /// Temperature of these samples
    #[arg(long, value_name = "T", allow_negative_numbers = true, default_value_t = 0.7)]
    temperature: f64,
    /// How the confidences of a tree become one
    #[arg(long, value_enum, default_value_t = CombinationName::Mean)]
    combination: CombinationName,
    /// Which answer of a question is taken
    #[arg(long, value_enum, default_value_t = ChoiceName::Confident)]
    choice: ChoiceName,
    /// Answers of questions without sub-questions [default: all]
    #[arg(long, value_enum, value_name = "MODULE", value_delimiter = ',')]
    leaves: Vec<LeafModule>,
    /// Answers of questions with sub-questions [default: all]
    #[arg(long, value_enum, value_name = "MODULE", value_delimiter = ',')]
    inner: Vec<InnerModule>,
    /// Answer each question as a whole
    #[arg(long, conflicts_with = "inner")]
    no_tree: bool,
    /// Most levels of a tree
    #[arg(long, value_name = "N", default_value_t = 3)]
    most_levels: u32,
    /// Most questions of a tree
    #[arg(long, value_name = "N", default_value_t = 12)]
    most_nodes: u32,
    /// Most tokens of an answer with its explanation
    #[arg(long, value_name = "N", default_value_t = 256)]
    answer_tokens: u32,
    /// Most tokens of a tree
    #[arg(long, value_name = "N", default_value_t = 512)]
    tree_tokens: u32,
    /// Texts of the prompts: JSON with any of "system", "decomposition", "closed_book", "open_book", "open_book_inner", "children"
    /// [default: built-in ones]
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    #[command(flatten)]
    model: LanguageModelOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ConfidenceName {
    /// Mean log-probability of the explanation (the paper's)
    Explanation,
    /// Mean log-probability of the answer
    Answer,
    /// Smallest log-probability in the explanation
    Smallest,
    /// Share of samples with the same answer; needs no log-probabilities
    Agreement,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CombinationName {
    /// Their mean (the paper's)
    Mean,
    /// Their sum
    Sum,
    /// The mean without that of the decomposition
    WithoutDecomposition,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ChoiceName {
    /// The most confident (the paper's)
    Confident,
    /// Any: what the confidences are worth
    Random,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LeafModule {
    /// What the model knows
    ClosedBook,
    /// From passages
    OpenBook,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InnerModule {
    /// What the model knows
    ClosedBook,
    /// From passages
    OpenBook,
    /// From the answers of the sub-questions
    Children,
}

pub(crate) fn execute(arguments: &ProbTreeArguments, common: &Common) -> Result<i32, Failure> {
    let prompts = answers::prompts(arguments.prompts.as_deref(), PROMPTS, &arguments.model, Prompts::bare)?;
    let parameters = parameters(arguments, common);
    parameters.validate().map_err(answers::failure)?;
    let method = ProbTree::new(parameters, prompts, passages(arguments)?).map_err(answers::failure)?;
    let questions = super::questions::read(&arguments.data, arguments.form, Kind::Text)?;
    refuse_options(arguments, &questions)?;
    if arguments.model.dry_run {
        return dry_run(arguments, &method, &questions, common);
    }
    if let Some(out) = &arguments.out {
        output::refuse_unwritable(out)?;
        output::refuse_same(out, &arguments.data, "--data")?;
        if let Some(passages) = &arguments.passages {
            output::refuse_same(out, passages, "--passages")?;
        }
        arguments.model.refuse_output(out)?;
    }
    let model = arguments.model.open(Skill::Knowledge)?;
    let outcomes = method.answer(&model, &questions);
    let limit = answers::limit_of(&outcomes)?;
    tell(&outcomes);
    let report = Report::new(&questions, &outcomes, model.used());
    let lines = answers::lines("backstitch/probtree-answer/1", &questions, &outcomes);
    answers::write(arguments.out.as_deref(), &lines, &report.words(), report.json(), common)?;
    Ok(answers::exit_code(&outcomes, limit, &arguments.model))
}

fn parameters(arguments: &ProbTreeArguments, common: &Common) -> Parameters {
    let leaf = |module| arguments.leaves.is_empty() || arguments.leaves.contains(&module);
    let inner = |module| arguments.inner.is_empty() || arguments.inner.contains(&module);
    // An embedded model has seen at most five passages at a time.
    let embedded = arguments.model.is_embedded();
    let parameters = Parameters {
        decompose: !arguments.no_tree,
        leaves: Modules {
            closed_book: leaf(LeafModule::ClosedBook),
            open_book: leaf(LeafModule::OpenBook),
            children: false,
        },
        inner: Modules {
            closed_book: inner(InnerModule::ClosedBook),
            open_book: inner(InnerModule::OpenBook),
            children: inner(InnerModule::Children),
        },
        top_k: arguments.top_k.unwrap_or(if embedded { 3 } else { 5 }),
        descendant_passages: arguments.descendant_passages.unwrap_or(if embedded { 1 } else { 3 }),
        entity_passages: arguments.entity_passages,
        passage_characters: arguments.passage_characters,
        confidence: match arguments.confidence {
            ConfidenceName::Explanation => Confidence::Explanation,
            ConfidenceName::Answer => Confidence::Answer,
            ConfidenceName::Smallest => Confidence::Smallest,
            ConfidenceName::Agreement => Confidence::Agreement,
        },
        combination: match arguments.combination {
            CombinationName::Mean => Combination::Mean,
            CombinationName::Sum => Combination::Sum,
            CombinationName::WithoutDecomposition => Combination::WithoutDecomposition,
        },
        choice: match arguments.choice {
            ChoiceName::Confident => Choice::MostConfident,
            ChoiceName::Random => Choice::Random,
        },
        samples: arguments.samples,
        temperature: arguments.temperature,
        most_levels: arguments.most_levels,
        most_nodes: arguments.most_nodes,
        answer_tokens: arguments.answer_tokens,
        tree_tokens: arguments.tree_tokens,
        seed: Some(common.seed).filter(|seed| *seed != 0),
    };
    if arguments.closed_book { parameters.closed_book() } else { parameters }
}

fn passages(arguments: &ProbTreeArguments) -> Result<Option<Passages>, Failure> {
    let Some(file) = &arguments.passages else { return Ok(None) };
    let passages = read_passages(file).map_err(|error| {
        Failure::input(error)
            .hint("write one {\"id\": \"…\", \"title\": \"…\", \"text\": \"…\"} or one text per line")
    })?;
    Passages::new(passages, Bm25Parameters::default()).map(Some).map_err(Failure::input)
}

/// A multiple choice would be answered without its options.
fn refuse_options(arguments: &ProbTreeArguments, questions: &[Question]) -> Result<(), Failure> {
    match questions.iter().find(|question| !question.options.is_empty()) {
        None => Ok(()),
        Some(question) => {
            let message = format!("{}: question {:?} has `options`", arguments.data.display(), question.id);
            Err(Failure::input(message)
                .hint("this method answers in a few words; remove them, or put them into the question"))
        }
    }
}

/// What would be asked. Nothing is sent, and nothing written.
fn dry_run(
    arguments: &ProbTreeArguments,
    method: &ProbTree,
    questions: &[Question],
    common: &Common,
) -> Result<i32, Failure> {
    let (model, unsent) = arguments.model.rehearse(Skill::Knowledge)?;
    let mut unfinished = Vec::new();
    for (question, outcome) in questions.iter().zip(method.answer(&model, questions)) {
        match outcome {
            Err(Error::Model { source, .. }) if !language_model::is_unsent(&source) => {
                return Err(language_model::failure(*source));
            }
            Err(_) => unfinished.push(question.clone()),
            Ok(_) => {}
        }
    }
    let prices = arguments.model.prices();
    let first = backstitch_llm::estimate(&unsent.stage(0), prices);
    let stages = if arguments.no_tree {
        vec![("answers", "answers", first)]
    } else {
        // What a tree will hold is not known before it is there.
        let most = method.most_answers(&unfinished, prices);
        vec![("trees", "trees", first), ("most_answers", "answers, at most", most)]
    };
    let estimates = Estimates { questions: questions.len(), kept: model.delivered(), stages };
    if common.json {
        terminal::print_json(&estimates.json("backstitch/probtree-estimate/1"))?;
    } else {
        terminal::print(&estimates.words())?;
    }
    Ok(EXIT_DONE)
}

/// Says what failed, and with `-v` what was not taken apart.
fn tell(outcomes: &[Result<Solved, Error>]) {
    answers::tell_failures(outcomes);
    if terminal::verbose() {
        for solved in outcomes.iter().flatten() {
            if let Some(reason) = &solved.undecomposed {
                terminal::say(format_args!("question {:?} was answered as a whole: {reason}", solved.id));
            }
        }
    }
}
