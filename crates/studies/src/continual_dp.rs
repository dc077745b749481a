//! The study of `continual-dp`: what privacy costs when every prefix is answered.
//!
//! Four questions. (A) Do the counters have the errors that their factorisations promise? (B) Does the running maximum cost the
//! cube root of the number of rows, where a running sum costs next to nothing? (C) Would a more accurate maximum, or the column
//! that has it, give the rows away? (D) Is the released noise as private as claimed? The last one cannot be answered by a test in general: it is an attack,
//! the best one there is for Gaussian noise, and a mechanism with half the noise must be caught by it.

mod audit;
mod claims;
mod counters;
mod maxima;
mod tracing;

use backstitch_claim::{Cell, CellContext, CellError, Scale, Study};
use backstitch_numerics::Stream;
use backstitch_statistics::continual_dp::{
    ContinualDp, Key, MaxMechanism, MaxParameters, Mechanism, Neighbours, Parameters, Privacy,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use audit::audit;
use claims::{ARMS, AUDIT, CLAIMS, COUNTERS, METRICS, NARROW, SELECTING, SELECTING_ONCE, TRACING, WIDE};
use counters::counters;
use maxima::maxima;
use tracing::{selecting, selecting_once, tracing};

const SEEDS: u64 = 5;

/// The study.
pub static STUDY: Study = Study {
    method: "continual-dp",
    history: &[
        "first version",
        "the lower bound for the column of the maximum: the reduction to many selections, its tracing attack, and one selection \
         beside it; the older claims and their numbers are as they were",
    ],
    arms: ARMS,
    metrics: METRICS,
    claims: CLAIMS,
    seeds: SEEDS,
    data: &[],
    configuration,
    cells,
    run,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// ρ of everything but the audit.
    rho: f64,
    short: usize,
    long: usize,
    /// Runs per cell at the short and at the long horizon.
    short_runs: usize,
    long_runs: usize,
    /// T of the first of the five lengths.
    first_length: usize,
    /// Runs per cell at every length: of the maximum, of the maximum released once, of the running sum.
    maximum_runs: usize,
    batch_runs: usize,
    sum_runs: usize,
    tracing_rows: usize,
    tracing_columns: usize,
    /// Groups of the reduction to selections, columns of one, and tables per cell where there is one group only.
    groups: usize,
    group_columns: usize,
    once_runs: usize,
    audit_horizon: usize,
    audit_runs: usize,
}

fn configuration(scale: Scale) -> Value {
    let quick = Configuration {
        rho: 0.5,
        short: 1 << 10,
        long: 1 << 16,
        short_runs: 2000,
        long_runs: 200,
        first_length: 1 << 8,
        maximum_runs: 1,
        batch_runs: 64,
        sum_runs: 64,
        tracing_rows: 50,
        tracing_columns: 4096,
        groups: 1024,
        group_columns: 32,
        once_runs: 64,
        audit_horizon: 64,
        audit_runs: 100_000,
    };
    json!(match scale {
        Scale::Smoke => Configuration {
            short: 64,
            long: 128,
            short_runs: 10,
            long_runs: 5,
            first_length: 4,
            batch_runs: 2,
            sum_runs: 2,
            tracing_rows: 10,
            tracing_columns: 32,
            groups: 8,
            group_columns: 4,
            once_runs: 2,
            audit_horizon: 8,
            audit_runs: 1000,
            ..quick
        },
        Scale::Quick => quick,
        Scale::Paper => Configuration { long_runs: 1000, maximum_runs: 10, audit_runs: 1_000_000, ..quick },
    })
}

fn cells(configuration: &Value, seeds: &[u64]) -> Result<Vec<Cell>, String> {
    let configuration = Configuration::deserialize(configuration).map_err(|error| error.to_string())?;
    let counts = [
        configuration.short,
        configuration.long,
        configuration.short_runs,
        configuration.long_runs,
        configuration.first_length,
        configuration.maximum_runs,
        configuration.batch_runs,
        configuration.sum_runs,
        configuration.tracing_rows,
        configuration.tracing_columns,
        configuration.groups,
        configuration.group_columns,
        configuration.once_runs,
        configuration.audit_horizon,
        configuration.audit_runs,
    ];
    if counts.contains(&0) {
        return Err("every size and number of runs must be at least 1".into());
    }
    counter(Mechanism::NormalisedSquareRoot, configuration.rho, configuration.short)
        .map_err(|e| e.to_string())?;
    let table: [(&[&str], &[&str]); 7] = [
        (COUNTERS, &["normalised", "tree", "honaker", "half-noise", "coarse", "fresh-noise"]),
        (WIDE, &["maximum", "every-row", "batch", "normalised", "fresh-noise"]),
        (NARROW, &["maximum", "every-row"]),
        (TRACING, &["maximum", "no-noise", "zero"]),
        (SELECTING, &["selection", "no-noise", "first-column"]),
        (SELECTING_ONCE, &["selection", "first-column"]),
        (AUDIT, &["normalised", "half-noise"]),
    ];
    let mut cells = Vec::new();
    for (settings, arms) in table {
        for setting in settings {
            for &seed in seeds {
                cells.extend(arms.iter().map(|arm| Cell::new(arm, setting, seed)));
            }
        }
    }
    Ok(cells)
}

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Configuration = context.configuration()?;
    let place = |settings: &[&str]| settings.iter().position(|setting| *setting == cell.setting);
    if let Some(place) = place(COUNTERS) {
        let (horizon, runs) = match place {
            0 => (configuration.short, configuration.short_runs),
            _ => (configuration.long, configuration.long_runs),
        };
        return counters(cell, &configuration, horizon, runs, context);
    }
    let length = |place: usize| configuration.first_length << (2 * place);
    if let Some(place) = place(WIDE) {
        let horizon = length(place);
        return match cell.arm.as_str() {
            "normalised" | "fresh-noise" => {
                counters(cell, &configuration, horizon, configuration.sum_runs, context)
            }
            _ => maxima(cell, &configuration, horizon, horizon, context),
        };
    }
    if let Some(place) = place(NARROW) {
        return maxima(cell, &configuration, length(place), 16, context);
    }
    match cell.setting.as_str() {
        "tracing" => tracing(cell, &configuration, context),
        "selecting" => selecting(cell, &configuration, context),
        "selecting-once" => selecting_once(cell, &configuration, context),
        _ => audit(cell, &configuration, context),
    }
}

/// A counter of ρ-zCDP over `horizon` rows.
fn counter(
    mechanism: Mechanism,
    rho: f64,
    horizon: usize,
) -> Result<ContinualDp, backstitch_statistics::Error> {
    let privacy = Privacy::Concentrated { rho };
    ContinualDp::new(Parameters { mechanism, privacy, horizon, ..Parameters::default() })
}

/// The running maximum of ρ-zCDP by the best predicted mechanism.
fn maximum(rho: f64, columns: usize, horizon: usize) -> MaxParameters {
    MaxParameters {
        columns,
        horizon,
        privacy: Privacy::Concentrated { rho },
        neighbours: Neighbours::Event,
        mechanism: MaxMechanism::Best,
        interval: None,
        select: false,
    }
}

fn key(stream: &mut Stream) -> Key {
    Key::from_seed((stream.below(1 << 31) as u64) << 31 | stream.below(1 << 31) as u64)
}
