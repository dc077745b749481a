//! The card of this room.

use backstitch_claim::Card;

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "cuber",
    authors: "Lin, Sen and Yang, Li and Fan, Deliang and Zhang, Junshan",
    venue: Some("NeurIPS 2022"),
    official_code: None,
    summary: "Train one network on one task after another without keeping old rows: earlier tasks are not forgotten, and related ones may improve.",
    helps: "tasks that come one by one over the same columns, where rows of earlier ones may not be kept; sequences in which tasks \
            come back or resemble each other; seeing which earlier tasks a new one relates to, layer by layer",
    does_not_help: "tasks that are all there at once, which are trained together at less cost; sequences longer than the directions of the layers, \
                    which fill up; gains of \
                    earlier tasks, since updates seldom last; rows whose task is not known when they are classified; tables on which a tree would do",
    example: "backstitch run cuber fit --tasks monday.csv tuesday.csv wednesday.csv --target label --out model",
    deviations: &[
        "Directions of all tasks are columns of one orthonormal set, so that projections on several tasks are projections; what a protected \
         task uses stays as it is, also where an updated task uses it too.",
        "The gradient that tells how tasks relate is taken over all sample rows instead of one batch; that of an earlier task over all its rows, at \
         the weights that task ends with.",
        "The price of updates is taken by its proximal step, which does not swing around the start as a gradient of constant length does. The \
         paper's main text does not say how high it is; ours is 0.1.",
        "A constant input, where it is asked for, takes the place of biases and is protected like any other input.",
        "Dense layers only.",
    ],
};
