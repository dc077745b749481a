//! From an outcome back to what it was made of: feedback in words on every text on the way.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::engine::{Engine, Stage};
use super::prompts::TAGS;
use super::template::{fill, nonce};
use super::variable::{Context, Gradient, Input, Operation, Variable, excerpt};
use crate::Error;

/// Feedback that a backward pass gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feedback {
    /// The role of the text it is on.
    pub on: String,
    /// The role of the outcome it was found by; nothing for the mean of several feedbacks.
    pub through: Option<String>,
    /// The feedback. Blank if the model had nothing to say.
    pub feedback: String,
}

/// What is known of a node on the way back.
#[derive(Default)]
struct Place {
    level: usize,
    /// Whether it is the outcome, or a part of it: its text is the evaluation.
    is_outcome: bool,
    /// Aggregates on the way here.
    groups: Vec<u64>,
}

/// A request for feedback.
struct Ask {
    on: Variable,
    context: Context,
    groups: Vec<u64>,
}

impl Variable {
    /// Gives feedback on everything that this outcome was made of and that is to be improved, level by level: all requests of a level are
    /// asked at once. Feedback on texts that came out of an operation is replaced, on others it is added to what is there.
    ///
    /// Where the model has nothing to say about a text, nothing is asked about what that text was made of.
    ///
    /// # Errors
    /// [`Error::Parameter`] if nothing is to be improved; [`Error::Call`].
    pub fn backward(&self, engine: &Engine<'_>) -> Result<Vec<Feedback>, Error> {
        if !self.requires_grad() {
            let way_out = "make the text that is to be improved with Variable::new, not Variable::constant";
            let value = format!("{:?}, which was made of constants only", self.role());
            return Err(Error::parameter(
                "the outcome",
                value,
                "made of a text that requires a gradient",
                way_out,
            ));
        }
        let mut nodes = reached(self);
        let mut places: BTreeMap<u64, Place> = nodes.keys().map(|order| (*order, Place::default())).collect();
        place(&mut places, self.order()).is_outcome = true;
        for (order, node) in nodes.iter().rev() {
            let level = place(&mut places, *order).level + 1;
            for predecessor in improvable(node) {
                let place = place(&mut places, predecessor.order());
                place.level = place.level.max(level);
            }
            if node.is_made() {
                node.zero_grad();
            }
        }
        let mut levels: BTreeMap<usize, Vec<Variable>> = BTreeMap::new();
        while let Some((order, node)) = nodes.pop_first() {
            levels.entry(place(&mut places, order).level).or_default().push(node);
        }
        let mut given = Vec::new();
        for level in levels.values() {
            given.extend(reduce(level, engine)?);
            given.extend(step_back(level, &mut places, engine)?);
        }
        Ok(given)
    }
}

/// Everything that is to be improved, by the order in which it was made.
fn reached(outcome: &Variable) -> BTreeMap<u64, Variable> {
    let mut nodes = BTreeMap::new();
    let mut open = vec![outcome.clone()];
    while let Some(node) = open.pop() {
        nodes.entry(node.order()).or_insert_with(|| {
            open.extend(improvable(&node));
            node
        });
    }
    nodes
}

/// The predecessors that are to be improved, each once.
fn improvable(node: &Variable) -> Vec<Variable> {
    let mut seen = BTreeSet::new();
    node.predecessors()
        .into_iter()
        .filter(|predecessor| predecessor.requires_grad() && seen.insert(predecessor.order()))
        .collect()
}

fn place(places: &mut BTreeMap<u64, Place>, order: u64) -> &mut Place {
    places.entry(order).or_default()
}

/// Merges feedback that came through the same aggregates.
fn reduce(level: &[Variable], engine: &Engine<'_>) -> Result<Vec<Feedback>, Error> {
    let prompts = engine.prompts();
    let (mut merges, mut asked) = (Vec::new(), Vec::new());
    for node in level {
        let gradients = node.gradients();
        let mut groups: Vec<&Vec<u64>> = Vec::new();
        for gradient in gradients.iter().filter(|gradient| !gradient.groups.is_empty()) {
            if !groups.contains(&&gradient.groups) {
                groups.push(&gradient.groups);
            }
        }
        for group in groups {
            let texts: Vec<&str> = gradients
                .iter()
                .filter(|gradient| gradient.groups == *group && !gradient.feedback.trim().is_empty())
                .map(|gradient| gradient.feedback.as_str())
                .collect();
            if texts.len() < 2 {
                continue;
            }
            let n = nonce(&texts, &TAGS);
            let items: String = texts
                .iter()
                .map(|text| fill(&prompts.reduce_item, &[("n", &n), ("feedback", text)]))
                .collect();
            let request = engine.request(&fill(&prompts.reduce_system, &[("n", &n)]), items);
            asked.push((node.role(), request));
            merges.push((node.clone(), group.clone()));
        }
    }
    let answers = engine.ask(Stage::Reduce, asked)?;
    let merged = merges.into_iter().zip(answers).map(|((node, group), answer)| {
        let feedback = answer.text.trim().to_owned();
        let mut gradients = node.gradients();
        let first = gradients.iter().position(|gradient| gradient.groups == group).unwrap_or_default();
        gradients.retain(|gradient| gradient.groups != group);
        gradients.insert(first, Gradient { feedback: feedback.clone(), context: None, groups: group });
        node.set_gradients(gradients);
        Feedback { on: node.role(), through: None, feedback }
    });
    Ok(merged.collect())
}

