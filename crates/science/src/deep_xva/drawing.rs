//! A picture of what is owed, by date.

use backstitch_claim::picture::Picture;

use super::valuation::Profile;

/// Marks beside the frame.
const MARKS: usize = 4;

/// Draws the profile of a netting set: expected positive and negative exposure, what stays unsecured, and the larger of the two
/// initial margins, as far as they are there.
pub fn draw(times: &[f64], profile: &Profile) -> String {
    let last = times.last().copied().filter(|&time| time > 0.0).unwrap_or(1.0);
    let margin: Vec<f64> = profile.received.iter().zip(&profile.posted).map(|(a, b)| a.max(*b)).collect();
    let mut lines = vec![("owed to us (EPE)", &profile.positive), ("owed by us (ENE)", &profile.negative)];
    if profile.unsecured != profile.positive {
        lines.push(("unsecured, owed to us", &profile.unsecured));
    }
    if margin.iter().any(|&value| value > 0.0) {
        lines.push(("initial margin", &margin));
    }
    let most = lines.iter().flat_map(|(_, values)| values.iter().copied()).fold(0.0, f64::max);
    let top = round_up(most);
    let mut picture = Picture::new(420.0, 260.0, true);
    picture.titles("years", "mean");
    for mark in 0..=MARKS {
        let share = mark as f64 / MARKS as f64;
        picture.mark_y(share, &number(share * top));
        picture.mark_x(share, &number(share * last));
    }
    for (name, values) in lines {
        picture.line(name, times.iter().zip(values).map(|(time, value)| (time / last, value / top)));
    }
    picture.finish()
}

/// The next of 1, 2, 4, 10 times a power of ten; 1 for nothing.
fn round_up(value: f64) -> f64 {
    if !(value > 0.0 && value.is_finite()) {
        return 1.0;
    }
    let decade = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0].into_iter().map(|step| step * decade).find(|&step| step >= value).unwrap_or(10.0 * decade)
}

fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_say_nothing_are_left_out() {
        let mut profile = Profile {
            positive: vec![0.0, 3.0],
            negative: vec![0.0, 1.0],
            unsecured: vec![0.0, 3.0],
            received: vec![0.0; 2],
            posted: vec![0.0; 2],
        };
        let plain = draw(&[0.0, 2.0], &profile);
        assert!(plain.contains("EPE") && !plain.contains("unsecured") && !plain.contains("margin"));
        // 3 of 4 at the right end of the frame.
        assert!(plain.contains("480.0,89.0"), "{plain}");
        profile.received = vec![1.0, 0.0];
        assert!(draw(&[0.0, 2.0], &profile).contains("initial margin"));
    }

    #[test]
    fn scales_are_round() {
        assert_eq!([0.0, 0.013, 3.0, 40.0, 41.0].map(round_up), [1.0, 0.02, 4.0, 40.0, 100.0]);
        assert_eq!(number(0.25), "0.25");
        assert_eq!(number(20.0), "20");
    }
}
