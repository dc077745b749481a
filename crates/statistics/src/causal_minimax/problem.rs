//! A table with a graph, ready to judge stable subsets.

use std::collections::BTreeMap;

use backstitch_numerics::{Matrix, Stream};

use super::adversary::{Adversary, Equation};
use super::graph::Graph;
use super::model::{Model, Scale};
use super::parameters::{Intervention, Parameters};
use super::regression;
use super::roles::Roles;
use super::set::Set;
use crate::Error;

/// A checked table with its graph: the structural equations are fitted, and any stable subset can be judged.
#[derive(Clone, Debug)]
pub struct Problem {
    parameters: Parameters,
    graph: Graph,
    roles: Roles,
    /// Standardised; the environment column holds the position of its value.
    table: Matrix,
    /// Where the intervened columns were shuffled and what is below them regenerated.
    shuffled: Matrix,
    scales: Vec<Scale>,
    /// Values of the environment column, ascending.
    environments: Vec<f64>,
    equations: Vec<Equation>,
}

/// A stable subset, judged. Risks are mean squared errors in units of the target's training variance.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Judged {
    /// The stable columns used.
    pub subset: Set,
    /// h*: the largest risk found over maps from their parents to the mutable columns.
    pub worst_case_risk: f64,
    /// Risk over all training rows.
    pub training_risk: f64,
    /// The largest risk over the training environments.
    pub worst_training_risk: f64,
    /// The predictor.
    pub model: Model,
}

impl Problem {
    pub(crate) fn new(
        parameters: &Parameters,
        samples: &Matrix,
        target: usize,
        environment: usize,
        graph: &Graph,
    ) -> Result<Self, Error> {
        if samples.columns() != graph.columns() {
            let (found, expected) = ((samples.rows(), samples.columns()), (samples.rows(), graph.columns()));
            return Err(Error::Shape { what: "the table", found, expected });
        }
        let roles = Roles::new(graph, target, environment)?;
        let environments = environments(samples, environment, parameters.rows)?;
        let scales = scales(samples, environment)?;
        let table = Matrix::from_fn(samples.rows(), samples.columns(), |row, column| {
            let value = samples[(row, column)];
            if column == environment {
                environments.iter().position(|known| *known == value).unwrap_or_default() as f64
            } else {
                scales[column].standardise(value)
            }
        });
        let intervened = match parameters.intervention {
            Intervention::Mutable => roles.mutable,
            Intervention::Published => roles.intervened,
        };
        let below = |of: Set| graph.intervened(of).descendants(of).without(of);
        let regenerated = below(roles.mutable).union(below(intervened)).without(roles.mutable);
        let equations: Vec<Equation> = graph
            .order()
            .iter()
            .filter(|&&column| regenerated.contains(column))
            .map(|&column| equation(&table, graph, &roles, column, parameters))
            .collect();
        let shuffled = shuffled(&table, intervened, below(intervened), &equations, parameters);
        Ok(Self {
            parameters: parameters.clone(),
            graph: graph.clone(),
            roles,
            table,
            shuffled,
            scales,
            environments,
            equations,
        })
    }

    /// The parts of the columns.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// The values of the environment column, ascending.
    pub fn environments(&self) -> &[f64] {
        &self.environments
    }

    /// Mean and standard deviation of every column over the training rows.
    pub fn scales(&self) -> &[Scale] {
        &self.scales
    }

    /// The predictor f_S' of the target by a stable subset and the mutable columns, fitted where the mutable columns are
    /// independent of all else.
    ///
    /// # Errors
    /// [`Error::NotStable`] if the subset has a column that is not stable.
    pub fn predictor(&self, subset: Set) -> Result<Model, Error> {
        let strange = subset.without(self.roles.stable);
        if !strange.is_empty() {
            return Err(Error::NotStable { columns: strange.iter().collect() });
        }
        Ok(self.fitted(&self.shuffled, subset.union(self.roles.mutable)))
    }

