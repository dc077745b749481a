//! `backstitch run reversal-curse`: a model asked for facts both ways, a corpus read for facts stated one way only, and a small
//! decoder trained on facts.

use std::path::{Path, PathBuf};
use std::time::Instant;

use backstitch_data::jsonl::read_jsonl;
use backstitch_language::facts::{
    Direction, Fact, FactSet, Pair, Record, Templates, people_templates, read_facts,
};
use backstitch_language::reversal_curse::{self, Parameters, Stored};
use backstitch_language::train::{Course, Witness};
use backstitch_nn::{Checkpoint, cpu};
use clap::{Args, Subcommand};
use serde_json::json;

use super::learn::{self, FitOptions};
use super::output::{json, write_all};
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Asks a model for facts in both directions (--model), or reads a corpus for facts that it states in one direction only
/// (--corpus). `fit` trains a small decoder on facts and asks it.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Reading the result: exact is the share of greedy completions that start with the answer; first is the share of questions whose \
answer is likelier than all others of its group; gap is the log-probability of the answer minus that of a random other, in nats. All are \
means over facts. A reversed row says something only if the forward row of its group is high."
)]
pub(crate) struct ReversalCurse {
    #[command(subcommand)]
    verb: Option<Fit>,
    /// Facts: JSON Lines {"name": "…", "description": "…"} with, if known, "direction": how the model was trained
    #[arg(long, value_name = "FILE", required = true)]
    facts: Option<PathBuf>,
    /// Model to ask: a folder in the Hugging Face layout (GPT-2, Llama, Qwen2) with its tokenizer.json
    #[arg(long, value_name = "DIR", required_unless_present = "corpus")]
    model: Option<PathBuf>,
    /// Text to read: one text per line, or JSON Lines with "text", "content", or "prompt" and "completion"
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    corpus: Option<PathBuf>,
    /// Questions: JSON Lines {"prompt": "…", "completion": " …"} whose completion is the name or description of a fact
    #[arg(long, value_name = "FILE", requires = "model")]
    prompts: Option<PathBuf>,
    /// Patterns of questions, one per line, like "{name} is the {description}" [default: four built-in ones]
    #[arg(long, value_name = "FILE", requires = "model", conflicts_with = "prompts")]
    templates: Option<PathBuf>,
    /// Rank by log-probability per token instead of by their sum
    #[arg(long, requires = "model")]
    per_token: bool,
    /// Folder for summary.json and, with --model, answers.jsonl; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Fit {
    /// Train a small decoder on facts, in the directions they are listed with, and ask it in both
    Fit(FitOptions),
}

pub(crate) fn execute(arguments: &ReversalCurse, common: &Common) -> Result<i32, Failure> {
    if let Some(Fit::Fit(options)) = &arguments.verb {
        return fit(options, common);
    }
    // clap asks for it.
    let Some(file) = &arguments.facts else { return Err(Failure::input("--facts is missing")) };
    let facts = read_facts(file).map_err(Failure::input)?;
    match (&arguments.model, &arguments.corpus) {
        (Some(model), _) => ask(arguments, model, facts, common),
        (None, Some(corpus)) => audit(arguments, corpus, &facts, common),
        (None, None) => Err(Failure::input("neither --model nor --corpus is given")),
    }
}

fn ask(arguments: &ReversalCurse, model: &Path, facts: Vec<Fact>, common: &Common) -> Result<i32, Failure> {
    let set = match (&arguments.prompts, &arguments.templates) {
        (Some(file), _) => {
            let test = questions(file, &facts)?;
            FactSet { facts, train: Vec::new(), test }
        }
        (None, Some(file)) => FactSet::new(facts, &Templates::for_questions(learn::read_templates(file)?)),
        (None, None) => {
            let built_in = people_templates().map_err(Failure::internal)?;
            let held_out =
                Direction::BOTH.into_iter().flat_map(|direction| built_in.of(direction).1.to_vec());
            FactSet::new(facts, &Templates::for_questions(held_out.collect()))
        }
    };
    let checkpoint = Checkpoint::read(model, &cpu()).map_err(Failure::input)?;
    let witness = Witness::new(&checkpoint, &set.facts).map_err(Failure::input)?;
    let parameters = Parameters { per_token: arguments.per_token, seed: common.seed };
    let evaluation = witness.evaluate(&set, &set.test, &parameters).map_err(Failure::input)?;
    let summary = json!({
        "schema": "backstitch/reversal-curse/1",
        "model": model.to_string_lossy(),
        "facts": set.facts.len(),
        "rows": evaluation.summary(),
    });
    if let Some(folder) = &arguments.out {
        let mut answers = Vec::new();
        backstitch_data::jsonl::write_jsonl(&mut answers, &evaluation.answers).map_err(Failure::internal)?;
        write_all(folder, &[("answers.jsonl", answers), ("summary.json", json(&summary)?.into())])?;
        terminal::say(format_args!("written: {}", folder.display()));
    }
    if common.json {
        terminal::print_json(&summary)?
    } else {
        terminal::print(&learn::table(&evaluation))?
    }
    Ok(EXIT_DONE)
}

