//! Every way from observations to a verdict.

use backstitch_claim::{Claim, Effect, Precondition, Statistic, Verdict};

use crate::toy::{CLAIM, evidence, verdict};

const OURS: [f64; 5] = [1.0, 1.1, 0.9, 1.0, 1.05];
const BASELINE: [f64; 5] = [3.0, 3.1, 2.8, 3.2, 2.9];
const SABOTAGED: [f64; 5] = [5.0, 5.2, 4.9, 5.1, 5.0];

#[test]
fn a_clear_improvement_holds() {
    let judged = verdict(CLAIM, &evidence(&OURS, &BASELINE, &SABOTAGED));
    assert_eq!((judged.verdict, judged.reason), (Verdict::Holds, None));
    assert_eq!((judged.control.verdict, judged.control.as_expected), (Verdict::Fails, Some(true)));
    // Differences 2, 2, 1.9, 2.2, 1.85: mean 1.99, standard deviation 0.13416, t(4) = 2.77645.
    assert!((judged.estimate.unwrap() - 1.99).abs() < 1e-12);
    assert!((judged.lower.unwrap() - (1.99 - 2.776_445_105 * 0.134_164_079 / 5_f64.sqrt())).abs() < 1e-6);
}

#[test]
fn an_improvement_below_the_margin_fails_and_says_so() {
    let judged = verdict(Claim { margin: 5.0, ..CLAIM }, &evidence(&OURS, &BASELINE, &SABOTAGED));
    assert_eq!(judged.verdict, Verdict::Fails);
    assert_eq!(judged.reason.unwrap(), "an effect is there, but below the margin");
}

#[test]
fn no_improvement_fails_and_says_so() {
    let judged = verdict(CLAIM, &evidence(&[4.0, 4.1, 4.0, 3.9, 4.0], &BASELINE, &SABOTAGED));
    assert_eq!(
        (judged.verdict, judged.reason.as_deref()),
        (Verdict::Fails, Some("no effect in the claimed direction"))
    );
}

#[test]
fn a_wide_interval_is_inconclusive() {
    let judged = verdict(CLAIM, &evidence(&[1.0, 5.0, 0.0, 3.0, 2.0], &BASELINE, &SABOTAGED));
    assert_eq!(judged.verdict, Verdict::Inconclusive);
}

#[test]
fn a_control_that_does_not_fail_makes_it_vacuous() {
    let judged = verdict(CLAIM, &evidence(&OURS, &BASELINE, &OURS));
    assert_eq!((judged.verdict, judged.control.as_expected), (Verdict::Vacuous, Some(false)));
    let unsure = verdict(CLAIM, &evidence(&OURS, &BASELINE, &[1.0, 4.0, 2.0, 3.0, 3.0]));
    assert_eq!((unsure.verdict, unsure.control.verdict), (Verdict::Vacuous, Verdict::Inconclusive));
}

#[test]
fn a_precondition_that_fails_makes_it_vacuous() {
    let learned = |at_least| Precondition {
        sentence: "the baseline learns",
        arm: "baseline",
        effect: Effect::Below { metric: "loss", bound: 10.0 },
        at_least,
    };
    let given = |at_least| {
        verdict(
            Claim { precondition: Some(learned(at_least)), ..CLAIM },
            &evidence(&OURS, &BASELINE, &SABOTAGED),
        )
    };
    assert_eq!(given(6.9).verdict, Verdict::Holds);
    assert_eq!((given(7.1).verdict, given(7.1).precondition.unwrap().holds), (Verdict::Vacuous, Some(false)));
}

#[test]
fn a_missing_cell_means_not_run() {
    let mut evidence = evidence(&OURS, &BASELINE, &SABOTAGED);
    evidence.missing.insert("baseline.easy.3".into(), "needs the data set `x`; get it".into());
    let judged = verdict(CLAIM, &evidence);
    assert_eq!(
        (judged.verdict, judged.reason.as_deref()),
        (Verdict::NotRun, Some("needs the data set `x`; get it"))
    );
    assert_eq!(judged.control.as_expected, None);
}

