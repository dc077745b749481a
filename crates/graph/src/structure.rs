//! The adjacency of an undirected graph, and what a convolution sums over it.
//!
//! Every edge stands in both directions, so that a sum over neighbours and its transpose go over the same lists: with R and C diagonal,
//! `R A C` and its transpose `C A R`. No weight is kept per edge.

use pulp::Arch;
use rayon::prelude::*;

use crate::Error;
use crate::dense::{Dense, PIECE};
use crate::rows::gather;

/// A symmetric adjacency `A` with the diagonals R and C of `R A C`.
#[derive(Clone, Debug, PartialEq)]
pub struct Structure {
    pub(crate) starts: Vec<usize>,
    pub(crate) targets: Vec<u32>,
    row_scale: Vec<f32>,
    column_scale: Vec<f32>,
    /// For every entry the place of the same edge the other way round; kept for [`Weighing::Plain`] only.
    pub(crate) reverse: Vec<u32>,
}

/// What was done to a list of edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Cleaning {
    /// Edges from a node to itself, dropped.
    pub loops: usize,
    /// Pairs given more than once, in either direction, merged.
    pub repeated: usize,
}

/// Each pair once, the smaller node first, in ascending order.
///
/// # Errors
/// [`Error::Node`] for an end that is not below `nodes`.
pub fn undirected(nodes: usize, edges: &[(usize, usize)]) -> Result<(Vec<(u32, u32)>, Cleaning), Error> {
    let mut pairs = Vec::with_capacity(edges.len());
    let mut cleaning = Cleaning::default();
    for (edge, &(from, to)) in edges.iter().enumerate() {
        if from >= nodes || to >= nodes {
            return Err(Error::Node { edge, from, to, nodes });
        }
        if from == to {
            cleaning.loops += 1;
        } else {
            pairs.push((from.min(to) as u32, from.max(to) as u32));
        }
    }
    pairs.sort_unstable();
    let before = pairs.len();
    pairs.dedup();
    cleaning.repeated = before - pairs.len();
    Ok((pairs, cleaning))
}

/// What a sum over neighbours is weighed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weighing {
    /// `D^-1/2 (A + I) D^-1/2`.
    Symmetric,
    /// `D^-1 A`: the mean over neighbours, zero where there is none.
    Mean,
    /// `A + I`, each with weight 1.
    Plain,
}

impl Structure {
    /// From distinct pairs without loops, whose nodes are below `nodes`.
    pub(crate) fn new(nodes: usize, pairs: &[(u32, u32)], weighing: Weighing) -> Self {
        let own = usize::from(weighing != Weighing::Mean);
        let mut starts = vec![0; nodes + 1];
        for &(from, to) in pairs {
            starts[from as usize + 1] += 1;
            starts[to as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node] + own;
        }
        let mut next = starts.clone();
        let mut targets = vec![0; starts[nodes]];
        let mut put = |at: u32, target: u32| {
            targets[next[at as usize]] = target;
            next[at as usize] += 1;
        };
        for &(from, to) in pairs {
            put(from, to);
            put(to, from);
        }
        if own == 1 {
            (0..nodes as u32).for_each(|node| put(node, node));
        }
        for node in 0..nodes {
            targets[starts[node]..starts[node + 1]].sort_unstable();
        }
        let degree = |node: usize| (starts[node + 1] - starts[node]) as f64;
        let scale =
            |of: &dyn Fn(f64) -> f64| (0..nodes).map(|node| of(degree(node)) as f32).collect::<Vec<_>>();
        let (row_scale, column_scale) = match weighing {
            Weighing::Symmetric => (scale(&|degree| degree.powf(-0.5)), scale(&|degree| degree.powf(-0.5))),
            Weighing::Mean => {
                (scale(&|degree| if degree > 0.0 { 1.0 / degree } else { 0.0 }), vec![1.0; nodes])
            }
            Weighing::Plain => (vec![1.0; nodes], vec![1.0; nodes]),
        };
        let mut reverse = Vec::new();
        if weighing == Weighing::Plain {
            // Lists ascend: the nodes that have a target come to it in the order of its own list.
            let mut next: Vec<usize> = starts[..nodes].to_vec();
            reverse = targets
                .iter()
                .map(|&target| {
                    let place = &mut next[target as usize];
                    *place += 1;
                    (*place - 1) as u32
                })
                .collect();
        }
        Self { starts, targets, row_scale, column_scale, reverse }
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.starts.len() - 1
    }

    /// Neighbours of a node, ascending; with the node itself where the convolution sums over it.
    pub fn neighbours(&self, node: usize) -> &[u32] {
        &self.targets[self.starts[node]..self.starts[node + 1]]
    }

    /// `out (+)= R A C given`, then a bias for every column, then the larger of that and zero, as asked.
    pub(crate) fn propagate(&self, given: &Dense, out: &mut Dense, bias: Option<&[f32]>, relu: bool) {
        self.sum(given, out, &self.row_scale, &self.column_scale, bias, relu);
    }

    /// `out = C A R given`.
    pub(crate) fn propagate_back(&self, given: &Dense, out: &mut Dense) {
        self.sum(given, out, &self.column_scale, &self.row_scale, None, false);
    }

    fn sum(
        &self,
        given: &Dense,
        out: &mut Dense,
        left: &[f32],
        right: &[f32],
        bias: Option<&[f32]>,
        relu: bool,
    ) {
        let width = given.columns();
        let arch = Arch::new();
        out.values_mut().par_chunks_mut(PIECE * width.max(1)).enumerate().for_each(|(piece, out)| {
            let rows = piece * PIECE..piece * PIECE + out.len() / width;
            arch.dispatch(
                #[inline(always)]
                || {
                    gather(
                        &self.starts,
                        &self.targets,
                        rows,
                        given.values(),
                        width,
                        out,
                        #[inline(always)]
                        |_, target| right[target],
                        #[inline(always)]
                        |row, sums| {
                            let scale = left[row];
                            match bias {
                                Some(bias) => {
                                    sums.iter_mut()
                                        .zip(bias)
                                        .for_each(|(sum, bias)| *sum = scale * *sum + bias);
                                }
                                None => sums.iter_mut().for_each(|sum| *sum *= scale),
                            }
                            if relu {
                                sums.iter_mut().for_each(|sum| *sum = sum.max(0.0));
                            }
                        },
                    );
                },
            );
        });
    }
}
