//! The card of this room.

use backstitch_claim::{Card, OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "topo",
    authors: "Deng, Chang and Bello, Kevin and Aragam, Bryon and Ravikumar, Pradeep",
    venue: Some("ICML 2023"),
    official_code: Some(OfficialCode { repository: "Duntrain/TOPO", licence: "no licence file" }),
    summary: "Learn a weighted directed acyclic graph from a table, or improve the order of another learner.",
    helps: "columns on their natural scale with noise of similar variance, up to some hundred columns; as post-processing of \
            another learner's order (`--start`), whose score it never raises",
    does_not_help: "standardised columns or columns in unrelated units: the least-squares order then follows the scales, not \
                    the causes; hidden common causes, cycles and nonlinear effects are not modelled",
    example: "backstitch run topo --data table.csv --out graph/",
    deviations: &[
        "Neighbours of an order are scored exactly from one Cholesky factor of the covariance instead of re-fitted \
         regressions; both give the same number.",
        "On the command line every move of one node is tried instead of the published candidate pairs, which get stuck at \
         100 columns (a test of this crate shows it), and small weights are dropped one at a time with a refit between \
         instead of all at once. `--neighbourhood candidates --selection threshold` is the paper's way.",
        "Columns are centred by default; the released code fits without an intercept on the data as they are.",
        "The score for unequal noise variances carries a BIC charge per edge: without one, every order has the same score.",
        "The score with a neural network per node is not here yet.",
    ],
};
