//! Classification by the sparse variational scheme: inducing images, one latent function per class, one scale s² for all.

use backstitch_numerics::{Matrix, Stream};

use super::inducing::rows;
use super::kernel::Kernel;
use super::linear::{factor_with_jitter, solve_lower};
use super::model::finite;
use super::parameters::{Architecture, Hyperparameters, Parameters};
use super::variational::{DRAWS, PREDICTION_DRAWS, Row, Variational, softmax};
use crate::Error;

/// The scale that the classes share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClassScale {
    /// s² is 1: a Gaussian process.
    Fixed,
    /// s² is inverse gamma: Student-t processes.
    InverseGamma {
        /// Above ½.
        shape: f64,
        /// Above 0.
        scale: f64,
    },
}

/// The parameters of a classification.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassificationParameters {
    /// The network.
    pub architecture: Architecture,
    /// Its deviations, which are not fitted here; the noise plays no part.
    pub hyperparameters: Hyperparameters,
    /// The prior of the scale.
    pub scale: ClassScale,
    /// Inducing rows, drawn from all classes in turn.
    pub inducing: usize,
    /// Steps of Adam.
    pub steps: usize,
    /// Rows of a step.
    pub batch: usize,
    /// Its first rate, which falls to zero linearly.
    pub rate: f64,
    /// Seed of all draws.
    pub seed: u64,
}

impl Default for ClassificationParameters {
    fn default() -> Self {
        Self {
            architecture: Parameters::default().architecture,
            // Classes are told apart with confidence where functions differ by several units.
            hyperparameters: Hyperparameters { last_weight_std: 10.0, ..Hyperparameters::default() },
            scale: ClassScale::InverseGamma { shape: 2.0, scale: 2.0 },
            inducing: 200,
            steps: 1000,
            batch: 100,
            rate: 0.1,
            seed: 0,
        }
    }
}

/// A fitted classifier.
pub struct Classifier {
    kernel: Kernel,
    points: Matrix,
    /// L of the kernel of the inducing rows.
    factor: Vec<f64>,
    classes: usize,
    variational: Variational,
    seed: u64,
    /// The loss of every step: minus the mean expected logarithm of the likelihood of its rows, plus the divergence per row.
    pub losses: Vec<f64>,
}

impl ClassificationParameters {
    /// # Errors
    /// [`Error::Parameter`].
    pub fn validate(&self) -> Result<(), Error> {
        self.architecture.validate()?;
        self.hyperparameters.validate()?;
        let wrong = |name, value: String, allowed| {
            Err(Error::Parameter { name, value, allowed, way_out: "use its default" })
        };
        if let ClassScale::InverseGamma { shape, scale } = self.scale {
            super::Prior::InverseGamma { shape, scale }.validate()?;
        }
        if self.inducing == 0 {
            return wrong("inducing", "0".into(), "1 or more");
        }
        if self.batch == 0 {
            return wrong("batch", "0".into(), "1 or more");
        }
        if !(self.rate > 0.0 && self.rate <= 1.0) {
            return wrong("rate", self.rate.to_string(), "above 0 and at most 1");
        }
        Ok(())
    }

    /// Fits a classifier to rows of x (not standardised: pixels have one unit) and labels 0, 1, …
    ///
    /// # Errors
    /// [`Error::Parameter`], [`Error::Shape`], [`Error::NotFinite`], [`Error::Label`], [`Error::NotPositiveDefinite`].
    pub fn fit(&self, x: &Matrix, labels: &[usize], classes: usize) -> Result<Classifier, Error> {
        self.validate()?;
        let n = x.rows();
        if x.columns() == 0 {
            return Err(Error::NoColumns);
        }
        if n == 0 || labels.len() != n {
            return Err(Error::Shape {
                what: "the labels",
                found: (labels.len(), 1),
                expected: (n.max(1), 1),
            });
        }
        if classes < 2 {
            return Err(Error::Parameter {
                name: "classes",
                value: classes.to_string(),
                allowed: "2 or more",
                way_out: "count the classes of the labels",
            });
        }
        self.architecture.fits(n, x.columns())?;
        finite(x)?;
        if let Some((row, &label)) = labels.iter().enumerate().find(|(_, label)| **label >= classes) {
            return Err(Error::Label { row, value: label as f64, most: classes - 1 });
        }
        let kernel = Kernel::new(self.architecture, &self.hyperparameters)?;
        let mut stream = Stream::new(self.seed, "scale-mixture-nngp classifier");
        let points = rows(x, &in_turn(labels, classes, self.inducing, &mut stream));
        let m = points.rows();
        let (factor, _) = factor_with_jitter(&kernel.lower(&points), m)
            .map_err(|row| Error::NotPositiveDefinite { row, jitter: 1e-4 })?;
        let (seen, left) = projections(&kernel, &points, &factor, x)?;
        let mut variational = Variational::new(m, classes, self.scale);
        let mut adam = Adam::new(variational.values.len());
        let mut order = Vec::new();
        let mut losses = Vec::with_capacity(self.steps);
        for step in 0..self.steps {
            if order.len() < self.batch.min(n) {
                order = stream.permutation(n);
            }
            let batch: Vec<usize> = order.split_off(order.len() - self.batch.min(n));
            let normals: Vec<f64> = (0..DRAWS * batch.len() * classes).map(|_| stream.normal()).collect();
            let rows: Vec<Row<'_>> = batch
                .iter()
                .map(|&row| Row { seen: &seen[row * m..(row + 1) * m], left: left[row], label: labels[row] })
                .collect();
            let (loss, gradient) = variational.loss(&rows, n, &normals);
            losses.push(loss);
            adam.step(
                &mut variational.values,
                &gradient,
                self.rate * (1.0 - step as f64 / self.steps as f64),
            );
        }
        Ok(Classifier { kernel, points, factor, classes, variational, seed: self.seed, losses })
    }
}

