//! A portfolio with its market, checked.

mod file;

use backstitch_numerics::Matrix;
use serde::Deserialize;

/// An example, commented: `backstitch run deep-xva --example`.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Days of a year in which margin periods are counted: trading days.
pub const DAYS_OF_YEAR: f64 = 252.0;

/// A checked portfolio with its market.
#[derive(Clone, Debug, PartialEq)]
pub struct Portfolio {
    /// Interest rates, per year, continuously compounded.
    pub market: Market,
    /// What trades are written on.
    pub factors: Vec<Factor>,
    /// Whose default is modelled: the counterparties, then the bank if it can default.
    pub firms: Vec<Firm>,
    /// Number of counterparties, the first of the firms.
    pub counterparties: usize,
    /// Groups of trades that are settled as one if the counterparty or the bank defaults.
    pub netting_sets: Vec<NettingSet>,
    /// Lower triangular root of the correlation matrix of factors, then firms.
    pub root: Matrix,
}

/// Interest rates, per year, continuously compounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Market {
    /// Risk-free: what everything is discounted at.
    pub rate: f64,
    /// At which the bank borrows; `rate` if left out.
    pub borrowing: f64,
    /// At which the bank lends; `rate` if left out.
    pub lending: f64,
    /// What the bank pays on collateral that it holds; `rate` if left out.
    pub collateral_received: f64,
    /// What the bank earns on collateral that it has posted; `rate` if left out.
    pub collateral_posted: f64,
    /// What the bank earns on initial margin that it has posted; `rate` if left out.
    pub margin_posted: f64,
}

/// Something that trades are written on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// Its name.
    pub name: String,
    /// How it moves.
    #[serde(default)]
    pub kind: FactorKind,
    /// Today's value.
    pub start: f64,
    /// Per square root of a year: relative for `gbm`, absolute for `ou`.
    pub volatility: f64,
    /// Income per year, `gbm` only.
    #[serde(default, rename = "yield")]
    pub income: f64,
    /// Speed of return to the mean, per year, `ou` only.
    #[serde(default)]
    pub reversion: f64,
    /// The level that it returns to, `ou` only.
    #[serde(default)]
    pub mean: f64,
}

/// How a factor moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FactorKind {
    /// dS = (r − yield) S dt + σ S dB.
    #[default]
    Gbm,
    /// dS = κ (mean − S) dt + σ dB.
    Ou,
}

/// A firm that defaults when its assets, dA = r A dt + s A dB, fall to the barrier.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firm {
    /// Its name; that of the bank is `bank`.
    #[serde(default)]
    pub name: String,
    /// Today's assets.
    pub assets: f64,
    /// Where they mean default.
    pub barrier: f64,
    /// s, per square root of a year.
    pub volatility: f64,
    /// The part of a claim that is paid after default.
    pub recovery: f64,
}

/// Trades that are settled as one, with the terms of their collateral.
#[derive(Clone, Debug, PartialEq)]
pub struct NettingSet {
    /// Its name.
    pub name: String,
    /// Position of its counterparty among the firms.
    pub counterparty: usize,
    /// Value above which the bank receives collateral; infinite without.
    pub threshold_received: f64,
    /// Minus the value below which the bank posts collateral; infinite without.
    pub threshold_posted: f64,
    /// Terms of initial margin.
    pub margin: Option<MarginTerms>,
    /// Its trades.
    pub trades: Vec<Trade>,
}

/// Terms of initial margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarginTerms {
    /// Share of the moves over the period that the margin covers.
    pub level: f64,
    /// Margin period of risk, in years.
    pub period: f64,
}

/// One European trade, seen from the bank.
#[derive(Clone, Debug, PartialEq)]
pub struct Trade {
    /// Its name.
    pub name: String,
    /// What is paid at maturity.
    pub kind: TradeKind,
    /// Positions of the factors and their weights: the underlying is the weighted sum.
    pub underlying: Vec<(usize, f64)>,
    /// The price fixed today.
    pub strike: f64,
    /// In years.
    pub maturity: f64,
    /// Number of contracts; negative if the bank has sold.
    pub quantity: f64,
}

/// What a contract pays at maturity on the value X of its underlying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TradeKind {
    /// X − K.
    Forward,
    /// (X − K)⁺.
    Call,
    /// (K − X)⁺.
    Put,
}

impl TradeKind {
    /// What one contract pays on the value `x`.
    pub fn payoff(self, x: f64, strike: f64) -> f64 {
        match self {
            Self::Forward => x - strike,
            Self::Call => (x - strike).max(0.0),
            Self::Put => (strike - x).max(0.0),
        }
    }
}

impl Portfolio {
    /// Position of the bank among the firms, if it can default.
    pub fn bank(&self) -> Option<usize> {
        (self.firms.len() > self.counterparties).then_some(self.counterparties)
    }

    /// Number of Brownian motions: factors, then firms.
    pub fn drivers(&self) -> usize {
        self.factors.len() + self.firms.len()
    }

    /// The last maturity, in years.
    pub fn horizon(&self) -> f64 {
        self.trades().map(|trade| trade.maturity).fold(0.0, f64::max)
    }

    /// All trades, set after set.
    pub fn trades(&self) -> impl Iterator<Item = &Trade> {
        self.netting_sets.iter().flat_map(|set| &set.trades)
    }
}

impl NettingSet {
    /// Positions of the factors that its trades are written on, ascending.
    pub fn factors(&self) -> Vec<usize> {
        let mut found: Vec<usize> =
            self.trades.iter().flat_map(|trade| trade.underlying.iter().map(|&(index, _)| index)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The collateral that the bank holds (negative: has posted) at a value of the set.
    #[inline(always)]
    pub fn collateral(&self, value: f64) -> f64 {
        (value - self.threshold_received).max(0.0) - (-value - self.threshold_posted).max(0.0)
    }
}
