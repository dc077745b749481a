//! Block coordinate descent with greedy rules, matrix updates, message passing on forests and an end-game on the active set.
//!
//! # What it computes
//!
//! A minimiser of `F(x) = f(x) + (ρ/2)‖x‖² + λ‖x‖₁` over `lower ≤ x ≤ upper`, with f one of
//!
//! ```text
//! ½‖Ax − y‖²                              least squares, A with n rows and p columns
//! Σ_r log(1 + exp(−y_r a_rᵀx))            logistic, y_r = ±1
//! Σ_r log Σ_c exp(a_rᵀx_c) − a_rᵀx_{y_r}  softmax, k classes, x of length p·k
//! ½xᵀAx − bᵀx                             a quadratic, such as label propagation: ½ Σ w_ij(x_i − x_j)² over the edges of a graph
//! ```
//!
//! In every iteration a [`Rule`] chooses one of the [`Blocks`] b and an [`Update`] moves its coordinates. With g the slopes of the smooth
//! part, L_i and L_b Lipschitz constants of a coordinate and a block, and H_b a matrix above the Hessian of the block, the greedy rules
//! take the largest
//!
//! ```text
//! GS ‖g_b‖      GSL ‖g_b‖²/L_b      GSD Σ_{i∈b} g_i²/L_i      GSQ g_bᵀH_b⁻¹g_b
//! ```
//!
//! Under a penalty or bounds g_i is replaced by the gradient mapping, and the other scores by the decrease that the same model promises.
//! If the graph of a block of a quadratic has no cycle, its system is solved from the leaves to a root and back, in O(|b|).
//!
//! The certificate is a duality gap where a penalty, a ridge or two bounds give a dual point: `F(x)` is at most so far above its
//! minimum. Otherwise it is the largest entry of the gradient mapping.
//!
//! # Paper
//!
//! *Let's Make Block Coordinate Descent Converge Faster: Faster Greedy Rules, Message-Passing, Active-Set Complexity, and Superlinear
//! Convergence*, J. Nutini, I. Laradji, M. Schmidt, JMLR 23 (2022), arXiv 1712.08859.
//!
//! # When it helps, and when it does not
//!
//! - With an L1 penalty and a sparse solution, blocks that hold the support are solved exactly, and a handful of iterations ends it.
//! - Matrix updates gain on gradient updates with the size of the block; greedy rules on random ones where few coordinates matter.
//! - Not where every coordinate matters: an iteration then costs a gradient of all, as in gradient descent, and moves a few.
//! - On graphs of a few thousand nodes a direct sparse solver is faster.
//!
//! # Parameters
//!
//! See [`Parameters`]. The default is what works best for a user: growing blocks by GSL with Newton updates for losses of rows, greedy
//! trees for quadratics. The paper's other rules, blocks and updates can all be asked for.
//!
//! # Deviations from the paper
//!
//! 1. Scores of fixed blocks are sums of squares. Test: `greedy_rules_take_the_block_they_define`.
//! 2. The majorising diagonal is formed without products of columns. Test: `the_diagonal_majorises_the_hessian`.
//! 3. Hard thresholding starts downhill. Test: `thresholding_finds_the_best_block_of_orthogonal_columns`.
//! 4. L_b is certified from above. Test: `the_bound_is_above_the_eigenvalue_and_near_it`.
//! 5. Growing blocks. Test: `any_small_problem_reaches_its_gap`.
//! 6. Singular blocks are lifted. Test: `columns_given_twice_are_solved`.
//!
//! # Errors
//!
//! [`Error`] names the row, node or edge. Columns without an entry stay at rest and are listed by [`Problem::empty_features`]. Classes that
//! a hyperplane separates have no minimum without a penalty: [`Error::Separable`].
//!
//! # Cost
//!
//! A greedy iteration: one product of the transposed data with a vector (entries of A) and the block: its matrix (|b|·entries of its
//! columns) and a factor (|b|³/6). Random and cyclic rules look at the columns of the block only. Data stay sparse; AᵀA is never formed.
//!
//! # Example
//!
//! ```
//! use backstitch_numerics::{Matrix, SparseMatrix};
//! use backstitch_optimize::block_descent::{BlockDescent, Parameters, Penalty, Problem};
//!
//! // The second column is noise, and a lasso leaves it out.
//! let rows = Matrix::new(4, 2, vec![1.0, 0.1, 2.0, -0.1, 3.0, 0.1, 4.0, -0.1])?;
//! let problem = Problem::least_squares(&SparseMatrix::from_dense(&rows), &[2.0, 4.0, 6.0, 8.0])?
//!     .with_penalty(Penalty { l1: 1.0, ..Penalty::default() })?;
//! let solution = BlockDescent::new(Parameters::default())?.minimise(&problem)?;
//! // (60 − 1)/30
//! assert!((solution.point[0] - 59.0 / 30.0).abs() < 1e-9);
//! assert_eq!(solution.point[1], 0.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block_quadratic;
mod card;
mod certificate;
mod dense;
mod drawing;
mod fit;
mod forest;
mod model;
mod parameters;
mod penalty;
mod problem;
mod propagation;
mod select;
mod state;
mod step;

pub use card::CARD;
pub use certificate::CertificateKind;
pub use drawing::draw;
pub use fit::{Measurement, Outcome, Solution};
pub use forest::{colour_partition, forest_partition, greedy_forest, solve_forest};
pub use model::{Model, Prediction, Task};
pub use parameters::{Blocks, Parameters, Partition, Rule, Update};
pub use penalty::Penalty;
pub use problem::Problem;
pub use propagation::Propagation;

use crate::Error;

/// The method: parameters that were checked.
#[derive(Clone, Debug)]
pub struct BlockDescent {
    parameters: Parameters,
}

impl BlockDescent {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Minimises a problem, from zero or the point of the bounds nearest to it.
    ///
    /// # Errors
    /// [`Error::Parameter`] where blocks, update and problem do not go together, [`Error::Separable`], [`Error::Overflow`].
    pub fn minimise(&self, problem: &Problem) -> Result<Solution, Error> {
        fit::run(&self.parameters, problem)
    }
}
