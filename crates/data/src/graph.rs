//! Reading a graph whose nodes have features, and labels if they are known.
//!
//! - **`.npz`**, as public benchmarks have graphs: adjacency and features in compressed sparse rows (`adj_indices`, `adj_indptr`,
//!   `adj_shape`, `attr_data`, `attr_indices`, `attr_indptr`, `attr_shape`; or features as a matrix `attr_matrix`) and `labels`; or
//!   `edges` (pairs), `node_features` and `node_labels`. A label below 0 says that it is not known. Weights of edges are not read.
//! - **Tables**: edges as pairs of nodes, features with one row per node, labels as pairs of node and label for nodes that have one.
//!
//! Nodes count from 0. Edges are given as they stand in the file, in one direction or both.

use std::io::Read;
use std::path::Path;

use backstitch_numerics::{Matrix, SparseBuilder, SparseMatrix};

use crate::input::open;
use crate::npz::{Array, DEFAULT_MAX_BYTES, Npz, NpzProblem, Numbers};
use crate::table::{Table, TableOptions, read_table};

/// A graph as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphData {
    /// Pairs of nodes.
    pub edges: Vec<(usize, usize)>,
    /// One row per node.
    pub features: SparseMatrix,
    /// One label per node, or none where it is not known; nothing where the file has no labels.
    pub labels: Option<Vec<Option<usize>>>,
}

/// Why a graph was refused.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct GraphError {
    /// The file, as it was named to the reader.
    pub file: String,
    /// What is wrong.
    pub problem: String,
    hint: String,
}

impl GraphError {
    /// A way out.
    pub fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }
}

/// A problem with its way out.
type Refused = (String, String);

fn refused<T>(problem: impl Into<String>, hint: impl Into<String>) -> Result<T, Refused> {
    Err((problem.into(), hint.into()))
}

/// Reads a graph in an `.npz` file.
///
/// # Errors
/// The file cannot be read or is no such graph.
pub fn read_graph(path: impl AsRef<Path>) -> Result<GraphData, GraphError> {
    let path = path.as_ref();
    let name = path.display().to_string();
    match open(path) {
        Ok(file) => read_graph_from(file, &name, DEFAULT_MAX_BYTES),
        Err(problem) => {
            let hint = problem.hint().unwrap_or_default();
            Err(GraphError { file: name, problem: problem.to_string(), hint })
        }
    }
}

/// Reads a graph in `.npz` form from a stream; `name` stands for it in errors.
///
/// # Errors
/// As [`read_graph`].
pub fn read_graph_from(reader: impl Read, name: &str, max_bytes: u64) -> Result<GraphData, GraphError> {
    read(reader, max_bytes).map_err(|(problem, hint)| GraphError { file: name.into(), problem, hint })
}

const FORMS: &str = "give adj_indices, adj_indptr, adj_shape, attr_data, attr_indices, attr_indptr, attr_shape and labels, or edges, \
                     node_features and node_labels";

