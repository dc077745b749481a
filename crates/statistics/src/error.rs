//! What can go wrong in this wing. Every message carries the name, the value, the allowed range and a way out.
//!
//! Rows and columns are counted from 0 in the fields and in the messages; [`Error::named`] writes the same message with
//! the user's column names.

use std::fmt::Write;

/// An error of the statistics wing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter outside its range.
    #[error("{name} is {value}, but must be {allowed}; {way_out}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// The value found.
        value: String,
        /// The allowed range.
        allowed: &'static str,
        /// What to do about it.
        way_out: &'static str,
    },
    /// The table has no column.
    #[error("the table has no columns; at least one is needed")]
    NoColumns,
    /// One row or none.
    #[error("the table has {rows} row(s), but at least 2 are needed to measure a spread; add rows")]
    OneRow {
        /// Rows found.
        rows: usize,
    },
    /// The covariance is singular because there are too few rows.
    #[error(
        "the table has {rows} rows for {columns} columns, so the covariance is singular (it needs more than {columns} \
         rows); add rows, drop columns, or set ridge to 1e-8 or more"
    )]
    TooFewRows {
        /// Rows found.
        rows: usize,
        /// Columns found.
        columns: usize,
    },
    /// NaN or an infinity.
    #[error("row {row}, column {column} is {value}, but must be a finite number; fill or drop the row")]
    NotFinite {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value found.
        value: f64,
    },
    /// Finite values whose products are not.
    #[error("column {column} has values too large to square (largest {value:e}); rescale the column")]
    TooLarge {
        /// Column, from 0.
        column: usize,
        /// Its largest absolute value.
        value: f64,
    },
    /// A column without spread.
    #[error("column {column} is constant ({value}), so it can have neither parents nor children; drop it")]
    Constant {
        /// Column, from 0.
        column: usize,
        /// Its value.
        value: f64,
    },
    /// A column that is a linear combination of others.
    #[error("{}; drop one of them or set ridge to 1e-8 or more", collinear(*column, on, &|c| c.to_string()))]
    Collinear {
        /// Column, from 0.
        column: usize,
        /// The columns that it is a combination of.
        on: Vec<usize>,
    },
    /// The logistic score on a column that is not 0/1.
    #[error(
        "row {row}, column {column} is {value}, but the logistic score needs 0 or 1; use the least-squares score"
    )]
    NotBinary {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value found.
        value: f64,
    },
    /// An order that is not a permutation of the columns.
    #[error(
        "the order is not a permutation of the {columns} columns: {problem}; give every column exactly once"
    )]
    Order {
        /// Number of columns.
        columns: usize,
        /// What is wrong.
        problem: String,
    },
    /// Two shapes that do not fit.
    #[error("{what} is {}×{}, but must be {}×{}", found.0, found.1, expected.0, expected.1)]
    Shape {
        /// What has the wrong shape.
        what: &'static str,
        /// Rows and columns found.
        found: (usize, usize),
        /// Rows and columns needed.
        expected: (usize, usize),
    },
    /// A weighted graph with a cycle.
    #[error(
        "the graph has a cycle through columns {nodes:?}, so no order fits it; remove its weakest edge, for instance \
         with a larger threshold"
    )]
    Cycle {
        /// Columns on one cycle, in the direction of the edges.
        nodes: Vec<usize>,
    },
    /// A row after the last one that the noise was made for.
    #[error(
        "horizon {horizon} exhausted: the privacy of this release covers no further row; start another with a budget of its own"
    )]
    Horizon {
        /// Rows covered.
        horizon: usize,
    },
    /// A release that the ledger does not cover.
    #[error(
        "the ledger has {spent} of rho = {limit} spent and does not cover {wanted} more; ask for less, or do without this release"
    )]
    Ledger {
        /// The most that may be spent.
        limit: f64,
        /// Spent so far.
        spent: f64,
        /// What the release would spend.
        wanted: f64,
    },
    /// An entry outside what its privacy was computed for.
    #[error(
        "row {row}, column {column} is {value}, but must be from 0 to {bound}; clip it, or give a larger bound"
    )]
    Entry {
        /// Row, from 1.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value found.
        value: f64,
        /// Largest value allowed.
        bound: f64,
    },
    /// A histogram row that is not of one category.
    #[error(
        "row {row}, column {column} is {value}, but a histogram row has at most one 1 and otherwise 0; use the query sum"
    )]
    Category {
        /// Row, from 1.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value found.
        value: f64,
    },
    /// A saved state that cannot be continued.
    #[error(
        "the saved state cannot be continued: {0}; restore it from a copy, or start anew with a budget of its own"
    )]
    State(String),
    /// A graph over too many columns.
    #[error(
        "the graph has {columns} columns, but takes at most {limit}; drop columns that neither cause nor follow the target"
    )]
    GraphColumns {
        /// Columns found.
        columns: usize,
        /// Most columns taken.
        limit: usize,
    },
    /// An edge that ends at no column.
    #[error("an edge of the graph ends at column {column}, but the table has {columns}; correct the edge")]
    GraphColumn {
        /// The end.
        column: usize,
        /// Columns of the table.
        columns: usize,
    },
    /// A causal graph with a cycle.
    #[error(
        "the graph has a cycle through columns {nodes:?}, but causes cannot follow their effects; remove an edge of it"
    )]
    GraphCycle {
        /// Columns on one cycle, in the direction of the edges.
        nodes: Vec<usize>,
    },
    /// A causal graph with undirected edges.
    #[error("the graph leaves the direction of {} open; give each pair one direction", pairs(edges, &|c| c.to_string()))]
    Undirected {
        /// The pairs.
        edges: Vec<(usize, usize)>,
    },
    /// A column that cannot play its part.
    #[error("column {column}, the {role}, {problem}; give another column")]
    RoleColumn {
        /// The part.
        role: &'static str,
        /// The column.
        column: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A column that causes the environment.
    #[error(
        "the graph has an edge from column {from} into the environment column {environment}, but the environment must have \
         no causes; turn or remove the edge"
    )]
    IntoEnvironment {
        /// Where the edge comes from.
        from: usize,
        /// The environment.
        environment: usize,
    },
    /// An environment that changes the target itself.
    #[error(
        "the environment changes column {target}, the target, directly, and then nothing about it can be transferred; predict \
         something else, or add the column through which the environment acts"
    )]
    MutableTarget {
        /// The target.
        target: usize,
    },
    /// Fewer than two environments.
    #[error(
        "column {column}, the environment, has {found} value(s), but at least 2 are needed; add rows of other environments"
    )]
    Environments {
        /// The environment column.
        column: usize,
        /// Distinct values found.
        found: usize,
    },
    /// An environment with too few rows.
    #[error(
        "environment {value} has {rows} row(s), but at least {least} are needed; add rows, or leave the environment out"
    )]
    SmallEnvironment {
        /// Its value in the environment column.
        value: f64,
        /// Its rows.
        rows: usize,
        /// Rows needed.
        least: usize,
    },
    /// More equivalence classes than the search takes.
    #[error(
        "the graph has more than {limit} equivalence classes of stable subsets; drop columns, or raise the limit (classes)"
    )]
    TooManyClasses {
        /// Most classes taken.
        limit: usize,
    },
    /// A set of columns that is no set of stable ones.
    #[error("columns {columns:?} are not stable; choose among the stable columns")]
    NotStable {
        /// The columns that are not.
        columns: Vec<usize>,
    },
    /// A saved model that cannot be used.
    #[error("the saved model cannot be used: {problem}; fit it again")]
    Model {
        /// What is wrong.
        problem: &'static str,
    },
    /// A kernel matrix that is not positive definite.
    #[error(
        "the kernel matrix is not positive definite at row {row}, even with {jitter:.1e} of its diagonal added; raise the noise, \
         or drop rows that repeat others"
    )]
    NotPositiveDefinite {
        /// Row, from 0, of the standardised table.
        row: usize,
        /// Largest share of the mean diagonal that was added.
        jitter: f64,
    },
    /// More rows than exact inference takes.
    #[error(
        "exact inference on {rows} rows takes {} MiB for its matrices, and at most {limit} rows are taken; give a number of inducing \
         points (inducing), fewer rows, or a larger limit (exact_rows)",
        bytes.div_ceil(1 << 20)
    )]
    TooManyRows {
        /// Rows found.
        rows: usize,
        /// Most rows taken.
        limit: usize,
        /// Bytes of the matrices.
        bytes: usize,
    },
    /// A target without spread.
    #[error(
        "the target is the same value in all rows ({value}), so there is nothing to learn; give another column"
    )]
    ConstantTarget {
        /// Its value.
        value: f64,
    },
    /// A class label that is none.
    #[error(
        "row {row} has the label {value}, but labels are whole numbers from 0 to {most}; renumber the classes"
    )]
    Label {
        /// Row, from 0.
        row: usize,
        /// The value found.
        value: f64,
        /// Largest label allowed.
        most: usize,
    },
    /// The exact search on too many columns.
    #[error(
        "the exact search visits 2^{columns} sets; it takes at most {limit} columns; use the local search"
    )]
    TooManyColumns {
        /// Columns found.
        columns: usize,
        /// Most columns taken.
        limit: usize,
    },
}

