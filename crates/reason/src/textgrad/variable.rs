//! Variables: texts with a role, in the graph of what was made of them.

use std::cell::{Ref, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;

/// A text in a computation graph. Clones are the same variable.
///
/// It has a role, in words: language models are told what they improve. What is computed from it by the operations of this module
/// knows it as a predecessor; [`backward`](Self::backward) goes the same way back.
#[derive(Clone)]
pub struct Variable(Rc<RefCell<Node>>);

/// Feedback on a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gradient {
    /// What is to be improved, in words. Blank if there is nothing to improve.
    pub feedback: String,
    /// Where it comes from; nothing if it was copied through a sum, or is the mean of several.
    pub context: Option<Context>,
    /// The aggregates it came through.
    pub(super) groups: Vec<u64>,
}

/// Where feedback comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The role of the outcome.
    pub response_role: String,
    /// What came out.
    pub output: String,
    /// What it came out of, with the texts of that time.
    pub(super) operation: Operation,
}

pub(super) struct Node {
    /// Predecessors exist before their successors: this order is topological.
    pub(super) order: u64,
    pub(super) value: String,
    pub(super) role: String,
    pub(super) requires_grad: bool,
    pub(super) operation: Option<Operation>,
    pub(super) predecessors: Vec<Variable>,
    pub(super) gradients: Vec<Gradient>,
}

/// What made a variable, with the texts that went in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// A language model.
    Call { system: Option<String>, prompt: String },
    /// A function of strings.
    Function { purpose: String, inputs: Vec<Input> },
    /// Feedback goes to every part.
    Sum,
    /// The same, and what comes of it is merged where it meets.
    Aggregate,
}

/// What went into a function of strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) role: String,
    pub(super) value: String,
}

impl Variable {
    /// A text to be improved, and what it is: "solution to the exam question", say.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a blank role.
    pub fn new(value: impl Into<String>, role: impl Into<String>) -> Result<Self, Error> {
        Self::derived(value, role, true, &[])
    }

    /// A text that is given, and what it is.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a blank role.
    pub fn constant(value: impl Into<String>, role: impl Into<String>) -> Result<Self, Error> {
        Self::derived(value, role, false, &[])
    }

    /// A text that was made of others by means of your own. It collects feedback, and passes none on: use
    /// [`StringFunction`](super::StringFunction) for that.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a blank role, and for `requires_grad = false` where a predecessor is to be improved.
    pub fn derived(
        value: impl Into<String>,
        role: impl Into<String>,
        requires_grad: bool,
        predecessors: &[Self],
    ) -> Result<Self, Error> {
        let role = role.into();
        if role.trim().is_empty() {
            let way_out =
                "say what the text is for, as in \"system prompt to a model that answers exam questions\"";
            return Err(Error::parameter(
                "the role of a variable",
                format!("{role:?}"),
                "a description in words",
                way_out,
            ));
        }
        let improved = predecessors.iter().find(|predecessor| predecessor.requires_grad());
        if let (false, Some(improved)) = (requires_grad, improved) {
            let way_out = "set it to true, or make the predecessor a constant";
            let allowed = "true where a predecessor requires a gradient";
            let name = "requires_grad";
            return Err(Error::parameter(
                name,
                format!("false, but {:?} requires one", improved.role()),
                allowed,
                way_out,
            ));
        }
        Ok(Self::node(value.into(), role, requires_grad, None, predecessors.to_vec()))
    }

    /// What an operation made. It is to be improved if a predecessor is.
    pub(super) fn made(value: String, role: String, operation: Operation, predecessors: Vec<Self>) -> Self {
        let requires_grad = predecessors.iter().any(Self::requires_grad);
        Self::node(value, role, requires_grad, Some(operation), predecessors)
    }

    fn node(
        value: String,
        role: String,
        requires_grad: bool,
        operation: Option<Operation>,
        predecessors: Vec<Self>,
    ) -> Self {
        static CREATED: AtomicU64 = AtomicU64::new(0);
        let order = CREATED.fetch_add(1, Ordering::Relaxed);
        let gradients = Vec::new();
        Self(Rc::new(RefCell::new(Node {
            order,
            value,
            role,
            requires_grad,
            operation,
            predecessors,
            gradients,
        })))
    }

    /// The text.
    pub fn value(&self) -> String {
        self.0.borrow().value.clone()
    }

    /// Another text in its place. Outcomes that were computed from the old one stay as they are.
    pub fn set_value(&self, value: impl Into<String>) {
        self.0.borrow_mut().value = value.into();
    }

    /// What the text is.
    pub fn role(&self) -> String {
        self.0.borrow().role.clone()
    }

    /// Whether it, or something it was computed from, is to be improved.
    pub fn requires_grad(&self) -> bool {
        self.0.borrow().requires_grad
    }

    /// What it was computed from, in order.
    pub fn predecessors(&self) -> Vec<Self> {
        self.0.borrow().predecessors.clone()
    }

    /// The feedback collected so far, in an order that does not change from run to run.
    pub fn gradients(&self) -> Vec<Gradient> {
        self.0.borrow().gradients.clone()
    }

    /// All feedback that is not blank, one after the other.
    pub fn feedback(&self) -> String {
        let node = self.0.borrow();
        let texts = node.gradients.iter().map(|gradient| gradient.feedback.trim());
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// Forgets all feedback, with its contexts.
    pub fn zero_grad(&self) {
        self.0.borrow_mut().gradients.clear();
    }

    /// The text, or its first and last words where it is longer than both together.
    pub fn excerpt(&self, words: Option<usize>) -> String {
        excerpt(&self.0.borrow().value, words)
    }

    pub(super) fn order(&self) -> u64 {
        self.0.borrow().order
    }

    pub(super) fn read(&self) -> Ref<'_, Node> {
        self.0.borrow()
    }

    pub(super) fn set_gradients(&self, gradients: Vec<Gradient>) {
        self.0.borrow_mut().gradients = gradients;
    }

    pub(super) fn add_gradient(&self, gradient: Gradient) {
        self.0.borrow_mut().gradients.push(gradient);
    }

    /// Whether it came out of an operation.
    pub(super) fn is_made(&self) -> bool {
        self.0.borrow().operation.is_some()
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.0.borrow();
        formatter
            .debug_struct("Variable")
            .field("role", &node.role)
            .field("value", &node.value)
            .field("requires_grad", &node.requires_grad)
            .field("gradients", &node.gradients.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.borrow().value)
    }
}

impl Drop for Node {
    /// One after the other: a long chain would overflow the stack otherwise.
    fn drop(&mut self) {
        let mut open = std::mem::take(&mut self.predecessors);
        while let Some(variable) = open.pop() {
            if let Ok(node) = Rc::try_unwrap(variable.0) {
                open.append(&mut node.borrow_mut().predecessors);
            }
        }
    }
}

/// The text, or so many of its first and last words where it has more than both together.
pub(super) fn excerpt(text: &str, words: Option<usize>) -> String {
    let Some(words) = words else { return text.into() };
    let all: Vec<&str> = text.split(' ').collect();
    if all.len() <= 2 * words {
        return text.into();
    }
    format!("{} (...) {}", all[..words].join(" "), all[all.len() - words..].join(" "))
}
