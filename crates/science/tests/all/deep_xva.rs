//! Closed forms, brute force, and what must hold whatever the numbers are. Seeds are fixed; tolerances are 4 standard errors and more.

use backstitch_science::deep_xva::closed_form::{
    call, call_cva, default_probability, forward_fva, margin_of_long_asset,
};
use backstitch_science::deep_xva::simulation::{Draws, Grid, Monitoring, Tilt, simulate};
use backstitch_science::deep_xva::{
    DeepXva, EXAMPLE, Estimate, Method, Parameters, Portfolio, SetValuation, Training,
};

/// One trade with one counterparty: what stands in the places of the braces of [`one_trade`].
struct Case {
    market: &'static str,
    barrier: f64,
    correlation: f64,
    set: &'static str,
    kind: &'static str,
    quantity: f64,
}

const CALL: Case = Case { market: "", barrier: 0.7, correlation: 0.0, set: "", kind: "call", quantity: 1.0 };

/// The card's case: S₀ = K = 100, r = 0.02, σ = 0.25, T = 1; A₀ = 1, s = 0.3, R = 0.4.
fn one_trade(case: &Case) -> Portfolio {
    let Case { market, barrier, correlation, set, kind, quantity } = case;
    Portfolio::from_toml(&format!(
        "[market]\nrate = 0.02\n{market}\n[[factor]]\nname = \"s\"\nstart = 100.0\nvolatility = 0.25\n\
         [[counterparty]]\nname = \"c\"\nassets = 1.0\nbarrier = {barrier}\nvolatility = 0.3\nrecovery = 0.4\n\
         [[correlation]]\nbetween = [\"s\", \"c\"]\nvalue = {correlation:.3}\n\
         [[netting_set]]\nname = \"n\"\ncounterparty = \"c\"\n{set}\n\
         [[trade]]\nname = \"t\"\nnetting_set = \"n\"\nkind = \"{kind}\"\nfactors = [\"s\"]\nstrike = 100.0\nmaturity = 1.0\nquantity = {quantity:.1}\n"
    ))
    .unwrap()
}

fn quick(method: Method) -> Parameters {
    let training = Training { iterations: 60, batch: 128, ..Training::default() };
    Parameters { method, paths: 20_480, steps: 20, training, ..Parameters::default() }
}

fn only_set(parameters: Parameters, portfolio: &Portfolio) -> SetValuation {
    DeepXva::new(parameters).unwrap().value(portfolio).unwrap().sets.remove(0)
}

#[track_caller]
fn near(found: Estimate, expected: f64, systematic: f64) {
    let allowed = 4.5 * found.standard_error + systematic;
    assert!((found.mean - expected).abs() <= allowed, "{found:?}, expected {expected}");
}

fn cva(set: &SetValuation) -> Estimate {
    set.values.adjustments[0].unwrap()
}

const TERMS: (f64, f64, f64, f64, f64) = (100.0, 100.0, 0.02, 0.25, 1.0);

#[test]
fn cva_of_a_call_is_that_of_the_outside_barrier() {
    for correlation in [-0.5, 0.0, 0.5] {
        let expected = call_cva(TERMS, (1.0, 0.7, 0.3), 0.4, correlation);
        let portfolio = one_trade(&Case { correlation, ..CALL });
        for method in [Method::Deep, Method::LeastSquares] {
            let found = cva(&only_set(quick(method), &portfolio));
            near(found, expected, 0.0);
            assert!(found.standard_error < 0.04 * expected.max(1.0), "{found:?}");
        }
    }
}

#[test]
fn the_hedge_takes_variance_away() {
    let set = only_set(quick(Method::Deep), &one_trade(&CALL));
    let learned = set.learned[0].unwrap();
    assert!(learned.explained > 0.3, "{learned:?}");
    let plain = only_set(quick(Method::LeastSquares), &one_trade(&CALL));
    assert!(cva(&set).standard_error < 0.9 * cva(&plain).standard_error);
}

#[test]
fn monitoring_at_dates_misses_defaults_and_a_shifted_barrier_does_not() {
    let expected = call_cva(TERMS, (1.0, 0.7, 0.3), 0.4, -0.5);
    let portfolio = one_trade(&Case { correlation: -0.5, ..CALL });
    let with = |monitoring| {
        let parameters = Parameters { monitoring, steps: 25, paths: 102_400, ..quick(Method::Nested) };
        cva(&only_set(parameters, &portfolio))
    };
    let dates = with(Monitoring::Dates);
    assert!(dates.mean < expected - 0.2, "{dates:?}");
    near(with(Monitoring::Shifted), expected, 0.03);
    near(with(Monitoring::Bridge), expected, 0.0);
}

