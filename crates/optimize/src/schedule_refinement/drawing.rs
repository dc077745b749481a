//! A picture of a schedule.

use backstitch_claim::picture::Picture;

use super::schedule::resample;
use crate::Error;

/// A line of the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its label.
    pub name: String,
    /// Multipliers over the run; any number of them.
    pub multipliers: Vec<f64>,
}

/// Most points of a line: more than the picture is wide.
const PLACES: usize = 600;

/// Draws lines, and behind them the band of the first one if it has one, over the share of the run.
///
/// # Errors
/// [`Error::Length`] for a line with fewer than two points.
pub fn draw(lines: &[Line], band: Option<&[(f64, f64)]>) -> Result<String, Error> {
    // A band may reach above the peak.
    let ends = |pick: fn(&(f64, f64)) -> f64| band.map(|band| band.iter().map(pick).collect::<Vec<_>>());
    let (lower, upper) = (ends(|end| end.0), ends(|end| end.1));
    let top = upper.iter().flatten().copied().fold(1.0, f64::max);
    let places = |values: &[f64]| -> Result<Vec<(f64, f64)>, Error> {
        let shown = resample(values, values.len().clamp(2, PLACES))?;
        let last = (shown.len() - 1) as f64;
        let place = |(place, value): (usize, &f64)| (place as f64 / last, value / top);
        Ok(shown.iter().enumerate().map(place).collect())
    };
    let mut picture = Picture::new(430.0, 290.0, true);
    for value in [0.0, 0.25, 0.5, 0.75, 1.0] {
        picture.mark_y(value / top, &value.to_string());
    }
    for percent in [0, 25, 50, 75, 100] {
        picture.mark_x(f64::from(percent) / 100.0, &format!("{percent} %"));
    }
    picture.titles("steps of the run", "multiplier of the peak rate");
    if let (Some(lower), Some(upper)) = (&lower, &upper) {
        picture.area(places(upper)?.into_iter().chain(places(lower)?.into_iter().rev()));
    }
    for line in lines {
        picture.line(&line.name, places(&line.multipliers)?);
    }
    Ok(picture.finish())
}
