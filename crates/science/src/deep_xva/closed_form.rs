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

/// The probability that neither of two firms falls to its barrier within `time`, when the logarithms of both have no drift (s² = 2 r), by
/// the series for a Brownian motion in a wedge (Zhou, "An analysis of default correlations and multiple defaults", 2001).
///
/// `distances` are ln(A/D)/s, above 0; |correlation| < 1. With α = arccos(−ρ) the angle of the wedge, (r₀, θ₀) where the motion starts,
/// and x = r₀²/4t: 2 r₀ e^(−x) / √(2πt) Σ over odd n of sin(nπθ₀/α)/n · (I at (nπ/α + 1)/2 of x + I at (nπ/α − 1)/2 of x).
pub fn joint_survival(distances: [f64; 2], correlation: f64, time: f64) -> f64 {
    let [first, second] = distances;
    let rest = (1.0 - correlation * correlation).sqrt();
    let angle = (-correlation).acos();
    let square = (first * first + second * second - 2.0 * correlation * first * second) / (rest * rest);
    let start = (second * rest).atan2(first - correlation * second);
    let x = square / (4.0 * time);
    let mut sum = 0.0;
    for n in (1..400).step_by(2) {
        let order = f64::from(n) * std::f64::consts::PI / angle;
        let term =
            (scaled_bessel(0.5 * (order + 1.0), x) + scaled_bessel(0.5 * (order - 1.0), x)) / f64::from(n);
        sum += (order * start).sin() * term;
        // Terms fall faster than any power once the order is beyond x.
        if term < 1e-17 && order > 4.0 * x {
            break;
        }
    }
    2.0 * square.sqrt() / (2.0 * std::f64::consts::PI * time).sqrt() * sum
}

/// e^(−x) I(x), the modified Bessel function of the first kind, by its power series.
fn scaled_bessel(order: f64, x: f64) -> f64 {
    let mut term = (order * (0.5 * x).ln() - libm::lgamma(order + 1.0) - x).exp();
    let mut sum = term;
    for k in 1..10_000 {
        let k = f64::from(k);
        term *= 0.25 * x * x / (k * (k + order));
        sum += term;
        if term < 1e-17 * sum && k > x {
            break;
        }
    }
    sum
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
    fn two_names_survive_together() {
        // Independent: the product; with correlation 1 nearly: the nearer one alone.
        let alone = |distance: f64, time: f64| 2.0 * normal_probability(distance / time.sqrt()) - 1.0;
        for (distances, time) in [([1.0, 1.0], 1.0), ([0.4, 2.5], 2.0), ([1.7, 3.0], 0.5)] {
            let product = alone(distances[0], time) * alone(distances[1], time);
            assert!((joint_survival(distances, 0.0, time) - product).abs() < 1e-12);
            let near = joint_survival(distances, 0.999, time);
            assert!((near - alone(distances[0], time)).abs() < 0.02, "{near}");
            let (negative, positive) =
                (joint_survival(distances, -0.5, time), joint_survival(distances, 0.5, time));
            assert!(negative < product && product < positive);
        }
        // e^(−x) I of order 1/2 is (1 − e^(−2x)) / √(2πx).
        for x in [0.1, 1.0, 30.0] {
            let expected = -f64::exp_m1(-2.0 * x) / (2.0 * std::f64::consts::PI * x).sqrt();
            assert!((scaled_bessel(0.5, x) / expected - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn wrong_way_risk_by_the_outside_barrier() {
        for (correlation, expected) in [(-0.5, 3.156_654), (0.0, 1.685_178), (0.5, 0.599_851)] {
            let found = call_cva(CALL, FIRM, 0.4, correlation);
            assert!((found - expected).abs() < 1e-6, "{correlation}: {found}");
        }
    }

    #[test]
    fn wrong_way_risk_is_that_of_quantlib() {
        // From AnalyticTwoAssetBarrierEngine of QuantLib 1.44, whose bivariate normal distribution is the coarser one.
        let found = |correlation, barrier, strike| {
            call_cva((100.0, strike, 0.02, 0.25, 1.0), (1.0, barrier, 0.3), 0.4, correlation)
        };
        for (correlation, barrier, strike, expected) in [
            (-0.5, 0.7, 100.0, 3.156_672),
            (0.5, 0.7, 100.0, 0.599_870),
            (-0.8, 0.4, 110.0, 0.123_100),
            (0.3, 0.85, 90.0, 4.986_289),
        ] {
            assert!((found(correlation, barrier, strike) - expected).abs() < 1e-4);
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
