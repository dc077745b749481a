//! What makes variables of variables: calls of language models, functions of strings, sums.

use backstitch_llm::Request;

use super::engine::{Engine, Stage};
use super::template::fill;
use super::variable::{Input, Operation, Variable};
use crate::Error;

/// How the role of a sum begins.
const COMBINATION: &str = "a combination of: ";

/// A call of a language model: a variable goes in, the reply comes out.
#[derive(Clone, Debug)]
pub struct LlmCall {
    system: Option<Variable>,
    response_role: String,
}

/// A call of a language model with a template, into which several variables are put.
#[derive(Clone, Debug)]
pub struct FormattedLlmCall {
    template: String,
    call: LlmCall,
}

/// Any function of texts. Language models see what it is for, what went in, and what came out.
pub struct StringFunction<'f> {
    purpose: String,
    response_role: Option<String>,
    function: TextFunction<'f>,
}

/// From the texts of the inputs to that of the output.
type TextFunction<'f> = Box<dyn Fn(&[&str]) -> String + 'f>;

impl LlmCall {
    /// A call whose reply has this role.
    pub fn new(response_role: impl Into<String>) -> Self {
        Self { system: None, response_role: response_role.into() }
    }

    /// The same with a system text, which may be to be improved.
    #[must_use]
    pub fn with_system(mut self, system: &Variable) -> Self {
        self.system = Some(system.clone());
        self
    }

    /// Asks the model.
    ///
    /// # Errors
    /// [`Error::Call`]; [`Error::Parameter`] for a blank role.
    pub fn call(&self, engine: &Engine<'_>, input: &Variable) -> Result<Variable, Error> {
        let reply = self.call_all(engine, std::slice::from_ref(input))?.pop();
        reply.ok_or_else(|| Error::unanswered(&self.response_role))
    }

    /// Asks the model about each input, all at once. Replies in their order.
    ///
    /// # Errors
    /// [`Error::Call`] of the first that failed; [`Error::Parameter`] for a blank role.
    pub fn call_all(&self, engine: &Engine<'_>, inputs: &[Variable]) -> Result<Vec<Variable>, Error> {
        let asked = inputs.iter().map(|input| (input.value(), vec![input.clone()])).collect();
        self.ask(engine, asked)
    }

    fn ask(&self, engine: &Engine<'_>, asked: Vec<(String, Vec<Variable>)>) -> Result<Vec<Variable>, Error> {
        if self.response_role.trim().is_empty() {
            let way_out = "say what the reply is, as in \"answer to the question\"";
            return Err(Error::parameter("the role of a reply", "blank", "a description in words", way_out));
        }
        let system = self.system.as_ref().map(Variable::value);
        let request = |prompt: &String| -> Request {
            engine.request(system.as_deref().unwrap_or_default(), prompt.clone())
        };
        let requests =
            asked.iter().map(|(prompt, _)| (self.response_role.clone(), request(prompt))).collect();
        let answers = engine.ask(Stage::Forward, requests)?;
        let made = asked.into_iter().zip(answers).map(|((prompt, inputs), answer)| {
            let operation = Operation::Call { system: system.clone(), prompt };
            let predecessors = self.system.iter().cloned().chain(inputs).collect();
            Variable::made(answer.text, self.response_role.clone(), operation, predecessors)
        });
        Ok(made.collect())
    }
}

impl FormattedLlmCall {
    /// A call with this template, in which `{name}` stands for the variable of that name.
    pub fn new(template: impl Into<String>, response_role: impl Into<String>) -> Self {
        Self { template: template.into(), call: LlmCall::new(response_role) }
    }

    /// The same with a system text, which may be to be improved.
    #[must_use]
    pub fn with_system(mut self, system: &Variable) -> Self {
        self.call = self.call.with_system(system);
        self
    }

