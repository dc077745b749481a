//! The card of this room.

use backstitch_claim::{Card, card::OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "forward-gnn",
    authors: "Park, Namyong and Wang, Xing and Simoulin, Antoine and Yang, Shuai and Yang, Grey and Rossi, Ryan and Trivedi, Puja and \
              Ahmed, Nesreen",
    venue: Some("ICLR 2024"),
    official_code: Some(OfficialCode { repository: "facebookresearch/forwardgnn", licence: "CC-BY-NC-4.0" }),
    summary: "Classes of nodes and missing links of a graph, by layers that each learn from a loss of their own, without backpropagation through them.",
    helps: "",
    does_not_help: "",
    example: "backstitch run forward-gnn fit --graph cora.npz --out model/",
    deviations: &[],
};
