//! Degenerate and wrong inputs: an error that says what, never a panic.

use backstitch_statistics::Error;
use backstitch_statistics::continual_dp::{
    ContinualDp, Key, MaxMechanism, MaxParameters, MaxSum, Mechanism, Neighbours, Parameters, Privacy, Query,
    Release, Row, State,
};
use proptest::prelude::*;

fn refused(parameters: Parameters) -> &'static str {
    match ContinualDp::new(parameters) {
        Err(Error::Parameter { name, .. }) => name,
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_parameters_are_named() {
    let base = Parameters::default();
    let approximate = |epsilon, delta| Privacy::Approximate { epsilon, delta };
    assert_eq!(refused(Parameters { horizon: 0, ..base.clone() }), "horizon");
    assert_eq!(refused(Parameters { columns: 0, ..base.clone() }), "columns");
    assert_eq!(refused(Parameters { columns: 2, ..base.clone() }), "columns");
    assert_eq!(refused(Parameters { bound: f64::NAN, ..base.clone() }), "bound");
    assert_eq!(refused(Parameters { bound: 0.0, ..base.clone() }), "bound");
    assert_eq!(refused(Parameters { neighbours: Neighbours::User(0), ..base.clone() }), "neighbours");
    assert_eq!(refused(Parameters { privacy: approximate(-1.0, 1e-6), ..base.clone() }), "epsilon");
    assert_eq!(refused(Parameters { privacy: approximate(f64::INFINITY, 1e-6), ..base.clone() }), "epsilon");
    assert_eq!(refused(Parameters { privacy: approximate(1.0, 0.0), ..base.clone() }), "delta");
    assert_eq!(refused(Parameters { privacy: approximate(1.0, 1.0), ..base.clone() }), "delta");
    assert_eq!(refused(Parameters { privacy: approximate(1.0, 1e-18), ..base.clone() }), "delta");
    assert_eq!(refused(Parameters { privacy: Privacy::Concentrated { rho: 0.0 }, ..base.clone() }), "rho");
    assert_eq!(refused(Parameters { privacy: Privacy::Pure { epsilon: 1.0 }, ..base.clone() }), "privacy");
    assert_eq!(
        refused(Parameters { query: Query::Histogram, columns: 3, bound: 2.0, ..base.clone() }),
        "bound"
    );
    assert_eq!(refused(Parameters { bound: 1e300, ..base }), "the noise");
}

#[test]
fn the_row_after_the_horizon_is_refused() {
    let parameters = Parameters { horizon: 3, ..Parameters::default() };
    let mut release = ContinualDp::new(parameters).unwrap().start(Key::from_seed(0));
    for _ in 0..3 {
        release.push(&[1.0]).unwrap();
    }
    let error = release.push(&[1.0]).unwrap_err();
    assert_eq!(error, Error::Horizon { horizon: 3 });
    assert!(error.to_string().starts_with("horizon 3 exhausted"), "{error}");
    assert_eq!(Release::resume(release.state()).unwrap().push(&[0.0]), Err(Error::Horizon { horizon: 3 }));
}

#[test]
fn wrong_rows_are_named_and_change_nothing() {
    let parameters = Parameters { query: Query::Histogram, columns: 3, ..Parameters::default() };
    let mut release = ContinualDp::new(parameters).unwrap().start(Key::from_seed(0));
    release.push(&[0.0, 1.0, 0.0]).unwrap();
    let before = release.state();
    assert!(matches!(release.push(&[1.0]), Err(Error::Shape { .. })));
    assert!(matches!(release.push(&[0.0, f64::NAN, 0.0]), Err(Error::Entry { row: 2, column: 1, .. })));
    assert!(matches!(release.push(&[0.0, -1.0, 0.0]), Err(Error::Entry { row: 2, column: 1, .. })));
    assert!(matches!(release.push(&[0.0, 0.5, 0.0]), Err(Error::Category { row: 2, column: 1, .. })));
    assert!(matches!(release.push(&[1.0, 1.0, 0.0]), Err(Error::Category { row: 2, column: 1, .. })));
    assert_eq!(release.state(), before);
    release.push(&[0.0, 0.0, 0.0]).unwrap();
}

#[test]
fn a_horizon_of_one_row_works_everywhere() {
    for mechanism in
        [Mechanism::Tree, Mechanism::Honaker, Mechanism::SquareRoot, Mechanism::NormalisedSquareRoot]
    {
        let parameters = Parameters { mechanism, horizon: 1, ..Parameters::default() };
        let mut release = ContinualDp::new(parameters).unwrap().start(Key::from_seed(0));
        assert!(release.push(&[1.0]).unwrap().values[0].is_finite());
        assert!(release.push(&[1.0]).is_err());
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused() {
    let release = ContinualDp::new(Parameters::default()).unwrap().start(Key::from_seed(0));
    let state = serde_json::to_value(release.state()).unwrap();
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = state.clone();
        change(&mut changed);
        match serde_json::from_value::<State>(changed) {
            Ok(state) => Release::resume(state).is_err(),
            Err(_) => true,
        }
    };
    assert!(!refused(&|_| ()));
    assert!(refused(&|state| state["steps"] = 65_537.into()));
    assert!(refused(&|state| state["parameters"]["mechanism"] = "tree".into()));
    assert!(refused(&|state| state["parameters"]["horizon"] = 4.into()));
    assert!(refused(&|state| state["parameters"]["bound"] = (-1.0).into()));
}

#[test]
fn the_maximum_refuses_what_is_not_a_row() {
    let parameters = MaxParameters {
        columns: 2,
        horizon: 1,
        privacy: Privacy::Concentrated { rho: 0.5 },
        neighbours: Neighbours::Event,
        mechanism: MaxMechanism::Recompute,
        interval: None,
        select: false,
    };
    let mut release = MaxSum::new(parameters.clone(), Key::from_seed(0)).unwrap();
    assert!(matches!(release.push(Row::Dense(&[true])), Err(Error::Shape { .. })));
    assert!(matches!(release.push(Row::Ones(&[2])), Err(Error::Shape { .. })));
    assert!(matches!(release.push(Row::Zeros(&[9])), Err(Error::Shape { .. })));
    release.push(Row::Ones(&[])).unwrap();
    assert_eq!(release.push(Row::Ones(&[])), Err(Error::Horizon { horizon: 1 }));
    let wrong = MaxParameters { interval: Some(0), ..parameters };
    assert!(matches!(MaxSum::new(wrong, Key::from_seed(0)), Err(Error::Parameter { name: "interval", .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_accepted_plan_meets_its_demand(
        horizon in 1_usize..2_000_000, columns in 1_usize..50, bound in 0.001_f64..1e6, epsilon in 0.01_f64..20.0,
        mechanism in 0_usize..4,
    ) {
        let mechanism = [Mechanism::Tree, Mechanism::Honaker, Mechanism::SquareRoot, Mechanism::NormalisedSquareRoot][mechanism];
        let parameters = Parameters {
            query: Query::Sum, columns, bound, mechanism, horizon,
            privacy: Privacy::Approximate { epsilon, delta: 1e-4 }, neighbours: Neighbours::Event,
        };
        if let Ok(plan) = parameters.plan() {
            prop_assert!(plan.epsilon(1e-4, parameters.draws()) <= epsilon * (1.0 + 1e-6));
            // Rounding and floating point cost little.
            prop_assert!(plan.scale >= 1 << 29);
        }
    }
}
