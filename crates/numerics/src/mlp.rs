//! A small multilayer perceptron in double precision, with its gradient and Adam.
//!
//! For methods that train something small inside a computation, without the network stack. A batch is worked on in pieces of a fixed
//! number of rows and gradients are summed in the order of the pieces, so no result depends on the number of threads.
//!
//! ```
//! use backstitch_numerics::mlp::{Activation, Mlp, Training, train};
//! use backstitch_numerics::{Matrix, Stream};
//!
//! // y = x², learned by least squares.
//! let inputs = Matrix::from_fn(256, 1, |row, _| row as f64 / 128.0 - 1.0);
//! let mut stream = Stream::new(0, "doc");
//! let mut network = Mlp::new(&[1, 16, 1], Activation::Tanh, &mut stream)?;
//! let options = Training { epochs: 100, ..Training::default() };
//! let losses = train(&mut network, &inputs, &options, &mut stream, |rows, outputs, gradients| {
//!     let mut loss = 0.0;
//!     for (place, &row) in rows.iter().enumerate() {
//!         let error = outputs[(place, 0)] - inputs[(row, 0)].powi(2);
//!         loss += error * error / rows.len() as f64;
//!         gradients[(place, 0)] = 2.0 * error / rows.len() as f64;
//!     }
//!     loss
//! });
//! assert!(losses[99] < 0.1 * losses[0]);
//! # Ok::<(), backstitch_numerics::mlp::MlpError>(())
//! ```

mod training;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::{Matrix, Stream};

pub use training::{Adam, Training, train};

/// Rows that one thread works on at a time. Fixed: the order of sums rests on it.
const PIECE: usize = 256;

/// What stands between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// The hyperbolic tangent.
    Tanh,
    /// ln(1 + eˣ).
    SoftPlus,
}

/// One linear layer: `inputs ↦ weights · inputs + biases`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// One row per output, one column per input.
    pub weights: Matrix,
    /// One value per output.
    pub biases: Vec<f64>,
}

/// Linear layers with an activation between them; none after the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// First to last. At least one, and each takes as many values as the one before gives.
    pub layers: Vec<Layer>,
    /// Between any two layers.
    pub activation: Activation,
}

/// Layers that do not make a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MlpError {
    /// Too few widths, or one of 0.
    #[error(
        "widths are {widths:?}; two or more of at least 1 are needed: those of the input, the hidden layers and the output"
    )]
    Widths {
        /// As given.
        widths: Vec<usize>,
    },
    /// No layer.
    #[error("a network needs at least one layer")]
    NoLayer,
    /// A layer whose weights have an empty side.
    #[error("layer {layer} has weights of {outputs} rows and {inputs} columns; both must be at least 1")]
    EmptyLayer {
        /// From 0.
        layer: usize,
        /// Rows.
        outputs: usize,
        /// Columns.
        inputs: usize,
    },
    /// A layer with more or fewer biases than outputs.
    #[error("layer {layer} has {biases} biases for {outputs} outputs; one for each is needed")]
    Biases {
        /// From 0.
        layer: usize,
        /// Their number.
        biases: usize,
        /// Rows of its weights.
        outputs: usize,
    },
    /// A layer that does not fit the one before.
    #[error("layer {layer} takes {inputs} values, but the layer before gives {given}")]
    Chain {
        /// From 0.
        layer: usize,
        /// Columns of its weights.
        inputs: usize,
        /// Rows of the weights before.
        given: usize,
    },
}

impl Activation {
    fn apply(self, values: &mut [f64]) {
        match self {
            Self::Relu => values.iter_mut().for_each(|x| *x = x.max(0.0)),
            Self::Tanh => values.iter_mut().for_each(|x| *x = x.tanh()),
            Self::SoftPlus => values.iter_mut().for_each(|x| *x = x.max(0.0) + (-x.abs()).exp().ln_1p()),
        }
    }

    /// Multiplies gradients by the derivative, which each of the three tells from its value.
    fn chain(self, values: &[f64], gradients: &mut [f64]) {
        let pairs = gradients.iter_mut().zip(values);
        match self {
            Self::Relu => pairs.for_each(|(g, &y)| *g = if y > 0.0 { *g } else { 0.0 }),
            Self::Tanh => pairs.for_each(|(g, &y)| *g *= 1.0 - y * y),
            Self::SoftPlus => pairs.for_each(|(g, &y)| *g *= -(-y).exp_m1()),
        }
    }
}

impl Layer {
    /// Number of values taken.
    pub fn inputs(&self) -> usize {
        self.weights.columns()
    }

