//! The file that a portfolio and its market are written in, and its check.
//!
//! Names are looked up here and everything is checked here, so that what follows works with positions and cannot fail.

use backstitch_claim::shelf::nearest_of;
use backstitch_numerics::Matrix;
use serde::Deserialize;

use super::super::correlation::factor;
use super::{
    DAYS_OF_YEAR, Factor, FactorKind, Firm, MarginTerms, Market, NettingSet, Portfolio, Trade, TradeKind,
};
use crate::Error;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    market: MarketEntry,
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
struct MarketEntry {
    rate: f64,
    borrowing: Option<f64>,
    lending: Option<f64>,
    collateral_received: Option<f64>,
    collateral_posted: Option<f64>,
    margin_posted: Option<f64>,
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

/// What is taken for a period of margin where only its level is given, in days.
const MARGIN_DAYS: f64 = 10.0;
/// Rates beyond are per cent taken for shares.
const MOST_RATE: f64 = 10.0;
/// Most names that a message lists.
const LISTED: usize = 12;
/// The name that correlations call the bank by.
const BANK: &str = "bank";

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
        let market = file.market.resolve()?;
        for factor in &file.factor {
            factor.check()?;
        }
        let counterparties = file.counterparty.len();
        let mut firms = file.counterparty;
        let named = file.bank.as_ref().is_some_and(|bank| !["", BANK].contains(&bank.name.as_str()));
        if named || firms.iter().any(|firm| firm.name == BANK) {
            return Err(Error::Portfolio {
                problem: "the name `bank` is that of the bank and its only one".into(),
                way_out: "leave out the name in [bank], and give counterparties others".into(),
            });
        }
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
}

impl MarketEntry {
    fn resolve(&self) -> Result<Market, Error> {
        let check_rate = |name: &str, value: f64| {
            let allowed = |x: f64| x.abs() <= MOST_RATE;
            check(name, value, allowed, "between -10 and 10", "give it per year, as in 0.02").map(|()| value)
        };
        let rate = check_rate("market rate", self.rate)?;
        let or_rate = |name: &str, value: Option<f64>| check_rate(name, value.unwrap_or(rate));
        Ok(Market {
            rate,
            borrowing: or_rate("market borrowing", self.borrowing)?,
            lending: or_rate("market lending", self.lending)?,
            collateral_received: or_rate("market collateral_received", self.collateral_received)?,
            collateral_posted: or_rate("market collateral_posted", self.collateral_posted)?,
            margin_posted: or_rate("market margin_posted", self.margin_posted)?,
        })
    }
}

impl Factor {
    fn check(&self) -> Result<(), Error> {
        let name = |what: &str| format!("{what} of factor `{}`", self.name);
        check(&name("mean"), self.mean, f64::is_finite, "finite", "give the level that it returns to")?;
        let moderate = |x: f64| x.abs() <= MOST_RATE;
        check(&name("yield"), self.income, moderate, "between -10 and 10", "give it per year, as in 0.01")?;
        match self.kind {
            FactorKind::Gbm => {
                check_volatility(&name("volatility"), self.volatility)?;
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
                let way_out = "give it per year, in the units of the factor";
                check(&name("volatility"), self.volatility, positive, "above 0", way_out)?;
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
        check_volatility(&name("volatility"), self.volatility)?;
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

/// Of what moves by shares: beyond the bound, almost every path ends at nothing within a day.
fn check_volatility(name: &str, value: f64) -> Result<(), Error> {
    let allowed = |x: f64| x > 0.0 && x <= MOST_RATE;
    check(name, value, allowed, "above 0 and at most 10", "give it per year, as in 0.25")
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
    let mut given = std::collections::HashSet::new();
    for Correlation { between: [left, right], value } in entries {
        let place = "a correlation";
        let i = look_up(place, "factor or firm", left, drivers.iter().copied())?;
        let j = look_up(place, "factor or firm", right, drivers.iter().copied())?;
        let name = format!("correlation of `{left}` and `{right}`");
        check(&name, *value, |x| (-1.0..=1.0).contains(&x), "between -1 and 1", "give a correlation")?;
        if i == j || !given.insert((i.min(j), i.max(j))) {
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
