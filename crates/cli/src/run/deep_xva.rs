//! `backstitch run deep-xva`: a portfolio in, its valuation adjustments out.

use std::fmt::Write;
use std::path::PathBuf;

use backstitch_science::deep_xva::drawing::draw;
use backstitch_science::deep_xva::simulation::Monitoring;
use backstitch_science::deep_xva::{
    ADJUSTMENTS, DeepXva, EXAMPLE, Estimate, Learned, Method, Parameters, Portfolio, SetValuation, Training,
    Valuation, Values,
};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::output::{quoted, write_all};
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Prints, per counterparty and netting set, the clean value and its adjustments with standard errors, and sensitivities. With --out, the
/// folder gets summary.json, adjustments.csv, profiles.csv, sensitivities.csv and one picture of the exposures per netting set.
#[derive(Args, Debug)]
#[command(
    after_help = "Reading the result: all numbers are seen from the bank, in the currency of the portfolio. CVA, ColVA, MVA and FVA are costs \
(ColVA, MVA and FVA can be negative), DVA is a benefit; the adjusted value is the clean value less the total, which is CVA - DVA + ColVA \
+ MVA + FVA. Standard errors are over paths; a derivative with `?` is nearer to 0 than two of them. `explained` says how much of the variance the \
learned hedge takes away: near 1 the network fits, near 0 the number is plain Monte Carlo with its error.