    /// Plain regression of the target on any columns, on the rows as they are: what one would do without this method.
    ///
    /// # Errors
    /// [`Error::RoleColumn`] if the target or the environment is among them, or a column that is not there.
    pub fn regression(&self, inputs: Set) -> Result<Model, Error> {
        let allowed = self.roles.stable.union(self.roles.mutable);
        if let Some(column) = inputs.without(allowed).iter().next() {
            let problem = "is the target, the environment or no column, and cannot be predicted from";
            return Err(Error::RoleColumn { role: "input", column, problem });
        }
        Ok(self.fitted(&self.table, inputs))
    }

    fn fitted(&self, table: &Matrix, inputs: Set) -> Model {
        let columns: Vec<usize> = inputs.iter().collect();
        // Keyed by the columns, so that a subset has the same predictor whatever else is judged.
        let mut stream = Stream::new(self.parameters.seed, &format!("causal-minimax predictor {inputs:?}"));
        let units = self.parameters.predictor_units;
        let network =
            regression::fit(table, &columns, self.roles.target, units, &self.parameters, &mut stream);
        Model {
            input_scales: columns.iter().map(|&column| self.scales[column]).collect(),
            inputs: columns,
            target_scale: self.scales[self.roles.target],
            network,
        }
    }

    /// Fits and attacks the predictor of a stable subset.
    ///
    /// # Errors
    /// [`Error::NotStable`].
    pub fn judge(&self, subset: Set) -> Result<Judged, Error> {
        let model = self.predictor(subset)?;
        let worst_case_risk = self.worst_case_risk(&model)?;
        let risks = self.risks(&model);
        let rows = self.table.rows() as f64;
        Ok(Judged {
            subset,
            worst_case_risk,
            training_risk: risks.iter().map(|(rows, risk)| *rows as f64 * risk).sum::<f64>() / rows,
            worst_training_risk: risks.iter().fold(0.0, |most, (_, risk)| risk.max(most)),
            model,
        })
    }

    /// The largest risk of a predictor that the adversary finds.
    ///
    /// # Errors
    /// [`Error::Model`] if the model is not sound or reads columns that are not there.
    pub fn worst_case_risk(&self, model: &Model) -> Result<f64, Error> {
        model.validate()?;
        if model.inputs.iter().any(|&input| input >= self.table.columns()) {
            return Err(Error::Model { problem: "it reads columns that the table does not have" });
        }
        let inputs: Set = model.inputs.iter().copied().collect();
        let mut stream = Stream::new(self.parameters.seed, &format!("causal-minimax adversary {inputs:?}"));
        let attacked = (model.inputs.as_slice(), &model.network);
        let mut adversary = Adversary::new(
            &self.table,
            &self.graph,
            &self.roles,
            &self.equations,
            attacked,
            &self.parameters,
        );
        Ok(adversary.worst_case(&self.parameters, &mut stream))
    }

    /// Rows and risk of every training environment.
    fn risks(&self, model: &Model) -> Vec<(usize, f64)> {
        let mut sums = vec![(0, 0.0); self.environments.len()];
        let mut activations = vec![0.0; model.network.hidden()];
        let x = regression::gather(&self.table, &model.inputs);
        for row in 0..x.rows() {
            let error =
                self.table[(row, self.roles.target)] - model.network.forward(x.row(row), &mut activations);
            let place = &mut sums[self.table[(row, self.roles.environment)] as usize];
            *place = (place.0 + 1, place.1 + error * error);
        }
        sums.into_iter().map(|(rows, sum)| (rows, sum / rows as f64)).collect()
    }
}

