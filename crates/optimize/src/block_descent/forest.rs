//! Blocks whose graph has no cycle, and their systems solved by passing messages from the leaves to a root and back.

use backstitch_numerics::SparseMatrix;

/// Trees that grow together (union by size, paths halved).
#[derive(Clone, Debug)]
struct UnionFind {
    parents: Vec<usize>,
    sizes: Vec<usize>,
}

impl UnionFind {
    fn new(nodes: usize) -> Self {
        Self { parents: (0..nodes).collect(), sizes: vec![1; nodes] }
    }

    fn root(&mut self, mut node: usize) -> usize {
        while self.parents[node] != node {
            self.parents[node] = self.parents[self.parents[node]];
            node = self.parents[node];
        }
        node
    }

    fn join(&mut self, one: usize, other: usize) {
        let (mut large, mut small) = (self.root(one), self.root(other));
        if large == small {
            return;
        }
        if self.sizes[large] < self.sizes[small] {
            std::mem::swap(&mut large, &mut small);
        }
        self.parents[small] = large;
        self.sizes[large] += self.sizes[small];
    }
}

/// A forest that grows node by node.
#[derive(Clone, Debug)]
struct Forest {
    trees: UnionFind,
    inside: Vec<bool>,
    nodes: Vec<usize>,
    /// Room for the trees next to a node.
    roots: Vec<usize>,
}

impl Forest {
    fn new(nodes: usize) -> Self {
        Self {
            trees: UnionFind::new(nodes),
            inside: vec![false; nodes],
            nodes: Vec::new(),
            roots: Vec::new(),
        }
    }

    /// Adds a node unless it would close a cycle: two of its neighbours inside are in one tree.
    fn add(&mut self, matrix: &SparseMatrix, node: usize) -> bool {
        self.roots.clear();
        for (other, value) in matrix.row(node).iter() {
            if self.inside[other] && other != node && value != 0.0 {
                let root = self.trees.root(other);
                if self.roots.contains(&root) {
                    return false;
                }
                self.roots.push(root);
            }
        }
        for place in 0..self.roots.len() {
            self.trees.join(self.roots[place], node);
        }
        self.inside[node] = true;
        self.nodes.push(node);
        true
    }
}

/// The forest that results when nodes are taken in an order and left out if they would close a cycle in the graph of a symmetric
/// matrix. O((nodes + entries) α).
pub fn greedy_forest(matrix: &SparseMatrix, order: &[usize]) -> Vec<usize> {
    let mut forest = Forest::new(matrix.rows());
    for &node in order {
        forest.add(matrix, node);
    }
    forest.nodes
}

/// All nodes in forests: each goes, in the order given, to the first one that it leaves without a cycle.
pub fn forest_partition(matrix: &SparseMatrix, order: &[usize]) -> Vec<Vec<usize>> {
    let mut forests: Vec<Forest> = Vec::new();
    for &node in order {
        if !forests.iter_mut().any(|forest| forest.add(matrix, node)) {
            let mut forest = Forest::new(matrix.rows());
            forest.add(matrix, node);
            forests.push(forest);
        }
    }
    forests.into_iter().map(|forest| forest.nodes).collect()
}

/// All nodes in classes without an edge inside: each goes, in the order given, to the first colour that no neighbour has. On a lattice
/// this is red and black.
pub fn colour_partition(matrix: &SparseMatrix, order: &[usize]) -> Vec<Vec<usize>> {
    let mut colours: Vec<Option<usize>> = vec![None; matrix.rows()];
    let mut classes: Vec<Vec<usize>> = Vec::new();
    for &node in order {
        let row = matrix.row(node);
        let coloured = row.iter().filter(|(_, value)| *value != 0.0).filter_map(|(other, _)| colours[other]);
        let taken: Vec<usize> = coloured.collect();
        let colour = (0..).find(|colour| !taken.contains(colour)).unwrap_or(taken.len());
        if colour == classes.len() {
            classes.push(Vec::new());
        }
        classes[colour].push(node);
        colours[node] = Some(colour);
    }
    classes
}

/// Solves `A_bb x = side` for a block b of a symmetric positive definite matrix, in O(|b| + entries of its rows): every leaf is
/// eliminated into its one neighbour, and what is found at the roots goes back.
///
/// Nothing if the graph of the block has a cycle, or a pivot is not positive. `ridge` is added to the diagonal.
pub fn solve_forest(matrix: &SparseMatrix, block: &[usize], ridge: f64, side: &[f64]) -> Option<Vec<f64>> {
    const OUTSIDE: usize = usize::MAX;
    let mut places = vec![OUTSIDE; matrix.rows()];
    for (place, &node) in block.iter().enumerate() {
        places[node] = place;
    }
    let n = block.len();
    // Every node after its parent; a root is its own parent.
    let mut order = Vec::with_capacity(n);
    let mut parents = vec![OUTSIDE; n];
    let mut links = vec![0.0; n];
    let mut pivots = vec![0.0; n];
    for start in 0..n {
        if parents[start] != OUTSIDE {
            continue;
        }
        parents[start] = start;
        let mut next = order.len();
        order.push(start);
        while let Some(&place) = order.get(next) {
            next += 1;
            for (other, value) in matrix.row(block[place]).iter() {
                if other == block[place] {
                    pivots[place] = value + ridge;
                    continue;
                }
                let other = places[other];
                if other == OUTSIDE || other == parents[place] || value == 0.0 {
                    continue;
                }
                if parents[other] != OUTSIDE {
                    return None;
                }
                parents[other] = place;
                links[other] = value;
                order.push(other);
            }
        }
    }
    let mut solution = side.to_vec();
    for &place in order.iter().rev() {
        if !(pivots[place] > 0.0 && pivots[place].is_finite()) {
            return None;
        }
        let parent = parents[place];
        if parent != place {
            let share = links[place] / pivots[place];
            pivots[parent] -= share * links[place];
            solution[parent] -= share * solution[place];
        }
    }
    for &place in &order {
        let parent = parents[place];
        let above = if parent == place { 0.0 } else { links[place] * solution[parent] };
        solution[place] = (solution[place] - above) / pivots[place];
    }
    Some(solution)
}
