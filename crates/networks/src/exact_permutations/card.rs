//! The card of this room.

use backstitch_claim::{Card, OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "exact-permutations",
    authors: "Giapitzakis, George and Back de Luca, Artur and Fountoulakis, Kimon",
    venue: None,
    official_code: Some(OfficialCode { repository: "opallab/permlearn", licence: "MIT" }),
    summary: "Say how many networks to average so that a permutation of bits, learned from the basis vectors only, is exact.",
    helps: "studying when networks trained by gradient descent extrapolate exactly: means, variances and error probabilities \
            of wide ReLU networks on every binary input, the size of the ensemble, and real networks to check them",
    does_not_help: "learning a permutation as such: reading off the k targets, or linear regression, is exact with no network \
                    at all; the theory covers one hidden layer of ReLUs without biases, trained to the end, and no zero input",
    example: "backstitch run exact-permutations --length 20 --confidence 0.99",
    deviations: &[
        "The number of models comes from the Gaussian tails themselves, not from the paper's bounds: exact for one input, by \
         the union over inputs for all. For all inputs it grows far more slowly than the quadratic bound.",
        "Beyond the paper: rounding at the midpoint of the two means, which the number of ones gives in closed form, needs \
         far fewer models than rounding at zero.",
        "Beyond the paper: the readout kernel. The released experiments scale weights the standard way, in which a wide network \
         learns by its readout; their numbers of models follow that kernel, not the neural tangent kernel of the theory.",
        "Training inputs (one one) have means of exactly 0 and 1 without spread, so rounding them at zero is decided by \
         rounding errors; they are cut at one half under both roundings.",
        "Real networks stop when every training output is within a tolerance of its target, instead of after a number of steps.",
        "General 0/1 maps (several ones per target) are not here, only permutations.",
    ],
};