Examples:
  backstitch run deep-xva --example > portfolio.toml
  backstitch run deep-xva portfolio.toml --out xva
  backstitch run deep-xva portfolio.toml --method lsmc --paths 100000
  backstitch run deep-xva portfolio.toml --method nested --paths 2000 --inner 500 --json"
)]
pub(crate) struct DeepXvaArguments {
    /// The portfolio with its market, in TOML
    #[arg(value_name = "PORTFOLIO", required_unless_present = "example")]
    portfolio: Option<PathBuf>,
    /// Print a portfolio that shows all there is, and stop
    #[arg(long, conflicts_with_all = ["portfolio", "out"])]
    example: bool,
    /// How values along the paths are had
    #[arg(long, value_enum, default_value_t = MethodName::Deep)]
    method: MethodName,
    /// Paths of the valuation
    #[arg(long, value_name = "N", default_value_t = Parameters::default().paths)]
    paths: usize,
    /// Even steps to the last maturity; maturities are dates too
    #[arg(long, value_name = "N", default_value_t = Parameters::default().steps)]
    steps: usize,
    /// Training steps of each network
    #[arg(long, value_name = "N", default_value_t = Training::default().iterations)]
    iterations: usize,
    /// Inner paths of --method nested
    #[arg(long, value_name = "N", default_value_t = Parameters::default().inner_paths)]
    inner: usize,
    /// How defaults between dates are noticed
    #[arg(long, value_enum, default_value_t = MonitoringName::Bridge)]
    monitoring: MonitoringName,
    /// Learn all clean values, also those that closed formulas give
    #[arg(long)]
    learn_all: bool,
    /// Never change the measure, however rare a default is
    #[arg(long)]
    no_tilt: bool,
    /// Folder for the results; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MethodName {
    /// Backward equations as networks, layer upon layer (the paper's)
    Deep,
    /// Least-squares Monte Carlo: polynomials, date by date
    Lsmc,
    /// Inner simulations; no MVA or FVA, and no netting set with margin
    Nested,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MonitoringName {
    /// Brownian bridges: no bias
    Bridge,
    /// At dates, against a barrier moved by 0.5826 standard deviations of a step
    Shifted,
    /// At dates only: too few defaults
    Dates,
}

pub(crate) fn execute(arguments: &DeepXvaArguments, common: &Common) -> Result<i32, Failure> {
    let Some(file) = arguments.portfolio.as_deref().filter(|_| !arguments.example) else {
        terminal::print(EXAMPLE)?;
        return Ok(EXIT_DONE);
    };
    let parameters = Parameters {
        method: match arguments.method {
            MethodName::Deep => Method::Deep,
            MethodName::Lsmc => Method::LeastSquares,
            MethodName::Nested => Method::Nested,
        },
        paths: arguments.paths,
        steps: arguments.steps,
        regression_paths: arguments.paths.max(Parameters::default().regression_paths),
        inner_paths: arguments.inner,
        training: Training { iterations: arguments.iterations, ..Training::default() },
        formulas: !arguments.learn_all,
        monitoring: match arguments.monitoring {
            MonitoringName::Bridge => Monitoring::Bridge,
            MonitoringName::Shifted => Monitoring::Shifted,
            MonitoringName::Dates => Monitoring::Dates,
        },
        tilt_below: if arguments.no_tilt { 0.0 } else { Parameters::default().tilt_below },
        seed: common.seed,
        ..Parameters::default()
    };
    let method = DeepXva::new(parameters).map_err(Failure::input)?;
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::input(format!("{shown} cannot be read: {error}"))
            .hint("`backstitch run deep-xva --example > portfolio.toml` writes one to begin with")
    })?;
    let portfolio =
        Portfolio::from_toml(&text).map_err(|error| Failure::input(format!("{shown}: {error}")))?;
    let valuation = method.value(&portfolio).map_err(|error| Failure::input(format!("{shown}: {error}")))?;
    let mut totals = valuation.sets.iter().flat_map(|set| [set.values.total, set.values.clean]);
    if let Some(wrong) = totals.find(|found| !(found.mean.is_finite() && found.standard_error.is_finite())) {
        return Err(Failure::input(format!("{shown}: values are not finite (one is {})", wrong.mean)).hint(
            "rates, volatilities and maturities are so large that numbers overflow; give them per year",
        ));
    }
    let summary = summary(arguments, &valuation);
    if let Some(folder) = &arguments.out {
        let text = serde_json::to_string_pretty(&summary).map_err(Failure::internal)? + "\n";
        let mut files = vec![
            ("summary.json".to_owned(), text),
            ("adjustments.csv".to_owned(), adjustments_csv(&valuation)),
            ("profiles.csv".to_owned(), profiles_csv(&valuation)),
            ("sensitivities.csv".to_owned(), sensitivities_csv(&valuation)),
        ];
        for (index, set) in valuation.sets.iter().enumerate() {
            files.push((format!("profile-{}.svg", index + 1), draw(&valuation.times, &set.profile)));
        }
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        write_all(folder, &files)?;
    }
    if common.json {
        terminal::print_json(&summary)?;
    } else {
        terminal::print(&words(&valuation))?;
    }
    if let Some(folder) = &arguments.out {
        terminal::say(format_args!("written: {}", folder.display()));
    }
    Ok(EXIT_DONE)
}

