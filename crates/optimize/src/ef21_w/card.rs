//! The card of this room.

use backstitch_claim::Card;

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "ef21-w",
    authors: "Richtárik, Peter and Gasanov, Elnur and Burlachenko, Konstantin",
    venue: Some("ICLR 2024"),
    official_code: None,
    summary: "Train over clients that send compressed gradients, with the largest step size that is certified.",
    helps: "choosing a step size for error feedback (Top-k and the like) when the clients' losses differ in smoothness: the new \
            certified step rests on the arithmetic mean of the constants instead of the quadratic mean, at no cost",
    does_not_help: "clients that are about equally smooth: the two means are then equal, and so are the steps; compressors that keep \
                    most of a vector, where the smoothness of the mean decides; and bits are not saved by a certified Top-k \
                    step as such: plain gradient descent takes about 2d/k times fewer rounds",
    example: "backstitch run ef21-w fit --data a9a.txt.gz --clients 100 --split label --compressor top:1",
    deviations: &[
        "EF21-W and EF21 differ only for compressors that are not positively homogeneous (natural); otherwise their iterates are the \
         same, and so is the new step.",
        "Partial participation: clients take part independently with one probability p. The step is that of a compressor with \
         contraction pα, which is the best over the two constants of the analysis, in closed form.",
        "Stochastic gradients: the step and the guarantee are our own derivation for a variance that is bounded, as it is with the \
         logistic loss; half of the contraction is spent on the noise.",
        "Numbers are sent, and counted, as the 64 bits that they have; coordinates are counted too, and so is the first gradient.",
        "Smoothness constants are upper bounds that hold, so the steps are certified in floating point too, up to rounding.",
        "Clients are simulated in one process or, in a build with the feature mpi, spread over the ranks of an MPI job, which visit \
         the same points; every rank reads the whole file.",
        "The quick study sends ten entries of a gradient on the public sets (Top-10), from 100 clients with half of the rows, for 1,000 \
         rounds. Its paper scale sends one entry, from 1,000 clients, for 20,000 rounds.",
    ],
};
