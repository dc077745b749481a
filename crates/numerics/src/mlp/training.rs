//! Adam, and training on minibatches.

use super::{Layer, Mlp, Tape};
use crate::{Matrix, Stream};

/// Adam (Kingma and Ba, arXiv 1412.6980) with bias correction.
#[derive(Clone, Debug)]
pub struct Adam {
    /// Step size; change it between steps for a schedule.
    pub learning_rate: f64,
    /// Decay of the first moment, 0.9 in the paper.
    pub first_decay: f64,
    /// Decay of the second moment, 0.999 in the paper.
    pub second_decay: f64,
    /// Added to the root of the second moment, 1e-8 in the paper.
    pub epsilon: f64,
    steps: i32,
    first: Vec<Layer>,
    second: Vec<Layer>,
}

impl Adam {
    /// For networks of this shape, with the paper's decays.
    pub fn new(network: &Mlp, learning_rate: f64) -> Self {
        Self {
            learning_rate,
            first_decay: 0.9,
            second_decay: 0.999,
            epsilon: 1e-8,
            steps: 0,
            first: network.zero_gradient(),
            second: network.zero_gradient(),
        }
    }

    /// One step against `gradient`.
    ///
    /// # Panics
    /// If the network has another number of layers than the one given to [`Adam::new`].
    pub fn step(&mut self, network: &mut Mlp, gradient: &[Layer]) {
        assert_eq!(network.layers.len(), self.first.len(), "layers of the network");
        self.steps = self.steps.saturating_add(1);
        let first_scale = 1.0 - self.first_decay.powi(self.steps);
        let second_scale = 1.0 - self.second_decay.powi(self.steps);
        let (learning_rate, epsilon) = (self.learning_rate, self.epsilon);
        let (first_decay, second_decay) = (self.first_decay, self.second_decay);
        let update = |values: &mut [f64], gradient: &[f64], first: &mut [f64], second: &mut [f64]| {
            for (((value, &g), m), v) in values.iter_mut().zip(gradient).zip(first).zip(second) {
                *m += (1.0 - first_decay) * (g - *m);
                *v += (1.0 - second_decay) * (g * g - *v);
                *value -= learning_rate * (*m / first_scale) / ((*v / second_scale).sqrt() + epsilon);
            }
        };
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((layer, gradient), (first, second)) in network.layers.iter_mut().zip(gradient).zip(moments) {
            update(
                layer.weights.values_mut(),
                gradient.weights.values(),
                first.weights.values_mut(),
                second.weights.values_mut(),
            );
            update(&mut layer.biases, &gradient.biases, &mut first.biases, &mut second.biases);
        }
    }
}

/// How [`train`] goes over its rows.
#[derive(Clone, Debug)]
pub struct Training {
    /// Rows of a step of the optimizer. The last of an epoch may have fewer.
    pub batch: usize,
    /// How often every row is seen.
    pub epochs: usize,
    /// Step size of Adam at the beginning.
    pub learning_rate: f64,
    /// Step size at the end, reached along half a cosine.
    pub final_learning_rate: f64,
}

impl Default for Training {
    fn default() -> Self {
        Self { batch: 64, epochs: 30, learning_rate: 1e-2, final_learning_rate: 1e-4 }
    }
}

/// Trains on minibatches, shuffled anew in every epoch, and returns the mean loss of each epoch.
///
/// `loss` is given the rows of the batch, their outputs and zeros of the same shape in which it leaves the gradient with respect to the
/// outputs; it returns the loss.
///
/// # Panics
/// If rows of `inputs` do not fit the network.
pub fn train(
    network: &mut Mlp,
    inputs: &Matrix,
    options: &Training,
    stream: &mut Stream,
    mut loss: impl FnMut(&[usize], &Matrix, &mut Matrix) -> f64,
) -> Vec<f64> {
    let batch = options.batch.clamp(1, inputs.rows().max(1));
    let steps = options.epochs * inputs.rows().div_ceil(batch);
    let mut optimizer = Adam::new(network, options.learning_rate);
    let mut gradient = network.zero_gradient();
    let mut order: Vec<usize> = (0..inputs.rows()).collect();
    // One set of buffers for whole batches, one for the rest of an epoch.
    let mut buffers = [Buffers::new(network, batch), Buffers::new(network, inputs.rows() % batch)];
    let mut step = 0;
    let epoch_loss = |_| {
        stream.shuffle(&mut order);
        let mut total = 0.0;
        for rows in order.chunks(batch) {
            let Buffers { inputs: some, outputs, gradients, tape } =
                &mut buffers[usize::from(rows.len() < batch)];
            for (place, &row) in rows.iter().enumerate() {
                some.row_mut(place).copy_from_slice(inputs.row(row));
            }
            network.forward_with(some, outputs, tape);
            gradients.values_mut().fill(0.0);
            total += loss(rows, outputs, gradients) * rows.len() as f64;
            network.backward(some, gradients, tape, &mut gradient, None);
            let done = step as f64 / steps as f64;
            let left = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
            optimizer.learning_rate =
                options.final_learning_rate + left * (options.learning_rate - options.final_learning_rate);
            optimizer.step(network, &gradient);
            step += 1;
        }
        total / inputs.rows() as f64
    };
    (0..options.epochs).map(epoch_loss).collect()
}

