//! The file that a portfolio and its market are written in, and its check.
//!
//! Names are looked up here and everything is checked here, so that what follows works with positions and cannot fail.

use backstitch_claim::shelf::nearest_of;
use backstitch_numerics::Matrix;
use serde::Deserialize;

use super::correlation::factor;
use crate::Error;

/// An example, commented: `backstitch run deep-xva --example`.
pub const EXAMPLE: &str = include_str!("example.toml");

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
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Market {
    /// Risk-free: what everything is discounted at.
    pub rate: f64,
    /// At which the bank borrows; `rate` if left out.
    #[serde(default = "unset")]
    pub borrowing: f64,
    /// At which the bank lends; `rate` if left out.
    #[serde(default = "unset")]
    pub lending: f64,
    /// What the bank pays on collateral that it holds; `rate` if left out.
    #[serde(default = "unset")]
    pub collateral_received: f64,
    /// What the bank earns on collateral that it has posted; `rate` if left out.
    #[serde(default = "unset")]
    pub collateral_posted: f64,
    /// What the bank earns on initial margin that it has posted; `rate` if left out.
    #[serde(default = "unset")]
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    market: Market,
    factor: Vec<Factor>,
    #[serde(default)]
    correlation: Vec<Correlation>,
    bank: Option<Firm>,
    counterparty: Vec<Firm>,
    netting_set: Vec<NettingSetEntry>,
    trade: Vec<TradeEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Correlation {
    between: [String; 2],
    value: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NettingSetEntry {
    name: String,
    counterparty: String,
    threshold_received: Option<f64>,
    threshold_posted: Option<f64>,
    margin_level: Option<f64>,
    margin_days: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TradeEntry {
    name: String,
    netting_set: String,
    kind: TradeKind,
    factors: Vec<String>,
    weights: Option<Vec<f64>>,
    strike: f64,
    maturity: f64,
    #[serde(default = "one")]
    quantity: f64,
}

/// Days of a year in which margin periods are counted: trading days.
pub const DAYS_OF_YEAR: f64 = 252.0;
/// What is taken for a period of margin where only its level is given, in days.
const MARGIN_DAYS: f64 = 10.0;
/// Most names that a message lists.
const LISTED: usize = 12;
/// The name that correlations call the bank by.
const BANK: &str = "bank";

fn unset() -> f64 {
    f64::NAN
}

fn one() -> f64 {
    1.0
}

impl Portfolio {
    /// Reads a portfolio from TOML; [`EXAMPLE`] shows all there is.
    ///
    /// # Errors
    /// On text that is not TOML, on unknown keys and names, on numbers outside their range, on correlations that are not positive
    /// semi-definite, and on firms in default at inception.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let file: File = toml::from_str(text).map_err(|error| Error::Malformed(error.to_string()))?;
        let market = file.market.filled()?;
        for factor in &file.factor {
            factor.check()?;
        }
        let counterparties = file.counterparty.len();
        let mut firms = file.counterparty;
        firms.extend(file.bank.map(|bank| Firm { name: BANK.into(), ..bank }));
        for firm in &firms {
            firm.check()?;
        }
        let drivers: Vec<&str> = file
            .factor
            .iter()
            .map(|f| f.name.as_str())
            .chain(firms.iter().map(|f| f.name.as_str()))
            .collect();
        let sets = file.netting_set.iter().map(|set| set.name.as_str());
        let trades = file.trade.iter().map(|trade| trade.name.as_str());
        unique(drivers.iter().copied().chain(sets).chain(trades))?;
        let root = factor(&correlations(&file.correlation, &drivers)?).map_err(|(smallest, weights)| {
            let mut order: Vec<usize> = (0..drivers.len()).collect();
            order.sort_by(|&a, &b| weights[b].abs().total_cmp(&weights[a].abs()));
            let names: Vec<&str> = order.iter().take(3).map(|&index| drivers[index]).collect();
            Error::Correlation { smallest, names: names.join(", ") }
        })?;
        let mut netting_sets = Vec::new();
        for entry in &file.netting_set {
            netting_sets.push(entry.resolve(&firms[..counterparties])?);
        }
        for entry in file.trade {
            let names = file.netting_set.iter().map(|set| set.name.as_str());
            let place = format!("trade `{}`", entry.name);
            let set = look_up(&place, "netting set", &entry.netting_set, names)?;
            netting_sets[set].trades.push(entry.resolve(&file.factor)?);
        }
        if let Some(empty) = netting_sets.iter().find(|set| set.trades.is_empty()) {
            return Err(Error::Portfolio {
                problem: format!("netting set `{}` has no trade", empty.name),
                way_out: "give it one or leave it out".into(),
            });
        }
        if netting_sets.is_empty() {
            return Err(Error::Portfolio {
                problem: "the portfolio has no netting set".into(),
                way_out: "give at least one, with a trade".into(),
            });
        }
        Ok(Self { market, factors: file.factor, firms, counterparties, netting_sets, root })
    }

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
    pub fn collateral(&self, value: f64) -> f64 {
        (value - self.threshold_received).max(0.0) - (-value - self.threshold_posted).max(0.0)
    }
}

impl Market {
    fn filled(mut self) -> Result<Self, Error> {
        check("market rate", self.rate, f64::is_finite, "finite", "give it per year, as in 0.02")?;
        let rate = self.rate;
        for (name, value) in [
            ("market borrowing", &mut self.borrowing),
            ("market lending", &mut self.lending),
            ("market collateral_received", &mut self.collateral_received),
            ("market collateral_posted", &mut self.collateral_posted),
            ("market margin_posted", &mut self.margin_posted),
        ] {
            if value.is_nan() {
                *value = rate;
            }
            check(name, *value, f64::is_finite, "finite", "give it per year, as in 0.04")?;
        }
        Ok(self)
    }
}

impl Factor {
    fn check(&self) -> Result<(), Error> {
        let name = |what: &str| format!("{what} of factor `{}`", self.name);
        check(&name("volatility"), self.volatility, positive, "above 0", "give it per year, as in 0.25")?;
        check(&name("mean"), self.mean, f64::is_finite, "finite", "give the level that it returns to")?;
        check(&name("yield"), self.income, f64::is_finite, "finite", "give it per year, as in 0.01")?;
        match self.kind {
            FactorKind::Gbm => {
                check(
                    &name("start"),
                    self.start,
                    positive,
                    "above 0",
                    "take kind \"ou\" for what can be negative",
                )?;
                let way_out = "leave it out, or take kind \"ou\"";
                check(&name("reversion"), self.reversion, |x| x == 0.0, "0 for kind \"gbm\"", way_out)?;
                check(&name("mean"), self.mean, |x| x == 0.0, "0 for kind \"gbm\"", way_out)
            }
            FactorKind::Ou => {
                check(&name("start"), self.start, f64::is_finite, "finite", "give today's value")?;
                let way_out = "leave it out, or take kind \"gbm\"";
                check(&name("yield"), self.income, |x| x == 0.0, "0 for kind \"ou\"", way_out)?;
                check(
                    &name("reversion"),
                    self.reversion,
                    positive,
                    "above 0 for kind \"ou\"",
                    "give it per year, as in 1.5",
                )
            }
        }
    }
}

impl Firm {
    fn check(&self) -> Result<(), Error> {
        let who = if self.name == BANK { "the bank".into() } else { format!("counterparty `{}`", self.name) };
        let name = |what: &str| format!("{what} of {who}");
        check(&name("assets"), self.assets, positive, "above 0", "only their ratio to the barrier matters")?;
        check(&name("barrier"), self.barrier, positive, "above 0", "only its ratio to the assets matters")?;
        check(&name("volatility"), self.volatility, positive, "above 0", "give it per year, as in 0.3")?;
        let share = |x: f64| (0.0..=1.0).contains(&x);
        check(
            &name("recovery"),
            self.recovery,
            share,
            "between 0 and 1",
            "give the part of a claim that is paid",
        )?;
        if self.assets <= self.barrier {
            return Err(Error::InDefault { who, assets: self.assets, barrier: self.barrier });
        }
        Ok(())
    }
}

impl NettingSetEntry {
    fn resolve(&self, counterparties: &[Firm]) -> Result<NettingSet, Error> {
        let name = |what: &str| format!("{what} of netting set `{}`", self.name);
        let place = format!("netting set `{}`", self.name);
        let known = counterparties.iter().map(|firm| firm.name.as_str());
        let counterparty = look_up(&place, "counterparty", &self.counterparty, known)?;
        let threshold = |what: &str, given: Option<f64>| {
            let value = given.unwrap_or(f64::INFINITY);
            let way_out = "leave it out where there is no collateral";
            check(&name(what), value, |x| x >= 0.0, "0 or more", way_out).map(|()| value)
        };
        let margin = match (self.margin_level, self.margin_days) {
            (None, None) => None,
            (level, days) => {
                let (level, days) = (level.unwrap_or(0.99), days.unwrap_or(MARGIN_DAYS));
                let inside = |x: f64| 0.5 < x && x < 1.0;
                check(&name("margin_level"), level, inside, "between 0.5 and 1", "usual is 0.99")?;
                let days_inside = |x: f64| x > 0.0 && x <= DAYS_OF_YEAR;
                check(&name("margin_days"), days, days_inside, "above 0 and at most 252", "usual is 10")?;
                Some(MarginTerms { level, period: days / DAYS_OF_YEAR })
            }
        };
        Ok(NettingSet {
            name: self.name.clone(),
            counterparty,
            threshold_received: threshold("threshold_received", self.threshold_received)?,
            threshold_posted: threshold("threshold_posted", self.threshold_posted)?,
            margin,
            trades: Vec::new(),
        })
    }
}

impl TradeEntry {
    fn resolve(self, factors: &[Factor]) -> Result<Trade, Error> {
        let place = format!("trade `{}`", self.name);
        let name = |what: &str| format!("{what} of {place}");
        if self.factors.is_empty() {
            return Err(Error::Portfolio {
                problem: format!("{place} is written on no factor"),
                way_out: "name one, or several for a basket".into(),
            });
        }
        let weights = self.weights.unwrap_or_else(|| vec![1.0; self.factors.len()]);
        if weights.len() != self.factors.len() {
            let (found, expected) = (weights.len(), self.factors.len());
            return Err(Error::Portfolio {
                problem: format!("{place} has {found} weights for {expected} factors"),
                way_out: "give one for each".into(),
            });
        }
        let mut underlying = Vec::new();
        for (factor, weight) in self.factors.iter().zip(weights) {
            let known = factors.iter().map(|factor| factor.name.as_str());
            let position = look_up(&place, "factor", factor, known)?;
            check(&name("a weight"), weight, f64::is_finite, "finite", "give a number")?;
            underlying.push((position, weight));
        }
        let option = self.kind != TradeKind::Forward;
        let priced =
            |x: f64| x.is_finite() && (!option || x > 0.0 || factors_can_be_negative(factors, &underlying));
        check(
            &name("strike"),
            self.strike,
            priced,
            "finite, and above 0 for an option on `gbm`",
            "give the price fixed today",
        )?;
        check(
            &name("maturity"),
            self.maturity,
            |x| positive(x) && x <= 100.0,
            "above 0 and at most 100",
            "give it in years",
        )?;
        check(
            &name("quantity"),
            self.quantity,
            |x| x.is_finite() && x != 0.0,
            "finite and not 0",
            "leave the trade out",
        )?;
        Ok(Trade {
            name: self.name,
            kind: self.kind,
            underlying,
            strike: self.strike,
            maturity: self.maturity,
            quantity: self.quantity,
        })
    }
}

fn factors_can_be_negative(factors: &[Factor], underlying: &[(usize, f64)]) -> bool {
    underlying.iter().any(|&(index, weight)| weight < 0.0 || factors[index].kind == FactorKind::Ou)
}

fn positive(x: f64) -> bool {
    x > 0.0 && x.is_finite()
}

fn check(
    name: &str,
    value: f64,
    allowed: impl Fn(f64) -> bool,
    range: &'static str,
    way_out: &'static str,
) -> Result<(), Error> {
    if allowed(value) {
        return Ok(());
    }
    Err(Error::Parameter { name: name.into(), value, allowed: range, way_out })
}

fn look_up<'a>(
    place: &str,
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Result<usize, Error> {
    known.clone().position(|candidate| candidate == name).ok_or_else(|| Error::Unknown {
        place: place.into(),
        what,
        name: name.into(),
        near: nearest_of(name, known.clone()).map(str::to_owned),
        known: known.take(LISTED).collect::<Vec<_>>().join(", "),
    })
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if name.trim().is_empty() {
            return Err(Error::Portfolio {
                problem: "a name is empty".into(),
                way_out: "give every part of the portfolio a name".into(),
            });
        }
        if !seen.insert(name) {
            return Err(Error::Twice { name: name.into() });
        }
    }
    Ok(())
}

fn correlations(entries: &[Correlation], drivers: &[&str]) -> Result<Matrix, Error> {
    let mut matrix = Matrix::from_fn(drivers.len(), drivers.len(), |i, j| f64::from(u8::from(i == j)));
    for Correlation { between: [left, right], value } in entries {
        let place = "a correlation";
        let i = look_up(place, "factor or firm", left, drivers.iter().copied())?;
        let j = look_up(place, "factor or firm", right, drivers.iter().copied())?;
        let name = format!("correlation of `{left}` and `{right}`");
        check(&name, *value, |x| (-1.0..=1.0).contains(&x), "between -1 and 1", "give a correlation")?;
        if i == j || matrix[(i, j)] != 0.0 {
            return Err(Error::Portfolio {
                problem: format!("the {name} is given twice, or of one with itself"),
                way_out: "give each pair once".into(),
            });
        }
        matrix[(i, j)] = *value;
        matrix[(j, i)] = *value;
    }
    Ok(matrix)
}
