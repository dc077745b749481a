//! The embedded model and its world: sub-questions and whole questions, answered in several ways.

use std::cell::Cell as Counter;
use std::collections::HashMap;

use backstitch_claim::{Cell, CellContext, CellError};
use backstitch_data::bm25::Bm25Parameters;
use backstitch_data::passages::Passage;
use backstitch_llm::answer::{Kind, parse, span};
use backstitch_llm::corpus::knowledge::{TwoHop, World};
use backstitch_llm::question::Question;
use backstitch_llm::{Error, Identity, Model, Reply, Request};
use backstitch_numerics::Stream;
use backstitch_reason::probtree::{
    Choice, Confidence, Module, Modules, Parameters, Passages, Solved, SolvedNode,
};
use serde::{Deserialize, Serialize};

use super::{Configuration, method, whole};

/// Arms that ask the model, but for `self-consistency`, which also looks at what the tree took.
pub(super) const ASKING: [&str; 4] = ["probtree", "random-choice", "inverted", "one-step"];
/// Arms that look at one part of the answers of `probtree`.
pub(super) const LOOKING: [&str; 6] =
    ["leaf-closed-book", "leaf-open-book", "least-confident", "open-book", "memory-only", "surer-whole"];

/// What both modules must reach to be told apart by their confidences.
const LEAST_AUROC: f64 = 0.65;
/// Between these shares a module is worth choosing from.
const BASE: std::ops::RangeInclusive<f64> = 0.1..=0.95;

/// The file that `probtree` leaves for the arms that look.
const ANSWERS: &str = "answers.json";

/// Number of questions there are.
pub(super) fn questions() -> usize {
    World::get().held_out().len()
}

/// The passages of the world, ready to be searched.
pub(super) fn passages() -> Result<Passages, CellError> {
    let texts = World::get().passages().into_iter().enumerate();
    let passages = texts.map(|(id, text)| Passage { id: id.to_string(), title: String::new(), text });
    Passages::new(passages.collect(), Bm25Parameters::default()).map_err(CellError::new)
}

/// What an arm keeps of the tree's answers.
#[derive(Serialize, Deserialize)]
struct Answers {
    /// Generated tokens of the whole cell.
    tokens: u64,
    questions: Vec<Whole>,
    leaves: Vec<Leaf>,
}

/// A whole question.
#[derive(Serialize, Deserialize)]
struct Whole {
    item: String,
    right: bool,
    closed_book: Answer,
    open_book: Answer,
}

impl Whole {
    /// Whether what an arm takes is right.
    fn right_by(&self, arm: &str) -> bool {
        let (closed, open) = (self.closed_book, self.open_book);
        match arm {
            "memory-only" => closed.right,
            "open-book" => open.right,
            // The surer of those that are there, the first of equals.
            _ => match (closed.confidence, open.confidence) {
                (Some(of_closed), Some(of_open)) if of_open > of_closed => open.right,
                (None, Some(_)) => open.right,
                _ => closed.right,
            },
        }
    }
}

/// A sub-question, as it was asked.
#[derive(Serialize, Deserialize)]
struct Leaf {
    item: String,
    right: bool,
    closed_book: Answer,
    open_book: Answer,
}

impl Leaf {
    /// Whether what an arm takes is right.
    fn right_by(&self, arm: &str) -> bool {
        let (closed, open) = (self.closed_book, self.open_book);
        match arm {
            "leaf-closed-book" => closed.right,
            "leaf-open-book" => open.right,
            // The least sure of those that are there; equals are decided as the method decides them, the other way round.
            _ => match (closed.confidence, open.confidence) {
                (Some(of_closed), Some(of_open)) if of_closed < of_open => closed.right,
                (Some(_), None) => closed.right,
                _ => open.right,
            },
        }
    }
}

/// An answer of one module.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Answer {
    right: bool,
    /// None if there is no answer.
    confidence: Option<f64>,
}

