//! Which directions of a layer's inputs a task uses.

use backstitch_numerics::Matrix;
use faer::MatRef;

use super::layer::split;
use super::products::{add_times, times_transposed};
use crate::Error;

/// A new direction has at least this share of the squares of all inputs; less is rounding.
const LEAST: f64 = 1e-12;

/// Directions of a layer, all tasks together, and those of one task.
pub(super) struct Used {
    /// Orthonormal rows: the known ones first, as they were.
    pub(super) directions: Matrix,
    /// Rows of it that the task uses, largest share first.
    pub(super) columns: Vec<usize>,
}

/// Of the known directions and the singular vectors of what the inputs have beside them, the fewest that hold a share of the squares of
/// the inputs (rows × inputs).
pub(super) fn used(inputs: &Matrix, known: &Matrix, threshold: f64, layer: usize) -> Result<Used, Error> {
    let total: f64 = inputs.values().iter().map(|value| value * value).sum();
    let (rest, inside) = split(inputs, known);
    // Share of the squares, and which direction: known ones by their row, new ones after them.
    let mut shares: Vec<(f64, usize)> = (0..known.rows())
        .map(|direction| (inside.column(direction).map(|value| value * value).sum(), direction))
        .collect();
    let decomposition = MatRef::from_row_major_slice(rest.values(), rest.rows(), rest.columns())
        .thin_svd()
        .map_err(|_| Error::Decomposition { layer: layer + 1 })?;
    let vectors = decomposition.V();
    let values = decomposition.S().column_vector();
    let room = known.columns() - known.rows();
    shares.extend(
        (0..values.nrows().min(room))
            .map(|place| (values[place] * values[place], known.rows() + place))
            .filter(|(share, _)| *share > LEAST * total),
    );
    shares.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    let mut held = 0.0;
    let mut kept = Vec::new();
    for (share, direction) in shares {
        if held >= threshold * total {
            break;
        }
        held += share;
        kept.push(direction);
    }
    let mut rows = known.values().to_vec();
    let mut count = known.rows();
    let columns = kept
        .into_iter()
        .map(|direction| {
            if direction < known.rows() {
                return direction;
            }
            rows.extend((0..known.columns()).map(|input| vectors[(input, direction - known.rows())]));
            count += 1;
            count - 1
        })
        .collect();
    let mut directions =
        Matrix::from_fn(count, known.columns(), |row, column| rows[row * known.columns() + column]);
    orthonormalise(&mut directions, known.rows());
    Ok(Used { directions, columns })
}

/// Makes rows from `first` on orthogonal to all before them, to rounding.
fn orthonormalise(directions: &mut Matrix, first: usize) {
    for row in first..directions.rows() {
        let before = Matrix::from_fn(row, directions.columns(), |row, column| directions[(row, column)]);
        let mut own = Matrix::from_fn(1, directions.columns(), |_, column| directions[(row, column)]);
        let along = times_transposed(&own, &before);
        add_times(&mut own, -1.0, &along, &before);
        let norm = own.values().iter().map(|value| value * value).sum::<f64>().sqrt();
        for (target, value) in directions.row_mut(row).iter_mut().zip(own.values()) {
            *target = value / norm;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstitch_numerics::Stream;

    #[test]
    fn fewest_directions_hold_the_share_and_are_orthonormal() {
        let mut stream = Stream::new(3, "directions");
        let inputs = Matrix::from_fn(40, 12, |_, column| stream.normal() / (1.0 + column as f64));
        let first = used(&inputs, &Matrix::zeros(0, 12), 0.9, 0).unwrap();
        let other = Matrix::from_fn(40, 12, |_, column| stream.normal() * (1.0 + column as f64));
        let second = used(&other, &first.directions, 0.9, 0).unwrap();
        for (found, inputs) in [(&first, &inputs), (&second, &other)] {
            let gram = times_transposed(&found.directions, &found.directions);
            for (row, column) in
                (0..gram.rows()).flat_map(|row| (0..row + 1).map(move |column| (row, column)))
            {
                let expected = f64::from(u8::from(row == column));
                assert!((gram[(row, column)] - expected).abs() < 1e-13);
            }
            let total: f64 = inputs.values().iter().map(|value| value * value).sum();
            let held = |columns: &[usize]| -> f64 {
                let inside = times_transposed(inputs, &found.directions);
                columns
                    .iter()
                    .map(|&column| inside.column(column).map(|value| value * value).sum::<f64>())
                    .sum()
            };
            assert!(held(&found.columns) >= 0.9 * total * (1.0 - 1e-12));
            assert!(held(&found.columns[..found.columns.len() - 1]) < 0.9 * total);
        }
        // What was known stays in its place.
        assert_eq!(&second.directions.values()[..first.directions.values().len()], first.directions.values());
        assert!(second.columns.iter().any(|&column| column >= first.directions.rows()));
    }

    #[test]
    fn no_more_directions_than_inputs() {
        let mut stream = Stream::new(4, "directions");
        let inputs = Matrix::from_fn(30, 5, |_, _| stream.normal());
        let first = used(&inputs, &Matrix::zeros(0, 5), 1.0, 0).unwrap();
        assert_eq!(first.directions.rows(), 5);
        let second = used(&inputs, &first.directions, 1.0, 0).unwrap();
        assert_eq!((second.directions.rows(), second.columns.len()), (5, 5));
    }

    #[test]
    fn inputs_that_are_all_zero_use_nothing() {
        let found = used(&Matrix::zeros(4, 3), &Matrix::zeros(0, 3), 0.99, 0).unwrap();
        assert_eq!((found.directions.rows(), found.columns.len()), (0, 0));
    }
}
