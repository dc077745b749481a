//! Smoothness constants, their means, and the step sizes that they certify.

use serde::{Deserialize, Serialize};

use crate::Error;

/// The constants of a problem: L of the mean f, and one L_i per client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Smoothness {
    of_mean: f64,
    of_clients: Vec<f64>,
}

impl Smoothness {
    /// Constants from L and the L_i.
    ///
    /// # Errors
    /// [`Error::ZeroSmoothness`]; [`Error::Smoothness`] if one is not positive and finite, or L exceeds the mean of the L_i, which
    /// always is a bound too.
    pub fn new(of_mean: f64, of_clients: Vec<f64>) -> Result<Self, Error> {
        if of_clients.is_empty() {
            return Err(Error::parameter(
                "clients",
                0,
                "1 or more",
                "give one smoothness constant per client",
            ));
        }
        for (client, &value) in of_clients.iter().enumerate() {
            if value == 0.0 {
                return Err(Error::ZeroSmoothness { client });
            }
            if !(value.is_finite() && value > 0.0) {
                let name = format!("the smoothness of client {client}");
                return Err(Error::Smoothness { name, value, allowed: "positive and finite".into() });
            }
        }
        let constants = Self { of_mean, of_clients };
        let most = constants.arithmetic_mean();
        if !(most.is_finite() && constants.quadratic_mean().is_finite()) {
            let (name, value) = ("the mean of the clients' smoothness".into(), most);
            return Err(Error::Smoothness { name, value, allowed: "small enough to square".into() });
        }
        // A rounding error above the mean is no contradiction.
        if !(of_mean > 0.0 && of_mean <= most * (1.0 + 1e-9)) {
            let allowed = format!("positive and at most {most}, the mean over clients");
            return Err(Error::Smoothness {
                name: "the smoothness of the mean".into(),
                value: of_mean,
                allowed,
            });
        }
        Ok(constants)
    }

    /// Constants from the L_i alone: L is at most their mean.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_clients_only(of_clients: Vec<f64>) -> Result<Self, Error> {
        let mean = mean(&of_clients, |value| value);
        Self::new(if mean > 0.0 { mean } else { 1.0 }, of_clients)
    }

    /// L, of the mean.
    pub fn of_mean(&self) -> f64 {
        self.of_mean
    }

    /// The L_i.
    pub fn of_clients(&self) -> &[f64] {
        &self.of_clients
    }

    /// Number of clients n.
    pub fn clients(&self) -> usize {
        self.of_clients.len()
    }

    /// `L_AM`, the mean of the L_i.
    pub fn arithmetic_mean(&self) -> f64 {
        mean(&self.of_clients, |value| value)
    }

    /// `L_QM`, the root of the mean of the L_i².
    pub fn quadratic_mean(&self) -> f64 {
        mean(&self.of_clients, |value| value * value).sqrt()
    }

    /// `L_var = L_QM² − L_AM²`, the variance of the L_i.
    pub fn variance(&self) -> f64 {
        let centre = self.arithmetic_mean();
        mean(&self.of_clients, |value| (value - centre) * (value - centre))
    }

    /// `w_i = L_i / Σ_j L_j`.
    pub fn weights(&self) -> Vec<f64> {
        let sum: f64 = self.of_clients.iter().sum();
        self.of_clients.iter().map(|value| value / sum).collect()
    }

    /// The constant of EF21 on clones: client i is cut into `⌈L_i/L_AM⌉` equal clones. At most `√2·L_AM`.
    pub fn clones(&self) -> f64 {
        let centre = self.arithmetic_mean();
        let copies: Vec<f64> = self.of_clients.iter().map(|value| (value / centre).ceil()).collect();
        let all: f64 = copies.iter().sum();
        let n = self.clients() as f64;
        let squares: f64 =
            self.of_clients.iter().zip(&copies).map(|(value, copies)| value * value / copies).sum();
        (all * squares).sqrt() / n
    }
}

fn mean(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    values.iter().map(|value| of(*value)).sum::<f64>() / values.len() as f64
}

/// What the error of a compressed gradient does from round to round: `E G⁺ ≤ (1 − θ)G + β M²‖x⁺ − x‖² + noise·σ²`, M the mean of the
/// smoothness constants that the analysis uses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contraction {
    /// α of the compressor, times the share of clients that take part, less what noise of gradients uses up.
    pub alpha: f64,
    /// `θ = 1 − √(1 − α)`.
    pub theta: f64,
    /// `β = (1 − α)/(1 − √(1 − α))`.
    pub beta: f64,
    /// `ξ = √(β/θ) = (1 + √(1 − α))/α − 1`.
    pub xi: f64,
    /// What the variance of the gradients is multiplied with.
    pub noise: f64,
}

