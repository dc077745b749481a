//! The card of this room.

use backstitch_claim::Card;

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "continual-dp",
    authors: "Jain, Palak and Raskhodnikova, Sofya and Sivakumar, Satchit and Smith, Adam",
    venue: Some("ICML 2023"),
    official_code: None,
    summary: "Release running counts, sums, histograms or the running maximum of a stream with differential privacy.",
    helps: "counts and sums that are published again and again while the data come in: the error grows with the logarithm of the \
            number of rows, not with its square root; the horizon (most rows ever) must be known",
    does_not_help: "one answer at the end (a single noisy sum is far more accurate); many rows per person under event-level \
                    neighbours, which protect single rows only (use user:<k>); the running maximum over many columns, whose error \
                    must grow with the cube root of the number of rows",
    example: "backstitch run continual-dp --epsilon 1 --delta 1e-6 --horizon 100000 < events.csv",
    deviations: &[
        "The square root of the prefix-sum matrix is replaced by a sum of exponentials (12 for a million rows), which needs no \
         memory of the past; privacy is computed for the matrix in use, and its error stays within 2 % of the exact one.",
        "Noise is a discrete Gaussian or Laplace on a power-of-two grid, drawn with integers only; the numbers it is added to are \
         rounded to that grid, and both roundings and floating-point errors are charged to the sensitivity.",
        "With (ε, δ), noise follows the exact curve of one Gaussian query instead of asymptotic bounds.",
        "The running argument of the maximum uses the exponential mechanism by exact rejection in place of noisy maxima with \
         Gumbel noise: the same distribution without floating point.",
    ],
};
