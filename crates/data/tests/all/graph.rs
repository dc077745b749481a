//! The readers of a known graph and a known order.

use std::path::Path;

use backstitch_data::edges::{Edge, read_edges, read_edges_from};
use backstitch_data::order::{read_order, read_order_from};

fn columns() -> Vec<String> {
    ["raf", "mek", "erk", "a, b"].map(String::from).to_vec()
}

fn edges(text: &str) -> Vec<Edge> {
    read_edges_from(text.as_bytes(), "g.csv", &columns()).expect("a graph")
}

/// The error of a graph as users see it: the message, then its hint.
#[track_caller]
fn refused(text: &str) -> String {
    let error = read_edges_from(text.as_bytes(), "g.csv", &columns()).expect_err("a refusal");
    format!("{error}\nhint: {}", error.hint().expect("a hint"))
}

#[track_caller]
fn refused_order(text: &str) -> String {
    let error = read_order_from(text.as_bytes(), "o.txt", &columns()).expect_err("a refusal");
    format!("{error}\nhint: {}", error.hint().expect("a hint"))
}

fn edge(from: usize, to: usize) -> Edge {
    Edge { from, to, weight: None }
}

#[test]
fn edge_lists_are_read_by_name_or_position() {
    let expected = [edge(0, 1), edge(1, 2)];
    assert_eq!(edges("from,to\nraf,mek\nmek,erk\n"), expected);
    assert_eq!(edges("\u{feff}From\tTO\r\nraf\t1\r\n\r\n1\terk\r\n"), expected);
    assert_eq!(edges("to;from\nmek;raf\n2;1"), expected);
    assert_eq!(edges("from to\nraf mek\nmek erk\n"), expected);
    assert_eq!(edges("from,to\n\"a, b\",raf\n"), [edge(3, 0)]);
    assert_eq!(edges("from,to\n"), []);
    let weighted = edges("from,weight,to\nraf,-0.5,mek\n");
    assert_eq!(weighted, [Edge { from: 0, to: 1, weight: Some(-0.5) }]);
}

#[test]
fn the_text_form_of_tetrad_is_read() {
    let text = "Graph Nodes:\nraf;mek;erk\n\nGraph Edges:\n1. raf --> mek\n2. mek --> erk\n\nGraph Attributes:\nscore: 1\n";
    assert_eq!(edges(text), [edge(0, 1), edge(1, 2)]);
    assert_eq!(edges("Graph Edges:\nraf --> mek"), [edge(0, 1)]);
    assert_eq!(
        refused("Graph Nodes:\nraf;mek\n"),
        "g.csv: the file has no line \"Graph Edges:\"\nhint: check that the file was written completely"
    );
    for kind in ["---", "<->", "o->", "-->"] {
        let line = format!("7. raf {kind}mek");
        assert_eq!(
            refused(&format!("Graph Edges:\n{line}\n")),
            format!(
                "g.csv: line 2: {line:?} is not a directed edge\n\
                 hint: write an edge as `1. a --> b`; other kinds have no place in a directed graph"
            )
        );
    }
}

#[test]
fn graphs_are_refused_with_the_line_and_a_way_out() {
    assert_eq!(
        refused("from,to\nraf,mke\n"),
        "g.csv: line 2: the table has no column \"mke\"\nhint: the nearest name is \"mek\""
    );
    assert_eq!(
        refused("from,to\nraf,4\n"),
        "g.csv: line 2: the table has no column \"4\"\nhint: the nearest name is \"raf\""
    );
    assert_eq!(
        refused("raf,mek\n"),
        "g.csv: line 1 is \"raf,mek\", where a header from,to[,weight] or the line \"Graph Nodes:\" is expected\n\
         hint: start the file with the line from,to"
    );
    assert!(refused("from,to,colour\n").contains("where a header from,to[,weight]"));
    assert_eq!(
        refused(""),
        "g.csv: the file is empty\nhint: a graph without edges is the header line from,to alone"
    );
    assert_eq!(
        refused("from,to\nraf,mek\nraf,0\n"),
        "g.csv: line 3: the edge from \"raf\" to itself is a loop\nhint: delete the line"
    );
    assert_eq!(
        refused("from,to\nraf,mek\nraf,1\n"),
        "g.csv: line 3: the edge from \"raf\" to \"1\" is given twice\nhint: delete the line"
    );
    assert_eq!(
        refused("from,to\nraf\n"),
        "g.csv: line 2 has 1 field where 2 would be expected\n\
         hint: give every edge one field per name in the header"
    );
    assert!(refused("from,to\nraf,\"mek\n").starts_with("g.csv: line 2 has a quote that is not closed"));
    for weight in ["", "NaN", "inf", "strong"] {
        let message = refused(&format!("from,to,weight\nraf,mek,{weight}\n"));
        assert!(message.starts_with(&format!("g.csv: line 2: the weight {weight:?} is not a finite number")));
    }
    assert!(
        read_edges(Path::new("/nowhere/g.csv"), &columns())
            .unwrap_err()
            .to_string()
            .ends_with("no such file")
    );
}

#[test]
fn orders_are_read_as_lines_or_as_one_row() {
    let order = |text: &str| read_order_from(text.as_bytes(), "o.txt", &columns()).unwrap();
    assert_eq!(order("erk\nraf\na, b\nmek\n"), [2, 0, 3, 1]);
    assert_eq!(order("erk,raf,\"a, b\",mek\n"), [2, 0, 3, 1]);
    assert_eq!(order("2\r\n0\r\n\r\n3\r\n1"), [2, 0, 3, 1]);
    assert_eq!(order("2 0 3 1"), [2, 0, 3, 1]);
    assert_eq!(read_order_from("".as_bytes(), "o.txt", &[]).unwrap(), Vec::<usize>::new());
}

#[test]
fn orders_are_refused_with_a_way_out() {
    assert_eq!(
        refused_order("erk\nraff\n"),
        "o.txt: line 2: the table has no column \"raff\"\nhint: the nearest name is \"raf\""
    );
    assert_eq!(
        refused_order("erk,raf,erk,mek\n"),
        "o.txt: line 1: column \"erk\" stands in the order twice\nhint: name every column of the table once"
    );
    assert_eq!(
        refused_order("erk\nraf\n"),
        "o.txt: the order has 2 of 4 columns; the first one missing is \"mek\"\n\
         hint: name every column of the table once"
    );
    assert!(refused_order("").starts_with("o.txt: the order has 0 of 4 columns"));
    assert!(refused_order("erk,\"raf\n").starts_with("o.txt: line 1 has a quote"));
    assert!(read_order(Path::new("/nowhere/o.txt"), &columns()).is_err());
}
