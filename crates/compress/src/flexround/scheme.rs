//! One row of weights under each scheme: rounding, straight-through gradients, and the step of Adam.

use super::learner::Step;
use super::parameters::Rounding;
use crate::numbers::{exp, ln, logistic};

/// AdaRound stretches its sigmoid to [−0.1, 1.1], so that 0 and 1 are reached.
const STRETCH: f32 = 1.2;
const BELOW: f32 = 0.1;
/// Share of the steps before AdaRound's penalty begins.
const WARM_UP: f64 = 0.2;
/// Logarithms of divisors, and added numbers in steps of the grid, stay within this.
pub(super) const CAP: f32 = 4.0;

/// The grid of a row as it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) scale: f32,
    pub(super) inverse: f32,
    pub(super) log_row: f32,
    /// Least and largest quantised weight, in steps of the grid.
    pub(super) low: f32,
    pub(super) high: f32,
}

/// AdaRound's penalty at some moment: `weight · Σ 1 − |2h − 1|^exponent`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relaxation {
    weight: f32,
    exponent: f32,
}

impl Relaxation {
    /// None at first; then an exponent that falls from 20 to 2.
    pub(super) fn at(progress: f64, weight: f32) -> Self {
        if progress < WARM_UP {
            return Self { weight: 0.0, exponent: 20.0 };
        }
        let done = (progress - WARM_UP) / (1.0 - WARM_UP);
        Self { weight, exponent: (2.0 + 18.0 * (1.0 - done)) as f32 }
    }
}

/// What AdaRound starts from, so that its relaxed weight is the weight itself.
pub(super) fn relaxed(units: f32) -> f32 {
    let share = (units - units.floor()).clamp(0.0, 1.0);
    -(STRETCH / (share + BELOW) - 1.0).ln()
}

/// w / (s₁ S₂ s₃ s₄), before rounding.
#[inline(always)]
fn divided(weight: f32, log: f32, bounds: Bounds) -> f32 {
    weight * bounds.inverse * exp(-log)
}

#[inline(always)]
fn clipped(value: f32, bounds: Bounds) -> f32 {
    value.round_ties_even().max(bounds.low).min(bounds.high)
}

/// Quantised weights of a row, in steps of the grid.
#[inline(always)]
pub(super) fn round(
    rounding: Rounding,
    weights: &[f32],
    elements: &[f32],
    of_columns: &[f32],
    bounds: Bounds,
    found: &mut [f32],
) {
    let pairs = found.iter_mut().zip(weights.iter().zip(elements));
    match rounding {
        Rounding::Nearest => {
            pairs.for_each(|(found, (weight, _))| *found = clipped(weight * bounds.inverse, bounds));
        }
        Rounding::AdaQuant => {
            pairs.for_each(|(found, (weight, added))| {
                *found = clipped(weight.mul_add(bounds.inverse, *added), bounds);
            });
        }
        Rounding::AdaRound => pairs.for_each(|(found, (weight, element))| {
            let up = (STRETCH * logistic(*element) - BELOW).clamp(0.0, 1.0);
            *found = ((weight * bounds.inverse).floor() + up).max(bounds.low).min(bounds.high);
        }),
        Rounding::FlexRound => pairs.zip(of_columns).for_each(|((found, (weight, log)), of_column)| {
            *found = clipped(divided(*weight, log + bounds.log_row + of_column, bounds), bounds);
        }),
    }
}

/// Numbers that the step of one row works in.
#[derive(Debug)]
pub(super) struct Scratch {
    /// The gradient with respect to the quantised weights; then that with respect to the elements.
    pub(super) given: Vec<f32>,
    /// What each weight adds to the gradient with respect to the logarithm of the grid size.
    of_scale: Vec<f32>,
    /// Sums over rows of the gradients of elements, by column; empty where nobody asks.
    pub(super) column_sums: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(columns: usize, by_column: bool) -> Self {
        Self {
            given: vec![0.0; columns],
            of_scale: vec![0.0; columns],
            column_sums: vec![0.0; if by_column { columns } else { 0 }],
        }
    }
}

