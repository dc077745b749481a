//! Orders of units, and sentences put together again.

use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};

use super::parameters::OrderWeights;
use super::segment::{Kind, Unit};

/// An order of the units of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As they stand.
    Original,
    /// Last first.
    Reversed,
    /// A uniform random permutation (which may be either of the others).
    Permuted,
}

impl Order {
    /// Draws an order with the given weights (see [`super::Parameters::validate`] for what weights may be).
    pub fn draw(weights: &OrderWeights, stream: &mut Stream) -> Self {
        let OrderWeights { original, reversed, permuted } = *weights;
        let at = stream.uniform() * (original + reversed + permuted);
        // The product can round up to the sum: an order of weight zero must not come of that.
        if at < original || reversed + permuted == 0.0 {
            Self::Original
        } else if at < original + reversed || permuted == 0.0 {
            Self::Reversed
        } else {
            Self::Permuted
        }
    }

    /// The positions `0..units` in this order.
    pub fn arrange(self, units: usize, stream: &mut Stream) -> Vec<usize> {
        match self {
            Self::Original => (0..units).collect(),
            Self::Reversed => (0..units).rev().collect(),
            Self::Permuted => stream.permutation(units),
        }
    }
}

/// Units that can move: all but final marks.
pub fn movable(units: &[Unit<'_>]) -> usize {
    units.len() - usize::from(units.last().is_some_and(|unit| unit.kind == Kind::Final))
}

/// Puts a sentence together from its units in another order.
///
/// `arrangement` is a permutation of the movable units ([`movable`]). Only white space changes: every unit loses the white
/// space at its ends and one space stands between units; if no two movable units of the sentence have white space between
/// them (a script without spaces), nothing stands between. White space before the first unit, after the last one, and final
/// marks stay where they are. The arrangement `0, 1, 2, …` gives the sentence back byte for byte.
pub fn join(units: &[Unit<'_>], arrangement: &[usize]) -> String {
    let length: usize = units.iter().map(|unit| unit.text.len() + 1).sum();
    let mut text = String::with_capacity(length);
    if arrangement.iter().enumerate().all(|(place, &unit)| place == unit) {
        units.iter().for_each(|unit| text.push_str(unit.text));
        return text;
    }
    let (moving, last) = units.split_at(movable(units));
    let first_text = moving.first().map_or("", |unit| unit.text);
    let last_text = moving.last().map_or("", |unit| unit.text);
    let spaced = moving.windows(2).any(|pair| {
        pair[0].text.ends_with(char::is_whitespace) || pair[1].text.starts_with(char::is_whitespace)
    });
    text.push_str(&first_text[..first_text.len() - first_text.trim_start().len()]);
    for (place, &unit) in arrangement.iter().enumerate() {
        if place > 0 && spaced {
            text.push(' ');
        }
        text.push_str(moving[unit].text.trim());
    }
    text.push_str(&last_text[last_text.trim_end().len()..]);
    last.iter().for_each(|unit| text.push_str(unit.text));
    text
}

/// The words of a sentence as units: what the ablations reverse and shuffle. Final marks stay a unit of their own.
pub fn words(text: &str) -> Vec<Unit<'_>> {
    let marked = text.trim_end().len();
    let body = text[..marked].trim_end_matches(['.', '!', '?', '…', '。', '！', '？']).len();
    let body = if body == 0 || body == marked { text.len() } else { body };
    let mut units = Vec::new();
    let mut start = 0;
    let mut position = text.len() - text.trim_start().len();
    while position < body {
        let rest = &text[position..body];
        let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let next = position + word;
        let next = body - text[next..body].trim_start().len();
        units.push(Unit { text: &text[start..next], kind: Kind::Clause });
        (start, position) = (next, next);
    }
    if start < body {
        units.push(Unit { text: &text[start..body], kind: Kind::Clause });
    }
    if body < text.len() {
        units.push(Unit { text: &text[body..], kind: Kind::Final });
    }
    units
}