    /// Number of values given.
    pub fn outputs(&self) -> usize {
        self.weights.rows()
    }

    fn zeros_like(&self) -> Self {
        Self { weights: Matrix::zeros(self.outputs(), self.inputs()), biases: vec![0.0; self.biases.len()] }
    }

    fn forward(&self, inputs: &[f64], outputs: &mut [f64]) {
        let rows = inputs.len() / self.inputs();
        for row in outputs.chunks_exact_mut(self.outputs()) {
            row.copy_from_slice(&self.biases);
        }
        matmul(
            row_major_mut(outputs, rows, self.outputs()),
            Accum::Add,
            row_major(inputs, rows, self.inputs()),
            matrix(&self.weights).transpose(),
            1.0,
            Par::Seq,
        );
    }
}

impl Mlp {
    /// A network of the given widths, input first and output last: weights normal with variance 2 / inputs (He et al.,
    /// arXiv 1502.01852), biases 0.
    ///
    /// # Errors
    /// If there are fewer than two widths or one is 0.
    pub fn new(widths: &[usize], activation: Activation, stream: &mut Stream) -> Result<Self, MlpError> {
        if widths.len() < 2 || widths.contains(&0) {
            return Err(MlpError::Widths { widths: widths.to_vec() });
        }
        let layers = widths.windows(2).map(|pair| {
            let scale = (2.0 / pair[0] as f64).sqrt();
            Layer {
                weights: Matrix::from_fn(pair[1], pair[0], |_, _| scale * stream.normal()),
                biases: vec![0.0; pair[1]],
            }
        });
        Ok(Self { layers: layers.collect(), activation })
    }

    /// A network from layers read elsewhere.
    ///
    /// # Errors
    /// If there is none, one is empty, or they do not fit each other.
    pub fn from_layers(layers: Vec<Layer>, activation: Activation) -> Result<Self, MlpError> {
        if layers.is_empty() {
            return Err(MlpError::NoLayer);
        }
        for (index, layer) in layers.iter().enumerate() {
            let (outputs, inputs) = (layer.outputs(), layer.inputs());
            if outputs == 0 || inputs == 0 {
                return Err(MlpError::EmptyLayer { layer: index, outputs, inputs });
            }
            if layer.biases.len() != outputs {
                return Err(MlpError::Biases { layer: index, biases: layer.biases.len(), outputs });
            }
            if index > 0 && layers[index - 1].outputs() != inputs {
                let given = layers[index - 1].outputs();
                return Err(MlpError::Chain { layer: index, inputs, given });
            }
        }
        Ok(Self { layers, activation })
    }

