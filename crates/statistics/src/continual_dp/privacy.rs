//! Privacy accounting: the analytic Gaussian, zero-concentrated privacy, and a ledger that is not exceeded.

use serde::{Deserialize, Serialize};

use crate::Error;

/// The δ of a Gaussian query at `epsilon` (Balle and Wang 2018), `ratio` = sensitivity / σ:
/// `Φ(s/2 − ε/s) − e^ε Φ(−s/2 − ε/s)`.
pub fn gaussian_delta(ratio: f64, epsilon: f64) -> f64 {
    if ratio <= 0.0 {
        return 0.0;
    }
    let (near, far) = (epsilon / ratio - ratio / 2.0, epsilon / ratio + ratio / 2.0);
    // e^ε φ(far) = φ(near), so both terms share one density and nothing overflows.
    if near > 0.0 {
        density(near) * (mills(near) - mills(far))
    } else {
        1.0 - density(near) * (mills(-near) + mills(far))
    }
}

/// The smallest σ / sensitivity with which one Gaussian query is (ε, δ)-private, to a relative 1e-13, rounded up.
pub fn gaussian_multiplier(epsilon: f64, delta: f64) -> f64 {
    let (mut low, mut high) = (1e-12_f64.ln(), 1e12_f64.ln());
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if gaussian_delta((-middle).exp(), epsilon) > delta {
            low = middle;
        } else {
            high = middle;
        }
    }
    high.exp() * (1.0 + 1e-13)
}

/// The δ at `epsilon` of ρ-zCDP (Canonne, Kamath and Steinke 2020):
/// `min over a > 1 of exp((a−1)(aρ − ε)) (1 − 1/a)^a / (a − 1)`.
pub fn zcdp_delta(rho: f64, epsilon: f64) -> f64 {
    if rho <= 0.0 {
        return 0.0;
    }
    let exponent = |order: f64| {
        (order - 1.0) * (order * rho - epsilon) + order * (-1.0 / order).ln_1p() - (order - 1.0).ln()
    };
    // Unimodal in ln(a − 1); any order gives a valid bound, so the search cannot be wrong, only loose.
    let at = |place: f64| exponent(1.0 + place.exp());
    let (mut low, mut high) = (-30.0, 30.0);
    for _ in 0..200 {
        let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if at(left) < at(right) {
            high = right;
        } else {
            low = left;
        }
    }
    at(0.5 * (low + high)).exp().min(1.0)
}

/// The ε at `delta` of ρ-zCDP, rounded up.
pub fn zcdp_epsilon(rho: f64, delta: f64) -> f64 {
    let (mut low, mut high) = (0.0, rho + 2.0 * (rho * (1.0 / delta).ln()).sqrt());
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if zcdp_delta(rho, middle) > delta {
            low = middle;
        } else {
            high = middle;
        }
    }
    high * (1.0 + 1e-13)
}

/// The ρ of zCDP that a (ε, δ) demand allows, rounded down.
pub fn zcdp_rho(epsilon: f64, delta: f64) -> f64 {
    let (mut low, mut high) = (0.0, epsilon.max(1e-300));
    while zcdp_delta(high, epsilon) <= delta && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if zcdp_delta(middle, epsilon) > delta {
            high = middle;
        } else {
            low = middle;
        }
    }
    low * (1.0 - 1e-13)
}

/// The ε at `delta` of one Gaussian query, `ratio` = sensitivity / σ.
pub fn gaussian_epsilon(ratio: f64, delta: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while gaussian_delta(ratio, high) > delta && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if gaussian_delta(ratio, middle) > delta {
            low = middle;
        } else {
            high = middle;
        }
    }
    high * (1.0 + 1e-13)
}

/// What has been spent on one data set, in zCDP, and the limit that is not exceeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The most ρ that may be spent.
    pub limit: f64,
    /// What was spent, oldest first.
    pub entries: Vec<Entry>,
}

/// One release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What it was for.
    pub what: String,
    /// Its ρ.
    pub rho: f64,
}

impl Ledger {
    /// An empty ledger.
    ///
    /// # Errors
    /// [`Error::Parameter`] unless the limit is positive and finite.
    pub fn new(limit: f64) -> Result<Self, Error> {
        if limit > 0.0 && limit.is_finite() {
            return Ok(Self { limit, entries: Vec::new() });
        }
        Err(Error::Parameter {
            name: "the limit of the ledger",
            value: limit.to_string(),
            allowed: "positive and finite",
            way_out: "give the ρ of zCDP that all releases together may spend",
        })
    }

    /// The ρ spent so far: it adds up.
    pub fn spent(&self) -> f64 {
        self.entries.iter().map(|entry| entry.rho).sum()
    }

    /// Notes a release, or refuses it.
    ///
    /// # Errors
    /// [`Error::Ledger`] if the limit would be exceeded; nothing is noted then.
    pub fn spend(&mut self, what: &str, rho: f64) -> Result<(), Error> {
        let spent = self.spent();
        // `!(≤)` also refuses what is not a number.
        if !(rho >= 0.0 && spent + rho <= self.limit) {
            return Err(Error::Ledger { limit: self.limit, spent, wanted: rho });
        }
        self.entries.push(Entry { what: what.into(), rho });
        Ok(())
    }
}

fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// The upper tail of the standard normal over its density, for `x ≥ 0`.
fn mills(x: f64) -> f64 {
    if x < 3.0 {
        // Φ(x) − ½ = φ(x) Σ x^(2n+1)/(2n+1)!!.
        let (mut term, mut sum, mut odd) = (x, x, 1.0);
        while term > sum * 1e-18 {
            odd += 2.0;
            term *= x * x / odd;
            sum += term;
        }
        return 0.5 / density(x) - sum;
    }
    // Laplace's continued fraction, from its tail.
    let mut tail = x;
    for level in (1..=200).rev() {
        tail = x + f64::from(level) / tail;
    }
    1.0 / tail
}
