//! Textual gradient descent: a new text by the feedback on the old one.

use backstitch_llm::{Message, Prompt, Request, Role};
use serde::Serialize;

use super::engine::{Answer, Engine, Stage};
use super::prompts::{IMPROVED, TAGS};
use super::template::{fill, nonce, tagged};
use super::variable::{Gradient, Variable};
use crate::Error;

/// Texts shorter than this may grow to it and beyond by [`TextualGradientDescent::with_most_growth`].
const SHORT: usize = 200;

/// Rewrites texts by the feedback on them: one request per text and step, all texts of a step at once.
///
/// A reply without a new text between the tags, or with one that breaks a rule, is asked again once, and then an error.
pub struct TextualGradientDescent {
    parameters: Vec<Parameter>,
    constraints: Vec<String>,
    rules: Vec<Rule>,
    examples: Vec<String>,
    momentum_window: usize,
    gradient_memory: usize,
    most_growth: f64,
}

/// A text to be improved, and what was before it.
struct Parameter {
    variable: Variable,
    /// Earlier texts and the feedback on them, the oldest first.
    past: Vec<(String, String)>,
}

/// A test of new texts, which says why one fails.
type Rule = Box<dyn Fn(&str) -> Result<(), String>>;

impl Parameter {
    /// Goes on from the new text.
    fn take(&mut self, step: &Step) {
        if step.had_feedback {
            self.past.push((step.before.clone(), self.variable.feedback()));
            self.variable.set_value(step.after.clone());
        }
    }
}

/// What a step did to a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its role.
    pub role: String,
    /// The text before.
    pub before: String,
    /// The text after.
    pub after: String,
    /// Whether the reply had to be asked again.
    pub repaired: bool,
    /// Whether there was feedback; without any nothing is asked, and the text stays.
    pub had_feedback: bool,
}

/// A request for a new text.
struct Ask {
    place: usize,
    request: Request,
    tag: String,
}

impl TextualGradientDescent {
    /// An optimiser of these texts, without constraints, momentum or memory.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a constant among them, for something that was computed, and for none at all.
    pub fn new(parameters: impl IntoIterator<Item = Variable>) -> Result<Self, Error> {
        let parameters: Vec<Parameter> =
            parameters.into_iter().map(|variable| Parameter { variable, past: Vec::new() }).collect();
        if parameters.is_empty() {
            return Err(Error::parameter(
                "the texts to improve",
                "none",
                "at least one",
                "make one with Variable::new",
            ));
        }
        for Parameter { variable, .. } in &parameters {
            let problem = match () {
                () if !variable.requires_grad() => "a constant",
                () if variable.is_made() => "the outcome of an operation",
                () => continue,
            };
            let value = format!("{:?}, {problem}", variable.role());
            return Err(Error::parameter(
                "a text to improve",
                value,
                "made with Variable::new",
                "improve what it was made of",
            ));
        }
        Ok(Self {
            parameters,
            constraints: Vec::new(),
            rules: Vec::new(),
            examples: Vec::new(),
            momentum_window: 0,
            gradient_memory: 0,
            most_growth: 20.0,
        })
    }

    /// Constraints in words, numbered in requests.
    #[must_use]
    pub fn with_constraints<S: Into<String>>(mut self, constraints: impl IntoIterator<Item = S>) -> Self {
        self.constraints = constraints.into_iter().map(Into::into).collect();
        self
    }

    /// A test that every new text has to pass, or says why it does not: "has no last line `Answer: X`". It is not shown to the model unless
    /// a reply fails it; put it into the [constraints](Self::with_constraints) too.
    #[must_use]
    pub fn with_rule(mut self, rule: impl Fn(&str) -> Result<(), String> + 'static) -> Self {
        self.rules.push(Box::new(rule));
        self
    }

    /// Examples to go by.
    #[must_use]
    pub fn with_examples<S: Into<String>>(mut self, examples: impl IntoIterator<Item = S>) -> Self {
        self.examples = examples.into_iter().map(Into::into).collect();
        self
    }

    /// Shows so many earlier texts with the feedback on each (0).
    #[must_use]
    pub fn with_momentum(mut self, window: usize) -> Self {
        self.momentum_window = window;
        self
    }

    /// Shows the last so many earlier feedbacks, without the texts (0).
    #[must_use]
    pub fn with_gradient_memory(mut self, feedbacks: usize) -> Self {
        self.gradient_memory = feedbacks;
        self
    }

    /// Refuses a new text of more than so many times the length of the old one, or less than the same share of it (20): a refusal or an
    /// explanation in the place of the text. Short texts may grow to 200 characters times this.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless it is finite and at least 1.
    pub fn with_most_growth(mut self, times: f64) -> Result<Self, Error> {
        if !(times >= 1.0 && times.is_finite()) {
            return Err(Error::parameter("most_growth", times, "finite and at least 1", "use 20"));
        }
        self.most_growth = times;
        Ok(self)
    }

    /// The texts.
    pub fn parameters(&self) -> impl Iterator<Item = &Variable> {
        self.parameters.iter().map(|parameter| &parameter.variable)
    }

