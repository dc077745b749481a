//! `backstitch run topo` on files, from good to bad.

use std::fmt::Write;

use backstitch_data::dag::{DagParameters, DagSample, generate};
use serde_json::Value;

use crate::sandbox::Sandbox;
use crate::verbs::CHAIN;

const NODES: usize = 8;

/// Data of a known graph: equal noise variances, so the least-squares score finds the order.
fn known() -> DagSample {
    generate(&DagParameters { nodes: NODES, edges: 2 * NODES, rows: 2000, ..DagParameters::default() }, 3)
        .unwrap()
}

fn table(sample: &DagSample) -> String {
    let names: Vec<String> = (0..NODES).map(|node| format!("x{node}")).collect();
    let mut text = names.join(",") + "\n";
    for row in 0..sample.samples.rows() {
        let values: Vec<String> = sample.samples.row(row).iter().map(f64::to_string).collect();
        writeln!(text, "{}", values.join(",")).unwrap();
    }
    text
}

/// The true edges; the first `reversed` of them turned around.
fn truth(sample: &DagSample, reversed: usize) -> String {
    let mut text = String::from("from,to\n");
    let mut count = 0;
    for i in 0..NODES {
        for j in 0..NODES {
            if sample.weights[(i, j)] != 0.0 {
                let (from, to) = if count < reversed { (j, i) } else { (i, j) };
                writeln!(text, "x{from},x{to}").unwrap();
                count += 1;
            }
        }
    }
    text
}

