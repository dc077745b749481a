//! Templates with slots, and texts between tags.

/// Replaces every `{name}` that is among the slots. Other braces stay, and what is put in is not looked at again.
pub(super) fn fill(template: &str, slots: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        text += &rest[..open];
        rest = &rest[open..];
        let slot = slots
            .iter()
            .find(|(name, _)| rest[1..].strip_prefix(name).is_some_and(|behind| behind.starts_with('}')));
        match slot {
            Some((name, value)) => {
                text += value;
                rest = &rest[name.len() + 2..];
            }
            None => {
                text.push('{');
                rest = &rest[1..];
            }
        }
    }
    text + rest
}

/// The trimmed text between the first `<tag>` and the first `</tag>` behind it. Spaces inside of the tags and their case do not matter: small
/// models write `< TAG >`.
pub(super) fn tagged<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, from) = find_tag(text, "<", tag)?;
    let (to, _) = find_tag(&text[from..], "</", tag)?;
    Some(text[from..from + to].trim())
}

/// Whether the text holds such a tag, opening or closing.
pub(super) fn holds_tag(text: &str, tag: &str) -> bool {
    find_tag(text, "<", tag).is_some() || find_tag(text, "</", tag).is_some()
}

/// Where a tag begins and ends.
fn find_tag(text: &str, bracket: &str, tag: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(place) = text[from..].find('<') {
        let start = from + place;
        if let Some(length) = tag_length(&text[start..], bracket, tag) {
            return Some((start, start + length));
        }
        from = start + 1;
    }
    None
}

fn tag_length(text: &str, bracket: &str, tag: &str) -> Option<usize> {
    let mut rest = text;
    for part in bracket.split("").filter(|part| !part.is_empty()).chain([tag, ">"]) {
        rest = rest.trim_start();
        let head = rest.get(..part.len())?;
        if !head.eq_ignore_ascii_case(part) {
            return None;
        }
        rest = &rest[part.len()..];
    }
    Some(text.len() - rest.len())
}

/// What is appended to tags where one of the texts holds one of them: the same for the same texts, and in none of them.
pub(super) fn nonce(texts: &[&str], tags: &[&str]) -> String {
    if !texts.iter().any(|text| tags.iter().any(|tag| holds_tag(text, tag))) {
        return String::new();
    }
    // FNV-1a: a name, not a secret.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in texts.iter().flat_map(|text| text.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    loop {
        let nonce = format!("_{:06X}", hash & 0xff_ffff);
        if !texts.iter().any(|text| text.contains(&nonce)) {
            return nonce;
        }
        hash = hash.wrapping_mul(0x0100_0000_01b3).wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_filled_once() {
        let slots = [("value", "{role} {"), ("role", "x")];
        assert_eq!(fill("{role}: {value} {other} {{value}} {", &slots), "x: {role} { {other} {{role} {} {");
    }

    #[test]
    fn texts_between_tags() {
        assert_eq!(tagged("a <T> b </T> c <T> d </T>", "T"), Some("b"));
        assert_eq!(tagged("< t >\n2 7 5 < / T >", "T"), Some("2 7 5"));
        assert_eq!(tagged("</T> x <T> y </T>", "T"), Some("y"));
        for without in ["", "<T> b", "b </T>", "<TT> b </TT>", "T b /T"] {
            assert_eq!(tagged(without, "T"), None, "{without}");
        }
        assert_eq!(tagged("x < 3 <T>a<b</T>é", "T"), Some("a<b"));
    }

    #[test]
    fn a_nonce_stands_where_a_tag_is_in_the_text() {
        assert_eq!(nonce(&["a < b", "T"], &["T"]), "");
        let nonce_of_two = nonce(&["x </T> y", "z"], &["S", "T"]);
        assert!(nonce_of_two.starts_with('_') && nonce_of_two.len() == 7);
        assert_eq!(nonce_of_two, nonce(&["x </T> y", "z"], &["S", "T"]));
        let text = format!("</T> {nonce_of_two}");
        assert!(!text.contains(&nonce(&[&text], &["T"])));
    }
}
