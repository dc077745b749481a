//! Reading a known graph over the columns of a table.
//!
//! Two forms, told apart by their first line:
//!
//! - an **edge list** with a header line: columns `from` and `to`, and optionally `weight`, in any order, separated like
//!   any table;
//! - the **text form of the Tetrad programs**, in which the ground truth of public causal data sets is published: a line
//!   `Graph Edges:` and below it lines such as `1. raf --> mek`, up to a blank line or the end.
//!
//! Ends of edges are column names, or 0-based positions where no column has that name. Only directed edges
//! are read; a loop or an edge given twice is an error.
//!
//! # Example
//! ```
//! use backstitch_data::edges::read_edges_from;
//! let columns = ["raf", "mek", "erk"].map(String::from);
//! let edges = read_edges_from("from,to\nraf,mek\nmek,erk\n".as_bytes(), "truth.csv", &columns)?;
//! assert_eq!((edges[1].from, edges[1].to), (1, 2));
//! # Ok::<(), backstitch_data::edges::EdgesError>(())
//! ```

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use backstitch_numerics::Matrix;

use crate::fields::{BadQuote, Content, Delimiter, Fields};
use crate::input::{InputProblem, Lines, counted, open};
use crate::names::{nearest, position};
use crate::table::shortened;

/// Longest line of a graph file, in bytes.
const MAX_LINE_BYTES: usize = 1 << 16;

/// The line above the edges in the Tetrad form.
const EDGES_HEADING: &str = "Graph Edges:";

/// The line above the nodes in the Tetrad form.
const NODES_HEADING: &str = "Graph Nodes:";

/// A directed edge between two columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// Position of the column it leaves, counted from 0.
    pub from: usize,
    /// Position of the column it enters.
    pub to: usize,
    /// Its weight, where the file gives weights.
    pub weight: Option<f64>,
}

/// Why a graph was refused: which file, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct EdgesError {
    /// The file, as it was named to the reader.
    pub file: String,
    /// What is wrong.
    #[source]
    pub problem: EdgesProblem,
}

/// What is wrong with a graph. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum EdgesProblem {
    /// It cannot be read as lines of text.
    #[error(transparent)]
    Input(#[from] InputProblem),
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// The first line is no known header.
    #[error("line 1 is {found:?}, where a header from,to[,weight] or the line {NODES_HEADING:?} is expected")]
    Header {
        /// The first line.
        found: String,
    },
    /// The Tetrad form without its heading of edges.
    #[error("the file has no line {EDGES_HEADING:?}")]
    NoEdgesHeading,
    /// A row of another width than the header.
    #[error("line {line} has {} where {expected} would be expected", counted(*found, "field"))]
    Ragged {
        /// The line.
        line: u64,
        /// Its fields.
        found: usize,
        /// Fields of the header.
        expected: usize,
    },
    /// A quote that is not closed.
    #[error("line {line} has a quote that is not closed, or text right after a closing quote")]
    Quote {
        /// The line.
        line: u64,
    },
    /// A line of the Tetrad form that is no directed edge.
    #[error("line {line}: {found:?} is not a directed edge")]
    NotDirected {
        /// The line.
        line: u64,
        /// The line's text.
        found: String,
    },
    /// An end that is no column.
    #[error("line {line}: the table has no column {name:?}")]
    UnknownColumn {
        /// The line.
        line: u64,
        /// The name given.
        name: String,
        /// The known name nearest to it.
        nearest: Option<String>,
    },
    /// An edge from a column to itself.
    #[error("line {line}: the edge from {name:?} to itself is a loop")]
    Loop {
        /// The line.
        line: u64,
        /// The column.
        name: String,
    },
    /// An edge given twice.
    #[error("line {line}: the edge from {from:?} to {to:?} is given twice")]
    Twice {
        /// The line of the second.
        line: u64,
        /// The column it leaves.
        from: String,
        /// The column it enters.
        to: String,
    },
    /// A weight that is no finite number.
    #[error("line {line}: the weight {found:?} is not a finite number")]
    Weight {
        /// The line.
        line: u64,
        /// What stands there.
        found: String,
    },
}

impl EdgesError {
    /// A way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match &self.problem {
            EdgesProblem::Input(problem) => problem.hint(),
            EdgesProblem::Empty => Some("a graph without edges is the header line from,to alone".into()),
            EdgesProblem::Header { .. } => Some("start the file with the line from,to".into()),
            EdgesProblem::NoEdgesHeading => Some("check that the file was written completely".into()),
            EdgesProblem::Ragged { .. } => Some("give every edge one field per name in the header".into()),
            EdgesProblem::Quote { .. } => Some("close the quote on its line".into()),
            EdgesProblem::NotDirected { .. } => {
                Some("write an edge as `1. a --> b`; other kinds have no place in a directed graph".into())
            }
            EdgesProblem::UnknownColumn { nearest, .. } => {
                nearest.as_ref().map(|name| format!("the nearest name is {name:?}"))
            }
            EdgesProblem::Loop { .. } | EdgesProblem::Twice { .. } => Some("delete the line".into()),
            EdgesProblem::Weight { .. } => {
                Some("give the number, or drop the column weight where no weights are known".into())
            }
        }
    }
}

