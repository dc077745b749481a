//! Formulas that hold exactly: clean values, the first-passage probability of a firm, and references that tests and the study hold
//! simulations to.

use super::numbers::{bivariate_normal_probability, normal_density, normal_probability, normal_quantile};

/// The probability that assets `assets`, dA = drift A dt + s A dB, fall to `barrier` within `time`.
///
/// With b = ln(D/A₀) and ν = drift − s²/2: N((b − νt)/(s√t)) + (D/A₀)^(2ν/s²) N((b + νt)/(s√t)).
pub fn default_probability(assets: f64, barrier: f64, drift: f64, volatility: f64, time: f64) -> f64 {
    if assets <= barrier {
        return 1.0;
    }
    if time <= 0.0 {
        return 0.0;
    }
    let b = (barrier / assets).ln();
    let nu = drift - 0.5 * volatility * volatility;
    let deviation = volatility * time.sqrt();
    let reflected = 2.0 * nu * b / (volatility * volatility);
    normal_probability((b - nu * time) / deviation)
        + reflected.exp() * normal_probability((b + nu * time) / deviation)
}

/// Today's price of a call on an asset that pays no income (Black and Scholes).
pub fn call(start: f64, strike: f64, rate: f64, volatility: f64, time: f64) -> f64 {
    black(start * (rate * time).exp(), strike, volatility * time.sqrt(), 1.0) * (-rate * time).exp()
}

/// The CVA of a call whose counterparty's assets have correlation `correlation` with the underlying, without collateral and with a
/// bank that cannot default: (1 − R) (C − C_do), where C_do is the call that dies when the assets of the counterparty, an
/// outside barrier, are hit (Heynen and Kat).
///
/// `firm` is assets, barrier and volatility.
pub fn call_cva(
    (start, strike, rate, volatility, time): (f64, f64, f64, f64, f64),
    (assets, barrier, firm_volatility): (f64, f64, f64),
    recovery: f64,
    correlation: f64,
) -> f64 {
    let s = firm_volatility;
    let b = (barrier / assets).ln();
    let deviation = s * time.sqrt();
    // The joint probability of survival and of an end in the money when both have the drifts m and nu.
    let survival = |m: f64, nu: f64| {
        let d = ((start / strike).ln() + m * time) / (volatility * time.sqrt());
        let kept = bivariate_normal_probability(d, (nu * time - b) / deviation, correlation);
        let reflected = bivariate_normal_probability(
            d + 2.0 * correlation * b / deviation,
            (b + nu * time) / deviation,
            correlation,
        );
        kept - (2.0 * nu * b / (s * s)).exp() * reflected
    };
    let nu = rate - 0.5 * s * s;
    let half = 0.5 * volatility * volatility;
    let surviving = start * survival(rate + half, nu + correlation * volatility * s)
        - strike * (-rate * time).exp() * survival(rate - half, nu);
    (1.0 - recovery) * (call(start, strike, rate, volatility, time) - surviving)
}

/// The FVA of a long forward S − K when borrowing and lending both cost `funding` and nobody defaults: the value discounted at
/// the risk-free rate less that discounted at the funding rate.
pub fn forward_fva(start: f64, strike: f64, rate: f64, funding: f64, time: f64) -> f64 {
    let clean = start - strike * (-rate * time).exp();
    let funded = (-funding * time).exp() * (start * (rate * time).exp() - strike);
    clean - funded
}

/// Initial margin on one unit of an asset held long, against its fall over `period`: minus the quantile of the relative move.
pub fn margin_of_long_asset(rate: f64, volatility: f64, period: f64, level: f64) -> f64 {
    let z = normal_quantile(1.0 - level);
    1.0 - ((rate - 0.5 * volatility * volatility) * period + volatility * period.sqrt() * z).exp()
}

/// E(sign (F e^(dev Z − dev²/2) − K))⁺: a call for sign 1, a put for −1, not discounted.
pub(crate) fn black(forward: f64, strike: f64, deviation: f64, sign: f64) -> f64 {
    if deviation <= 0.0 || forward <= 0.0 || strike <= 0.0 {
        return (sign * (forward - strike)).max(0.0);
    }
    let d = (forward / strike).ln() / deviation + 0.5 * deviation;
    sign * (forward * normal_probability(sign * d) - strike * normal_probability(sign * (d - deviation)))
}

/// E(sign (F + dev Z − K))⁺, not discounted (Bachelier).
pub(crate) fn bachelier(forward: f64, strike: f64, deviation: f64, sign: f64) -> f64 {
    let ahead = sign * (forward - strike);
    if deviation <= 0.0 {
        return ahead.max(0.0);
    }
    let d = ahead / deviation;
    ahead * normal_probability(d) + deviation * normal_density(d)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: (f64, f64, f64, f64, f64) = (100.0, 100.0, 0.02, 0.25, 1.0);
    const FIRM: (f64, f64, f64) = (1.0, 0.7, 0.3);

    #[test]
    fn first_passage() {
        assert!((default_probability(1.0, 0.7, 0.02, 0.3, 1.0) - 0.258_370).abs() < 1e-6);
        assert_eq!(default_probability(0.7, 0.7, 0.02, 0.3, 1.0), 1.0);
        assert_eq!(default_probability(1.0, 0.7, 0.02, 0.3, 0.0), 0.0);
    }

    #[test]
    fn wrong_way_risk_by_the_outside_barrier() {
        for (correlation, expected) in [(-0.5, 3.156_654), (0.0, 1.685_178), (0.5, 0.599_851)] {
            let found = call_cva(CALL, FIRM, 0.4, correlation);
            assert!((found - expected).abs() < 1e-6, "{correlation}: {found}");
        }
    }

    #[test]
    fn an_independent_counterparty_fails_on_the_whole_value() {
        let (start, strike, rate, volatility, time) = CALL;
        let value = call(start, strike, rate, volatility, time);
        let expected = 0.6 * value * default_probability(1.0, 0.7, rate, 0.3, time);
        assert!((call_cva(CALL, FIRM, 0.4, 0.0) - expected).abs() < 1e-9);
    }

    #[test]
    fn funding_of_a_forward() {
        assert!((forward_fva(100.0, 100.0, 0.02, 0.04, 1.0) - 0.039_209_3).abs() < 1e-7);
    }

    #[test]
    fn margin_on_a_stock() {
        assert!((margin_of_long_asset(0.02, 0.25, 10.0 / 252.0, 0.99) - 0.109_793_1).abs() < 1e-7);
    }

    #[test]
    fn parity_of_calls_and_puts() {
        for (forward, strike) in [(100.0, 80.0), (100.0, 100.0), (3.0, 100.0)] {
            let difference = black(forward, strike, 0.3, 1.0) - black(forward, strike, 0.3, -1.0);
            assert!((difference - (forward - strike)).abs() < 1e-11);
            let difference = bachelier(forward, strike, 7.0, 1.0) - bachelier(forward, strike, 7.0, -1.0);
            assert!((difference - (forward - strike)).abs() < 1e-11);
        }
    }
}