    /// Number of values in a row of inputs.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs()
    }

    /// Number of values in a row of outputs.
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs()
    }

    /// Layers of the same shape, all 0: where [`Mlp::backward`] writes.
    pub fn zero_gradient(&self) -> Vec<Layer> {
        self.layers.iter().map(Layer::zeros_like).collect()
    }

    /// The outputs for a batch: one row per row of `inputs`.
    ///
    /// # Panics
    /// If rows of `inputs` have another length than [`Mlp::inputs`].
    pub fn forward(&self, inputs: &Matrix) -> Matrix {
        assert_eq!(inputs.columns(), self.inputs(), "columns of the inputs");
        let mut outputs = Matrix::zeros(inputs.rows(), self.outputs());
        let last = self.layers.len() - 1;
        let widest = self.layers[..last].iter().map(Layer::outputs).max().unwrap_or(0);
        let given = inputs.values().par_chunks(PIECE * self.inputs());
        let wanted = outputs.values_mut().par_chunks_mut(PIECE * self.outputs());
        // Nothing is kept: two layers at a time.
        let buffers = || [vec![0.0; PIECE * widest], vec![0.0; PIECE * widest]];
        given.zip(wanted).for_each_init(buffers, |[before, after], (given, wanted)| {
            let rows = given.len() / self.inputs();
            for (index, layer) in self.layers.iter().enumerate() {
                let from = if index == 0 { given } else { &before[..rows * layer.inputs()] };
                if index == last {
                    layer.forward(from, wanted);
                } else {
                    let to = &mut after[..rows * layer.outputs()];
                    layer.forward(from, to);
                    self.activation.apply(to);
                    std::mem::swap(before, after);
                }
            }
        });
        outputs
    }

    /// As [`Mlp::forward`], into `outputs`, and keeps on the tape what [`Mlp::backward`] needs.
    ///
    /// # Panics
    /// If a shape does not fit.
    pub fn forward_with(&self, inputs: &Matrix, outputs: &mut Matrix, tape: &mut Tape) {
        let rows = inputs.rows();
        assert_eq!(inputs.columns(), self.inputs(), "columns of the inputs");
        assert_eq!((outputs.rows(), outputs.columns()), (rows, self.outputs()), "shape of the outputs");
        tape.fit(self, rows);
        let given = inputs.values().par_chunks(PIECE * self.inputs());
        let wanted = outputs.values_mut().par_chunks_mut(PIECE * self.outputs());
        tape.pieces.par_iter_mut().zip(given).zip(wanted).for_each(|((piece, given), wanted)| {
            let rows = given.len() / self.inputs();
            let last = self.layers.len() - 1;
            for (index, layer) in self.layers.iter().enumerate() {
                let (before, after) = piece.hidden.split_at_mut(index);
                let from = match before.last() {
                    None => given,
                    Some(hidden) => &hidden[..rows * layer.inputs()],
                };
                if index == last {
                    layer.forward(from, wanted);
                } else {
                    let to = &mut after[0][..rows * layer.outputs()];
                    layer.forward(from, to);
                    self.activation.apply(to);
                }
            }
        });
    }

    /// From the gradient with respect to the outputs of the last [`Mlp::forward_with`] on this tape to that with respect to
    /// weights and biases, which replaces what `gradient` held, and, where asked for, to the inputs.
    ///
    /// # Panics
    /// If a shape does not fit, or the tape is of another batch.
    pub fn backward(
        &self,
        inputs: &Matrix,
        output_gradients: &Matrix,
        tape: &mut Tape,
        gradient: &mut [Layer],
        input_gradients: Option<&mut Matrix>,
    ) {
        let rows = inputs.rows();
        assert_eq!(inputs.columns(), self.inputs(), "columns of the inputs");
        let found = (output_gradients.rows(), output_gradients.columns());
        assert_eq!(found, (rows, self.outputs()), "shape of the output gradients");
        assert_eq!(tape.rows, rows, "rows on the tape");
        let given = inputs.values().par_chunks(PIECE * self.inputs());
        let errors = output_gradients.values().par_chunks(PIECE * self.outputs());
        let pieces = tape.pieces.par_iter_mut().zip(given).zip(errors);
        match input_gradients {
            None => {
                pieces.for_each(|((piece, given), errors)| self.backward_piece(piece, given, errors, None))
            }
            Some(wanted) => {
                let found = (wanted.rows(), wanted.columns());
                assert_eq!(found, (rows, self.inputs()), "shape of the input gradients");
                let wanted = wanted.values_mut().par_chunks_mut(PIECE * self.inputs());
                pieces.zip(wanted).for_each(|(((piece, given), errors), wanted)| {
                    self.backward_piece(piece, given, errors, Some(wanted));
                });
            }
        }
        for (index, layer) in gradient.iter_mut().enumerate() {
            layer.weights.values_mut().fill(0.0);
            layer.biases.fill(0.0);
            for piece in &tape.pieces {
                add(layer.weights.values_mut(), piece.gradient[index].weights.values());
                add(&mut layer.biases, &piece.gradient[index].biases);
            }
        }
    }

    fn backward_piece(&self, piece: &mut Piece, given: &[f64], errors: &[f64], wanted: Option<&mut [f64]>) {
        let Piece { hidden, errors: [mine, before], gradient } = piece;
        let rows = given.len() / self.inputs();
        mine[..errors.len()].copy_from_slice(errors);
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let from = if index == 0 { given } else { &hidden[index - 1][..rows * layer.inputs()] };
            let arriving = &mine[..rows * layer.outputs()];
            matmul(
                matrix_mut(&mut gradient[index].weights),
                Accum::Replace,
                row_major(arriving, rows, layer.outputs()).transpose(),
                row_major(from, rows, layer.inputs()),
                1.0,
                Par::Seq,
            );
            gradient[index].biases.fill(0.0);
            for row in arriving.chunks_exact(layer.outputs()) {
                add(&mut gradient[index].biases, row);
            }
            if index > 0 {
                let leaving = &mut before[..rows * layer.inputs()];
                layer.pull_back(arriving, leaving);
                self.activation.chain(from, leaving);
                std::mem::swap(mine, before);
            }
        }
        if let Some(wanted) = wanted {
            self.layers[0].pull_back(&mine[..rows * self.layers[0].outputs()], wanted);
        }
    }
}

impl Layer {
    /// Gradients with respect to the inputs from those with respect to the outputs.
    fn pull_back(&self, arriving: &[f64], leaving: &mut [f64]) {
        let rows = arriving.len() / self.outputs();
        matmul(
            row_major_mut(leaving, rows, self.inputs()),
            Accum::Replace,
            row_major(arriving, rows, self.outputs()),
            matrix(&self.weights),
            1.0,
            Par::Seq,
        );
    }
}