/// One step of a row against the gradient in `scratch` with respect to its quantised weights. Gives the gradients with respect to the
/// logarithm of the grid size and to that of the row's divisor.
#[expect(clippy::too_many_arguments, reason = "the parts of one loop, which must be inlined whole")]
#[inline(always)]
pub(super) fn descend(
    rounding: Rounding,
    (weights, units): (&[f32], &[f32]),
    (elements, (first, second)): (&mut [f32], (&mut [f32], &mut [f32])),
    of_columns: &[f32],
    bounds: Bounds,
    scratch: &mut Scratch,
    relaxation: Relaxation,
    step: Step,
) -> (f32, f32) {
    let count = weights.len();
    let given = &mut scratch.given[..count];
    let of_scale = &mut scratch.of_scale[..count];
    let (units, elements, of_columns) = (&units[..count], &mut elements[..count], &of_columns[..count]);
    match rounding {
        Rounding::Nearest => return (0.0, 0.0),
        Rounding::AdaRound => {
            for place in 0..count {
                given[place] = of_relaxed(weights[place], elements[place], given[place], bounds, relaxation);
            }
        }
        Rounding::AdaQuant => {
            for place in 0..count {
                let plain = weights[place] * bounds.inverse;
                let own = given[place] * bounds.scale;
                let inside = inside(plain + elements[place], bounds);
                given[place] = own * inside;
                of_scale[place] = own * (units[place] - inside * plain);
            }
        }
        Rounding::FlexRound => {
            for place in 0..count {
                let log = elements[place] + bounds.log_row + of_columns[place];
                let divided = divided(weights[place], log, bounds);
                let own = given[place] * bounds.scale;
                let inside = inside(divided, bounds);
                given[place] = -own * inside * divided;
                of_scale[place] = own * inside.mul_add(-divided, units[place]);
            }
        }
    }
    let (first, second) = (&mut first[..count], &mut second[..count]);
    for place in 0..count {
        step.take(&mut elements[place], given[place], &mut first[place], &mut second[place]);
    }
    if rounding == Rounding::AdaRound {
        return (0.0, 0.0);
    }
    elements.iter_mut().for_each(|element| *element = element.clamp(-CAP, CAP));
    scratch.column_sums.iter_mut().zip(given.iter()).for_each(|(sum, value)| *sum += value);
    (total(of_scale), total(given))
}

/// The sum, in an order that does not depend on the machine.
#[inline(always)]
fn total(values: &[f32]) -> f32 {
    const LANES: usize = 32;
    let mut sums = [0.0_f32; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for lanes in whole {
        for lane in 0..LANES {
            sums[lane] += lanes[lane];
        }
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// 1 where rounding is not clipped, 0 elsewhere.
#[inline(always)]
fn inside(value: f32, bounds: Bounds) -> f32 {
    let nearest = value.round_ties_even();
    f32::from(u8::from(nearest >= bounds.low && nearest <= bounds.high))
}

#[inline(always)]
fn of_relaxed(weight: f32, element: f32, given: f32, bounds: Bounds, relaxation: Relaxation) -> f32 {
    let sigmoid = logistic(element);
    let stretched = STRETCH * sigmoid - BELOW;
    let up = stretched.clamp(0.0, 1.0);
    let moving = f32::from(u8::from(stretched > 0.0 && stretched < 1.0));
    let value = (weight * bounds.inverse).floor() + up;
    let inside = f32::from(u8::from(value >= bounds.low && value <= bounds.high));
    let centred = 2.0 * up - 1.0;
    // d/dh of 1 − |2h − 1|^β; at h = ½ it is 0.
    let power = exp((relaxation.exponent - 1.0) * ln(centred.abs().max(1e-20)));
    let penalty = -2.0 * relaxation.weight * relaxation.exponent * power * centred.signum();
    (given * bounds.scale * inside + penalty) * moving * STRETCH * sigmoid * (1.0 - sigmoid)
}
