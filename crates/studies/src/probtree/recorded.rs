//! The published trees: choices made again, and answers compared with the right ones.

use backstitch_claim::{Cell, CellContext, CellError};
use backstitch_llm::answer::span;
use backstitch_numerics::Stream;
use backstitch_reason::probtree::recorded::{Chosen, Gold, RecordedNode, RecordedTree, read_recorded};
use backstitch_reason::probtree::{Combination, Module};

use super::{GOLD, TREES};

/// Arms of this part.
pub(super) const ARMS: [&str; 8] = [
    "probtree",
    "closed-book",
    "open-book",
    "children",
    "random-choice",
    "random-again",
    "least-confident",
    "sum",
];

pub(super) fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let trees =
        read_recorded(&context.data(TREES)?.join("hotpotqa_released.json")).map_err(CellError::new)?;
    let gold =
        Gold::read(&context.data(GOLD)?.join("hotpot_dev_v1_simplified.json")).map_err(CellError::new)?;
    let combination = if cell.arm == "sum" { Combination::Sum } else { Combination::Mean };
    let chosen: Vec<Vec<Chosen>> = trees.iter().map(|tree| tree.choose(combination)).collect();
    if matches!(cell.arm.as_str(), "probtree" | "sum") {
        context.observe("score_gap", score_gap(&trees, &chosen));
    }
    let roots: Vec<Root<'_>> = trees
        .iter()
        .zip(&chosen)
        .filter_map(|(tree, chosen)| Some(Root { node: tree.root()?, chosen: chosen.last()? }))
        .collect();
    let answers = answers(cell, &roots)?;
    for (number, (root, answer)) in roots.iter().zip(answers).enumerate() {
        let question = &root.node.question;
        let Some(gold) = gold.of(question) else {
            return Err(CellError::new(format!("no right answer to {question:?}")));
        };
        let item = format!("q{number:03}");
        context.observe_item("f1", &item, span::f1(answer, gold));
        context.observe_item("exact", &item, f64::from(u8::from(span::exact(answer, gold))));
    }
    Ok(())
}

/// A whole question and the choice made again.
struct Root<'a> {
    node: &'a RecordedNode,
    chosen: &'a Chosen,
}

impl<'a> Root<'a> {
    fn text(&self, place: Option<usize>) -> &'a str {
        place.map_or("", |place| self.node.candidates[place].text.as_str())
    }

    fn of(&self, module: Module) -> Option<usize> {
        self.node.candidates.iter().position(|candidate| candidate.module == module)
    }

    /// Places with an answer.
    fn answered(&self) -> Vec<usize> {
        (0..self.node.candidates.len())
            .filter(|place| !self.node.candidates[*place].text.is_empty())
            .collect()
    }
}

/// The answer of an arm to each question.
fn answers<'a>(cell: &Cell, roots: &[Root<'a>]) -> Result<Vec<&'a str>, CellError> {
    let mut stream = Stream::new(cell.seed, &format!("probtree study {}", cell.arm));
    let answer = |root: &Root<'a>| {
        let confidences = &root.chosen.confidences;
        let answered = root.answered();
        let place = match cell.arm.as_str() {
            "probtree" | "sum" => root.chosen.place,
            "closed-book" => root.of(Module::ClosedBook),
            "open-book" => root.of(Module::OpenBook),
            // A question that was not taken apart has no such answer; what was chosen stands for it.
            "children" => root.of(Module::Children).or(root.chosen.place),
            "random-choice" | "random-again" => {
                (!answered.is_empty()).then(|| answered[stream.below(answered.len())])
            }
            "least-confident" => {
                surest(&answered, |place| confidences[place].map_or(f64::INFINITY, |one| -one))
            }
            other => return Err(CellError::new(format!("no arm `{other}`"))),
        };
        Ok(root.text(place))
    };
    roots.iter().map(answer).collect()
}

fn surest(places: &[usize], score: impl Fn(usize) -> f64) -> Option<usize> {
    let mut best: Option<usize> = None;
    for &place in places {
        if best.is_none_or(|best| score(place) > score(best)) {
            best = Some(place);
        }
    }
    best
}

/// The largest difference between a chosen score and the published one; 1 where another text was chosen.
fn score_gap(trees: &[RecordedTree], chosen: &[Vec<Chosen>]) -> f64 {
    let mut gap: f64 = 0.0;
    for (tree, chosen) in trees.iter().zip(chosen) {
        for (node, chosen) in tree.nodes.iter().zip(chosen) {
            let text = chosen.place.map_or("", |place| node.candidates[place].text.as_str());
            if text != node.published.0 {
                gap = gap.max(1.0);
            }
            if let Some(score) = chosen.place.and_then(|place| chosen.confidences[place]) {
                gap = gap.max((score - node.published.1).abs());
            }
        }
    }
    gap
}
