//! A study small enough to know every answer.

use backstitch_claim::context::Measurement;
use backstitch_claim::judge::{Evidence, Judgement, check_declarations, judge};
use backstitch_claim::{
    Arm, Better, Cell, CellContext, CellError, Claim, Effect, Metric, Observation, Precondition, Role, Scale,
    Scope, Statistic, Study,
};
use serde_json::{Value, json};

pub(crate) const CLAIM: Claim = Claim {
    id: "better",
    sentence: "ours has a lower loss",
    source: "Table 1",
    published: None,
    scope: Scope::Reduced,
    subject: "ours",
    effect: Effect::Improvement { metric: "loss", over: "baseline" },
    margin: 0.5,
    statistic: Statistic::PairedT,
    settings: &["easy"],
    precondition: None,
    control: "sabotaged",
    own_data: false,
};

pub(crate) const STUDY: Study = Study {
    method: "topo",
    history: &["first"],
    arms: &[
        Arm { name: "ours", role: Role::Method, description: "" },
        Arm { name: "baseline", role: Role::Baseline, description: "" },
        Arm { name: "sabotaged", role: Role::Control, description: "" },
    ],
    metrics: &[
        Metric { name: "loss", description: "", better: Better::Lower, worst: None },
        Metric { name: "accuracy", description: "", better: Better::Higher, worst: Some(0.0) },
    ],
    claims: &[CLAIM],
    seeds: 5,
    data: &["toy-set"],
    configuration: |scale| json!({"size": if scale == Scale::Paper { 100 } else { 10 }, "nested": {"rate": 0.1}}),
    cells: |_, seeds| {
        let arms = ["ours", "baseline", "sabotaged"];
        Ok(arms.iter().flat_map(|arm| seeds.iter().map(|&seed| Cell::new(arm, "easy", seed))).collect())
    },
    run,
};

fn run(cell: &Cell, context: &mut CellContext<'_>) -> Result<(), CellError> {
    let configuration: Value = context.configuration()?;
    if configuration["size"] == 13 {
        return Err(CellError::new("13 is an unlucky size"));
    }
    let level = match cell.arm.as_str() {
        "ours" => 1.0,
        "baseline" => 3.0,
        _ => 5.0,
    };
    context.record_data("draws", &cell.seed.to_le_bytes(), true);
    context.artifact("level.txt", level.to_string().as_bytes())?;
    context.observe("loss", level + 0.1 * (cell.seed % 3) as f64);
    Ok(())
}

/// Losses per arm and seed; NaN stands for a diverged cell.
pub(crate) fn evidence(ours: &[f64], baseline: &[f64], sabotaged: &[f64]) -> Evidence {
    let mut evidence = Evidence::default();
    for (arm, role, values) in [
        ("ours", Role::Method, ours),
        ("baseline", Role::Baseline, baseline),
        ("sabotaged", Role::Control, sabotaged),
    ] {
        for (seed, &value) in values.iter().enumerate() {
            for metric in ["loss", "accuracy"] {
                evidence.observations.push(Observation {
                    cell: Cell::new(arm, "easy", seed as u64).id(),
                    arm: arm.into(),
                    role,
                    seed: seed as u64,
                    setting: "easy".into(),
                    measurement: Measurement {
                        metric: metric.into(),
                        item: None,
                        value: value.is_finite().then_some(value),
                        status: (!value.is_finite()).then(|| "diverged".into()),
                    },
                });
            }
        }
    }
    evidence
}

/// The judgement of one claim on such evidence.
pub(crate) fn verdict(claim: Claim, evidence: &Evidence) -> Judgement {
    let seeds: Vec<u64> = (0..5).collect();
    let cells = (STUDY.cells)(&Value::Null, &seeds).unwrap();
    judge(&STUDY, &[claim], &cells, &seeds, evidence).remove(0)
}

#[test]
fn the_toy_is_a_proper_study() {
    assert_eq!(check_declarations(&STUDY), Vec::<String>::new());
}

#[test]
fn improper_declarations_are_named() {
    const BAD: &[Claim] = &[
        Claim { control: "baseline", ..CLAIM },
        Claim { id: "itself", control: "ours", ..CLAIM },
        Claim {
            id: "unknown",
            effect: Effect::Above { metric: "speed", bound: 0.0 },
            subject: "nobody",
            ..CLAIM
        },
        Claim { id: "slope", statistic: Statistic::Slope { x: &[1.0, 2.0] }, ..CLAIM },
        Claim {
            id: "nowhere",
            settings: &[],
            precondition: Some(Precondition {
                sentence: "it trains",
                arm: "ours",
                effect: Effect::Above { metric: "loss", bound: 0.0 },
                at_least: 0.0,
            }),
            ..CLAIM
        },
    ];
    let study = Study { claims: BAD, seeds: 3, ..STUDY };
    let problems = check_declarations(&study).join("\n");
    for expected in [
        "is not a control",
        "its own control",
        "unknown metric",
        "unknown arm",
        "2 abscissae",
        "no setting",
        "3 seeds",
    ] {
        assert!(problems.contains(expected), "{expected} is not in\n{problems}");
    }
}
