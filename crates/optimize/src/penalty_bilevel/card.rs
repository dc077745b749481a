//! The card of this room.

use backstitch_claim::Card;

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "penalty-bilevel",
    authors: "Kwon, Jeongyeol and Kwon, Dohyun and Wright, Stephen and Nowak, Robert",
    venue: Some("ICLR 2024"),
    official_code: None,
    summary: "Choose per-feature penalties or weed out wrong labels by validation loss, with first derivatives only.",
    helps: "an outer choice that is judged on what an inner training makes of it: penalties of features, weights of training rows. The \
            inner problem may have many minimisers and convex constraints, where implicit differentiation breaks, and no second \
            derivatives are needed",
    does_not_help: "an inner problem that is strongly convex and small: implicit differentiation is exact there and needs fewer \
                    gradients; inner minimisers that jump as the outer variable moves: the error bound fails, which the \
                    certificate reports; a handful of outer variables, for which a grid does; and validation rows that are few: a \
                    penalty per feature or a weight per row fits them",
    example: "backstitch run penalty-bilevel clean --data train.csv --target label --validation checked.csv --out cleaned/",
    deviations: &[
        "The updates follow the paper's description and were not compared with its pseudocode line by line.",
        "The orders of steps and samples are the paper's; all constants are ours: lower-level steps of half of one over the curvature, \
         proximal radius 1/(2L), mixing 1/2, upper steps of 0.2 sigma.",
        "The same samples serve both gradients of g whose difference is divided by sigma, so that most of their noise cancels.",
        "The ready problems have convex lower levels: they leave the proximal term out, accelerate the lower-level steps, and scale the \
         step of every outer coordinate (Adam).",
        "Ours: sigma that falls as fast as the lower level keeps up, Richardson extrapolation, and the certificate, whose constant of \
         the error bound is measured at points nearby and so is a bound from above.",
        "The paper has no experiments. The study re-tests its orders on problems with closed forms, and hyper-cleaning on \
         handwritten digits with wrong labels is ours.",
    ],
};
