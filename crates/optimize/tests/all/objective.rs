//! Losses, regularisers, quadratics and eigenvalues.

use backstitch_numerics::{Matrix, SparseMatrix, Stream};
use backstitch_optimize::Error;
use backstitch_optimize::objective::{
    Classes, Loss, Objective, Quadratic, Regulariser, RowObjective, largest_eigenvalue,
};
use proptest::prelude::*;

/// A random sparse matrix with random signs as labels.
fn sample(rows: usize, columns: usize, seed: u64) -> (SparseMatrix, Vec<f64>) {
    let mut stream = Stream::new(seed, "rows");
    let dense =
        Matrix::from_fn(rows, columns, |_, _| if stream.uniform() < 0.4 { stream.normal() } else { 0.0 });
    let labels = (0..rows).map(|_| if stream.uniform() < 0.5 { 1.0 } else { -1.0 }).collect();
    (SparseMatrix::from_dense(&dense).with_columns(columns).unwrap(), labels)
}

/// The gradient against central differences of the value.
#[track_caller]
fn check_gradient(objective: &impl Objective, point: &[f64]) {
    let mut gradient = vec![0.0; point.len()];
    objective.gradient(point, &mut gradient);
    for coordinate in 0..point.len() {
        let step = 1e-5;
        let at = |offset: f64| {
            let mut moved = point.to_vec();
            moved[coordinate] += offset;
            objective.value(&moved)
        };
        let difference = (at(step) - at(-step)) / (2.0 * step);
        let scale = 1.0 + difference.abs();
        assert!(
            (gradient[coordinate] - difference).abs() <= 1e-7 * scale,
            "coordinate {coordinate}: {} and {difference}",
            gradient[coordinate]
        );
    }
}

#[test]
fn gradients_are_the_differences_of_values() {
    let (features, labels) = sample(40, 7, 1);
    let mut stream = Stream::new(2, "points");
    for loss in [Loss::Logistic, Loss::LeastSquares] {
        for regulariser in [Regulariser::None, Regulariser::Ridge(0.3), Regulariser::Bounded(0.2)] {
            let objective = RowObjective::new(&features, &labels, 5..33, loss, regulariser).unwrap();
            for _ in 0..5 {
                let point: Vec<f64> = (0..7).map(|_| 2.0 * stream.normal()).collect();
                check_gradient(&objective, &point);
            }
        }
    }
    let normal = |stream: &mut Stream| (0..7).map(|_| stream.normal()).collect::<Vec<_>>();
    let quadratic =
        Quadratic::new(normal(&mut stream), vec![1.0, 0.0, 5.0, 2.0, 0.5, 3.0, 1.0], normal(&mut stream))
            .unwrap();
    check_gradient(&quadratic, &normal(&mut stream));
}

#[test]
fn the_logistic_loss_neither_overflows_nor_cancels() {
    for margin in [1e4, 700.0, 40.0, 0.0, -40.0, -700.0, -1e4] {
        let (value, slope) = (Loss::Logistic.value(margin, 1.0), Loss::Logistic.slope(margin, 1.0));
        assert!(
            value.is_finite() && value >= 0.0 && (-1.0..=0.0).contains(&slope),
            "{margin}: {value} {slope}"
        );
    }
    assert_eq!(Loss::Logistic.value(-1e4, 1.0), 1e4);
    assert!((Loss::Logistic.value(40.0, 1.0) - (-40f64).exp()).abs() < 1e-30);
    assert_eq!(Loss::Logistic.slope(0.0, -1.0), 0.5);
}

/// The largest eigenvalue of a dense matrix's Gram matrix, by many plain steps.
fn plain(features: &SparseMatrix) -> f64 {
    let dense = features.to_dense();
    let mut vector: Vec<f64> = (0..dense.columns()).map(|column| 1.0 + 0.01 * column as f64).collect();
    let mut value = 0.0;
    for _ in 0..200_000 {
        let mut image = vec![0.0; dense.columns()];
        for row in 0..dense.rows() {
            let product: f64 = dense.row(row).iter().zip(&vector).map(|(a, x)| a * x).sum();
            for (sum, entry) in image.iter_mut().zip(dense.row(row)) {
                *sum += product * entry;
            }
        }
        let length = image.iter().map(|entry| entry * entry).sum::<f64>().sqrt();
        if length == 0.0 {
            return 0.0;
        }
        let converged = (length - value).abs() <= 1e-15 * length;
        value = length;
        vector = image.iter().map(|entry| entry / length).collect();
        if converged {
            break;
        }
    }
    value
}

