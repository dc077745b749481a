//! The embedded model searches for hidden codes.

use backstitch_claim::{Cell, CellContext, CellError};
use backstitch_llm::corpus::Skill;
use backstitch_llm::corpus::feedback::{Code, Feedback, Link, Problem, complete};
use backstitch_llm::{Error, FinishReason, Identity, Message, Model, Prompt, Reply, Request, Sample, Usage};
use backstitch_numerics::Stream;
use backstitch_reason::textgrad::{
    Engine, Parameters, Prompts, StringFunction, TextualGradientDescent, Variable, sum,
};
use serde::{Deserialize, Serialize};

use super::Configuration;
use crate::embedded::embedded;

/// A code between its tags, in tokens, with some to spare.
const MOST_TOKENS: u32 = 40;
/// The share of those that are found without a function which have to be found through one.
const SHARE: f64 = 0.8;
/// How often codes have to be found where the others find them once.
const TWICE: f64 = 2.0;

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Search {
    solved: bool,
    steps: u32,
}

pub(super) fn run(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let model = model(configuration, cell.seed)?;
    let (searches, refused) = match cell.arm.as_str() {
        "random-edits" => (random_edits(cell.seed, configuration), 0.0),
        _ => searched(cell, configuration, &*model)?,
    };
    for (number, search) in searches.iter().enumerate() {
        context.observe_item("solved", &item(cell, number), found(search));
        context.observe_item("steps", &item(cell, number), f64::from(search.steps));
    }
    context.observe("refused", refused);
    context.artifact("searches.json", &serde_json::to_vec(&searches).map_err(CellError::new)?)?;
    let mut compared = Vec::new();
    if cell.setting == "code" {
        compared.push(("beyond_random", TWICE, random_edits(cell.seed, configuration)));
    }
    if cell.setting == "code" && cell.arm != "shuffled-feedback" {
        compared.push(("beyond_shuffled", TWICE, needed(context, "shuffled-feedback")?));
    }
    if cell.setting == "chain" {
        let directly = needed(context, "textgrad")?;
        for (number, search) in directly.iter().enumerate() {
            context.observe_item("solved_directly", &item(cell, number), found(search));
        }
        compared.push(("beyond_share", SHARE, directly));
    }
    for (metric, times, others) in compared {
        for (number, (search, other)) in searches.iter().zip(&others).enumerate() {
            context.observe_item(metric, &item(cell, number), found(search) - times * found(other));
        }
    }
    Ok(())
}

/// Problems of other seeds are others.
fn item(cell: &Cell, number: usize) -> String {
    format!("{}-{number:03}", cell.seed)
}

fn found(search: &Search) -> f64 {
    f64::from(u8::from(search.solved))
}

fn needed(context: &CellContext<'_>, arm: &str) -> Result<Vec<Search>, CellError> {
    serde_json::from_slice(&context.read_need(arm, "searches.json")?).map_err(CellError::new)
}

/// The problems of a seed, the same for all arms.
fn problems(seed: u64, count: usize) -> Vec<Problem> {
    let mut stream = Stream::new(seed, "textgrad study problems");
    (0..count).map(|_| Problem::held_out(&mut stream)).collect()
}

/// Random codes, as many as there are steps.
fn random_edits(seed: u64, configuration: &Configuration) -> Vec<Search> {
    let edits = |(number, problem): (usize, &Problem)| {
        let mut stream = Stream::new(seed, &format!("textgrad study random edits {number}"));
        let at = (1..=configuration.steps).find(|_| Code::random(&mut stream) == problem.target);
        Search { solved: at.is_some(), steps: at.unwrap_or(configuration.steps + 1) }
    };
    problems(seed, configuration.problems).iter().enumerate().map(edits).collect()
}

/// A search on its way.
struct Open {
    problem: Problem,
    /// The hidden code that feedback is about.
    about: Code,
    link: Link,
    variable: Variable,
    noise: Stream,
    solved_at: Option<u32>,
}