impl Classifier {
    /// Shape and scale of q(s²), where it is drawn.
    pub fn scale(&self) -> Option<(f64, f64)> {
        self.variational.scale()
    }

    /// Probabilities of the classes, one row per row of x.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::NotFinite`].
    pub fn predict(&self, x: &Matrix) -> Result<Matrix, Error> {
        if x.columns() != self.points.columns() {
            return Err(Error::Shape {
                what: "the table",
                found: (x.rows(), x.columns()),
                expected: (x.rows(), self.points.columns()),
            });
        }
        finite(x)?;
        let (m, classes) = (self.points.rows(), self.classes);
        let (seen, left) = projections(&self.kernel, &self.points, &self.factor, x)?;
        let nodes = self.variational.quadrature();
        // All rows see the same draws.
        let mut stream = Stream::new(self.seed, "scale-mixture-nngp prediction");
        let normals: Vec<f64> = (0..PREDICTION_DRAWS * classes).map(|_| stream.normal()).collect();
        let each = PREDICTION_DRAWS / nodes.len();
        let mut probabilities = Matrix::zeros(x.rows(), classes);
        let mut values = vec![0.0; classes];
        for row in 0..x.rows() {
            let at = Row { seen: &seen[row * m..(row + 1) * m], left: left[row], label: 0 };
            let (means, variances) = self.variational.moments(&at);
            let mut draws = normals.chunks_exact(classes);
            for node in &nodes {
                for normals in draws.by_ref().take(each) {
                    for class in 0..classes {
                        values[class] =
                            means[class] + (node.scale * variances[class]).sqrt() * normals[class];
                    }
                    softmax(&mut values);
                    let weight = node.weight / each as f64;
                    for (total, value) in probabilities.row_mut(row).iter_mut().zip(&values) {
                        *total += weight * value;
                    }
                }
            }
        }
        Ok(probabilities)
    }
}

/// Rows of all classes in turn, at random within a class.
fn in_turn(labels: &[usize], classes: usize, count: usize, stream: &mut Stream) -> Vec<usize> {
    let order = stream.permutation(labels.len());
    let mut queues: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for row in order {
        queues[labels[row]].push(row);
    }
    let mut chosen = Vec::new();
    while chosen.len() < count.min(labels.len()) {
        for queue in &mut queues {
            if let Some(row) = queue.pop()
                && chosen.len() < count
            {
                chosen.push(row);
            }
        }
    }
    chosen
}

/// L⁻¹ K_zx, a column per row of x, and what of each row's variance is not seen.
fn projections(
    kernel: &Kernel,
    points: &Matrix,
    factor: &[f64],
    x: &Matrix,
) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let m = points.rows();
    let mut seen = kernel.columns(points, x);
    solve_lower(factor, m, &mut seen);
    let left = seen.chunks_exact(m).zip(kernel.diagonal(x)?);
    let left = left.map(|(seen, all)| (all - seen.iter().map(|v| v * v).sum::<f64>()).max(0.0)).collect();
    Ok((seen, left))
}

/// Adam with its usual constants.
struct Adam {
    first: Vec<f64>,
    second: Vec<f64>,
    powers: [f64; 2],
}

impl Adam {
    fn new(size: usize) -> Self {
        Self { first: vec![0.0; size], second: vec![0.0; size], powers: [1.0; 2] }
    }

    fn step(&mut self, values: &mut [f64], gradient: &[f64], rate: f64) {
        const KEEP: [f64; 2] = [0.9, 0.999];
        self.powers = [self.powers[0] * KEEP[0], self.powers[1] * KEEP[1]];
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, by), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
            *first += (1.0 - KEEP[0]) * (by - *first);
            *second += (1.0 - KEEP[1]) * (by * by - *second);
            let root = (*second / (1.0 - self.powers[1])).sqrt() + 1e-8;
            *value -= rate * *first / (1.0 - self.powers[0]) / root;
        }
    }
}
