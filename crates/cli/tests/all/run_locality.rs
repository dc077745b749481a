//! `run locality` on nets and tables.

use std::fmt::Write;

use crate::sandbox::Sandbox;
use crate::snapshot::session;

/// A chain A → B → C in which every variable says almost all about the next.
const NET: &str = r#"{"name": "A", "rows": [[0.5]]}
{"name": "B", "parents": ["A"], "rows": [[0, 0.1], [1, 0.9]]}
{"name": "C", "parents": ["B"], "rows": [[0, 0.1], [1, 0.9]]}
"#;

/// Every combination of two variables that agree nine times in ten.
fn table() -> String {
    let mut text = String::from("A,B\n");
    for (row, count) in [("0,0", 45), ("1,1", 45), ("0,1", 5), ("1,0", 5)] {
        (0..count).for_each(|_| writeln!(text, "{row}").unwrap());
    }
    text
}

#[test]
fn locality_and_its_mistakes() {
    let sandbox = Sandbox::new();
    sandbox.write("net.jsonl", NET);
    sandbox.write("table.csv", table());
    sandbox.write("tenths.csv", "A,B\n0,1\n1,0.5\n");
    sandbox.write(
        "cycle.jsonl",
        NET.replace(
            "\"A\", \"rows\": [[0.5]]",
            "\"A\", \"parents\": [\"C\"], \"rows\": [[0, 0.1], [1, 0.9]]",
        ),
    );
    sandbox.write("empty.jsonl", "");
    std::fs::create_dir(sandbox.path("other")).unwrap();
    sandbox.write("other/locality.json", "{}");
    let commands = [
        "run locality --help",
        "run locality fit --help",
        "run locality gap --help",
        "run locality",
        "run locality net --variables 3 --edges 2",
        "run locality net --variables 1",
        "run locality generate --net net.jsonl --samples 3 --pair A,C",
        "run locality generate --data table.csv --hold-out 0 --out text --json",
        "run locality generate",
        "run locality generate --net net.jsonl --data table.csv",
        "run locality generate --net cycle.jsonl",
        "run locality generate --net empty.jsonl",
        "run locality generate --net absent.jsonl",
        "run locality generate --data tenths.csv",
        "run locality generate --net net.jsonl --pair A,Z",
        "run locality generate --net net.jsonl --pair A,A",
        "run locality generate --net net.jsonl --pair AC",
        "run locality generate --net net.jsonl --drop 1.5",
        "run locality generate --net net.jsonl --samples 0",
        "run locality generate --net net.jsonl --hold-out 9",
        "run locality fit --net net.jsonl --out model --heads 3",
        "run locality fit --net net.jsonl --out model --learning-rate -1",
        "run locality gap --model absent",
        "run locality gap --model other",
    ];
    session("run_locality", &sandbox, &[], &commands);
    assert!(!sandbox.path("model").exists(), "nothing is written after a mistake");
    assert_eq!(sandbox.entries("text"), ["held-out.csv", "net.jsonl", "samples.txt"]);
}

/// A decoder fitted to a chain is a folder that `estimate` and `gap` can ask, and both token kinds are read back.
#[test]
fn a_fitted_decoder_can_be_asked() {
    let sandbox = Sandbox::new();
    sandbox.write("net.jsonl", NET);
    let fit = "run locality fit --net net.jsonl --pair A,C --samples 20000 --steps 1000 --batch 32 --width 16 --layers 1 --heads 2";
    for (values, shape) in [("own", "gpt2"), ("shared", "llama")] {
        let more = format!(" --values {values} --shape {shape} --learning-rate 0.01 --out {values} --json");
        let command = format!("{fit}{more}");
        let words: Vec<&str> = command.split(' ').collect();
        let fitted = sandbox.expect(0, &words).json();
        assert_eq!(fitted["held_out"], 1, "{fitted}");
        assert_eq!(sandbox.entries(values), ["config.json", "locality.json", "model.safetensors"]);
        let asked = sandbox.expect(0, &["run", "locality", "estimate", "--model", values, "--json"]).json();
        let queries = asked["queries"].as_array().unwrap();
        assert_eq!(queries.len(), 4);
        for query in queries {
            assert_eq!(query["scaffold"].as_array().unwrap().len(), 1, "{query}");
            let truth = query["truth"].as_f64().unwrap();
            assert!((truth - 0.18).abs() < 1e-9 || (truth - 0.82).abs() < 1e-9, "{query}");
        }
        let gap = sandbox.expect(0, &["run", "locality", "gap", "--model", values, "--json"]).json();
        let routes: Vec<&str> =
            gap["rows"].as_array().unwrap().iter().map(|row| row["route"].as_str().unwrap()).collect();
        assert_eq!(routes, ["marginal", "direct", "scaffolded", "free", "negative"]);
    }
    // Own tokens are learned in these steps: going through B is near the truth, and nearer than the marginal.
    let gap = sandbox.expect(0, &["run", "locality", "gap", "--model", "own", "--json"]).json();
    let error = |row: usize| gap["rows"][row]["to_truth"].as_f64().unwrap();
    assert!(error(2) < 0.2 * error(0), "{gap}");

    // One query of one's own, and mistakes in asking.
    let one = ["run", "locality", "estimate", "--model", "own", "--target", "B", "--given"];
    let asked = sandbox.expect(0, &[&one[..], &["A=1", "--json"]].concat()).json();
    let query = &asked["queries"][0];
    assert!((query["direct"].as_f64().unwrap() - 0.9).abs() < 0.1, "{query}");
    for (given, part) in [("B=1", "both \"B\""), ("Z=1", "no variable \"Z\""), ("A=2", "0 or 1")] {
        let outcome = sandbox.expect(2, &[&one[..], &[given]].concat());
        assert!(outcome.stderr.contains(part), "{outcome:?}");
    }
    // The weights of another folder do not fit.
    std::fs::copy(sandbox.path("shared/config.json"), sandbox.path("own/config.json")).unwrap();
    std::fs::copy(sandbox.path("shared/model.safetensors"), sandbox.path("own/model.safetensors")).unwrap();
    let outcome = sandbox.expect(2, &["run", "locality", "gap", "--model", "own"]);
    assert!(outcome.stderr.contains("the decoder knows 6 tokens, but the net has 10"), "{outcome:?}");
}

/// From a table the truth is not known, unless it is counted in another one.
#[test]
fn a_table_needs_fresh_samples_for_the_gap() {
    let sandbox = Sandbox::new();
    sandbox.write("table.csv", table());
    let fit = "run locality fit --data table.csv --pair A,B --steps 5 --batch 8 --width 8 --layers 1 --heads 2 --out model";
    sandbox.expect(0, &fit.split(' ').collect::<Vec<_>>());
    let gap = ["run", "locality", "gap", "--model", "model"];
    let outcome = sandbox.expect(2, &gap);
    assert!(outcome.stderr.contains("true probabilities are not known"), "{outcome:?}");
    let outcome = sandbox.expect(0, &[&gap[..], &["--data", "table.csv"]].concat());
    assert!(outcome.stdout.contains("scaffolded"), "{outcome:?}");
    sandbox.write("other.csv", "A,C\n0,1\n1,0\n");
    let outcome = sandbox.expect(2, &[&gap[..], &["--data", "other.csv"]].concat());
    assert!(outcome.stderr.contains("other columns"), "{outcome:?}");
}
