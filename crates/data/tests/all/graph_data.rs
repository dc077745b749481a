//! Graphs with features and labels, from `.npz` files and from tables.

use std::fs;
use std::path::Path;

use backstitch_data::DataDirectory;
use backstitch_data::catalogue::public_set;
use backstitch_data::directory::DATA_VARIABLE;
use backstitch_data::graph::{read_graph, read_graph_from, read_graph_tables};

fn corpus(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/graph_npz").join(name))
        .expect("a file")
}

fn reason(name: &str) -> String {
    let error = read_graph_from(corpus(name).as_slice(), "g.npz", 1 << 16).expect_err("a refusal");
    assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{error}");
    error.to_string()
}

#[test]
fn all_forms_give_the_same_graph() {
    let rows = read_graph_from(corpus("reads-sparse-rows").as_slice(), "g.npz", 1 << 16).unwrap();
    assert_eq!(rows.edges, [(0, 1), (1, 2), (2, 1), (3, 3)]);
    assert_eq!(rows.labels.as_deref(), Some(&[Some(0), Some(1), Some(0), Some(1)][..]));
    assert_eq!(rows.features.row(3).iter().collect::<Vec<_>>(), [(0, 2.0), (2, 0.5)]);
    assert_eq!((rows.features.rows(), rows.features.columns(), rows.features.entries()), (4, 3, 5));
    for name in ["reads-deflated", "reads-beside-text", "reads-feature-matrix"] {
        assert_eq!(read_graph_from(corpus(name).as_slice(), "g.npz", 1 << 16).unwrap(), rows, "{name}");
    }
    let edges = read_graph_from(corpus("reads-edges").as_slice(), "g.npz", 1 << 16).unwrap();
    assert_eq!((edges.edges, edges.features), (vec![(0, 1), (1, 2)], rows.features));
    let unknown = read_graph_from(corpus("reads-unknown-labels").as_slice(), "g.npz", 1 << 16).unwrap();
    assert_eq!(unknown.labels.unwrap(), [Some(0), None, Some(1), None]);
}

#[test]
fn refusals_name_the_array_and_the_value() {
    for (name, part) in [
        ("refused-csv", "not a ZIP file"),
        ("refused-check-sum", "check sum"),
        ("refused-missing-array", "no array \"adj_indptr\"; there is adj_data"),
        ("refused-not-square", "4 x 5"),
        ("refused-edge-outside", "edge 0 joins nodes 0 and 9, but there are features of 4 nodes"),
        ("refused-edge-negative", "edges has the number -1"),
        ("refused-index-outside", "attr_indices has"),
        ("refused-label-per-edge", "labels have the shape [2], but the graph has 4 nodes"),
        ("refused-labels-real", "labels must be whole numbers"),
        ("refused-not-a-number", "node 0, feature 0 is NaN"),
        ("refused-big-endian", "\">i4\""),
        ("refused-fortran-order", "Fortran order"),
        ("refused-pickled-labels", "|O"),
    ] {
        let message = reason(name);
        assert!(message.starts_with("g.npz: ") && message.contains(part), "{name}: {message}");
    }
    let error = read_graph_from(corpus("reads-sparse-rows").as_slice(), "g.npz", 100).expect_err("a refusal");
    assert!(error.to_string().contains("more than 100 bytes"), "{error}");
}

#[test]
fn tables_are_read_and_refused_by_row() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let edges = write("edges.csv", "from,to\n0,1\n2,1\n");
    let features = write("features.csv", "node,a,b\n2,0,5\n0,1,0\n1,0,0\n");
    let labels = write("labels.csv", "node,label\n0,1\n2,0\n");
    let graph = read_graph_tables(&edges, &features, Some(&labels)).unwrap();
    assert_eq!(graph.edges, [(0, 1), (2, 1)]);
    assert_eq!(graph.labels.unwrap(), [Some(1), None, Some(0)]);
    assert_eq!(graph.features.row(2).iter().collect::<Vec<_>>(), [(1, 5.0)]);
    for (edge, feature, label, part) in [
        ("from,to\n0,3\n", "a\n1\n2\n3\n", "node,label\n0,1\n", "row 1: there is no node 3"),
        ("from,to\n0,0.5\n", "a\n1\n2\n3\n", "node,label\n0,1\n", "row 1: the node is 0.5"),
        ("from,to,w\n0,1,2\n", "a\n1\n2\n3\n", "node,label\n0,1\n", "there are 3 columns"),
        ("from,to\n0,1\n", "node,a\n1,1\n1,2\n", "node,label\n0,1\n", "node 1 has two rows"),
        ("from,to\n0,1\n", "node,a\n7,1\n1,2\n", "node,label\n0,1\n", "row 1 is of node 7"),
        ("from,to\n0,1\n", "a\n1\n2\n3\n", "node,label\n9,1\n", "node 9 has a label"),
        ("from,to\n0,1\n", "a\n1\n2\n3\n", "node,label\n1,1\n1,0\n", "node 1 is labelled twice"),
        ("from,to\n0,1\n", "a\n1\n2\n3\n", "node,label\n1,-1\n", "the label is -1"),
        ("from,to\n0,1\n", "a\n1\nx\n3\n", "node,label\n1,1\n", "x"),
    ] {
        let paths = [write("e", edge), write("f", feature), write("l", label)];
        let error = read_graph_tables(&paths[0], &paths[1], Some(&paths[2])).expect_err("a refusal");
        assert!(error.to_string().contains(part) && error.hint().is_some(), "{error}");
    }
    let absent = read_graph(folder.path().join("absent.npz")).expect_err("a refusal");
    assert!(absent.to_string().contains("there is no such file"), "{absent}");
}

#[test]
fn cora_and_citeseer_are_what_the_catalogue_says() {
    let directory =
        DataDirectory::resolve(None).expect("BACKSTITCH_DATA is absolute, or a home folder is known");
    if std::env::var_os(DATA_VARIABLE).is_none() && !directory.is_required() {
        println!("skipped: {DATA_VARIABLE} is not set");
        return;
    }
    for (name, sizes, classes) in
        [("cora", [2_708, 1_433, 49_216, 5_429], 7), ("citeseer", [3_312, 3_703, 105_165, 4_715], 6)]
    {
        let set = public_set(name).unwrap();
        let Some(paths) = directory.files_of(set).unwrap_or_else(|error| panic!("{error}")) else {
            println!("skipped: {} does not hold {name}", directory.root().display());
            continue;
        };
        assert_eq!(paths[0].metadata().unwrap().len(), set.files[0].bytes, "{name}");
        let graph = read_graph(&paths[0]).unwrap();
        let features = &graph.features;
        let found = [features.rows(), features.columns(), features.entries(), graph.edges.len()];
        assert_eq!(found, sizes, "{name}");
        assert_eq!(graph.labels.unwrap().into_iter().flatten().max(), Some(classes - 1), "{name}");
    }
}
