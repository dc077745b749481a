//! Hyper-cleaning: handwritten digits of which half of the training labels are wrong.

use backstitch_claim::CellError;
use backstitch_data::embedded::DIGITS;
use backstitch_numerics::{Matrix, SparseMatrix, Stream};
use backstitch_optimize::penalty_bilevel::{
    Bilevel, Bounds, Classified, DataCleaning, Effort, Everything, Inversion, Parameters, PenaltyBilevel,
    Sets, Sigma, UpperStep, hypergradient, lower_minimiser, with_ones,
};
use serde::{Deserialize, Serialize};

const CLASSES: usize = 10;
/// Weights of rows lie between s(−6) and s(6).
const WIDEST: f64 = 6.0;

/// How the digits are used.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Setup {
    /// Rows with labels that may be wrong.
    pub(super) training: usize,
    /// Rows with labels that are right.
    pub(super) validation: usize,
    /// Share of the training labels that are replaced by another one.
    pub(super) wrong: f64,
    /// Strength of the ridge.
    pub(super) ridge: f64,
    /// Steps of x.
    pub(super) iterations: usize,
    /// Their length.
    pub(super) step: f64,
    /// σ, first and last.
    pub(super) sigma: (f64, f64),
}

/// One draw of rows and wrong labels.
pub(super) struct Split {
    training: SparseMatrix,
    validation: SparseMatrix,
    test: SparseMatrix,
    labels: Vec<usize>,
    wrong: Vec<bool>,
    validation_labels: Vec<usize>,
    test_labels: Vec<usize>,
}

impl Split {
    pub(super) fn new(setup: &Setup, seed: u64) -> Result<Self, CellError> {
        let table = DIGITS.table().map_err(CellError::new)?;
        let pixels = table.columns.len() - 1;
        let dense =
            Matrix::from_fn(table.values.rows(), pixels, |row, column| table.values[(row, column)] / 16.0);
        let features = with_ones(&SparseMatrix::from_dense(&dense)).map_err(CellError::new)?;
        let digits: Vec<usize> = table.values.column(pixels).map(|digit| digit as usize).collect();
        let mut stream = Stream::new(seed, "penalty-bilevel study digits");
        let order = stream.permutation(digits.len());
        let (training, rest) = order.split_at(setup.training);
        let (validation, test) = rest.split_at(setup.validation);
        let labels_of = |rows: &[usize]| rows.iter().map(|&row| digits[row]).collect::<Vec<_>>();
        let mut labels = labels_of(training);
        let wrong: Vec<bool> = labels.iter().map(|_| stream.uniform() < setup.wrong).collect();
        for (label, wrong) in labels.iter_mut().zip(&wrong) {
            if *wrong {
                *label = (*label + 1 + stream.below(CLASSES - 1)) % CLASSES;
            }
        }
        Ok(Self {
            training: features.select(training),
            validation: features.select(validation),
            test: features.select(test),
            labels,
            wrong,
            validation_labels: labels_of(validation),
            test_labels: labels_of(test),
        })
    }