#[test]
fn finds_a_known_graph_and_writes_it() {
    let (sandbox, sample) = (Sandbox::new(), known());
    sandbox.write("table.csv", table(&sample));
    sandbox.write("truth.csv", truth(&sample, 0));
    let arguments = ["run", "topo", "--data", "table.csv", "--truth", "truth.csv", "--out", "deep/graph"];
    let outcome = sandbox.expect(0, &arguments);
    assert!(outcome.stdout.contains("SHD 0 (reversed 0, extra 0, missing 0)"), "{outcome:?}");
    let files = ["edges.csv", "graph.svg", "order.csv", "summary.json", "weights.csv"];
    assert_eq!(sandbox.entries("deep/graph"), files);

    // The edges are those of the truth, with weights near the true ones.
    let edges = sandbox.read("deep/graph/edges.csv");
    let rows: Vec<Vec<&str>> = edges.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let node = |name: &str| name.strip_prefix('x').unwrap().parse::<usize>().unwrap();
    assert_eq!(rows.len(), 2 * NODES);
    for row in &rows {
        let (found, wanted): (f64, f64) =
            (row[2].parse().unwrap(), sample.weights[(node(row[0]), node(row[1]))]);
        assert!((found - wanted).abs() < 0.15, "{row:?}: {wanted}");
    }
    // The order has every node once, parents before children.
    let order = sandbox.read("deep/graph/order.csv");
    let place: Vec<usize> = order.lines().map(node).collect();
    let position = |node: usize| place.iter().position(|&found| found == node).unwrap();
    assert_eq!(place.len(), NODES);
    assert!(rows.iter().all(|row| position(node(row[0])) < position(node(row[1]))));
    // The dense weights are near the true ones at the edges, and zero against the order.
    let weights = sandbox.read("deep/graph/weights.csv");
    assert_eq!(weights.lines().next(), Some("from,x0,x1,x2,x3,x4,x5,x6,x7"));
    let mut dense = Vec::new();
    for (i, line) in weights.lines().skip(1).enumerate() {
        let values: Vec<f64> = line.split(',').skip(1).map(|value| value.parse().unwrap()).collect();
        assert_eq!(values.len(), NODES);
        assert!((0..NODES).all(|j| values[j] == 0.0 || position(i) < position(j)));
        dense.push(values);
    }
    for row in &rows {
        let (i, j) = (node(row[0]), node(row[1]));
        assert!((dense[i][j] - sample.weights[(i, j)]).abs() < 0.15, "{row:?}: {}", dense[i][j]);
    }
    // The summary says the same.
    let summary: Value = serde_json::from_str(&sandbox.read("deep/graph/summary.json")).unwrap();
    assert_eq!(summary["edges"].as_array().unwrap().len(), rows.len());
    assert_eq!(summary["truth"]["shd"], 0);
    assert_eq!(summary["rows"], 2000);
    let names: Vec<&str> =
        summary["order"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(names, order.lines().collect::<Vec<_>>());
    // The picture names every node and draws every edge.
    let picture = sandbox.read("deep/graph/graph.svg");
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
    assert!((0..NODES).all(|node| picture.contains(&format!(">x{node}<"))));

    // Standard output without --out, and again: the same bytes, at any number of threads.
    for threads in ["1", "2"] {
        let again = sandbox.expect(0, &["run", "topo", "--data", "table.csv", "--threads", threads]);
        assert_eq!(again.stdout, edges);
    }
    // Written over by the same command.
    sandbox.expect(0, &arguments);
    assert_eq!(sandbox.read("deep/graph/edges.csv"), edges);
    assert_eq!(sandbox.entries("deep/graph"), files);
}

#[test]
fn a_reversed_edge_counts_once() {
    let (sandbox, sample) = (Sandbox::new(), known());
    sandbox.write("table.csv", table(&sample));
    for reversed in [1, 2] {
        sandbox.write("truth.csv", truth(&sample, reversed));
        let summary = sandbox
            .expect(0, &["run", "topo", "--data", "table.csv", "--truth", "truth.csv", "--json"])
            .json();
        let counts = &summary["truth"];
        assert_eq!(counts["shd"], reversed);
        assert_eq!(counts["reversed"], reversed);
        assert_eq!((&counts["extra"], &counts["missing"]), (&0.into(), &0.into()));
        let share = (2 * NODES - reversed) as f64 / (2 * NODES) as f64;
        assert_eq!(counts["precision"].as_f64(), Some(share));
        assert_eq!(counts["recall"].as_f64(), Some(share));
    }
}

/// From the true order nothing is left to gain; from the reversed order the score never rises.
#[test]
fn another_learners_order_is_post_processed() {
    let (sandbox, sample) = (Sandbox::new(), known());
    sandbox.write("table.csv", table(&sample));
    let score = |order: &[usize], more: &[&str]| {
        let lines: String = order.iter().map(|node| format!("x{node}\n")).collect();
        sandbox.write("order.csv", lines);
        let arguments =
            [&["run", "topo", "--data", "table.csv", "--start", "order.csv", "--json"], more].concat();
        sandbox.expect(0, &arguments).json()["score"].as_f64().unwrap()
    };
    let best = score(&sample.order, &[]);
    let backwards: Vec<usize> = sample.order.iter().rev().copied().collect();
    let improved = score(&backwards, &[]);
    // A search that may try nothing ends where it starts.
    let start = score(&backwards, &["--neighbourhood", "candidates", "--small", "1", "--large", "1"]);
    assert!(improved <= start && improved < start * 0.9, "{improved} from {start}");
    assert!(best <= improved * 1.0001, "{best} {improved}");
    let outcome =
        sandbox.expect(2, &["run", "topo", "--data", "table.csv", "--start", "order.csv", "--starts", "3"]);
    assert!(outcome.stderr.contains("cannot be used with"), "{outcome:?}");
}

/// Every bad input: exit code 2, an error that names what is wrong, and no trace in the file system.
#[test]
fn bad_input_is_refused_by_name() {
    let rows = |header: &str, row: &dyn Fn(usize) -> String| {
        (0..20).fold(format!("{header}\n"), |text, i| text + &row(i) + "\n")
    };
    let noise = |i: usize| ((i * 37 + 11) % 19) as f64 / 7.0;
    let other = |i: usize| ((i * i * 5 + 3) % 23) as f64 / 9.0;
    let tables: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("empty", Vec::new(), &["bad.csv", "empty"]),
        ("blank", b"\n\n".to_vec(), &["bad.csv"]),
        ("header only", b"a,b\n".to_vec(), &["bad.csv", "no rows"]),
        ("one row", b"a,b\n1,2\n".to_vec(), &["row"]),
        ("constant", rows("a,flat", &|i| format!("{},7", noise(i))).into(), &["\"flat\"", "constant"]),
        ("duplicate", rows("a,twin", &|i| format!("{0},{0}", noise(i))).into(), &["\"twin\"", "\"a\""]),
        ("twice the name", b"a,a\n1,2\n3,4\n".to_vec(), &["line 1", "\"a\"", "twice"]),
        ("NaN", b"a,b\n1,2\n3,NaN\n".to_vec(), &["line 3", "\"b\"", "NaN"]),
        ("infinite", b"a,b\n1,2\ninf,3\n".to_vec(), &["line 3", "\"a\"", "inf"]),
        ("overflowing", b"a,b\n1,2\n3,1e999\n".to_vec(), &["line 3", "\"b\"", "1e999"]),
        ("too large to square", b"a,b\n1,2\n1e300,4\n-1e300,7\n5,-4\n".to_vec(), &["\"a\"", "rescale"]),
        ("missing", b"a,b\n1,2\n3,\n".to_vec(), &["line 3", "\"b\""]),
        ("text", b"a,b\n1,2\n3,four\n".to_vec(), &["line 3", "\"b\"", "\"four\""]),
        ("ragged, short", b"a,b\n1,2\n3\n".to_vec(), &["line 3"]),
        ("ragged, long", b"a,b\n1,2\n3,4,5\n".to_vec(), &["line 3"]),
        ("open quote", b"a,b\n\"1,2\n".to_vec(), &["line 2", "quote"]),
        ("binary", (0..=255).collect(), &["bad.csv"]),
        ("UTF-16", b"\xff\xfea\0,\0b\0\n\0".to_vec(), &["bad.csv"]),
        ("torn gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03torn".to_vec(), &["bad.csv"]),
        ("fewer rows than columns", b"a,b,c,d\n1,2,3,5\n2,1,4,1\n".to_vec(), &["2 rows for 4 columns"]),
    ];
    for (name, content, words) in tables {
        let sandbox = Sandbox::new();
        sandbox.write("bad.csv", &content);
        let outcome = sandbox.run(&["run", "topo", "--data", "bad.csv", "--out", "graph"]);
        assert_eq!(outcome.code, Some(2), "{name}: {outcome:?}");
        assert_eq!(outcome.stdout, "", "{name}");
        assert!(outcome.stderr.starts_with("error: "), "{name}: {}", outcome.stderr);
        for word in words {
            assert!(outcome.stderr.contains(word), "{name}: no {word:?} in {}", outcome.stderr);
        }
        assert_eq!(sandbox.entries(""), ["bad.csv"], "{name}");
    }
    // What does not need a ridge is not refused for the lack of one.
    let sandbox = Sandbox::new();
    sandbox.write("twin.csv", rows("a,b,twin", &|i| format!("{0},{1},{0}", noise(i), other(i))));
    sandbox.expect(0, &["run", "topo", "--data", "twin.csv", "--ridge", "1e-8"]);
}

