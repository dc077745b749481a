//! L1-penalised logistic regression of one 0/1 column on others: proximal Newton on a working set.

/// Coefficients are held within this: the odds of one change by e^30, beyond any data. Only separable columns with
/// hardly any penalty get there.
const CAP: f64 = 30.0;
/// Largest violation of the optimality conditions that counts as solved, in units of the mean loss.
const SOLVED: f64 = 1e-9;

/// The fit of one node.
#[derive(Clone, Debug)]
pub(super) struct NodeFit {
    /// Mean loss plus penalty.
    pub(super) cost: f64,
    /// Parents and their weights, only those that are not zero.
    pub(super) weights: Vec<(usize, f64)>,
    /// True if a coefficient ended at the cap.
    pub(super) capped: bool,
}

/// 0/1 columns, each as one slice.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    values: Vec<Vec<f64>>,
    penalty: f64,
    intercept: bool,
}

impl Columns {
    pub(super) fn new(values: Vec<Vec<f64>>, penalty: f64, intercept: bool) -> Self {
        Self { values, penalty, intercept }
    }

    /// Minimises `(1/n) Σ [ln(1 + e^m) − x m] + λ‖w‖₁`, `m = b + Σ w_i x_i`, over the predecessors' weights and, if there is
    /// an intercept, b.
    pub(super) fn fit_node(&self, node: usize, predecessors: &[usize]) -> NodeFit {
        let mut fit = Fit::new(self, node);
        loop {
            fit.solve();
            // Columns outside the working set stay at zero as long as the penalty holds their gradient.
            let missing: Vec<usize> = predecessors
                .iter()
                .copied()
                .filter(|c| !fit.working.contains(c))
                .filter(|&c| fit.gradient(&self.values[c]).abs() > self.penalty + SOLVED)
                .collect();
            if missing.is_empty() {
                break;
            }
            for column in missing {
                fit.working.push(column);
                fit.weights.push(0.0);
            }
        }
        let weights: Vec<(usize, f64)> = fit
            .working
            .iter()
            .zip(&fit.weights)
            .filter(|(_, weight)| **weight != 0.0)
            .map(|(&column, &weight)| (column, weight))
            .collect();
        let capped = fit.weights.iter().chain([&fit.intercept]).any(|w| w.abs() >= CAP);
        NodeFit { cost: fit.objective, weights, capped }
    }

    /// The gradient of the mean loss of `node` with these weights in the direction of `column`.
    pub(super) fn gradient_at(&self, node: usize, parents: &[usize], column: usize) -> f64 {
        let mut fit = Fit::new(self, node);
        fit.working = parents.to_vec();
        fit.weights = vec![0.0; parents.len()];
        fit.solve();
        fit.gradient(&self.values[column])
    }

    pub(super) fn penalty(&self) -> f64 {
        self.penalty
    }
}

struct Fit<'a> {
    columns: &'a Columns,
    target: &'a [f64],
    working: Vec<usize>,
    weights: Vec<f64>,
    intercept: f64,
    /// Probability minus target, per row.
    errors: Vec<f64>,
    /// p(1 − p), per row.
    curvature: Vec<f64>,
    objective: f64,
}

impl<'a> Fit<'a> {
    fn new(columns: &'a Columns, node: usize) -> Self {
        let target = columns.values[node].as_slice();
        let rows = target.len();
        let mut fit = Self {
            columns,
            target,
            working: Vec::new(),
            weights: Vec::new(),
            intercept: 0.0,
            errors: vec![0.0; rows],
            curvature: vec![0.0; rows],
            objective: 0.0,
        };
        fit.refresh();
        fit
    }

    fn margins(&self, weights: &[f64], intercept: f64) -> Vec<f64> {
        let mut margins = vec![intercept; self.target.len()];
        for (&column, &weight) in self.working.iter().zip(weights) {
            if weight != 0.0 {
                for (margin, x) in margins.iter_mut().zip(&self.columns.values[column]) {
                    *margin += weight * x;
                }
            }
        }
        margins
    }

    fn objective_at(&self, weights: &[f64], intercept: f64) -> f64 {
        let loss: f64 = self
            .margins(weights, intercept)
            .iter()
            .zip(self.target)
            .map(|(&m, &x)| m.max(0.0) + (-m.abs()).exp().ln_1p() - x * m)
            .sum();
        loss / self.target.len() as f64 + self.columns.penalty * weights.iter().map(|w| w.abs()).sum::<f64>()
    }

