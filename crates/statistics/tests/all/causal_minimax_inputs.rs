//! Causal minimax on input that cannot be right: every case is an error that says what is wrong.

use backstitch_numerics::Matrix;
use backstitch_statistics::Error;
use backstitch_statistics::causal_minimax::{
    CausalMinimax, Graph, MAX_COLUMNS, Model, Parameters, Set, equivalence_classes, read_gml,
};
use proptest::prelude::*;

use crate::causal_minimax::linear_table;

fn names() -> Vec<String> {
    ["site", "y", "p", "m", "x", "z"].map(String::from).to_vec()
}

fn fit(table: &Matrix, target: usize, environment: usize, graph: &Graph) -> String {
    let error = CausalMinimax::new(Parameters::default())
        .unwrap()
        .fit(table, target, environment, graph)
        .expect_err("this input is wrong");
    error.named(&names())
}

#[test]
fn graphs_that_are_none() {
    let message = |edges: &[(usize, usize)]| Graph::new(6, edges).unwrap_err().named(&names());
    assert_eq!(
        message(&[(1, 2), (2, 3), (3, 1)]),
        "the graph has a cycle through columns \"p\" → \"m\" → \"y\", but causes cannot follow their effects; remove an edge of it"
    );
    assert!(message(&[(4, 4)]).contains("cycle through columns \"x\""));
    assert_eq!(
        message(&[(1, 2), (2, 1), (4, 5), (5, 4)]),
        "the graph leaves the direction of \"y\" – \"p\", \"x\" – \"z\" open; give each pair one direction"
    );
    assert!(message(&[(0, 6)]).contains("column 6, but the table has 6"));
    let error = Graph::new(MAX_COLUMNS + 1, &[]).unwrap_err();
    assert!(error.to_string().contains("65 columns, but takes at most 64"));
}

#[test]
fn parts_that_cannot_be_played() {
    let (table, _, graph) = linear_table(40, 0);
    assert!(fit(&table, 9, 0, &graph).contains("the target, is not a column"));
    assert!(fit(&table, 1, 1, &graph).contains("column \"y\", the target, is also the environment"));
    let onto_target = Graph::new(6, &[(0, 1), (0, 3)]).unwrap();
    assert!(
        fit(&table, 1, 0, &onto_target)
            .starts_with("the environment changes column \"y\", the target, directly")
    );
    let into_environment = Graph::new(6, &[(2, 0)]).unwrap();
    assert!(
        fit(&table, 1, 0, &into_environment)
            .contains("from column \"p\" into the environment column \"site\"")
    );
    let problem = CausalMinimax::new(Parameters::default()).unwrap().prepare(&table, 1, 0, &graph).unwrap();
    assert_eq!(problem.judge(Set::one(3)).unwrap_err(), Error::NotStable { columns: vec![3] });
    assert!(problem.regression(Set::one(1)).is_err());
}

#[test]
fn tables_that_cannot_be_used() {
    let (table, _, graph) = linear_table(40, 0);
    let changed = |change: &dyn Fn(usize, usize, f64) -> f64| {
        Matrix::from_fn(40, 6, |row, column| change(row, column, table[(row, column)]))
    };
    let one = changed(&|_, column, value| if column == 0 { 7.0 } else { value });
    assert!(fit(&one, 1, 0, &graph).contains("\"site\", the environment, has 1 value(s)"));
    let small = changed(&|row, column, value| if column == 0 && row == 0 { 7.0 } else { value });
    assert!(fit(&small, 1, 0, &graph).contains("environment 7 has 1 row(s), but at least 5"));
    let constant = changed(&|_, column, value| if column == 4 { 2.5 } else { value });
    assert!(fit(&constant, 1, 0, &graph).contains("column \"x\" is constant (2.5)"));
    for broken in [f64::NAN, f64::INFINITY] {
        let table = changed(&|row, column, value| if (row, column) == (3, 5) { broken } else { value });
        assert!(fit(&table, 1, 0, &graph).contains("row 3, column \"z\""));
        let table = changed(&|row, column, value| if (row, column) == (3, 0) { broken } else { value });
        assert!(fit(&table, 1, 0, &graph).contains("row 3, column \"site\""));
    }
    let large = changed(&|_, column, value| if column == 2 { 1e300 * value } else { value });
    assert!(fit(&large, 1, 0, &graph).contains("\"p\" has values too large"));
    assert!(fit(&Matrix::zeros(40, 5), 1, 0, &graph).contains("the table is 40×5, but must be 40×6"));
    assert!(fit(&Matrix::zeros(0, 6), 1, 0, &graph).contains("has 0 value(s)"));
}

#[test]
fn more_classes_than_allowed() {
    // Every stable column is a child of Y: each subset is a class of its own.
    let edges: Vec<(usize, usize)> = (1..13).map(|child| (0, child)).collect();
    let graph = Graph::new(13, &edges).unwrap();
    let stable: Set = (1..13).collect();
    assert_eq!(equivalence_classes(&graph, 0, stable, 4096).unwrap().len(), 4096);
    let error = equivalence_classes(&graph, 0, stable, 4095).unwrap_err();
    assert_eq!(error, Error::TooManyClasses { limit: 4095 });
}