/// From the texts of a level to what they were made of.
fn step_back(
    level: &[Variable],
    places: &mut BTreeMap<u64, Place>,
    engine: &Engine<'_>,
) -> Result<Vec<Feedback>, Error> {
    let mut given = Vec::new();
    let (mut asks, mut asked) = (Vec::new(), Vec::new());
    for node in level {
        let feedback = node.feedback();
        let Place { is_outcome, groups, .. } = place(places, node.order());
        let (is_outcome, mut groups) = (*is_outcome, groups.clone());
        let operation = node.read().operation.clone();
        if feedback.is_empty() && !is_outcome {
            continue;
        }
        let Some(operation) = operation else { continue };
        if matches!(operation, Operation::Aggregate) {
            groups.push(node.order());
        }
        for predecessor in improvable(node) {
            let place = place(places, predecessor.order());
            for group in &groups {
                if !place.groups.contains(group) {
                    place.groups.push(*group);
                }
            }
            match &operation {
                Operation::Sum | Operation::Aggregate if feedback.is_empty() => place.is_outcome = true,
                Operation::Sum | Operation::Aggregate => {
                    let role = predecessor.role();
                    let text = fill(&engine.prompts().combined, &[("role", &role), ("feedback", &feedback)]);
                    given.push(Feedback { on: role, through: Some(node.role()), feedback: text.clone() });
                    predecessor.add_gradient(Gradient {
                        feedback: text,
                        context: None,
                        groups: groups.clone(),
                    });
                }
                Operation::Call { .. } | Operation::Function { .. } => {
                    let ask = Ask {
                        context: Context {
                            response_role: node.role(),
                            output: node.value(),
                            operation: operation.clone(),
                        },
                        groups: groups.clone(),
                        on: predecessor,
                    };
                    asked.push((ask.on.role(), request(&ask, &feedback, engine)));
                    asks.push(ask);
                }
            }
        }
    }
    for (ask, answer) in asks.into_iter().zip(engine.ask(Stage::Backward, asked)?) {
        let feedback = answer.text.trim().to_owned();
        let through = Some(ask.context.response_role.clone());
        given.push(Feedback { on: ask.on.role(), through, feedback: feedback.clone() });
        ask.on.add_gradient(Gradient { feedback, context: Some(ask.context), groups: ask.groups });
    }
    Ok(given)
}

fn request(ask: &Ask, feedback: &str, engine: &Engine<'_>) -> backstitch_llm::Request {
    let prompts = engine.prompts();
    let (role, span) = (ask.on.role(), ask.on.excerpt(engine.parameters().excerpt_words));
    let mut texts = ask.context.texts();
    texts.extend([role.as_str(), &span, feedback]);
    let n = nonce(&texts, &TAGS);
    let objective = match feedback {
        "" => fill(&prompts.objective_evaluation, &[("n", &n)]),
        feedback => {
            let slots =
                [("n", n.as_str()), ("response_role", &ask.context.response_role), ("feedback", feedback)];
            fill(&prompts.objective_feedback, &slots)
        }
    };
    let conversation = ask.context.conversation(engine, &n);
    let slots = [
        ("n", n.as_str()),
        ("role", &role),
        ("conversation", &conversation),
        ("objective", &objective),
        ("span", &span),
    ];
    engine.request(&fill(&prompts.backward_system, &[("n", &n)]), fill(&prompts.backward, &slots))
}

impl Context {
    /// What was asked and answered, or put into a function and came out.
    pub(super) fn conversation(&self, engine: &Engine<'_>, n: &str) -> String {
        let prompts = engine.prompts();
        let output = self.output.as_str();
        match &self.operation {
            Operation::Call { system, prompt } => {
                let system = system
                    .as_ref()
                    .map(|system| fill(&prompts.conversation_system, &[("n", n), ("system", system)]));
                let system = system.unwrap_or_default();
                let slots = [("n", n), ("system", system.as_str()), ("input", prompt), ("output", output)];
                fill(&prompts.conversation, &slots)
            }
            Operation::Function { purpose, inputs } => {
                let words = engine.parameters().excerpt_words;
                let inputs: String = inputs
                    .iter()
                    .map(|Input { name, role, value }| {
                        let value = excerpt(value, words);
                        fill(&prompts.function_input, &[("name", name), ("role", role), ("value", &value)])
                    })
                    .collect();
                let inputs = inputs.trim_end();
                fill(
                    &prompts.function,
                    &[("n", n), ("purpose", purpose), ("inputs", inputs), ("output", output)],
                )
            }
            Operation::Sum | Operation::Aggregate => String::new(),
        }
    }

    /// All texts in it.
    pub(super) fn texts(&self) -> Vec<&str> {
        let mut texts = vec![self.output.as_str(), &self.response_role];
        match &self.operation {
            Operation::Call { system, prompt } => {
                texts.extend(system.iter().chain([prompt]).map(String::as_str))
            }
            Operation::Function { purpose, inputs } => {
                texts.push(purpose);
                texts
                    .extend(inputs.iter().flat_map(|input| [input.name.as_str(), &input.role, &input.value]));
            }
            Operation::Sum | Operation::Aggregate => {}
        }
        texts
    }
}
