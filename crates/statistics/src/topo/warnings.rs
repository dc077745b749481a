//! What the user should know before trusting a result.

use std::fmt;

use super::{Problem, Score, Search, Stop};
use crate::Error;

/// Something about the data or the search that weakens the result. `Display` gives a sentence.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// Sorting the columns by variance scores within 1 % of the order found: the score shows little.
    VarianceOrder {
        /// Score of the variance order over the score found, minus 1.
        excess: f64,
    },
    /// All columns have the same variance (standardised data) under the least-squares score.
    EqualVariances,
    /// Hardly more rows than columns, or fewer: the fit rests on the ridge, or on few degrees of freedom.
    FewRows {
        /// Rows.
        rows: usize,
        /// Columns.
        columns: usize,
    },
    /// The logistic fit of a column ended at the cap: its parents separate its zeros from its ones.
    Separable {
        /// The column.
        column: usize,
    },
    /// The search ran out of iterations.
    Unfinished {
        /// The limit.
        iterations: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VarianceOrder { excess } => write!(
                f,
                "sorting the columns by variance scores within {:.2} % of the order found, so the score alone is no \
                 evidence for the order; try standardised columns with the log-variance score",
                100.0 * excess.max(0.0)
            ),
            Self::EqualVariances => write!(
                f,
                "all columns have the same variance, and then the least-squares score does not identify the order; \
                 use the log-variance score or the original units"
            ),
            Self::FewRows { rows, columns } => write!(
                f,
                "{rows} rows for {columns} columns: late columns of the order are fitted almost without error by \
                 chance; add rows or drop columns"
            ),
            Self::Separable { column } => write!(
                f,
                "the parents of column {column} separate its zeros from its ones, so its weights were stopped at 30; \
                 lower inverse_penalty"
            ),
            Self::Unfinished { iterations } => {
                write!(f, "the search stopped at the limit of {iterations} iterations; raise it")
            }
        }
    }
}

/// All warnings that apply to the result of a search.
pub(super) fn collect(problem: &Problem, search: &Search) -> Result<Vec<Warning>, Error> {
    let mut warnings = Vec::new();
    let (rows, columns) = (problem.rows(), problem.columns());
    if rows < 2 * columns {
        warnings.push(Warning::FewRows { rows, columns });
    }
    if problem.parameters().score == Score::LeastSquares && columns > 1 {
        let covariance = problem.covariance();
        let first = covariance[(0, 0)];
        if (1..columns).all(|c| (covariance[(c, c)] / first - 1.0).abs() < 1e-9) {
            warnings.push(Warning::EqualVariances);
        } else {
            let excess = problem.score_of_order(&problem.variance_order())? / search.score - 1.0;
            if excess <= 0.01 {
                warnings.push(Warning::VarianceOrder { excess });
            }
        }
    }
    for &column in problem.state(&search.order).capped() {
        warnings.push(Warning::Separable { column });
    }
    if search.stopped == Some(Stop::IterationLimit) {
        warnings.push(Warning::Unfinished { iterations: problem.parameters().iterations });
    }
    Ok(warnings)
}
