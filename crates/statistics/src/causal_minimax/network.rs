//! A network with one hidden layer, or a linear function, with derivatives written out.

use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};

/// `y = b + Σ_h v_h σ(c_h + w_h·x)` with the logistic σ; without hidden units `y = b + w·x`.
///
/// Parameters lie in one row: per hidden unit its bias and its weights, then the output bias and the output weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Network {
    inputs: usize,
    hidden: usize,
    pub(crate) parameters: Vec<f64>,
}

impl Network {
    pub(crate) fn zeros(inputs: usize, hidden: usize) -> Self {
        let last = if hidden == 0 { inputs } else { hidden };
        Self { inputs, hidden, parameters: vec![0.0; hidden * (inputs + 1) + last + 1] }
    }

    /// Random weights of the usual size. Equal ones would keep all hidden units equal for ever.
    pub(crate) fn random(inputs: usize, hidden: usize, stream: &mut Stream) -> Self {
        let mut network = Self::zeros(inputs, hidden);
        let scale = 1.5 / (inputs.max(1) as f64).sqrt();
        let layer = hidden * (inputs + 1);
        for (place, parameter) in network.parameters.iter_mut().enumerate() {
            let size = if place < layer { scale } else { 0.5 };
            *parameter = size * stream.normal();
        }
        network
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn hidden(&self) -> usize {
        self.hidden
    }

    /// Whether the numbers of inputs, hidden units and parameters fit and are finite: a saved one may have been edited.
    pub(crate) fn is_sound(&self) -> bool {
        let last = if self.hidden == 0 { self.inputs } else { self.hidden };
        let layer = self.inputs.checked_add(1).and_then(|width| width.checked_mul(self.hidden));
        let size = layer.and_then(|layer| layer.checked_add(last)?.checked_add(1));
        size == Some(self.parameters.len()) && self.parameters.iter().all(|parameter| parameter.is_finite())
    }

    /// Which parameters are weights, not biases: only they are penalised.
    pub(crate) fn is_weight(&self, place: usize) -> bool {
        let layer = self.hidden * (self.inputs + 1);
        if place < layer { !place.is_multiple_of(self.inputs + 1) } else { place > layer }
    }

    /// The output. `activations` keeps the hidden units for [`backward`](Self::backward).
    pub(crate) fn forward(&self, x: &[f64], activations: &mut [f64]) -> f64 {
        debug_assert_eq!((x.len(), activations.len()), (self.inputs, self.hidden));
        let width = self.inputs + 1;
        let (layer, last) = self.parameters.split_at(self.hidden * width);
        if self.hidden == 0 {
            return last[0] + dot(&last[1..], x);
        }
        for (unit, activation) in layer.chunks_exact(width).zip(activations.iter_mut()) {
            *activation = 1.0 / (1.0 + (-unit[0] - dot(&unit[1..], x)).exp());
        }
        last[0] + dot(&last[1..], activations)
    }

    /// Adds `upstream` times the derivatives of the output to `by_parameter` (if wanted) and `by_input`.
    pub(crate) fn backward(
        &self,
        x: &[f64],
        activations: &[f64],
        upstream: f64,
        mut by_parameter: Option<&mut [f64]>,
        by_input: &mut [f64],
    ) {
        let width = self.inputs + 1;
        let (layer, last) = self.parameters.split_at(self.hidden * width);
        if let Some(by) = by_parameter.as_deref_mut() {
            let by = &mut by[layer.len()..];
            by[0] += upstream;
            let source = if self.hidden == 0 { x } else { activations };
            for (slot, value) in by[1..].iter_mut().zip(source) {
                *slot += upstream * value;
            }
        }
        if self.hidden == 0 {
            for (slot, weight) in by_input.iter_mut().zip(&last[1..]) {
                *slot += upstream * weight;
            }
            return;
        }
        for (unit, activation) in activations.iter().enumerate() {
            let slope = upstream * last[1 + unit] * activation * (1.0 - activation);
            let weights = &layer[unit * width..(unit + 1) * width];
            if let Some(by) = by_parameter.as_deref_mut() {
                let by = &mut by[unit * width..(unit + 1) * width];
                by[0] += slope;
                for (slot, value) in by[1..].iter_mut().zip(x) {
                    *slot += slope * value;
                }
            }
            for (slot, weight) in by_input.iter_mut().zip(&weights[1..]) {
                *slot += slope * weight;
            }
        }
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The derivatives against differences of the output.
    #[test]
    fn derivatives_are_those_of_the_output() {
        let mut stream = Stream::new(0, "causal-minimax network test");
        for (inputs, hidden) in [(3, 0), (3, 4), (0, 2), (1, 1)] {
            let network = Network::random(inputs, hidden, &mut stream);
            let x: Vec<f64> = (0..inputs).map(|_| stream.normal()).collect();
            let mut activations = vec![0.0; hidden];
            network.forward(&x, &mut activations);
            let (mut by_parameter, mut by_input) = (vec![0.0; network.parameters.len()], vec![0.0; inputs]);
            network.backward(&x, &activations, 1.7, Some(&mut by_parameter), &mut by_input);
            let step = 1e-6;
            let output = |network: &Network, x: &[f64]| 1.7 * network.forward(x, &mut vec![0.0; hidden]);
            for place in 0..network.parameters.len() {
                let (mut up, mut down) = (network.clone(), network.clone());
                up.parameters[place] += step;
                down.parameters[place] -= step;
                let slope = (output(&up, &x) - output(&down, &x)) / (2.0 * step);
                assert!((slope - by_parameter[place]).abs() < 1e-7, "{inputs} {hidden} {place}");
            }
            for place in 0..inputs {
                let (mut up, mut down) = (x.clone(), x.clone());
                up[place] += step;
                down[place] -= step;
                let slope = (output(&network, &up) - output(&network, &down)) / (2.0 * step);
                assert!((slope - by_input[place]).abs() < 1e-7, "{inputs} {hidden} {place}");
            }
        }
    }

    /// Why starts are random: units with equal weights have equal derivatives, so that any method of descent keeps them equal.
    #[test]
    fn units_that_start_equal_stay_equal() {
        let mut network = Network::zeros(2, 3);
        network.parameters.fill(1.0);
        let (mut activations, mut by_input) = ([0.0; 3], [0.0; 2]);
        network.forward(&[0.3, -0.8], &mut activations);
        let mut by_parameter = vec![0.0; network.parameters.len()];
        network.backward(&[0.3, -0.8], &activations, 1.0, Some(&mut by_parameter), &mut by_input);
        assert_eq!(by_parameter[0..3], by_parameter[3..6]);
        assert_eq!(by_parameter[0..3], by_parameter[6..9]);
        assert_eq!((by_parameter[10], by_parameter[11]), (by_parameter[11], by_parameter[12]));
        assert!(by_parameter[0] != 0.0);
    }
}