impl Error {
    /// The message with the user's column names in place of column numbers. Columns without a name keep their number.
    pub fn named(&self, names: &[String]) -> String {
        let name = |column: usize| match names.get(column) {
            Some(name) => format!("\"{name}\""),
            None => column.to_string(),
        };
        match self {
            Self::NotFinite { row, column, value } => format!(
                "row {row}, column {} is {value}, but must be a finite number; fill or drop the row",
                name(*column)
            ),
            Self::TooLarge { column, value } => format!(
                "column {} has values too large to square (largest {value:e}); rescale the column",
                name(*column)
            ),
            Self::Constant { column, value } => format!(
                "column {} is constant ({value}), so it can have neither parents nor children; drop it",
                name(*column)
            ),
            Self::Collinear { column, on } => {
                format!("{}; drop one of them or set ridge to 1e-8 or more", collinear(*column, on, &name))
            }
            Self::NotBinary { row, column, value } => format!(
                "row {row}, column {} is {value}, but the logistic score needs 0 or 1; use the least-squares score",
                name(*column)
            ),
            Self::Cycle { nodes } => format!(
                "the graph has a cycle through columns {}, so no order fits it; remove its weakest edge, for instance \
                 with a larger threshold",
                nodes.iter().map(|&c| name(c)).collect::<Vec<_>>().join(" → ")
            ),
            Self::GraphCycle { nodes } => format!(
                "the graph has a cycle through columns {}, but causes cannot follow their effects; remove an edge of it",
                nodes.iter().map(|&c| name(c)).collect::<Vec<_>>().join(" → ")
            ),
            Self::Undirected { edges } => format!(
                "the graph leaves the direction of {} open; give each pair one direction",
                pairs(edges, &name)
            ),
            Self::RoleColumn { role, column, problem } => {
                format!("column {}, the {role}, {problem}; give another column", name(*column))
            }
            Self::IntoEnvironment { from, environment } => format!(
                "the graph has an edge from column {} into the environment column {}, but the environment must have no \
                 causes; turn or remove the edge",
                name(*from),
                name(*environment)
            ),
            Self::MutableTarget { target } => format!(
                "the environment changes column {}, the target, directly, and then nothing about it can be transferred; \
                 predict something else, or add the column through which the environment acts",
                name(*target)
            ),
            Self::Environments { column, found } => format!(
                "column {}, the environment, has {found} value(s), but at least 2 are needed; add rows of other environments",
                name(*column)
            ),
            Self::NotStable { columns } => format!(
                "columns {} are not stable; choose among the stable columns",
                columns.iter().map(|&c| name(c)).collect::<Vec<_>>().join(", ")
            ),
            other => other.to_string(),
        }
    }
}

fn pairs(edges: &[(usize, usize)], name: &dyn Fn(usize) -> String) -> String {
    edges.iter().map(|&(from, to)| format!("{} – {}", name(from), name(to))).collect::<Vec<_>>().join(", ")
}

fn collinear(column: usize, on: &[usize], name: &dyn Fn(usize) -> String) -> String {
    match on {
        [other] => format!("columns {} and {} are collinear", name(*other), name(column)),
        _ => {
            let mut text = format!("column {} is a linear combination of columns ", name(column));
            for (place, &other) in on.iter().enumerate() {
                let comma = if place == 0 { "" } else { ", " };
                // Writing to a string cannot fail.
                let _ = write!(text, "{comma}{}", name(other));
            }
            text
        }
    }
}
