//! What the model reads.

use backstitch_llm::Request;
use serde::{Deserialize, Serialize};

use super::parameters::{Confidence, Parameters};
use crate::Error;

/// A question that is taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecomposedQuestion {
    /// The question.
    pub question: String,
    /// Its tree: a JSON object as the model is to write it.
    pub tree: String,
}

/// A question that is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnsweredQuestion {
    /// Passages, for an answer from passages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passages: Vec<String>,
    /// Sub-questions and their answers, for an answer put together from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<(String, String)>,
    /// The question.
    pub question: String,
    /// What leads to the answer.
    pub explanation: String,
    /// The answer.
    pub answer: String,
}

/// An instruction and worked questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task<D> {
    /// What is to be done; may be empty.
    #[serde(default)]
    pub instruction: String,
    /// Worked questions.
    #[serde(default = "Vec::new")]
    pub demonstrations: Vec<D>,
}

impl<D> Default for Task<D> {
    fn default() -> Self {
        Self { instruction: String::new(), demonstrations: Vec::new() }
    }
}

/// The texts around a question. The default is our own; the paper's demonstrations can be taken from a copy of its repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prompts {
    /// The system text.
    pub system: String,
    /// Taking a question apart.
    pub decomposition: Task<DecomposedQuestion>,
    /// Answers from what the model knows.
    pub closed_book: Task<AnsweredQuestion>,
    /// Answers from passages, to questions without sub-questions.
    pub open_book: Task<AnsweredQuestion>,
    /// The same for questions with sub-questions.
    pub open_book_inner: Task<AnsweredQuestion>,
    /// Answers from the answers of sub-questions.
    pub children: Task<AnsweredQuestion>,
}

/// What stands between explanation and answer.
const MARK: &str = "So the answer is:";

/// A completion model goes on with a question of its own.
const STOPS: [&str; 3] = ["\nQuestion:", "\nPassages:", "\nContext:"];

impl Prompts {
    /// No system text, no instructions and no demonstrations: for models that were trained on the bare form.
    pub fn bare() -> Self {
        Self {
            system: String::new(),
            decomposition: Task::default(),
            closed_book: Task::default(),
            open_book: Task::default(),
            open_book_inner: Task::default(),
            children: Task::default(),
        }
    }

    /// Checks that every demonstration holds what its task is about.
    ///
    /// # Errors
    /// [`Error::Parameter`] of the first that does not.
    pub fn validate(&self) -> Result<(), Error> {
        let way_out = "give it, or leave the demonstration out";
        let with_passages = [&self.open_book, &self.open_book_inner];
        let lacks = |task: &Task<AnsweredQuestion>, part: fn(&AnsweredQuestion) -> bool| {
            task.demonstrations
                .iter()
                .find(|demonstration| part(demonstration))
                .map(|found| found.question.clone())
        };
        if let Some(question) =
            with_passages.iter().find_map(|task| lacks(task, |one| one.passages.is_empty()))
        {
            let name = "a demonstration of open_book";
            return Err(Error::parameter(
                name,
                format!("{question:?} without passages"),
                "one with passages",
                way_out,
            ));
        }
        if let Some(question) = lacks(&self.children, |one| one.context.is_empty()) {
            let name = "a demonstration of children";
            let allowed = "one with sub-questions and their answers";
            return Err(Error::parameter(name, format!("{question:?} without context"), allowed, way_out));
        }
        let tasks = [&self.closed_book, &self.open_book, &self.open_book_inner, &self.children];
        if let Some(question) =
            tasks.iter().find_map(|task| lacks(task, |one| one.explanation.trim().is_empty()))
        {
            let name = "a demonstration";
            let value = format!("{question:?} without an explanation");
            let allowed = "one with an explanation, of which the confidence is taken";
            return Err(Error::parameter(name, value, allowed, way_out));
        }
        Ok(())
    }

    /// The request for a tree.
    pub(super) fn decomposition(&self, question: &str, parameters: &Parameters) -> Request {
        let demonstrations = self.decomposition.demonstrations.iter();
        let worked = demonstrations.map(|one| format!("Question: {}\nTree: {}\n\n", one.question, one.tree));
        let asked = format!("Question: {question}\nTree:");
        self.request(
            &self.decomposition.instruction,
            worked.collect(),
            &asked,
            parameters.tree_tokens,
            parameters,
        )
    }

    /// The request for an answer from what the model knows.
    pub(super) fn closed_book(&self, question: &str, parameters: &Parameters) -> Request {
        self.answer(&self.closed_book, "", question, parameters)
    }