/// Asks the model what the arm asks, and reports.
pub(super) fn ask(
    cell: &Cell,
    configuration: &Configuration,
    model: &dyn Model,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    context.record_data("made-up world", World::get().passages().join("\n").as_bytes(), true);
    let asked = Asked::of(&cell.arm, cell.seed, configuration, model)?;
    for solved in &asked.solved {
        context.observe_item("correct", &solved.id, share(solved.exact == Some(true)));
    }
    context.observe("tokens", asked.tokens as f64 / asked.solved.len() as f64);
    if cell.arm == "self-consistency" {
        let tree: Answers = kept(context)?;
        context.observe("token_ratio", asked.tokens as f64 / tree.tokens.max(1) as f64);
    }
    if cell.arm == "probtree" {
        let answers = asked.answers();
        answers
            .leaves
            .iter()
            .for_each(|leaf| context.observe_item("leaf_correct", &leaf.item, share(leaf.right)));
        let modules = Contrast::of(&answers.leaves);
        context.observe("auroc_closed_book", modules.auroc[0]);
        context.observe("auroc_open_book", modules.auroc[1]);
        context.observe("judgeable", share(modules.judgeable));
        context.artifact(ANSWERS, &serde_json::to_vec(&answers).map_err(CellError::new)?)?;
    }
    Ok(())
}

/// What an arm asked and was answered.
struct Asked {
    questions: Vec<TwoHop>,
    solved: Vec<Solved>,
    /// Generated tokens.
    tokens: u64,
}

impl Asked {
    fn of(arm: &str, seed: u64, configuration: &Configuration, model: &dyn Model) -> Result<Self, CellError> {
        let parameters = configuration.parameters;
        let inverted = Inverted { model };
        let model: &dyn Model = if arm == "inverted" { &inverted } else { model };
        let parameters = match arm {
            "probtree" | "inverted" => parameters,
            "random-choice" => Parameters { choice: Choice::Random, seed: Some(seed), ..parameters },
            "one-step" => whole(parameters, Modules::OPEN_BOOK),
            "self-consistency" => Parameters {
                confidence: Confidence::Agreement,
                samples: configuration.self_consistency,
                seed: Some(seed),
                ..whole(parameters, Modules::ALL)
            },
            other => return Err(CellError::new(format!("no arm `{other}`"))),
        };
        let (drawn, questions): (Vec<TwoHop>, Vec<Question>) =
            draw(configuration.questions, seed).into_iter().unzip();
        let counted = Counted { model, tokens: Counter::new(0) };
        let outcomes = method(parameters)?.answer(&counted, &questions);
        let solved = outcomes.into_iter().collect::<Result<_, _>>().map_err(CellError::new)?;
        Ok(Self { questions: drawn, solved, tokens: counted.tokens.get() })
    }

    /// What the arms that look need of the tree.
    fn answers(&self) -> Answers {
        let world = World::get();
        let values: HashMap<String, &str> =
            world.facts().iter().map(|fact| (world.question(fact), fact.value.as_str())).collect();
        let mut all = Answers { tokens: self.tokens, questions: Vec::new(), leaves: Vec::new() };
        for (question, solved) in self.questions.iter().zip(&self.solved) {
            let Some((root, below)) = solved.nodes.split_last() else { continue };
            let item = solved.id.clone();
            let gold = Some(world.two_hop_answer(question));
            all.questions.push(Whole {
                item,
                right: solved.exact == Some(true),
                closed_book: of(root, Module::ClosedBook, gold),
                open_book: of(root, Module::OpenBook, gold),
            });
            for (place, node) in below.iter().enumerate().filter(|(_, node)| node.children.is_empty()) {
                // A sub-question about nobody has no right answer.
                let gold = values.get(&node.question).copied();
                let right = gold.is_some_and(|gold| {
                    node.answer.as_deref().is_some_and(|answer| span::exact(answer, gold))
                });
                all.leaves.push(Leaf {
                    item: format!("{}-{place}", solved.id),
                    right,
                    closed_book: of(node, Module::ClosedBook, gold),
                    open_book: of(node, Module::OpenBook, gold),
                });
            }
        }
        all
    }
}

