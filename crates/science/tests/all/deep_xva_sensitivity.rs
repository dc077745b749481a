//! Derivatives with respect to today's values, against derivatives of formulas.

use backstitch_science::deep_xva::closed_form::{call, call_cva};
use backstitch_science::deep_xva::{
    DeepXva, Estimate, Method, Parameters, Portfolio, SetValuation, Training,
};

const CORRELATION: f64 = -0.5;

fn portfolio(barrier: f64, kind: &str) -> Portfolio {
    Portfolio::from_toml(&format!(
        "[market]\nrate = 0.02\n[[factor]]\nname = \"s\"\nstart = 100.0\nvolatility = 0.25\n\
         [[factor]]\nname = \"o\"\nkind = \"ou\"\nstart = 50.0\nmean = 52.0\nreversion = 1.5\nvolatility = 12.0\n\
         [[counterparty]]\nname = \"c\"\nassets = 1.0\nbarrier = {barrier}\nvolatility = 0.3\nrecovery = 0.4\n\
         [[correlation]]\nbetween = [\"s\", \"c\"]\nvalue = {CORRELATION}\n\
         [[netting_set]]\nname = \"n\"\ncounterparty = \"c\"\n\
         [[trade]]\nname = \"t\"\nnetting_set = \"n\"\nmaturity = 1.0\n{kind}\n"
    ))
    .unwrap()
}

fn value(method: Method, portfolio: &Portfolio) -> SetValuation {
    let training = Training { iterations: 100, batch: 128, ..Training::default() };
    let parameters = Parameters { method, training, formulas: false, steps: 20, ..Parameters::default() };
    DeepXva::new(parameters).unwrap().value(portfolio).unwrap().sets.remove(0)
}

#[track_caller]
fn near(found: Option<Estimate>, expected: f64, clear: bool) {
    let found = found.unwrap();
    assert!((found.mean - expected).abs() <= 4.5 * found.standard_error, "{found:?}, expected {expected}");
    assert!(!clear || found.is_clear() && found.standard_error > 0.0, "{found:?}");
}

/// Central difference of the exact CVA of the call in the stock and in the assets.
fn exact(barrier: f64) -> [f64; 2] {
    let of = |start: f64, assets: f64| {
        call_cva((start, 100.0, 0.02, 0.25, 1.0), (assets, barrier, 0.3), 0.4, CORRELATION)
    };
    [(of(100.1, 1.0) - of(99.9, 1.0)) / 0.2, (of(100.0, 1.001) - of(100.0, 0.999)) / 0.002]
}

const CALL: &str = "kind = \"call\"\nfactors = [\"s\"]\nstrike = 100.0";

#[test]
fn derivatives_of_cva_are_those_of_the_outside_barrier() {
    let [stock, assets] = exact(0.7);
    let delta = (call(100.1, 100.0, 0.02, 0.25, 1.0) - call(99.9, 100.0, 0.02, 0.25, 1.0)) / 0.2;
    for method in [Method::Deep, Method::LeastSquares] {
        let found = value(method, &portfolio(0.7, CALL)).sensitivities;
        assert_eq!(found.iter().map(|of| of.driver.as_str()).collect::<Vec<_>>(), ["s", "c"]);
        near(found[0].clean, delta, true);
        assert_eq!(found[1].clean, Some(Estimate::default()));
        near(found[0].adjustments[0], stock, method == Method::Deep);
        near(found[1].adjustments[0], assets, method == Method::Deep);
    }
}

#[test]
fn a_rare_default_has_them_too() {
    let [stock, assets] = exact(0.45);
    let found = value(Method::Deep, &portfolio(0.45, CALL)).sensitivities;
    near(found[0].adjustments[0], stock, false);
    near(found[1].adjustments[0], assets, true);
}

#[test]
fn what_returns_to_its_mean_moves_a_forward_less() {
    let forward = "kind = \"forward\"\nfactors = [\"o\"]\nstrike = 51.0";
    for method in [Method::Deep, Method::LeastSquares] {
        let found = value(method, &portfolio(0.7, forward)).sensitivities;
        near(found[0].clean, f64::exp(-0.02 - 1.5), method == Method::Deep);
    }
}

#[test]
fn drivers_that_follow_from_others_have_none() {
    // The counterparty is moved by the stock alone: no derivative can be told apart.
    let text = backstitch_science::deep_xva::EXAMPLE.replacen("value = -0.5", "value = -1.0", 1);
    let text = text.replacen("value = 0.3", "value = 0.0", 1);
    let portfolio = Portfolio::from_toml(&text).unwrap();
    let parameters =
        Parameters { method: Method::LeastSquares, steps: 6, paths: 512, ..Parameters::default() };
    let found = DeepXva::new(parameters).unwrap().value(&portfolio).unwrap();
    let [alike, other] = &found.sets[..] else { panic!() };
    assert!(alike.sensitivities.iter().all(|of| of.adjustments[0].is_none()));
    assert!(other.sensitivities.iter().all(|of| of.adjustments[0].is_some()));
}