    /// The request for an answer from passages.
    pub(super) fn open_book(
        &self,
        passages: &[String],
        question: &str,
        inner: bool,
        parameters: &Parameters,
    ) -> Request {
        let task = if inner { &self.open_book_inner } else { &self.open_book };
        self.answer(task, &listed(passages), question, parameters)
    }

    /// The request for an answer from those of sub-questions.
    pub(super) fn children(
        &self,
        context: &[(String, String)],
        question: &str,
        parameters: &Parameters,
    ) -> Request {
        self.answer(&self.children, &stated(context), question, parameters)
    }

    fn answer(
        &self,
        task: &Task<AnsweredQuestion>,
        before: &str,
        question: &str,
        parameters: &Parameters,
    ) -> Request {
        let worked = task.demonstrations.iter().map(|one| {
            let AnsweredQuestion { passages, context, question, explanation, answer } = one;
            let before = listed(passages) + &stated(context);
            format!("{before}Question: {question}\nAnswer: {explanation} {MARK} {answer}.\n\n")
        });
        let asked = format!("{before}Question: {question}\nAnswer:");
        self.request(&task.instruction, worked.collect(), &asked, parameters.answer_tokens, parameters)
    }

    fn request(
        &self,
        instruction: &str,
        worked: String,
        asked: &str,
        max_tokens: u32,
        parameters: &Parameters,
    ) -> Request {
        let break_behind = if instruction.is_empty() { "" } else { "\n\n" };
        let agreement = parameters.confidence == Confidence::Agreement;
        Request {
            system: Some(self.system.clone()).filter(|system| !system.is_empty()),
            temperature: if agreement { parameters.temperature } else { 0.0 },
            samples: if agreement { parameters.samples } else { 1 },
            log_probabilities: (!agreement).then_some(0),
            max_tokens,
            seed: parameters.seed,
            stop: STOPS.map(str::to_owned).to_vec(),
            ..Request::user(format!("{instruction}{break_behind}{worked}{asked}"))
        }
    }
}

/// Passages, numbered.
fn listed(passages: &[String]) -> String {
    if passages.is_empty() {
        return String::new();
    }
    let lines = passages.iter().enumerate().map(|(place, passage)| format!("{}. {passage}\n", place + 1));
    format!("Passages:\n{}", lines.collect::<String>())
}

/// Sub-questions and their answers.
fn stated(context: &[(String, String)]) -> String {
    if context.is_empty() {
        return String::new();
    }
    let lines = context.iter().map(|(question, answer)| format!("{question} {answer}\n"));
    format!("Context:\n{}", lines.collect::<String>())
}