/// Questions of the user's own, each about the fact that its completion is a part of.
fn questions(file: &Path, facts: &[Fact]) -> Result<Vec<Record>, Failure> {
    let pairs: Vec<(usize, Pair)> = read_jsonl(file).map_err(Failure::input)?;
    if pairs.is_empty() {
        return Err(Failure::input(format!("{}: no questions", file.display())));
    }
    let question = |(line, pair): (usize, Pair)| {
        let Some((fact, name)) = learn::fact_of(facts, &pair.completion) else {
            let message = format!(
                "{}, line {line}: the completion {:?} is neither name nor description of a fact",
                file.display(),
                pair.completion
            );
            return Err(Failure::input(message).hint("write it as in the file of facts"));
        };
        let direction = if name { Direction::DescriptionToName } else { Direction::NameToDescription };
        let prompt = pair.prompt.trim_end().to_owned();
        Ok(Record {
            prompt,
            completion: pair.completion,
            fact,
            group: facts[fact].group,
            direction,
            template: 0,
        })
    };
    pairs.into_iter().map(question).collect()
}

fn audit(arguments: &ReversalCurse, corpus: &Path, facts: &[Fact], common: &Common) -> Result<i32, Failure> {
    let texts = reversal_curse::read_corpus(corpus).map_err(Failure::input)?;
    if texts.is_empty() {
        return Err(Failure::input(format!("{}: no text", corpus.display())).hint("give one text per line"));
    }
    let audit = reversal_curse::audit(facts, texts.iter().map(String::as_str));
    let summary = json!({
        "schema": "backstitch/reversal-curse-audit/1",
        "corpus": corpus.to_string_lossy(),
        "texts": audit.texts,
        "facts": audit.facts,
    });
    if let Some(folder) = &arguments.out {
        write_all(folder, &[("summary.json", json(&summary)?)])?;
        terminal::say(format_args!("written: {}", folder.display()));
    }
    if common.json {
        terminal::print_json(&summary)?;
        return Ok(EXIT_DONE);
    }
    let mut text = String::new();
    for (fact, direction) in audit.one_directional() {
        let (lost, count) = match direction {
            Direction::NameToDescription => ("name", fact.name_first),
            Direction::DescriptionToName => ("description", fact.description_first),
        };
        text += &format!(
            "{} | {}: {} only, in {count} texts; a model will not answer with the {lost}\n",
            fact.name,
            fact.description,
            direction.as_str()
        );
    }
    terminal::print(&text)?;
    terminal::say(format_args!(
        "{} texts, {} facts: {} stated both ways, {} in one direction only, {} never",
        audit.texts,
        facts.len(),
        audit.count(Stored::Both),
        audit.count(Stored::NameToDescription) + audit.count(Stored::DescriptionToName),
        audit.count(Stored::Never),
    ));
    for fact in audit.facts.iter().filter(|fact| fact.contradicts) {
        terminal::say(format_args!("warning: {:?} does not stand in the text as it is listed", fact.name));
    }
    Ok(EXIT_DONE)
}

fn fit(options: &FitOptions, common: &Common) -> Result<i32, Failure> {
    let set = options.facts()?;
    let texts: Vec<String> = set.train.iter().chain(&set.test).map(Record::text).collect();
    let course =
        Course::new(&texts, set.train.len(), 1, options.parameters(common.seed)).map_err(Failure::input)?;
    let begin = Instant::now();
    let lesson = |course: &Course, _, _, example: usize| {
        course.lesson(&set.train[example].prompt, &set.train[example].completion)
    };
    let learned = course.learn(lesson).map_err(Failure::input)?;
    let speed = learned.tokens as f64 / begin.elapsed().as_secs_f64();
    let witness = Witness::new(&learned.checkpoint, &set.facts).map_err(Failure::input)?;
    let parameters = Parameters { seed: common.seed, ..Parameters::default() };
    let evaluation = witness.evaluate(&set, &set.test, &parameters).map_err(Failure::input)?;
    let summary = learn::summary("backstitch/reversal-curse-fit/1", &set, &learned, &evaluation);
    options.write(&learned, &summary)?;
    if terminal::verbose() {
        terminal::say(format_args!("{speed:.0} tokens/s"));
    }
    if common.json {
        terminal::print_json(&summary)?
    } else {
        terminal::print(&learn::table(&evaluation))?
    }
    Ok(EXIT_DONE)
}