/// What a forward pass keeps for the backward pass, and its working memory. Keep one per training loop: it is allocated anew only
/// when the network or the number of rows changes.
#[derive(Debug, Default)]
pub struct Tape {
    rows: usize,
    widths: Vec<usize>,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    /// After the activation, for every layer but the last: up to [`PIECE`] rows.
    hidden: Vec<Vec<f64>>,
    /// Gradients of the layer at hand and of the one before, each as wide as the widest.
    errors: [Vec<f64>; 2],
    gradient: Vec<Layer>,
}

impl Tape {
    fn fit(&mut self, network: &Mlp, rows: usize) {
        let widths: Vec<usize> =
            std::iter::once(network.inputs()).chain(network.layers.iter().map(Layer::outputs)).collect();
        if self.rows == rows && self.widths == widths {
            return;
        }
        let widest = widths.iter().copied().max().unwrap_or(0);
        let hidden = &widths[1..widths.len() - 1];
        self.pieces = (0..rows.div_ceil(PIECE))
            .map(|index| {
                let rows = PIECE.min(rows - index * PIECE);
                Piece {
                    hidden: hidden.iter().map(|width| vec![0.0; rows * width]).collect(),
                    errors: [vec![0.0; rows * widest], vec![0.0; rows * widest]],
                    gradient: network.zero_gradient(),
                }
            })
            .collect();
        (self.rows, self.widths) = (rows, widths);
    }
}

fn add(sums: &mut [f64], values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

fn row_major(values: &[f64], rows: usize, columns: usize) -> MatRef<'_, f64> {
    MatRef::from_row_major_slice(values, rows, columns)
}

fn row_major_mut(values: &mut [f64], rows: usize, columns: usize) -> MatMut<'_, f64> {
    MatMut::from_row_major_slice_mut(values, rows, columns)
}

fn matrix(values: &Matrix) -> MatRef<'_, f64> {
    row_major(values.values(), values.rows(), values.columns())
}