    /// Forgets the feedback on all texts, with its contexts. Momentum and memory stay.
    pub fn zero_grad(&self) {
        self.parameters().for_each(Variable::zero_grad);
    }

    /// Rewrites each text by its feedback, all of them or, if one fails, none.
    ///
    /// # Errors
    /// [`Error::Call`]; [`Error::Malformed`] for a reply that could not be used, the second time too.
    pub fn step(&mut self, engine: &Engine<'_>) -> Result<Vec<Step>, Error> {
        let steps: Vec<Step> = self.propose(engine)?.into_iter().collect::<Result<_, _>>()?;
        self.parameters.iter_mut().zip(&steps).for_each(|(parameter, step)| parameter.take(step));
        Ok(steps)
    }

    /// Rewrites each text by its feedback. A text whose reply could not be used stays as it is, and has [`Error::Malformed`] in its place.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn step_each(&mut self, engine: &Engine<'_>) -> Result<Vec<Result<Step, Error>>, Error> {
        let steps = self.propose(engine)?;
        for (parameter, step) in self.parameters.iter_mut().zip(&steps) {
            if let Ok(step) = step {
                parameter.take(step);
            }
        }
        Ok(steps)
    }

    /// New texts; none is put in the place of the old one yet.
    fn propose(&self, engine: &Engine<'_>) -> Result<Vec<Result<Step, Error>>, Error> {
        let mut steps: Vec<Result<Step, Error>> = self
            .parameters()
            .map(|variable| {
                let (before, had_feedback) = (variable.value(), !variable.feedback().is_empty());
                Ok(Step {
                    role: variable.role(),
                    after: before.clone(),
                    before,
                    repaired: false,
                    had_feedback,
                })
            })
            .collect();
        let ask = |(place, step): (usize, &Result<Step, Error>)| {
            step.as_ref().is_ok_and(|step| step.had_feedback).then(|| self.ask(place, engine))
        };
        let asks: Vec<Ask> = steps.iter().enumerate().filter_map(ask).collect();
        let role = |ask: &Ask| self.parameters[ask.place].variable.role();
        let asked = asks.iter().map(|ask| (role(ask), ask.request.clone())).collect();
        let mut repairs = Vec::new();
        for (ask, answer) in asks.into_iter().zip(engine.ask(Stage::Optimizer, asked)?) {
            match (self.new_text(&ask, &answer), &mut steps[ask.place]) {
                (Ok(text), Ok(step)) => step.after = text,
                (Err(problem), _) => repairs.push((repair(&ask, &answer, &problem, engine), ask)),
                (Ok(_), Err(_)) => {}
            }
        }
        let asked = repairs.iter().map(|(request, ask)| (role(ask), request.clone())).collect();
        for ((_, ask), answer) in repairs.iter().zip(engine.ask(Stage::Repair, asked)?) {
            let step = &mut steps[ask.place];
            match (self.new_text(ask, &answer), &mut *step) {
                (Ok(text), Ok(step)) => (step.after, step.repaired) = (text, true),
                (Err(problem), _) => {
                    *step = Err(Error::Malformed { role: role(ask), problem, reply: answer.text })
                }
                (Ok(_), Err(_)) => {}
            }
        }
        Ok(steps)
    }

    /// The request for a new text.
    fn ask(&self, place: usize, engine: &Engine<'_>) -> Ask {
        let prompts = engine.prompts();
        let Parameter { variable, past } = &self.parameters[place];
        let (role, value) = (variable.role(), variable.excerpt(engine.parameters().excerpt_words));
        let gradients: Vec<Gradient> = variable
            .gradients()
            .into_iter()
            .filter(|gradient| !gradient.feedback.trim().is_empty())
            .collect();
        let past = &past[past.len().saturating_sub(self.momentum_window.max(self.gradient_memory))..];
        let whole = variable.value();
        let mut texts = vec![role.as_str(), &whole];
        texts.extend(past.iter().flat_map(|(value, feedback)| [value.as_str(), feedback]));
        texts.extend(self.constraints.iter().chain(&self.examples).map(String::as_str));
        for gradient in &gradients {
            texts.push(&gradient.feedback);
            texts.extend(gradient.context.iter().flat_map(super::variable::Context::texts));
        }
        let n = nonce(&texts, &TAGS);
        let tag = format!("{IMPROVED}{n}");
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let slots = [
            ("n", n.clone()),
            ("open", open),
            ("close", close),
            ("value", value),
            ("gradients", self.gradients(&gradients, &role, &n, engine)),
            ("past", self.past(past, &n, engine)),
            ("memory", self.memory(past, &n, engine)),
            (
                "constraints",
                listed(&prompts.constraints, &prompts.constraint, "constraint", &self.constraints, &n),
            ),
            ("examples", listed(&prompts.examples, "{example}\n", "example", &self.examples, &n)),
            ("role", role),
        ];
        let slots: Vec<(&str, &str)> = slots.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let request =
            engine.request(&fill(&prompts.optimizer_system, &slots), fill(&prompts.optimizer, &slots));
        Ask { place, request, tag }
    }

    /// The feedback, with the conversations it comes from as far as there is room.
    fn gradients(&self, gradients: &[Gradient], role: &str, n: &str, engine: &Engine<'_>) -> String {
        let prompts = engine.prompts();
        let conversations: Vec<Option<String>> = gradients
            .iter()
            .map(|gradient| gradient.context.as_ref().map(|context| context.conversation(engine, n)))
            .collect();
        let mut room = engine.parameters().most_context.unwrap_or(usize::MAX);
        let mut shown = vec![String::new(); gradients.len()];
        // The latest first: the oldest are left out.
        for place in (0..gradients.len()).rev() {
            let Gradient { feedback, context, .. } = &gradients[place];
            shown[place] = match (context, &conversations[place]) {
                (Some(context), Some(conversation)) => {
                    let length = conversation.chars().count();
                    let fits = length <= room;
                    // Once one is left out, so are those before it.
                    room = if fits { room - length } else { 0 };
                    let conversation = if fits { conversation } else { &prompts.left_out };
                    let slots = [
                        ("n", n),
                        ("role", role),
                        ("conversation", conversation),
                        ("response_role", &context.response_role),
                        ("feedback", feedback.trim()),
                    ];
                    fill(&prompts.gradient, &slots)
                }
                _ => {
                    fill(&prompts.gradient_alone, &[("n", n), ("role", role), ("feedback", feedback.trim())])
                }
            };
        }
        shown.join("\n")
    }

    fn past(&self, past: &[(String, String)], n: &str, engine: &Engine<'_>) -> String {
        let (prompts, words) = (engine.prompts(), engine.parameters().excerpt_words);
        let past = &past[past.len().saturating_sub(self.momentum_window)..];
        let items = past.iter().zip(1..).map(|((value, feedback), number)| {
            let (number, value) = (number.to_string(), super::variable::excerpt(value, words));
            fill(
                &prompts.past_item,
                &[("n", n), ("number", &number), ("value", &value), ("feedback", feedback)],
            )
        });
        block(&prompts.past, items.collect(), n)
    }

    fn memory(&self, past: &[(String, String)], n: &str, engine: &Engine<'_>) -> String {
        let prompts = engine.prompts();
        let past = &past[past.len().saturating_sub(self.gradient_memory)..];
        let items = past.iter().zip(1..).map(|((_, feedback), number)| {
            fill(&prompts.memory_item, &[("n", n), ("number", &number.to_string()), ("feedback", feedback)])
        });
        block(&prompts.memory, items.collect(), n)
    }

    /// The new text in a reply, or why there is none.
    fn new_text(&self, ask: &Ask, answer: &Answer) -> Result<String, String> {
        let (tag, before) = (&ask.tag, self.parameters[ask.place].variable.value());
        let Some(text) = tagged(&answer.text, tag) else {
            let why =
                if answer.cut { "the reply was cut off before" } else { "the reply has no text between" };
            return Err(format!("{why} <{tag}> and </{tag}>"));
        };
        if text.is_empty() {
            return Err(format!("there is nothing between <{tag}> and </{tag}>"));
        }
        let (old, new) = (before.chars().count() as f64, text.chars().count() as f64);
        if new > self.most_growth * old.max(SHORT as f64) {
            return Err(format!("the new text has {new} characters, the old one {old}"));
        }
        if old > SHORT as f64 && new * self.most_growth < old {
            return Err(format!("the new text has only {new} characters, the old one {old}"));
        }
        self.rules.iter().try_for_each(|rule| rule(text))?;
        Ok(text.into())
    }
}

