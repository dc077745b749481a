//! `run forward-gnn` on tables.

use std::fmt::Write;

use crate::sandbox::Sandbox;

const NODES: usize = 60;

/// Two communities in rings with chords, features that lean towards the community, and labels 0 and 2: class 1 has no node.
fn sandbox() -> Sandbox {
    let mut state = 11_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let (mut edges, mut features) = (String::from("from,to\n"), String::from("a,b,c\n"));
    let mut labels = String::from("node,label\n");
    for node in 0..NODES {
        let community = node % 2;
        for step in [2, 6, 14] {
            let _ = writeln!(edges, "{node},{}", (node + step) % NODES);
        }
        let _ = writeln!(features, "{},{},{}", draw() + 1.2 * community as f64, draw(), draw());
        // The last nodes have no label.
        if node < NODES - 4 {
            let _ = writeln!(labels, "{node},{community}");
        }
    }
    edges.push_str("5,5\n2,0\n");
    let sandbox = Sandbox::new();
    sandbox.write("edges.csv", edges);
    sandbox.write("features.csv", features);
    sandbox.write("labels.csv", labels);
    sandbox
}

const FIT: [&str; 3] = ["run", "forward-gnn", "fit"];
const PREDICT: [&str; 3] = ["run", "forward-gnn", "predict"];
const GRAPH: [&str; 4] = ["--edges", "edges.csv", "--features", "features.csv"];
const LABELS: [&str; 2] = ["--labels", "labels.csv"];
const QUICK: [&str; 6] = ["--hidden", "8", "--epochs", "60", "--learning-rate", "0.02"];

fn fit<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [&FIT[..], &GRAPH, &QUICK, rest].concat()
}

#[test]
fn nodes_are_learned_and_a_model_read_back_says_the_same() {
    let sandbox = sandbox();
    let printed = sandbox.expect(0, &fit(&[&LABELS[..], &["--out", "model"]].concat())).stdout;
    let counts = ["60 nodes, ", "3 features; ", "dropped: 1 loops", "2 classes, learned from "];
    for part in counts.into_iter().chain(["layer 2 alone: ", "passes of a layer", "of activations"]) {
        assert!(printed.contains(part), "{part} is missing: {printed}");
    }
    assert_eq!(sandbox.entries("model"), ["history.csv", "model.json", "predictions.csv", "summary.json"]);
    let predictions = sandbox.read("model/predictions.csv");
    assert!(predictions.starts_with("node,class,p0,p1\n"), "{predictions}");
    assert_eq!(predictions.lines().count(), 1 + NODES, "nodes without a label are predicted, too");
    let right = predictions.lines().skip(1).filter(|line| {
        let mut fields = line.split(',').map(|field| field.parse::<f64>().unwrap());
        fields.next().unwrap() % 2.0 == fields.next().unwrap()
    });
    assert!(right.count() >= 54, "{predictions}");
    let summary: serde_json::Value = serde_json::from_str(&sandbox.read("model/summary.json")).unwrap();
    assert_eq!(summary["graph"]["loops_dropped"], 1);
    assert_eq!(sandbox.expect(0, &fit(&[&LABELS[..], &["--json"]].concat())).json(), summary);

    let again = [&PREDICT[..], &["--model", "model/model.json"], &GRAPH].concat();
    assert_eq!(sandbox.expect(0, &again).stdout, predictions);
    sandbox.expect(0, &[&again[..], &["--out", "again"]].concat());
    assert_eq!(sandbox.read("again/predictions.csv"), predictions);
}

#[test]
fn every_learner_and_every_convolution_learns() {
    let sandbox = sandbox();
    let accuracy = |rest: &[&str]| {
        let found = sandbox.expect(0, &fit(&[&LABELS[..], rest, &["--json"]].concat())).json();
        // Of all labelled nodes that were not trained on, to have more than a handful.
        let part = |name: &str| {
            let part = &found["quality"][name];
            (
                part["accuracy"].as_f64().unwrap() * part["nodes"].as_f64().unwrap(),
                part["nodes"].as_f64().unwrap(),
            )
        };
        let ((right, nodes), (more_right, more_nodes)) = (part("validation"), part("test"));
        (right + more_right) / (nodes + more_nodes)
    };
    for learner in [
        "single-forward",
        "top-to-loss",
        "top-to-input",
        "label-appending",
        "virtual-nodes",
        "backpropagation",
    ] {
        let found = accuracy(&["--learner", learner]);
        assert!(found > 0.7, "{learner}: {found}");
    }
    for convolution in ["sage", "gat"] {
        let found = accuracy(&["--convolution", convolution]);
        assert!(found > 0.7, "{convolution}: {found}");
    }
}

