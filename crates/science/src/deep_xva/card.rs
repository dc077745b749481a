//! The card of this room.

use backstitch_claim::Card;

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "deep-xva",
    authors: "Andersson, Kristoffer and Gnoatto, Alessandro",
    venue: None,
    official_code: None,
    summary: "Value a portfolio with the cost of default, collateral, initial margin and funding, layer upon layer, with standard errors.",
    helps: "netting sets of forwards, options and baskets on up to some tens of factors, with counterparties and a bank that default when \
            their assets fall to a barrier, wrong-way risk, rare defaults, thresholds, initial margin, and funding whose borrowing and \
            lending rates differ",
    does_not_help: "a few trades without funding spreads, where least-squares Monte Carlo is faster; trades with exercise before maturity or \
                    payments that depend on a path; rates that move; gaps between default and close-out, which is at once",
    example: "backstitch run deep-xva portfolio.toml --out xva",
    deviations: &[
        "One network serves all dates of a layer and takes time, factors, clean value and distances to default; the predecessor's code trains one per date.",
        "Y at the start is not trained: it is the mean that fits each batch best, and what is reported comes from new paths with the \
         learned hedge as control variate, so that it is unbiased for the layer's equation and has a standard error.",
        "The value Y(t, x) that later layers read is learned beside the hedge, not rolled forward along the path.",
        "Closed formulas give clean values where there are any, unless all are asked to be learned.",
        "Brownian bridges notice defaults between dates, which takes away the bias of the order of the root of a step; of two defaults in \
         one step the first is told by times drawn from each bridge as if they were independent.",
        "The other measure moves only what is the counterparty's own. CVA of a rare default is valued under it, weighted back; layers are \
         trained under it only where that is asked for.",
        "Close-out is at the default: the collateral of that moment is subtracted, and initial margin is held against nothing else.",
        "A trade that matures within the margin period counts with what it would pay at its end.",
        "Quantiles for margin are learned in conditional standard deviations from the conditional mean, both by regression, with a tenth of \
         the step size.",
        "Steps of mean-reverting factors have their exact variance, and the correlation of the Brownian motions rather than that of their integrals.",
        "Adjustments that the terms of a netting set cannot pay are 0 and not learned.",
        "Derivatives are corrected by the increments of the first step, which makes them unbiased and gives them standard errors.",
    ],
};