struct Buffers {
    inputs: Matrix,
    outputs: Matrix,
    gradients: Matrix,
    tape: Tape,
}

impl Buffers {
    fn new(network: &Mlp, rows: usize) -> Self {
        Self {
            inputs: Matrix::zeros(rows, network.inputs()),
            outputs: Matrix::zeros(rows, network.outputs()),
            gradients: Matrix::zeros(rows, network.outputs()),
            tape: Tape::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Activation;
    use super::super::tests::example;
    use super::*;

    #[test]
    fn nothing_depends_on_the_number_of_threads() {
        let train_with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (mut network, inputs, factors) = example(Activation::SoftPlus, 1_000);
                let options = Training { batch: 700, epochs: 3, ..Training::default() };
                let mut stream = Stream::new(2, "threads");
                let losses =
                    train(&mut network, &inputs, &options, &mut stream, |rows, outputs, gradients| {
                        let mut loss = 0.0;
                        for (place, &row) in rows.iter().enumerate() {
                            for column in 0..2 {
                                let error = outputs[(place, column)] - factors[(row, column)];
                                loss += error * error;
                                gradients[(place, column)] = 2.0 * error;
                            }
                        }
                        loss
                    });
                (network, losses)
            })
        };
        assert_eq!(train_with(1), train_with(3));
    }

    #[test]
    fn adam_takes_the_steps_of_its_paper() {
        // One weight, gradients 2 and then −1: by hand from algorithm 1.
        let layer = Layer { weights: Matrix::zeros(1, 1), biases: vec![0.0] };
        let mut network = Mlp::from_layers(vec![layer.clone()], Activation::Relu).unwrap();
        let mut optimizer = Adam::new(&network, 0.1);
        let mut gradient = vec![layer];
        gradient[0].weights[(0, 0)] = 2.0;
        optimizer.step(&mut network, &gradient);
        assert!((network.layers[0].weights[(0, 0)] + 0.1).abs() < 1e-9);
        gradient[0].weights[(0, 0)] = -1.0;
        optimizer.step(&mut network, &gradient);
        let first: f64 = (0.9 * 0.2 - 0.1) / (1.0 - 0.81);
        let second: f64 = (0.999 * 0.004 + 0.001) / (1.0 - 0.999 * 0.999);
        let expected = -0.1 - 0.1 * first / second.sqrt();
        assert!((network.layers[0].weights[(0, 0)] - expected).abs() < 1e-9);
        assert_eq!(network.layers[0].biases, [0.0]);
    }

    #[test]
    fn a_pinball_loss_finds_a_quantile() {
        let mut stream = Stream::new(3, "pinball");
        let inputs = Matrix::from_fn(4_000, 1, |_, _| stream.uniform());
        // Uniform on (0, 1 + x): the 90 % quantile is 0.9 (1 + x).
        let values: Vec<f64> = inputs.column(0).map(|x| stream.uniform() * (1.0 + x)).collect();
        let mut network = Mlp::new(&[1, 16, 1], Activation::Tanh, &mut stream).unwrap();
        let options = Training { batch: 200, epochs: 40, ..Training::default() };
        train(&mut network, &inputs, &options, &mut stream, |rows, outputs, gradients| {
            let mut loss = 0.0;
            for (place, &row) in rows.iter().enumerate() {
                let error = values[row] - outputs[(place, 0)];
                loss += (0.9 * error).max(-0.1 * error) / rows.len() as f64;
                gradients[(place, 0)] = if error > 0.0 { -0.9 } else { 0.1 } / rows.len() as f64;
            }
            loss
        });
        let quantiles = network.forward(&Matrix::from_fn(5, 1, |row, _| 0.1 + 0.2 * row as f64));
        for row in 0..5 {
            let expected = 0.9 * (1.1 + 0.2 * row as f64);
            assert!((quantiles[(row, 0)] - expected).abs() < 0.06, "{} {expected}", quantiles[(row, 0)]);
        }
    }
}
