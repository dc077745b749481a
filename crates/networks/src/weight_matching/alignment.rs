//! How far the singular vectors of two networks' layers point the same way.

use backstitch_numerics::Matrix;
use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::matmul::matmul;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Accum, Mat, MatRef, Par, Spec};
use rayon::prelude::*;

use super::checkpoint::Checkpoint;
use super::specification::Specification;
use crate::Error;

/// Singular values that differ by less than this share of the largest are one: their vectors are kept or left together.
const TIE: f64 = 1e-9;

/// Singular values below this share of the largest count as zero: their vectors are arbitrary.
const ZERO: f64 = 1e-12;

/// The alignment of the singular vectors of one layer, before and after one network is permuted.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerAlignment {
    /// The tensor of weights.
    pub name: String,
    /// Singular vectors kept: of the first network, of the other.
    pub kept: (usize, usize),
    /// Σ over kept pairs of (u_i·u_j)(v_i·v_j), over the geometric mean of the numbers kept: from −1 to 1.
    pub before: f64,
    /// The same for the permuted network.
    pub after: f64,
}

/// The alignment of all layers at one threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Alignment {
    /// Share of the largest singular value of a layer from which vectors are kept.
    pub threshold: f64,
    /// R of all layers together: sums over layers, divided by the sum of the numbers kept.
    pub before: f64,
    /// The same for the permuted network.
    pub after: f64,
    /// Layer by layer.
    pub layers: Vec<LayerAlignment>,
}

/// A layer's weights without their lengths.
struct Factors {
    name: String,
    shape: Vec<usize>,
    /// U V' over kept vectors, for every threshold, and how many were kept.
    products: Vec<(Vec<f64>, usize)>,
}

/// Multiplications that the alignment of two such networks takes, roughly.
pub(super) fn work(specification: &Specification, weights: &Checkpoint) -> f64 {
    let layers = layers(specification, weights);
    layers.map(|(_, rows, columns)| 40.0 * (rows * columns) as f64 * rows.min(columns) as f64).sum()
}

/// Alignments of `one` with `other` and with `permuted`, which is `other` by these orders, at some thresholds.
pub(super) fn alignments(
    specification: &Specification,
    orders: &[Vec<usize>],
    one: &Checkpoint,
    other: &Checkpoint,
    thresholds: &[f64],
) -> Result<Vec<Alignment>, Error> {
    let ours = factors(specification, one, thresholds)?;
    let theirs = factors(specification, other, thresholds)?;
    let mut found = Vec::new();
    for (place, &threshold) in thresholds.iter().enumerate() {
        let (mut layers, mut sums) = (Vec::new(), [0.0; 3]);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let ((own, own_kept), (their, their_kept)) = (&ours.products[place], &theirs.products[place]);
            let mut moved = Checkpoint::default();
            moved.insert(&theirs.name, &theirs.shape, their.clone())?;
            for (permutation, order) in orders.iter().enumerate() {
                specification.rearrange_one(permutation, order, &mut moved, &theirs.name);
            }
            let moved = moved.tensor(&theirs.name)?.values().unwrap_or_default();
            let product =
                |theirs: &[f64]| own.iter().zip(theirs).map(|(own, their)| own * their).sum::<f64>();
            let kept = ((own_kept * their_kept) as f64).sqrt();
            let (before, after) = (product(their), product(&moved));
            sums = [sums[0] + before, sums[1] + after, sums[2] + kept];
            let share = |sum: f64| if kept > 0.0 { sum / kept } else { 0.0 };
            layers.push(LayerAlignment {
                name: ours.name.clone(),
                kept: (*own_kept, *their_kept),
                before: share(before),
                after: share(after),
            });
        }
        let [before, after, kept] = sums;
        let share = |sum: f64| if kept > 0.0 { sum / kept } else { 0.0 };
        found.push(Alignment { threshold, before: share(before), after: share(after), layers });
    }
    Ok(found)
}

