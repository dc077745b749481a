//! (A) Error factors, and the error over many runs.

use backstitch_claim::{Cell, CellContext, CellError};
use backstitch_numerics::Stream;
use backstitch_statistics::continual_dp::{
    Exponentials, Mechanism, honaker_error, normalised_square_root_error, tree_error,
};

use super::{Configuration, counter, key};

/// On a stream of coin tosses.
pub(super) fn counters(
    cell: &Cell,
    configuration: &Configuration,
    horizon: usize,
    runs: usize,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let rho = configuration.rho;
    let spacing = if cell.arm == "coarse" { 8.0 } else { 2.0 };
    let exponentials = || Exponentials::square_root(horizon, spacing).error(horizon, true);
    let (mechanism, factor) = match cell.arm.as_str() {
        "tree" => (Mechanism::Tree, tree_error(horizon)),
        "honaker" => (Mechanism::Honaker, honaker_error(horizon)),
        _ => (Mechanism::NormalisedSquareRoot, exponentials()),
    };
    context.observe("factor", factor.max);
    if matches!(cell.arm.as_str(), "normalised" | "coarse") && horizon <= 1 << 12 {
        context.observe("excess", factor.max / normalised_square_root_error(horizon).max - 1.0);
    }
    if cell.arm == "coarse" {
        // The exponentials alone are sabotaged; its counter would be another release of the same noise.
        return Ok(());
    }
    let deviation = (0.5 / rho).sqrt();
    let spent = if cell.arm == "half-noise" { 4.0 * rho } else { rho };
    let method = counter(mechanism, spent, horizon).map_err(CellError::new)?;
    // Runs share neither noise nor data; arms of a seed share the data.
    let mut coins = Stream::new(cell.seed, "continual-dp study rows");
    let mut keys = Stream::new(cell.seed, &format!("continual-dp study keys {} {}", cell.arm, cell.setting));
    let mut squares = 0.0;
    for _ in 0..runs {
        let mut release = method.start(key(&mut keys));
        let mut truth = 0.0;
        for _ in 0..horizon {
            let event = f64::from(u8::from(coins.below(2) == 1));
            truth += event;
            let error = if cell.arm == "fresh-noise" {
                // One Gaussian query of T numbers, each of which a row may move by 1.
                deviation * (horizon as f64).sqrt() * keys.normal()
            } else {
                release.push(&[event]).map_err(CellError::new)?.values[0] - truth
            };
            squares += error * error;
        }
    }
    let rmse = (squares / (runs * horizon) as f64).sqrt();
    context.observe("rmse", rmse);
    context.observe("growth", rmse.log2());
    context.observe("miss", (rmse / (deviation * factor.mean) - 1.0).abs());
    Ok(())
}
