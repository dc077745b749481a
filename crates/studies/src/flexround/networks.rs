//! Networks for handwritten digits, trained here, and the rows they see.

use backstitch_claim::{CellContext, CellError};
use backstitch_compress::Rows;
use backstitch_compress::flexround::{Description, Kind, Network, read_tensors};
use backstitch_data::embedded;
use backstitch_data::idx::read_idx;
use backstitch_numerics::Stream;

use super::{Configuration, MNIST};

const CLASSES: usize = 10;
const WEIGHTS: &str = "network.safetensors";

/// Rows to train on, whose first ones are calibrated on too, and rows to test on.
pub(super) struct Digits {
    pub(super) training: Rows,
    labels: Vec<usize>,
    pub(super) test: Rows,
    test_labels: Vec<usize>,
}

impl Digits {
    pub(super) fn read(
        configuration: &Configuration,
        network: &str,
        seed: u64,
        context: &CellContext<'_>,
    ) -> Result<Self, CellError> {
        let (pixels, labels) = if network == "digits" { small()? } else { mnist(context)? };
        let (training, test) = if network == "digits" {
            (configuration.digit_rows, labels.len() - configuration.digit_rows)
        } else {
            (configuration.rows, configuration.test_rows)
        };
        let order = Stream::new(seed, "flexround study rows").permutation(labels.len());
        let part =
            |places: &[usize]| (pixels.picked(places), places.iter().map(|&place| labels[place]).collect());
        let (training, labels) = part(&order[..training]);
        let (test, test_labels) = part(&order[order.len() - test..]);
        Ok(Self { training, labels, test, test_labels })
    }

    /// Test rows whose label has the largest of outputs, in points.
    pub(super) fn accuracy(&self, outputs: &Rows) -> f64 {
        let right = self.test_labels.iter().enumerate().filter(|&(row, &label)| {
            let own = outputs.row(row);
            own.iter().enumerate().all(|(class, value)| class == label || *value < own[label])
        });
        100.0 * right.count() as f64 / self.test_labels.len() as f64
    }
}

/// Digits of 8 × 8 pixels, which are part of the program.
fn small() -> Result<(Rows, Vec<usize>), CellError> {
    let table = embedded::DIGITS.table().map_err(CellError::new)?.values;
    let last = table.columns() - 1;
    let pixels = Rows::from_fn(table.rows(), last, |row, pixel| (table[(row, pixel)] / 16.0) as f32);
    Ok((pixels, table.column(last).map(|label| label as usize).collect()))
}

/// The 10,000 test digits of MNIST.
fn mnist(context: &CellContext<'_>) -> Result<(Rows, Vec<usize>), CellError> {
    let folder = context.data(MNIST)?;
    let images = read_idx(folder.join("t10k-images-idx3-ubyte.gz")).map_err(CellError::new)?;
    let labels = read_idx(folder.join("t10k-labels-idx1-ubyte.gz")).map_err(CellError::new)?;
    let &[rows, height, width] = images.shape.as_slice() else {
        return Err(CellError::new("the file of images has no rows of pixels"));
    };
    let pixels = images.values.iter().map(|value| f32::from(*value) / 255.0).collect();
    let pixels = Rows::new(rows, height * width, pixels)
        .ok_or_else(|| CellError::new("the file of images is cut off"))?;
    Ok((pixels, labels.values.iter().map(|label| usize::from(*label)).collect()))
}

