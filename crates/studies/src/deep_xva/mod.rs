//! The study of `deep-xva`: do the layers find what closed formulas say?
//!
//! Every reference is exact or brute force with exact clean values, and the method learns all clean values itself: with closed ones its first
//! layer would be given. What is judged is what networks have learned (Y₀ at the end of the training) wherever reported numbers, which
//! are plain Monte Carlo with a control variate, would be right whatever was learned.
//!
//! The card's case: S₀ = K = 100, r = 0.02, σ = 0.25, T = 1; A₀ = 1, D = 0.7, s = 0.3, R = 0.4. No arm has anything to tune.

mod claims;

use std::fmt::Write;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_numerics::Stream;
use backstitch_science::deep_xva::closed_form::{
    call_cva, default_probability, forward_fva, margin_of_long_asset,
};
use backstitch_science::deep_xva::simulation::Monitoring;
use backstitch_science::deep_xva::{
    DeepXva, Method, Parameters, Portfolio, SetValuation, Training, Valuation,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use claims::{ARMS, CLAIMS, CORRELATED, DATES, FUNDING, MARGIN, METRICS, PORTFOLIO, RARE};

/// The study.
pub static STUDY: Study = Study {
    method: "deep-xva",
    history: &["first version"],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: 8,
    data: &[],
    configuration,
    cells,
    run,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Steps of Adam, and paths of each.
    iterations: usize,
    batch: usize,
    learning_rate: f64,
    hidden: Vec<usize>,
    /// Even steps of the grids of networks.
    steps: usize,
    /// Paths of valuations.
    paths: usize,
    /// Paths on which the bias of dates is measured.
    dates_paths: usize,
    /// Paths of the brute force that the portfolio is held to.
    reference_paths: usize,
    /// Assets of the portfolio.
    assets: usize,
}

fn configuration(scale: Scale) -> Value {
    let quick = Configuration {
        iterations: 400,
        batch: 128,
        learning_rate: 1e-2,
        hidden: vec![32, 32],
        steps: 25,
        paths: 10_240,
        dates_paths: 102_400,
        reference_paths: 204_800,
        assets: 10,
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            iterations: 4,
            batch: 32,
            steps: 6,
            paths: 512,
            dates_paths: 2_048,
            reference_paths: 2_048,
            assets: 3,
            ..quick
        },
        Scale::Quick => quick,
        Scale::Paper => Configuration {
            iterations: 4_000,
            batch: 512,
            steps: 100,
            paths: 102_400,
            dates_paths: 1_024_000,
            reference_paths: 1_024_000,
            ..quick
        },
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    DeepXva::new(parameters(&configuration, 0)).map_err(|error| error.to_string())?;
    let mut cells = Vec::new();
    for &seed in seeds {
        let mut add = |arms: &[&str], settings: &[&str]| {
            for setting in settings {
                cells.extend(arms.iter().map(|arm| Cell::new(arm, setting, seed)));
            }
        };
        add(&["deep", "untrained"], &[FUNDING]);
        add(&["deep", "deep-dates"], CORRELATED);
        add(&["deep", "deep-untilted", "untilted-half", "untrained"], &[RARE]);
        add(&["dates", "fixed-barrier", "linear-barrier"], DATES);
        add(&["deep", "normal-margin", "lower-level"], &[MARGIN]);
        add(&["deep", "untrained"], &[PORTFOLIO]);
    }
    Ok(cells)
}

fn parameters(configuration: &Configuration, seed: u64) -> Parameters {
    Parameters {
        paths: configuration.paths,
        regression_paths: configuration.paths,
        steps: configuration.steps,
        training: Training {
            hidden: configuration.hidden.clone(),
            iterations: configuration.iterations,
            batch: configuration.batch,
            learning_rate: configuration.learning_rate,
        },
        formulas: false,
        learn_tilted: true,
        seed,
        ..Parameters::default()
    }
}

const RATE: f64 = 0.02;
const VOLATILITY: f64 = 0.25;
const FIRM_VOLATILITY: f64 = 0.3;
const BARRIER: f64 = 0.7;
const RARE_BARRIER: f64 = 0.4;
const RECOVERY: f64 = 0.4;
const FUNDING_RATE: f64 = 0.04;
const LEVEL: f64 = 0.99;
const LOWER_LEVEL: f64 = 0.98;
const MARGIN_PERIOD: f64 = 10.0 / 252.0;
/// Start, strike, rate, volatility, maturity.
const CALL: (f64, f64, f64, f64, f64) = (100.0, 100.0, RATE, VOLATILITY, 1.0);

/// One trade with one counterparty.
fn one_trade(
    market: &str,
    barrier: f64,
    correlation: f64,
    terms: &str,
    kind: &str,
) -> Result<Portfolio, CellError> {
    let text = format!(
        "[market]\nrate = {RATE}\n{market}\n[[factor]]\nname = \"stock\"\nstart = 100.0\nvolatility = {VOLATILITY}\n\
         [[counterparty]]\nname = \"firm\"\nassets = 1.0\nbarrier = {barrier:e}\nvolatility = {FIRM_VOLATILITY}\nrecovery = {RECOVERY}\n\
         [[correlation]]\nbetween = [\"stock\", \"firm\"]\nvalue = {correlation:.2}\n\
         [[netting_set]]\nname = \"set\"\ncounterparty = \"firm\"\n{terms}\n\
         [[trade]]\nname = \"trade\"\nnetting_set = \"set\"\nkind = \"{kind}\"\nfactors = [\"stock\"]\nstrike = 100.0\nmaturity = 1.0\n"
    );
    Portfolio::from_toml(&text).map_err(CellError::new)
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    let mut parameters = parameters(&configuration, cell.seed);
    match cell.arm.as_str() {
        "untrained" => parameters.training.iterations = 1,
        "deep-dates" => parameters.monitoring = Monitoring::Dates,
        "deep-untilted" => parameters.tilt_below = 0.0,
        "untilted-half" => {
            parameters.tilt_below = 0.0;
            parameters.training.iterations = configuration.iterations.div_ceil(2);
        }
        "normal-margin" => parameters.method = Method::LeastSquares,
        _ => {}
    }
    let setting = cell.setting.as_str();
    // So far from default that nobody defaults.
    const SAFE: f64 = 1e-9;
    match setting {
        FUNDING => {
            let market = format!("borrowing = {FUNDING_RATE}\nlending = {FUNDING_RATE}");
            let set = only_set(parameters, &one_trade(&market, SAFE, 0.0, "", "forward")?)?;
            let exact = forward_fva(100.0, 100.0, RATE, FUNDING_RATE, 1.0);
            context.observe("fva_error", (learned(&set, 4)? - exact).abs());
        }
        MARGIN => {
            let level = if cell.arm == "lower-level" { LOWER_LEVEL } else { LEVEL };
            let terms = format!("margin_level = {level}\nmargin_days = 10");
            let set = only_set(parameters, &one_trade("", SAFE, 0.0, &terms, "forward")?)?;
            observe_margin(&set, configuration.steps, context)?;
        }
        RARE => {
            let set = only_set(parameters, &one_trade("", RARE_BARRIER, 0.0, "", "call")?)?;
            let exact = call_cva(CALL, (1.0, RARE_BARRIER, FIRM_VOLATILITY), RECOVERY, 0.0);
            let error = relative(learned(&set, 0)?, exact);
            let reported = set.values.adjustments[0].ok_or_else(|| CellError::new("there is no CVA"))?;
            context.observe("reported_error", relative(reported.mean, exact));
            // Below a part in a million nothing is measured.
            context.observe("log_cva_error", error.max(1e-6).ln());
            context.observe("default_probability", set.values.default_probability);
        }
        PORTFOLIO => observe_portfolio(&configuration, parameters, cell.seed, context)?,
        _ if DATES.contains(&setting) => observe_dates(&configuration, cell, context)?,
        _ => {
            let correlation = match CORRELATED.iter().position(|&name| name == setting) {
                Some(0) => -0.5,
                Some(1) => 0.0,
                Some(2) => 0.5,
                _ => return Err(CellError::new(format!("no setting `{setting}`"))),
            };
            let set = only_set(parameters, &one_trade("", BARRIER, correlation, "", "call")?)?;
            let exact = call_cva(CALL, (1.0, BARRIER, FIRM_VOLATILITY), RECOVERY, correlation);
            context.observe("cva_error", relative(learned(&set, 0)?, exact));
        }
    }
    Ok(())
}

fn value(parameters: Parameters, portfolio: &Portfolio) -> Result<Valuation, CellError> {
    DeepXva::new(parameters).and_then(|method| method.value(portfolio)).map_err(CellError::new)
}

fn only_set(parameters: Parameters, portfolio: &Portfolio) -> Result<SetValuation, CellError> {
    Ok(value(parameters, portfolio)?.sets.swap_remove(0))
}

fn learned(set: &SetValuation, adjustment: usize) -> Result<f64, CellError> {
    set.learned[adjustment].map(|learned| learned.value).ok_or_else(|| CellError::new("nothing was learned"))
}

fn relative(found: f64, exact: f64) -> f64 {
    (found / exact - 1.0).abs()
}

/// Margin of a long forward: against a fall of the stock, and of what the discounted strike gains meanwhile.
fn observe_margin(set: &SetValuation, steps: usize, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let unit = margin_of_long_asset(RATE, VOLATILITY, MARGIN_PERIOD, LEVEL);
    // Dates whose period does not reach beyond the maturity; the first has a single state.
    let whole = (1..steps).take_while(|&date| date as f64 / steps as f64 + MARGIN_PERIOD <= 1.0);
    let error = |date: usize| {
        let time = date as f64 / steps as f64;
        let strike = 100.0 * (-RATE * (1.0 - time)).exp();
        let exact = 100.0 * (RATE * time).exp() * unit + strike * (RATE * MARGIN_PERIOD).exp_m1();
        relative(set.profile.posted[date], exact)
    };
    let errors: Vec<f64> = whole.map(error).collect();
    context.observe("margin_error", errors.iter().sum::<f64>() / errors.len() as f64);
    let shares = set.exceeded.ok_or_else(|| CellError::new("no margin was learned"))?;
    context.observe(
        "exceedance_error",
        shares.map(|share| (share - (1.0 - LEVEL)).abs()).into_iter().fold(0.0, f64::max),
    );
    Ok(())
}

/// How much CVA is missing when defaults are noticed at dates, or when the barrier is lower.
fn observe_dates(
    configuration: &Configuration,
    cell: &Cell,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let steps: usize = cell.setting.trim_start_matches("dates-").parse().map_err(CellError::new)?;
    let exact = call_cva(CALL, (1.0, BARRIER, FIRM_VOLATILITY), RECOVERY, 0.0);
    // Of the size of the bias at 40 steps.
    let lower = match cell.arm.as_str() {
        "fixed-barrier" => 0.03,
        "linear-barrier" => 0.03 * 40.0 / steps as f64,
        _ => 0.0,
    };
    let found = if lower > 0.0 {
        call_cva(CALL, (1.0, BARRIER * (1.0 - lower), FIRM_VOLATILITY), RECOVERY, 0.0)
    } else {
        let parameters = Parameters {
            method: Method::Nested,
            formulas: true,
            monitoring: Monitoring::Dates,
            paths: configuration.dates_paths,
            steps,
            seed: cell.seed,
            ..Parameters::default()
        };
        let set = only_set(parameters, &one_trade("", BARRIER, 0.0, "", "call")?)?;
        set.values.adjustments[0].map_or(f64::NAN, |estimate| estimate.mean)
    };
    // Noise can hide the bias of few paths; it cannot make it negative in the logarithm.
    context.observe("log_bias", (exact - found).max(1e-9 * exact).ln());
    Ok(())
}

/// Calls, puts and forwards on some assets with three counterparties, drawn per seed, beside brute force with closed clean values.
fn observe_portfolio(
    configuration: &Configuration,
    parameters: Parameters,
    seed: u64,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let mut stream = Stream::new(seed, "deep-xva study portfolio");
    let mut text = format!("[market]\nrate = {RATE}\n");
    let mut correlations = String::new();
    // Writing to a String cannot fail.
    for asset in 0..configuration.assets {
        let volatility = 0.15 + 0.2 * stream.uniform();
        let _ =
            write!(text, "[[factor]]\nname = \"a{asset}\"\nstart = 100.0\nvolatility = {volatility:.4}\n");
        for other in 0..asset {
            let _ = write!(
                correlations,
                "[[correlation]]\nbetween = [\"a{other}\", \"a{asset}\"]\nvalue = 0.3\n"
            );
        }
    }
    for firm in 0..3 {
        let barrier = 0.55 + 0.15 * stream.uniform();
        let _ = write!(
            text,
            "[[counterparty]]\nname = \"c{firm}\"\nassets = 1.0\nbarrier = {barrier:.4}\nvolatility = {FIRM_VOLATILITY}\nrecovery = {RECOVERY}\n\
             [[netting_set]]\nname = \"n{firm}\"\ncounterparty = \"c{firm}\"\n"
        );
        for asset in 0..configuration.assets {
            let kind = ["call", "put", "forward"][stream.below(3)];
            let strike = 90.0 + 20.0 * stream.uniform();
            let _ = write!(
                text,
                "[[trade]]\nname = \"t{firm}-{asset}\"\nnetting_set = \"n{firm}\"\nkind = \"{kind}\"\nfactors = [\"a{asset}\"]\n\
                 strike = {strike:.3}\nmaturity = 1.0\n"
            );
        }
    }
    let portfolio = Portfolio::from_toml(&(text + &correlations)).map_err(CellError::new)?;
    let brute = Parameters {
        method: Method::Nested,
        formulas: true,
        paths: configuration.reference_paths,
        seed: seed.wrapping_add(1 << 32),
        ..parameters.clone()
    };
    let (found, exact) = (value(parameters, &portfolio)?, value(brute, &portfolio)?);
    let pairs = found.counterparties.iter().zip(&exact.counterparties);
    let errors: Vec<f64> = pairs
        .filter_map(|(found, exact)| Some(relative(found.adjustments[0]?.mean, exact.adjustments[0]?.mean)))
        .collect();
    context.observe("reported_error", errors.iter().sum::<f64>() / errors.len().max(1) as f64);
    // Exact default probabilities, so that the portfolio is known not to be a trivial one.
    let probability = |barrier: f64| default_probability(1.0, barrier, RATE, FIRM_VOLATILITY, 1.0);
    let mean = portfolio.firms.iter().map(|firm| probability(firm.barrier)).sum::<f64>() / 3.0;
    context.observe("default_probability", mean);
    Ok(())
}
