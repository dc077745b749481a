//! `run continual-dp` and `run exact-permutations` on files.

use crate::sandbox::Sandbox;
use crate::snapshot::session;

#[test]
fn exact_permutations() {
    let sandbox = Sandbox::new();
    sandbox.write("ragged.csv", "1,0,1\n1,1\n");
    let commands = [
        "run exact-permutations --help",
        "run exact-permutations --length 8 --confidence 0.99",
        "run exact-permutations --length 0",
        "run exact-permutations --length 8 --confidence 2",
        "run exact-permutations --length 3 --inputs ragged.csv",
        "run exact-permutations --length 3 --inputs absent.csv",
    ];
    session("run_exact_permutations", &sandbox, &[], &commands);
}

#[test]
fn continual_dp_mistakes() {
    let sandbox = Sandbox::new();
    sandbox.write("words.csv", "visits\n1\nmany\n");
    let commands = [
        "run continual-dp --help",
        "run continual-dp --horizon 10 --data words.csv",
        "run continual-dp --horizon 10 --epsilon 1 --delta 2 --data words.csv",
        "run continual-dp --horizon 10 --epsilon -1 --delta 1e-6 --data words.csv",
        "run continual-dp --horizon 10 --epsilon 1 --delta 1e-6 --data absent.csv",
    ];
    session("run_continual_dp", &sandbox, &[], &commands);
}

/// The numbers are random; their count, their order and the horizon are not.
#[test]
fn continual_dp_answers_every_row_until_the_horizon() {
    let sandbox = Sandbox::new();
    let rows = |count: usize| format!("visits\n{}", "1\n".repeat(count));
    let run = |file: &str| {
        let arguments =
            ["run", "continual-dp", "--epsilon", "1", "--delta", "1e-6", "--horizon", "50", "--data", file];
        sandbox.run(&arguments)
    };
    sandbox.write("fits.csv", rows(50));
    let outcome = run("fits.csv");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(outcome.stdout.lines().count(), 51, "a header and a line per row: {outcome:?}");
    assert_ne!(run("fits.csv").stdout, outcome.stdout, "two runs must not share their noise");

    sandbox.write("long.csv", rows(51));
    let outcome = run("long.csv");
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("horizon"), "{outcome:?}");
}

/// A crash neither loses nor repeats noise: continued from its state, the second half is counted on.
#[test]
fn continual_dp_continues_from_its_state() {
    let sandbox = Sandbox::new();
    sandbox.write("first.csv", format!("visits\n{}", "1\n".repeat(20)));
    sandbox.write("second.csv", format!("visits\n{}", "1\n".repeat(20)));
    let half = |file: &str| {
        let arguments =
            ["run", "continual-dp", "--rho", "0.5", "--horizon", "40", "--state", "kept", "--data", file];
        sandbox.run(&arguments)
    };
    let (first, second) = (half("first.csv"), half("second.csv"));
    assert_eq!((first.code, second.code), (Some(0), Some(0)), "{first:?} {second:?}");
    assert!(first.stdout.lines().last().unwrap().starts_with("20,"), "{first:?}");
    assert!(second.stdout.lines().last().unwrap().starts_with("40,"), "{second:?}");
    assert_eq!(half("second.csv").code, Some(2), "the horizon is spent");
}
