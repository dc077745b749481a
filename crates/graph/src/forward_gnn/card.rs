//! The card of this room.

use backstitch_claim::{Card, card::OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "forward-gnn",
    authors: "Park, Namyong and Wang, Xing and Simoulin, Antoine and Yang, Shuai and Yang, Grey and Rossi, Ryan and Trivedi, Puja and \
              Ahmed, Nesreen",
    venue: Some("ICLR 2024"),
    official_code: Some(OfficialCode { repository: "facebookresearch/forwardgnn", licence: "CC-BY-NC-4.0" }),
    summary: "Classes of nodes and missing links of a graph, by layers that each learn from a loss of their own, without backpropagation.",
    helps: "graphs whose nodes have features, some of them with labels; deep networks in little memory, since only one layer is in \
            training; seeing what each layer is worth, since each gives an answer",
    does_not_help: "graphs without features or labels; classes of which no node may train; where memory is plenty, or a point of accuracy \
                    matters, backpropagation, which takes fewer passes: that forward learning is within 1.5 points rests on intervals that \
                    end at this bound; forward-forward takes a pass per class and is here to be compared",
    example: "backstitch run forward-gnn fit --graph cora.npz --out model/",
    deviations: &[
        "What decides when a layer stops is the validation of the sum over the layers so far.",
        "A validation of top-to-loss goes through the layers from below with the weights as they are, as a prediction does.",
        "Forward-forward and top-down learners are for nodes only; links are learned layer after layer or by backpropagation.",
        "Shares of classes are means over layers, and of forward-forward the softmax of the summed goodness; the class is the same.",
        "Rows of features are scaled to sum 1 for backpropagation only where no feature is negative.",
    ],
};
