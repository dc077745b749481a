//! The card of this room.

use backstitch_claim::{Card, OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "causal-minimax",
    authors: "Liu, Mingzhou and Zheng, Xiangyu and Sun, Xinwei and Fang, Fang and Wang, Yizhou",
    venue: Some("ICML 2023"),
    official_code: Some(OfficialCode { repository: "lmz123321/which_invariance", licence: "MIT" }),
    summary: "Choose which stable columns to predict from, so that the worst error over unseen environments is smallest.",
    helps: "rows from two or more environments, a causal graph that is known (or nearly linear data to find one in), and a \
            deployment whose environments may shift the same columns further than the training ones did",
    does_not_help: "the shift reaches the target itself, causes are hidden, or the graph is wrong; the new environments are like \
                    the old ones, or the mutable columns reveal which environment a row is from (plain regression is then better); all is \
                    linear and Gaussian (the whole stable set is then optimal, and nothing is left to search); the worst case is weighed against no likelihood, so the answer \
                    may be to predict next to nothing",
    example: "backstitch run causal-minimax --data table.csv --target y --environment site --graph graph.gml --out model/",
    deviations: &[
        "The adversary's maps are bounded: a mutable column may go `reach` training standard deviations from its mean (default 3). \
         Unbounded, the worst-case risk of a predictor that is linear in a mutable column is infinite. The published penalty on the \
         maps' weights is kept beside the bound.",
        "The predictor is fitted where the mutable columns alone are intervened on, which is its definition E[Y | x, do(x_M)]. The \
         released code also shuffles their stable descendants that are no children of the target, which makes subsets without the \
         whole stable set lose what those columns say; `--published` does as it does.",
        "The predictor is fitted on three shuffles of the rows instead of one, whose chance correlations the adversary would exploit.",
        "Regenerated columns keep the residual of their row. The released code regenerates them without noise, so that the predictor \
         trusts them too much.",
        "Networks start from seeded random weights, the best of several starts, and are fitted by L-BFGS with a small penalty. The \
         released code starts from weights that are all one, which keeps the hidden units of a layer equal.",
        "Equivalence classes come from d-connection questions on the graph; no ancestral graph is built. The classes are the same.",
        "Test environments are standardised with training statistics. The released code uses each test environment's own; the study \
         reports both.",
        "The correlation of 0.984 in the released record is of worst-case risks and errors averaged over 45 splits. The study reports \
         that of averages over its own splits, with an interval from the jackknife, and beside it the mean correlation within a split, \
         which is another quantity: what differs between splits does not average out of it.",
        "Without a graph, one is found by partial correlations within environments and regressions across them, for nearly linear \
         effects, in place of CD-NOD's kernel tests. What the data leave undirected is an error, not a guess.",
        "Of the published baselines IRM and HRM are not here.",
    ],
};