/// The request with the unusable reply, and what is wrong with it.
fn repair(ask: &Ask, answer: &Answer, problem: &str, engine: &Engine<'_>) -> Request {
    let (open, close) = (format!("<{}>", ask.tag), format!("</{}>", ask.tag));
    let said = fill(&engine.prompts().repair, &[("problem", problem), ("open", &open), ("close", &close)]);
    let turn = |role, content: &str| Message { role, content: content.into() };
    let mut messages = match &ask.request.prompt {
        Prompt::Messages(messages) => messages.clone(),
        Prompt::Raw(text) => vec![turn(Role::User, text)],
    };
    // Servers refuse an empty turn.
    let reply = if answer.text.trim().is_empty() { "(nothing)" } else { &answer.text };
    messages.extend([turn(Role::Assistant, reply), turn(Role::User, &said)]);
    Request { prompt: Prompt::Messages(messages), ..ask.request.clone() }
}

/// A numbered list in its block, or nothing.
fn listed(template: &str, item: &str, slot: &str, texts: &[String], n: &str) -> String {
    let items = texts
        .iter()
        .zip(1..)
        .map(|(text, number)| fill(item, &[("n", n), ("number", &number.to_string()), (slot, text)]));
    block(template, items.collect(), n)
}

fn block(template: &str, items: String, n: &str) -> String {
    if items.is_empty() { items } else { fill(template, &[("n", n), ("items", &items)]) }
}
