//! What is known about the current order under each score.

use backstitch_numerics::Matrix;

use super::factor::Factor;
use super::order::Move;
use super::problem::Problem;
use super::{Score, log_variance};

pub(super) enum State {
    /// One factor answers everything.
    LeastSquares(Factor),
    /// Costs by position and sparse weights by node; moves are judged by fitting the nodes they touch.
    Sparse { costs: Vec<f64>, weights: Matrix, capped: Vec<usize> },
}

/// One node among its predecessors, whatever the score.
struct NodeFit {
    cost: f64,
    weights: Vec<(usize, f64)>,
    capped: bool,
}

impl State {
    pub(super) fn new(problem: &Problem, order: &[usize]) -> Self {
        if problem.parameters().score == Score::LeastSquares {
            return Self::LeastSquares(Factor::new(problem.covariance(), order));
        }
        let d = order.len();
        let mut costs = Vec::with_capacity(d);
        let mut weights = Matrix::zeros(d, d);
        let mut capped = Vec::new();
        for (position, &node) in order.iter().enumerate() {
            let fit = fit_node(problem, node, order[..position].to_vec());
            costs.push(fit.cost);
            for (parent, weight) in fit.weights {
                weights[(parent, node)] = weight;
            }
            if fit.capped {
                capped.push(node);
            }
        }
        Self::Sparse { costs, weights, capped }
    }

    pub(super) fn score(&self) -> f64 {
        match self {
            Self::LeastSquares(factor) => factor.score(),
            Self::Sparse { costs, .. } => costs.iter().sum(),
        }
    }

    /// Weight of the edge between two positions.
    pub(super) fn weight(&self, order: &[usize], from: usize, to: usize) -> f64 {
        match self {
            Self::LeastSquares(factor) => factor.weight(from, to),
            Self::Sparse { weights, .. } => weights[(order[from], order[to])],
        }
    }

    /// Nodes whose logistic fit ended at the cap.
    pub(super) fn capped(&self) -> &[usize] {
        match self {
            Self::LeastSquares(_) => &[],
            Self::Sparse { capped, .. } => capped,
        }
    }

    /// Score after the move minus score before it.
    pub(super) fn change(&self, problem: &Problem, order: &[usize], step: Move) -> f64 {
        match self {
            Self::LeastSquares(factor) => factor.change(step),
            Self::Sparse { costs, .. } => {
                let mut next = order[..=step.last].to_vec();
                step.apply(&mut next);
                let before: f64 = costs[step.first..=step.last].iter().sum();
                let after: f64 = (step.first..=step.last)
                    .map(|position| fit_node(problem, next[position], next[..position].to_vec()).cost)
                    .sum();
                after - before
            }
        }
    }
}

/// Fits one node of a sparse score. The predecessors are sorted: the fit depends on their set only.
fn fit_node(problem: &Problem, node: usize, mut predecessors: Vec<usize>) -> NodeFit {
    predecessors.sort_unstable();
    match problem.columns_of_zeros_and_ones() {
        Some(columns) => {
            let fit = columns.fit_node(node, &predecessors);
            NodeFit { cost: fit.cost, weights: fit.weights, capped: fit.capped }
        }
        None => {
            let fit = log_variance::fit_node(problem.covariance(), problem.rows(), node, &predecessors);
            NodeFit { cost: fit.cost, weights: fit.weights, capped: false }
        }
    }
}
