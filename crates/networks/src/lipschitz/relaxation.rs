//! Lines between which an activation, its derivative times a number, and an absolute value lie.
//!
//! Every slope here is whatever double precision makes of it; the offset is then chosen, rounded outward, so that the line with that
//! very slope is above or below at both ends of the interval, which for a convex or concave function is enough.

use super::network::Activation;

/// Two lines per neuron: `lower_slope v + lower_offset ≤ f(v) ≤ upper_slope v + upper_offset` for every v of its interval.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    pub(super) upper_slope: Vec<f64>,
    pub(super) upper_offset: Vec<f64>,
    pub(super) lower_slope: Vec<f64>,
    pub(super) lower_offset: Vec<f64>,
}

/// A line.
type Line = (f64, f64);

impl Lines {
    pub(super) fn with_capacity(count: usize) -> Self {
        let empty = || Vec::with_capacity(count);
        Self { upper_slope: empty(), upper_offset: empty(), lower_slope: empty(), lower_offset: empty() }
    }

    pub(super) fn push(&mut self, lower: Line, upper: Line) {
        self.lower_slope.push(lower.0);
        self.lower_offset.push(lower.1);
        self.upper_slope.push(upper.0);
        self.upper_offset.push(upper.1);
    }

    /// The largest absolute slope, at least the 1 that a free slope can take, and the largest absolute offset.
    pub(super) fn sizes(&self) -> (f64, f64) {
        let most = |values: &[f64]| values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        (
            most(&self.upper_slope).max(most(&self.lower_slope)).max(1.0),
            most(&self.upper_offset).max(most(&self.lower_offset)),
        )
    }
}

/// The line of a slope above the points (l, at_l) and (u, at_u).
fn above(slope: f64, (l, at_l): (f64, f64), (u, at_u): (f64, f64)) -> Line {
    let slack = 8.0 * f64::EPSILON * (slope.abs() * l.abs().max(u.abs()) + at_l.abs().max(at_u.abs()));
    (slope, ((at_l - slope * l).max(at_u - slope * u) + slack).next_up())
}

/// The line of a slope below the points (l, at_l) and (u, at_u).
fn below(slope: f64, (l, at_l): (f64, f64), (u, at_u): (f64, f64)) -> Line {
    let (slope, offset) = above(-slope, (l, -at_l), (u, -at_u));
    (-slope, -offset)
}

fn chord((l, at_l): (f64, f64), (u, at_u): (f64, f64)) -> f64 {
    if u > l { (at_u - at_l) / (u - l) } else { 0.0 }
}

/// What double precision can be wrong by in a tanh, a logistic function, or a derivative of one: all are of size at most 1.
const FUNCTION_SLACK: f64 = 4e-15;

/// The interval of the derivative of an activation over l ≤ z ≤ u. At a kink it has both sides.
pub(super) fn derivative(activation: Activation, l: f64, u: f64) -> (f64, f64) {
    let two_sided = |off: f64| {
        if l > 0.0 {
            (1.0, 1.0)
        } else if u < 0.0 {
            (off, off)
        } else {
            (off, 1.0)
        }
    };
    match activation {
        Activation::Identity => (1.0, 1.0),
        Activation::Relu => two_sided(0.0),
        Activation::LeakyRelu(share) => two_sided(share),
        Activation::Tanh | Activation::Sigmoid => {
            // Even, and falling away from zero.
            let (near, far) = if l > 0.0 {
                (l, u)
            } else if u < 0.0 {
                (u, l)
            } else {
                (0.0, l.abs().max(u))
            };
            let top = if activation == Activation::Tanh { 1.0 } else { 0.25 };
            let least = (activation.slope(far) - FUNCTION_SLACK).max(0.0);
            (least, (activation.slope(near) + FUNCTION_SLACK).min(top))
        }
    }
}

/// Bounds of an activation over l ≤ z ≤ u, all being nondecreasing.
pub(super) fn range(activation: Activation, l: f64, u: f64) -> (f64, f64) {
    let slack = match activation {
        Activation::Tanh | Activation::Sigmoid => FUNCTION_SLACK,
        Activation::Relu | Activation::LeakyRelu(_) | Activation::Identity => 0.0,
    };
    let (low, high) = (activation.value(l) - slack, activation.value(u) + slack);
    match activation {
        // The product with the share is rounded.
        Activation::LeakyRelu(_) => (low.next_down(), high.next_up()),
        _ => (low, high),
    }
}

/// Lines around an activation over l ≤ z ≤ u. `decided` fixes a kink to its left (`Some(false)`) or right side.
pub(super) fn activation_lines(
    activation: Activation,
    l: f64,
    u: f64,
    decided: Option<bool>,
) -> (Line, Line) {
    let share = match activation {
        Activation::Identity => return ((1.0, 0.0), (1.0, 0.0)),
        Activation::Tanh | Activation::Sigmoid => return smooth_lines(activation, l, u),
        Activation::Relu => 0.0,
        Activation::LeakyRelu(share) => share,
    };
    match decided {
        Some(true) => ((1.0, 0.0), (1.0, 0.0)),
        Some(false) => ((share, 0.0), (share, 0.0)),
        None => {
            let (left, right) = ((l, share * l), (u, u));
            // Any slope from the share to 1 through the origin is below; the nearer one leaves the smaller area.
            let lower = if u > -l { 1.0 } else { share };
            ((lower, 0.0), above(chord(left, right), left, right))
        }
    }
}

