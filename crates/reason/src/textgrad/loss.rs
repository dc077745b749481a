//! Losses: evaluations in words, scores in tags, and programs.

use backstitch_llm::answer::{Kind, extract};

use super::engine::Engine;
use super::operations::{FormattedLlmCall, LlmCall, StringFunction};
use super::template::{fill, tagged};
use super::variable::Variable;
use crate::Error;

/// An evaluation of a text by an instruction.
#[derive(Clone, Debug)]
pub struct TextLoss(LlmCall);

/// An evaluation of several texts with a label each: the question, the right answer, the prediction.
#[derive(Clone, Debug)]
pub struct MultiFieldEvaluation {
    labels: Vec<String>,
    call: FormattedLlmCall,
}

/// An evaluation of several texts that ends with a number between tags.
#[derive(Clone, Debug)]
pub struct ScoredEvaluation {
    evaluation: MultiFieldEvaluation,
    tag: String,
}

/// A critic of answers to a question, who is told not to solve it.
#[derive(Clone, Debug)]
pub struct AnswerCritic(FormattedLlmCall);

impl TextLoss {
    /// An evaluation by this instruction: "Criticise this solution. Do not solve the problem yourself.", say.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a blank instruction.
    pub fn new(instruction: impl Into<String>) -> Result<Self, Error> {
        let system = instruction_of(instruction.into())?;
        Ok(Self(LlmCall::new("evaluation of the text").with_system(&system)))
    }

    /// The evaluation of a text.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn evaluate(&self, engine: &Engine<'_>, text: &Variable) -> Result<Variable, Error> {
        self.0.call(engine, text)
    }

    /// The evaluations of many texts, asked at once.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn evaluate_all(&self, engine: &Engine<'_>, texts: &[Variable]) -> Result<Vec<Variable>, Error> {
        self.0.call_all(engine, texts)
    }
}

impl MultiFieldEvaluation {
    /// An evaluation by this instruction of texts with these labels.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a blank instruction, and for labels that are missing or the same.
    pub fn new(instruction: impl Into<String>, labels: &[&str]) -> Result<Self, Error> {
        let repeated = labels.iter().enumerate().find(|(place, label)| labels[..*place].contains(label));
        if labels.is_empty() || repeated.is_some() {
            let value = format!("{labels:?}");
            return Err(Error::parameter("labels", value, "at least one, each once", "give one per text"));
        }
        let system = instruction_of(instruction.into())?;
        let slots = (0..labels.len()).map(|place| format!("{{field_{place}}}"));
        let template: String =
            labels.iter().zip(slots).map(|(label, slot)| format!("### {label}\n{slot}\n\n")).collect();
        let call = FormattedLlmCall::new(template.trim_end(), "evaluation").with_system(&system);
        Ok(Self { labels: labels.iter().map(|label| (*label).to_owned()).collect(), call })
    }

    /// The evaluation of texts, one per label.
    ///
    /// # Errors
    /// [`Error::Parameter`] for another number of texts; [`Error::Call`].
    pub fn evaluate(&self, engine: &Engine<'_>, texts: &[&Variable]) -> Result<Variable, Error> {
        let evaluation = self.evaluate_all(engine, std::slice::from_ref(&texts.to_vec()))?.pop();
        evaluation.ok_or_else(|| Error::unanswered("evaluation"))
    }

    /// The evaluations of many sets of texts, asked at once.
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate).
    pub fn evaluate_all(&self, engine: &Engine<'_>, sets: &[Vec<&Variable>]) -> Result<Vec<Variable>, Error> {
        let names: Vec<String> = (0..self.labels.len()).map(|place| format!("field_{place}")).collect();
        let fields: Result<Vec<Vec<(&str, &Variable)>>, Error> = sets
            .iter()
            .map(|texts| {
                if texts.len() != names.len() {
                    let allowed = "as many as there are labels";
                    let value = format!("{} for the labels {:?}", texts.len(), self.labels);
                    return Err(Error::parameter(
                        "texts to evaluate",
                        value,
                        allowed,
                        "give one per label, in their order",
                    ));
                }
                Ok(names.iter().map(String::as_str).zip(texts.iter().copied()).collect())
            })
            .collect();
        self.call.call_all(engine, &fields?)
    }
}

