//! (D) An audit of the noise.

use backstitch_claim::{Cell, CellContext, CellError};
use backstitch_numerics::{Stream, interval};
use backstitch_statistics::continual_dp::{Answer, ContinualDp, Exponentials, Parameters, Privacy, Release};

use super::claims::{AUDITED_DELTA, AUDITED_EPSILON};
use super::{Configuration, key};

/// Two streams that differ in the first row, told apart by the likelihood ratio of what was released.
pub(super) fn audit(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let (horizon, runs) = (configuration.audit_horizon, configuration.audit_runs);
    let parameters = Parameters {
        privacy: Privacy::Approximate { epsilon: AUDITED_EPSILON, delta: AUDITED_DELTA },
        horizon,
        ..Parameters::default()
    };
    let claimed = ContinualDp::new(parameters.clone()).map_err(CellError::new)?;
    let deviation = claimed.plan().deviation * if cell.arm == "half-noise" { 0.5 } else { 1.0 };
    let used = match cell.arm.as_str() {
        "half-noise" => {
            // σ is 1/√(2ρ) per unit of sensitivity, so four times the ρ is half the noise.
            let privacy = Privacy::Concentrated { rho: 4.0 * claimed.plan().rho };
            ContinualDp::new(Parameters { privacy, ..parameters }).map_err(CellError::new)?
        }
        _ => claimed,
    };
    let attack = Attack::new(horizon);
    // Set before any draw: 2.75 nominal deviations of the null.
    let threshold = 2.75 * deviation;
    let mut keys = Stream::new(cell.seed, &format!("continual-dp study keys {} audit", cell.arm));
    let mut count = |first: f64| -> Result<u64, CellError> {
        let mut exceeding = 0;
        for _ in 0..runs {
            let mut release = used.start(key(&mut keys));
            exceeding += u64::from(attack.score(&mut release, first).map_err(CellError::new)? > threshold);
        }
        Ok(exceeding)
    };
    let (without, with) = (count(0.0)?, count(1.0)?);
    let interval = |count| interval::proportion_exact(count, runs as u64).map_err(CellError::new);
    // Two two-sided 95 % ends: the bound on ε holds with 95 % by the union of two tails of 2.5 %.
    let (most, least) = (interval(without)?.upper, interval(with)?.lower);
    context.observe("epsilon", ((least - AUDITED_DELTA) / most).max(1e-300).ln().max(0.0));
    Ok(())
}

/// Recovers what was released, `R x + z`, from the answers and projects it on the change that the first row makes.
struct Attack {
    factor: Exponentials,
    weights: Vec<f64>,
    direction: Vec<f64>,
}

impl Attack {
    fn new(horizon: usize) -> Self {
        let factor = Exponentials::square_root(horizon, 2.0);
        let weights = factor.column_norms(horizon, 0, horizon);
        let mut direction = vec![1.0];
        direction.extend(factor.coefficients(1, horizon - 1));
        direction.iter_mut().for_each(|entry| *entry /= weights[0]);
        Self { factor, weights, direction }
    }

    fn score(&self, release: &mut Release, first: f64) -> Result<f64, backstitch_statistics::Error> {
        let mut buffers = vec![0.0; self.factor.order()];
        let (mut before, mut score) = (0.0, 0.0);
        for (time, (weight, direction)) in self.weights.iter().zip(&self.direction).enumerate() {
            let Answer { values, .. } = release.push(&[if time == 0 { first } else { 0.0 }])?;
            let innovation = (values[0] - before) / weight;
            before = values[0];
            let mut released = innovation;
            for ((buffer, weight), decay) in
                buffers.iter_mut().zip(&self.factor.weight).zip(&self.factor.decay)
            {
                released += weight * *buffer;
                *buffer = decay * *buffer + innovation;
            }
            score += direction * released;
        }
        Ok(score)
    }
}
