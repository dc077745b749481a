//! Exact fractions.

use std::cmp::Ordering;
use std::fmt;

/// A fraction in lowest terms with a positive denominator. Numerator and denominator fit 127 bits; what does not is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rational {
    numerator: i128,
    denominator: i128,
}

impl Rational {
    /// Most decimal digits that are read: with a fraction of two such numbers, everything still fits.
    const MOST_DIGITS: usize = 18;

    /// A fraction; `None` if the denominator is zero or a part is the least 128-bit number.
    pub fn new(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 || numerator == i128::MIN || denominator == i128::MIN {
            return None;
        }
        let divisor = greatest_common_divisor(numerator.abs(), denominator.abs()) * denominator.signum();
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// A plain decimal: digits, perhaps a point and more digits, perhaps an exponent between -18 and 18 (`1.5e5`). No sign, at most 18
    /// digits that count on each side. `None` if it is something else.
    pub fn from_decimal(text: &str) -> Option<Self> {
        let (decimal, exponent) = match text.split_once(['e', 'E']) {
            Some((decimal, exponent)) => (decimal, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, part) = decimal.split_once('.').unwrap_or((decimal, ""));
        if whole.is_empty() && part.is_empty() {
            return None;
        }
        let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
        let digits = format!("{whole}{part}");
        if whole.len() > Self::MOST_DIGITS || part.len() > Self::MOST_DIGITS || exponent.unsigned_abs() > 18 {
            return None;
        }
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let value = if digits.is_empty() { 0 } else { digits.parse::<i128>().ok()? };
        let scale = exponent - part.len() as i32;
        let power = 10_i128.checked_pow(scale.unsigned_abs())?;
        if scale >= 0 { Self::new(value.checked_mul(power)?, 1) } else { Self::new(value, power) }
    }

    /// The numerator, with the sign.
    pub fn numerator(self) -> i128 {
        self.numerator
    }

    /// The denominator, positive.
    pub fn denominator(self) -> i128 {
        self.denominator
    }

    /// The quotient; `None` if the divisor is zero or it does not fit.
    pub fn divided_by(self, divisor: Self) -> Option<Self> {
        let numerator = self.numerator.checked_mul(divisor.denominator)?;
        Self::new(numerator, self.denominator.checked_mul(divisor.numerator)?)
    }

    /// The nearest number in double precision, but for rounding of the two parts.
    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// Whether it is a whole number.
    pub fn is_whole(self) -> bool {
        self.denominator == 1
    }
}

impl std::ops::Neg for Rational {
    type Output = Self;

    fn neg(self) -> Self {
        Self { numerator: -self.numerator, ..self }
    }
}

impl From<i64> for Rational {
    fn from(whole: i64) -> Self {
        Self { numerator: whole.into(), denominator: 1 }
    }
}

impl PartialOrd for Rational {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rational {
    fn cmp(&self, other: &Self) -> Ordering {
        // By continued fractions: products of the parts could overflow.
        let (mut one, mut two) = (*self, *other);
        loop {
            let floors =
                (one.numerator.div_euclid(one.denominator), two.numerator.div_euclid(two.denominator));
            let rests =
                (one.numerator.rem_euclid(one.denominator), two.numerator.rem_euclid(two.denominator));
            match (floors.0.cmp(&floors.1), rests) {
                (Ordering::Equal, (0, 0)) => return Ordering::Equal,
                (Ordering::Equal, (0, _)) => return Ordering::Less,
                (Ordering::Equal, (_, 0)) => return Ordering::Greater,
                (Ordering::Equal, (first, second)) => {
                    // The larger rest has the smaller inverse, so the two change places.
                    let inverse = Self { numerator: two.denominator, denominator: second };
                    (one, two) = (inverse, Self { numerator: one.denominator, denominator: first });
                }
                (order, _) => return order,
            }
        }
    }
}

impl fmt::Display for Rational {
    /// As a whole number or a decimal if it ends within 18 digits, else as a fraction.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, magnitude) = (if self.numerator < 0 { "-" } else { "" }, self.numerator.abs());
        let (whole, mut rest) = (magnitude / self.denominator, magnitude % self.denominator);
        let mut digits = String::new();
        while rest != 0 && digits.len() < Self::MOST_DIGITS && rest <= i128::MAX / 10 {
            rest *= 10;
            digits.push(char::from(b'0' + (rest / self.denominator) as u8));
            rest %= self.denominator;
        }
        match (rest, digits.as_str()) {
            (0, "") => write!(formatter, "{sign}{whole}"),
            (0, digits) => write!(formatter, "{sign}{whole}.{digits}"),
            _ => write!(formatter, "{}/{}", self.numerator, self.denominator),
        }
    }
}

fn greatest_common_divisor(mut one: i128, mut other: i128) -> i128 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}
