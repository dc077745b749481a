//! Text of tokens, piece by piece.

use backstitch_nn::{Tokenizer, UNKNOWN};

/// Tokens that are looked back on to find the end of a stop text, besides one per byte of it: a character has up to four.
const LOOK_BACK: usize = 8;

/// What stands where a character is not complete.
const INCOMPLETE: char = char::REPLACEMENT_CHARACTER;

/// The text of a sample, a piece per token. A character that several tokens make stands with the last of them.
pub(super) struct Text {
    pub(super) pieces: Vec<String>,
}

impl Text {
    pub(super) fn of(tokenizer: &Tokenizer, tokens: &[u32]) -> Self {
        let mut pieces = Vec::with_capacity(tokens.len());
        // Only the last tokens are written anew for each further one: `start` moves on when they are many.
        let (mut start, mut known) = (0, String::new());
        for end in 1..=tokens.len() {
            let text = decode(tokenizer, &tokens[start..end]);
            let complete = !text.ends_with(INCOMPLETE) || end == tokens.len();
            let piece = if complete {
                text.strip_prefix(known.as_str()).unwrap_or_default().to_owned()
            } else {
                String::new()
            };
            pieces.push(piece);
            if complete {
                known = text;
                if end - start > 2 * LOOK_BACK {
                    start = end - LOOK_BACK;
                    known = decode(tokenizer, &tokens[start..end]);
                }
            }
        }
        Self { pieces }
    }

    /// Ends the text before the first of the stop texts.
    pub(super) fn cut_before(&mut self, stop: &[String]) {
        let whole = self.pieces.concat();
        let Some(mut left) = stop.iter().filter_map(|stop| whole.find(stop)).min() else { return };
        for (place, piece) in self.pieces.iter_mut().enumerate() {
            if piece.len() >= left {
                piece.truncate(left);
                let kept = if left == 0 { place } else { place + 1 };
                self.pieces.truncate(kept);
                return;
            }
            left -= piece.len();
        }
    }
}

/// Whether one of the stop texts has just been completed.
pub(super) fn ends(tokenizer: &Tokenizer, tokens: &[u32], stop: &[String]) -> bool {
    let Some(longest) = stop.iter().map(String::len).max() else { return false };
    let tail = decode(tokenizer, &tokens[tokens.len().saturating_sub(longest + LOOK_BACK)..]);
    stop.iter().any(|stop| tail.contains(stop))
}

/// A token alone.
pub(super) fn word(tokenizer: &Tokenizer, token: u32) -> Vec<u8> {
    let text = decode(tokenizer, &[token]);
    if text.is_empty() { tokenizer.word(token).unwrap_or_default().into_bytes() } else { text.into_bytes() }
}

/// The first word of the texts that a word-level tokenizer does not know.
pub(super) fn unknown_word<'a>(
    tokenizer: &Tokenizer,
    texts: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let unknown = tokenizer.token(UNKNOWN)?;
    let knows = |word: &str| tokenizer.encode_more(word).is_ok_and(|tokens| !tokens.contains(&unknown));
    texts
        .filter(|text| !knows(text))
        .find_map(|text| text.split_whitespace().find(|word| !knows(word)).map(str::to_owned))
}

fn decode(tokenizer: &Tokenizer, tokens: &[u32]) -> String {
    tokenizer.decode(tokens).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_text() {
        let tokenizer = Tokenizer::bytes().expect("the bytes");
        let written = "Grüße, 世界 🌍! ".repeat(9);
        let tokens: Vec<u32> = written.bytes().map(u32::from).collect();
        let text = Text::of(&tokenizer, &tokens);
        assert_eq!((text.pieces.concat(), text.pieces.len()), (written.clone(), tokens.len()));
        // A character stands with its last byte.
        assert_eq!(text.pieces[2..6], ["", "ü", "", "ß"]);
        // Half a character at the end is shown as such.
        let cut = Text::of(&tokenizer, &tokens[..3]);
        assert_eq!(cut.pieces, ["G", "r", "\u{fffd}"]);
    }

    #[test]
    fn words_are_joined_by_spaces() {
        let tokenizer = Tokenizer::words(&["one two three"], &["[END]"]).expect("words");
        let tokens = tokenizer.encode("three one two one").expect("words");
        let mut text = Text::of(&tokenizer, &tokens);
        assert_eq!(text.pieces, ["three", " one", " two", " one"]);
        text.cut_before(&["two".into(), "zero".into()]);
        assert_eq!(text.pieces, ["three", " one", " "]);
        assert!(ends(&tokenizer, &tokens, &["two one".into()]));
        assert!(!ends(&tokenizer, &tokens[..3], &["two one".into()]));
        assert_eq!(unknown_word(&tokenizer, ["one two", "two four."].into_iter()).as_deref(), Some("four."));
    }
}
