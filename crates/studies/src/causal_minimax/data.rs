//! Environments for the study: the published simulation drawn anew, the published mice, a linear model; and errors on them.

use std::fmt::Write;
use std::path::Path;

use backstitch_claim::CellError;
use backstitch_numerics::{Matrix, Stream};
use backstitch_statistics::causal_minimax::{Graph, LinearModel, Model};
use serde::{Deserialize, Serialize};

/// Training rows, and test rows by environment.
pub(super) struct Split {
    pub(super) graph: Graph,
    pub(super) target: usize,
    pub(super) environment: usize,
    pub(super) train: Matrix,
    tests: Vec<Matrix>,
}

/// Errors of a predictor over the test environments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Errors {
    /// The largest, in training variances of the target.
    pub(super) worst: f64,
    /// The largest, each environment standardised by itself.
    pub(super) worst_own: f64,
    /// The mean, in training variances.
    pub(super) mean: f64,
}

/// A column of the simulation: name, parents with weights, and the function over their weighted sum.
type Mechanism = (&'static str, &'static [(&'static str, f64)], fn(f64) -> f64);

/// The published simulation, in causal order: `column = function(weighted sum of parents) + N(0, 0.1²)`, the target first, and for the mutable X9 and
/// X10 the function is multiplied by `e − 10.5` in environment e = 1 … 20.
const MECHANISMS: &[Mechanism] = &[
    ("Y", &[], |_| 0.0),
    ("X6", &[], |_| 0.0),
    ("X8", &[], |_| 0.0),
    ("X9", &[("Y", 1.91)], f64::tanh),
    ("X5", &[("X6", 0.84)], sigmoid),
    ("X7", &[("X8", -1.52)], |sum| sum),
    ("X1", &[("Y", 0.63), ("X9", -0.58), ("X6", 1.51), ("X5", 1.13)], sigmoid),
    ("X3", &[("X1", -0.95)], f64::tanh),
    ("X2", &[("X3", 1.47), ("X8", -0.64)], f64::tanh),
    ("X10", &[("X5", -1.2), ("X3", 1.33), ("X8", 0.64)], f64::tanh),
    ("X4", &[("X2", 1.42), ("X7", 0.99), ("X8", 0.72)], sigmoid),
];

fn sigmoid(sum: f64) -> f64 {
    1.0 / (1.0 + (-sum).exp())
}

/// Standard deviation of all noise of the published simulation.
const NOISE: f64 = 0.1;

/// The measurements of the mice that the paper uses: X1 … X5 and the target.
const MEASUREMENTS: [&str; 6] = [
    "IMPC_HEM_030_001",
    "IMPC_HEM_032_001",
    "IMPC_HEM_036_001",
    "IMPC_HEM_037_001",
    "IMPC_HEM_039_001",
    "IMPC_HEM_034_001",
];

/// Genes knocked out in environments 0 (none) to 13, in the paper's order.
const GENES: [&str; 14] = [
    "0", "1797_1", "1796_1", "1798_1", "727_1", "1550_1", "1799_1", "3157_1", "3621_1", "3803_1", "3805_1",
    "3887_1", "4045_1", "4047_1",
];

/// Environments that train in every published split; two of the others join them.
const ALWAYS_TRAIN: [usize; 4] = [0, 2, 4, 7];

impl Split {
    /// The simulation, half of its environments for training, all drawn by the seed. The target has a deviation of `spread`
    /// (published: 0.1), and the mutable mechanisms are multiplied by `gain` (published: 1). Columns are E and those of [`MECHANISMS`].
    pub(super) fn simulated(
        environments: usize,
        rows: usize,
        spread: f64,
        gain: f64,
        seed: u64,
    ) -> Result<Self, CellError> {
        let mut stream = Stream::new(seed, "causal-minimax study simulation");
        let place = |name: &str| 1 + MECHANISMS.iter().position(|known| known.0 == name).unwrap_or_default();
        let middle = (environments as f64 + 1.0) / 2.0;
        let drawn: Vec<Matrix> = (1..=environments)
            .map(|environment| {
                let mut table = Matrix::zeros(rows, MECHANISMS.len() + 1);
                for row in 0..rows {
                    let values = table.row_mut(row);
                    values[0] = environment as f64;
                    for (name, parents, function) in MECHANISMS {
                        let sum: f64 =
                            parents.iter().map(|(parent, weight)| weight * values[place(parent)]).sum();
                        let noise = if *name == "Y" { spread } else { NOISE };
                        let strength = if matches!(*name, "X9" | "X10") {
                            gain * (environment as f64 - middle)
                        } else {
                            1.0
                        };
                        values[place(name)] = strength * function(sum) + noise * stream.normal();
                    }
                }
                table
            })
            .collect();
        let edges: Vec<(usize, usize)> = MECHANISMS
            .iter()
            .flat_map(|(name, parents, _)| {
                parents.iter().map(move |(parent, _)| (place(parent), place(name)))
            })
            .chain([(0, place("X9")), (0, place("X10"))])
            .collect();
        let graph = Graph::new(MECHANISMS.len() + 1, &edges).map_err(CellError::new)?;
        let order = stream.permutation(environments);
        let (train, tests) = order.split_at(environments / 2);
        let train: Vec<&Matrix> = train.iter().map(|&environment| &drawn[environment]).collect();
        Ok(Self {
            graph,
            target: place("Y"),
            environment: 0,
            train: stacked(&train),
            tests: tests.iter().map(|&environment| drawn[environment].clone()).collect(),
        })
    }

    /// One of the 45 published splits of the mice. Columns are X1 … X5, Y, E. The edges are those that the released code
    /// uses: E → X5 ← Y, X2 below X1, X3, X5 and Y, and X4 below X2. What joins X1, X3 and Y does not matter to it.
    pub(super) fn of_mice(folder: &Path, seed: u64) -> Result<Self, CellError> {
        let path = folder.join("mouse.csv");
        let text = std::fs::read_to_string(&path).map_err(|error| CellError::File(path, error))?;
        let mice = mice(&text)?;
        let others: Vec<usize> = (0..GENES.len()).filter(|gene| !ALWAYS_TRAIN.contains(gene)).collect();
        let pairs: Vec<[usize; 2]> = others
            .iter()
            .enumerate()
            .flat_map(|(place, &one)| others[place + 1..].iter().map(move |&other| [one, other]))
            .collect();
        // The same order for every seed: as many seeds as splits visit each once.
        let order = Stream::new(0, "causal-minimax study splits").permutation(pairs.len());
        let pair = pairs[order[usize::try_from(seed % pairs.len() as u64).map_err(CellError::new)?]];
        let part = |genes: &[usize]| {
            let rows: Vec<&[f64]> = mice
                .iter()
                .filter(|row| genes.contains(&(row[6] as usize)))
                .map(|row| row.as_slice())
                .collect();
            Matrix::from_fn(rows.len(), 7, |row, column| rows[row][column])
        };
        let train: Vec<usize> = ALWAYS_TRAIN.into_iter().chain(pair).collect();
        let graph = Graph::new(7, &[(6, 4), (5, 4), (0, 1), (2, 1), (4, 1), (5, 1), (1, 3)])
            .map_err(CellError::new)?;
        Ok(Self {
            graph,
            target: 5,
            environment: 6,
            train: part(&train),
            tests: (0..GENES.len()).filter(|gene| !train.contains(gene)).map(|gene| part(&[gene])).collect(),
        })
    }

    /// All values, for the record of the data.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let tables = std::iter::once(&self.train).chain(&self.tests);
        tables.flat_map(|table| table.values().iter().flat_map(|value| value.to_le_bytes())).collect()
    }

    /// The training rows with the means of the environments moved apart by √gamma: least squares on them is anchor regression.
    pub(super) fn anchored(&self, gamma: f64) -> Matrix {
        let (rows, columns) = (self.train.rows(), self.train.columns());
        let mean = |column: usize, environment: Option<f64>| {
            let of =
                |row: &usize| environment.is_none_or(|known| self.train[(*row, self.environment)] == known);
            let rows: Vec<usize> = (0..rows).filter(of).collect();
            rows.iter().map(|&row| self.train[(row, column)]).sum::<f64>() / rows.len() as f64
        };
        let mut moved = self.train.clone();
        for column in (0..columns).filter(|&column| column != self.environment) {
            let overall = mean(column, None);
            let mut known: Vec<(f64, f64)> = Vec::new();
            for row in 0..rows {
                let environment = self.train[(row, self.environment)];
                let own = match known.iter().find(|(known, _)| *known == environment) {
                    Some((_, own)) => *own,
                    None => {
                        let own = mean(column, Some(environment));
                        known.push((environment, own));
                        own
                    }
                };
                moved[(row, column)] += (gamma.sqrt() - 1.0) * (own - overall);
            }
        }
        moved
    }

    /// Errors of a model with its predictions mirrored at the mean of the training rows, at three times their distance.
    pub(super) fn errors_mirrored(&self, model: &Model) -> Result<Errors, CellError> {
        self.errors_with(model, -3.0)
    }

    /// Errors of a model. Its predictions are in the units of the target, whatever table it was fitted on.
    pub(super) fn errors(&self, model: &Model) -> Result<Errors, CellError> {
        self.errors_with(model, 1.0)
    }

    fn errors_with(&self, model: &Model, sign: f64) -> Result<Errors, CellError> {
        // For the released code's error the predictor sees each test environment standardised by itself: its columns are
        // carried over to the scales of the training rows, and its errors are divided by its own variance.
        let train = self.moments(&self.train);
        let (mean, variance) = train[self.target];
        let mut own_errors = Vec::new();
        let mut errors = Vec::new();
        for test in &self.tests {
            errors.push(squared_error(model, test, self.target, (sign, mean))? / variance);
            let own = self.moments(test);
            let carried = Matrix::from_fn(test.rows(), test.columns(), |row, column| {
                let ((mean, variance), (train_mean, train_variance)) = (own[column], train[column]);
                let scale = if variance > 0.0 { (train_variance / variance).sqrt() } else { 0.0 };
                train_mean + scale * (test[(row, column)] - mean)
            });
            own_errors.push(squared_error(model, &carried, self.target, (sign, mean))? / variance);
        }
        Ok(Errors::new(&errors, &own_errors))
    }

    /// Errors of the mean of the target over the training rows.
    pub(super) fn errors_of_mean(&self) -> Errors {
        let (mean, variance) = self.moments(&self.train)[self.target];
        let error = |test: &Matrix| {
            test.column(self.target).map(|value| (value - mean).powi(2)).sum::<f64>() / test.rows() as f64
        };
        let errors: Vec<f64> = self.tests.iter().map(|test| error(test) / variance).collect();
        let own: Vec<f64> =
            self.tests.iter().map(|test| (test.rows() - 1) as f64 / test.rows() as f64).collect();
        Errors::new(&errors, &own)
    }

    /// Mean and variance of every column.
    fn moments(&self, table: &Matrix) -> Vec<(f64, f64)> {
        let rows = table.rows() as f64;
        let moments = |column: usize| {
            let mean = table.column(column).sum::<f64>() / rows;
            (mean, table.column(column).map(|value| (value - mean).powi(2)).sum::<f64>() / (rows - 1.0))
        };
        (0..table.columns()).map(moments).collect()
    }
}

impl Errors {
    fn new(errors: &[f64], own: &[f64]) -> Self {
        let largest = |errors: &[f64]| errors.iter().copied().fold(0.0, f64::max);
        Self {
            worst: largest(errors),
            worst_own: largest(own),
            mean: errors.iter().sum::<f64>() / errors.len() as f64,
        }
    }
}

fn stacked(tables: &[&Matrix]) -> Matrix {
    let rows: Vec<&[f64]> =
        tables.iter().flat_map(|table| (0..table.rows()).map(|row| table.row(row))).collect();
    Matrix::from_fn(rows.len(), rows.first().map_or(0, |row| row.len()), |row, column| rows[row][column])
}

/// X1 … X5, Y and the environment of every mouse. The file quotes its words and has no comma within a field.
fn mice(text: &str) -> Result<Vec<[f64; 7]>, CellError> {
    let fields = |line: &str| -> Vec<String> {
        line.split(',').map(|field| field.trim().trim_matches('"').to_owned()).collect()
    };
    let mut lines = text.lines();
    let header = fields(lines.next().unwrap_or_default());
    let position = |name: &str| {
        let missing = || CellError::new(format!("mouse.csv has no column {name}"));
        header.iter().position(|known| known == name).ok_or_else(missing)
    };
    let columns = MEASUREMENTS.iter().map(|name| position(name)).collect::<Result<Vec<_>, _>>()?;
    let gene = position("geno")?;
    let mut mice = Vec::new();
    for (number, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |what: &str| CellError::new(format!("mouse.csv, line {}: {what}", number + 2));
        let found = fields(line);
        if found.len() != header.len() {
            return Err(wrong("another number of fields than the header"));
        }
        let mut row = [0.0; 7];
        for (slot, &column) in row.iter_mut().zip(&columns) {
            *slot = found[column].parse().map_err(|_| wrong("a measurement is not a number"))?;
        }
        let known = GENES.iter().position(|known| *known == found[gene]);
        row[6] = known.ok_or_else(|| wrong("an unknown gene"))? as f64;
        mice.push(row);
    }
    Ok(mice)
}

/// Of a model on a table that holds its inputs by position.
pub(super) fn mean_squared_error(model: &Model, table: &Matrix, target: usize) -> Result<f64, CellError> {
    squared_error(model, table, target, (1.0, 0.0))
}

/// The same for predictions whose distance from `mean` is multiplied by `sign`.
fn squared_error(
    model: &Model,
    table: &Matrix,
    target: usize,
    (sign, mean): (f64, f64),
) -> Result<f64, CellError> {
    let inputs =
        Matrix::from_fn(table.rows(), model.inputs.len(), |row, place| table[(row, model.inputs[place])]);
    let predictions = model.predict(&inputs).map_err(CellError::new)?;
    let squares = predictions
        .iter()
        .zip(table.column(target))
        .map(|(guess, value)| (mean + sign * (guess - mean) - value).powi(2));
    Ok(squares.sum::<f64>() / table.rows() as f64)
}

/// A linear model with weights drawn by the seed. Columns are E, Y, P, M, X, Z: Y → P, Y and P → M, Y and M → X, X → Z. M's
/// mechanism is scaled by the environment.
pub(super) fn linear_model(rows: usize, seed: u64) -> Result<(Matrix, Graph, LinearModel), CellError> {
    const EDGES: [(usize, usize); 6] = [(1, 2), (1, 3), (2, 3), (1, 4), (3, 4), (4, 5)];
    let mut stream = Stream::new(seed, "causal-minimax study linear model");
    let mut weights = Matrix::zeros(5, 5);
    for (from, to) in EDGES {
        let sign = if stream.uniform() < 0.5 { -1.0 } else { 1.0 };
        weights[(from - 1, to - 1)] = sign * (0.5 + stream.uniform());
    }
    let noise: Vec<f64> = (0..5).map(|_| 0.5 + 0.5 * stream.uniform()).collect();
    let mut table = Matrix::zeros(rows, 6);
    for row in 0..rows {
        let values = table.row_mut(row);
        values[0] = (row % 4) as f64;
        for column in 1..6 {
            let parents = EDGES.iter().filter(|edge| edge.1 == column);
            let sum: f64 = parents.map(|&(from, to)| weights[(from - 1, to - 1)] * values[from]).sum();
            let strength = if column == 3 { values[0] - 1.5 } else { 1.0 };
            values[column] = strength * sum + noise[column - 1] * stream.normal();
        }
    }
    let edges: Vec<(usize, usize)> = EDGES.into_iter().chain([(0, 3)]).collect();
    let graph = Graph::new(6, &edges).map_err(CellError::new)?;
    Ok((table, graph, LinearModel { weights, noise, target: 0, mutable: 2 }))
}

/// The coefficients of a linear model, one per column.
pub(super) fn coefficients(model: &Model, columns: usize) -> Result<Vec<f64>, CellError> {
    let width = model.inputs.len();
    let probes = Matrix::from_fn(width + 1, width, |row, column| f64::from(u8::from(row == column + 1)));
    let predictions = model.predict(&probes).map_err(CellError::new)?;
    let mut coefficients = vec![0.0; columns];
    for (place, &input) in model.inputs.iter().enumerate() {
        coefficients[input] = predictions[place + 1] - predictions[0];
    }
    Ok(coefficients)
}

/// Spearman's rank correlation; ties share their mean rank.
pub(super) fn spearman(x: &[f64], y: &[f64]) -> f64 {
    pearson(&ranks(x), &ranks(y))
}

/// Pearson's correlation.
pub(super) fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let centred = |values: &[f64]| -> Vec<f64> {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|value| value - mean).collect()
    };
    let (x, y) = (centred(x), centred(y));
    let product = |one: &[f64], other: &[f64]| -> f64 { one.iter().zip(other).map(|(a, b)| a * b).sum() };
    product(&x, &y) / (product(&x, &x) * product(&y, &y)).sqrt()
}

