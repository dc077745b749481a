//! Bayes nets of binary variables.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use backstitch_data::jsonl::{self, read_lines, read_lines_from};
use backstitch_numerics::Stream;
use rand_distr::{Beta, Distribution};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Most parents of a variable: its table then has a million rows.
pub const MOST_PARENTS: usize = 20;

/// Graphs drawn before giving up on an acyclic one.
const TRIES: usize = 1_000_000;

/// A directed acyclic graph over named binary variables with the probability of each given its parents.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    names: Vec<String>,
    parents: Vec<Vec<usize>>,
    /// P(true | parents); bit k of the row number is the value of the k-th parent.
    tables: Vec<Vec<f64>>,
    /// Every parent before its children.
    order: Vec<usize>,
}

/// A random net. The default is the paper's: 100 variables, 100 edges, Beta(0.2, 0.2) tables.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkParameters {
    /// Variables, at least 2.
    pub variables: usize,
    /// Edges: exactly so many distinct pairs, each pointing either way with probability one half.
    pub edges: usize,
    /// Both parameters of the Beta distribution of every row of a variable with parents. Roots are uniform.
    pub concentration: f64,
}

impl Default for NetworkParameters {
    fn default() -> Self {
        Self { variables: 100, edges: 100, concentration: 0.2 }
    }
}

impl NetworkParameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        if self.variables < 2 || self.variables > 10_000 {
            return Err(Error::Parameter {
                name: "variables",
                value: self.variables.to_string(),
                allowed: "from 2 to 10000".into(),
                way_out: "the paper has 100",
            });
        }
        let most = self.variables * (self.variables - 1) / 2;
        if self.edges > most {
            return Err(Error::Parameter {
                name: "edges",
                value: self.edges.to_string(),
                allowed: format!("from 0 to {most}, the number of pairs"),
                way_out: "the paper has as many edges as variables",
            });
        }
        if !self.concentration.is_finite() || self.concentration <= 0.0 {
            return Err(Error::Parameter {
                name: "concentration",
                value: self.concentration.to_string(),
                allowed: "a finite number above 0".into(),
                way_out: "0.2 is the paper's; below 1 most rows are nearly deterministic",
            });
        }
        Ok(())
    }
}

/// One variable as a user writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Names of its parents.
    #[serde(default)]
    pub parents: Vec<String>,
    /// One row per combination of parents' values: those values (0 or 1, in the order of `parents`), then P(true).
    pub rows: Vec<Vec<f64>>,
}