/// The layers of a network, and the shape of each tensor.
fn architecture(network: &str) -> (Description, Vec<(&'static str, Vec<usize>)>) {
    let dense = |weight: &str, bias: &str| Kind::Dense { weight: weight.into(), bias: Some(bias.into()) };
    let convolution = |weight: &str, bias: &str| Kind::Convolution {
        weight: weight.into(),
        bias: Some(bias.into()),
        stride: [2, 2],
        padding: [1, 1],
        dilation: [1, 1],
        groups: 1,
    };
    if network == "cnn" {
        let layers = vec![
            convolution("0.weight", "0.bias"),
            Kind::Relu {},
            convolution("2.weight", "2.bias"),
            Kind::Relu {},
            Kind::Flatten {},
            dense("5.weight", "5.bias"),
        ];
        let shapes = vec![
            ("0.weight", vec![8, 1, 3, 3]),
            ("0.bias", vec![8]),
            ("2.weight", vec![16, 8, 3, 3]),
            ("2.bias", vec![16]),
            ("5.weight", vec![CLASSES, 784]),
            ("5.bias", vec![CLASSES]),
        ];
        return (Description { input: vec![1, 28, 28], layers }, shapes);
    }
    let (inputs, width) = if network == "digits" { (64, 32) } else { (784, 64) };
    let layers = vec![
        dense("0.weight", "0.bias"),
        Kind::Relu {},
        dense("2.weight", "2.bias"),
        Kind::Relu {},
        dense("4.weight", "4.bias"),
    ];
    let shapes = vec![
        ("0.weight", vec![width, inputs]),
        ("0.bias", vec![width]),
        ("2.weight", vec![width, width]),
        ("2.bias", vec![width]),
        ("4.weight", vec![CLASSES, width]),
        ("4.bias", vec![CLASSES]),
    ];
    (Description { input: vec![inputs], layers }, shapes)
}

/// Trains a network and leaves it with the cell.
pub(super) fn train(
    configuration: &Configuration,
    name: &str,
    seed: u64,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let digits = Digits::read(configuration, name, seed, context)?;
    let (description, shapes) = architecture(name);
    let mut stream = Stream::new(seed, "flexround study weights");
    let mut network = Network::from_parts(&description, |tensor| {
        let shape =
            shapes.iter().find(|(own, _)| *own == tensor).map_or(Vec::new(), |(_, shape)| shape.clone());
        let count: usize = shape.iter().product();
        let scale = if shape.len() > 1 { (2.0 * shape[0] as f64 / count as f64).sqrt() } else { 0.0 };
        Ok((shape, (0..count).map(|_| (scale * stream.normal()) as f32).collect()))
    })
    .map_err(CellError::new)?;
    let epochs = if name == "digits" { configuration.digit_epochs } else { configuration.epochs };
    let rows = digits.labels.len();
    let batch = 64.min(rows);
    let steps = epochs * (rows / batch);
    let mut order: Vec<usize> = (0..rows).collect();
    let mut moments: Vec<[Vec<f32>; 2]> = Vec::new();
    let mut step = 0_i32;
    for _ in 0..epochs {
        stream.shuffle(&mut order);
        for picked in order.chunks_exact(batch) {
            let inputs = digits.training.picked(picked);
            let (_, gradients) = network.gradients(&inputs, |outputs| {
                for (row, &place) in picked.iter().enumerate() {
                    soften(outputs.row_mut(row), digits.labels[place], batch);
                }
            });
            step += 1;
            let left = 1.0 - f64::from(step - 1) / steps as f64;
            let rate = configuration.training_rate * left / (1.0 - 0.9_f64.powi(step));
            let root = (1.0 - 0.999_f64.powi(step)).sqrt() as f32;
            let parts = network.affine_mut().zip(&gradients).flat_map(|(affine, gradient)| {
                [
                    (affine.weights.values_mut(), gradient.weights.values()),
                    (affine.bias.as_mut_slice(), &gradient.bias[..]),
                ]
            });
            for (number, (values, gradient)) in parts.enumerate() {
                if moments.len() == number {
                    moments.push([vec![0.0; values.len()], vec![0.0; values.len()]]);
                }
                let [first, second] = &mut moments[number];
                for (((value, g), m), v) in values.iter_mut().zip(gradient).zip(first).zip(second) {
                    *m += 0.1 * (g - *m);
                    *v += 0.001 * (g * g - *v);
                    *value -= rate as f32 * *m / (v.sqrt() / root + 1e-8);
                }
            }
        }
    }
    let bytes = backstitch_compress::flexround::tensors_of(&network).map_err(CellError::new)?;
    context.artifact(WEIGHTS, &bytes)?;
    context.observe("full_accuracy", digits.accuracy(&network.outputs_of(&digits.test)));
    Ok(())
}

/// Turns outputs into the gradient of the mean cross-entropy.
fn soften(outputs: &mut [f32], label: usize, batch: usize) {
    let largest = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    outputs.iter_mut().for_each(|value| *value = (*value - largest).exp());
    let sum: f32 = outputs.iter().sum();
    let share = 1.0 / batch as f32;
    for (class, value) in outputs.iter_mut().enumerate() {
        *value = share * (*value / sum - f32::from(u8::from(class == label)));
    }
}

/// The trained network that a cell needs.
pub(super) fn trained(name: &str, context: &CellContext<'_>) -> Result<Network, CellError> {
    let bytes = context.read_need("train", WEIGHTS)?;
    read_tensors(&architecture(name).0, &bytes).map_err(CellError::new)
}