/// The weights of a layer are a matrix of its first axis by all others.
fn layers<'a>(
    specification: &'a Specification,
    weights: &'a Checkpoint,
) -> impl Iterator<Item = (&'a str, usize, usize)> {
    weights.tensors().filter_map(|(name, tensor)| {
        let shape = tensor.shape();
        let (rows, columns) = (*shape.first()?, shape.iter().skip(1).product::<usize>());
        let is_layer = shape.len() >= 2 && rows * columns > 0 && tensor.is_floating();
        (is_layer && specification.tensors.contains_key(name)).then_some((name, rows, columns))
    })
}

fn factors(
    specification: &Specification,
    weights: &Checkpoint,
    thresholds: &[f64],
) -> Result<Vec<Factors>, Error> {
    let layers: Vec<(&str, usize, usize)> = layers(specification, weights).collect();
    layers
        .into_par_iter()
        .map(|(name, rows, columns)| {
            let tensor = weights.tensor(name)?;
            let values = tensor.values().unwrap_or_default();
            let products = polar(&values, rows, columns, thresholds).map_err(|()| Error::Tensor {
                name: name.into(),
                problem: "its singular values cannot be found".into(),
                way_out: "scale the weights, or leave the alignment out",
            })?;
            Ok(Factors { name: name.into(), shape: tensor.shape().to_vec(), products })
        })
        .collect()
}

fn polar(
    values: &[f64],
    rows: usize,
    columns: usize,
    thresholds: &[f64],
) -> Result<Vec<(Vec<f64>, usize)>, ()> {
    let size = rows.min(columns);
    let (mut left, mut right) = (Mat::zeros(rows, size), Mat::zeros(columns, size));
    let mut lengths = Diag::<f64>::zeros(size);
    let scratch = svd_scratch::<f64>(
        rows,
        columns,
        ComputeSvdVectors::Thin,
        ComputeSvdVectors::Thin,
        Par::Seq,
        Spec::default(),
    );
    svd(
        MatRef::from_row_major_slice(values, rows, columns),
        lengths.as_mut(),
        Some(left.as_mut()),
        Some(right.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Spec::default(),
    )
    .map_err(|_| ())?;
    let lengths: Vec<f64> = lengths.column_vector().iter().copied().collect();
    let product = |threshold: f64| {
        let kept = kept(&lengths, threshold);
        let mut product = Mat::zeros(rows, columns);
        matmul(
            product.as_mut(),
            Accum::Replace,
            left.subcols(0, kept),
            right.subcols(0, kept).transpose(),
            1.0,
            Par::Seq,
        );
        (Matrix::from_fn(rows, columns, |row, column| product[(row, column)]).values().to_vec(), kept)
    };
    Ok(thresholds.iter().map(|threshold| product(*threshold)).collect())
}

/// How many singular values, which fall, reach a share of the largest; ties with the last of them are kept too.
fn kept(lengths: &[f64], threshold: f64) -> usize {
    let largest = lengths.first().copied().unwrap_or(0.0);
    if largest == 0.0 {
        return 0;
    }
    let real = lengths.iter().take_while(|length| **length > ZERO * largest).count();
    let mut count = lengths[..real].iter().take_while(|length| **length >= threshold * largest).count();
    while count > 0 && count < real && lengths[count - 1] - lengths[count] <= TIE * largest {
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_kept_whole() {
        assert_eq!(kept(&[1.0, 0.5, 0.3, 0.3 - 1e-12, 0.1], 0.3), 4);
        assert_eq!(kept(&[1.0, 0.5, 0.3, 0.2], 0.3), 3);
        assert_eq!(kept(&[1.0, 0.5, 1e-14], 0.0), 2);
        assert_eq!(kept(&[0.0, 0.0], 0.0), 0);
    }

    /// On a diagonal matrix the product is that of unit vectors.
    #[test]
    fn factors_have_no_lengths() {
        let found = polar(&[3.0, 0.0, 0.0, 0.0, -1.0, 0.0], 2, 3, &[0.0, 0.5]).unwrap();
        assert_eq!((found[0].1, found[1].1), (2, 1));
        for (values, wanted) in
            [(&found[0].0, [1.0, 0.0, 0.0, 0.0, -1.0, 0.0]), (&found[1].0, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0])]
        {
            assert!(
                values.iter().zip(wanted).all(|(value, wanted)| (value - wanted).abs() < 1e-12),
                "{values:?}"
            );
        }
    }
}