#[test]
fn defaults_are_as_frequent_as_the_first_passage() {
    for barrier in [0.7, 0.4] {
        let portfolio = one_trade(&Case { barrier, ..CALL });
        let grid = Grid::new(&portfolio, 10);
        let expected = default_probability(1.0, barrier, 0.02, 0.3, 1.0);
        for tilt in [None, Tilt::towards_default(&portfolio, 0)] {
            let draws =
                Draws { seed: 3, purpose: "test", antithetic: false, monitoring: Monitoring::Bridge, tilt };
            let found: Vec<(f64, f64)> = simulate(&portfolio, &grid, &draws, 40_960, |chunk| {
                (0..chunk.paths)
                    .map(|path| {
                        let hit = chunk.hit(0, path);
                        if hit.date > 10 {
                            return (0.0, 0.0);
                        }
                        assert!(grid.times[hit.date - 1] <= hit.time && hit.time <= grid.times[hit.date]);
                        (chunk.weight(hit.date, path), 1.0)
                    })
                    .collect::<Vec<_>>()
            })
            .into_iter()
            .flatten()
            .collect();
            let n = found.len() as f64;
            let mean = found.iter().map(|pair| pair.0).sum::<f64>() / n;
            let variance = found.iter().map(|pair| (pair.0 - mean).powi(2)).sum::<f64>() / n;
            assert!(
                (mean - expected).abs() < 4.5 * (variance / n).sqrt(),
                "{barrier} {tilt:?}: {mean} {expected}"
            );
            if tilt.is_some() {
                let share = found.iter().map(|pair| pair.1).sum::<f64>() / n;
                assert!((share - 0.5).abs() < 0.02, "{share}");
            }
        }
    }
}

#[test]
fn another_measure_gives_the_same_cva_of_a_rare_default_with_less_error() {
    let portfolio = one_trade(&Case { barrier: 0.4, ..CALL });
    let expected = call_cva(TERMS, (1.0, 0.4, 0.3), 0.4, 0.0);
    let with = |tilt_below, method| cva(&only_set(Parameters { tilt_below, ..quick(method) }, &portfolio));
    let plain = with(0.0, Method::LeastSquares);
    near(plain, expected, 0.0);
    for method in [Method::LeastSquares, Method::Deep] {
        let tilted = with(0.1, method);
        near(tilted, expected, 0.0);
        assert!(tilted.standard_error < 0.25 * plain.standard_error, "{plain:?} {tilted:?}");
    }
}

#[test]
fn funding_of_a_forward_is_discounting_at_the_funding_rate() {
    let market = "borrowing = 0.04\nlending = 0.04";
    // So far from default that nobody defaults.
    let case = Case { market, barrier: 1e-9, kind: "forward", ..CALL };
    let expected = forward_fva(100.0, 100.0, 0.02, 0.04, 1.0);
    for method in [Method::Deep, Method::LeastSquares] {
        let parameters = Parameters { steps: 50, ..quick(method) };
        let fva = only_set(parameters, &one_trade(&case)).values.adjustments[4].unwrap();
        near(fva, expected, 0.002);
    }
}

#[test]
fn one_signed_values_are_discounted_at_the_rate_of_their_side() {
    let market = "borrowing = 0.05\nlending = 0.03";
    let value = call(100.0, 100.0, 0.02, 0.25, 1.0);
    for (quantity, spread) in [(1.0, 0.03), (-1.0, 0.01)] {
        let case = Case { market, barrier: 1e-9, quantity, ..CALL };
        let expected = quantity * value * (1.0 - f64::exp(-spread));
        let parameters = Parameters { steps: 50, ..quick(Method::LeastSquares) };
        let fva = only_set(parameters, &one_trade(&case)).values.adjustments[4].unwrap();
        // The left end of each step stands for the step: the spread times half a step of relative error.
        near(fva, expected, 0.004 * expected.abs());
    }
}

