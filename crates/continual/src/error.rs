//! What can go wrong in this wing. Every message carries the name, the value, the allowed range and a way out.

/// An error of the continual wing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number outside its range.
    #[error("{name} is {value}, but must be {allowed}; {way_out}")]
    Parameter {
        /// What it is the number of.
        name: &'static str,
        /// The value found.
        value: f64,
        /// The allowed range.
        allowed: &'static str,
        /// What to do about it.
        way_out: &'static str,
    },
    /// Rows that make no task.
    #[error("task {task}: {problem}; {way_out}")]
    Task {
        /// Its name.
        task: String,
        /// What is wrong.
        problem: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// Training that left the numbers there are.
    #[error(
        "training diverged in task {task}, step {step}: the loss is {loss}; lower the learning rate, or scale the columns"
    )]
    Diverged {
        /// The task's name.
        task: String,
        /// The step, counted from 1.
        step: usize,
        /// Its loss.
        loss: f64,
    },
    /// A decomposition that did not converge.
    #[error(
        "the singular values of the inputs of layer {layer} were not found; lower the learning rate, or scale the columns"
    )]
    Decomposition {
        /// The layer, counted from 1.
        layer: usize,
    },
    /// A file that is no model of this method.
    #[error("{problem}; give a model that `backstitch run cuber fit` has written")]
    Model {
        /// What is wrong.
        problem: String,
    },
}
