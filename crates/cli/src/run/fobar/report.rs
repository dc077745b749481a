//! What `run fobar` says: a line per question, a summary, and estimates.

use backstitch_llm::question::Question;
use backstitch_reason::Error;
use backstitch_reason::fobar::{Unchecked, Verified};
use serde_json::{Value, json};

use crate::run::answers::limits;
use crate::run::language_model::Used;

/// The summary of a run.
pub(super) struct Report {
    questions: usize,
    failed: usize,
    /// Questions that a limit left open.
    unfinished: usize,
    /// Questions without a backward check, by reason.
    unchecked: [(Unchecked, &'static str, usize); 4],
    /// Masked numbers of checked questions, and those that told candidates apart.
    masks: (usize, usize),
    accuracy: Option<Accuracy>,
    used: Used,
}

/// Answers compared with the known ones.
#[derive(Default)]
struct Accuracy {
    known: usize,
    correct: usize,
    majority_correct: usize,
    only_fobar: usize,
    only_majority: usize,
}

impl Report {
    pub(super) fn new(questions: &[Question], outcomes: &[Result<Verified, Error>], used: Used) -> Self {
        let verified = || outcomes.iter().flatten();
        let errors = || outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        let without = |why: Unchecked| verified().filter(|verified| verified.unchecked == Some(why)).count();
        let reasons = [
            (Unchecked::OneCandidate, "one candidate"),
            (Unchecked::NoMask, "no number to mask"),
            (Unchecked::NoAnswer, "no answer in any reply"),
            (Unchecked::ForwardOnly, "forward only"),
        ];
        let masks = || verified().filter(|verified| verified.unchecked.is_none()).flat_map(|one| &one.masks);
        let mut accuracy = Accuracy::default();
        for (fobar, majority) in verified().filter_map(|one| one.correct.zip(one.majority_correct)) {
            accuracy.known += 1;
            accuracy.correct += usize::from(fobar);
            accuracy.majority_correct += usize::from(majority);
            accuracy.only_fobar += usize::from(fobar && !majority);
            accuracy.only_majority += usize::from(majority && !fobar);
        }
        Self {
            questions: questions.len(),
            failed: errors().filter(|error| !limits(error)).count(),
            unfinished: errors().filter(|error| limits(error)).count(),
            unchecked: reasons.map(|(why, words)| (why, words, without(why))),
            masks: (masks().count(), masks().filter(|mask| mask.tells_apart).count()),
            accuracy: Some(accuracy).filter(|accuracy| accuracy.known > 0),
            used,
        }
    }

    /// Questions that were checked backward.
    fn checked(&self) -> usize {
        let unchecked: usize = self.unchecked.iter().map(|(.., count)| count).sum();
        self.questions - self.failed - self.unfinished - unchecked
    }

    /// As JSON.
    pub(super) fn json(&self) -> Value {
        let share = |count: usize, of: usize| count as f64 / of as f64;
        let unchecked: serde_json::Map<String, Value> = self
            .unchecked
            .iter()
            .filter_map(|(why, _, count)| Some((json!(why).as_str()?.to_owned(), json!(count))))
            .collect();
        json!({
            "schema": "backstitch/fobar/1",
            "questions": self.questions,
            "failed": self.failed,
            "unfinished": self.unfinished,
            "checked": self.checked(),
            "unchecked": unchecked,
            "masks": self.masks.0,
            "masks_that_tell_apart": self.masks.1,
            "accuracy": self.accuracy.as_ref().map(|accuracy| json!({
                "known": accuracy.known,
                "fobar": share(accuracy.correct, accuracy.known),
                "majority": share(accuracy.majority_correct, accuracy.known),
                "only_fobar": accuracy.only_fobar,
                "only_majority": accuracy.only_majority,
            })),
            "used": self.used.json(),
        })
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        let mut text = String::new();
        if let Some(accuracy) = &self.accuracy {
            let percent = |count: usize| 100.0 * count as f64 / accuracy.known as f64;
            text += &format!(
                "FOBAR          {:5.1} % right ({} of {} with a known answer; {} that the majority vote has wrong)\n",
                percent(accuracy.correct),
                accuracy.correct,
                accuracy.known,
                accuracy.only_fobar
            );
            text += &format!(
                "majority vote  {:5.1} % right ({} of {}; {} that FOBAR has wrong)\n",
                percent(accuracy.majority_correct),
                accuracy.majority_correct,
                accuracy.known,
                accuracy.only_majority
            );
        }
        text += &format!("{} questions · {} checked backward", self.questions, self.checked());
        for (_, words, count) in self.unchecked.iter().filter(|(.., count)| *count > 0) {
            text += &format!(" · {count} not checked ({words})");
        }
        if self.failed > 0 {
            text += &format!(" · {} failed", self.failed);
        }
        if self.unfinished > 0 {
            text += &format!(" · {} not finished", self.unfinished);
        }
        if self.masks.0 > 0 {
            text += &format!(" · {} of {} masked numbers told candidates apart", self.masks.1, self.masks.0);
        }
        text + "\n" + &self.used.words()
    }
}