fn read(reader: impl Read, max_bytes: u64) -> Result<GraphData, Refused> {
    let failed = |problem: NpzProblem| (problem.to_string(), "save it again with numpy.savez".to_owned());
    let file = Npz::read(reader, max_bytes).map_err(failed)?;
    let get = |name: &str| file.array(name).map_err(failed);
    let need = |name: &str| match get(name)? {
        Some(array) => Ok(array),
        None => {
            let names: Vec<&str> = file.names().take(20).collect();
            refused(format!("there is no array {name:?}; there is {}", names.join(", ")), FORMS)
        }
    };
    let (edges, features, labels) = if file.names().any(|name| name == "edges") {
        let edges = need("edges")?;
        let ([_, 2], Numbers::Whole(numbers)) = (edges.shape.as_slice(), &edges.numbers) else {
            return refused(
                format!("edges has the shape {:?}, but must be pairs of whole numbers", edges.shape),
                FORMS,
            );
        };
        let ends: Vec<usize> = whole("edges", numbers)?;
        let pairs: Vec<(usize, usize)> =
            ends.as_chunks::<2>().0.iter().map(|[from, to]| (*from, *to)).collect();
        (pairs, dense("node_features", &need("node_features")?)?, get("node_labels")?)
    } else {
        let indices = one_axis("adj_indices", &need("adj_indices")?)?;
        let starts = one_axis("adj_indptr", &need("adj_indptr")?)?;
        let [nodes, others] = one_axis("adj_shape", &need("adj_shape")?)?[..] else {
            return refused("adj_shape must have two numbers", FORMS);
        };
        if nodes != others {
            return refused(format!("the adjacency is {nodes} x {others}, but must be square"), FORMS);
        }
        check_starts("adj", &starts, &indices, nodes, nodes)?;
        let of =
            |node: usize| indices[starts[node]..starts[node + 1]].iter().map(move |&other| (node, other));
        let edges: Vec<(usize, usize)> = (0..nodes).flat_map(of).collect();
        let features = match get("attr_matrix")? {
            Some(matrix) => dense("attr_matrix", &matrix)?,
            None => {
                let values = reals(&need("attr_data")?);
                let indices = one_axis("attr_indices", &need("attr_indices")?)?;
                let starts = one_axis("attr_indptr", &need("attr_indptr")?)?;
                let [rows, columns] = one_axis("attr_shape", &need("attr_shape")?)?[..] else {
                    return refused("attr_shape must have two numbers", FORMS);
                };
                check_starts("attr", &starts, &indices, rows, columns)?;
                if values.len() != indices.len() {
                    let problem =
                        format!("attr_data has {} numbers for {} indices", values.len(), indices.len());
                    return refused(problem, FORMS);
                }
                sparse(&starts, &indices, &values, columns)?
            }
        };
        if features.rows() != nodes {
            let problem =
                format!("there are features of {} nodes, but the graph has {nodes}", features.rows());
            return refused(problem, "give one row of features per node");
        }
        (edges, features, get("labels")?)
    };
    let labels = labels.map(|labels| labels_of(&labels, features.rows())).transpose()?;
    check_edges(&edges, features.rows())?;
    Ok(GraphData { edges, features, labels })
}

fn check_edges(edges: &[(usize, usize)], nodes: usize) -> Result<(), Refused> {
    match edges.iter().position(|&(from, to)| from >= nodes || to >= nodes) {
        Some(place) => {
            let (from, to) = edges[place];
            let problem = format!(
                "edge {place} joins nodes {from} and {to}, but there are features of {nodes} nodes, counted from 0"
            );
            refused(problem, "give every node a row of features, and count nodes from 0")
        }
        None => Ok(()),
    }
}

fn whole(name: &str, numbers: &[i64]) -> Result<Vec<usize>, Refused> {
    let number = |&number: &i64| {
        usize::try_from(number).ok().filter(|number| u32::try_from(*number).is_ok()).ok_or_else(|| {
            (format!("{name} has the number {number}, but must be from 0 to 4294967295"), FORMS.to_owned())
        })
    };
    numbers.iter().map(number).collect()
}

fn one_axis(name: &str, array: &Array) -> Result<Vec<usize>, Refused> {
    match (&array.numbers, array.shape.len()) {
        (Numbers::Whole(numbers), 1) => whole(name, numbers),
        _ => refused(format!("{name} must be a list of whole numbers"), FORMS),
    }
}

fn reals(array: &Array) -> Vec<f64> {
    match &array.numbers {
        Numbers::Whole(numbers) => numbers.iter().map(|number| *number as f64).collect(),
        Numbers::Real(numbers) => numbers.clone(),
    }
}

