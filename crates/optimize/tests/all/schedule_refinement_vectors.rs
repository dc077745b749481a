//! Schedule refinement against scipy, torch, transformers and optax (`peers/schedule_refinement_vectors.py` made the file).

use backstitch_optimize::schedule_refinement::{
    GradientLog, Norm, Parameters, Schedule, ScheduleRefinement, best_steps, bound_of_steps, median_filter,
};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/schedule-refinement.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn apart(one: &[f64], other: &[f64]) -> f64 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).fold(0.0, |most: f64, (x, y)| most.max((x - y).abs()))
}

#[test]
fn refinements_are_those_of_scipy_and_numpy() {
    let vectors = vectors();
    let cases = vectors["refinements"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let norms = numbers(&case["norms"]);
        let log = GradientLog::new(&norms).unwrap();
        assert_eq!(log.norms(), norms);
        let variants = case["variants"].as_array().unwrap();
        assert_eq!(variants.len(), 4);
        for variant in variants {
            let norm = if variant["power"] == 1 { Norm::L1 } else { Norm::L2 };
            let parameters = Parameters { norm, smoothing: variant["smoothing"].as_f64().unwrap() };
            let refined = ScheduleRefinement::new(parameters).unwrap().refine(&log).unwrap();
            assert_eq!(refined.window as u64, variant["window"]);
            // Medians are elements: equal to the last bit.
            assert_eq!(refined.smoothed, numbers(&variant["smoothed"]), "{}", case["name"]);
            assert_eq!(refined.smoothed, median_filter(&norms, refined.window).unwrap());
            let gap = apart(&refined.multipliers, &numbers(&variant["multipliers"]));
            assert!(gap < 1e-13, "{}: {gap}", case["name"]);
        }
    }
}

#[test]
fn the_sharper_bound_and_its_minimum_are_those_of_scipy() {
    let vectors = vectors();
    let cases = vectors["bounds"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let norms = numbers(&case["norms"]);
        let distance = case["distance"].as_f64().unwrap();
        let bound = |steps: &[f64]| bound_of_steps(steps, &norms, distance).unwrap();
        let at_start = case["bound_at_start"].as_f64().unwrap();
        assert!((bound(&numbers(&case["start"])) / at_start - 1.0).abs() < 1e-13);
        let least = case["bound"].as_f64().unwrap();
        assert!((bound(&numbers(&case["steps"])) / least - 1.0).abs() < 1e-13);
        let ours = best_steps(&norms, distance).unwrap();
        assert!((bound(&ours) / least - 1.0).abs() < 1e-6, "{} {least}", bound(&ours));
    }
}

#[test]
fn usual_schedules_are_those_of_torch_transformers_and_optax() {
    let vectors = vectors();
    let cases = vectors["schedules"].as_array().unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let schedule = match case["schedule"].as_str().unwrap() {
            "linear" => Schedule::Linear,
            "cosine" => Schedule::Cosine,
            "polynomial" => Schedule::Polynomial { power: 2.5 },
            "stepwise" => Schedule::thirty_sixty_ninety(),
            "inverse-square-root" => Schedule::InverseSquareRoot { rate: 19.0 },
            other => panic!("{other}"),
        };
        let theirs = numbers(&case["multipliers"]);
        let rise = case["warm_up"].as_u64().unwrap() as usize;
        let ours = schedule.multipliers(theirs.len(), rise as f64 / theirs.len() as f64).unwrap();
        // Theirs begin the warm-up with a step of 0; ours ends it with a step at the peak.
        let gap = apart(&ours[..rise], &theirs[1..=rise]).max(apart(&ours[rise..], &theirs[rise..]));
        let same = if case["source"] == "optax" { 1e-6 } else { 1e-12 };
        assert!(gap < same, "{} {}: {gap}", case["source"], case["schedule"]);
    }
}