/// A correlation of points that are averaged over splits first, plus the jackknife's influence of the split at `place`: the mean over
/// all places is the correlation of the averages, and the standard error of that mean is the jackknife's.
pub(super) fn jackknifed(
    splits: &[Vec<(f64, f64)>],
    place: usize,
    correlation: fn(&[f64], &[f64]) -> f64,
) -> f64 {
    let without = |left_out: Option<usize>| {
        let kept: Vec<_> = splits
            .iter()
            .enumerate()
            .filter(|(place, _)| Some(*place) != left_out)
            .map(|kept| kept.1)
            .collect();
        let average = |value: fn(&(f64, f64)) -> f64| -> Vec<f64> {
            let points = kept.first().map_or(0, |split| split.len());
            let sum = |point: usize| kept.iter().map(|split| value(&split[point])).sum::<f64>();
            (0..points).map(|point| sum(point) / kept.len() as f64).collect()
        };
        correlation(&average(|point| point.0), &average(|point| point.1))
    };
    let whole = without(None);
    if splits.len() < 2 {
        return whole;
    }
    let count = splits.len() as f64;
    let mean = (0..splits.len()).map(|place| without(Some(place))).sum::<f64>() / count;
    whole + (count - 1.0) * (mean - without(Some(place)))
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |value: f64| values.iter().filter(|other| **other < value).count() as f64;
    let equal = |value: f64| values.iter().filter(|other| **other == value).count() as f64;
    values.iter().map(|&value| below(value) + (equal(value) - 1.0) / 2.0).collect()
}