    /// Labels of the training rows, for the record.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.labels.iter().map(|label| *label as u8).collect()
    }

    fn problem<'a>(
        &'a self,
        validation_labels: &'a [usize],
        ridge: f64,
    ) -> Result<DataCleaning<'a>, CellError> {
        let training = Classified { features: &self.training, labels: &self.labels };
        let validation = Classified { features: &self.validation, labels: validation_labels };
        DataCleaning::new(training, validation, CLASSES, ridge).map_err(CellError::new)
    }

    /// The accuracy on the test rows, and where rows are weighted how well weights tell wrong labels from right ones.
    pub(super) fn run(&self, arm: &str, setup: &Setup, seed: u64) -> Result<(f64, Option<f64>), CellError> {
        let mut labels = self.validation_labels.clone();
        if arm == "shuffled" {
            Stream::new(seed, "penalty-bilevel study shuffled labels").shuffle(&mut labels);
        }
        match arm {
            "penalty" | "shuffled" => {
                let problem = self.problem(&labels, setup.ridge)?;
                let parameters = Parameters {
                    sigma: Sigma::Continuation { first: setup.sigma.0, last: setup.sigma.1 },
                    upper_step: UpperStep::Adam(setup.step),
                    iterations: setup.iterations,
                    measure_every: setup.iterations,
                    ..Parameters::convex()
                };
                let bounds = Bounds::uniform(problem.upper_dimension(), -WIDEST, WIDEST);
                let sets = Sets { upper: &bounds, lower: &Everything };
                let (x, y) = (vec![0.0; problem.upper_dimension()], vec![0.0; problem.lower_dimension()]);
                let fit = PenaltyBilevel::new(parameters)
                    .and_then(|method| method.fit(&problem, sets, &x, &y))
                    .map_err(CellError::new)?;
                Ok((self.accuracy(&fit.z), Some(self.auc(&fit.x))))
            }
            "implicit" => {
                let x = self.implicit(&self.problem(&labels, setup.ridge)?, setup)?;
                Ok((self.accuracy(&x.1), Some(self.auc(&x.0))))
            }
            _ => self.plain(arm, setup.ridge).map(|accuracy| (accuracy, None)),
        }
    }

    /// Adam along the hypergradient, the lower level solved anew from where it was.
    fn implicit(&self, problem: &DataCleaning<'_>, setup: &Setup) -> Result<(Vec<f64>, Vec<f64>), CellError> {
        let mut x = vec![0.0; problem.upper_dimension()];
        let mut y = vec![0.0; problem.lower_dimension()];
        let (mut mean, mut square) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        for step in 1..=setup.iterations as i32 {
            y = lower_level(problem, &x, &y, IMPLICIT)?;
            let inversion = Inversion::ConjugateGradients { steps: 20, tolerance: 1e-3 };
            let gradient = hypergradient(problem, &x, &y, inversion).map_err(CellError::new)?;
            for (place, slope) in gradient.iter().enumerate() {
                mean[place] += 0.1 * (slope - mean[place]);
                square[place] += 0.001 * (slope * slope - square[place]);
                let scale = (square[place] / (1.0 - 0.999_f64.powi(step))).sqrt() + 1e-12;
                x[place] -= setup.step * mean[place] / (1.0 - 0.9_f64.powi(step)) / scale;
                x[place] = x[place].clamp(-WIDEST, WIDEST);
            }
        }
        Ok((x, y))
    }

    /// Plain training on some of the rows.
    fn plain(&self, arm: &str, ridge: f64) -> Result<f64, CellError> {
        let kept: Vec<usize> = match arm {
            "everything" => (0..self.labels.len()).collect(),
            "clean-only" => (0..self.labels.len()).filter(|row| !self.wrong[*row]).collect(),
            "validation-only" => Vec::new(),
            other => return Err(CellError::new(format!("no arm `{other}`"))),
        };
        let kept_rows = self.training.select(&kept).to_dense();
        let validation = self.validation.to_dense();
        let rows = kept.len() + validation.rows();
        let joined = Matrix::from_fn(rows, validation.columns(), |row, column| {
            if row < kept.len() { kept_rows[(row, column)] } else { validation[(row - kept.len(), column)] }
        });
        let joined = SparseMatrix::from_dense(&joined);
        let labels: Vec<usize> =
            kept.iter().map(|&row| self.labels[row]).chain(self.validation_labels.iter().copied()).collect();
        let classified = Classified { features: &joined, labels: &labels };
        let problem = DataCleaning::new(classified, classified, CLASSES, ridge).map_err(CellError::new)?;
        // All weights next to 1.
        let x = vec![40.0; rows];
        let y = lower_level(&problem, &x, &vec![0.0; problem.lower_dimension()], PLAIN)?;
        Ok(self.accuracy(&y))
    }

    fn accuracy(&self, weights: &[f64]) -> f64 {
        let right = self.test_labels.iter().enumerate().filter(|(row, label)| {
            let mut scores = [0.0; CLASSES];
            for (column, value) in self.test.row(*row).iter() {
                for (score, weight) in scores.iter_mut().zip(&weights[column * CLASSES..]) {
                    *score += value * weight;
                }
            }
            let best =
                (0..CLASSES).fold(0, |best, class| if scores[class] > scores[best] { class } else { best });
            best == **label
        });
        right.count() as f64 / self.test_labels.len() as f64
    }

    /// The share of pairs of a wrong and a right label in which the wrong one has the smaller weight; ties count half.
    fn auc(&self, x: &[f64]) -> f64 {
        let (mut sum, mut pairs) = (0.0, 0.0);
        for (of_wrong, _) in x.iter().zip(&self.wrong).filter(|(_, wrong)| **wrong) {
            for (of_right, _) in x.iter().zip(&self.wrong).filter(|(_, wrong)| !**wrong) {
                sum += if of_wrong < of_right {
                    1.0
                } else if of_wrong == of_right {
                    0.5
                } else {
                    0.0
                };
                pairs += 1.0;
            }
        }
        sum / pairs
    }
}

const PLAIN: Effort = Effort { steps: 2_000, tolerance: 1e-5, accelerated: true };
const IMPLICIT: Effort = Effort { steps: 40, tolerance: 1e-5, accelerated: true };

/// The minimiser of the lower level.
fn lower_level(
    problem: &DataCleaning<'_>,
    x: &[f64],
    start: &[f64],
    effort: Effort,
) -> Result<Vec<f64>, CellError> {
    let sets = Sets { upper: &Everything, lower: &Everything };
    lower_minimiser(problem, sets, x, start, effort).map(|found| found.0).map_err(CellError::new)
}