impl ScoredEvaluation {
    /// The same as [`MultiFieldEvaluation`], told to end with a number between `<tag>` and `</tag>`.
    ///
    /// # Errors
    /// [`Error::Parameter`] as there, and for a tag that is none.
    pub fn new(instruction: &str, labels: &[&str], tag: &str) -> Result<Self, Error> {
        if tag.is_empty() || !tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            let way_out = "use a word like SCORE";
            return Err(Error::parameter("the tag", format!("{tag:?}"), "letters, digits and _", way_out));
        }
        let instruction = instruction_text(instruction.to_owned())?;
        let said = fill(
            "{instruction}\n\nEnd with a number for the quality, higher for better, in this form: <{tag}>number</{tag}>",
            &[("instruction", &instruction), ("tag", tag)],
        );
        Ok(Self { evaluation: MultiFieldEvaluation::new(said, labels)?, tag: tag.into() })
    }

    /// The evaluation of texts, one per label.
    ///
    /// # Errors
    /// As for [`MultiFieldEvaluation::evaluate`].
    pub fn evaluate(&self, engine: &Engine<'_>, texts: &[&Variable]) -> Result<Variable, Error> {
        self.evaluation.evaluate(engine, texts)
    }

    /// The evaluations of many sets of texts, asked at once.
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate).
    pub fn evaluate_all(&self, engine: &Engine<'_>, sets: &[Vec<&Variable>]) -> Result<Vec<Variable>, Error> {
        self.evaluation.evaluate_all(engine, sets)
    }

    /// The number in an evaluation.
    ///
    /// # Errors
    /// [`Error::Malformed`] if there is none.
    pub fn score(&self, evaluation: &Variable) -> Result<f64, Error> {
        let reply = evaluation.value();
        let score = tagged(&reply, &self.tag)
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|score| score.is_finite());
        score.ok_or_else(|| Error::Malformed {
            role: evaluation.role(),
            problem: format!("the reply has no number between <{0}> and </{0}>", self.tag),
            reply,
        })
    }
}

impl AnswerCritic {
    /// A critic of answers, with more to go by if there is any.
    pub fn new(instruction: &str) -> Result<Self, Error> {
        let role = "instruction of the critic";
        let text = "You look for faults in an answer to a question. Do not answer the question yourself. Go through the reasoning step by step, \
                    say which steps could be wrong and why, and what the answer overlooks.";
        let system = Variable::constant(format!("{text}\n{instruction}").trim_end(), role)?;
        let template = "Question:\n{question}\n\nAnswer to look at:\n{answer}";
        Ok(Self(FormattedLlmCall::new(template, "criticism of the answer").with_system(&system)))
    }

    /// The criticism of each answer, asked at once.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn evaluate_all(
        &self,
        engine: &Engine<'_>,
        answers: &[(&Variable, &Variable)],
    ) -> Result<Vec<Variable>, Error> {
        let fields: Vec<Vec<(&str, &Variable)>> = answers
            .iter()
            .map(|(question, answer)| vec![("question", *question), ("answer", *answer)])
            .collect();
        self.0.call_all(engine, &fields)
    }
}

/// Whether the answer found in a reply is the right one: 1 or 0. No language model is asked.
pub fn exact_match(kind: Kind, prediction: &Variable, truth: &Variable) -> Variable {
    let purpose =
        "compares the final answer in the prediction with the right answer; 1 if they are the same, else 0";
    let equal = move |texts: &[&str]| {
        let found = extract(texts[0], kind);
        let same = found.is_some() && found == extract(texts[1], kind);
        String::from(if same { "1" } else { "0" })
    };
    let function = StringFunction::new(purpose, equal).with_response_role("whether the answer is right");
    function.call(&[("prediction", prediction), ("right answer", truth)])
}

fn instruction_of(text: String) -> Result<Variable, Error> {
    Variable::constant(instruction_text(text)?, "instruction of the evaluation")
}

fn instruction_text(text: String) -> Result<String, Error> {
    if text.trim().is_empty() {
        let way_out = "say what is to be judged, as in \"Criticise this solution\"";
        return Err(Error::parameter("the instruction", format!("{text:?}"), "a text", way_out));
    }
    Ok(text)
}
