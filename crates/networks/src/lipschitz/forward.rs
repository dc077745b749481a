//! Bounds of what goes into every activation: interval arithmetic, and linear bounds propagated backward to the input (CROWN).

use super::alpha::Descent;
use super::linear::Map;
use super::network::{Activation, Network};
use super::propagate::{Chain, Next, weighted};
use super::relaxation::{Lines, activation_lines, derivative, range};
use super::rounding::factor;
use crate::Error;

/// A stage of a network over one region, without the neurons that are off all over it.
pub(super) struct Layer {
    /// Which neurons of the stage are here.
    pub(super) alive: Vec<usize>,
    /// From the alive neurons of the stage before.
    pub(super) map: Map,
    pub(super) bias: Vec<f64>,
    /// Bounds of what goes into the activations.
    pub(super) inside: (Vec<f64>, Vec<f64>),
    /// Bounds of what comes out.
    pub(super) outside: (Vec<f64>, Vec<f64>),
    pub(super) lines: Lines,
    /// Interval of the derivative of each activation.
    pub(super) slopes: Vec<(f64, f64)>,
    /// Smallest slope of a lower line through the origin, for the neurons whose lower line is free.
    pub(super) free: Vec<Option<f64>>,
    /// Largest absolute weight of each column of the map, and of each row.
    pub(super) largest_of_columns: Vec<f64>,
    pub(super) largest_of_rows: Vec<f64>,
}

/// Bounds of all stages over one region.
pub(super) struct Forward {
    pub(super) layers: Vec<Layer>,
    /// From the alive neurons of the last stage to the outputs.
    pub(super) last: Map,
    /// Lower and upper bounds of what goes into every neuron of every stage.
    pub(super) bounds: Bounds,
    /// Additions along the whole network.
    pub(super) terms: usize,
}

/// Lower and upper bounds of what goes into every neuron of every stage.
pub(super) type Bounds = Vec<(Vec<f64>, Vec<f64>)>;

/// How forward bounds are computed.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    /// Linear bounds, not intervals only.
    pub(super) lines: bool,
    pub(super) tighten: bool,
    /// Slopes of lower lines are searched where this says how.
    pub(super) descent: Option<Descent>,
}

/// A neuron whose side of the kink was decided: stage, neuron, and whether it is on.
pub(super) type Decision = (usize, usize, bool);

/// Bounds over a box in which some neurons are decided, no wider than `known`. Nothing if no point of the box is so.
pub(super) fn forward(
    network: &Network,
    (lower, upper): (&[f64], &[f64]),
    effort: Effort,
    known: Option<&Bounds>,
    decisions: &[Decision],
) -> Result<Option<Forward>, Error> {
    let terms = network.inputs() + network.stages.iter().map(|stage| stage.map.rows()).sum::<usize>();
    let mut layers: Vec<Layer> = Vec::with_capacity(network.stages.len());
    let mut bounds = Bounds::with_capacity(network.stages.len());
    let mut before: Vec<usize> = (0..network.inputs()).collect();
    for (place, stage) in network.stages.iter().enumerate() {
        let all: Vec<usize> = (0..stage.map.rows()).collect();
        let map = stage.map.select(&all, &before);
        let from = layers.last().map_or((lower, upper), |layer| (&layer.outside.0, &layer.outside.1));
        let (mut low, mut high) = map.interval(from.0, from.1, Some(&stage.bias), false);
        if let Some(known) = known {
            intersect(&mut low, &mut high, &known[place]);
        }
        if low.iter().chain(&high).any(|value| !value.is_finite()) {
            return Err(Error::Overflow { layer: place });
        }
        if effort.lines && !layers.is_empty() {
            let kinked = |&neuron: &usize| match stage.activations[neuron] {
                Activation::Identity => false,
                kind if kind.has_kink() => low[neuron] <= 0.0 && high[neuron] >= 0.0,
                _ => true,
            };
            let asked: Vec<usize> = all.iter().copied().filter(kinked).collect();
            if !asked.is_empty() {
                let rows = map.select(&asked, &(0..before.len()).collect::<Vec<_>>());
                let found = linear_bounds(
                    &layers,
                    (lower, upper),
                    &rows,
                    &picked(&stage.bias, &asked),
                    terms,
                    effort,
                );
                for (row, &neuron) in asked.iter().enumerate() {
                    low[neuron] = low[neuron].max(found.0[row]);
                    high[neuron] = high[neuron].min(found.1[row]);
                }
            }
        }
        let mut decided = vec![None; all.len()];
        for &(_, neuron, on) in decisions.iter().filter(|decision| decision.0 == place) {
            decided[neuron] = Some(on);
            if on {
                low[neuron] = low[neuron].max(0.0);
            } else {
                high[neuron] = high[neuron].min(0.0);
            }
        }
        if all.iter().any(|&neuron| low[neuron] > high[neuron]) {
            return Ok(None);
        }
        for neuron in all.iter().copied().filter(|&neuron| stage.activations[neuron].has_kink()) {
            if low[neuron] > 0.0 {
                decided[neuron] = Some(true);
            } else if high[neuron] < 0.0 {
                decided[neuron] = Some(false);
            }
        }
        let layer = Layer::new(&map, &stage.bias, &stage.activations, &decided, (&low, &high));
        before.clone_from(&layer.alive);
        bounds.push((low, high));
        layers.push(layer);
    }
    let outputs: Vec<usize> = (0..network.outputs()).collect();
    let last = network.last.select(&outputs, &before);
    Ok(Some(Forward { layers, last, bounds, terms }))
}