#[test]
fn bounds_hold_the_eigenvalue() {
    for seed in 0..20 {
        let (signed, _) = sample(30, 9, seed);
        let positive = Matrix::from_fn(30, 9, |row, column| signed.to_dense()[(row, column)].abs());
        let positive = SparseMatrix::from_dense(&positive);
        // Too many columns to decompose the matrix.
        let (wide, _) = sample(30, 230, seed);
        for (features, near) in [(&signed, 1e-8), (&positive, 1e-6), (&wide, 0.03)] {
            let exact = plain(features);
            let bounds = largest_eigenvalue(features, 0..30, |_| 1.0, 1e-7, 3_000);
            assert!(
                bounds.lower <= exact * (1.0 + 1e-9) && exact <= bounds.upper * (1.0 + 1e-9),
                "{bounds:?} {exact}"
            );
            assert!(bounds.upper <= exact * (1.0 + near), "{bounds:?} {exact}");
        }
    }
}

#[test]
fn eigenvalues_of_one_row_blocks_and_nothing_are_exact() {
    let row = SparseMatrix::from_dense(&Matrix::from_fn(1, 4, |_, column| column as f64 - 1.0));
    let bounds = largest_eigenvalue(&row, 0..1, |_| 2.0, 1e-9, 100);
    assert!((bounds.upper - 12.0).abs() < 1e-9, "{bounds:?}");
    // Two blocks that nothing couples: the smaller one must not spoil the bound.
    let blocks = Matrix::from_fn(4, 4, |row, column| {
        f64::from(u8::from(row / 2 == column / 2)) * if row < 2 { 3.0 } else { 1.0 }
    });
    let bounds = largest_eigenvalue(&SparseMatrix::from_dense(&blocks), 0..4, |_| 1.0, 1e-9, 5_000);
    assert!((bounds.upper - 36.0).abs() < 1e-6, "{bounds:?}");
    let nothing = SparseMatrix::from_dense(&Matrix::zeros(3, 2));
    assert_eq!(largest_eigenvalue(&nothing, 0..3, |_| 1.0, 1e-9, 10).upper, 0.0);
}

#[test]
fn smoothness_bounds_the_change_of_gradients() {
    let (features, labels) = sample(50, 6, 3);
    let mut stream = Stream::new(4, "pairs");
    for (loss, regulariser) in [
        (Loss::Logistic, Regulariser::Bounded(0.1)),
        (Loss::Logistic, Regulariser::None),
        (Loss::LeastSquares, Regulariser::Ridge(0.5)),
    ] {
        let objective = RowObjective::new(&features, &labels, 0..50, loss, regulariser).unwrap();
        let (mut one, mut other) = (vec![0.0; 6], vec![0.0; 6]);
        let mut steepest: f64 = 0.0;
        for _ in 0..500 {
            // Near pairs around zero reach the constant; far ones stay below it.
            let scale = if stream.uniform() < 0.5 { 0.05 } else { 3.0 };
            let x: Vec<f64> = (0..6).map(|_| scale * stream.normal()).collect();
            let y: Vec<f64> = (0..6).map(|_| scale * stream.normal()).collect();
            objective.gradient(&x, &mut one);
            objective.gradient(&y, &mut other);
            let length =
                |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt();
            steepest = steepest.max(length(&one, &other) / length(&x, &y));
        }
        let constant = objective.smoothness();
        assert!(steepest <= constant && steepest >= 0.3 * constant, "{steepest} {constant}");
    }
}

#[test]
fn the_constant_of_the_mean_is_that_of_all_rows_together() {
    let (features, labels) = sample(40, 8, 9);
    let loss = Loss::LeastSquares;
    let parts: Vec<_> = [0..10, 10..20, 20..30, 30..40]
        .into_iter()
        .map(|rows| RowObjective::new(&features, &labels, rows, loss, Regulariser::None).unwrap())
        .collect();
    let whole = RowObjective::new(&features, &labels, 0..40, loss, Regulariser::None).unwrap();
    let of_mean = RowObjective::smoothness_of_mean(&parts).unwrap();
    assert!((of_mean / whole.smoothness() - 1.0).abs() < 0.05, "{of_mean} {}", whole.smoothness());
    let mean: f64 = parts.iter().map(Objective::smoothness).sum::<f64>() / 4.0;
    assert!(of_mean <= mean);
}

