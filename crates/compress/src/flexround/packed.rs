//! Weights in 4 or 8 bits in memory, and their product with rows of inputs.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::layer::Quantised;
use crate::Rows;
use crate::numbers::vectorized;

/// Columns of a block: 32 bytes hold those of a block of half bytes, whose second half lies in the high bits.
const BLOCK: usize = 64;
const HALF: usize = BLOCK / 2;
/// Rows of inputs up to which weights are unpacked anew for every few of them; for more, once for all.
const FEW: usize = 16;
/// Rows of inputs that share one unpacking.
const TOGETHER: usize = 4;
/// Outputs that one thread works on at a time.
const TILE: usize = 32;
/// Products smaller than this stay on one thread.
const PARALLEL: usize = 1 << 18;

/// A quantised matrix as inference uses it: half a byte for every weight of up to 4 bits, a byte for others, in blocks of 64 columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    rows: usize,
    columns: usize,
    halves: bool,
    data: Vec<u8>,
    scales: Vec<f32>,
    zeros: Vec<f32>,
}

impl Packed {
    /// Packs whole numbers.
    pub fn new(quantised: &Quantised) -> Self {
        let Quantised { rows, columns, grid, integers } = quantised;
        let halves = grid.bits <= 4;
        let stride = columns.div_ceil(BLOCK) * if halves { HALF } else { BLOCK };
        let mut data = vec![0; rows * stride];
        for row in 0..*rows {
            let own = &mut data[row * stride..(row + 1) * stride];
            for (column, q) in integers[row * columns..(row + 1) * columns].iter().enumerate() {
                let (block, place) = (column / BLOCK, column % BLOCK);
                if !halves {
                    own[column] = *q;
                } else if place < HALF {
                    own[block * HALF + place] |= q;
                } else {
                    own[block * HALF + place - HALF] |= q << 4;
                }
            }
        }
        let scales = (0..*rows).map(|row| grid.scale(row)).collect();
        let zeros = (0..*rows).map(|row| f32::from(grid.zero(row))).collect();
        Self { rows: *rows, columns: *columns, halves, data, scales, zeros }
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes of the weights with their grids.
    pub fn bytes(&self) -> usize {
        self.data.len() + 4 * (self.scales.len() + self.zeros.len())
    }

    /// inputs · Ŵ': rows × outputs.
    ///
    /// # Panics
    /// If rows of `inputs` have another length than [`Self::columns`].
    pub fn times(&self, inputs: &Rows) -> Rows {
        assert_eq!(inputs.columns(), self.columns, "columns of the inputs");
        if inputs.rows() == 0 || self.rows == 0 {
            return Rows::zeros(inputs.rows(), self.rows);
        }
        let count = inputs.rows();
        // Outputs × rows of inputs first, so that a thread writes what it alone owns.
        let mut turned = vec![0.0; self.rows * count];
        let blocks = self.columns.div_ceil(BLOCK) * BLOCK;
        let padded;
        let values = if blocks == self.columns {
            inputs.values()
        } else {
            let mut own = vec![0.0; count * blocks];
            for row in 0..count {
                own[row * blocks..][..self.columns].copy_from_slice(inputs.row(row));
            }
            padded = own;
            &padded
        };
        let sums: Vec<f32> = values
            .chunks(blocks)
            .map(|row| {
                vectorized(
                    #[inline(always)]
                    || total(row),
                )
            })
            .collect();
        let tile = |(number, target): (usize, &mut [f32])| {
            let first = number * TILE;
            if count <= FEW {
                self.few(first, values, blocks, &sums, target);
            } else {
                self.many(first, values, blocks, target);
            }
        };
        if self.rows * self.columns * count < PARALLEL {
            turned.chunks_mut(TILE * count).enumerate().for_each(tile);
        } else {
            turned.par_chunks_mut(TILE * count).enumerate().for_each(tile);
        }
        if count == 1 {
            return Rows::new(1, self.rows, turned).unwrap_or_default();
        }
        Rows::from_fn(count, self.rows, |row, output| turned[output * count + row])
    }

    fn stride(&self) -> usize {
        self.data.len() / self.rows.max(1)
    }

    /// Some outputs for few rows: weights are unpacked in registers.
    fn few(&self, first: usize, values: &[f32], blocks: usize, sums: &[f32], target: &mut [f32]) {
        let count = sums.len();
        let stride = self.stride();
        for (place, target) in target.chunks_mut(count).enumerate() {
            let output = first + place;
            let data = &self.data[output * stride..(output + 1) * stride];
            let (scale, zero) = (self.scales[output], self.zeros[output]);
            let groups =
                target.chunks_mut(TOGETHER).zip(values.chunks(TOGETHER * blocks)).zip(sums.chunks(TOGETHER));
            for ((target, values), sums) in groups {
                let found = vectorized(
                    #[inline(always)]
                    || match (self.halves, target.len()) {
                        (true, TOGETHER) => dots::<true, TOGETHER>(data, values, blocks),
                        (false, TOGETHER) => dots::<false, TOGETHER>(data, values, blocks),
                        (true, 1) => first_only(dots::<true, 1>(data, values, blocks)),
                        (false, 1) => first_only(dots::<false, 1>(data, values, blocks)),
                        (true, 2) => first_two(dots::<true, 2>(data, values, blocks)),
                        (false, 2) => first_two(dots::<false, 2>(data, values, blocks)),
                        (true, _) => first_three(dots::<true, 3>(data, values, blocks)),
                        (false, _) => first_three(dots::<false, 3>(data, values, blocks)),
                    },
                );
                for (place, target) in target.iter_mut().enumerate() {
                    *target = scale * (-zero).mul_add(sums[place], found[place]);
                }
            }
        }
    }

    /// Some outputs for many rows: weights are unpacked once, and a product of matrices follows.
    fn many(&self, first: usize, values: &[f32], blocks: usize, target: &mut [f32]) {
        let count = values.len() / blocks;
        let outputs = target.len() / count;
        let stride = self.stride();
        let mut weights = vec![0.0; outputs * blocks];
        for (place, weights) in weights.chunks_mut(blocks).enumerate() {
            let output = first + place;
            let data = &self.data[output * stride..(output + 1) * stride];
            let (scale, zero) = (self.scales[output], self.zeros[output]);
            vectorized(
                #[inline(always)]
                || unpack(self.halves, data, scale, zero, weights),
            );
        }
        matmul(
            MatMut::from_row_major_slice_mut(target, outputs, count),
            Accum::Replace,
            MatRef::from_row_major_slice(&weights, outputs, blocks),
            MatRef::from_row_major_slice(values, count, blocks).transpose(),
            1.0,
            Par::Seq,
        );
    }
}

fn first_only(found: [f32; 1]) -> [f32; TOGETHER] {
    [found[0], 0.0, 0.0, 0.0]
}

fn first_two(found: [f32; 2]) -> [f32; TOGETHER] {
    [found[0], found[1], 0.0, 0.0]
}

fn first_three(found: [f32; 3]) -> [f32; TOGETHER] {
    [found[0], found[1], found[2], 0.0]
}

#[inline(always)]
fn unpack(halves: bool, data: &[u8], scale: f32, zero: f32, weights: &mut [f32]) {
    if halves {
        for (data, weights) in data.as_chunks::<HALF>().0.iter().zip(weights.as_chunks_mut::<BLOCK>().0) {
            let (low, high) = weights.split_at_mut(HALF);
            for lane in 0..HALF {
                low[lane] = scale * (f32::from(data[lane] & 15) - zero);
                high[lane] = scale * (f32::from(data[lane] >> 4) - zero);
            }
        }
    } else {
        for (weight, q) in weights.iter_mut().zip(data) {
            *weight = scale * (f32::from(*q) - zero);
        }
    }
}

/// Σ q x of one output for several rows. Loops are over as many lanes as a register has, so that sums stay in registers.
#[inline(always)]
fn dots<const HALVES: bool, const ROWS: usize>(data: &[u8], values: &[f32], blocks: usize) -> [f32; ROWS] {
    const LANES: usize = 16;
    let mut sums = [[[0.0_f32; LANES]; BLOCK / LANES]; ROWS];
    let step = if HALVES { HALF } else { BLOCK };
    for (block, data) in data.chunks_exact(step).enumerate() {
        let bytes = data.as_chunks::<LANES>().0;
        let mut weights = [[0.0_f32; LANES]; BLOCK / LANES];
        if HALVES {
            // Written out: a choice inside one loop keeps it from becoming vector code.
            let (first, second) = (&bytes[0], &bytes[1]);
            for lane in 0..LANES {
                weights[0][lane] = i32::from(first[lane] & 15) as f32;
            }
            for lane in 0..LANES {
                weights[1][lane] = i32::from(second[lane] & 15) as f32;
            }
            for lane in 0..LANES {
                weights[2][lane] = i32::from(first[lane] >> 4) as f32;
            }
            for lane in 0..LANES {
                weights[3][lane] = i32::from(second[lane] >> 4) as f32;
            }
        } else {
            for (weights, own) in weights.iter_mut().zip(bytes) {
                for lane in 0..LANES {
                    weights[lane] = i32::from(own[lane]) as f32;
                }
            }
        }
        for row in 0..ROWS {
            let x = values[row * blocks + block * BLOCK..][..BLOCK].as_chunks::<LANES>().0;
            for part in 0..BLOCK / LANES {
                add_products(&mut sums[row][part], weights[part], &x[part]);
            }
        }
    }
    std::array::from_fn(|row| {
        let parts = &sums[row];
        let both: [f32; LANES] =
            std::array::from_fn(|lane| (parts[0][lane] + parts[1][lane]) + (parts[2][lane] + parts[3][lane]));
        both.iter().sum()
    })
}

#[inline(always)]
fn add_products(sums: &mut [f32; 16], weights: [f32; 16], x: &[f32; 16]) {
    for lane in 0..16 {
        sums[lane] = weights[lane].mul_add(x[lane], sums[lane]);
    }
}

#[inline(always)]
fn total(values: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for lanes in whole {
        for lane in 0..LANES {
            sums[lane] += lanes[lane];
        }
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}