impl Default for Prompts {
    fn default() -> Self {
        let tree =
            |question: &str, tree: &str| DecomposedQuestion { question: question.into(), tree: tree.into() };
        let answered =
            |passages: &[&str], context: &[(&str, &str)], question: &str, explanation: &str, answer: &str| {
                AnsweredQuestion {
                    passages: passages.iter().map(|&passage| passage.to_owned()).collect(),
                    context: context
                        .iter()
                        .map(|&(question, answer)| (question.to_owned(), answer.to_owned()))
                        .collect(),
                    question: question.into(),
                    explanation: explanation.into(),
                    answer: answer.into(),
                }
            };
        Self {
            system: "Follow the form of the examples and answer the last question.".into(),
            decomposition: Task {
                instruction:
                    "Take the question apart into simpler questions, as a tree. Write it as one JSON object: each key is a question, its \
                     value the list of its sub-questions. A sub-question may refer to the answer of an earlier one in its list by <1>, \
                     <2> and so on. A sub-question that is still complex becomes a key of its own; it must not refer to another."
                        .into(),
                demonstrations: vec![
                    tree(
                        "In which country does the longest river of Portugal rise?",
                        r#"{"In which country does the longest river of Portugal rise?": ["What is the longest river of Portugal?", "In which country does <1> rise?"]}"#,
                    ),
                    tree(
                        "Are the harbours of Rotterdam and Genoa on the same sea?",
                        r#"{"Are the harbours of Rotterdam and Genoa on the same sea?": ["On which sea is the harbour of Rotterdam?", "On which sea is the harbour of Genoa?"]}"#,
                    ),
                    tree(
                        "Which is older, the university where Niels Bohr studied or the one where Emmy Noether studied?",
                        r#"{"Which is older, the university where Niels Bohr studied or the one where Emmy Noether studied?": ["When was the university where Niels Bohr studied founded?", "When was the university where Emmy Noether studied founded?"], "When was the university where Niels Bohr studied founded?": ["At which university did Niels Bohr study?", "When was <1> founded?"], "When was the university where Emmy Noether studied founded?": ["At which university did Emmy Noether study?", "When was <1> founded?"]}"#,
                    ),
                    tree(
                        "In which city was the architect of the tallest tower of Paris born?",
                        r#"{"In which city was the architect of the tallest tower of Paris born?": ["What is the tallest tower of Paris?", "Who was the architect of <1>?", "In which city was <2> born?"]}"#,
                    ),
                ],
            },
            closed_book: Task {
                instruction: "Answer the question from what you know. Explain first, in a sentence or two, then give a short answer.".into(),
                demonstrations: vec![
                    answered(&[], &[], "On which sea is the harbour of Genoa?", "Genoa is a port of Liguria in the north-west of Italy, on the Mediterranean.", "the Mediterranean Sea"),
                    answered(&[], &[], "At which university did Niels Bohr study?", "Niels Bohr grew up in Copenhagen and took his doctorate at its university in 1911.", "University of Copenhagen"),
                    answered(&[], &[], "Is Lake Geneva larger than Lake Constance?", "Lake Geneva covers about 580 square kilometres. Lake Constance covers about 536 square kilometres.", "yes"),
                    answered(&[], &[], "In which country does the longest river of Portugal rise?", "The longest river of Portugal is the Tagus. The Tagus rises in the mountains of Albarracín in Spain.", "Spain"),
                ],
            },
            open_book: Task {
                instruction: "Answer the question from the passages. Explain first, then give a short answer. If the passages do not tell, the answer is Unknown.".into(),
                demonstrations: vec![
                    answered(
                        &[
                            "Tagus: The Tagus rises in the Albarracín mountains of eastern Spain and reaches the Atlantic at Lisbon.",
                            "Douro: The Douro is known for the vineyards of its valley.",
                        ],
                        &[],
                        "In which country does the Tagus rise?",
                        "The Tagus rises in the Albarracín mountains, which are in eastern Spain.",
                        "Spain",
                    ),
                    answered(
                        &["Port of Genoa: The port is one of the busiest of Italy.", "Genoa: The city had its own bank in 1407."],
                        &[],
                        "Who built the lighthouse of Genoa?",
                        "The passages are about the port and a bank of Genoa, and do not mention its lighthouse.",
                        "Unknown",
                    ),
                ],
            },
            open_book_inner: Task {
                instruction: "Answer the question from the passages, of which several may be needed. Explain first, then give an answer of at most five words. If the passages do not tell, the answer is Unknown.".into(),
                demonstrations: vec![
                    answered(
                        &[
                            "Rivers of Portugal: The Tagus is the longest river of the country, before the Douro.",
                            "Tagus: The Tagus rises in the Albarracín mountains of eastern Spain.",
                            "Lisbon: The city lies where the Tagus meets the Atlantic.",
                        ],
                        &[],
                        "In which country does the longest river of Portugal rise?",
                        "The longest river of Portugal is the Tagus. The Tagus rises in eastern Spain.",
                        "Spain",
                    ),
                    answered(
                        &["Niels Bohr: He studied in Copenhagen.", "Göttingen: The university was founded in 1737."],
                        &[],
                        "Which is older, the university where Niels Bohr studied or the one where Emmy Noether studied?",
                        "Niels Bohr studied in Copenhagen, but the passages do not tell where Emmy Noether studied.",
                        "Unknown",
                    ),
                ],
            },
            children: Task {
                instruction: "Answer the question from the answers of its sub-questions. Explain first, then give a short answer. If they do not tell, the answer is Unknown.".into(),
                demonstrations: vec![
                    answered(
                        &[],
                        &[("What is the longest river of Portugal?", "Tagus"), ("In which country does Tagus rise?", "Spain")],
                        "In which country does the longest river of Portugal rise?",
                        "The longest river of Portugal is the Tagus. The Tagus rises in Spain.",
                        "Spain",
                    ),
                    answered(
                        &[],
                        &[
                            ("On which sea is the harbour of Rotterdam?", "North Sea"),
                            ("On which sea is the harbour of Genoa?", "Mediterranean Sea"),
                        ],
                        "Are the harbours of Rotterdam and Genoa on the same sea?",
                        "The harbour of Rotterdam is on the North Sea. The harbour of Genoa is on the Mediterranean Sea, which is another.",
                        "no",
                    ),
                ],
            },
        }
    }
}
