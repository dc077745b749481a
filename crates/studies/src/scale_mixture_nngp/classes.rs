//! Digits: a classifier trained on clean images, tested on clean and on corrupted ones.

use backstitch_claim::{Cell, CellContext, CellError};
use backstitch_data::embedded::DIGITS;
use backstitch_numerics::{Matrix, Stream};
use backstitch_statistics::scale_mixture_nngp::{
    Activation, Architecture, ClassScale, ClassificationParameters, Classifier, Hyperparameters, ImageShape,
};

use super::{Configuration, STIFF};

/// Pixels on a side of the images of `digits`, and their largest value.
const SIDE: usize = 8;
const LARGEST: f64 = 16.0;
const CLASSES: usize = 10;
/// Deviation of the noise of corrupted images, whose pixels go from 0 to 1.
const NOISE: f64 = 0.2;

pub(super) fn run(
    cell: &Cell,
    configuration: &Configuration,
    context: &mut CellContext<'_>,
) -> Result<(), CellError> {
    let table = DIGITS.table().map_err(CellError::new)?.values;
    let mut stream = Stream::new(cell.seed, "scale-mixture-nngp digits");
    let order = stream.permutation(table.rows());
    let train = &order[..configuration.images.min(table.rows() / 2)];
    let test = &order[train.len()..(train.len() + configuration.images).min(table.rows())];
    let pixels = SIDE * SIDE;
    let images = |rows: &[usize]| {
        Matrix::from_fn(rows.len(), pixels, |row, pixel| table[(rows[row], pixel)] / LARGEST)
    };
    let labels = |rows: &[usize]| -> Vec<usize> {
        // Labels are digits.
        rows.iter().map(|&row| table[(row, pixels)] as usize).collect()
    };
    let shape = match cell.arm.as_str() {
        "student-t-classes-stiff" => STIFF,
        _ => configuration.shape,
    };
    let parameters = ClassificationParameters {
        architecture: Architecture {
            depth: configuration.depth,
            activation: Activation::Relu,
            image: Some(ImageShape { height: SIDE, width: SIDE, channels: 1 }),
        },
        hyperparameters: Hyperparameters { last_weight_std: LAST, ..Hyperparameters::default() },
        scale: match cell.arm.as_str() {
            "gaussian-classes" => ClassScale::Fixed,
            _ => ClassScale::InverseGamma { shape, scale: shape },
        },
        inducing: configuration.inducing,
        steps: configuration.steps,
        rate: 0.03,
        seed: cell.seed,
        ..ClassificationParameters::default()
    };
    let classifier = parameters.fit(&images(train), &labels(train), CLASSES).map_err(CellError::new)?;
    let clean = images(test);
    let corrupted = corrupted(&clean, &mut stream);
    let truth = labels(test);
    let (nll, accuracy) = quality(&classifier, &clean, &truth)?;
    context.observe("nll", nll);
    context.observe("accuracy", accuracy);
    let (nll, accuracy) = quality(&classifier, &corrupted, &truth)?;
    context.observe("nll_corrupted", nll);
    context.observe("accuracy_corrupted", accuracy);
    Ok(())
}

/// Deviation of the last layer's weights, the same for all arms: latent functions of the size of a few units.
const LAST: f64 = 5.0;

/// Images moved by one pixel in a random direction, with noise on every pixel.
fn corrupted(images: &Matrix, stream: &mut Stream) -> Matrix {
    let mut found = Matrix::zeros(images.rows(), images.columns());
    for row in 0..images.rows() {
        let (down, right) = [(1, 0), (-1, 0), (0, 1), (0, -1)][stream.below(4)];
        for pixel in 0..images.columns() {
            let (y, x) = ((pixel / SIDE) as isize - down, (pixel % SIDE) as isize - right);
            let inside = (0..SIDE as isize).contains(&y) && (0..SIDE as isize).contains(&x);
            let moved = if inside { images[(row, y as usize * SIDE + x as usize)] } else { 0.0 };
            found[(row, pixel)] = moved + NOISE * stream.normal();
        }
    }
    found
}

fn quality(classifier: &Classifier, images: &Matrix, truth: &[usize]) -> Result<(f64, f64), CellError> {
    let probabilities = classifier.predict(images).map_err(CellError::new)?;
    let n = truth.len() as f64;
    let mut totals = (0.0, 0.0);
    for (row, &label) in truth.iter().enumerate() {
        let values = probabilities.row(row);
        totals.0 -= values[label].max(f64::MIN_POSITIVE).ln() / n;
        let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        totals.1 += f64::from(u8::from(values[label] == best)) / n;
    }
    Ok(totals)
}
