//! The card of this room.

use backstitch_claim::{Card, OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "scale-mixture-nngp",
    authors: "Lee, Hyungi and Yun, Eunggu and Yang, Hongseok and Lee, Juho",
    venue: Some("ICLR 2022"),
    official_code: Some(OfficialCode {
        repository: "Hyungi-Lee/Scale-Mixtures-of-Neural-Network-Gaussian-Processes",
        licence: "no licence",
    }),
    summary: "Bayesian regression with the infinite-width limit of a network whose last-layer scale is drawn too: Student-t processes.",
    helps: "",
    does_not_help: "",
    example: "backstitch run scale-mixture-nngp fit --data table.csv --target y --out model/",
    deviations: &[],
};