/// Reports what an arm finds in the answers of the tree.
pub(super) fn look(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let answers: Answers = kept(context)?;
    match cell.arm.as_str() {
        "open-book" | "memory-only" | "surer-whole" => {
            for question in &answers.questions {
                context.observe_item("correct", &question.item, share(question.right_by(&cell.arm)));
            }
        }
        arm => {
            for leaf in &answers.leaves {
                context.observe_item("leaf_correct", &leaf.item, share(leaf.right_by(arm)));
            }
        }
    }
    Ok(())
}

fn kept(context: &CellContext<'_>) -> Result<Answers, CellError> {
    serde_json::from_slice(&context.read_need("probtree", ANSWERS)?).map_err(CellError::new)
}

/// Questions that no training text holds, the same for all arms of a seed.
fn draw(count: usize, seed: u64) -> Vec<(TwoHop, Question)> {
    let world = World::get();
    let mut order = Stream::new(seed, "probtree study questions").permutation(world.held_out().len());
    order.truncate(count);
    let question = |place: usize| {
        let drawn = world.held_out()[place].clone();
        let question = Question {
            id: format!("w{place:04}"),
            text: world.two_hop_question(&drawn),
            options: Vec::new(),
            kind: Kind::Text,
            gold: parse(world.two_hop_answer(&drawn), Kind::Text),
        };
        (drawn, question)
    };
    order.into_iter().map(question).collect()
}

fn of(node: &SolvedNode, module: Module, gold: Option<&str>) -> Answer {
    let candidate = node.candidates.iter().find(|candidate| candidate.module == module);
    let stated = candidate.and_then(|candidate| candidate.answer.as_deref());
    Answer {
        right: stated.zip(gold).is_some_and(|(stated, gold)| span::exact(stated, gold)),
        confidence: candidate.filter(|one| one.answer.is_some()).and_then(|candidate| candidate.confidence),
    }
}

/// What the two modules give the choice to choose from.
struct Contrast {
    /// Of closed book and open book. Where all answers are right, or all wrong, nothing can be told apart: one half.
    auroc: [f64; 2],
    judgeable: bool,
}

impl Contrast {
    fn of(leaves: &[Leaf]) -> Self {
        let modules: [Vec<Answer>; 2] = [
            leaves.iter().map(|leaf| leaf.closed_book).collect(),
            leaves.iter().map(|leaf| leaf.open_book).collect(),
        ];
        let auroc = [auroc(&modules[0]).unwrap_or(0.5), auroc(&modules[1]).unwrap_or(0.5)];
        let right = |answers: &Vec<Answer>| {
            answers.iter().filter(|answer| answer.right).count() as f64 / answers.len().max(1) as f64
        };
        let in_range = modules.iter().all(|answers| BASE.contains(&right(answers)));
        Self { auroc, judgeable: in_range && auroc.iter().all(|area| *area >= LEAST_AUROC) }
    }
}

/// The probability that a right answer is surer than a wrong one, equals counting half. No answer is a wrong one that is less sure
/// than any. None if there are no right ones, or no wrong ones.
fn auroc(answers: &[Answer]) -> Option<f64> {
    let value = |answer: &Answer| answer.confidence.unwrap_or(f64::NEG_INFINITY);
    let of = |right: bool| -> Vec<f64> {
        answers.iter().filter(|answer| answer.right == right).map(value).collect()
    };
    let (right, wrong) = (of(true), of(false));
    let mut above = 0.0;
    for one in &right {
        for other in &wrong {
            above += if one > other { 1.0 } else { share(one == other) / 2.0 };
        }
    }
    let pairs = (right.len() * wrong.len()) as f64;
    (pairs > 0.0).then(|| above / pairs)
}

fn share(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// Counts generated tokens.
struct Counted<'a> {
    model: &'a dyn Model,
    tokens: Counter<u64>,
}

