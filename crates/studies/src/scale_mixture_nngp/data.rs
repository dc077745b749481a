//! Rows of the study: public tables cut into training and test rows, and two generated sets.

use std::path::Path;

use backstitch_claim::CellError;
use backstitch_data::embedded::DIABETES;
use backstitch_data::table::{TableOptions, read_table};
use backstitch_numerics::{Matrix, Stream};

/// Training and test rows.
pub(super) struct Split {
    pub(super) train: Matrix,
    pub(super) train_targets: Vec<f64>,
    pub(super) test: Matrix,
    pub(super) test_targets: Vec<f64>,
}

/// A public set: its last column is the target.
pub(super) fn public(folder: &Path) -> Result<Matrix, CellError> {
    let table = read_table(folder.join("data.csv.gz"), &TableOptions::default()).map_err(CellError::new)?;
    Ok(table.values)
}

/// The table that is part of the program.
pub(super) fn diabetes() -> Result<Matrix, CellError> {
    Ok(DIABETES.table().map_err(CellError::new)?.values)
}

impl Split {
    /// Rows of a table drawn at random, the last column as target; where there are too few, a tenth of them tests.
    pub(super) fn drawn(table: &Matrix, train: usize, test: usize, stream: &mut Stream) -> Self {
        let rows = table.rows();
        let order = stream.permutation(rows);
        let test = test.min((rows / 10).max(rows.saturating_sub(train)));
        let train = train.min(rows - test);
        Self::of(table, &order[..train], &order[train..train + test])
    }

    fn of(table: &Matrix, train: &[usize], test: &[usize]) -> Self {
        let last = table.columns() - 1;
        let inputs =
            |rows: &[usize]| Matrix::from_fn(rows.len(), last, |row, column| table[(rows[row], column)]);
        let targets = |rows: &[usize]| rows.iter().map(|&row| table[(row, last)]).collect();
        Self {
            train: inputs(train),
            train_targets: targets(train),
            test: inputs(test),
            test_targets: targets(test),
        }
    }

    /// A draw of a Gaussian process with a squared-exponential kernel on the line from -5 to 5 plus noise: 300 points with 0.8 times a
    /// Cauchy variable (Student's t of one degree of freedom), or 100 points with 0.2 times a normal one. Four fifths train.
    pub(super) fn generated(heavy: bool, stream: &mut Stream) -> Self {
        let points = if heavy { 300 } else { 100 };
        let x: Vec<f64> = (0..points).map(|_| 10.0 * stream.uniform() - 5.0).collect();
        let f = smooth(&x, stream);
        let noise = |stream: &mut Stream| {
            let normal = stream.normal();
            if heavy { 0.8 * normal / stream.normal() } else { 0.2 * normal }
        };
        let rows: Vec<[f64; 2]> = x.iter().zip(&f).map(|(x, f)| [*x, f + noise(stream)]).collect();
        let table = Matrix::from_fn(points, 2, |row, column| rows[row][column]);
        let order = stream.permutation(points);
        let (train, test) = order.split_at(points * 4 / 5);
        Self::of(&table, train, test)
    }

    /// All values, for the record.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let values = [self.train.values(), &self.train_targets, self.test.values(), &self.test_targets];
        values.concat().iter().flat_map(|value| value.to_le_bytes()).collect()
    }
}

/// A draw of a Gaussian process of length scale 1 by its spectrum: 2,000 cosines of random frequency and phase.
fn smooth(x: &[f64], stream: &mut Stream) -> Vec<f64> {
    const WAVES: usize = 2000;
    let mut f = vec![0.0; x.len()];
    for _ in 0..WAVES {
        let (frequency, phase) = (stream.normal(), std::f64::consts::TAU * stream.uniform());
        for (f, x) in f.iter_mut().zip(x) {
            *f += (2.0 / WAVES as f64).sqrt() * (frequency * x + phase).cos();
        }
    }
    f
}
