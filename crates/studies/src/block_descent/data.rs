//! The paper's generated problems A to E.

use backstitch_numerics::{Matrix, SparseMatrix, Stream};
use backstitch_optimize::block_descent::Propagation;

/// Share of weights that are not zero.
const SPARSE: f64 = 0.1;
/// Share of labels that are flipped.
const FLIPPED: f64 = 0.1;
/// Weight of an edge of the lattice, and spread of its labels.
const LATTICE_WEIGHT: f64 = 1e5;
const LATTICE_LABELS: f64 = 10.0;
/// Standard deviation of the noise of the moons: the paper's variance is 0.04.
const MOON_NOISE: f64 = 0.2;

/// Rows and labels.
pub(crate) struct Rows {
    pub(crate) features: SparseMatrix,
    pub(crate) labels: Vec<f64>,
}

/// Features of mean 1 in columns of unequal scale, of which a share of 10 ln(n)/n is kept.
fn features(rows: usize, columns: usize, stream: &mut Stream) -> SparseMatrix {
    let scales: Vec<f64> = (0..columns).map(|_| 10.0 * stream.normal()).collect();
    let kept = (10.0 * (rows as f64).ln() / rows as f64).min(1.0);
    let dense = Matrix::from_fn(rows, columns, |_, column| {
        let value = (stream.normal() + 1.0) * scales[column];
        if stream.uniform() < kept { value } else { 0.0 }
    });
    SparseMatrix::from_dense(&dense)
}

fn sparse_weights(count: usize, stream: &mut Stream) -> Vec<f64> {
    (0..count).map(|_| if stream.uniform() < SPARSE { stream.normal() } else { 0.0 }).collect()
}

/// A: `b = Aw + noise` with a sparse w.
pub(crate) fn sparse_rows(rows: usize, columns: usize, stream: &mut Stream) -> Rows {
    let features = features(rows, columns, stream);
    let weights = sparse_weights(columns, stream);
    let labels = (0..rows).map(|row| features.row(row).dot(&weights) + stream.normal()).collect();
    Rows { features, labels }
}

/// B: the signs of Aw, a tenth of them flipped.
pub(crate) fn sparse_signs(rows: usize, columns: usize, stream: &mut Stream) -> Rows {
    let features = features(rows, columns, stream);
    let weights = sparse_weights(columns, stream);
    let mut sign = |row| {
        let side = if features.row(row).dot(&weights) > 0.0 { 1.0 } else { -1.0 };
        if stream.uniform() < FLIPPED { -side } else { side }
    };
    let labels = (0..rows).map(&mut sign).collect();
    Rows { features, labels }
}

/// C: the largest of several scores with noise.
pub(crate) fn classes(
    rows: usize,
    columns: usize,
    classes: usize,
    stream: &mut Stream,
) -> (SparseMatrix, Vec<usize>) {
    let features = features(rows, columns, stream);
    let weights: Vec<Vec<f64>> =
        (0..classes).map(|_| (0..columns).map(|_| stream.normal()).collect()).collect();
    let labels = (0..rows)
        .map(|row| {
            let scores: Vec<f64> =
                weights.iter().map(|weights| features.row(row).dot(weights) + stream.normal()).collect();
            (0..classes).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0)
        })
        .collect();
    (features, labels)
}

/// D: a square lattice with labels on some nodes.
pub(crate) fn lattice(side: usize, labelled: usize, stream: &mut Stream) -> Result<Propagation, String> {
    let mut edges = Vec::new();
    for node in 0..side * side {
        if node % side + 1 < side {
            edges.push((node, node + 1, LATTICE_WEIGHT));
        }
        if node + side < side * side {
            edges.push((node, node + side, LATTICE_WEIGHT));
        }
    }
    let chosen = stream.permutation(side * side);
    let labels: Vec<(usize, f64)> =
        chosen.into_iter().take(labelled).map(|node| (node, LATTICE_LABELS * stream.normal())).collect();
    Propagation::new(side * side, &edges, &labels).map_err(|error| error.to_string())
}

/// E: two half circles, every point joined to its nearest ones, labels −1 and 1 on some of them. The first labels are one of each
/// component, so that there is one solution.
pub(crate) fn moons(
    points: usize,
    nearest: usize,
    labelled: usize,
    stream: &mut Stream,
) -> Result<Propagation, String> {
    let place = |point: usize, stream: &mut Stream| {
        let angle = std::f64::consts::PI * stream.uniform();
        let (x, y) = if point.is_multiple_of(2) {
            (angle.cos(), angle.sin())
        } else {
            (1.0 - angle.cos(), 0.5 - angle.sin())
        };
        (x + MOON_NOISE * stream.normal(), y + MOON_NOISE * stream.normal())
    };
    let places: Vec<(f64, f64)> = (0..points).map(|point| place(point, stream)).collect();
    let mut joined: Vec<Vec<usize>> = vec![Vec::new(); points];
    for one in 0..points {
        let distance =
            |other: usize| (places[one].0 - places[other].0).hypot(places[one].1 - places[other].1);
        let mut others: Vec<(f64, usize)> =
            (0..points).filter(|&other| other != one).map(|other| (distance(other), other)).collect();
        let kept = nearest.min(points - 2);
        others.select_nth_unstable_by(kept, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for &(_, other) in others.iter().take(kept) {
            if !joined[one].contains(&other) {
                joined[one].push(other);
                joined[other].push(one);
            }
        }
    }
    let edges: Vec<(usize, usize, f64)> = (0..points)
        .flat_map(|one| {
            joined[one].iter().filter(move |&&other| one < other).map(move |&other| (one, other, 1.0))
        })
        .collect();
    let mut order = components(&joined);
    order.extend(
        stream.permutation(points).into_iter().filter(|node| !order.contains(node)).collect::<Vec<_>>(),
    );
    let label = |node: usize| if node.is_multiple_of(2) { -1.0 } else { 1.0 };
    let labels: Vec<(usize, f64)> =
        order.into_iter().take(labelled).map(|node| (node, label(node))).collect();
    Propagation::new(points, &edges, &labels).map_err(|error| error.to_string())
}

/// The first node of every component.
fn components(joined: &[Vec<usize>]) -> Vec<usize> {
    let mut seen = vec![false; joined.len()];
    let mut first = Vec::new();
    for start in 0..joined.len() {
        if seen[start] {
            continue;
        }
        first.push(start);
        let mut open = vec![start];
        while let Some(node) = open.pop() {
            if !std::mem::replace(&mut seen[node], true) {
                open.extend(joined[node].iter().filter(|&&other| !seen[other]));
            }
        }
    }
    first
}
