//! `backstitch run spt`: sentences in other orders of their units, and a small decoder trained on them.

use std::path::PathBuf;

use backstitch_data::jsonl::write_jsonl;
use backstitch_language::facts::Record;
use backstitch_language::reversal_curse::Parameters as Scoring;
use backstitch_language::spt::{Arm, OrderWeights, Parameters, Sentence, Spt as Method, read_sentences};
use backstitch_language::train::{Course, Witness};
use backstitch_nn::NnError;
use backstitch_numerics::Stream;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::learn::{self, FitOptions};
use super::output;
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Cuts sentences into semantic units and prints them in drawn orders. `fit` trains a small decoder on facts in drawn orders and
/// asks it in both directions.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Units are cut by rules: given entities, quoted strings, capitalised names, clauses and connectors. A sentence whose own units \
(\"units\": [...]) do not join to its text is reported and stays in its order. Final marks stay last."
)]
pub(crate) struct Spt {
    #[command(subcommand)]
    verb: Option<Fit>,
    /// Sentences: one per line, or JSON Lines {"text": "…"} with, if known, "spans": [[0, 9]] (bytes) or "units": ["…", "…"]
    #[arg(value_name = "FILE", required = true)]
    sentences: Option<PathBuf>,
    /// Orders that are drawn, equally often
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", default_value = "orig,rev,perm")]
    orders: Vec<OrderName>,
    /// Draws per sentence
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    draws: u32,
    /// Print {"text", "order", "units"} per line instead of the text alone
    #[arg(long)]
    jsonl: bool,
    /// File for the texts; JSON Lines if its name ends in .jsonl
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Fit {
    /// Train a small decoder on facts whose sentences stand in drawn orders, and ask it in both directions
    Fit(FitArguments),
}

#[derive(Args, Debug)]
struct FitArguments {
    #[command(flatten)]
    options: FitOptions,
    /// Orders that are drawn, equally often
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", default_value = "orig,rev,perm")]
    orders: Vec<OrderName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OrderName {
    /// As the sentence stands
    Orig,
    /// Last unit first
    Rev,
    /// A random permutation of the units
    Perm,
}

fn method(orders: &[OrderName]) -> Result<Method, Failure> {
    let weight = |order| f64::from(u8::from(orders.contains(&order)));
    let weights = OrderWeights {
        original: weight(OrderName::Orig),
        reversed: weight(OrderName::Rev),
        permuted: weight(OrderName::Perm),
    };
    Method::new(Parameters { weights, ..Parameters::default() }).map_err(Failure::input)
}

pub(crate) fn execute(arguments: &Spt, common: &Common) -> Result<i32, Failure> {
    if let Some(Fit::Fit(fit_arguments)) = &arguments.verb {
        return fit(fit_arguments, common);
    }
    // clap asks for it.
    let Some(file) = &arguments.sentences else { return Err(Failure::input("no file of sentences")) };
    let method = method(&arguments.orders)?;
    let sentences = read_sentences(file).map_err(Failure::input)?;
    let all = method.augment_all(&sentences, arguments.draws as usize, common.seed).map_err(
        |(sentence, error)| Failure::input(format!("{}, sentence {}: {error}", file.display(), sentence + 1)),
    )?;
    let to_jsonl = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "jsonl");
    let mut bytes = Vec::new();
    if arguments.jsonl || arguments.out.as_ref().is_some_and(to_jsonl) {
        write_jsonl(&mut bytes, &all.texts).map_err(Failure::internal)?;
    } else {
        for augmented in &all.texts {
            bytes.extend_from_slice(augmented.text.as_bytes());
            bytes.push(b'\n');
        }
    }
    match &arguments.out {
        Some(path) => output::write(path, &bytes)?,
        None if !common.json => terminal::print(&String::from_utf8_lossy(&bytes))?,
        None => {}
    }
    for report in &all.reports {
        terminal::say(format_args!("warning: sentence {}: {}", report.sentence + 1, report.problem));
    }
    if common.json {
        terminal::print_json(&json!({
            "schema": "backstitch/spt/1",
            "sentences": sentences.len(),
            "texts": all.texts.len(),
            "one_unit": all.one_unit,
            "reports": all.reports,
        }))?;
    } else {
        terminal::say(format_args!(
            "{} sentences, {} texts; {} sentences have one unit only, {} were left in their order",
            sentences.len(),
            all.texts.len(),
            all.one_unit,
            all.reports.len()
        ));
    }
    Ok(EXIT_DONE)
}

fn fit(arguments: &FitArguments, common: &Common) -> Result<i32, Failure> {
    let method = method(&arguments.orders)?;
    let options = &arguments.options;
    let set = options.facts()?;
    let texts: Vec<String> = set.train.iter().chain(&set.test).map(Record::text).collect();
    let sentences: Vec<Sentence> =
        set.train.iter().map(|record| Sentence { text: record.text(), ..Sentence::default() }).collect();
    // Twice the longest sentence: marks that meet in another order may be read as more tokens.
    let course =
        Course::new(&texts, sentences.len(), 2, options.parameters(common.seed)).map_err(Failure::input)?;
    let lesson = |course: &Course, step: u64, place: usize, example: usize| {
        let mut stream = Stream::new(common.seed, &format!("spt lesson {step} {place}"));
        let drawn = method
            .draw(Arm::Permutation, &sentences[example], &mut stream)
            .map_err(|error| NnError::Stopped(error.to_string()))?;
        course.lesson(&drawn.text, "")
    };
    let learned = course.learn(lesson).map_err(Failure::input)?;
    let witness = Witness::new(&learned.checkpoint, &set.facts).map_err(Failure::input)?;
    let scoring = Scoring { seed: common.seed, ..Scoring::default() };
    let evaluation = witness.evaluate(&set, &set.test, &scoring).map_err(Failure::input)?;
    let summary = learn::summary("backstitch/spt-fit/1", &set, &learned, &evaluation);
    options.write(&learned, &summary)?;
    if common.json {
        terminal::print_json(&summary)?
    } else {
        terminal::print(&learn::table(&evaluation))?
    }
    Ok(EXIT_DONE)
}