/// Reads the graph in a file over `columns`, in the order of the file.
///
/// # Errors
/// The file cannot be read, or is not a directed graph over the columns; see [`EdgesProblem`].
pub fn read_edges(path: impl AsRef<Path>, columns: &[String]) -> Result<Vec<Edge>, EdgesError> {
    let path = path.as_ref();
    let name = path.display().to_string();
    match open(path) {
        Ok(file) => read_edges_from(file, &name, columns),
        Err(problem) => Err(EdgesError { file: name, problem: problem.into() }),
    }
}

/// Reads a graph from a stream; `name` stands for it in errors.
///
/// # Errors
/// As [`read_edges`].
pub fn read_edges_from(reader: impl Read, name: &str, columns: &[String]) -> Result<Vec<Edge>, EdgesError> {
    read(reader, columns).map_err(|problem| EdgesError { file: name.into(), problem })
}

fn read(reader: impl Read, columns: &[String]) -> Result<Vec<Edge>, EdgesProblem> {
    let mut lines = Lines::new(reader, MAX_LINE_BYTES)?;
    let first = match lines.next()? {
        None => return Err(EdgesProblem::Empty),
        Some((_, line)) => line.trim().to_owned(),
    };
    let mut graph = Graph { columns, edges: Vec::new(), seen: HashSet::new() };
    if first == NODES_HEADING || first == EDGES_HEADING {
        read_tetrad(&first, &mut lines, &mut graph)?;
    } else {
        read_list(&first, &mut lines, &mut graph)?;
    }
    Ok(graph.edges)
}

fn read_list(header: &str, lines: &mut Lines<'_>, graph: &mut Graph<'_>) -> Result<(), EdgesProblem> {
    let delimiter = Delimiter::detect(header);
    let mut names = Vec::new();
    for name in Fields::of(header, delimiter) {
        names.push(name.map_err(|BadQuote| EdgesProblem::Quote { line: 1 })?.to_lowercase());
    }
    let place = |wanted: &str| names.iter().position(|name| name == wanted);
    let (Some(from), Some(to)) = (place("from"), place("to")) else {
        return Err(EdgesProblem::Header { found: shortened(header) });
    };
    let weight = place("weight");
    if names.len() != 2 + usize::from(weight.is_some()) {
        return Err(EdgesProblem::Header { found: shortened(header) });
    }
    while let Some((line, text)) = lines.next()? {
        if text.trim().is_empty() {
            continue;
        }
        let fields = Fields::of(text, delimiter)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|BadQuote| EdgesProblem::Quote { line })?;
        if fields.len() != names.len() {
            return Err(EdgesProblem::Ragged { line, found: fields.len(), expected: names.len() });
        }
        let weight = match weight.map(|place| (Content::of(&fields[place]), &fields[place])) {
            None => None,
            Some((Content::Number(weight), _)) => Some(weight),
            Some((_, found)) => return Err(EdgesProblem::Weight { line, found: shortened(found) }),
        };
        graph.add(line, &fields[from], &fields[to], weight)?;
    }
    Ok(())
}

fn read_tetrad(first: &str, lines: &mut Lines<'_>, graph: &mut Graph<'_>) -> Result<(), EdgesProblem> {
    let mut among_edges = first == EDGES_HEADING;
    while let Some((line, text)) = lines.next()? {
        let text = text.trim();
        if !among_edges {
            among_edges = text == EDGES_HEADING;
            continue;
        }
        if text.is_empty() {
            break;
        }
        let not_directed = || EdgesProblem::NotDirected { line, found: shortened(text) };
        let (from, to) = without_number(text).split_once(" --> ").ok_or_else(not_directed)?;
        graph.add(line, from.trim(), to.trim(), None)?;
    }
    if among_edges { Ok(()) } else { Err(EdgesProblem::NoEdgesHeading) }
}

/// An edge line without the `12.` at its start.
fn without_number(text: &str) -> &str {
    match text.split_once(". ") {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => text,
    }
}

struct Graph<'a> {
    columns: &'a [String],
    edges: Vec<Edge>,
    seen: HashSet<(usize, usize)>,
}

impl Graph<'_> {
    fn add(&mut self, line: u64, from: &str, to: &str, weight: Option<f64>) -> Result<(), EdgesProblem> {
        let find = |name: &str| {
            position(name, self.columns).ok_or_else(|| EdgesProblem::UnknownColumn {
                line,
                name: shortened(name),
                nearest: nearest(name, self.columns.iter().map(String::as_str)).map(shortened),
            })
        };
        let edge = Edge { from: find(from)?, to: find(to)?, weight };
        if edge.from == edge.to {
            return Err(EdgesProblem::Loop { line, name: shortened(from) });
        }
        if !self.seen.insert((edge.from, edge.to)) {
            return Err(EdgesProblem::Twice { line, from: shortened(from), to: shortened(to) });
        }
        self.edges.push(edge);
        Ok(())
    }
}

/// The edges as a matrix over `columns` columns: entry (i, j) is the weight of i → j, 1 where the file gives none.
pub fn adjacency(edges: &[Edge], columns: usize) -> Matrix {
    let mut matrix = Matrix::zeros(columns, columns);
    for edge in edges {
        matrix[(edge.from, edge.to)] = edge.weight.unwrap_or(1.0);
    }
    matrix
}
