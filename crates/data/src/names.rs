//! Looking a name up among known names, and saying which one was probably meant.

/// The position of a name among `known`: as it is written, else as a 0-based position.
pub(crate) fn position(name: &str, known: &[String]) -> Option<usize> {
    known
        .iter()
        .position(|candidate| candidate == name)
        .or_else(|| name.parse().ok().filter(|&position| position < known.len()))
}

/// The known name that takes the fewest edits to reach, the first one of equals; `None` if nothing is known.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Distances cost the product of lengths: a name of a kilobyte is not a slip of the finger.
    let shortened: String = name.chars().take(64).collect();
    known.into_iter().min_by_key(|candidate| edits(&shortened, candidate))
}

/// Insertions, deletions and replacements from one name to the other; a change of case counts as nothing.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.to_lowercase().chars().take(64).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_written_before_they_are_positions() {
        let known = ["a", "0", "b"].map(String::from);
        assert_eq!(position("b", &known), Some(2));
        assert_eq!(position("0", &known), Some(1));
        assert_eq!(position("2", &known), Some(2));
        assert_eq!(position("3", &known), None);
        assert_eq!(position("-1", &known), None);
    }

    #[test]
    fn the_nearest_name_takes_the_fewest_edits() {
        let known = ["height", "weight", "age"];
        assert_eq!(nearest("Heigth", known), Some("height"));
        assert_eq!(nearest("AGES", known), Some("age"));
        assert_eq!(nearest("x", []), None);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
    }
}
