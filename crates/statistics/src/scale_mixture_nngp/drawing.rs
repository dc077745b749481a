//! A picture of calibration: what intervals promise, and what they hold.

use backstitch_claim::picture::Picture;

/// Draws the share of targets inside intervals against their level. `points` has a level, the share, and the ends of an interval for
/// the share, all from 0 to 1.
pub fn draw_calibration(points: &[(f64, f64, (f64, f64))]) -> String {
    let mut picture = Picture::new(300.0, 300.0, false);
    for mark in [0.0, 0.25, 0.5, 0.75, 1.0] {
        picture.mark_x(mark, &mark.to_string());
        picture.mark_y(mark, &mark.to_string());
    }
    picture.titles("level of the interval", "share of targets inside");
    picture.guide((0.0, 0.0), (1.0, 1.0));
    for (level, share, ends) in points {
        picture.interval(*level, *share, *ends);
    }
    picture.finish()
}
