//! What `run probtree` says: a line per question, and a summary.

use backstitch_llm::answer::span;
use backstitch_llm::question::Question;
use backstitch_reason::Error;
use backstitch_reason::probtree::{Module, Solved, SolvedNode};
use serde_json::{Value, json};

use crate::run::answers::limits;
use crate::run::language_model::Used;

/// The modules, in the order in which equals are decided.
const MODULES: [(Module, &str, &str); 3] = [
    (Module::ClosedBook, "closed_book", "closed book alone"),
    (Module::OpenBook, "open_book", "open book alone"),
    (Module::Children, "children", "sub-questions alone"),
];

/// The summary of a run.
pub(super) struct Report {
    questions: usize,
    failed: usize,
    /// Questions that a limit left open.
    unfinished: usize,
    /// Questions that were to be taken apart and could not.
    undecomposed: usize,
    /// Questions without any answer.
    unanswered: usize,
    leaves: Winners,
    inner: Winners,
    accuracy: Option<Accuracy>,
    used: Used,
}

/// How often each module was chosen, and how often there was nothing to choose.
#[derive(Default)]
struct Winners {
    chosen: [usize; 3],
    none: usize,
}

impl Winners {
    fn count(&mut self, node: &SolvedNode) {
        match MODULES.iter().position(|(module, ..)| Some(*module) == node.winner) {
            Some(place) => self.chosen[place] += 1,
            None => self.none += 1,
        }
    }

    fn sum(&self) -> usize {
        self.chosen.iter().sum::<usize>() + self.none
    }

    fn json(&self) -> Value {
        let mut object = json!({"none": self.none});
        for ((_, key, _), count) in MODULES.iter().zip(self.chosen) {
            object[*key] = count.into();
        }
        object
    }
}

/// Answers compared with the known ones.
struct Accuracy {
    known: usize,
    chosen: Scores,
    /// Of the whole question by each module; none if no question has an answer from it.
    alone: [Option<Scores>; 3],
}

/// Sums over questions.
#[derive(Clone, Copy, Default)]
struct Scores {
    exact: usize,
    f1: f64,
}

impl Scores {
    fn add(&mut self, answer: &str, gold: &str) {
        self.exact += usize::from(span::exact(answer, gold));
        self.f1 += span::f1(answer, gold);
    }
}

impl Accuracy {
    fn of(questions: &[Question], outcomes: &[Result<Solved, Error>]) -> Option<Self> {
        let mut accuracy = Self { known: 0, chosen: Scores::default(), alone: [None; 3] };
        for (question, outcome) in questions.iter().zip(outcomes) {
            let (Some(gold), Ok(solved)) = (&question.gold, outcome) else { continue };
            let gold = gold.to_string();
            accuracy.known += 1;
            accuracy.chosen.add(solved.answer.as_deref().unwrap_or_default(), &gold);
            for ((module, ..), scores) in MODULES.iter().zip(&mut accuracy.alone) {
                if let Some(candidate) = solved.at_root(*module) {
                    let answer = candidate.answer.as_deref().unwrap_or_default();
                    scores.get_or_insert_default().add(answer, &gold);
                }
            }
        }
        Some(accuracy).filter(|accuracy| accuracy.known > 0)
    }

    fn json(&self) -> Value {
        let of = |scores: Scores| {
            let share = |sum: f64| sum / self.known as f64;
            json!({"exact": share(scores.exact as f64), "f1": share(scores.f1)})
        };
        let mut object = json!({"known": self.known, "probtree": of(self.chosen)});
        for ((_, key, _), scores) in MODULES.iter().zip(self.alone) {
            object[*key] = scores.map_or(Value::Null, of);
        }
        object
    }

    fn words(&self) -> String {
        let of = |name: &str, scores: Scores| {
            let percent = |sum: f64| 100.0 * sum / self.known as f64;
            let (exact, f1) = (percent(scores.exact as f64), percent(scores.f1));
            format!("{name:<20} {exact:5.1} % exact  {f1:5.1} F1\n")
        };
        let mut text = of("probtree", self.chosen);
        for ((.., name), scores) in MODULES.iter().zip(self.alone) {
            text += &scores.map_or(String::new(), |scores| of(name, scores));
        }
        text + &format!(
            "of {} questions with a known answer; a module that did not answer counts as wrong\n",
            self.known
        )
    }
}

impl Report {
    pub(super) fn new(questions: &[Question], outcomes: &[Result<Solved, Error>], used: Used) -> Self {
        let errors = || outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        let solved = || outcomes.iter().flatten();
        let (mut leaves, mut inner) = (Winners::default(), Winners::default());
        for node in solved().flat_map(|solved| &solved.nodes) {
            if node.children.is_empty() { leaves.count(node) } else { inner.count(node) }
        }
        Self {
            questions: questions.len(),
            failed: errors().filter(|error| !limits(error)).count(),
            unfinished: errors().filter(|error| limits(error)).count(),
            undecomposed: solved().filter(|solved| solved.undecomposed.is_some()).count(),
            unanswered: solved().filter(|solved| solved.answer.is_none()).count(),
            leaves,
            inner,
            accuracy: Accuracy::of(questions, outcomes),
            used,
        }
    }

    /// As JSON.
    pub(super) fn json(&self) -> Value {
        json!({
            "schema": "backstitch/probtree/1",
            "questions": self.questions,
            "failed": self.failed,
            "unfinished": self.unfinished,
            "undecomposed": self.undecomposed,
            "unanswered": self.unanswered,
            "leaves": self.leaves.json(),
            "inner": self.inner.json(),
            "accuracy": self.accuracy.as_ref().map(Accuracy::json),
            "used": self.used.json(),
        })
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        let mut text = self.accuracy.as_ref().map(Accuracy::words).unwrap_or_default();
        let asked = self.leaves.sum() + self.inner.sum();
        text += &format!("{} questions · {asked} in their trees", self.questions);
        for (count, words) in [
            (self.undecomposed, "answered as a whole, their trees could not be read (-v says why)"),
            (self.unanswered, "without any answer"),
            (self.failed, "failed"),
            (self.unfinished, "not finished"),
        ] {
            if count > 0 {
                text += &format!(" · {count} {words}");
            }
        }
        text.push('\n');
        for (name, winners) in [("leaves", &self.leaves), ("with sub-questions", &self.inner)] {
            if winners.sum() == 0 {
                continue;
            }
            let [closed, open, children] = winners.chosen;
            text += &format!("{name}: {closed} closed book · {open} open book");
            if children > 0 {
                text += &format!(" · {children} sub-questions");
            }
            if winners.none > 0 {
                text += &format!(" · {} nothing", winners.none);
            }
            text.push('\n');
        }
        text + &self.used.words()
    }
}