/// Writing to a String cannot fail, here and below.
fn words(valuation: &Valuation) -> String {
    let mut text = String::new();
    let _ = write!(text, "{:<24}  {:>8}  {:>22}", "counterparty", "P(def.)", "clean value");
    for name in ADJUSTMENTS {
        let _ = write!(text, "  {name:>20}");
    }
    let _ = writeln!(text, "  {:>20}", "total");
    let mut row = |name: String, values: &Values| {
        let _ =
            write!(text, "{name:<24}  {:>8.5}  {:>22}", values.default_probability, cell(Some(values.clean)));
        for adjustment in values.adjustments {
            let _ = write!(text, "  {:>20}", cell(adjustment));
        }
        let _ = writeln!(text, "  {:>20}", cell(Some(values.total)));
    };
    for (position, counterparty) in valuation.counterparties.iter().enumerate() {
        row(counterparty.name.clone(), counterparty);
        for set in valuation.sets.iter().filter(|set| set.counterparty == position) {
            row(format!("  {}", set.values.name), &set.values);
        }
    }
    text.push_str("Standard errors in parentheses. Adjusted value = clean value - total.\n");
    if valuation.sets.iter().flat_map(|set| set.values.adjustments).any(|adjustment| adjustment.is_none()) {
        text.push_str("-: not valued by this method, and not in the total.\n");
    }
    for set in &valuation.sets {
        let _ = write!(text, "\n{}\n{:<24}  {:>20}", set.values.name, "derivative in", "clean value");
        for name in ADJUSTMENTS {
            let _ = write!(text, "  {name:>20}");
        }
        text.push('\n');
        for sensitivity in &set.sensitivities {
            let _ = write!(text, "{:<24}  {:>20}", sensitivity.driver, derivative(sensitivity.clean));
            for found in sensitivity.adjustments {
                let _ = write!(text, "  {:>20}", derivative(found));
            }
            text.push('\n');
        }
        if learned(set).any(|learned| learned.is_some()) {
            let mut row = |name: &str, of: fn(&Learned) -> f64| {
                let _ = write!(text, "{name:<24}");
                for learned in learned(set) {
                    let number = learned.map_or("-".into(), |learned| format!("{:.5}", of(&learned)));
                    let _ = write!(text, "  {number:>20}");
                }
                text.push('\n');
            };
            row("explained", |learned| learned.explained);
            row("mismatch", |learned| learned.mismatch);
        }
        if let Some([received, posted]) = set.exceeded {
            let _ = writeln!(
                text,
                "moves beyond the margin received: {:.2} %, beyond the margin posted: {:.2} %",
                100.0 * received,
                100.0 * posted
            );
        }
    }
    let sensitivities = valuation.sets.iter().flat_map(|set| &set.sensitivities);
    let mut derivatives = sensitivities.flat_map(|of| of.adjustments.into_iter().chain([of.clean])).flatten();
    if derivatives.any(|found| !found.is_clear()) {
        text.push_str(
            "\n?: nearer to 0 than two standard errors; more paths or more training tell its sign.\n",
        );
    }
    if valuation.sets.iter().flat_map(learned).any(|learned| learned.is_some()) {
        text.push_str(MISMATCH);
    }
    text
}

/// Of the clean value, then of the adjustments.
fn learned(set: &SetValuation) -> impl Iterator<Item = Option<Learned>> + '_ {
    std::iter::once(set.learned_clean).chain(set.learned)
}

/// What the a posteriori error is about.
const MISMATCH: &str = "mismatch: a posteriori, the root mean square of what the learned hedge leaves on a path of the valuation. It bounds the root \
mean square error of the hedge, summed over dates, and that of the value rolled forward with it. Numbers above do not rest on it: \
it only sets their standard errors.\n";

fn cell(estimate: Option<Estimate>) -> String {
    estimate.map_or("-".into(), |estimate| match estimate {
        Estimate { mean: 0.0, standard_error: 0.0 } => "0".into(),
        Estimate { mean, standard_error: 0.0 } => format!("{mean:.5}"),
        Estimate { mean, standard_error } => format!("{mean:.5} ({standard_error:.5})"),
    })
}

/// With a mark where the sign is not told.
fn derivative(estimate: Option<Estimate>) -> String {
    let mark = if estimate.is_some_and(|estimate| !estimate.is_clear()) { " ?" } else { "" };
    cell(estimate) + mark
}

fn adjustments_csv(valuation: &Valuation) -> String {
    let mut text = "level,name,quantity,value,standard_error\n".to_owned();
    let sets = valuation.sets.iter().map(|set| ("netting set", &set.values));
    let counterparties = valuation.counterparties.iter().map(|values| ("counterparty", values));
    for (level, values) in counterparties.chain(sets) {
        let name = quoted(&values.name);
        let mut line = |quantity: &str, estimate: Estimate| {
            let _ = writeln!(text, "{level},{name},{quantity},{},{}", estimate.mean, estimate.standard_error);
        };
        line("clean", values.clean);
        for (quantity, estimate) in ADJUSTMENTS.into_iter().zip(values.adjustments) {
            if let Some(estimate) = estimate {
                line(quantity, estimate);
            }
        }
        line("total", values.total);
    }
    text
}

