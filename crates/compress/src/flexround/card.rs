//! The card of this room.

use backstitch_claim::{Card, OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "flexround",
    authors: "Lee, Jung Hyun and Kim, Jeonghoon and Kwon, Se Jung and Lee, Dongsoo",
    venue: Some("ICML 2023"),
    official_code: Some(OfficialCode { repository: "onliwad101/FlexRound_LRQ", licence: "none" }),
    summary: "Round the weights of a trained network to 2 to 8 bits so that its outputs change least, from a few hundred unlabelled rows.",
    helps: "making a trained network of dense and convolutional layers 4 to 16 times smaller without training it again, and decoders (GPT-2, Llama, \
            Qwen2) as far as their blocks go; grids shared by a whole layer, which plain rounding spoils; calibration inputs that are \
            correlated, as they mostly are",
    does_not_help: "8 bits per channel, where rounding to nearest loses next to nothing; inputs that are white, where \
                    rounding to nearest is best already; fewer calibration rows than a layer has inputs; networks that may be trained again; speed: \
                    products with whole numbers save memory here, not time",
    example: "backstitch run flexround quantize --model net.safetensors --layers net.json --calibration rows.csv --bits 4 --out small",
    deviations: &[
        "A single layer is trained on the second moments of all calibration rows instead of batches, with the exact gradient of \
         all rows at every step; blocks of several layers take batches.",
        "Where learning ends with a larger error on the calibration rows than rounding to nearest, the latter is kept and the report says so.",
        "Decoders are quantised layer by layer, each for the inputs that the layers before it give once they are quantised; the study has no \
         decoder yet.",
        "AdaQuant's added number is in steps of the grid and its grid size is learned, which makes it the paper's ablation by addition.",
    ],
};
