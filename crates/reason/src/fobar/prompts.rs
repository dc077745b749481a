//! What the model reads.

use backstitch_llm::Request;
use serde::{Deserialize, Serialize};

use super::parameters::Parameters;
use crate::Error;

/// A worked question, forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demonstration {
    /// The question.
    pub question: String,
    /// Its solution, step by step.
    pub steps: String,
    /// Its answer.
    pub answer: String,
}

/// A worked question, backward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackwardDemonstration {
    /// The question, one number of it replaced by `x`.
    pub question: String,
    /// The answer of the question.
    pub answer: String,
    /// How the number is found, step by step.
    pub steps: String,
    /// The number.
    pub value: String,
}

/// The texts around a question. The default is our own; the paper's demonstrations can be taken from a copy of its repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prompts {
    /// The system text.
    pub system: String,
    /// Worked questions, forward.
    pub forward: Vec<Demonstration>,
    /// What stands above the backward questions.
    pub role: String,
    /// Worked questions, backward.
    pub backward: Vec<BackwardDemonstration>,
    /// The sentence that states the answer and asks for the unknown, with the slots `{answer}` and `{unknown}`.
    pub statement: String,
}

/// Where the answer stands in a reply.
pub(super) const FORWARD_MARK: &str = "The answer is";

/// Where the value of the unknown stands.
pub(super) fn backward_mark(unknown: &str) -> String {
    format!("The value of {unknown} is")
}

/// A completion model goes on with a question of its own.
const STOP: &str = "\nQuestion:";

impl Default for Prompts {
    fn default() -> Self {
        let forward = |question: &str, steps: &str, answer: &str| Demonstration {
            question: question.into(),
            steps: steps.into(),
            answer: answer.into(),
        };
        let backward = |question: &str, answer: &str, steps: &str, value: &str| BackwardDemonstration {
            question: question.into(),
            answer: answer.into(),
            steps: steps.into(),
            value: value.into(),
        };
        Self {
            system: "Follow the form of the examples and answer the last question.".into(),
            forward: vec![
                forward(
                    "A ferry leaves with 46 passengers. At the first island 19 get off and 8 get on. How many passengers are then on \
                     board?",
                    "There are 46 passengers. After 19 get off there are 46 - 19 = 27. After 8 get on there are 27 + 8 = 35.",
                    "35",
                ),
                forward(
                    "Mira packs 7 boxes with 12 candles each and keeps 5 candles for herself. How many candles did she have?",
                    "In the boxes are 7 * 12 = 84 candles. With the 5 she keeps that makes 84 + 5 = 89.",
                    "89",
                ),
                forward(
                    "A roll of 30 metres of cable costs $45. How many dollars do 8 metres of it cost?",
                    "One metre costs 45 / 30 = 1.5 dollars. 8 metres cost 8 * 1.5 = 12 dollars.",
                    "12",
                ),
                forward(
                    "Jonas reads 18 pages on Monday and twice as many on Tuesday. His book has 120 pages. How many pages are left?",
                    "On Tuesday he reads 2 * 18 = 36 pages. On both days together he reads 18 + 36 = 54 pages. There are 120 - 54 = 66 \
                     pages left.",
                    "66",
                ),
            ],
            role:
                "In each question a number is unknown. The answer of the question is given. Find the unknown."
                    .into(),
            backward: vec![
                backward(
                    "A ferry leaves with 46 passengers. At the first island x get off and 8 get on. How many passengers are then on \
                     board?",
                    "35",
                    "After x get off and 8 get on there are 46 - x + 8 = 54 - x passengers. This is 35, so x = 54 - 35 = 19.",
                    "19",
                ),
                backward(
                    "Mira packs x boxes with 12 candles each and keeps 5 candles for herself. How many candles did she have?",
                    "89",
                    "In the boxes are 12 * x candles. With the 5 she keeps that makes 12 * x + 5 = 89, so 12 * x = 84 and x = 84 / 12 = 7.",
                    "7",
                ),
                backward(
                    "A roll of 30 metres of cable costs $x. How many dollars do 8 metres of it cost?",
                    "12",
                    "One metre costs x / 30 dollars, and 8 metres cost 8 * x / 30 = 12 dollars. So x = 12 * 30 / 8 = 45.",
                    "45",
                ),
                backward(
                    "Jonas reads 18 pages on Monday and twice as many on Tuesday. His book has x pages. How many pages are left?",
                    "66",
                    "On Tuesday he reads 2 * 18 = 36 pages, on both days 18 + 36 = 54 pages. There are x - 54 = 66 pages left, so x = 66 \
                     + 54 = 120.",
                    "120",
                ),
            ],
            statement: "The answer of this question is {answer}. What is the value of the unknown {unknown}?"
                .into(),
        }
    }
}

impl Prompts {
    /// The questions alone, without system text, role and demonstrations: what the embedded models were trained on.
    pub fn bare() -> Self {
        let (system, role) = (String::new(), String::new());
        Self { system, role, forward: Vec::new(), backward: Vec::new(), ..Self::default() }
    }

    /// Checks that the statement has both of its slots.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn validate(&self) -> Result<(), Error> {
        if self.statement.contains("{answer}") && self.statement.contains("{unknown}") {
            return Ok(());
        }
        let way_out = "a backward question without the answer, or without the unknown, cannot be answered";
        let allowed = "a sentence with the slots {answer} and {unknown}";
        Err(Error::parameter("the statement", format!("{:?}", self.statement), allowed, way_out))
    }

    /// The request for all forward samples of a question.
    pub(super) fn forward(&self, question: &str, parameters: &Parameters) -> Request {
        let demonstrations = self.forward.iter().map(|demonstration| {
            let Demonstration { question, steps, answer } = demonstration;
            format!("Question: {question}\nA: {steps} {FORWARD_MARK} {answer}.\n\n")
        });
        let text = format!("{}Question: {question}\nA:", demonstrations.collect::<String>());
        Request { samples: parameters.forward_samples, ..self.request(text, parameters) }
    }

    /// The request for all backward samples of a masked question and a candidate.
    pub(super) fn backward(
        &self,
        masked: &str,
        unknown: &str,
        candidate: &str,
        parameters: &Parameters,
    ) -> Request {
        let stated = |answer: &str, unknown: &str| {
            self.statement.replace("{answer}", answer).replace("{unknown}", unknown)
        };
        let demonstrations = self.backward.iter().map(|demonstration| {
            let BackwardDemonstration { question, answer, steps, value } = demonstration;
            let (stated, mark) = (stated(answer, "x"), backward_mark("x"));
            format!("Question: {question}\n{stated}\nA: {steps} {mark} {value}.\n\n")
        });
        let (demonstrations, stated) = (demonstrations.collect::<String>(), stated(candidate, unknown));
        let role = if self.role.is_empty() { String::new() } else { format!("{}\n\n", self.role) };
        let text = format!("{role}{demonstrations}Question: {masked}\n{stated}\nA:");
        Request { samples: parameters.backward_samples, ..self.request(text, parameters) }
    }

    fn request(&self, text: String, parameters: &Parameters) -> Request {
        Request {
            system: Some(self.system.clone()).filter(|system| !system.is_empty()),
            temperature: parameters.temperature,
            max_tokens: parameters.max_tokens,
            seed: parameters.seed,
            stop: vec![STOP.into()],
            ..Request::user(text)
        }
    }
}