/// The same numbers in another dress give the same graph.
#[test]
fn byte_order_marks_line_ends_and_separators_do_not_matter() {
    let sandbox = Sandbox::new();
    sandbox.write("plain.csv", CHAIN);
    let wanted = sandbox.expect(0, &["run", "topo", "--data", "plain.csv"]).stdout;
    let dresses = [
        ("mark.csv", format!("\u{feff}{CHAIN}")),
        ("crlf.csv", CHAIN.replace('\n', "\r\n")),
        ("open-end.csv", CHAIN.trim_end().to_owned()),
        ("tabs.tsv", CHAIN.replace(',', "\t")),
        ("spaces.txt", CHAIN.replace(',', "  ")),
        ("quoted.csv", CHAIN.replacen("a,b,c", "\"a\",\"b\",\"c\"", 1)),
    ];
    for (name, content) in dresses {
        sandbox.write(name, content);
        assert_eq!(sandbox.expect(0, &["run", "topo", "--data", name]).stdout, wanted, "{name}");
    }
}

/// Names with commas, quotes and markup survive the way through the files.
#[test]
fn names_are_quoted_and_escaped() {
    let sandbox = Sandbox::new();
    sandbox.write("odd.csv", CHAIN.replacen("a,b,c", "\"a,1\",\"say \"\"b\"\"\",<c>&", 1));
    sandbox.expect(0, &["run", "topo", "--data", "odd.csv", "--out", "graph"]);
    let edges = sandbox.read("graph/edges.csv");
    assert!(edges.contains("\"a,1\",\"say \"\"b\"\"\","), "{edges}");
    let picture = sandbox.read("graph/graph.svg");
    assert!(picture.contains("&lt;c&gt;&amp;") && !picture.contains("<c>"), "{picture}");
    // What we wrote we read: the order as a start, the edges as the truth.
    let arguments = [
        "run",
        "topo",
        "--data",
        "odd.csv",
        "--start",
        "graph/order.csv",
        "--truth",
        "graph/edges.csv",
        "--json",
    ];
    assert_eq!(sandbox.expect(0, &arguments).json()["truth"]["shd"], 0);
}