impl Network {
    /// Takes names, parents (positions) and tables: `tables[v][r]` is P(v = 1 | parents), bit k of r being the value of
    /// `parents[v][k]`.
    ///
    /// # Errors
    /// [`Error::Variable`] for a wrong number of parents or rows, a parent out of range or double, a name that is empty, double or
    /// has white space or `=`, a value outside [0, 1]; [`Error::Cycle`]; [`Error::Parameter`] if there is no variable.
    pub fn new(names: Vec<String>, parents: Vec<Vec<usize>>, tables: Vec<Vec<f64>>) -> Result<Self, Error> {
        if names.is_empty() || parents.len() != names.len() || tables.len() != names.len() {
            return Err(Error::Parameter {
                name: "variables",
                value: format!(
                    "{} names, {} lists of parents, {} tables",
                    names.len(),
                    parents.len(),
                    tables.len()
                ),
                allowed: "the same number of each, at least 1".into(),
                way_out: "give every variable a name, parents and a table",
            });
        }
        let mut seen = HashSet::new();
        for (variable, name) in names.iter().enumerate() {
            let problem = |problem: String| Err(Error::Variable { name: name.clone(), problem });
            if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '=') {
                return problem("a name must not be empty nor have white space or '='; rename it".into());
            }
            if !seen.insert(name) {
                return problem("two variables have this name; rename one".into());
            }
            let own = &parents[variable];
            if own.len() > MOST_PARENTS {
                return problem(format!(
                    "{} parents, but at most {MOST_PARENTS} are taken; split it",
                    own.len()
                ));
            }
            for (place, &parent) in own.iter().enumerate() {
                if parent >= names.len() {
                    return problem(format!(
                        "parent {parent}, but there are {} variables (counted from 0)",
                        names.len()
                    ));
                }
                if own[..place].contains(&parent) {
                    return problem(format!("parent {:?} is listed twice; remove one", names[parent]));
                }
            }
            let (rows, wanted) = (tables[variable].len(), 1_usize << own.len());
            if rows != wanted {
                return problem(format!("{rows} rows for {} parents, but there must be {wanted}", own.len()));
            }
            if let Some(value) = tables[variable].iter().find(|value| !(0.0..=1.0).contains(*value)) {
                return problem(format!("P(true) is {value}, but must be from 0 to 1"));
            }
        }
        let order = topological(&parents).map_err(|cycle| cycle_error(&cycle, &names))?;
        Ok(Self { names, parents, tables, order })
    }

    /// Reads a net: a JSON array of [`Variable`]s, or one per line. Parents may come after their children. Example of a line:
    /// `{"name": "X7", "parents": ["X3"], "rows": [[0, 0.2], [1, 0.9]]}`; a root has `"rows": [[0.4]]`.
    ///
    /// # Errors
    /// [`Error::Jsonl`], [`Error::File`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::from_lines(read_lines(path)?, path)
    }

    /// The same from any reader; `name` stands in for the file in errors.
    ///
    /// # Errors
    /// As [`Network::read`].
    pub fn read_from(reader: impl Read, name: &Path) -> Result<Self, Error> {
        Self::from_lines(read_lines_from(reader, name)?, name)
    }

    fn from_lines(lines: Vec<(usize, String)>, path: &Path) -> Result<Self, Error> {
        let mut variables: Vec<Variable> = Vec::with_capacity(lines.len());
        if lines.first().is_some_and(|(_, text)| text.trim_start().starts_with('[')) {
            let text: String = lines.into_iter().map(|(_, line)| line + "\n").collect();
            variables = serde_json::from_str(&text)
                .map_err(|error| Error::File { file: path.into(), problem: error.to_string() })?;
        } else {
            for (line, text) in lines {
                variables.push(jsonl::parse(&text, path, line)?);
            }
        }
        if variables.is_empty() {
            return Err(Error::File {
                file: path.into(),
                problem: "no variables; give one JSON object per line".into(),
            });
        }
        Self::from_variables(&variables)
            .map_err(|error| Error::File { file: path.into(), problem: error.to_string() })
    }

    /// The same from variables in memory.
    ///
    /// # Errors
    /// [`Error::Variable`], [`Error::Cycle`].
    pub fn from_variables(variables: &[Variable]) -> Result<Self, Error> {
        let positions: HashMap<&str, usize> = variables
            .iter()
            .enumerate()
            .map(|(position, variable)| (variable.name.as_str(), position))
            .collect();
        let mut parents = Vec::with_capacity(variables.len());
        let mut tables = Vec::with_capacity(variables.len());
        for Variable { name, parents: own, rows } in variables {
            let error = |problem: String| Error::Variable { name: name.clone(), problem };
            let mut list = Vec::with_capacity(own.len());
            for parent in own {
                let Some(&position) = positions.get(parent.as_str()) else {
                    return Err(error(format!(
                        "parent {parent:?} is not a variable of the net; add it or correct the name"
                    )));
                };
                list.push(position);
            }
            parents.push(list);
            tables.push(table(own, rows).map_err(error)?);
        }
        Self::new(variables.iter().map(|variable| variable.name.clone()).collect(), parents, tables)
    }

    /// The net as variables, which [`Network::from_variables`] reads back.
    pub fn to_variables(&self) -> Vec<Variable> {
        (0..self.len())
            .map(|v| Variable {
                name: self.names[v].clone(),
                parents: self.parents[v].iter().map(|&parent| self.names[parent].clone()).collect(),
                rows: (0..self.tables[v].len())
                    .map(|row| {
                        let values = (0..self.parents[v].len()).map(|k| (row >> k & 1) as f64);
                        values.chain([self.tables[v][row]]).collect()
                    })
                    .collect(),
            })
            .collect()
    }

    /// A random net named X0, X1, …: `edges` distinct pairs, directions by fair coins, all drawn again until there is no
    /// cycle. P(true) of a root is uniform; every row of another variable is Beta(concentration, concentration).
    ///
    /// # Errors
    /// [`Error::Parameter`], also if no acyclic graph is found in a million draws (far more edges than variables).
    pub fn random(parameters: &NetworkParameters, seed: u64) -> Result<Self, Error> {
        parameters.validate()?;
        let n = parameters.variables;
        let mut stream = Stream::new(seed, "locality network");
        let parents = acyclic(n, parameters.edges, &mut stream)?;
        // The concentration is checked, so the distribution exists.
        let beta = Beta::new(parameters.concentration, parameters.concentration).ok();
        let mut draw = |root: bool| match &beta {
            Some(beta) if !root => beta.sample(&mut stream).clamp(0.0, 1.0),
            _ => stream.uniform(),
        };
        let tables = parents
            .iter()
            .map(|own| (0..1_usize << own.len()).map(|_| draw(own.is_empty())).collect())
            .collect();
        Self::new((0..n).map(|v| format!("X{v}")).collect(), parents, tables)
    }

    /// Number of variables.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Never: a net has a variable.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Names, by position.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Position of a name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// Positions of the parents of a variable.
    pub fn parents(&self, variable: usize) -> &[usize] {
        &self.parents[variable]
    }

    /// P(true | parents); bit k of the row number is the value of the k-th parent.
    pub fn table(&self, variable: usize) -> &[f64] {
        &self.tables[variable]
    }

    /// All variables, every parent before its children.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// All edges, as (parent, child).
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> {
        self.parents
            .iter()
            .enumerate()
            .flat_map(|(child, own)| own.iter().map(move |&parent| (parent, child)))
    }
}