fn check_starts(
    name: &str,
    starts: &[usize],
    indices: &[usize],
    rows: usize,
    columns: usize,
) -> Result<(), Refused> {
    let ascending = starts.is_sorted() && starts.first() == Some(&0) && starts.last() == Some(&indices.len());
    if !ascending || rows.checked_add(1) != Some(starts.len()) {
        let problem = format!("{name}_indptr does not cut {} entries into {rows} rows", indices.len());
        return refused(problem, "save the matrix in compressed sparse rows (scipy.sparse.csr_matrix)");
    }
    match indices.iter().find(|index| **index >= columns) {
        Some(index) => refused(
            format!("{name}_indices has {index}, but there are {columns} columns, counted from 0"),
            FORMS,
        ),
        None => Ok(()),
    }
}

fn finite(name: &str, value: f64, row: usize, column: usize) -> Result<f64, Refused> {
    if value.is_finite() {
        return Ok(value);
    }
    refused(
        format!("{name}: node {row}, feature {column} is {value}, but must be finite"),
        "fill in the value, or drop the node",
    )
}

fn sparse(
    starts: &[usize],
    indices: &[usize],
    values: &[f64],
    columns: usize,
) -> Result<SparseMatrix, Refused> {
    let mut builder = SparseBuilder::new();
    for (row, ends) in starts.windows(2).enumerate() {
        let mut entries: Vec<usize> = (ends[0]..ends[1]).collect();
        entries.sort_by_key(|&entry| indices[entry]);
        for entry in entries {
            let (column, value) = (indices[entry], finite("attr_data", values[entry], row, indices[entry])?);
            if value != 0.0 {
                let fix = "an entry of attr stands twice; call sum_duplicates() before saving";
                builder.push(column, value).map_err(|error| (error.to_string(), fix.to_owned()))?;
            }
        }
        builder.end_row();
    }
    builder.finish().with_columns(columns).map_err(|error| (error.to_string(), FORMS.to_owned()))
}

fn dense(name: &str, array: &Array) -> Result<SparseMatrix, Refused> {
    let [rows, columns] = array.shape[..] else {
        return refused(format!("{name} has the shape {:?}, but must be a matrix", array.shape), FORMS);
    };
    let values = reals(array);
    if let Some(place) = values.iter().position(|value| !value.is_finite()) {
        finite(name, values[place], place / columns.max(1), place % columns.max(1))?;
    }
    match Matrix::new(rows, columns, values) {
        Ok(matrix) => Ok(SparseMatrix::from_dense(&matrix)),
        Err(error) => refused(format!("{name}: {error}"), FORMS),
    }
}

fn labels_of(array: &Array, nodes: usize) -> Result<Vec<Option<usize>>, Refused> {
    let numbers: Vec<i64> = match &array.numbers {
        Numbers::Whole(numbers) => numbers.clone(),
        Numbers::Real(_) => return refused("labels must be whole numbers", "number the classes from 0"),
    };
    if array.shape.len() != 1 || numbers.len() != nodes {
        let problem = format!("labels have the shape {:?}, but the graph has {nodes} nodes", array.shape);
        return refused(problem, "give one label per node, below 0 where it is not known");
    }
    Ok(numbers.into_iter().map(|label| usize::try_from(label).ok()).collect())
}

/// Reads a graph in tables: `edges` with two columns of nodes, `features` with a row for every node in their order (a column named
/// `node` may number them instead), `labels` with two columns, node and label.
///
/// # Errors
/// A file cannot be read, or is no such table; nodes or labels are no whole numbers from 0.
pub fn read_graph_tables(
    edges: &Path,
    features: &Path,
    labels: Option<&Path>,
) -> Result<GraphData, GraphError> {
    let features_of = features_in(&table(features)?).map_err(|refused| at(features, refused))?;
    let nodes = features_of.rows();
    let pairs = read_node_pairs(edges, nodes)?;
    let labels_of = |path: &Path| -> Result<Vec<Option<usize>>, GraphError> {
        let found = pairs_in(&table(path)?, "node", "label").and_then(|pairs| {
            let mut labels = vec![None; nodes];
            for (node, label) in pairs {
                let Some(place) = labels.get_mut(node) else {
                    let problem =
                        format!("node {node} has a label, but there are {nodes} nodes, counted from 0");
                    return refused(problem, "label nodes that have features");
                };
                if place.replace(label).is_some() {
                    return refused(format!("node {node} is labelled twice"), "keep one of its lines");
                }
            }
            Ok(labels)
        });
        found.map_err(|refused| at(path, refused))
    };
    Ok(GraphData { edges: pairs, features: features_of, labels: labels.map(labels_of).transpose()? })
}