/// Where the output cannot go, nothing is left behind, and what was there stays.
#[test]
fn an_output_that_cannot_be_written_leaves_no_half() {
    let sandbox = Sandbox::new();
    sandbox.write("table.csv", CHAIN);
    sandbox.write("taken", "mine");
    let run = |out: &str| {
        let outcome = sandbox.expect(2, &["run", "topo", "--data", "table.csv", "--out", out]);
        assert!(outcome.stderr.contains(" cannot be written: "), "{outcome:?}");
        assert!(outcome.stderr.contains("hint: give another --out"), "{outcome:?}");
        assert_eq!(outcome.stdout, "");
        outcome
    };
    run("taken");
    assert_eq!(sandbox.read("taken"), "mine");
    run("taken/below");
    run("/dev/null/graph");
    run("/proc/graph");
    // The last file has a folder in its place.
    std::fs::create_dir_all(sandbox.path("graph/summary.json")).unwrap();
    sandbox.write("graph/edges.csv", "mine");
    assert!(run("graph").stderr.contains("graph/summary.json"));
    assert_eq!(sandbox.entries("graph"), ["edges.csv", "summary.json"]);
    assert_eq!(sandbox.read("graph/edges.csv"), "mine");
    assert_eq!(sandbox.entries(""), ["graph", "table.csv", "taken"]);
}

/// Parameters outside their range say the range.
#[test]
fn wrong_parameters_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("table.csv", CHAIN);
    let cases: [(&[&str], &str); 9] = [
        (&["--threshold", "-1"], "--threshold is -1"),
        (&["--threshold", "nan"], "--threshold is NaN"),
        (&["--starts", "0"], "starts is 0"),
        (&["--ridge", "-1"], "ridge is -1"),
        (&["--ridge", "nan"], "ridge is NaN"),
        (&["--small", "0"], "small is 0"),
        (&["--score", "logistic"], "needs 0 or 1"),
        (&["--score", "logistic", "--inverse-penalty", "-3"], "inverse_penalty is -3"),
        (&["--truth", "table.csv"], "table.csv"),
    ];
    for (more, word) in cases {
        let outcome =
            sandbox.expect(2, &[&["run", "topo", "--data", "table.csv", "--out", "graph"], more].concat());
        assert!(outcome.stderr.contains(word), "{more:?}: {}", outcome.stderr);
        assert!(!sandbox.path("graph").exists());
    }
}