#[test]
fn parameters_outside_their_range() {
    let default = Parameters::default();
    let wrong = [
        Parameters { reach: 0.0, ..default.clone() },
        Parameters { reach: f64::NAN, ..default.clone() },
        Parameters { reach: f64::INFINITY, ..default.clone() },
        Parameters { shuffles: 0, ..default.clone() },
        Parameters { predictor_units: 0, ..default.clone() },
        Parameters { adversary_starts: 0, ..default.clone() },
        Parameters { adversary_iterations: 0, ..default.clone() },
        Parameters { adversary_penalty: -1.0, ..default.clone() },
        Parameters { fit_starts: 0, ..default.clone() },
        Parameters { fit_iterations: 0, ..default.clone() },
        Parameters { decay: -0.1, ..default.clone() },
        Parameters { classes: 0, ..default.clone() },
        Parameters { rows: 1, ..default },
    ];
    for parameters in wrong {
        assert!(matches!(CausalMinimax::new(parameters).unwrap_err(), Error::Parameter { .. }));
    }
}

#[test]
fn models_that_were_edited() {
    let (table, _, graph) = linear_table(60, 0);
    let fit = CausalMinimax::new(Parameters::default()).unwrap().fit(&table, 1, 0, &graph).unwrap();
    let model = &fit.chosen().model;
    assert!(model.predict(&Matrix::zeros(2, 9)).is_err());
    let broken = Matrix::from_fn(1, model.inputs.len(), |_, _| f64::NAN);
    assert!(matches!(model.predict(&broken).unwrap_err(), Error::NotFinite { .. }));
    let text = serde_json::to_value(model).unwrap();
    for (path, value) in [
        ("/inputs", serde_json::json!([1])),
        ("/network/hidden", serde_json::json!(u64::MAX)),
        ("/network/inputs", serde_json::json!(u64::MAX)),
        ("/network/parameters", serde_json::json!([])),
        ("/target_scale/deviation", serde_json::json!(0.0)),
    ] {
        let mut edited = text.clone();
        *edited.pointer_mut(path).unwrap() = value;
        let edited: Model = serde_json::from_value(edited).unwrap();
        assert!(matches!(edited.validate().unwrap_err(), Error::Model { .. }), "{path}");
    }
}

const GML: &str = "# a comment\ngraph [\n  directed 1\n  node [ id 0 label \"y\" ]\n  node [ id 1 graphics [ x 1.0 ] ]\n  edge [ source 0 target 1 ]\n]\n";

#[test]
fn gml() {
    let graph = read_gml(GML).unwrap();
    assert_eq!((graph.names, graph.edges), (vec!["y".to_owned(), "1".to_owned()], vec![(0, 1)]));
    let message = |text: &str| read_gml(text).unwrap_err().to_string();
    for (text, expected) in [
        ("", "line 1: there is no `graph [ … ]`"),
        ("graph [\n node [ id 0 ]\n]", "line 1: the graph is not directed; causes need `directed 1`"),
        ("graph [ directed 1\nnode [ id 0 ]", "line 2: a list is not closed; a `]` is missing"),
        ("graph [ directed 1\nnode [ label \"a\" ] ]", "line 2: a node has no id"),
        (
            "graph [ directed 1\nedge [ source 0 target 0 ] ]",
            "line 2: an edge names the node 0, which is not there",
        ),
        ("graph [ directed 1 node [ id 0 ]\nedge [ source 0 ] ]", "line 2: an edge has no target"),
        ("graph [ directed 1 node [ id 0 ]\nnode [ id 0 ] ]", "line 2: the id 0 is given twice"),
        (
            "graph [ directed 1 node [ id 0 label \"a\" ]\nnode [ id 1 label \"a\" ] ]",
            "line 2: the node \"a\" is given twice",
        ),
        ("graph [ label \"a ]", "line 1: a quote is not closed"),
        ("] graph", "line 1: `]` stands where a key should"),
        ("graph", "line 1: the key `graph` has no value"),
    ] {
        assert_eq!(message(text), expected, "{text:?}");
    }
    assert!(message(&"a [ ".repeat(1000)).contains("nested too deep"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the text, the reader answers.
    #[test]
    fn gml_of_anything(text in "[\\[\\]\"# a-z0-9\n\u{e9}]{0,80}") {
        let _ = read_gml(&text);
    }

    /// A part of a file cut off or replaced is read or refused.
    #[test]
    fn gml_cut(at in 0_usize..GML.len(), with in "[\\[\\]\"a0 \u{e9}]{0,3}") {
        let text = format!("{}{with}{}", &GML[..at], &GML[at + 1..]);
        let _ = read_gml(&text);
    }
}