impl Model for Counted<'_> {
    fn identity(&self) -> &Identity {
        self.model.identity()
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        self.model.answer(requests, &mut |position, outcome| {
            let now = outcome.as_ref().map_or(0, |reply| reply.usage.completion_tokens);
            self.tokens.set(self.tokens.get() + now);
            arrived(position, outcome);
        });
    }
}

/// Says the same as a model, and is the surer of it the less sure that one is.
///
/// All confidences are means of log-probabilities, and of such means: they turn round as these do.
struct Inverted<'a> {
    model: &'a dyn Model,
}

/// No token of an answer is less likely.
const LEAST_LOG_PROBABILITY: f64 = -100.0;

impl Model for Inverted<'_> {
    fn identity(&self) -> &Identity {
        self.model.identity()
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        self.model.answer(requests, &mut |position, mut outcome| {
            let samples = outcome.iter_mut().flat_map(|reply| &mut reply.samples);
            for token in samples.filter_map(|sample| sample.tokens.as_mut()).flatten() {
                token.log_probability =
                    LEAST_LOG_PROBABILITY - token.log_probability.max(LEAST_LOG_PROBABILITY);
            }
            arrived(position, outcome);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstitch_llm::corpus::knowledge::Fact;
    use backstitch_llm::{FinishReason, Prompt, Sample, Token, Usage};

    /// Knows what the training text holds and copies what passages say: the model that the embedded one is to become.
    struct Ideal {
        identity: Identity,
    }

    impl Ideal {
        fn new() -> Self {
            Self {
                identity: Identity { kind: "scripted".into(), place: String::new(), model: "ideal".into() },
            }
        }

        /// The explanation, its log-probability, and the answer.
        fn says(prompt: &str) -> (String, f64, String) {
            let world = World::get();
            let question = prompt.lines().find_map(|line| line.strip_prefix("Question: ")).unwrap();
            if let Some(context) = prompt.strip_prefix("Context:\n") {
                let last = context.lines().nth(1).unwrap().split_once("? ").unwrap().1;
                return ("Both are answered.".into(), -0.01, last.into());
            }
            let hops: Vec<&Fact> = match world.facts().iter().find(|fact| world.question(fact) == question) {
                Some(fact) => vec![fact],
                None => {
                    let hop = world.held_out().iter().find(|hop| world.two_hop_question(hop) == question);
                    hop.map(|hop| world.hops(hop).to_vec()).unwrap_or_default()
                }
            };
            let open = prompt.starts_with("Passages:");
            let mut answer = "nobody".to_owned();
            for fact in &hops {
                let stated = fact.passage.as_ref().filter(|stated| {
                    prompt.contains(&format!("{} has the ", world.name(fact.person)))
                        && prompt.contains(stated.as_str())
                });
                match (open, stated) {
                    (true, Some(stated)) => answer.clone_from(stated),
                    (true, None) => return ("They do not say.".into(), -0.2, "Unknown".into()),
                    (false, _) if fact.known => answer.clone_from(&fact.value),
                    (false, _) => return ("It may be so.".into(), -1.5, "Selby".into()),
                }
            }
            ("It is so.".into(), if open { -0.1 } else { -0.05 }, answer)
        }

        fn reply(prompt: &str) -> (String, f64) {
            if prompt.ends_with("Tree:") {
                let question = prompt.lines().next().unwrap().strip_prefix("Question: ").unwrap();
                let (second, first) = question.split_once(" of the ").unwrap();
                let who = format!("Who is the {first}");
                return (format!("{{\"{question}\": [\"{who}\", \"{second} of <1>?\"]}}"), -0.02);
            }
            let (explanation, log_probability, answer) = Self::says(prompt);
            (format!("{explanation} So the answer is: {answer}."), log_probability)
        }
    }

    impl Model for Ideal {
        fn identity(&self) -> &Identity {
            &self.identity
        }

        fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
            for (position, request) in requests.iter().enumerate() {
                let Prompt::Messages(messages) = &request.prompt else { panic!("a conversation") };
                let (text, log_probability) = Self::reply(&messages[0].content);
                let token =
                    |word: &str| Token { bytes: word.into(), log_probability, alternatives: Vec::new() };
                let tokens: Vec<Token> = text.split(' ').map(token).collect();
                let completion_tokens = tokens.len() as u64 * u64::from(request.samples);
                let tokens = request.log_probabilities.map(|_| tokens);
                let sample = Sample { text, finish: FinishReason::Stop, tokens };
                let usage = Usage { prompt_tokens: 0, completion_tokens };
                let samples = vec![sample; request.samples as usize];
                arrived(position, Ok(Reply { samples, usage, stored: 0 }));
            }
        }
    }

    fn asked(arm: &str) -> Asked {
        let configuration = super::super::configuration(backstitch_claim::Scale::Quick);
        let configuration = Configuration::deserialize(&configuration).unwrap();
        Asked::of(arm, 1000, &configuration, &Ideal::new()).unwrap()
    }

    fn mean(values: impl Iterator<Item = bool>) -> f64 {
        let all: Vec<f64> = values.map(share).collect();
        all.iter().sum::<f64>() / all.len() as f64
    }

    #[test]
    fn an_ideal_model_shows_what_the_claims_are_about() {
        let tree = asked("probtree");
        let answers = tree.answers();
        assert_eq!((answers.questions.len(), answers.leaves.len()), (300, 600));
        let of = |arm: &str| mean(answers.leaves.iter().map(|leaf| leaf.right_by(arm)));
        let surest = mean(answers.leaves.iter().map(|leaf| leaf.right));
        let (closed, open, least) = (of("leaf-closed-book"), of("leaf-open-book"), of("least-confident"));
        // Known facts are 60 %; passages are right for 80 % times 85 %.
        assert!((closed - 0.6).abs() < 0.07 && (open - 0.68).abs() < 0.07, "{closed} {open}");
        assert!(surest > open.max(closed) + 0.1, "{surest}");
        assert!(least < closed, "{least}");
        let contrast = Contrast::of(&answers.leaves);
        assert!(contrast.judgeable, "{:?}", contrast.auroc);

        let right = |asked: &Asked| mean(asked.solved.iter().map(|solved| solved.exact == Some(true)));
        let whole = right(&tree);
        let at_once = mean(answers.questions.iter().map(|question| question.open_book.right));
        assert!(whole > at_once + 0.1, "{whole} {at_once}");
        let surer = mean(answers.questions.iter().map(|question| question.right_by("surer-whole")));
        assert!(surer > at_once && whole > surer + 0.1, "{surer} {at_once}");
        let random = right(&asked("random-choice"));
        assert!(whole > random + 0.1 && random > right(&asked("inverted")) + 0.1, "{random}");
        let samples = asked("self-consistency");
        assert!(
            whole > right(&samples) + 0.1 && samples.tokens >= tree.tokens,
            "{} {}",
            samples.tokens,
            tree.tokens
        );
        // One search does not find the second fact.
        assert!(right(&asked("one-step")) < at_once);
    }

    #[test]
    fn the_area_under_the_curve() {
        let answer = |right, confidence| Answer { right, confidence };
        let sure = [answer(true, Some(-0.1)), answer(false, Some(-0.5)), answer(false, None)];
        assert_eq!(auroc(&sure), Some(1.0));
        let tied = [answer(true, Some(-0.1)), answer(false, Some(-0.1)), answer(false, Some(0.0))];
        assert_eq!(auroc(&tied), Some(0.25));
        assert_eq!(auroc(&sure[..1]), None);
    }

    #[test]
    fn all_arms_of_a_seed_are_asked_the_same() {
        let ids = |seed| draw(20, seed).into_iter().map(|(_, question)| question.id).collect::<Vec<_>>();
        assert_eq!(ids(3), ids(3));
        assert_ne!(ids(3), ids(4));
        assert_eq!(draw(questions(), 0).len(), questions());
    }
}