fn table(parents: &[String], rows: &[Vec<f64>]) -> Result<Vec<f64>, String> {
    if parents.len() > MOST_PARENTS {
        return Err(format!("{} parents, but at most {MOST_PARENTS} are taken; split it", parents.len()));
    }
    let mut table = vec![None; 1 << parents.len()];
    for row in rows {
        let Some((&probability, values)) =
            row.split_last().filter(|(_, values)| values.len() == parents.len())
        else {
            return Err(format!(
                "row {row:?} has {} numbers, but must have {}: a value of each parent, then P(true)",
                row.len(),
                parents.len() + 1
            ));
        };
        let mut index = 0;
        for (k, (&value, parent)) in values.iter().zip(parents).enumerate() {
            match value {
                0.0 => {}
                1.0 => index |= 1 << k,
                _ => {
                    return Err(format!(
                        "row {row:?}: the value of parent {parent:?} is {value}, but must be 0 or 1"
                    ));
                }
            }
        }
        if !(0.0..=1.0).contains(&probability) {
            return Err(format!("row {row:?}: P(true) is {probability}, but must be from 0 to 1"));
        }
        if table[index].replace(probability).is_some() {
            return Err(format!("two rows for the parents' values {values:?}; remove one"));
        }
    }
    let rows = table.len();
    let given = table.iter().flatten().count();
    let table: Option<Vec<f64>> = table.into_iter().collect();
    table.ok_or_else(|| {
        format!("{given} rows, but {rows} are needed: one per combination of the parents' values")
    })
}

fn acyclic(n: usize, edges: usize, stream: &mut Stream) -> Result<Vec<Vec<usize>>, Error> {
    for _ in 0..TRIES {
        let mut pairs = HashSet::with_capacity(edges);
        let mut parents = vec![Vec::new(); n];
        while pairs.len() < edges {
            let one = stream.below(n);
            let other = (one + 1 + stream.below(n - 1)) % n;
            // An ordered pair of distinct variables, so the direction is already fair.
            if pairs.insert((one.min(other), one.max(other))) {
                parents[other].push(one);
            }
        }
        if parents.iter().all(|own| own.len() <= MOST_PARENTS) && topological(&parents).is_ok() {
            return Ok(parents);
        }
    }
    Err(Error::Parameter {
        name: "edges",
        value: edges.to_string(),
        allowed: format!("few enough that random directions of {n} variables have no cycle"),
        way_out: "use about as many edges as variables",
    })
}

/// An order with parents first, or the variables of a cycle: each a parent of the next, the last a parent of the first.
fn topological(parents: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let n = parents.len();
    let mut children = vec![Vec::new(); n];
    let mut waiting: Vec<usize> = parents.iter().map(Vec::len).collect();
    for (child, own) in parents.iter().enumerate() {
        own.iter().for_each(|&parent| children[parent].push(child));
    }
    let mut order: Vec<usize> = (0..n).filter(|&v| waiting[v] == 0).collect();
    let mut next = 0;
    while next < order.len() {
        for &child in &children[order[next]] {
            waiting[child] -= 1;
            if waiting[child] == 0 {
                order.push(child);
            }
        }
        next += 1;
    }
    if order.len() == n {
        return Ok(order);
    }
    // Every variable still waiting has a parent still waiting: going back along those must meet itself.
    let mut path = Vec::new();
    let mut current = (0..n).find(|&v| waiting[v] > 0);
    while let Some(v) = current {
        if let Some(start) = path.iter().position(|&seen| seen == v) {
            let mut cycle = path.split_off(start);
            cycle.reverse();
            return Err(cycle);
        }
        path.push(v);
        current = parents[v].iter().copied().find(|&parent| waiting[parent] > 0);
    }
    Err(path)
}

fn cycle_error(cycle: &[usize], names: &[String]) -> Error {
    let name = |v: &usize| names[*v].as_str();
    let (first, last) = (cycle.first().map_or("", name), cycle.last().map_or("", name));
    let path: Vec<&str> = cycle.iter().map(name).chain([first]).collect();
    Error::Cycle { edge: format!("{last}->{first}"), path: path.join("->") }
}
