//! A whole network, one layer or block after another.

use super::activations::ActivationGrid;
use super::block::{Block, put};
use super::layer::{LayerReport, Quantised, check_weights, quantise as quantise_layer};
use super::moments::{Moments, plain_errors};
use super::network::{Layer, Network};
use super::packed::Packed;
use super::parameters::Parameters;
use super::passes::Value;
use crate::{Error, Rows};

/// The least number of calibration rows.
pub const LEAST_ROWS: usize = 8;
/// Rows whose patches are made at a time.
const PIECE: usize = 256;

/// What was learned from which rows.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// How many.
    pub rows: usize,
    /// SHA-256 of what they were read from, in the order that they were used; empty where nobody says.
    pub sha256: String,
    /// Where they came from and in what order, in words.
    pub order: String,
}

/// A network whose dense and convolutional layers are whole numbers on grids.
#[derive(Clone, Debug)]
pub struct QuantisedNetwork {
    /// The full network's layers, with the weights that the whole numbers stand for.
    network: Network,
    layers: Vec<Quantised>,
    packed: Vec<Packed>,
    activations: Vec<Option<ActivationGrid>>,
    reports: Vec<LayerReport>,
    /// Mean squared error of the outputs on the calibration rows as a share of their mean square.
    error: f64,
    parameters: Parameters,
    calibration: Calibration,
}

impl QuantisedNetwork {
    pub(super) fn from_parts(
        mut network: Network,
        layers: Vec<Quantised>,
        activations: Vec<Option<ActivationGrid>>,
        reports: Vec<LayerReport>,
        error: f64,
        parameters: Parameters,
        calibration: Calibration,
    ) -> Self {
        let packed = layers.iter().map(Packed::new).collect();
        for (affine, own) in network.affine_mut().zip(&layers) {
            affine.weights = own.weights();
        }
        Self { network, layers, packed, activations, reports, error, parameters, calibration }
    }

    /// The layers with the weights that the whole numbers stand for, in single precision.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Dense and convolutional layers as whole numbers, first to last.
    pub fn layers(&self) -> &[Quantised] {
        &self.layers
    }

    /// Grids of the inputs of those layers, where they have one.
    pub fn activations(&self) -> &[Option<ActivationGrid>] {
        &self.activations
    }

    /// What became of each layer.
    pub fn reports(&self) -> &[LayerReport] {
        &self.reports
    }

    /// Mean squared error of the outputs on the calibration rows as a share of their mean square.
    pub fn error(&self) -> f64 {
        self.error
    }

    /// What was set.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What it was calibrated on.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Says what it was calibrated on.
    pub fn set_calibration(&mut self, calibration: Calibration) {
        self.calibration = calibration;
    }

    /// Bytes of the packed weights with their grids, and of the biases.
    pub fn bytes(&self) -> usize {
        let weights: usize = self.packed.iter().map(Packed::bytes).sum();
        weights + self.network.affine().map(|affine| 4 * affine.bias.len()).sum::<usize>()
    }

    /// Outputs, computed from the packed weights: rows × outputs.
    pub fn outputs_of(&self, inputs: &Rows) -> Rows {
        rayon::scope(|_| self.all_outputs(inputs))
    }

    fn all_outputs(&self, inputs: &Rows) -> Rows {
        let mut found = Rows::default();
        for first in (0..inputs.rows()).step_by(PIECE) {
            let rows = inputs.part(first, PIECE.min(inputs.rows() - first));
            let mut value = Value { rows, kept: Vec::new() };
            let mut place = 0;
            for (layer, kind) in self.network.layers.iter().enumerate() {
                if matches!(kind, Layer::Affine(_)) {
                    let grid = self.activations[place].as_ref();
                    self.network.step_with(layer, &mut value, grid, |rows| self.packed[place].times(rows));
                    place += 1;
                } else {
                    self.network.step(layer, &mut value, None);
                }
            }
            found.append(&value.rows);
        }
        found
    }
}