impl Contraction {
    /// From α of a compressor, above 0 and at most 1.
    ///
    /// # Errors
    /// [`Error::Parameter`] if it is not.
    pub fn new(alpha: f64) -> Result<Self, Error> {
        if !(alpha > 0.0 && alpha <= 1.0) {
            return Err(Error::parameter(
                "contraction (alpha)",
                alpha,
                "above 0 and at most 1",
                "send more entries",
            ));
        }
        let root = (1.0 - alpha).sqrt();
        // 1 − √(1 − α) cancels for small α; α/(1 + √(1 − α)) is the same number.
        let theta = alpha / (1.0 + root);
        Ok(Self { alpha, theta, beta: (1.0 - alpha) / theta, xi: root / theta, noise: 0.0 })
    }

    /// For clients that take part with probability p each, the others keeping what they sent last. The compressor that sends C(v)
    /// with probability p and nothing otherwise has contraction pα, and no choice of the two constants in the analysis of partial
    /// participation gives a larger step.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless p is above 0 and at most 1, or α is out of range.
    pub fn partial(alpha: f64, participation: f64) -> Result<Self, Error> {
        check_participation(participation)?;
        Self::new(alpha * participation)
    }

    /// Likewise, for gradients with noise: half of θ is spent on keeping the noise bounded.
    ///
    /// # Errors
    /// As [`Self::partial`].
    pub fn noisy(alpha: f64, participation: f64) -> Result<Self, Error> {
        let exact = Self::partial(alpha, participation)?;
        // With s > 0, each ‖g + C(v) − ∇f‖² with v made of a noisy gradient is at most (1 + s)·‖g + C(v) − v'‖² plus (1 + 1/s)·σ²,
        // so that the share 1 − α of those who take part becomes (1 + s)(1 − α). s is chosen to halve θ.
        let kept = participation * (1.0 - alpha);
        if kept == 0.0 {
            return Ok(Self { noise: participation, ..exact });
        }
        let root = 1.0 - exact.theta / 2.0;
        let share = root * root - (1.0 - participation);
        let s = share / kept - 1.0;
        let noise = share + participation * (1.0 + 1.0 / s);
        Ok(Self { noise, ..Self::new(1.0 - root * root)? })
    }

    /// The largest step that the analysis allows: `1/(L + M ξ)`.
    pub fn step(&self, of_mean: f64, mean_of_clients: f64) -> f64 {
        1.0 / (of_mean + mean_of_clients * self.xi)
    }
}

pub(super) fn check_participation(participation: f64) -> Result<(), Error> {
    if participation > 0.0 && participation <= 1.0 {
        return Ok(());
    }
    Err(Error::parameter(
        "participation",
        participation,
        "above 0 and at most 1",
        "use 1, all clients in every round",
    ))
}

/// What is known before the first round: the constants, the step sizes they certify, and the guarantee of the one that is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// Number of clients n.
    pub clients: usize,
    /// Length d of the vectors.
    pub dimension: usize,
    /// L, of the mean.
    pub smoothness: f64,
    /// Mean of the clients' constants, L_AM.
    pub arithmetic_mean: f64,
    /// Root of the mean of their squares, L_QM.
    pub quadratic_mean: f64,
    /// Their variance, L_var.
    pub variance: f64,
    /// The contraction with all that weakens it.
    pub contraction: Contraction,
    /// The old certified step, `1/(L + L_QM ξ)`.
    pub old_step: f64,
    /// That of the clones, `1/(L + √2-bounded constant · ξ)`.
    pub clones_step: f64,
    /// The new certified step, `1/(L + L_AM ξ)`.
    pub new_step: f64,
    /// The step that is taken.
    pub step: f64,
    /// Bound of the noise of stochastic gradients in the guarantee, `noise·Σ σ_i²/(n² w_i)`; 0 for exact gradients, `None` where no
    /// bound is known.
    pub noise: Option<f64>,
    /// Whether the guarantee holds for the algorithm and the step that are taken.
    pub certified: bool,
}

impl Certificate {
    /// The guarantee: the expected mean of ‖∇f‖² over the first `rounds` iterates is at most this. `gap` is f(x⁰) less its infimum
    /// (or a number no value is below), `error` is `G⁰ = (1/n²) Σ ‖g_i⁰ − ∇f_i(x⁰)‖²/w_i`. `None` where nothing is guaranteed.
    pub fn guarantee(&self, gap: f64, error: f64, rounds: usize) -> Option<f64> {
        if !self.certified || rounds == 0 {
            return None;
        }
        let theta = self.contraction.theta;
        let rounds = rounds as f64;
        Some(2.0 * gap / (self.step * rounds) + error / (theta * rounds) + self.noise? / theta)
    }

    /// Rounds after which the guarantee falls to `wanted`. `None` where it never does.
    pub fn rounds_for(&self, wanted: f64, gap: f64, error: f64) -> Option<f64> {
        let theta = self.contraction.theta;
        let left = wanted - self.noise? / theta;
        (self.certified && left > 0.0).then(|| ((2.0 * gap / self.step + error / theta) / left).ceil())
    }
}
