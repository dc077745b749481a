//! Attention over neighbours: the sum of a layer GAT, and its gradient.
//!
//! With `H = X W` cut into heads, the weight of neighbour j for node i is the softmax over j of `leaky(s·H_j + t·H_i)`, slope 0.2.

use rayon::prelude::*;

use super::layer::Scratch;
use crate::dense::{Dense, PIECE};
use crate::structure::Structure;

/// Heads of a layer whose outputs they divide.
pub(crate) const HEADS: usize = 4;
/// Slope of the leaky rectifier below zero.
const SLOPE: f32 = 0.2;

/// Heads of a layer: one where four do not divide its outputs.
pub(crate) fn heads(outputs: usize) -> usize {
    if outputs.is_multiple_of(HEADS) { HEADS } else { 1 }
}

/// What the way back needs.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// `X W`.
    pub(crate) product: Dense,
    /// Weights: entries × heads.
    weights: Dense,
    /// Whether the score of an entry was above zero: entries × heads, 1 or the slope.
    slopes: Dense,
}

impl Kept {
    pub(crate) fn forward(
        &mut self,
        structure: &Structure,
        vectors: &Dense,
        output: &mut Dense,
        scratch: &Scratch,
    ) {
        let (nodes, width) = (self.product.rows(), self.product.columns());
        let heads = heads(width);
        let each = width / heads;
        self.weights.reshape(structure.targets.len(), heads, &scratch.ledger);
        self.slopes.reshape(structure.targets.len(), heads, &scratch.ledger);
        let scores = |vector: &[f32]| -> Vec<f32> {
            let score = |place: usize| {
                let from = (place % heads) * each;
                let row = &self.product.row(place / heads)[from..from + each];
                row.iter().zip(&vector[from..from + each]).map(|(value, weight)| value * weight).sum()
            };
            (0..nodes * heads).into_par_iter().map(score).collect()
        };
        let (of_neighbour, of_node) = (scores(vectors.row(0)), scores(vectors.row(1)));
        // One node at a time: its entries lie together.
        let mut rest = self.weights.values.as_mut_slice();
        let mut rest_slopes = self.slopes.values.as_mut_slice();
        let mut pieces = Vec::new();
        let mut outputs = output.values_mut();
        for from in (0..nodes).step_by(PIECE) {
            let to = (from + PIECE).min(nodes);
            let entries = (structure.starts[to] - structure.starts[from]) * heads;
            let (weights, others) = rest.split_at_mut(entries);
            let (slopes, other_slopes) = rest_slopes.split_at_mut(entries);
            let (out, other_outputs) = outputs.split_at_mut((to - from) * width);
            (rest, rest_slopes, outputs) = (others, other_slopes, other_outputs);
            pieces.push((from..to, weights, slopes, out));
        }
        let product = &self.product;
        pieces.into_par_iter().for_each(|(nodes, weights, slopes, out)| {
            let start = structure.starts[nodes.start];
            for (node, out) in nodes.zip(out.chunks_mut(width)) {
                let entries = structure.starts[node]..structure.starts[node + 1];
                out.fill(0.0);
                for head in 0..heads {
                    let mut most = f32::NEG_INFINITY;
                    for entry in entries.clone() {
                        let target = structure.targets[entry] as usize;
                        let score = of_neighbour[target * heads + head] + of_node[node * heads + head];
                        let slope = if score > 0.0 { 1.0 } else { SLOPE };
                        let place = (entry - start) * heads + head;
                        (weights[place], slopes[place]) = (slope * score, slope);
                        most = most.max(weights[place]);
                    }
                    let mut sum = 0.0;
                    for entry in entries.clone() {
                        let place = (entry - start) * heads + head;
                        weights[place] = (weights[place] - most).exp();
                        sum += weights[place];
                    }
                    let columns = head * each..(head + 1) * each;
                    for entry in entries.clone() {
                        let place = (entry - start) * heads + head;
                        weights[place] /= sum;
                        let row = &product.row(structure.targets[entry] as usize)[columns.clone()];
                        let weight = weights[place];
                        out[columns.clone()]
                            .iter_mut()
                            .zip(row)
                            .for_each(|(sum, value)| *sum += weight * value);
                    }
                }
            }
        });
    }

    /// The gradient with respect to `X W` and to the two vectors, from that with respect to the sums.
    pub(crate) fn backward(
        &self,
        structure: &Structure,
        vectors: &Dense,
        gradient: &Dense,
        scratch: &Scratch,
    ) -> (Dense, Dense) {
        let (nodes, width) = (self.product.rows(), self.product.columns());
        let heads = heads(width);
        let each = width / heads;
        let part = |dense: &Dense, node: usize, head: usize| -> std::ops::Range<usize> {
            let from = node * dense.columns() + head * each;
            from..from + each
        };
        // With respect to the scores before the rectifier, entry by entry.
        let scores: Vec<Vec<f32>> = (0..nodes)
            .into_par_iter()
            .map(|node| {
                let entries = structure.starts[node]..structure.starts[node + 1];
                let mut found = vec![0.0; entries.len() * heads];
                for head in 0..heads {
                    let own = &gradient.values()[part(gradient, node, head)];
                    let mut mean = 0.0;
                    for (place, entry) in entries.clone().enumerate() {
                        let target = structure.targets[entry] as usize;
                        let row = &self.product.values()[part(&self.product, target, head)];
                        let dot: f32 = own.iter().zip(row).map(|(left, right)| left * right).sum();
                        found[place * heads + head] = dot;
                        mean += self.weights.row(entry)[head] * dot;
                    }
                    for (place, entry) in entries.clone().enumerate() {
                        let value = &mut found[place * heads + head];
                        *value =
                            self.slopes.row(entry)[head] * self.weights.row(entry)[head] * (*value - mean);
                    }
                }
                found
            })
            .collect();
        let mut to_product = Dense::counted(nodes, width, &scratch.ledger);
        let mut sums = Dense::counted(nodes, 2 * heads, &scratch.ledger);
        to_product
            .values_mut()
            .par_chunks_mut(width)
            .zip(sums.values_mut().par_chunks_mut(2 * heads))
            .enumerate()
            .for_each(|(node, (out, sums))| {
                for (place, entry) in (structure.starts[node]..structure.starts[node + 1]).enumerate() {
                    // The same edge seen from the neighbour, whose sum this node is part of.
                    let other = structure.targets[entry] as usize;
                    let reverse = structure.reverse[entry] as usize;
                    let there = reverse - structure.starts[other];
                    for head in 0..heads {
                        let weight = self.weights.row(reverse)[head];
                        let row = &gradient.values()[part(gradient, other, head)];
                        let out = &mut out[head * each..(head + 1) * each];
                        out.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
                        sums[head] += scores[other][there * heads + head];
                        sums[heads + head] += scores[node][place * heads + head];
                    }
                }
                for head in 0..heads {
                    for which in 0..2 {
                        let sum = sums[which * heads + head];
                        let vector = &vectors.row(which)[head * each..(head + 1) * each];
                        let out = &mut out[head * each..(head + 1) * each];
                        out.iter_mut().zip(vector).for_each(|(value, weight)| *value += sum * weight);
                    }
                }
            });
        let mut to_vectors = Dense::zeros(2, width);
        for node in 0..nodes {
            let row = self.product.row(node);
            for which in 0..2 {
                for column in 0..width {
                    to_vectors.row_mut(which)[column] +=
                        sums.row(node)[which * heads + column / each] * row[column];
                }
            }
        }
        (to_product, to_vectors)
    }
}
