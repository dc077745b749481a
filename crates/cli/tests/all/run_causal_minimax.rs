//! `run causal-minimax` on files.

use std::fmt::Write;

use crate::sandbox::Sandbox;
use crate::snapshot::session;

/// Two sites; y → m (turned by the site), y → x. The numbers come from a formula that is the same everywhere.
fn table(rows: usize) -> String {
    let mut text = "site,y,m,x\n".to_owned();
    for row in 0..rows {
        let wave = |step: usize| f64::from(u8::try_from((row * step + row * row) % 97).unwrap()) / 48.0 - 1.0;
        let site = f64::from(u8::try_from(row % 2).unwrap());
        let y = wave(31);
        let m = (2.0 * site - 0.5) * y + 0.2 * wave(17);
        let x = y + 0.5 * wave(53);
        writeln!(text, "{site},{y},{m},{x}").unwrap();
    }
    text
}

const GRAPH: &str = "from,to\nsite,m\ny,m\ny,x\n";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("table.csv", table(60));
    sandbox.write("graph.csv", GRAPH);
    sandbox
}

const FIT: [&str; 10] = [
    "run",
    "causal-minimax",
    "--data",
    "table.csv",
    "--target",
    "y",
    "--environment",
    "site",
    "--graph",
    "graph.csv",
];

#[test]
fn mistakes() {
    let sandbox = sandbox();
    sandbox.write("one.csv", "site,y,m,x\n1,2,3,4\n1,3,4,6\n1,5,6,7\n");
    sandbox.write("cycle.csv", "from,to\ny,x\nx,m\nm,y\n");
    sandbox.write("open.csv", "from,to\nsite,m\ny,x\nx,y\n");
    sandbox.write("onto.csv", "from,to\nsite,y\n");
    sandbox.write("into.csv", "from,to\ny,site\n");
    sandbox.write("unknown.csv", "from,to\nsite,z\n");
    sandbox.write("unknown.gml", "graph [ directed 1 node [ id 0 label \"z\" ] ]");
    sandbox.write("cut.gml", "graph [ directed 1");
    sandbox.write("model.json", "{}");
    sandbox.write("few.csv", table(4));
    let fit = |rest: &str| format!("run causal-minimax --data table.csv --environment site {rest}");
    let commands = [
        "run causal-minimax --help".to_owned(),
        "run causal-minimax".to_owned(),
        fit("--target z --graph graph.csv"),
        fit("--target site --graph graph.csv"),
        fit("--target y --graph cycle.csv"),
        fit("--target y --graph open.csv"),
        fit("--target y --graph onto.csv"),
        fit("--target y --graph into.csv"),
        fit("--target y --graph unknown.csv"),
        fit("--target y --graph unknown.gml"),
        fit("--target y --graph cut.gml"),
        fit("--target y --graph absent.gml"),
        fit("--target y --graph graph.csv --reach 0"),
        fit("--target y --graph graph.csv --classes 0"),
        fit("--target y --graph graph.csv --test one.csv --out"),
        fit("--target y --level 2"),
        "run causal-minimax --data one.csv --environment site --target y --graph graph.csv".to_owned(),
        "run causal-minimax --data few.csv --environment site --target y --graph graph.csv".to_owned(),
        "run causal-minimax --model model.json".to_owned(),
        "run causal-minimax --model model.json --test table.csv".to_owned(),
        "run causal-minimax --model absent.json --test table.csv".to_owned(),
    ];
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    session("run_causal_minimax", &sandbox, &[], &commands);
}

#[test]
fn a_fit_says_what_was_chosen_and_what_is_assumed() {
    let sandbox = sandbox();
    let outcome = sandbox.expect(0, &FIT);
    for part in
        ["chosen: x", "mutable: m", "stable: x", "the graph says", "graph: site→m", "assumed, and not tested"]
    {
        assert!(outcome.stdout.contains(part), "{part}: {outcome:?}");
    }
    let summary = sandbox.expect(0, &[&FIT[..], &["--json", "--search-always"]].concat()).json();
    assert_eq!(summary["whole_stable_set_is_optimal"], true);
    assert_eq!(summary["ranking"].as_array().unwrap().len(), 2);
    assert_eq!(summary["chosen"]["subset"][0], "x");
    assert!(summary["chosen"]["worst_case_risk"].as_f64().unwrap() < 0.8, "{summary}");
}

