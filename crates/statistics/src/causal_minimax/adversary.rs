//! The worst-case risk h*(S'): which maps from their parents to the mutable columns hurt a predictor most.

use backstitch_numerics::{Matrix, Stream};

use super::graph::Graph;
use super::network::Network;
use super::parameters::Parameters;
use super::roles::Roles;
use super::set::Set;
use crate::minimise::minimise;

/// The structural equation of a stable column, or of the target, below a mutable one.
#[derive(Clone, Debug)]
pub(crate) struct Equation {
    pub(crate) column: usize,
    pub(crate) parents: Vec<usize>,
    pub(crate) network: Network,
    /// What the equation leaves of each row; nothing if columns are regenerated without noise.
    pub(crate) residuals: Option<Vec<f64>>,
}

/// Shares of its reach that the first start of the adversary goes through.
const STAGES: [f64; 3] = [0.03, 0.2, 1.0];

/// What is regenerated, in order, when the mutable columns are set by the adversary.
enum Step<'a> {
    Mutable { column: usize, parents: Vec<usize>, network: Network, begin: usize },
    Equation(&'a Equation),
}

impl Step<'_> {
    fn column(&self) -> usize {
        match self {
            Self::Mutable { column, .. } => *column,
            Self::Equation(equation) => equation.column,
        }
    }

    fn parents(&self) -> &[usize] {
        match self {
            Self::Mutable { parents, .. } => parents,
            Self::Equation(equation) => &equation.parents,
        }
    }

    fn network(&self) -> &Network {
        match self {
            Self::Mutable { network, .. } => network,
            Self::Equation(equation) => &equation.network,
        }
    }
}

/// A predictor under attack.
pub(crate) struct Adversary<'a> {
    table: &'a Matrix,
    target: usize,
    steps: Vec<Step<'a>>,
    inputs: &'a [usize],
    predictor: &'a Network,
    reach: f64,
    penalty: f64,
}

impl<'a> Adversary<'a> {
    pub(crate) fn new(
        table: &'a Matrix,
        graph: &Graph,
        roles: &Roles,
        equations: &'a [Equation],
        (inputs, predictor): (&'a [usize], &'a Network),
        parameters: &Parameters,
    ) -> Self {
        // Only what the error reads, directly or through others, has to be regenerated.
        let mut needed: Set = inputs.iter().copied().collect();
        needed.insert(roles.target);
        let mut steps = Vec::new();
        for &column in graph.order().iter().rev() {
            if !needed.contains(column) {
                continue;
            }
            if roles.mutable.contains(column) {
                let parents = graph.parents(column).without(Set::one(roles.environment));
                needed = needed.union(parents);
                let units = (parents.len() / 2).max(2);
                let network = Network::zeros(parents.len(), units);
                steps.push(Step::Mutable { column, parents: parents.iter().collect(), network, begin: 0 });
            } else if let Some(equation) = equations.iter().find(|equation| equation.column == column) {
                needed = needed.union(equation.parents.iter().copied().collect());
                steps.push(Step::Equation(equation));
            }
        }
        steps.reverse();
        let mut end = 0;
        for step in &mut steps {
            if let Step::Mutable { network, begin, .. } = step {
                *begin = end;
                end += network.parameters.len();
            }
        }
        Self {
            table,
            target: roles.target,
            steps,
            inputs,
            predictor,
            reach: parameters.reach,
            penalty: parameters.adversary_penalty,
        }
    }

    /// The largest mean squared error found, over several starts.
    pub(crate) fn worst_case(&mut self, parameters: &Parameters, stream: &mut Stream) -> f64 {
        if !self.steps.iter().any(|step| matches!(step, Step::Mutable { .. })) {
            return self.evaluate(None);
        }
        let reach = self.reach;
        let mut worst = f64::NEG_INFINITY;
        for number in 0..parameters.adversary_starts {
            let mut point = Vec::new();
            for step in &self.steps {
                if let Step::Mutable { network, .. } = step {
                    let random = Network::random(network.inputs(), network.hidden(), stream);
                    point.extend(random.parameters);
                }
            }
            // The first start widens its reach in stages. Within a small one the error pushes every row to its own side; within
            // the full one it is often larger at either end than between, and rows that begin on the wrong side stay there.
            let stages: &[f64] = if number == 0 { &STAGES } else { &[1.0] };
            for share in stages {
                self.reach = share * reach;
                point = minimise(point, parameters.adversary_iterations, |point, gradient| {
                    self.objective(point, gradient)
                });
            }
            self.set(&point);
            worst = worst.max(self.evaluate(None));
        }
        worst
    }

    /// Minus the error plus the penalty, with its gradient.
    fn objective(&mut self, point: &[f64], gradient: &mut [f64]) -> f64 {
        self.set(point);
        let mut value = -self.evaluate(Some(gradient));
        for step in &self.steps {
            if let Step::Mutable { network, begin, .. } = step {
                let layer = network.hidden() * (network.inputs() + 1);
                for places in [0..layer, layer..network.parameters.len()] {
                    let weights = || places.clone().filter(|&place| network.is_weight(place));
                    let norm = weights().map(|place| network.parameters[place].powi(2)).sum::<f64>().sqrt();
                    value += self.penalty * norm;
                    if norm > 0.0 {
                        for place in weights() {
                            gradient[begin + place] += self.penalty * network.parameters[place] / norm;
                        }
                    }
                }
            }
        }
        value
    }

