//! `run schedule-refinement` on files.

use crate::sandbox::{Sandbox, json_file};
use crate::snapshot::session;

/// Norms that start high, settle and are noisy, four digits each.
fn norms(seed: u64, count: usize) -> Vec<f64> {
    let mut stream = backstitch_numerics::Stream::new(seed, "gradient norms of the user's");
    let norm = |step: usize| {
        let level = 1.0 + 5.0 * (-(step as f64) / (0.1 * count as f64)).exp();
        (level * (0.3 * stream.normal()).exp() * 1e4).round() / 1e4
    };
    (0..count).map(norm).collect()
}

/// A table of two columns: steps and norms, as the functions make them of row and norm.
fn log(
    header: &str,
    count: usize,
    step: impl Fn(usize) -> usize,
    norm: impl Fn(usize, f64) -> String,
) -> String {
    let rows = norms(0, count).into_iter().enumerate();
    let lines = rows.map(|(row, value)| format!("{},{}\n", step(row), norm(row, value)));
    std::iter::once(format!("{header}\n")).chain(lines).collect()
}

#[test]
fn schedule_refinement() {
    let sandbox = Sandbox::new();
    let plain = |_: usize, norm: f64| norm.to_string();
    let at = |place: usize, text: &'static str| {
        move |row: usize, norm: f64| if row == place { text.to_owned() } else { norm.to_string() }
    };
    let same = |row: usize| row;
    sandbox.write("log.csv", log("step,grad_norm", 400, |row| 10 * row, plain));
    sandbox.write("l1.csv", log("Step,grad_l1_norm", 300, same, plain));
    sandbox.write("wandb.csv", log("Step,run - grad_norm", 200, same, plain));
    sandbox.write("restart.csv", log("step,grad_norm", 400, |row| row % 200, plain));
    sandbox.write("twice.csv", log("step,grad_norm", 200, |row| row - usize::from(row == 50), plain));
    sandbox.write("nan.csv", log("step,grad_norm", 200, same, at(7, "nan")));
    sandbox.write("inf.csv", log("step,grad_norm", 200, same, at(0, "inf")));
    sandbox.write("negative.csv", log("step,grad_norm", 200, same, at(7, "-1")));
    sandbox.write("zeros.csv", log("step,grad_norm", 200, same, |_, _| "0".into()));
    sandbox.write("tiny.csv", log("step,grad_norm", 200, same, at(7, "0")));
    sandbox.write("clipped.csv", log("step,grad_norm", 200, same, |_, norm| norm.min(1.0).to_string()));
    sandbox.write("short.csv", log("step,grad_norm", 5, same, plain));
    sandbox.write("gap.csv", log("step,grad_norm", 200, |row| row + if row < 90 { 0 } else { 400 }, plain));
    sandbox.write("unnamed.csv", log("step,value", 200, same, plain));
    sandbox.write("two.csv", log("l1_norm,l2_norm", 200, same, plain));
    sandbox.write("text.csv", "step,name,grad_norm\n1,run,2\n");
    sandbox.write("column.txt", norms(1, 120).iter().map(|norm| format!("{norm}\n")).collect::<String>());
    let line = |(step, norm): (usize, f64)| match step % 50 {
        0 => format!("{{\"step\":{step},\"eval_loss\":1.5}}\n"),
        _ => format!("{{\"step\":{step},\"grad_norm\":{norm}}}\n"),
    };
    sandbox.write("log.jsonl", norms(2, 250).into_iter().enumerate().map(line).collect::<String>());
    sandbox.write("words.jsonl", "{\"step\":1,\"grad_norm\":\"large\"}\n");
    sandbox.write("infinity.jsonl", "{\"step\":1,\"grad_norm\":Infinity}\n");
    sandbox.write("list.jsonl", "[1, 2]\n");
    sandbox.write("stepless.jsonl", "{\"step\":1,\"grad_norm\":1}\n{\"grad_norm\":1}\n");
    let commands = [
        "run schedule-refinement --help",
        "run schedule-refinement --gradient-norms log.csv --norm l2 --steps 4000 --out schedule",
        "run schedule-refinement --gradient-norms l1.csv --steps 8 --json",
        "run schedule-refinement --gradient-norms log.csv --gradient-norms log.jsonl --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms l1.csv --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms column.txt --column 0 --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms wandb.csv --norm l2 --steps 8",
        "run schedule-refinement --schedule linear --warm-up 0.25 --steps 8",
        "run schedule-refinement --schedule polynomial --power 2 --warm-up 0 --steps 4 --json",
        "run schedule-refinement --gradient-norms inf.csv --norm l2 --steps 4",
        "run schedule-refinement --gradient-norms tiny.csv --norm l2 --steps 4",
        "run schedule-refinement --gradient-norms clipped.csv --norm l2 --steps 4",
        "run schedule-refinement --gradient-norms gap.csv --norm l2 --steps 4",
        "run schedule-refinement --gradient-norms log.csv --steps 8",
        "run schedule-refinement --gradient-norms log.csv --norm l2",
        "run schedule-refinement --gradient-norms log.csv --norm l3 --steps 8",
        "run schedule-refinement --gradient-norms restart.csv --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms twice.csv --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms nan.csv --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms negative.csv --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms zeros.csv --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms short.csv --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms unnamed.csv --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms two.csv --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms two.csv --column l3_norm --steps 8",
        "run schedule-refinement --gradient-norms log.csv --step-column time --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms text.csv --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms words.jsonl --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms infinity.jsonl --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms list.jsonl --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms stepless.jsonl --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms log.jsonl --column loss --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms absent.csv --norm l2 --steps 8",
        "run schedule-refinement --gradient-norms log.csv --norm l2 --steps 1",
        "run schedule-refinement --gradient-norms log.csv --norm l2 --steps 8 --smoothing 0.5",
        "run schedule-refinement --gradient-norms log.csv --norm l2 --steps 8 --power 2",
        "run schedule-refinement --schedule linear --steps 8 --norm l2",
        "run schedule-refinement --schedule linear --steps 8 --warm-up 2",
        "run schedule-refinement --schedule polynomial --steps 8 --power -1",
        "run schedule-refinement --steps 8",
    ];
    session("run_schedule_refinement", &sandbox, &[], &commands);
    assert_eq!(
        sandbox.entries("schedule"),
        ["schedule.csv", "schedule.json", "schedule.svg", "summary.json"]
    );
    assert_eq!(sandbox.read("schedule/schedule.csv").lines().count(), 4001);
    let schedule = json_file(&sandbox.path("schedule/schedule.json"));
    let multipliers: Vec<f64> = serde_json::from_value(schedule["multipliers"].clone()).unwrap();
    assert_eq!((multipliers.len(), multipliers[3999]), (4000, 0.0));
    let of_csv = sandbox.read("schedule/schedule.csv");
    for (step, (line, multiplier)) in of_csv.lines().skip(1).zip(&multipliers).enumerate() {
        assert_eq!(line, format!("{step},{multiplier}"));
    }
    let summary = json_file(&sandbox.path("schedule/summary.json"));
    let total = summary["same_total"].as_f64().unwrap() * multipliers.iter().sum::<f64>();
    assert!((total - 2000.5).abs() < 1e-6, "{total}");
    assert!(sandbox.read("schedule/schedule.svg").ends_with("</svg>\n"));
}

#[test]
fn other_threads_give_the_same_schedule() {
    let sandbox = Sandbox::new();
    sandbox.write("log.csv", log("step,grad_norm", 30_000, |row| row, |_, norm| norm.to_string()));
    let schedule = |threads: &str, out: &str| {
        let arguments =
            ["run", "schedule-refinement", "--gradient-norms", "log.csv", "--norm", "l2", "--steps", "500"];
        sandbox.expect(0, &[&arguments[..], &["--threads", threads, "--out", out]].concat());
        sandbox.read(&format!("{out}/schedule.csv"))
    };
    assert_eq!(schedule("1", "one"), schedule("3", "three"));
}