fn smooth_lines(activation: Activation, l: f64, u: f64) -> (Line, Line) {
    let at = |z: f64| (z, activation.value(z));
    let widened = |(slope, offset): Line, side: f64| {
        (slope, offset + side * (FUNCTION_SLACK * (2.0 + (u - l))) + side * f64::MIN_POSITIVE)
    };
    let (left, right) = (at(l), at(u));
    let ends = chord(left, right);
    let middle = 0.5 * (l + u);
    let tangent = activation.slope(middle);
    let touch = |slope: f64| {
        let (z, value) = at(middle);
        (slope, value - slope * z)
    };
    // A tangent's offset is rounded by as much as slope and z are large.
    let loose = 8.0 * f64::EPSILON * (1.0 + middle.abs());
    let (lower, upper) = if l >= 0.0 {
        // Concave: above its chord, below any tangent.
        let (slope, offset) = touch(tangent);
        (below(ends, left, right), (slope, offset + loose))
    } else if u <= 0.0 {
        let (slope, offset) = touch(tangent);
        ((slope, offset - loose), above(ends, left, right))
    } else {
        // The derivative is nowhere below that of the end further out.
        let slope = (activation.slope(l).min(activation.slope(u)) - FUNCTION_SLACK).max(0.0);
        (below(slope, left, left), above(slope, right, right))
    };
    (widened(lower, -1.0), widened(upper, 1.0))
}

/// Lines around g·d for l ≤ g ≤ u and any d between the two ends, which is min and max of g times either end.
pub(super) fn product_lines((least, most): (f64, f64), l: f64, u: f64) -> (Line, Line) {
    if least == most {
        return ((least, 0.0), (least, 0.0));
    }
    if l >= 0.0 {
        return ((least, 0.0), (most, 0.0));
    }
    if u <= 0.0 {
        return ((most, 0.0), (least, 0.0));
    }
    let (left, right) = ((l, least * l), (u, most * u));
    let upper = above(chord(left, right), left, right);
    let (left, right) = ((l, most * l), (u, least * u));
    (below(chord(left, right), left, right), upper)
}

/// Bounds of g·d.
pub(super) fn product_range((least, most): (f64, f64), l: f64, u: f64) -> (f64, f64) {
    let low = (least * l).min(most * l);
    let high = (least * u).max(most * u);
    // Multiplying by 0 or 1 is exact.
    let exact = |factor: f64| factor == 0.0 || factor == 1.0;
    if exact(least) && exact(most) {
        return (low, high);
    }
    let nonnegative = least >= 0.0 && l >= 0.0;
    let nonpositive = least >= 0.0 && u <= 0.0;
    (
        if nonnegative { low.next_down().max(0.0) } else { low.next_down() },
        if nonpositive { high.next_up().min(0.0) } else { high.next_up() },
    )
}

/// A line above |g| for l ≤ g ≤ u.
pub(super) fn absolute_line(l: f64, u: f64) -> Line {
    if l >= 0.0 {
        (1.0, 0.0)
    } else if u <= 0.0 {
        (-1.0, 0.0)
    } else {
        let (left, right) = ((l, -l), (u, u));
        above(chord(left, right), left, right)
    }
}

#[cfg(test)]
mod tests {
    use backstitch_numerics::Stream;

    use super::*;

    /// Lines, ranges and derivatives hold at 200 points of each of 2,000 intervals of every kind.
    #[test]
    fn lines_are_above_and_below() {
        let mut stream = Stream::new(0, "relaxation");
        let kinds = [
            Activation::Relu,
            Activation::LeakyRelu(0.1),
            Activation::Tanh,
            Activation::Sigmoid,
            Activation::Identity,
        ];
        for trial in 0..2_000 {
            let size = 10_f64.powf(4.0 * stream.uniform() - 2.0);
            let (one, other) = (size * stream.normal(), size * stream.normal());
            let (l, u) = if trial % 10 == 0 { (one, one) } else { (one.min(other), one.max(other)) };
            for kind in kinds {
                let decided = kind
                    .has_kink()
                    .then_some(())
                    .and((l > 0.0).then_some(true).or((u < 0.0).then_some(false)));
                let (lower, upper) = activation_lines(kind, l, u, decided);
                let (low, high) = range(kind, l, u);
                let (least, most) = derivative(kind, l, u);
                let (product_lower, product_upper) = product_lines((least, most), l, u);
                let (product_low, product_high) = product_range((least, most), l, u);
                let absolute = absolute_line(l, u);
                for point in 0..200 {
                    let v = l + (u - l) * f64::from(point) / 199.0;
                    let v = v.clamp(l, u);
                    let value = kind.value(v);
                    let tiny = 1e-15 * (1.0 + v.abs());
                    assert!(lower.0 * v + lower.1 <= value + tiny, "{kind:?} {l} {u} {v}");
                    assert!(upper.0 * v + upper.1 >= value - tiny, "{kind:?} {l} {u} {v}");
                    assert!(low <= value && value <= high);
                    let slope = kind.slope(v);
                    assert!(least <= slope && slope <= most, "{kind:?} {l} {u} {v}");
                    assert!(absolute.0 * v + absolute.1 >= v.abs() - tiny);
                    for d in [least, most, 0.5 * (least + most)] {
                        assert!(product_lower.0 * v + product_lower.1 <= d * v + tiny);
                        assert!(product_upper.0 * v + product_upper.1 >= d * v - tiny);
                        assert!(product_low <= d * v && d * v <= product_high);
                    }
                }
            }
        }
    }
}
