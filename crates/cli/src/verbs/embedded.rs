//! `backstitch embedded`: the small language models that come with backstitch.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use backstitch_llm::corpus::feedback::{Code, Feedback};
use backstitch_llm::corpus::knowledge::World;
use backstitch_llm::corpus::{Skill, arithmetic};
use backstitch_llm::embedded_files;
use backstitch_llm::training::{TrainingPlan, train};
use backstitch_nn::StepReport;
use backstitch_numerics::Stream;
use serde_json::json;

use crate::arguments::{Common, EmbeddedVerb};
use crate::failure::{EXIT_CLAIM_FAILS, EXIT_DONE, Failure};
use crate::run::language_model::failure;
use crate::run::output;
use crate::terminal;

/// Steps between two lines on the training.
const STEPS_PER_LINE: u64 = 200;

pub(crate) fn execute(verb: &EmbeddedVerb, common: &Common) -> Result<i32, Failure> {
    match verb {
        EmbeddedVerb::Export { skill, out } => {
            write(out, embedded_files(skill.skill(), common.seed).map_err(failure)?, common)?;
        }
        EmbeddedVerb::Questions { skill, count, out, passages: beside } => {
            for file in [Some(out), beside.as_ref()].into_iter().flatten() {
                output::refuse_unwritable(file)?;
            }
            let mut files = vec![(out, questions(skill.skill(), *count as usize, common.seed)?)];
            if let Some(beside) = beside {
                output::refuse_same(beside, out, "--out")?;
                files.push((beside, passages(skill.skill())?));
            }
            for (file, lines) in files {
                output::write(file, lines.as_bytes())?;
                terminal::say(format_args!("written: {}", file.display()));
            }
        }
        EmbeddedVerb::Check { file, hidden } => return check(file, hidden),
        EmbeddedVerb::Train { skill, out, steps } => {
            // Minutes of training must not end in a place that cannot be written to.
            std::fs::create_dir_all(out).map_err(|error| {
                Failure::input(format!("{} cannot be written: {error}", out.display()))
                    .hint("give another --out")
            })?;
            let files = trained(skill.skill(), common.seed, *steps)?;
            let files: Vec<_> = files.into_iter().collect();
            write(out, &files, common)?;
        }
    }
    Ok(EXIT_DONE)
}

/// Held-out questions with their answers, a JSON object per line.
fn questions(skill: Skill, count: usize, seed: u64) -> Result<String, Failure> {
    let mut stream = Stream::new(seed, "questions for the embedded models");
    let line = |number: usize, question: &str, answer: &str| {
        format!("{}\n", json!({ "id": number.to_string(), "question": question, "answer": answer }))
    };
    match skill {
        Skill::Arithmetic => Ok((1..=count)
            .map(|number| {
                let problem = arithmetic::held_out(&mut stream);
                line(number, &problem.text(), &problem.answer().to_string())
            })
            .collect()),
        Skill::Knowledge => {
            let world = World::get();
            let all = world.held_out();
            let mut order: Vec<usize> = (0..all.len()).collect();
            stream.shuffle(&mut order);
            if count > all.len() {
                let message = format!("--count is {count}, but there are {} questions", all.len());
                return Err(Failure::input(message).hint("ask for fewer"));
            }
            let chosen = order[..count].iter().zip(1..);
            Ok(chosen
                .map(|(&place, number)| {
                    line(number, &world.two_hop_question(&all[place]), world.two_hop_answer(&all[place]))
                })
                .collect())
        }
        Skill::Feedback => Err(Failure::input("the skill feedback has no questions")
            .hint("`embedded check` is a test command for `run textgrad code`")),
    }
}

/// The passages of the world of the skill, a JSON object per line.
fn passages(skill: Skill) -> Result<String, Failure> {
    if skill != Skill::Knowledge {
        let message = format!("the skill {} has no passages", skill.name());
        return Err(Failure::input(message).hint("leave out --passages"));
    }
    let texts = World::get().passages().into_iter().zip(1..);
    Ok(texts
        .map(|(text, number)| format!("{}\n", json!({ "id": number.to_string(), "text": text })))
        .collect())
}

/// Says how a code stands to a hidden one; the exit code of a test.
fn check(file: &Path, hidden: &str) -> Result<i32, Failure> {
    let hidden: Code = hidden.parse().map_err(|error| Failure::input(format!("--hidden: {error}")))?;
    let refuse = |error: String| Failure::input(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| refuse(error.to_string()))?;
    let feedback = Feedback::of(text.parse().map_err(refuse)?, hidden);
    terminal::print(&format!("{feedback}\n"))?;
    Ok(if feedback.is_right() { EXIT_DONE } else { EXIT_CLAIM_FAILS })
}

fn trained(skill: Skill, seed: u64, steps: Option<u64>) -> Result<BTreeMap<&'static str, Vec<u8>>, Failure> {
    let plan = TrainingPlan::of(skill);
    let plan = TrainingPlan { steps: steps.unwrap_or(plan.steps), ..plan };
    let begun = Instant::now();
    let mut losses = Vec::new();
    let tell = |report: &StepReport| {
        losses.push(report.loss);
        if report.step.is_multiple_of(STEPS_PER_LINE) || report.step == plan.steps {
            let loss = losses.iter().sum::<f64>() / losses.len() as f64;
            let seconds = begun.elapsed().as_secs_f64();
            let line =
                format_args!("step {} of {} ({seconds:.0} s), loss {loss:.4}", report.step, plan.steps);
            terminal::say(line);
            losses.clear();
        }
    };
    train(&plan, seed, tell).map_err(Failure::input)
}

fn write(out: &Path, files: &[(&str, impl AsRef<[u8]>)], common: &Common) -> Result<(), Failure> {
    output::write_all(out, files)?;
    if common.json {
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        return terminal::print_json(&json!({ "folder": out, "files": names }));
    }
    terminal::say(format_args!("written: {}", out.display()));
    Ok(())
}