/// Reads a table with two columns of nodes, counted from 0, of which there are `nodes`.
///
/// # Errors
/// The file cannot be read, has other columns, or names what is no node.
pub fn read_node_pairs(path: &Path, nodes: usize) -> Result<Vec<(usize, usize)>, GraphError> {
    let pairs = pairs_in(&table(path)?, "node", "node").and_then(|pairs| {
        match pairs.iter().position(|&(from, to)| from.max(to) >= nodes) {
            Some(place) => {
                let node = pairs[place].0.max(pairs[place].1);
                let problem = format!(
                    "row {}: there is no node {node}; the graph has {nodes}, counted from 0",
                    place + 1
                );
                refused(problem, "give pairs of nodes that have a row of features")
            }
            None => Ok(pairs),
        }
    });
    pairs.map_err(|refused| at(path, refused))
}

fn table(path: &Path) -> Result<Table, GraphError> {
    read_table(path, &TableOptions::default()).map_err(|error| {
        let hint = error.hint().unwrap_or_default();
        GraphError { file: error.file.clone(), problem: error.problem.to_string(), hint }
    })
}

fn at(path: &Path, (problem, hint): Refused) -> GraphError {
    GraphError { file: path.display().to_string(), problem, hint }
}

fn features_in(table: &Table) -> Result<SparseMatrix, Refused> {
    let Some(place) = table.columns.iter().position(|name| name == "node") else {
        return Ok(SparseMatrix::from_dense(&table.values));
    };
    let rows = table.values.rows();
    let mut order = vec![None; rows];
    for row in 0..rows {
        let value = table.values[(row, place)];
        let node = number(value).filter(|node| *node < rows);
        let Some(slot) = node.and_then(|node| order.get_mut(node)) else {
            let problem =
                format!("row {} is of node {value}, but {rows} rows are of nodes 0 to {}", row + 1, rows - 1);
            return refused(problem, "give every node one row");
        };
        if slot.replace(row).is_some() {
            return refused(format!("node {value} has two rows"), "give every node one row");
        }
    }
    let columns: Vec<usize> = (0..table.columns.len()).filter(|column| *column != place).collect();
    let order: Vec<usize> = order.into_iter().flatten().collect();
    let matrix =
        Matrix::from_fn(rows, columns.len(), |row, column| table.values[(order[row], columns[column])]);
    Ok(SparseMatrix::from_dense(&matrix))
}

fn pairs_in(table: &Table, first: &str, second: &str) -> Result<Vec<(usize, usize)>, Refused> {
    if table.columns.len() != 2 {
        let problem =
            format!("there are {} columns, but must be two: {first} and {second}", table.columns.len());
        return refused(problem, "leave other columns out");
    }
    let pair = |row: usize| {
        let value = |column: usize, name: &str| {
            let value = table.values[(row, column)];
            number(value).ok_or_else(|| {
                let problem =
                    format!("row {}: the {name} is {value}, but must be a whole number from 0", row + 1);
                (problem, format!("number the {name}s from 0"))
            })
        };
        Ok((value(0, first)?, value(1, second)?))
    };
    (0..table.values.rows()).map(pair).collect()
}

fn number(value: f64) -> Option<usize> {
    (value >= 0.0 && value.fract() == 0.0 && value < f64::from(u32::MAX)).then_some(value as usize)
}