#[test]
fn collateral_and_its_interest() {
    // Full collateral: nothing is lost, nothing needs funding, and interest is paid on the whole value.
    let case = Case {
        market: "collateral_received = 0.03",
        set: "threshold_received = 0\nthreshold_posted = 0",
        barrier: 1e-9,
        ..CALL
    };
    let set = only_set(quick(Method::LeastSquares), &one_trade(&case));
    assert_eq!(cva(&set), Estimate::default());
    // V discounted is a martingale: the spread times V₀ times T.
    near(set.values.adjustments[2].unwrap(), 0.01 * call(100.0, 100.0, 0.02, 0.25, 1.0), 0.0);
    assert!(set.profile.unsecured.iter().all(|&value| value == 0.0));
}

#[test]
fn margin_on_a_stock_is_its_quantile() {
    let case = Case {
        market: "borrowing = 0.04",
        set: "margin_level = 0.99\nmargin_days = 10",
        barrier: 1e-9,
        kind: "forward",
        ..CALL
    };
    let training = Training { iterations: 200, batch: 128, ..Training::default() };
    let parameters = Parameters { training, paths: 4_096, ..quick(Method::Deep) };
    let set = only_set(parameters, &one_trade(&case));
    // The forward moves as one unit of the stock, up to what the discounted strike earns.
    let unit = margin_of_long_asset(0.02, 0.25, 10.0 / 252.0, 0.99);
    for date in [5, 10, 15] {
        let expected = 100.0 * (0.02 * date as f64 / 20.0).exp() * unit;
        let posted = set.profile.posted[date];
        assert!((posted / expected - 1.0).abs() < 0.06, "{date}: {posted} {expected}");
    }
    let exceeded = set.exceeded.unwrap();
    assert!(exceeded.iter().all(|share| (0.005..0.02).contains(share)), "{exceeded:?}");
    let mva = set.values.adjustments[3].unwrap();
    assert!((mva.mean / (0.02 * 100.0 * unit) - 1.0).abs() < 0.06, "{mva:?}");
}

#[test]
fn margin_reaches_to_the_end_of_a_trade() {
    // All dates are within the margin period of the end: the moves are those to the maturity, ever smaller.
    let terms = "margin_level = 0.99\nmargin_days = 252";
    let case = Case { set: terms, barrier: 1e-9, kind: "forward", ..CALL };
    let parameters = Parameters { steps: 4, ..quick(Method::LeastSquares) };
    let set = only_set(parameters, &one_trade(&case));
    // Least squares take the move of the stock as normal with its own mean and variance; that of the forward has a mean of nearly 0.
    let deviation = 100.0 * f64::exp(0.02) * f64::exp_m1(0.0625).sqrt();
    let expected = 2.326_347_9 * deviation;
    assert!((set.profile.posted[0] / expected - 1.0).abs() < 0.04, "{} {expected}", set.profile.posted[0]);
    assert!(set.profile.posted.windows(2).all(|pair| pair[0] > pair[1]), "{:?}", set.profile.posted);
    assert_eq!(set.profile.posted[4], 0.0);
}

#[test]
fn exposures_of_a_forward_are_options_on_it() {
    let portfolio = one_trade(&Case { kind: "forward", ..CALL });
    let set = only_set(Parameters { paths: 40_960, ..quick(Method::LeastSquares) }, &portfolio);
    // E V⁺ at t is the call on S_t with strike K e^(−r(T−t)), grown to t.
    for date in [5, 10, 20] {
        let time = date as f64 / 20.0;
        let strike = 100.0 * (-0.02 * (1.0 - time)).exp();
        let positive = call(100.0, strike, 0.02, 0.25, time) * f64::exp(0.02 * time);
        assert!((set.profile.positive[date] / positive - 1.0).abs() < 0.04);
        let negative = positive - (100.0 * f64::exp(0.02 * time) - strike);
        assert!((set.profile.negative[date] / negative - 1.0).abs() < 0.04);
    }
}

#[test]
fn values_that_are_learned_are_those_of_the_formula() {
    let portfolio = one_trade(&CALL);
    let expected = call(100.0, 100.0, 0.02, 0.25, 1.0);
    for method in [Method::Deep, Method::LeastSquares, Method::Nested] {
        let training = Training { iterations: 250, batch: 128, ..Training::default() };
        let parameters =
            Parameters { formulas: false, inner_paths: 50, paths: 2_048, training, ..quick(method) };
        let set = only_set(parameters, &portfolio);
        near(set.values.clean, expected, 0.0);
        near(cva(&set), call_cva(TERMS, (1.0, 0.7, 0.3), 0.4, 0.0), 0.03);
    }
}

