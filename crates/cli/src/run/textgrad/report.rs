//! What `run textgrad` says: the transcript, a line per question, a summary, and estimates.

use backstitch_llm::Estimate;
use backstitch_llm::question::Question;
use backstitch_reason::textgrad::Calls;
use backstitch_reason::textgrad::jobs::{Event, Improved, ImprovedPrompt, Record, Scores, majority};
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::run::language_model::Used;
use crate::terminal;

/// A line of the transcript.
#[derive(Serialize)]
struct TranscriptLine<'a> {
    schema: &'static str,
    #[serde(flatten)]
    record: &'a Record,
}

/// A question that was answered.
#[derive(Serialize)]
pub(super) struct SolutionLine {
    schema: &'static str,
    id: String,
    /// The vote over all versions.
    answer: Option<String>,
    /// Of the first version.
    first: Option<String>,
    /// Of the last one.
    last: Option<String>,
    gold: Option<String>,
    correct: Option<bool>,
    first_correct: Option<bool>,
    last_correct: Option<bool>,
    /// The text whose answer it is, or the last.
    text: String,
}

impl SolutionLine {
    pub(super) fn new(improved: &Improved, question: &Question) -> Self {
        let of = |version: Option<&(String, Option<f64>)>| {
            version.and_then(|(text, _)| backstitch_llm::answer::extract(text, question.kind))
        };
        let (first, last) = (of(improved.versions.first()), of(improved.versions.last()));
        let vote = majority(improved, question.kind);
        let is_right = |answer: &Option<backstitch_llm::answer::Answer>| {
            question.gold.as_ref().map(|gold| answer.as_ref() == Some(gold))
        };
        let voted =
            improved.versions.iter().rev().find(|version| vote.is_some() && of(Some(version)) == vote);
        Self {
            schema: "backstitch/textgrad-solution/1",
            id: question.id.clone(),
            correct: is_right(&vote),
            first_correct: is_right(&first),
            last_correct: is_right(&last),
            text: voted.or(improved.versions.last()).map(|(text, _)| text.clone()).unwrap_or_default(),
            gold: question.gold.as_ref().map(ToString::to_string),
            answer: vote.map(|answer| answer.to_string()),
            first: first.map(|answer| answer.to_string()),
            last: last.map(|answer| answer.to_string()),
        }
    }
}

/// The summary of a command.
pub(super) struct Report {
    job: &'static str,
    /// What came of it.
    result: Value,
    words: String,
    sound: bool,
    refused: usize,
    calls: Calls,
    used: Used,
}

impl Report {
    pub(super) fn of_text(improved: &Improved, calls: Calls, used: Used) -> Self {
        let (updates, refused) =
            (updates(std::slice::from_ref(improved)), refusals(std::slice::from_ref(improved)));
        let scores: Vec<Option<f64>> = improved.versions.iter().map(|(_, score)| *score).collect();
        let mut words = format!("{updates} updates, the best text is that after {} of them\n", improved.best);
        if scores.iter().any(Option::is_some) {
            let shown: Vec<String> =
                scores.iter().map(|score| score.map_or("-".into(), |score| score.to_string())).collect();
            words += &format!("scores of the critic: {}\n", shown.join(", "));
        }
        let result = json!({"updates": updates, "best": improved.best, "scores": scores});
        Self { job: "solution", result, words, sound: refused == 0, refused, calls, used }
    }

    pub(super) fn of_questions(all: &[Improved], lines: &[SolutionLine], calls: Calls, used: Used) -> Self {
        let refused = refusals(all);
        let share = |of: fn(&SolutionLine) -> Option<bool>| {
            let known: Vec<bool> = lines.iter().filter_map(of).collect();
            let right = known.iter().filter(|right| **right).count();
            (!known.is_empty()).then(|| right as f64 / known.len() as f64)
        };
        let (vote, first, last) =
            (share(|line| line.correct), share(|line| line.first_correct), share(|line| line.last_correct));
        let known = lines.iter().filter(|line| line.correct.is_some()).count();
        let mut words = format!("{} questions · {} updates\n", lines.len(), updates(all));
        if let (Some(vote), Some(first), Some(last)) = (vote, first, last) {
            for (name, share) in [("first answer", first), ("last update", last), ("vote over all", vote)] {
                words +=
                    &format!("{name:<14}{:6.1} % right (of {known} with a known answer)\n", 100.0 * share);
            }
        }
        let result = json!({"questions": lines.len(), "known": known, "updates": updates(all), "first": first, "last": last, "vote": vote});
        Self { job: "questions", result, words, sound: refused == 0, refused, calls, used }
    }