fn matrix_mut(values: &mut Matrix) -> MatMut<'_, f64> {
    let (rows, columns) = (values.rows(), values.columns());
    row_major_mut(values.values_mut(), rows, columns)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const ACTIVATIONS: [Activation; 3] = [Activation::Relu, Activation::Tanh, Activation::SoftPlus];

    /// A network with biases, inputs, and factors by which outputs are weighed in a sum.
    pub(crate) fn example(activation: Activation, rows: usize) -> (Mlp, Matrix, Matrix) {
        let mut stream = Stream::new(1, "mlp test");
        let mut network = Mlp::new(&[3, 7, 5, 2], activation, &mut stream).unwrap();
        for layer in &mut network.layers {
            layer.biases.iter_mut().for_each(|bias| *bias = 0.3 * stream.normal());
        }
        let inputs = Matrix::from_fn(rows, 3, |_, _| stream.normal());
        let factors = Matrix::from_fn(rows, 2, |_, _| stream.normal());
        (network, inputs, factors)
    }

    /// One row, layer by layer, by plain sums.
    fn plainly(network: &Mlp, inputs: &[f64]) -> Vec<f64> {
        let mut values = inputs.to_vec();
        for (index, layer) in network.layers.iter().enumerate() {
            let next = (0..layer.outputs()).map(|output| {
                let products = layer.weights.row(output).iter().zip(&values).map(|(w, x)| w * x);
                layer.biases[output] + products.sum::<f64>()
            });
            values = next.collect();
            if index + 1 < network.layers.len() {
                values.iter_mut().for_each(|x| {
                    *x = match network.activation {
                        Activation::Relu => x.max(0.0),
                        Activation::Tanh => x.tanh(),
                        Activation::SoftPlus => (1.0 + x.exp()).ln(),
                    }
                });
            }
        }
        values
    }

    fn weighed(network: &Mlp, inputs: &Matrix, factors: &Matrix) -> f64 {
        network.forward(inputs).values().iter().zip(factors.values()).map(|(y, f)| y * f).sum()
    }

    #[test]
    fn batches_give_what_plain_sums_give() {
        for activation in ACTIVATIONS {
            let (network, inputs, _) = example(activation, 600);
            let outputs = network.forward(&inputs);
            for row in [0, 255, 256, 599] {
                for (output, expected) in plainly(&network, inputs.row(row)).into_iter().enumerate() {
                    assert!((outputs[(row, output)] - expected).abs() < 1e-12, "{activation:?} row {row}");
                }
            }
        }
    }

    #[test]
    fn gradients_are_those_of_central_differences() {
        for activation in ACTIVATIONS {
            // 300 rows are two pieces.
            let (network, inputs, factors) = example(activation, 300);
            let mut outputs = Matrix::zeros(300, 2);
            let mut tape = Tape::default();
            let mut gradient = network.zero_gradient();
            let mut to_inputs = Matrix::zeros(300, 3);
            network.forward_with(&inputs, &mut outputs, &mut tape);
            network.backward(&inputs, &factors, &mut tape, &mut gradient, Some(&mut to_inputs));
            let step = 1e-6;
            let check = |found: f64, up: f64, down: f64, what: &str| {
                let expected = (up - down) / (2.0 * step);
                let tolerance = 1e-5 * (1.0 + expected.abs());
                assert!((found - expected).abs() < tolerance, "{activation:?} {what}: {found} {expected}");
            };
            for index in 0..network.layers.len() {
                let [outputs, columns] = [network.layers[index].outputs(), network.layers[index].inputs()];
                for output in 0..outputs {
                    let moved = |by: f64| {
                        let mut other = network.clone();
                        other.layers[index].biases[output] += by;
                        weighed(&other, &inputs, &factors)
                    };
                    check(gradient[index].biases[output], moved(step), moved(-step), "bias");
                    for column in 0..columns {
                        let moved = |by: f64| {
                            let mut other = network.clone();
                            other.layers[index].weights[(output, column)] += by;
                            weighed(&other, &inputs, &factors)
                        };
                        check(gradient[index].weights[(output, column)], moved(step), moved(-step), "weight");
                    }
                }
            }
            for (row, column) in [(0, 0), (255, 1), (256, 2), (299, 0)] {
                let moved = |by: f64| {
                    let mut other = inputs.clone();
                    other[(row, column)] += by;
                    weighed(&network, &other, &factors)
                };
                check(to_inputs[(row, column)], moved(step), moved(-step), "input");
            }
        }
    }

    #[test]
    fn a_tape_serves_other_batches() {
        let (network, inputs, factors) = example(Activation::Tanh, 300);
        let few = Matrix::new(2, 3, inputs.values()[..6].to_vec()).unwrap();
        let mut tape = Tape::default();
        let gradient_of = |inputs: &Matrix, tape: &mut Tape| {
            let mut outputs = Matrix::zeros(inputs.rows(), 2);
            let mut gradient = network.zero_gradient();
            network.forward_with(inputs, &mut outputs, tape);
            let factors = Matrix::new(inputs.rows(), 2, factors.values()[..2 * inputs.rows()].to_vec());
            network.backward(inputs, &factors.unwrap(), tape, &mut gradient, None);
            gradient
        };
        let fresh = gradient_of(&few, &mut Tape::default());
        gradient_of(&inputs, &mut tape);
        assert_eq!(gradient_of(&few, &mut tape), fresh);
    }

    #[test]
    fn initial_weights_have_the_variance_of_he() {
        let network = Mlp::new(&[200, 300], Activation::Relu, &mut Stream::new(4, "he")).unwrap();
        let squares = network.layers[0].weights.values().iter().map(|w| w * w).sum::<f64>();
        // 60,000 squares: the mean is within 1.5 % but for a chance below 1e-6.
        assert!((squares / 60_000.0 / 0.01 - 1.0).abs() < 0.03);
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        let layer = |outputs, inputs, biases| Layer {
            weights: Matrix::zeros(outputs, inputs),
            biases: vec![0.0; biases],
        };
        let refused = |layers| Mlp::from_layers(layers, Activation::Relu).unwrap_err().to_string();
        assert_eq!(refused(vec![]), "a network needs at least one layer");
        assert_eq!(
            refused(vec![layer(3, 2, 4)]),
            "layer 0 has 4 biases for 3 outputs; one for each is needed"
        );
        assert_eq!(
            refused(vec![layer(3, 2, 3), layer(1, 4, 1)]),
            "layer 1 takes 4 values, but the layer before gives 3"
        );
        assert!(refused(vec![layer(3, 0, 3)]).contains("at least 1"));
        assert!(Mlp::new(&[3], Activation::Relu, &mut Stream::new(0, "")).is_err());
        assert!(Mlp::new(&[3, 0, 1], Activation::Relu, &mut Stream::new(0, "")).is_err());
    }

    #[test]
    fn no_rows_give_no_rows() {
        let (network, _, _) = example(Activation::Relu, 1);
        assert_eq!(network.forward(&Matrix::zeros(0, 3)), Matrix::zeros(0, 2));
    }
}