impl Layer {
    fn new(
        map: &Map,
        bias: &[f64],
        activations: &[Activation],
        decided: &[Option<bool>],
        (low, high): (&[f64], &[f64]),
    ) -> Self {
        let off = |neuron: usize| activations[neuron] == Activation::Relu && decided[neuron] == Some(false);
        let alive: Vec<usize> = (0..activations.len()).filter(|&neuron| !off(neuron)).collect();
        let map = map.select(&alive, &(0..map.columns()).collect::<Vec<_>>());
        let mut lines = Lines::with_capacity(alive.len());
        let (mut slopes, mut free) = (Vec::with_capacity(alive.len()), Vec::with_capacity(alive.len()));
        let mut outside = (Vec::with_capacity(alive.len()), Vec::with_capacity(alive.len()));
        for &neuron in &alive {
            let (kind, l, u) = (activations[neuron], low[neuron], high[neuron]);
            let decided = decided[neuron];
            let (lower, upper) = activation_lines(kind, l, u, decided);
            lines.push(lower, upper);
            let share = if let Activation::LeakyRelu(share) = kind { share } else { 0.0 };
            slopes.push(match decided {
                Some(true) => (1.0, 1.0),
                Some(false) => (share, share),
                None => derivative(kind, l, u),
            });
            free.push((kind.has_kink() && decided.is_none()).then_some(share));
            let (least, most) = range(kind, l, u);
            outside.0.push(least);
            outside.1.push(most);
        }
        Self {
            bias: picked(bias, &alive),
            inside: (picked(low, &alive), picked(high, &alive)),
            outside,
            lines,
            slopes,
            free,
            largest_of_columns: map.largest(false),
            largest_of_rows: map.largest(true),
            map,
            alive,
        }
    }
}

/// Bounds of `rows · h + bias`, h what comes out of the last of the layers.
fn linear_bounds(
    layers: &[Layer],
    input: (&[f64], &[f64]),
    rows: &Map,
    bias: &[f64],
    terms: usize,
    effort: Effort,
) -> (Vec<f64>, Vec<f64>) {
    let mut chain = Chain::new(input, terms, effort.tighten);
    for (place, layer) in layers.iter().enumerate().rev() {
        let behind = match place.checked_sub(1) {
            Some(before) => (&layers[before].outside.0[..], &layers[before].outside.1[..]),
            None => input,
        };
        let next = Next {
            map: &layer.map,
            transposed: false,
            bias: Some(&layer.bias),
            weight: weighted(behind, &layer.largest_of_columns),
        };
        let outside = (&layer.outside.0[..], &layer.outside.1[..]);
        chain.push(&layer.lines, outside, (&layer.inside.0, &layer.inside.1), Some(next));
    }
    match effort.descent {
        Some(descent) if layers.iter().any(|layer| layer.free.iter().any(Option::is_some)) => {
            let free: Vec<&[Option<f64>]> = layers.iter().rev().map(|layer| &layer.free[..]).collect();
            descent.bounds(&chain, |from, count| rows.rows_from(from, count), bias, &free)
        }
        _ => chain.bounds(|from, count| rows.rows_from(from, count), bias, &vec![0.0; bias.len()]),
    }
}

/// What a sum of absolute coefficients is off by when its numbers were added up in double precision.
pub(super) fn rounded_up(sum: f64, terms: usize) -> f64 {
    if sum == 0.0 { 0.0 } else { (sum * (1.0 + factor(terms))).next_up() }
}

fn intersect(low: &mut [f64], high: &mut [f64], known: &(Vec<f64>, Vec<f64>)) {
    low.iter_mut().zip(&known.0).for_each(|(low, known)| *low = low.max(*known));
    high.iter_mut().zip(&known.1).for_each(|(high, known)| *high = high.min(*known));
}

fn picked(values: &[f64], places: &[usize]) -> Vec<f64> {
    places.iter().map(|&place| values[place]).collect()
}