fn profiles_csv(valuation: &Valuation) -> String {
    let mut text = "netting_set,years,positive,negative,unsecured,margin_received,margin_posted\n".to_owned();
    for set in &valuation.sets {
        let (name, profile) = (quoted(&set.values.name), &set.profile);
        for (date, time) in valuation.times.iter().enumerate() {
            let (positive, negative) = (profile.positive[date], profile.negative[date]);
            let (unsecured, received, posted) =
                (profile.unsecured[date], profile.received[date], profile.posted[date]);
            let _ = writeln!(text, "{name},{time},{positive},{negative},{unsecured},{received},{posted}");
        }
    }
    text
}

fn sensitivities_csv(valuation: &Valuation) -> String {
    let mut text = "netting_set,driver,quantity,derivative,standard_error\n".to_owned();
    for set in &valuation.sets {
        for sensitivity in &set.sensitivities {
            let quantities = std::iter::once(("clean", sensitivity.clean))
                .chain(ADJUSTMENTS.into_iter().zip(sensitivity.adjustments));
            for (quantity, derivative) in quantities {
                if let Some(Estimate { mean, standard_error }) = derivative {
                    let (set, driver) = (quoted(&set.values.name), quoted(&sensitivity.driver));
                    let _ = writeln!(text, "{set},{driver},{quantity},{mean},{standard_error}");
                }
            }
        }
    }
    text
}

fn summary(arguments: &DeepXvaArguments, valuation: &Valuation) -> Value {
    let number =
        |estimate: Estimate| json!({"value": estimate.mean, "standard_error": estimate.standard_error});
    let values = |values: &Values| {
        let mut entry = json!({
            "name": values.name,
            "default_probability": values.default_probability,
            "clean": number(values.clean),
            "total": number(values.total),
        });
        for (name, estimate) in ADJUSTMENTS.into_iter().zip(values.adjustments) {
            entry[name.to_lowercase()] = json!(estimate.map(number));
        }
        entry
    };
    let sets = valuation.sets.iter().map(|set| {
        let mut entry = values(&set.values);
        entry["counterparty"] = json!(valuation.counterparties[set.counterparty].name);
        entry["profile"] = json!({
            "positive": set.profile.positive,
            "negative": set.profile.negative,
            "unsecured": set.profile.unsecured,
            "margin_received": set.profile.received,
            "margin_posted": set.profile.posted,
        });
        entry["margin_exceeded"] = json!(set.exceeded);
        entry["sensitivities"] = set
            .sensitivities
            .iter()
            .map(|sensitivity| {
                let mut entry = json!({"driver": sensitivity.driver, "clean": sensitivity.clean.map(number)});
                for (name, derivative) in ADJUSTMENTS.into_iter().zip(sensitivity.adjustments) {
                    entry[name.to_lowercase()] = json!(derivative.map(number));
                }
                entry
            })
            .collect();
        entry["learned"] = std::iter::once("clean")
            .chain(ADJUSTMENTS)
            .zip(learned(set))
            .filter_map(|(name, learned)| {
                let learned = learned?;
                let (value, mismatch, explained) = (learned.value, learned.mismatch, learned.explained);
                Some((
                    name.to_lowercase(),
                    json!({"value": value, "mismatch": mismatch, "explained": explained}),
                ))
            })
            .collect();
        entry
    });
    json!({
        "schema": "backstitch/deep-xva/1",
        "portfolio": arguments.portfolio.as_ref().map(|file| file.to_string_lossy()),
        "method": arguments.method.to_possible_value().map(|value| value.get_name().to_owned()),
        "paths": arguments.paths,
        "steps": arguments.steps,
        "times": valuation.times,
        "counterparties": valuation.counterparties.iter().map(values).collect::<Vec<_>>(),
        "netting_sets": sets.collect::<Vec<_>>(),
    })
}
