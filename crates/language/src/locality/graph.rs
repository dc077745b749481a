//! Distances, and the smallest set of variables between two.

use std::collections::VecDeque;

use super::network::Network;
use crate::Error;

/// Number of edges between any two variables, whatever their direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distances {
    variables: usize,
    values: Vec<u32>,
}

impl Distances {
    /// Number of variables.
    pub fn variables(&self) -> usize {
        self.variables
    }

    /// The distance, or `None` if no path joins them.
    pub fn get(&self, a: usize, b: usize) -> Option<u32> {
        Some(self.values[a * self.variables + b]).filter(|&distance| distance != u32::MAX)
    }

    /// All variables within a distance of one, itself included, ascending.
    pub fn within(&self, centre: usize, radius: u32) -> impl Iterator<Item = usize> {
        let row = &self.values[centre * self.variables..][..self.variables];
        row.iter()
            .enumerate()
            .filter(move |&(_, &distance)| distance != u32::MAX && distance <= radius)
            .map(|(v, _)| v)
    }

    fn new(neighbours: &[Vec<usize>]) -> Self {
        let n = neighbours.len();
        let mut values = vec![u32::MAX; n * n];
        for start in 0..n {
            let row = &mut values[start * n..][..n];
            row[start] = 0;
            let mut queue = VecDeque::from([start]);
            while let Some(v) = queue.pop_front() {
                for &next in &neighbours[v] {
                    if row[next] == u32::MAX {
                        row[next] = row[v] + 1;
                        queue.push_back(next);
                    }
                }
            }
        }
        Self { variables: n, values }
    }
}

impl Network {
    /// Distances in the graph without directions.
    pub fn distances(&self) -> Distances {
        let mut neighbours = vec![Vec::new(); self.len()];
        for (parent, child) in self.edges() {
            neighbours[parent].push(child);
            neighbours[child].push(parent);
        }
        Distances::new(&neighbours)
    }

    /// The scaffold between a condition and a target: a smallest set of other variables that separates them in the moral
    /// graph of their ancestors, so that given the set, target and condition are independent. Ordered by distance from the
    /// condition (ties by position); among smallest sets the one nearest to the condition. Empty if nothing joins them.
    ///
    /// # Errors
    /// [`Error::Neighbours`] if an edge joins them; [`Error::Parameter`] if one is out of range or they are the same.
    pub fn scaffold(&self, target: usize, condition: usize) -> Result<Vec<usize>, Error> {
        if target >= self.len() || condition >= self.len() || target == condition {
            return Err(Error::Parameter {
                name: "target and condition",
                value: format!("{target} and {condition}"),
                allowed: format!("two different positions from 0 to {}", self.len() - 1),
                way_out: "give the positions of two variables of the net",
            });
        }
        let moral = self.moral(&[target, condition]);
        let Some(mut cut) = smallest_cut(&moral, condition, target) else {
            let name = |v: usize| self.names()[v].clone();
            return Err(Error::Neighbours { target: name(target), condition: name(condition) });
        };
        let distances = self.distances();
        cut.sort_by_key(|&v| (distances.get(condition, v).unwrap_or(u32::MAX), v));
        Ok(cut)
    }

    /// Neighbours in the moral graph of the ancestors of some variables: parents and children, and parents of a common child.
    fn moral(&self, variables: &[usize]) -> Vec<Vec<usize>> {
        let inside = self.ancestral(variables);
        let mut neighbours = vec![Vec::new(); self.len()];
        for child in (0..self.len()).filter(|&v| inside[v]) {
            let family: Vec<usize> = self.parents(child).iter().copied().chain([child]).collect();
            for &one in &family {
                neighbours[one].extend(family.iter().copied().filter(|&other| other != one));
            }
        }
        for list in &mut neighbours {
            list.sort_unstable();
            list.dedup();
        }
        neighbours
    }
}

/// A smallest set of vertices whose removal separates `source` from `sink`, the one nearest to the source, ascending; `None` if
/// they are neighbours. By maximum flow: every vertex is an arc of capacity one from its entry to its exit.
pub fn smallest_cut(neighbours: &[Vec<usize>], source: usize, sink: usize) -> Option<Vec<usize>> {
    if neighbours[source].contains(&sink) {
        return None;
    }
    let n = neighbours.len();
    // Entry of v is 2v, exit is 2v + 1. Arcs in pairs: arc i ^ 1 is the reverse of arc i.
    let mut arcs: Vec<(usize, u32)> = Vec::new();
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); 2 * n];
    let mut arc = |from: usize, to: usize, capacity: u32| {
        out[from].push(arcs.len());
        arcs.push((to, capacity));
        out[to].push(arcs.len());
        arcs.push((from, 0));
    };
    for (v, list) in neighbours.iter().enumerate() {
        arc(2 * v, 2 * v + 1, 1);
        list.iter().for_each(|&next| arc(2 * v + 1, 2 * next, u32::MAX / 2));
    }
    let (from, to) = (2 * source + 1, 2 * sink);
    loop {
        let mut reached: Vec<Option<usize>> = vec![None; 2 * n];
        let mut seen = vec![false; 2 * n];
        seen[from] = true;
        let mut queue = VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            for &index in &out[node] {
                let (next, capacity) = arcs[index];
                if capacity > 0 && !seen[next] {
                    seen[next] = true;
                    reached[next] = Some(index);
                    queue.push_back(next);
                }
            }
        }
        if !seen[to] {
            return Some((0..n).filter(|&v| seen[2 * v] && !seen[2 * v + 1]).collect());
        }
        // Without an arc between source and sink every path passes a vertex, so one unit is what a path can carry.
        let mut node = to;
        while let Some(index) = reached[node] {
            arcs[index].1 -= 1;
            arcs[index ^ 1].1 += 1;
            node = arcs[index ^ 1].0;
        }
    }
}
