//! The card of this room.

use backstitch_claim::{Card, OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "block-descent",
    authors: "Nutini, Julie and Laradji, Issam and Schmidt, Mark",
    venue: Some("JMLR 2022"),
    official_code: Some(OfficialCode {
        repository: "IssamLaradji/BlockCoordinateDescent",
        licence: "the README says Apache-2.0, but there is no licence file",
    }),
    summary: "Solve lasso, logistic and softmax regression, and label propagation on graphs, by updating well-chosen blocks of \
              coordinates.",
    helps: "sparse solutions in many columns (lasso, non-negative lasso, L1-penalised logistic regression): blocks of the coordinates \
            that matter are solved exactly, and a duality gap says how good the answer is; label propagation without a library for \
            sparse linear systems",
    does_not_help: "dense solutions in many columns, where every coordinate matters and an accelerated or quasi-Newton method costs \
                    less; least squares without a penalty, which a direct solver ends at once; graphs of a few thousand nodes, where \
                    sparse Cholesky is faster; losses that are not smooth or not convex",
    example: "backstitch run block-descent fit --data rows.txt --loss least-squares --l1 0.1max --out model/",
    deviations: &[
        "Fixed blocks are scored by sums of squares, as the paper defines its rules; the authors' code sums absolute values.",
        "The diagonal that majorises the Hessian (GSL on variable blocks) is |a_i|ᵀ Σ_j |a_j|, never below the row sum of |AᵀA|, so that \
         no product of all columns is formed.",
        "GSQ on variable blocks starts hard thresholding from the step of every coordinate alone, −g_i/L_i; the authors' code starts \
         from g_i/√L_i, which points uphill. Under a penalty or bounds it takes the coordinates that promise most one by one.",
        "The Lipschitz constant of a block is within a hundredth above its largest eigenvalue and certified by a Cholesky factor; for \
         forests and colours it is the largest row sum.",
        "The blocks of the default, growing ones, are ours: all coordinates that are not at rest and as many again that promise most, \
         solved to a tenth of their violation until the support settles and exactly from then on. It is the variable block that the paper's last section asks for, at least as large as the support.",
        "A singular block is lifted by 1e-10 of its largest diagonal entry, instead of a pseudo-inverse.",
        "The quick study has 100 columns and 5 classes in C, and a ridge of 1 in B and C: without one, more columns than rows separate \
         the classes, and there is no minimum.",
        "Sums over rows are not divided by their number, as in the paper; there is no intercept.",
    ],
};