#[test]
fn batches_are_right_on_average_and_within_their_variance() {
    let (features, labels) = sample(12, 5, 11);
    let objective =
        RowObjective::new(&features, &labels, 2..12, Loss::Logistic, Regulariser::Bounded(0.1)).unwrap();
    let point = [0.3, -1.0, 0.5, 0.0, 2.0];
    let mut whole = [0.0; 5];
    objective.gradient(&point, &mut whole);
    // All 45 pairs of the ten rows.
    let (mut sum, mut spread, mut count) = ([0.0; 5], 0.0, 0.0);
    let mut part = [0.0; 5];
    for one in 0..10 {
        for other in one + 1..10 {
            objective.sample_gradient(&point, &[one, other], &mut part);
            for ((sum, slope), exact) in sum.iter_mut().zip(&part).zip(&whole) {
                *sum += slope;
                spread += (slope - exact).powi(2);
            }
            count += 1.0;
        }
    }
    for (sum, exact) in sum.iter().zip(&whole) {
        assert!((sum / count - exact).abs() < 1e-12);
    }
    assert!(spread / count <= objective.sample_variance(2).unwrap());
    assert_eq!(objective.sample_variance(10), Some(0.0));
    let squares =
        RowObjective::new(&features, &labels, 2..12, Loss::LeastSquares, Regulariser::None).unwrap();
    assert_eq!(squares.sample_variance(2), None);
}

#[test]
fn classes_are_the_two_labels_or_one_against_all() {
    let two = Classes::of(&[2.0, 1.0, 2.0], None).unwrap();
    assert_eq!((two.positive, two.negative), (2.0, Some(1.0)));
    assert_eq!(two.signs(&[1.0, 2.0]), [-1.0, 1.0]);
    assert_eq!((two.label(0.1), two.label(-0.1)), (Some(2.0), Some(1.0)));
    let named = Classes::of(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 9.0], Some(9.0)).unwrap();
    assert_eq!((named.positive, named.negative), (9.0, None));
    assert_eq!(
        Classes::of(&[1.0; 5], None).unwrap_err().to_string(),
        "all 5 labels are 1, but a loss of classes needs two of them; add rows of another class, or use the least-squares loss"
    );
    assert_eq!(
        Classes::of(&[3.0, 1.0, 2.0], None).unwrap_err().to_string(),
        "the labels have more than two values (1, 2, 3, …), but the logistic loss needs two classes; name the one that is set \
         against the others, or use the least-squares loss"
    );
    assert!(matches!(Classes::of(&[3.0, 1.0], Some(7.0)), Err(Error::NoSuchClass { .. })));
    assert!(matches!(Classes::of(&[3.0, f64::NAN], None), Err(Error::NotFinite { row: 1, .. })));
    assert_eq!(Classes::of(&[], None), Err(Error::NoRows));
}

#[test]
fn rows_that_cannot_be_fitted_are_refused() {
    let (features, labels) = sample(4, 3, 1);
    let new = |labels: &[f64], loss| {
        RowObjective::new(&features, labels, 0..4, loss, Regulariser::None).unwrap_err()
    };
    assert_eq!(new(&labels[..3], Loss::Logistic), Error::Labels { labels: 3, rows: 4 });
    assert_eq!(new(&[1.0, -1.0, 0.0, 1.0], Loss::Logistic), Error::NotSigned { row: 2, value: 0.0 });
    let infinite = new(&[1.0, f64::INFINITY, 0.0, 1.0], Loss::LeastSquares);
    assert_eq!(infinite, Error::NotFinite { what: "the label", row: 1, value: f64::INFINITY });
    let huge = SparseMatrix::from_dense(&Matrix::from_fn(1, 2, |_, _| 1e200));
    let refused = RowObjective::new(&huge, &[1.0], 0..1, Loss::Logistic, Regulariser::None).unwrap_err();
    assert_eq!(refused, Error::TooLarge { row: 0 });
    let empty = RowObjective::new(&features, &labels, 2..2, Loss::Logistic, Regulariser::None).unwrap_err();
    assert_eq!(empty, Error::NoRows);
    let negative = Regulariser::Ridge(-1.0);
    assert!(matches!(
        RowObjective::new(&features, &labels, 0..4, Loss::Logistic, negative),
        Err(Error::Parameter { name: "regulariser", .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Both bounds hold for any weights of the rows.
    #[test]
    fn eigenvalue_bounds_hold_for_weighted_rows(seed in 0..10_000_u64, rows in 1..8_usize, columns in 1..6_usize) {
        let (features, _) = sample(rows, columns, seed);
        let mut stream = Stream::new(seed, "weights");
        let weights: Vec<f64> = (0..rows).map(|_| stream.uniform()).collect();
        let dense = features.to_dense();
        let scaled = Matrix::from_fn(rows, columns, |row, column| dense[(row, column)] * weights[row].sqrt());
        let exact = plain(&SparseMatrix::from_dense(&scaled));
        let bounds = largest_eigenvalue(&features, 0..rows, |row| weights[row], 1e-6, 2_000);
        prop_assert!(bounds.lower <= exact * (1.0 + 1e-6) + 1e-12);
        prop_assert!(exact <= bounds.upper * (1.0 + 1e-9) + 1e-12);
    }
}