#[test]
fn a_saved_model_predicts_what_the_fit_predicted_whatever_the_order_of_columns() {
    let sandbox = sandbox();
    let out = ["--out", "model", "--test", "table.csv"];
    sandbox.expect(0, &[&FIT[..], &out].concat());
    assert_eq!(
        sandbox.entries("model"),
        ["edges.csv", "graph.svg", "model.json", "predictions.csv", "ranking.csv", "summary.json"]
    );
    assert_eq!(sandbox.read("model/edges.csv"), "from,to\nsite,m\ny,m\ny,x\n");
    let predict = ["run", "causal-minimax", "--model", "model/model.json", "--test"];
    let again = sandbox.expect(0, &[&predict[..], &["table.csv"]].concat());
    assert_eq!(again.stdout, sandbox.read("model/predictions.csv"));
    assert_eq!(again.stdout.lines().count(), 61);

    let turned: String = table(60)
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            format!("{},{}\n", fields[3], fields[2])
        })
        .collect();
    sandbox.write("turned.csv", turned);
    assert_eq!(sandbox.expect(0, &[&predict[..], &["turned.csv"]].concat()).stdout, again.stdout);

    sandbox.write("short.csv", "x,y\n1,2\n");
    let outcome = sandbox.expect(2, &[&predict[..], &["short.csv"]].concat());
    assert!(outcome.stderr.contains("no column \"m\""), "{outcome:?}");
    let json = sandbox.expect(0, &[&predict[..], &["table.csv", "--json"]].concat()).json();
    assert_eq!(json["predictions"].as_array().unwrap().len(), 60);
}

#[test]
fn gml_and_an_edge_list_give_the_same() {
    let sandbox = sandbox();
    sandbox.write(
        "graph.gml",
        "graph [ directed 1 node [ id 5 label \"site\" ] node [ id 1 label \"y\" ] node [ id 2 label \"m\" ] node [ id 3 label \"x\" ] \
         edge [ source 5 target 2 ] edge [ source 1 target 2 ] edge [ source 1 target 3 ] ]",
    );
    let first = sandbox.expect(0, &FIT);
    let gml: Vec<&str> =
        FIT.iter().map(|part| if *part == "graph.csv" { "graph.gml" } else { part }).collect();
    assert_eq!(sandbox.expect(0, &gml).stdout, first.stdout);
    assert_eq!(sandbox.expect(0, &[&FIT[..], &["--threads", "1"]].concat()).stdout, first.stdout);
}

/// Without a graph the pair y – x stays open; its two lines are written, and with one deleted the file is a graph.
#[test]
fn a_proposed_graph_is_completed_by_hand() {
    let sandbox = sandbox();
    sandbox.write("table.csv", table(400));
    let search = &FIT[..8];
    let outcome = sandbox.expect(2, search);
    assert!(outcome.stderr.contains("leaves the direction of \"y\" – \"x\" open"), "{outcome:?}");
    assert!(outcome.stderr.contains("hint: --propose FILE"), "{outcome:?}");
    sandbox.expect(0, &[search, &["--propose", "found.csv"]].concat());
    let found = sandbox.read("found.csv");
    assert_eq!(found, "from,to\nsite,m\ny,m\ny,x\nx,y\n");
    sandbox.write("completed.csv", found.replace("x,y\n", ""));
    let completed = sandbox.expect(0, &[search, &["--graph", "completed.csv"]].concat());
    assert_eq!(completed.stdout, sandbox.expect(0, &FIT).stdout);
}

/// Where the data leave nothing open, the graph is used, and a warning says that it is a guess.
#[test]
fn a_graph_that_was_found_is_called_a_guess() {
    let sandbox = sandbox();
    let without_x: String = table(400)
        .lines()
        .map(|line| line.rsplit_once(',').map_or(String::new(), |(head, _)| format!("{head}\n")))
        .collect();
    sandbox.write("table.csv", without_x);
    let outcome = sandbox.expect(0, &FIT[..8]);
    assert!(outcome.stderr.contains("warning: the graph was found by linear tests"), "{outcome:?}");
    assert!(outcome.stdout.contains("graph: site→m y→m"), "{outcome:?}");
}