/// A table as CSV with the names of the simulation's columns, for the bench.
pub(crate) fn simulation_csv(
    environments: usize,
    rows: usize,
    seed: u64,
) -> Result<(String, Matrix, Graph), CellError> {
    let split = Split::simulated(environments, rows, NOISE, 1.0, seed)?;
    let mut text = String::from("E");
    for (name, _, _) in MECHANISMS {
        // Writing to a string cannot fail.
        let _ = write!(text, ",{name}");
    }
    for row in 0..split.train.rows() {
        for (column, value) in split.train.row(row).iter().enumerate() {
            let _ = write!(text, "{}{value}", if column == 0 { "\n" } else { "," });
        }
    }
    text.push('\n');
    Ok((text, split.train, split.graph))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_correlation() {
        assert!((spearman(&[1.0, 2.0, 3.0], &[1.0, 4.0, 9.0]) - 1.0).abs() < 1e-12);
        assert!((spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]) + 1.0).abs() < 1e-12);
        assert!(spearman(&[1.0, 1.0, 2.0, 2.0], &[1.0, 2.0, 1.0, 2.0]).abs() < 1e-12);
        // Centred: −1, 0, 1 and −11/3, −2/3, 13/3.
        let expected = 8.0 / (2.0_f64 * 98.0 / 3.0).sqrt();
        assert!((pearson(&[1.0, 2.0, 3.0], &[1.0, 4.0, 9.0]) - expected).abs() < 1e-12);
    }

    /// For a mean the jackknife is the ordinary standard error, so the values it reports are the splits' own.
    #[test]
    fn jackknifed_values_average_to_the_whole_and_spread_like_the_splits() {
        let splits: Vec<Vec<(f64, f64)>> =
            [3.0, 5.0, 10.0].iter().map(|&value| vec![(value, 0.0), (0.0, 0.0)]).collect();
        let first: fn(&[f64], &[f64]) -> f64 = |x, _| x[0];
        for (place, expected) in [3.0, 5.0, 10.0].into_iter().enumerate() {
            assert!((jackknifed(&splits, place, first) - expected).abs() < 1e-12);
        }
        let splits = vec![
            vec![(1.0, 2.0), (2.0, 1.0), (4.0, 5.0)],
            vec![(2.0, 1.0), (1.0, 3.0), (3.0, 4.0)],
            vec![(0.0, 1.0), (3.0, 2.0), (1.0, 7.0)],
        ];
        let mean = (0..3).map(|place| jackknifed(&splits, place, pearson)).sum::<f64>() / 3.0;
        // Three times the averages.
        assert!((mean - pearson(&[3.0, 6.0, 8.0], &[4.0, 6.0, 16.0])).abs() < 1e-12);
        assert_eq!(jackknifed(&splits[..1], 0, pearson), pearson(&[1.0, 2.0, 4.0], &[2.0, 1.0, 5.0]));
    }

    #[test]
    fn the_simulation_is_split_in_halves_of_whole_environments() {
        let split = Split::simulated(6, 20, NOISE, 1.0, 3).unwrap();
        assert_eq!((split.train.rows(), split.tests.len()), (60, 3));
        let trained: Vec<f64> = split.train.column(0).collect();
        assert!(split.tests.iter().all(|test| test.column(0).all(|e| !trained.contains(&e))));
    }

    #[test]
    fn anchors_of_weight_one_leave_the_rows_as_they_are() {
        let split = Split::simulated(4, 20, NOISE, 1.0, 0).unwrap();
        assert_eq!(split.anchored(1.0), split.train);
    }

    #[test]
    fn mice_that_cannot_be_read() {
        let header = format!("geno,{}", MEASUREMENTS.join(","));
        assert_eq!(
            mice(&format!("{header}\n\"1796_1\",1,2,3,4,5,6\n")).unwrap(),
            [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 2.0]]
        );
        for (text, expected) in [
            ("geno\n", "no column IMPC"),
            (&format!("{header}\n0,1\n"), "line 2: another number"),
            (&format!("{header}\n0,1,2,3,4,5,six\n"), "line 2: a measurement"),
            (&format!("{header}\n9,1,2,3,4,5,6\n"), "line 2: an unknown gene"),
        ] {
            assert!(mice(text).unwrap_err().to_string().contains(expected), "{text}");
        }
    }
}