    pub(super) fn of_prompt(outcome: &ImprovedPrompt, calls: Calls, used: Used) -> Self {
        let improved = &outcome.prompt;
        let refused = refusals(std::slice::from_ref(improved));
        let accepted = improved.records.iter().filter(|record| {
            record.step > 0 && matches!(record.event, Event::Validation { accepted: true, .. })
        });
        let (updates, accepted) = (updates(std::slice::from_ref(improved)), accepted.count());
        let best = improved.versions.get(improved.best).and_then(|(_, score)| *score);
        let first = improved.versions.first().and_then(|(_, score)| *score);
        let mut words = format!("{updates} new prompts");
        if let (Some(first), Some(best)) = (first, best) {
            words += &format!(
                ", {accepted} of them kept\nvalidation  {:5.1} % right before, {:5.1} % after (chosen by it: not a fair estimate)\n",
                100.0 * first,
                100.0 * best
            );
        } else {
            words += ", all kept (no validation questions)\n";
        }
        if let Some(Scores { before, after, questions }) = outcome.test {
            words += &format!(
                "test        {:5.1} % right before, {:5.1} % after ({questions} questions)\n",
                100.0 * before,
                100.0 * after
            );
        }
        let result = json!({
            "updates": updates, "accepted": best.map(|_| accepted), "best": improved.best,
            "validation": {"before": first, "after": best}, "test": outcome.test,
        });
        Self { job: "prompt", result, words, sound: refused == 0, refused, calls, used }
    }

    pub(super) fn of_program(improved: &Improved, calls: Calls, used: Used) -> Self {
        let refused = refusals(std::slice::from_ref(improved));
        let passed = improved.versions.get(improved.best).is_some_and(|(_, score)| *score == Some(1.0));
        let updates = updates(std::slice::from_ref(improved));
        let words = match passed {
            true => format!("the tests pass after {updates} updates\n"),
            false => format!("the tests do not pass after {updates} updates\n"),
        };
        let result = json!({"updates": updates, "best": improved.best, "passed": passed});
        Self { job: "code", result, words, sound: passed, refused, calls, used }
    }

    /// As JSON, with the best text where it is written nowhere else.
    pub(super) fn json(&self, best: Option<&str>) -> Value {
        let mut summary = json!({
            "schema": "backstitch/textgrad/1",
            "job": self.job,
            "result": self.result,
            "refused_replies": self.refused,
            "calls": self.calls,
            "used": self.used.json(),
        });
        if let Some(best) = best {
            summary["text"] = best.into();
        }
        summary
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        let Calls { forward, backward, reduce, optimizer, repair } = self.calls;
        let mut text = format!("{}{forward} answers and evaluations · {backward} feedbacks · ", self.words);
        if reduce > 0 {
            text += &format!("{reduce} means · ");
        }
        text += &format!("{optimizer} new texts");
        if repair > 0 {
            text += &format!(" · {repair} asked again");
        }
        text + "\n" + &self.used.words()
    }

    pub(super) fn warn(&self) {
        if self.refused > 0 {
            let count = self.refused;
            terminal::say(format_args!(
                "warning: {count} replies could not be used, and the texts stayed; the transcript says why"
            ));
        }
    }

    /// Whether all went as asked.
    pub(super) fn is_sound(&self) -> bool {
        self.sound
    }
}

/// All that happened, a JSON object per line.
pub(super) fn transcript(all: &[Improved]) -> Result<String, Failure> {
    let records = all.iter().flat_map(|improved| &improved.records);
    let lines: Vec<TranscriptLine<'_>> =
        records.map(|record| TranscriptLine { schema: "backstitch/textgrad-transcript/1", record }).collect();
    json_lines(&lines)
}

pub(super) fn json_lines(lines: &[impl Serialize]) -> Result<String, Failure> {
    let mut text = Vec::new();
    backstitch_data::jsonl::write_jsonl(&mut text, lines).map_err(Failure::internal)?;
    String::from_utf8(text).map_err(Failure::internal)
}

/// What a rehearsal found.
pub(super) fn rehearsed(most_calls: u64, kept: u64, next: Estimate, json: bool) -> Result<(), Failure> {
    if json {
        return terminal::print_json(&json!({
            "schema": "backstitch/textgrad-estimate/1", "most_calls": most_calls, "kept": kept,
            "next": {
                "requests": next.requests, "prompt_tokens": next.usage.prompt_tokens,
                "completion_tokens": next.usage.completion_tokens, "cost": next.cost,
            },
        }));
    }
    let cost = next.cost.map(|cost| format!(", cost at most {cost:.4}")).unwrap_or_default();
    terminal::print(&format!(
        "at most {most_calls} calls (replies that must be asked again left out) · {kept} are kept from before · nothing was sent\n\
         next: {} requests, about {} tokens read, at most {} written{cost}; what comes after depends on the replies\n",
        next.requests, next.usage.prompt_tokens, next.usage.completion_tokens
    ))
}

fn updates(all: &[Improved]) -> usize {
    count(all, |event| matches!(event, Event::Update { .. }))
}

fn refusals(all: &[Improved]) -> usize {
    count(all, |event| matches!(event, Event::Refused { .. }))
}

fn count(all: &[Improved], which: fn(&Event) -> bool) -> usize {
    all.iter().flat_map(|improved| &improved.records).filter(|record| which(&record.event)).count()
}
