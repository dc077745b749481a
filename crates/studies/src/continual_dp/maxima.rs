//! (B) The running maximum.

use backstitch_claim::{Cell, CellContext, CellError};
use backstitch_numerics::Stream;
use backstitch_statistics::continual_dp::{MaxMechanism, MaxParameters, MaxSum, Row};

use super::{Configuration, key, maximum};

/// On a stream whose hot column drifts: every row has a 1 there and another at random.
pub(super) fn maxima(
    cell: &Cell,
    configuration: &Configuration,
    horizon: usize,
    columns: usize,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let interval = match cell.arm.as_str() {
        "every-row" => Some(1),
        "batch" => Some(horizon),
        _ => None,
    };
    let mechanism = if interval.is_some() { MaxMechanism::Recompute } else { MaxMechanism::Best };
    let parameters = MaxParameters { mechanism, interval, ..maximum(configuration.rho, columns, horizon) };
    let mut rows = Stream::new(cell.seed, "continual-dp study rows");
    let mut keys = Stream::new(cell.seed, &format!("continual-dp study keys {} {}", cell.arm, cell.setting));
    let (mut squares, mut answers) = (0.0, 0.0);
    let runs = if cell.arm == "batch" { configuration.batch_runs } else { configuration.maximum_runs };
    for _ in 0..runs {
        let mut release = MaxSum::new(parameters.clone(), key(&mut keys)).map_err(CellError::new)?;
        let mut sums = vec![0_u64; columns];
        let mut largest = 0;
        for time in 0..horizon {
            let hot = 4 * time / horizon % columns;
            let other = rows.below(columns);
            let ones = if hot == other { vec![hot] } else { vec![hot, other] };
            for &column in &ones {
                sums[column] += 1;
                largest = largest.max(sums[column]);
            }
            let answer = release.push(Row::Ones(&ones)).map_err(CellError::new)?;
            // What is released once, at the end, is judged there.
            if cell.arm != "batch" || time + 1 == horizon {
                squares += (answer.value - largest as f64).powi(2);
                answers += 1.0;
            }
        }
    }
    context.observe("log_error", 0.5 * (squares / answers).log2());
    Ok(())
}
