//! Bounds of the Jacobian: of every entry, of its rows' l1 norms, and of its products with vectors.

use faer::Mat;

use super::forward::{Forward, Layer, rounded_up};
use super::linear::Map;
use super::network::Activation;
use super::propagate::{Chain, Next, Record, weighted};
use super::relaxation::{Lines, absolute_line, product_lines, product_range};
use super::rounding::factor;
use super::{Network, Relaxation};
use crate::Error;

/// Bounds of one row of the Jacobian over a region.
pub(super) struct RowBounds {
    /// Upper bound of the sum of absolute entries.
    pub(super) norm: f64,
    /// Bounds of the entries.
    pub(super) lower: Vec<f64>,
    pub(super) upper: Vec<f64>,
    /// How much each alive neuron of each stage matters to the norm, as branch and bound counts it.
    pub(super) scores: Vec<Vec<f64>>,
}

/// One output seen from behind: for every stage, bounds of the derivative in what comes out of it (g), and of g times the slope of the
/// activation (m).
struct Backward<'a> {
    forward: &'a Forward,
    /// Bounds of g, for every stage but the one that is being bounded; the last one is constant.
    outer: Vec<(Vec<f64>, Vec<f64>)>,
    /// Bounds of m.
    inner: Vec<(Vec<f64>, Vec<f64>)>,
    /// Lines around m as a function of g.
    lines: Vec<Lines>,
    tighten: bool,
}

/// Bounds of a row of the Jacobian. `wanted` asks for scores.
pub(super) fn row_bounds(
    forward: &Forward,
    output: usize,
    relaxation: Relaxation,
    tighten: bool,
    wanted: bool,
) -> Result<RowBounds, Error> {
    let constant = row(&forward.last, output);
    let Some(first) = forward.layers.first() else {
        let norm = rounded_up(constant.iter().map(|entry| entry.abs()).sum(), forward.terms);
        return Ok(RowBounds { norm, lower: constant.clone(), upper: constant, scores: Vec::new() });
    };
    let backward = Backward::new(forward, constant, relaxation, tighten)?;
    let (lower, upper) = backward.behind(0, relaxation)?;
    let separate: f64 = lower.iter().zip(&upper).map(|(low, high)| low.abs().max(high.abs())).sum();
    let separate = rounded_up(separate, forward.terms);
    let mut scores = Vec::new();
    let mut norm = separate;
    if relaxation == Relaxation::Lines || wanted {
        let mut record = wanted.then(Vec::new);
        norm = norm.min(backward.joint(first, (&lower, &upper), record.as_mut()));
        if let Some(record) = record {
            scores = backward.scores(&record);
        }
    }
    Ok(RowBounds { norm, lower, upper, scores })
}

/// Bounds of the derivative of an output along some directions, one per row.
pub(super) fn directional(
    forward: &Forward,
    output: usize,
    directions: &Mat<f64>,
    relaxation: Relaxation,
    tighten: bool,
) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let constant = row(&forward.last, output);
    let Some(first) = forward.layers.first() else {
        let last = Map::Dense(Mat::from_fn(1, constant.len(), |_, column| constant[column]));
        let found: Vec<(f64, f64)> = (0..directions.nrows())
            .map(|place| {
                let direction: Vec<f64> = directions.row(place).iter().copied().collect();
                let (low, high) = last.interval(&direction, &direction, None, false);
                (low[0], high[0])
            })
            .collect();
        return Ok(found.into_iter().unzip());
    };
    let backward = Backward::new(forward, constant, relaxation, tighten)?;
    let chain = backward.chain(0);
    let slack: Vec<f64> = (0..directions.nrows())
        .map(|place| {
            backward.pushed_error(first, directions.row(place).iter().map(|entry| entry.abs()).sum())
        })
        .collect();
    let pushed = first.map.push(directions.as_ref());
    let rows = |from, count| pushed.subrows(from, count).to_owned();
    Ok(chain.bounds(rows, &vec![0.0; slack.len()], &slack))
}

/// The product of norms of all layers: a bound for every point there is.
pub(super) fn global(network: &Network, output: usize) -> f64 {
    let last: f64 = row(&network.last, output).iter().map(|entry| entry.abs()).sum();
    let mut norm = rounded_up(last, network.last.columns());
    for stage in &network.stages {
        let steepest = |kind: &Activation| if *kind == Activation::Sigmoid { 0.25 } else { 1.0 };
        let slope = stage.activations.iter().map(steepest).fold(0.0, f64::max);
        norm = (norm * stage.map.norm()).next_up() * slope;
    }
    norm
}

fn row(map: &Map, row: usize) -> Vec<f64> {
    let mut found = vec![0.0; map.columns()];
    map.for_each(|own, column, weight| {
        if own == row {
            found[column] = weight;
        }
    });
    found
}