    fn set(&mut self, point: &[f64]) {
        for step in &mut self.steps {
            if let Step::Mutable { network, begin, .. } = step {
                let end = *begin + network.parameters.len();
                network.parameters.copy_from_slice(&point[*begin..end]);
            }
        }
    }

    /// The mean squared error under the maps at hand; subtracts its gradient by their parameters if wanted.
    fn evaluate(&self, mut gradient: Option<&mut [f64]>) -> f64 {
        let rows = self.table.rows();
        let share = 1.0 / rows as f64;
        let mut tape: Vec<(Vec<f64>, Vec<f64>)> = self
            .steps
            .iter()
            .map(|step| (vec![0.0; step.parents().len()], vec![0.0; step.network().hidden()]))
            .collect();
        let mut x = vec![0.0; self.inputs.len()];
        let mut activations = vec![0.0; self.predictor.hidden()];
        let mut state = vec![0.0; self.table.columns()];
        let mut by_state = vec![0.0; self.table.columns()];
        let mut by_input = vec![0.0; self.table.columns()];
        let mut sum = 0.0;
        for row in 0..rows {
            state.copy_from_slice(self.table.row(row));
            for (step, (inputs, hidden)) in self.steps.iter().zip(&mut tape) {
                for (slot, &parent) in inputs.iter_mut().zip(step.parents()) {
                    *slot = state[parent];
                }
                let output = step.network().forward(inputs, hidden);
                state[step.column()] = match step {
                    Step::Mutable { .. } => self.reach * output.tanh(),
                    Step::Equation(equation) => {
                        output + equation.residuals.as_ref().map_or(0.0, |residuals| residuals[row])
                    }
                };
            }
            for (slot, &input) in x.iter_mut().zip(self.inputs) {
                *slot = state[input];
            }
            let error = state[self.target] - self.predictor.forward(&x, &mut activations);
            sum += share * error * error;
            let Some(gradient) = gradient.as_deref_mut() else { continue };
            by_state.fill(0.0);
            // Of minus the error, which is what is minimised.
            by_state[self.target] = -2.0 * share * error;
            let places = &mut by_input[..self.inputs.len()];
            places.fill(0.0);
            self.predictor.backward(&x, &activations, 2.0 * share * error, None, places);
            for (&slope, &input) in places.iter().zip(self.inputs) {
                by_state[input] += slope;
            }
            for (step, (inputs, hidden)) in self.steps.iter().zip(&tape).rev() {
                let slope = std::mem::take(&mut by_state[step.column()]);
                if slope == 0.0 {
                    continue;
                }
                let places = &mut by_input[..inputs.len()];
                places.fill(0.0);
                match step {
                    Step::Mutable { column, network, begin, .. } => {
                        let squashed = state[*column] / self.reach;
                        let slope = slope * self.reach * (1.0 - squashed * squashed);
                        let own = &mut gradient[*begin..begin + network.parameters.len()];
                        network.backward(inputs, hidden, slope, Some(own), places);
                    }
                    Step::Equation(equation) => {
                        equation.network.backward(inputs, hidden, slope, None, places);
                    }
                }
                for (&slope, &parent) in places.iter().zip(step.parents()) {
                    by_state[parent] += slope;
                }
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two mutable columns, one below the other, a target below both, and networks everywhere.
    #[test]
    fn the_gradient_is_that_of_the_objective() {
        // E, Y, M1, X, M2, Z: Y -> M1 -> X -> M2, M1 -> Z, and Y also shapes X.
        let edges = [(0, 2), (0, 4), (1, 2), (2, 3), (1, 3), (3, 4), (2, 5)];
        let graph = Graph::new(6, &edges).unwrap();
        let roles = Roles::new(&graph, 1, 0).unwrap();
        let mut stream = Stream::new(0, "causal-minimax adversary test");
        let table = Matrix::from_fn(20, 6, |_, _| stream.normal());
        let equation = |column: usize, parents: Vec<usize>, stream: &mut Stream| Equation {
            network: Network::random(parents.len(), 2, stream),
            residuals: Some((0..20).map(|_| stream.normal()).collect()),
            column,
            parents,
        };
        let equations = [equation(3, vec![1, 2], &mut stream), equation(5, vec![2], &mut stream)];
        let inputs = [2, 3, 4, 5];
        let predictor = Network::random(4, 3, &mut stream);
        let parameters = Parameters::default();
        let mut adversary =
            Adversary::new(&table, &graph, &roles, &equations, (&inputs, &predictor), &parameters);
        let size = adversary
            .steps
            .iter()
            .map(|step| match step {
                Step::Mutable { network, .. } => network.parameters.len(),
                Step::Equation(_) => 0,
            })
            .sum();
        let point: Vec<f64> = (0..size).map(|_| 0.5 * stream.normal()).collect();
        let mut gradient = vec![0.0; size];
        adversary.objective(&point, &mut gradient);
        let step = 1e-6;
        for place in 0..size {
            let mut moved = point.clone();
            moved[place] += step;
            let up = adversary.objective(&moved, &mut vec![0.0; size]);
            moved[place] -= 2.0 * step;
            let down = adversary.objective(&moved, &mut vec![0.0; size]);
            let slope = (up - down) / (2.0 * step);
            assert!((slope - gradient[place]).abs() < 1e-6, "{place}: {slope} against {}", gradient[place]);
        }
    }
}
