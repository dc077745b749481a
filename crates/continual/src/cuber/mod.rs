//! CUBER: one network learns a sequence of tasks; what earlier tasks use is protected, and improved where a new task agrees with them.
//!
//! # What it computes
//!
//! After each task, a layer keeps the directions of its inputs that hold most of their squares (singular vectors of what it saw of a
//! few hundred rows). Outputs of that task depend on the weights through these directions alone, so updates that are orthogonal to them
//! leave it as it was. Before the next task t, with g its first gradient in a layer and for every earlier task j with directions `B_j` and
//! gradient `g_j` at its end:
//!
//! ```text
//! related    if  ‖g B_j B_j'‖ ≥ ε₁ ‖g‖                 (at most two tasks per layer)
//! in accord  if  ⟨g_j, g⟩ ≥ ε₂ ‖g_j‖ ‖g‖
//!
//! apart      not related: nothing moves in the span of B_j
//! reused     related: the task sees  w̃ = w + Σ_j w B_j (Q_j − 1) B_j'  with a learned square Q_j of its own; nothing moves in the span of B_j
//! updated    related and in accord: the same, and w moves in the span of B_j at the price  λ ‖(w − w_start) B_j B_j'‖
//! ```
//!
//! A task that is updated is reused from the first step on at which gradients point apart. Everything else is stochastic gradient descent.
//!
//! # Paper
//!
//! *Beyond Not-Forgetting: Continual Learning with Backward Knowledge Transfer*, NeurIPS 2022, arXiv 2211.00789. Without updates it is
//! *TRGP*, without scales too *Gradient Projection Memory*; both are strategies here ([`Strategy`]), beside elastic weight
//! consolidation, training without any protection, and training on all tasks at once ([`Cuber::joint`]).
//!
//! # When it helps, and when it does not
//!
//! - For tasks over the same columns that come one by one, where earlier rows may not be kept.
//! - Where tasks come back or resemble each other, earlier ones may be updated. An update ends at the first batch whose gradient points away
//!   from that of the earlier task, and with batches of ten that is soon: in our study none outlived a tenth of a task's steps, so what
//!   is gained there is what TRGP gains.
//! - Where tasks come back and rows are few, training on without protection can do as well: compare with [`Strategy::Naive`].
//! - Every task takes directions. A layer whose directions are all taken learns nothing more: [`Learner::capacity`].
//! - The task of a row must be known when it is classified.
//! - If all tasks are there at once, train on all of them: that is [`Cuber::joint`].
//! - If rows of earlier tasks may be kept, a method that trains on them again forgets less: on the tasks of our bench, episodic memory of 256
//!   rows per task ended at 97.8 %, this method at 71.3 %.
//!
//! # Parameters
//!
//! See [`Parameters`].
//!
//! # Deviations from the paper
//!
//! 1. Directions of all tasks are rows of one orthonormal set, so that projections on several tasks are projections; what a protected task
//!    uses stays as it is, also where an updated task uses it too. Test: `what_is_protected_stays`.
//! 2. The gradient that tells how tasks relate is taken over all sample rows instead of one batch; that of an earlier task over all its
//!    rows, at the weights that task ends with. Test: `a_task_that_comes_back_is_in_accord`.
//! 3. The price of updates is taken by its proximal step, which does not swing around the start as a gradient of constant length does. The
//!    paper's main text does not say what λ is; ours is 0.1. Test: `the_penalty_holds_updates_back`.
//! 4. A constant input, where it is asked for, takes the place of biases and is protected like any other input. Test:
//!    `a_constant_input_is_protected`.
//! 5. Dense layers only.
//!
//! # Errors
//!
//! [`Error`] names the task, the layer or the parameter.
//!
//! # Cost
//!
//! Weights are held in coordinates of the directions, so a step costs what a plain one does, and products of the batch's coordinates, which are
//! computed once for all rows of a task in the first layer; no projection matrix is formed. For r directions of a layer with n inputs and
//! m outputs, a model keeps n·r numbers, and for every task n·m for its gradient and r² for every scale. Training runs on one thread.
//!
//! # Example
//!
//! ```
//! use backstitch_continual::cuber::{Cuber, Parameters, Task};
//! use backstitch_numerics::{Matrix, Stream};
//!
//! let mut stream = Stream::new(0, "doc");
//! let mut task = |name: &str, column: usize| {
//!     let rows = Matrix::from_fn(200, 6, |_, _| stream.normal());
//!     let labels = (0..200).map(|row| usize::from(rows[(row, column)] > 0.0)).collect();
//!     Task::new(name, rows, labels)
//! };
//! let (first, second) = (task("first", 0)?, task("second", 3)?);
//! let parameters = Parameters { samples: 100, hidden: vec![30], rate: 0.1, ..Parameters::default() };
//! let mut learner = Cuber::new(parameters)?.learner(6, 2)?;
//! learner.learn(&first)?;
//! let before = learner.accuracy(0, &first)?;
//! learner.learn(&second)?;
//! assert!(learner.accuracy(0, &first)? > before - 0.05);
//! # Ok::<(), backstitch_continual::Error>(())
//! ```

mod card;
mod directions;
mod elastic;
mod layer;
mod learner;
mod measures;
mod model;
mod network;
mod parameters;
mod products;
mod relations;
mod task;

pub use card::CARD;
pub use learner::{Learned, Learner};
pub use measures::Measures;
pub use parameters::{Heads, Parameters, Strategy};
pub use relations::{Kind, Relation};
pub use task::Task;

use crate::Error;

/// The method: parameters that were checked.
#[derive(Clone, Debug)]
pub struct Cuber {
    parameters: Parameters,
}

impl Cuber {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// A network that has learned nothing yet, for rows of so many inputs; `classes` is for a shared head.
    ///
    /// # Errors
    /// [`Error::Parameter`] for numbers too small.
    pub fn learner(&self, inputs: usize, classes: usize) -> Result<Learner, Error> {
        Learner::new(self.parameters.clone(), inputs, classes)
    }

    /// A network that has learned all tasks at once: what a sequence is measured by. The strategy plays no part.
    ///
    /// # Errors
    /// As [`Learner::learn`]; [`Error::Task`] if there is no task.
    pub fn joint(&self, tasks: &[Task], classes: usize) -> Result<Learner, Error> {
        let Some(first) = tasks.first() else {
            return Err(Error::Task {
                task: "first".into(),
                problem: "there is none".into(),
                way_out: "give at least one task",
            });
        };
        let parameters = Parameters { strategy: Strategy::Naive, ..self.parameters.clone() };
        let mut learner = Learner::new(parameters, first.inputs().columns(), classes)?;
        learner.learn_jointly(tasks)?;
        Ok(learner)
    }
}

/// Learns tasks one after another and measures every one after each, on test rows in the same order.
///
/// # Errors
/// As [`Learner::learn`] and [`Learner::predict`].
pub fn learn_all(learner: &mut Learner, tasks: &[Task], tests: &[Task]) -> Result<Measures, Error> {
    let shared = learner.parameters().heads == Heads::Shared;
    let row = |learner: &Learner| -> Result<Vec<Option<f64>>, Error> {
        let known = learner.learned().len();
        let place = tests.iter().enumerate();
        place
            .map(|(task, test)| (shared || task < known).then(|| learner.accuracy(task, test)).transpose())
            .collect()
    };
    let untrained = row(learner)?;
    let mut accuracy = Vec::new();
    for task in tasks {
        learner.learn(task)?;
        accuracy.push(row(learner)?);
    }
    Ok(Measures { accuracy, untrained })
}