#[test]
fn dva_is_the_cva_of_the_other_side() {
    let text = |quantity: f64, bank: &str, counterparty: &str| {
        format!(
            "[market]\nrate = 0.02\n[[factor]]\nname = \"s\"\nstart = 100.0\nvolatility = 0.25\n[bank]\n{bank}\n[[counterparty]]\nname = \"c\"\n{counterparty}\n\
             [[netting_set]]\nname = \"n\"\ncounterparty = \"c\"\n[[trade]]\nname = \"t\"\nnetting_set = \"n\"\nkind = \"forward\"\nfactors = [\"s\"]\n\
             strike = 100.0\nmaturity = 1.0\nquantity = {quantity:.1}\n"
        )
    };
    let weak = "assets = 1.0\nbarrier = 0.7\nvolatility = 0.3\nrecovery = 0.4";
    let strong = "assets = 1.0\nbarrier = 0.6\nvolatility = 0.25\nrecovery = 0.2";
    let value = |quantity, bank, counterparty| {
        let portfolio = Portfolio::from_toml(&text(quantity, bank, counterparty)).unwrap();
        only_set(Parameters { tilt_below: 0.0, ..quick(Method::LeastSquares) }, &portfolio).values.adjustments
    };
    let (ours, theirs) = (value(1.0, strong, weak), value(-1.0, weak, strong));
    for (a, b) in [(0, 1), (1, 0)] {
        let (left, right) = (ours[a].unwrap(), theirs[b].unwrap());
        let error = left.standard_error.hypot(right.standard_error);
        assert!(
            left.mean > 4.0 * error && (left.mean - right.mean).abs() < 4.5 * error,
            "{left:?} {right:?}"
        );
    }
}

#[test]
fn nothing_depends_on_the_number_of_threads() {
    let portfolio = Portfolio::from_toml(EXAMPLE).unwrap();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let training = Training { iterations: 3, batch: 64, ..Training::default() };
        let parameters = Parameters { paths: 700, steps: 6, training, ..Parameters::default() };
        pool.install(|| DeepXva::new(parameters).unwrap().value(&portfolio).unwrap())
    };
    let one = with(1);
    assert_eq!(one, with(3));
    assert!(one.sets.iter().all(|set| set.values.total.mean.is_finite()));
}

#[test]
fn the_total_of_a_counterparty_is_that_of_its_sets() {
    let portfolio = Portfolio::from_toml(EXAMPLE).unwrap();
    let found = DeepXva::new(Parameters { paths: 2_048, ..quick(Method::LeastSquares) })
        .unwrap()
        .value(&portfolio)
        .unwrap();
    for (position, counterparty) in found.counterparties.iter().enumerate() {
        let sets = found.sets.iter().filter(|set| set.counterparty == position);
        let total: f64 = sets.map(|set| set.values.total.mean).sum();
        assert!((counterparty.total.mean - total).abs() < 1e-9 * (1.0 + total.abs()));
    }
}

#[test]
fn what_cannot_pay_is_exactly_zero() {
    let training = Training { iterations: 5, batch: 64, ..Training::default() };
    let parameters = Parameters { training, paths: 1_024, ..quick(Method::Deep) };
    // No bank that defaults, no collateral, no margin, one rate: only CVA is left.
    let set = only_set(parameters.clone(), &one_trade(&CALL));
    assert!(cva(&set).mean > 0.0);
    for place in 1..5 {
        assert_eq!(set.values.adjustments[place], Some(Estimate::default()));
        assert_eq!(set.learned[place], None);
        assert!(set.sensitivities.iter().all(|of| of.adjustments[place] == Some(Estimate::default())));
    }
    assert_eq!(set.values.total, cva(&set));
    // With margin, two rates and full collateral CVA is nothing and MVA is something.
    let market = "borrowing = 0.04";
    let terms = "threshold_received = 0\nthreshold_posted = 0\nmargin_days = 10";
    let set = only_set(parameters, &one_trade(&Case { market, set: terms, ..CALL }));
    assert_eq!(cva(&set), Estimate::default());
    assert!(set.values.adjustments[3].unwrap().mean > 0.0 && set.learned[3].is_some());
}