    /// Asks the model.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a field that the template lacks; [`Error::Call`].
    pub fn call(&self, engine: &Engine<'_>, fields: &[(&str, &Variable)]) -> Result<Variable, Error> {
        let reply = self.call_all(engine, &[fields.to_vec()])?.pop();
        reply.ok_or_else(|| Error::unanswered(&self.call.response_role))
    }

    /// Asks the model about each set of fields, all at once. Replies in their order.
    ///
    /// # Errors
    /// As for [`call`](Self::call), of the first that failed.
    pub fn call_all(
        &self,
        engine: &Engine<'_>,
        all: &[Vec<(&str, &Variable)>],
    ) -> Result<Vec<Variable>, Error> {
        let asked: Result<Vec<_>, Error> = all
            .iter()
            .map(|fields| {
                if let Some((name, _)) =
                    fields.iter().find(|(name, _)| !self.template.contains(&format!("{{{name}}}")))
                {
                    let allowed = "a text with the slots of all fields";
                    let way_out = "the model would never see the field; add the slot, or leave the field out";
                    return Err(Error::parameter(
                        "the template",
                        format!("without {{{name}}}"),
                        allowed,
                        way_out,
                    ));
                }
                let values: Vec<(&str, String)> =
                    fields.iter().map(|(name, field)| (*name, field.value())).collect();
                let slots: Vec<(&str, &str)> =
                    values.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let predecessors = fields.iter().map(|(_, field)| (*field).clone()).collect();
                Ok((fill(&self.template, &slots), predecessors))
            })
            .collect();
        self.call.ask(engine, asked?)
    }
}

impl<'f> StringFunction<'f> {
    /// A function, and what it is for.
    pub fn new(purpose: impl Into<String>, function: impl Fn(&[&str]) -> String + 'f) -> Self {
        Self { purpose: purpose.into(), response_role: None, function: Box::new(function) }
    }

    /// The same with a role for what comes out; "outcome of" and its purpose otherwise.
    #[must_use]
    pub fn with_response_role(mut self, role: impl Into<String>) -> Self {
        self.response_role = Some(role.into());
        self
    }

    /// Computes it. The function is given the texts in the order of the inputs.
    pub fn call(&self, inputs: &[(&str, &Variable)]) -> Variable {
        let values: Vec<String> = inputs.iter().map(|(_, input)| input.value()).collect();
        let output = (self.function)(&values.iter().map(String::as_str).collect::<Vec<_>>());
        let seen = inputs
            .iter()
            .zip(values)
            .map(|((name, input), value)| Input { name: (*name).into(), role: input.role(), value })
            .collect();
        let operation = Operation::Function { purpose: self.purpose.clone(), inputs: seen };
        let role = self.response_role.clone().unwrap_or_else(|| format!("outcome of: {}", self.purpose));
        Variable::made(output, role, operation, inputs.iter().map(|(_, input)| (*input).clone()).collect())
    }
}

/// All texts, one after the other. Feedback on it goes to each of them.
pub fn sum(variables: &[Variable]) -> Variable {
    joined(variables, Operation::Sum)
}

/// All texts, one after the other. Feedback goes to each of them, and what becomes of it is merged into one by the model, where it meets
/// again: the mean of a batch.
pub fn aggregate(variables: &[Variable]) -> Variable {
    joined(variables, Operation::Aggregate)
}

fn joined(variables: &[Variable], operation: Operation) -> Variable {
    let value = variables.iter().map(Variable::value).collect::<Vec<_>>().join("\n");
    let mut roles: Vec<String> = Vec::new();
    for role in variables.iter().map(Variable::role) {
        // Sums of sums do not pile up.
        let parts = role.strip_prefix(COMBINATION).unwrap_or(&role);
        if !roles.iter().any(|role| role == parts) {
            roles.push(parts.into());
        }
    }
    let role = format!("{COMBINATION}{}", roles.join(", "));
    Variable::made(value, role, operation, variables.to_vec())
}