    /// Errors, curvature and objective at the current weights.
    fn refresh(&mut self) {
        let margins = self.margins(&self.weights, self.intercept);
        for (row, margin) in margins.into_iter().enumerate() {
            let probability = 1.0 / (1.0 + (-margin).exp());
            self.errors[row] = probability - self.target[row];
            self.curvature[row] = probability * (1.0 - probability);
        }
        self.objective = self.objective_at(&self.weights, self.intercept);
    }

    fn gradient(&self, column: &[f64]) -> f64 {
        self.errors.iter().zip(column).map(|(e, x)| e * x).sum::<f64>() / self.target.len() as f64
    }

    /// How far the working set is from its optimum.
    fn violation(&self, gradients: &[f64]) -> f64 {
        let penalty = self.columns.penalty;
        let mut worst = 0.0_f64;
        for (&weight, &gradient) in self.weights.iter().zip(gradients) {
            let here = if weight == 0.0 {
                (gradient.abs() - penalty).max(0.0)
            } else if weight.abs() >= CAP && gradient * weight < 0.0 {
                0.0
            } else {
                (gradient + penalty * weight.signum()).abs()
            };
            worst = worst.max(here);
        }
        if self.columns.intercept && self.intercept.abs() < CAP {
            worst = worst.max(gradients[self.weights.len()].abs());
        }
        worst
    }

    /// Proximal Newton steps with a line search, on the working set.
    fn solve(&mut self) {
        let size = self.working.len();
        let rows = self.target.len() as f64;
        self.refresh();
        for _ in 0..200 {
            let mut vectors: Vec<Option<&[f64]>> =
                self.working.iter().map(|&c| Some(self.columns.values[c].as_slice())).collect();
            if self.columns.intercept {
                vectors.push(None);
            }
            let total = vectors.len();
            let gradients: Vec<f64> = vectors
                .iter()
                .map(|vector| match vector {
                    Some(column) => self.gradient(column),
                    None => self.errors.iter().sum::<f64>() / rows,
                })
                .collect();
            if self.violation(&gradients) <= SOLVED {
                return;
            }
            let mut hessian = vec![vec![0.0; total]; total];
            for i in 0..total {
                let weighted: Vec<f64> = match vectors[i] {
                    Some(column) => column.iter().zip(&self.curvature).map(|(x, c)| x * c).collect(),
                    None => self.curvature.clone(),
                };
                for j in i..total {
                    let sum: f64 = match vectors[j] {
                        Some(column) => weighted.iter().zip(column).map(|(w, x)| w * x).sum(),
                        None => weighted.iter().sum(),
                    };
                    hessian[i][j] = sum / rows;
                    hessian[j][i] = sum / rows;
                }
                // Flat directions (saturated probabilities) still need a finite step.
                hessian[i][i] += 1e-10;
            }
            let mut current = self.weights.clone();
            if self.columns.intercept {
                current.push(self.intercept);
            }
            let aim = quadratic(&gradients, &hessian, &current, size, self.columns.penalty);
            let mut length = 1.0;
            let improved = loop {
                let trial: Vec<f64> =
                    current.iter().zip(&aim).map(|(from, to)| from + length * (to - from)).collect();
                let intercept = if self.columns.intercept { trial[size] } else { 0.0 };
                let objective = self.objective_at(&trial[..size], intercept);
                if objective < self.objective {
                    self.weights = trial[..size].to_vec();
                    self.intercept = intercept;
                    break true;
                }
                length *= 0.5;
                if length < 1e-10 {
                    break false;
                }
            };
            if !improved {
                return;
            }
            self.refresh();
        }
    }
}

/// Coordinate descent on `g'(z − w) + ½ (z − w)'H(z − w) + λ‖z‖₁` within the cap; only the first `penalised` entries are
/// in the norm.
fn quadratic(
    gradients: &[f64],
    hessian: &[Vec<f64>],
    current: &[f64],
    penalised: usize,
    penalty: f64,
) -> Vec<f64> {
    let mut aim = current.to_vec();
    let mut slope = gradients.to_vec();
    for _ in 0..1000 {
        let mut largest = 0.0_f64;
        for i in 0..aim.len() {
            let curvature = hessian[i][i];
            let free = aim[i] - slope[i] / curvature;
            let shrunk = if i < penalised {
                free.signum() * (free.abs() - penalty / curvature).max(0.0)
            } else {
                free
            };
            let change = shrunk.clamp(-CAP, CAP) - aim[i];
            if change != 0.0 {
                aim[i] += change;
                for (value, h) in slope.iter_mut().zip(&hessian[i]) {
                    *value += change * h;
                }
                largest = largest.max(change.abs());
            }
        }
        if largest <= 1e-12 {
            break;
        }
    }
    aim
}