#[test]
fn links_are_learned_and_pairs_are_scored() {
    let sandbox = sandbox();
    let printed = sandbox.expect(0, &fit(&["--task", "links", "--out", "links"])).stdout;
    assert!(printed.contains("area under the curve on "), "{printed}");
    let predictions = sandbox.read("links/predictions.csv");
    assert!(predictions.starts_with("from,to,edge,score\n"), "{predictions}");
    let ends = |edge: &str| predictions.lines().filter(|line| line.split(',').nth(2) == Some(edge)).count();
    assert_eq!(ends("0"), ends("1"), "as many pairs that are no edge");

    sandbox.write("pairs.csv", "from,to\n0,2\n0,3\n");
    let score = [&PREDICT[..], &["--model", "links/model.json"], &GRAPH].concat();
    let lines = sandbox.expect(0, &[&score[..], &["--pairs", "pairs.csv"]].concat()).stdout;
    assert_eq!(lines.lines().count(), 3, "{lines}");
    assert!(lines.starts_with("from,to,score\n0,2,"), "{lines}");
    let said = sandbox.expect(2, &score).stderr;
    assert!(said.contains("a model of links scores pairs of nodes"), "{said}");
    sandbox.write("pairs.csv", "from,to\n0,2\n0,60\n");
    let said = sandbox.expect(2, &[&score[..], &["--pairs", "pairs.csv"]].concat()).stderr;
    assert!(said.contains("pairs.csv: row 2: there is no node 60; the graph has 60"), "{said}");
}

#[test]
fn bad_input_is_refused_and_nothing_is_written() {
    let sandbox = sandbox();
    sandbox.write("one_class.csv", "node,label\n0,1\n1,1\n2,1\n3,1\n4,1\n5,1\n6,1\n");
    sandbox.write("half.csv", "node,label\n0,0.5\n1,1\n");
    sandbox.write("outside.csv", "from,to\n0,1\n1,99\n");
    sandbox.write("text.npz", "no archive");
    sandbox.write("hole.csv", sandbox.read("features.csv").replacen("0.", "nan", 1));
    let said = |arguments: &[&str]| {
        let printed = sandbox.expect(2, arguments).stderr;
        assert!(!sandbox.path("out").exists());
        printed
    };
    let labelled = |rest: &[&str]| said(&fit(&[&LABELS[..], &["--out", "out"], rest].concat()));
    let of_labels = |file: &str| said(&fit(&["--labels", file, "--out", "out"]));
    let of_tables = |edges: &str, features: &str| {
        let tables = ["--edges", edges, "--features", features, "--labels", "labels.csv", "--out", "out"];
        said(&[&FIT[..], &tables].concat())
    };
    let cases = [
        (of_labels("half.csv"), "half.csv: row 1: the label is 0.5"),
        (of_labels("nowhere.csv"), "nowhere.csv"),
        (of_labels("one_class.csv"), "class"),
        (of_tables("outside.csv", "features.csv"), "outside.csv: row 2: there is no node 99"),
        (of_tables("edges.csv", "hole.csv"), "hole.csv"),
        (said(&fit(&["--out", "out"])), "the graph has no labels"),
        (said(&[&FIT[..], &["--graph", "text.npz", "--out", "out"]].concat()), "text.npz"),
        (labelled(&["--layers", "0"]), "layers"),
        (labelled(&["--test", "1.5"]), "1.5"),
        (labelled(&["--learner", "virtual-nodes", "--task", "links"]), "links"),
    ];
    for (said, part) in cases {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
    sandbox.expect(0, &fit(&[&LABELS[..], &["--out", "model"]].concat()));
    sandbox.write("narrow.csv", "a\n".to_owned() + &"1\n".repeat(NODES));
    let narrow = ["--model", "model/model.json", "--edges", "edges.csv", "--features", "narrow.csv"];
    let said = sandbox.expect(2, &[&PREDICT[..], &narrow].concat()).stderr;
    assert!(said.contains("features"), "{said}");
    sandbox.write("model/model.json", "{}");
    let broken = [&PREDICT[..], &["--model", "model/model.json"], &GRAPH].concat();
    assert!(sandbox.expect(2, &broken).stderr.contains("model.json"));
}
