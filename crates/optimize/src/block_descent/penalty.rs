//! What stands beside the smooth part: an L1 penalty and bounds, coordinate by coordinate.

/// `λ|x|` on an interval, the same for every coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalty {
    /// Strength λ of the L1 penalty, 0 or more.
    pub l1: f64,
    /// No coordinate is below this; −∞ for no bound.
    pub lower: f64,
    /// No coordinate is above this; ∞ for no bound.
    pub upper: f64,
}

impl Default for Penalty {
    /// None, and no bounds.
    fn default() -> Self {
        Self { l1: 0.0, lower: f64::NEG_INFINITY, upper: f64::INFINITY }
    }
}

impl Penalty {
    /// Whether the problem is smooth and free: neither a penalty nor a bound.
    pub fn is_none(&self) -> bool {
        self.l1 == 0.0 && !self.is_bounded()
    }

    /// Whether there is a bound.
    pub fn is_bounded(&self) -> bool {
        self.lower > f64::NEG_INFINITY || self.upper < f64::INFINITY
    }

    /// The coordinate that minimises `½L(x − v)² + λ|x|` on the interval, `threshold` being λ/L.
    pub(super) fn nearest(&self, value: f64, threshold: f64) -> f64 {
        let soft = if value > threshold {
            value - threshold
        } else if value < -threshold {
            value + threshold
        } else {
            0.0
        };
        // The minimiser of a convex function on an interval is the nearest point to its free minimiser.
        self.clamped(soft)
    }

    pub(super) fn clamped(&self, value: f64) -> f64 {
        value.max(self.lower).min(self.upper)
    }

    /// The point nearest to zero.
    pub(super) fn rest(&self) -> f64 {
        self.clamped(0.0)
    }

    /// Where a step of length 1/L along a slope leads from a coordinate.
    pub(super) fn step(&self, x: f64, slope: f64, lipschitz: f64) -> f64 {
        self.nearest(x - slope / lipschitz, self.l1 / lipschitz)
    }

    /// Whether a coordinate can move without leaving its piece: not zero under a penalty, and on no bound.
    pub(super) fn is_free(&self, x: f64) -> bool {
        (self.l1 == 0.0 || x != 0.0) && x > self.lower && x < self.upper
    }

    /// How far the slope of a coordinate is from allowing it to stay where it is.
    pub(super) fn violation(&self, x: f64, slope: f64) -> f64 {
        // The one-sided derivatives; a minimiser has none that descends.
        let (down, up) = if x > 0.0 {
            (slope + self.l1, slope + self.l1)
        } else if x < 0.0 {
            (slope - self.l1, slope - self.l1)
        } else {
            (slope - self.l1, slope + self.l1)
        };
        let rise = if x < self.upper { (-up).max(0.0) } else { 0.0 };
        let fall = if x > self.lower { down.max(0.0) } else { 0.0 };
        rise.max(fall)
    }

    /// `sup_x (vx − λ|x| − ½ρx²)` over the interval: what a dual point pays for a coordinate.
    pub(super) fn conjugate(&self, v: f64, ridge: f64) -> f64 {
        let x = if ridge > 0.0 {
            self.nearest(v / ridge, self.l1 / ridge)
        } else if v > self.l1 {
            self.upper
        } else if v < -self.l1 {
            self.lower
        } else {
            self.rest()
        };
        // Nothing times an infinite bound is nothing.
        let linear = if x > 0.0 { (v - self.l1) * x } else { (v + self.l1) * x };
        let square = if ridge > 0.0 { 0.5 * ridge * x * x } else { 0.0 };
        if x == 0.0 { 0.0 } else { linear - square }
    }

    /// The largest |v|, on either side, whose conjugate is finite without a ridge: nothing where it always is.
    pub(super) fn widest(&self, v: f64) -> Option<f64> {
        let open = if v > 0.0 { self.upper == f64::INFINITY } else { self.lower == f64::NEG_INFINITY };
        open.then_some(self.l1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proximal_step_is_the_minimiser_on_a_grid() {
        for (l1, lower, upper) in [(0.0, -1.0, 2.0), (0.7, f64::NEG_INFINITY, f64::INFINITY), (0.7, 0.0, 1.0)]
        {
            let penalty = Penalty { l1, lower, upper };
            for value in [-3.0, -0.5, 0.0, 0.4, 1.3, 4.0] {
                let lipschitz = 2.0;
                let cost = |x: f64| 0.5 * lipschitz * (x - value) * (x - value) + l1 * x.abs();
                let found = penalty.nearest(value, l1 / lipschitz);
                let grid =
                    (-5_000..=5_000).map(|i| f64::from(i) / 1_000.0).filter(|x| *x >= lower && *x <= upper);
                let best = grid.map(cost).fold(f64::INFINITY, f64::min);
                assert!(cost(found) <= best + 1e-12 && found >= lower && found <= upper);
            }
        }
    }

    #[test]
    fn the_conjugate_is_the_supremum_on_a_grid() {
        for (l1, lower, upper, ridge) in
            [(0.5, -1.0, 2.0, 0.0), (0.5, -4.0, 4.0, 0.3), (0.0, 0.0, 3.0, 0.0), (0.0, 1.0, 3.0, 0.0)]
        {
            let penalty = Penalty { l1, lower, upper };
            for v in [-2.0, -0.5, 0.0, 0.2, 1.5] {
                let value = |x: f64| v * x - l1 * x.abs() - 0.5 * ridge * x * x;
                let grid =
                    (-5_000..=5_000).map(|i| f64::from(i) / 1_000.0).filter(|x| *x >= lower && *x <= upper);
                let best = grid.map(value).fold(f64::NEG_INFINITY, f64::max);
                assert!((penalty.conjugate(v, ridge) - best).abs() < 1e-3, "{v}");
            }
        }
        let free = Penalty { l1: 1.0, ..Penalty::default() };
        assert_eq!(free.conjugate(0.9, 0.0), 0.0);
        assert_eq!(free.conjugate(1.1, 0.0), f64::INFINITY);
    }
}