impl<'a> Backward<'a> {
    fn new(
        forward: &'a Forward,
        constant: Vec<f64>,
        relaxation: Relaxation,
        tighten: bool,
    ) -> Result<Self, Error> {
        let count = forward.layers.len();
        let empty = || vec![(Vec::new(), Vec::new()); count];
        let mut backward =
            Self { forward, outer: empty(), inner: empty(), lines: vec![Lines::default(); count], tighten };
        backward.set(count - 1, (constant.clone(), constant), relaxation);
        for stage in (0..count - 1).rev() {
            let found = backward.behind(stage + 1, relaxation)?;
            backward.set(stage, found, relaxation);
        }
        Ok(backward)
    }

    /// Takes bounds of g at a stage, and makes those of m.
    fn set(&mut self, stage: usize, outer: (Vec<f64>, Vec<f64>), relaxation: Relaxation) {
        let layer = &self.forward.layers[stage];
        let mut lines = Lines::with_capacity(layer.alive.len());
        let mut inner = (Vec::with_capacity(layer.alive.len()), Vec::with_capacity(layer.alive.len()));
        for (place, &slopes) in layer.slopes.iter().enumerate() {
            let (l, u) = (outer.0[place], outer.1[place]);
            let (low, high) = product_range(slopes, l, u);
            let (lower, upper) = if relaxation == Relaxation::RecurJac && l < 0.0 && u > 0.0 {
                ((0.0, low), (0.0, high))
            } else {
                product_lines(slopes, l, u)
            };
            lines.push(lower, upper);
            inner.0.push(low);
            inner.1.push(high);
        }
        self.lines[stage] = lines;
        self.inner[stage] = inner;
        self.outer[stage] = outer;
    }

    /// What m of a stage is passed through on its way to the output.
    fn chain(&self, stage: usize) -> Chain<'_> {
        let last = self.outer.len() - 1;
        let end = (&self.outer[last].0[..], &self.outer[last].1[..]);
        let mut chain = Chain::new(end, self.forward.terms, self.tighten);
        for place in stage..=last {
            let next = (place < last).then(|| {
                let layer = &self.forward.layers[place + 1];
                let weight = weighted(self.range(place + 1), &layer.largest_of_rows);
                Next { map: &layer.map, transposed: true, bias: None, weight }
            });
            let outer = (&self.outer[place].0[..], &self.outer[place].1[..]);
            chain.push(&self.lines[place], self.range(place), outer, next);
        }
        chain
    }

    fn range(&self, stage: usize) -> (&[f64], &[f64]) {
        (&self.inner[stage].0, &self.inner[stage].1)
    }

    /// Bounds of the derivative in what goes into the linear map of a stage.
    fn behind(&self, stage: usize, relaxation: Relaxation) -> Result<(Vec<f64>, Vec<f64>), Error> {
        let map = &self.forward.layers[stage].map;
        let (low, high) = self.range(stage);
        let (mut lower, mut upper) = map.interval(low, high, None, true);
        if relaxation != Relaxation::Interval {
            let none = vec![0.0; map.columns()];
            let turned = map.transposed();
            let lines = self.chain(stage).bounds(|from, count| turned.rows_from(from, count), &none, &none);
            if self.tighten {
                lower.iter_mut().zip(lines.0).for_each(|(lower, other)| *lower = lower.max(other));
                upper.iter_mut().zip(lines.1).for_each(|(upper, other)| *upper = upper.min(other));
            } else {
                (lower, upper) = lines;
            }
        }
        if lower.iter().chain(&upper).all(|value| value.is_finite()) {
            Ok((lower, upper))
        } else {
            Err(Error::Overflow { layer: stage })
        }
    }

    /// An upper bound of the sum of absolute entries, from a line above each absolute value.
    fn joint(&self, first: &Layer, (lower, upper): (&[f64], &[f64]), record: Option<&mut Record>) -> f64 {
        let lines: Vec<(f64, f64)> = lower.iter().zip(upper).map(|(l, u)| absolute_line(*l, *u)).collect();
        let signs = Mat::from_fn(1, lines.len(), |_, place| lines[place].0);
        let offset = rounded_up(lines.iter().map(|line| line.1).sum(), self.forward.terms);
        let slack = self.pushed_error(first, lines.iter().map(|line| line.0.abs()).sum());
        let pushed = first.map.push(signs.as_ref());
        self.chain(0).upper(pushed, vec![offset], vec![slack], None, record)[0]
    }

    /// What the product of a row with the first map is off by, times the largest m.
    fn pushed_error(&self, first: &Layer, norm: f64) -> f64 {
        factor(self.forward.terms) * norm * weighted(self.range(0), &first.largest_of_rows)
    }

    /// For every undecided neuron, how wide g is there times how much the norm depends on m. Decided ones have none.
    fn scores(&self, record: &Record) -> Vec<Vec<f64>> {
        let layers = self.forward.layers.iter().enumerate();
        layers
            .map(|(stage, layer)| {
                let score = |place: usize| {
                    layer.free[place].map_or(0.0, |_| {
                        let (l, u) = (self.outer[stage].0[place], self.outer[stage].1[place]);
                        (l * l + u * u) * record[stage][(0, place)].abs() + 1.0
                    })
                };
                (0..layer.alive.len()).map(score).collect()
            })
            .collect()
    }
}