/// All searches of a cell, each step together.
fn searched(
    cell: &Cell,
    configuration: &Configuration,
    model: &dyn Model,
) -> Result<(Vec<Search>, f64), CellError> {
    let other_memory = OtherMemory { model };
    let model: &dyn Model = if cell.arm == "memory-of-others" { &other_memory } else { model };
    let parameters = Parameters { max_tokens: MOST_TOKENS, top_p: 1.0, ..Parameters::default() };
    let engine = Engine::new(model)
        .with_prompts(Prompts::bare())
        .and_then(|engine| engine.with_parameters(parameters))
        .map_err(CellError::new)?;
    let problems = problems(cell.seed, configuration.problems);
    let mut all: Vec<Open> = Vec::new();
    for (number, problem) in problems.iter().enumerate() {
        let about = match cell.arm.as_str() {
            "shuffled-feedback" => problems[(number + 1) % problems.len()].target,
            _ => problem.target,
        };
        all.push(Open {
            problem: *problem,
            about,
            link: Link::ALL[number % Link::ALL.len()],
            variable: Variable::new(problem.start.to_string(), "code").map_err(CellError::new)?,
            noise: Stream::new(cell.seed, &format!("textgrad study noise {number}")),
            solved_at: None,
        });
    }
    let window =
        if matches!(cell.arm.as_str(), "momentum" | "memory-of-others") { configuration.window } else { 0 };
    let rule = |text: &str| text.parse::<Code>().map(|_| ());
    let mut optimizer = TextualGradientDescent::new(all.iter().map(|open| open.variable.clone()))
        .map_err(CellError::new)?
        .with_momentum(window)
        .with_rule(rule);
    let noise = if cell.setting == "noisy" { configuration.noise } else { 0.0 };
    let (mut updates, mut refused) = (0, 0);
    for step in 1..=configuration.steps {
        optimizer.zero_grad();
        let losses: Vec<Variable> = all
            .iter_mut()
            .filter(|open| open.solved_at.is_none())
            .map(|open| open.loss(cell, noise))
            .collect::<Result<_, _>>()?;
        if losses.is_empty() {
            break;
        }
        sum(&losses).backward(&engine).map_err(CellError::new)?;
        let steps = optimizer.step_each(&engine).map_err(CellError::new)?;
        updates += losses.len();
        refused += steps.iter().filter(|step| step.is_err()).count();
        for open in &mut all {
            if open.solved_at.is_none() && open.code()? == open.problem.target {
                open.solved_at = Some(step);
            }
        }
    }
    let searches = all.iter().map(|open| Search {
        solved: open.solved_at.is_some(),
        steps: open.solved_at.unwrap_or(configuration.steps + 1),
    });
    Ok((searches.collect(), refused as f64 / updates.max(1) as f64))
}

impl Open {
    fn code(&self) -> Result<Code, CellError> {
        self.variable.value().parse().map_err(CellError::new)
    }

    /// What is said of the code, or of what the function makes of it.
    fn loss(&mut self, cell: &Cell, noise: f64) -> Result<Variable, CellError> {
        let code = self.code()?;
        let through = cell.setting == "chain";
        let (checked, about) =
            if through { (self.link.apply(code), self.link.apply(self.about)) } else { (code, self.about) };
        let said = Feedback::of(checked, about).noisy(checked, noise, &mut self.noise).to_string();
        let check = StringFunction::new("check", move |_| said.clone());
        if !through || cell.arm == "untraced" {
            return Ok(check.call(&[("code", &self.variable)]));
        }
        let link = self.link;
        let apply = move |texts: &[&str]| {
            texts[0].parse::<Code>().map(|code| link.apply(code).to_string()).unwrap_or_default()
        };
        let function = StringFunction::new(link.name(), apply).with_response_role("code");
        Ok(check.call(&[("code", &function.call(&[("code", &self.variable)]))]))
    }
}

/// The model that a seed has.
fn model(configuration: &Configuration, seed: u64) -> Result<Box<dyn Model>, CellError> {
    match configuration.model.as_str() {
        "embedded" => Ok(Box::new(embedded(Skill::Feedback, seed)?)),
        "corpus" => Ok(Box::new(Learned::default())),
        other => Err(CellError::new(format!("model is {other:?}, but must be \"embedded\" or \"corpus\""))),
    }
}

/// What a model would say that has learned its corpus without fault. To anything else it says nothing.
struct Learned(Identity);

impl Default for Learned {
    fn default() -> Self {
        Self(Identity { kind: "corpus".into(), place: String::new(), model: "feedback".into() })
    }
}

impl Model for Learned {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        for (position, request) in requests.iter().enumerate() {
            let text = last_turn(request).and_then(|message| complete(&message.content)).unwrap_or_default();
            let sample = Sample { text, finish: FinishReason::Stop, tokens: None };
            arrived(position, Ok(Reply { samples: vec![sample], usage: Usage::default(), stored: 0 }));
        }
    }
}

fn last_turn(request: &Request) -> Option<&Message> {
    match &request.prompt {
        Prompt::Messages(messages) => messages.last(),
        Prompt::Raw(_) => None,
    }
}

/// Shows to each of a batch the earlier codes of the next one.
struct OtherMemory<'a> {
    model: &'a dyn Model,
}

impl Model for OtherMemory<'_> {
    fn identity(&self) -> &Identity {
        self.model.identity()
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        let memories: Vec<String> = requests
            .iter()
            .map(|request| {
                let text = last_turn(request).map_or("", |message| message.content.as_str());
                text.find("\nEarlier : ").map_or_else(String::new, |at| text[at..].to_owned())
            })
            .collect();
        let mut swapped = requests.to_vec();
        for (place, request) in swapped.iter_mut().enumerate() {
            if let Prompt::Messages(messages) = &mut request.prompt
                && let Some(message) = messages.last_mut()
                && !memories[place].is_empty()
            {
                message.content.truncate(message.content.len() - memories[place].len());
                message.content += &memories[(place + 1) % memories.len()];
            }
        }
        self.model.answer(&swapped, arrived);
    }
}
