//! Learning-rate schedules at their ends and in between.

use backstitch_nn::Schedule;

#[test]
fn schedules_warm_up_and_end_where_they_say() {
    let cosine = Schedule::Cosine { warm_up: 0.1, last: 0.2 };
    let linear = Schedule::Linear { warm_up: 0.1, last: 0.2 };
    for schedule in [cosine, linear] {
        assert!((schedule.factor(1, 100) - 1.0 / 11.0).abs() < 1e-12);
        assert!((schedule.factor(11, 100) - 1.0).abs() < 1e-12);
        assert!((schedule.factor(100, 100) - 0.2).abs() < 1e-12);
        assert!((1..100).all(|step| {
            let falls = schedule.factor(step + 1, 100) <= schedule.factor(step, 100);
            falls == (step >= 11)
        }));
    }
    let middle = |schedule: Schedule| schedule.factor(51, 101);
    assert!((middle(Schedule::Cosine { warm_up: 0.0, last: 0.0 }) - 0.5).abs() < 1e-12);
    assert!((middle(Schedule::Linear { warm_up: 0.0, last: 0.0 }) - 0.5).abs() < 1e-12);
    assert_eq!(Schedule::Constant.factor(1, 10), 1.0);
    assert_eq!(Schedule::WarmUp { warm_up: 0.5 }.factor(9, 10), 1.0);
}

#[test]
fn short_runs_have_no_division_by_zero() {
    for steps in 1..4 {
        for step in 1..=steps {
            let factor = Schedule::Cosine { warm_up: 0.5, last: 0.1 }.factor(step, steps);
            assert!(factor > 0.0 && factor <= 1.0, "{step} of {steps}: {factor}");
        }
    }
}

#[test]
fn shares_out_of_range_are_named() {
    let error = Schedule::Linear { warm_up: 1.5, last: 0.0 }.validate().unwrap_err();
    assert!(error.to_string().contains("warm_up is 1.5"));
}