pub(super) fn quantise(
    network: &Network,
    calibration: &Rows,
    parameters: &Parameters,
) -> Result<QuantisedNetwork, Error> {
    check_calibration(network, calibration)?;
    for affine in network.affine() {
        check_weights(&affine.name, &affine.weights)?;
    }
    let affine: Vec<usize> = (0..network.layers.len())
        .filter(|&layer| matches!(network.layers[layer], Layer::Affine(_)))
        .collect();
    let mut full = Value { rows: calibration.clone(), kept: Vec::new() };
    let mut rounded = full.clone();
    let mut own = network.clone();
    let (mut layers, mut activations, mut reports) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = 0;
    for (number, group) in affine.chunks(parameters.block).enumerate() {
        let end = affine.get((number + 1) * parameters.block).copied().unwrap_or(network.layers.len());
        // Layers before the first affine one.
        for layer in at..group[0] {
            network.advance(layer, &mut full, None);
            own.advance(layer, &mut rounded, None);
        }
        // A single layer has no rows to draw: its moments say all, unless inputs are dropped at random.
        let found = if parameters.block == 1 && parameters.drop == 0.0 {
            let (quantised, grid, report) = single(network, group[0], &full, &rounded, parameters)?;
            vec![(group[0], quantised, grid, report)]
        } else {
            let layers = group[0]..end;
            Block { network, layers, full: &full, quantised: &rounded, parameters }.reconstruct()?
        };
        let mut grids = vec![None; network.layers.len()];
        for (layer, quantised, grid, report) in found {
            put(&mut own, &[layer], std::iter::once(quantised.weights()));
            grids[layer] = grid;
            layers.push(quantised);
            activations.push(grid);
            reports.push(report);
        }
        for layer in group[0]..end {
            network.advance(layer, &mut full, None);
            own.advance(layer, &mut rounded, grids[layer].as_ref());
        }
        at = end;
    }
    let (error, signal) = plain_errors(&rounded.rows, &full.rows);
    let error = if signal > 0.0 { error / signal } else { 0.0 };
    let said = Calibration { rows: calibration.rows(), sha256: String::new(), order: "as given".into() };
    Ok(QuantisedNetwork::from_parts(own, layers, activations, reports, error, parameters.clone(), said))
}

fn check_calibration(network: &Network, calibration: &Rows) -> Result<(), Error> {
    let refuse = |problem: String, way_out| Err(Error::Calibration { problem, way_out });
    if calibration.rows() < LEAST_ROWS {
        return refuse(
            format!("there are {} rows, but at least {LEAST_ROWS} are needed", calibration.rows()),
            "give more unlabelled rows; a few hundred are usual",
        );
    }
    if calibration.columns() != network.inputs() {
        return refuse(
            format!(
                "rows have {} numbers, but the network takes {}",
                calibration.columns(),
                network.inputs()
            ),
            "give rows as the network takes them, without a column of labels",
        );
    }
    if let Some((row, column, value)) = calibration.first_not_finite() {
        return refuse(format!("number {} of row {} is {value}", column + 1, row + 1), "remove the row");
    }
    Ok(())
}

/// One layer, from the second moments of its inputs.
fn single(
    network: &Network,
    layer: usize,
    full: &Value,
    rounded: &Value,
    parameters: &Parameters,
) -> Result<(Quantised, Option<ActivationGrid>, LayerReport), Error> {
    let Layer::Affine(affine) = &network.layers[layer] else {
        unreachable!("only affine layers are quantised");
    };
    let grid = parameters.activation_bits.map(|bits| ActivationGrid::of(rounded.rows.values(), bits));
    let mut moments = Moments::new(affine.weights.columns());
    let rows = full.rows.rows();
    let named = |error: Error| match error {
        Error::Calibration { problem, way_out } => {
            Error::Layer { layer: affine.name.clone(), problem, way_out }
        }
        other => other,
    };
    for first in (0..rows).step_by(PIECE) {
        let count = PIECE.min(rows - first);
        let (plain, mut own) = (full.rows.part(first, count), rounded.rows.part(first, count));
        if let Some(grid) = &grid {
            grid.round(own.values_mut());
        }
        moments
            .add_pair(&network.inputs_of(layer, &plain), &network.inputs_of(layer, &own))
            .map_err(named)?;
    }
    let (found, mut report) =
        quantise_layer(&affine.name, &affine.weights, affine.taps(), &moments, parameters)?;
    if parameters.trains() && moments.rows() < moments.inputs() {
        report.warnings.push(format!(
            "{} calibration rows for {} inputs: what is learned may not hold for other rows",
            moments.rows(),
            moments.inputs()
        ));
    }
    Ok((found, grid, report))
}