/// The distinct values of the environment column, of which each must have its rows.
pub(crate) fn environments(samples: &Matrix, column: usize, least: usize) -> Result<Vec<f64>, Error> {
    let mut counts: BTreeMap<u64, (f64, usize)> = BTreeMap::new();
    for (row, value) in samples.column(column).enumerate() {
        if !value.is_finite() {
            return Err(Error::NotFinite { row, column, value });
        }
        // Zero has two signs and one value.
        counts.entry((value + 0.0).to_bits()).or_insert((value + 0.0, 0)).1 += 1;
    }
    if counts.len() < 2 {
        return Err(Error::Environments { column, found: counts.len() });
    }
    if let Some(&(value, rows)) = counts.values().find(|(_, rows)| *rows < least) {
        return Err(Error::SmallEnvironment { value, rows, least });
    }
    let mut values: Vec<f64> = counts.into_values().map(|(value, _)| value).collect();
    values.sort_by(f64::total_cmp);
    Ok(values)
}

pub(crate) fn scales(samples: &Matrix, environment: usize) -> Result<Vec<Scale>, Error> {
    let scale = |column: usize| {
        if column == environment {
            return Ok(Scale { mean: 0.0, deviation: 1.0 });
        }
        if let Some((row, value)) = samples.column(column).enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(Error::NotFinite { row, column, value });
        }
        let first = samples[(0, column)];
        if samples.column(column).all(|value| value == first) {
            return Err(Error::Constant { column, value: first });
        }
        let scale = Scale::of(samples.column(column).collect::<Vec<_>>().into_iter());
        if scale.mean.is_finite() && scale.deviation.is_finite() && scale.deviation > 0.0 {
            Ok(scale)
        } else {
            let most = samples.column(column).fold(0.0, |most: f64, value| most.max(value.abs()));
            Err(Error::TooLarge { column, value: most })
        }
    };
    (0..samples.columns()).map(scale).collect()
}

fn equation(
    table: &Matrix,
    graph: &Graph,
    roles: &Roles,
    column: usize,
    parameters: &Parameters,
) -> Equation {
    let parents: Vec<usize> = graph.parents(column).without(Set::one(roles.environment)).iter().collect();
    let mut stream = Stream::new(parameters.seed, &format!("causal-minimax equation {column}"));
    let units = (parents.len() / 2).max(1);
    let network = regression::fit(table, &parents, column, units, parameters, &mut stream);
    let mut activations = vec![0.0; network.hidden()];
    let x = regression::gather(table, &parents);
    let residuals = parameters.keep_residuals.then(|| {
        let residual = |row: usize| table[(row, column)] - network.forward(x.row(row), &mut activations);
        (0..table.rows()).map(residual).collect()
    });
    Equation { column, parents, network, residuals }
}

/// The table several times over, each time with the columns of `intervened` shuffled by one permutation, which keeps what
/// they say of each other, and the columns below them regenerated.
fn shuffled(
    table: &Matrix,
    intervened: Set,
    below: Set,
    equations: &[Equation],
    parameters: &Parameters,
) -> Matrix {
    let rows = table.rows();
    // Without anything to shuffle, copies would be equal.
    let copies = if intervened.is_empty() { 1 } else { parameters.shuffles };
    let permutations: Vec<Vec<usize>> = (0..copies)
        .map(|copy| Stream::new(parameters.seed, &format!("causal-minimax shuffle {copy}")).permutation(rows))
        .collect();
    let mut shuffled = Matrix::from_fn(copies * rows, table.columns(), |place, column| {
        let (copy, row) = (place / rows, place % rows);
        table[(if intervened.contains(column) { permutations[copy][row] } else { row }, column)]
    });
    for equation in equations.iter().filter(|equation| below.contains(equation.column)) {
        let x = regression::gather(&shuffled, &equation.parents);
        let mut activations = vec![0.0; equation.network.hidden()];
        for place in 0..x.rows() {
            let residual = equation.residuals.as_ref().map_or(0.0, |residuals| residuals[place % rows]);
            shuffled[(place, equation.column)] =
                equation.network.forward(x.row(place), &mut activations) + residual;
        }
    }
    shuffled
}
