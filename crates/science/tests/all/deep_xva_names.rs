//! Two names that can default: the bank and its counterparty.

use backstitch_science::deep_xva::closed_form::{call, default_probability, joint_survival};
use backstitch_science::deep_xva::simulation::{Draws, Grid, Monitoring, simulate};
use backstitch_science::deep_xva::{DeepXva, Estimate, Method, Parameters, Portfolio};

/// A call on a stock that has nothing to do with the firms; firms by assets over barrier, volatility and recovery.
fn two_names(rate: f64, bank: (f64, f64, f64), counterparty: (f64, f64, f64), correlation: f64) -> Portfolio {
    let firm = |(ratio, volatility, recovery): (f64, f64, f64)| {
        format!("assets = {ratio:.6}\nbarrier = 1.0\nvolatility = {volatility:.6}\nrecovery = {recovery:.6}")
    };
    Portfolio::from_toml(&format!(
        "[market]\nrate = {rate:.6}\n[[factor]]\nname = \"s\"\nstart = 100.0\nvolatility = 0.25\n[bank]\n{}\n\
         [[counterparty]]\nname = \"c\"\n{}\n[[correlation]]\nbetween = [\"c\", \"bank\"]\nvalue = {correlation:.3}\n\
         [[netting_set]]\nname = \"n\"\ncounterparty = \"c\"\n\
         [[trade]]\nname = \"t\"\nnetting_set = \"n\"\nkind = \"call\"\nfactors = [\"s\"]\nstrike = 100.0\nmaturity = 1.0\n",
        firm(bank),
        firm(counterparty)
    ))
    .unwrap()
}

fn cva(portfolio: &Portfolio, steps: usize) -> Estimate {
    let method = Method::LeastSquares;
    let parameters = Parameters { method, paths: 40_960, steps, tilt_below: 0.0, ..Parameters::default() };
    DeepXva::new(parameters).unwrap().value(portfolio).unwrap().sets[0].values.adjustments[0].unwrap()
}

#[track_caller]
fn near(found: Estimate, expected: f64, systematic: f64) {
    let allowed = 4.5 * found.standard_error + systematic;
    assert!((found.mean - expected).abs() <= allowed, "{found:?}, expected {expected}");
}

#[test]
fn of_independent_names_the_one_must_fail_before_the_other() {
    let (bank, counterparty) = ((1.5, 0.35, 0.4), (1.4, 0.3, 0.4));
    let portfolio = two_names(0.02, bank, counterparty, 0.0);
    // The counterparty fails at t while the bank stands, over the first-passage density.
    let passed =
        |(ratio, volatility, _): (f64, f64, f64), t| default_probability(ratio, 1.0, 0.02, volatility, t);
    let parts = 4_000;
    let first: f64 = (0..parts)
        .map(|part| {
            let (from, to) = (f64::from(part) / f64::from(parts), f64::from(part + 1) / f64::from(parts));
            (passed(counterparty, to) - passed(counterparty, from)) * (1.0 - passed(bank, 0.5 * (from + to)))
        })
        .sum();
    let expected = 0.6 * call(100.0, 100.0, 0.02, 0.25, 1.0) * first;
    near(cva(&portfolio, 20), expected, 0.0);
}

#[test]
fn names_that_are_alike_fail_first_equally_often() {
    // Without drift in the logarithm the joint survival is known, and of two alike each is the first half of the times.
    let (volatility, ratio) = (0.3, 1.4);
    let rate = 0.5 * volatility * volatility;
    let distance = f64::ln(ratio) / volatility;
    for correlation in [-0.5, 0.0, 0.7] {
        let firm = (ratio, volatility, 0.4);
        let portfolio = two_names(rate, firm, firm, correlation);
        let survival = joint_survival([distance; 2], correlation, 1.0);
        let expected = 0.6 * call(100.0, 100.0, rate, 0.25, 1.0) * 0.5 * (1.0 - survival);
        near(cva(&portfolio, 40), expected, 0.01 * expected);
    }
}

#[test]
fn bridges_of_correlated_names_are_taken_as_independent() {
    // What deviation 5 costs: nothing at no correlation, and less with more dates.
    let (volatility, ratio) = (0.3, 1.4);
    let rate = 0.5 * volatility * volatility;
    let firm = (ratio, volatility, 0.4);
    let survival = |correlation: f64, steps: usize| {
        let portfolio = two_names(rate, firm, firm, correlation);
        let grid = Grid::new(&portfolio, steps);
        let monitoring = Monitoring::Bridge;
        let draws = Draws { seed: 5, purpose: "test", antithetic: false, monitoring, tilt: None };
        let paths = 102_400;
        let alive = simulate(&portfolio, &grid, &draws, paths, |chunk| {
            let stands = |path: &usize| (0..2).all(|firm| chunk.hit(firm, *path).date == usize::MAX);
            (0..chunk.paths).filter(stands).count()
        });
        alive.into_iter().sum::<usize>() as f64 / paths as f64
    };
    let noise = 4.5 * 0.5 / f64::sqrt(102_400.0);
    for correlation in [0.0, 0.7] {
        let exact = joint_survival([f64::ln(ratio) / volatility; 2], correlation, 1.0);
        let (coarse, fine) = (survival(correlation, 5), survival(correlation, 80));
        assert!((fine - exact).abs() < noise, "{correlation}: {fine} {exact}");
        assert!((coarse - exact).abs() < noise + 0.02 * correlation, "{correlation}: {coarse} {exact}");
    }
}