#[test]
fn nothing_is_dropped_when_a_cell_diverges() {
    let mut diverged = OURS;
    diverged[2] = f64::NAN;
    let judged = verdict(CLAIM, &evidence(&diverged, &BASELINE, &SABOTAGED));
    assert_eq!(
        judged.verdict,
        Verdict::Fails,
        "an unbounded metric of a diverged method counts as infinitely bad"
    );

    // With a bounded metric it counts as the worst value: 0 accuracy.
    let accuracy = Claim {
        effect: Effect::Above { metric: "accuracy", bound: 0.0 },
        margin: 0.0,
        statistic: Statistic::PairedT,
        ..CLAIM
    };
    let judged = verdict(accuracy, &evidence(&diverged, &BASELINE, &SABOTAGED));
    assert!((judged.estimate.unwrap() - (1.0 + 1.1 + 0.0 + 1.0 + 1.05) / 5.0).abs() < 1e-12);

    let mut diverged = BASELINE;
    diverged[0] = f64::NAN;
    let judged = verdict(CLAIM, &evidence(&OURS, &diverged, &SABOTAGED));
    assert_eq!(
        (judged.verdict, judged.reason.as_deref()),
        (Verdict::Vacuous, Some("`baseline.easy.0` diverged"))
    );
    let mut diverged = SABOTAGED;
    diverged[4] = f64::NAN;
    assert_eq!(verdict(CLAIM, &evidence(&OURS, &BASELINE, &diverged)).verdict, Verdict::Vacuous);
}

#[test]
fn an_identity_is_broken_by_one_residual() {
    let identity = Claim {
        effect: Effect::Above { metric: "loss", bound: 0.0 },
        statistic: Statistic::Identity { tolerance: 1e-6 },
        ..CLAIM
    };
    let small = [1e-9, -1e-8, 0.0, 0.0, 1e-10];
    let judged = verdict(identity, &evidence(&small, &BASELINE, &SABOTAGED));
    assert_eq!((judged.verdict, judged.estimate, judged.margin), (Verdict::Holds, Some(1e-8), 1e-6));
    let judged = verdict(identity, &evidence(&[0.0, 0.0, -1e-5, 0.0, 0.0], &BASELINE, &SABOTAGED));
    assert_eq!(judged.verdict, Verdict::Fails);
    let judged = verdict(identity, &evidence(&small, &BASELINE, &[0.0; 5]));
    assert_eq!(judged.verdict, Verdict::Vacuous, "a mutation that breaks nothing");
}

#[test]
fn a_share_of_runs_is_judged_exactly() {
    let share = |margin| Claim { statistic: Statistic::ExactBinomial { at_least: 0.0 }, margin, ..CLAIM };
    let evidence = evidence(&OURS, &BASELINE, &SABOTAGED);
    // Five of five: Clopper–Pearson from 0.025^(1/5) = 0.4782 to 1.
    let judged = verdict(share(0.47), &evidence);
    assert_eq!((judged.verdict, judged.estimate, judged.upper), (Verdict::Vacuous, Some(1.0), Some(1.0)));
    assert!((judged.lower.unwrap() - 0.025_f64.powf(0.2)).abs() < 1e-9);
    // The control, none of five, reaches up to 1 − 0.4782 = 0.5218, so 0.47 cannot exclude it, but 0.6 can.
    assert_eq!(verdict(share(0.6), &evidence).verdict, Verdict::Inconclusive);
}

#[test]
fn effects_have_the_direction_of_their_metric() {
    let higher = Claim { effect: Effect::Improvement { metric: "accuracy", over: "baseline" }, ..CLAIM };
    // Accuracy 1 against 3: worse by 2.
    let judged = verdict(higher, &evidence(&OURS, &BASELINE, &[0.0; 5]));
    assert!((judged.estimate.unwrap() + 1.99).abs() < 1e-12);
    assert_eq!(judged.effect, "accuracy(ours) − accuracy(baseline)");
}

#[test]
fn a_slope_needs_no_more_than_its_settings() {
    // One setting has no slope: the claim cannot be judged, and says why.
    let slope = Claim { statistic: Statistic::Slope { x: &[1.0] }, ..CLAIM };
    let judged = verdict(slope, &evidence(&OURS, &BASELINE, &SABOTAGED));
    assert_eq!(judged.verdict, Verdict::Vacuous);
    assert!(judged.reason.is_some());
}
