//! Text to tokens and back. Every tokenizer is a Hugging Face `tokenizer.json`: word-level, byte and those of published models.

use std::collections::HashSet;
use std::path::Path;

use serde_json::json;
use tokenizers::{PreTokenizedString, PreTokenizer, pre_tokenizers::whitespace::Whitespace};

use crate::error::NnError;

/// A tokenizer, as its file defines it.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

/// The word that stands for all unknown ones, in tokenizers made by [`Tokenizer::words`].
pub const UNKNOWN: &str = "[UNK]";

impl Tokenizer {
    /// Words and runs of punctuation as tokens. Token 0 is `[UNK]`, then the given special tokens, then the words of the texts in
    /// the order of their first appearance.
    ///
    /// # Errors
    /// If the vocabulary does not make a tokenizer.
    pub fn words<T: AsRef<str>>(texts: &[T], special: &[&str]) -> Result<Self, NnError> {
        let mut words: Vec<String> = Vec::new();
        let mut known: HashSet<String> = HashSet::new();
        for word in [UNKNOWN].iter().chain(special) {
            if known.insert((*word).into()) {
                words.push((*word).into());
            }
        }
        let fixed = words.len();
        for text in texts {
            for word in split_words(text.as_ref())? {
                if known.insert(word.clone()) {
                    words.push(word);
                }
            }
        }
        let vocabulary: serde_json::Map<_, _> =
            words.iter().enumerate().map(|(id, word)| (word.clone(), id.into())).collect();
        let added: Vec<_> =
            words[..fixed].iter().enumerate().map(|(id, word)| special_token(id, word)).collect();
        Self::from_value(&json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
            "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN},
        }))
    }

    /// One token per byte: token `b` is the byte `b`. Every text has one encoding and comes back unchanged.
    ///
    /// # Errors
    /// None in practice: the vocabulary is fixed.
    pub fn bytes() -> Result<Self, NnError> {
        let vocabulary: serde_json::Map<_, _> = byte_characters()
            .into_iter()
            .enumerate()
            .map(|(byte, character)| (character.into(), byte.into()))
            .collect();
        Self::from_value(&json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
            "post_processor": null,
            "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocabulary, "merges": []},
        }))
    }

    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// If the file cannot be read or does not define a tokenizer.
    pub fn read(path: &Path) -> Result<Self, NnError> {
        let bytes = std::fs::read(path).map_err(|error| NnError::file(path, error))?;
        Self::parse(&bytes).map_err(|reason| NnError::content(path, reason))
    }

    /// A tokenizer from the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if let Err(error) = std::str::from_utf8(bytes) {
            return Err(format!("not UTF-8: {error}"));
        }
        match tokenizers::Tokenizer::from_bytes(bytes) {
            Ok(inner) => Ok(Self { inner }),
            Err(error) => Err(format!("not a Hugging Face tokenizer: {error}")),
        }
    }

    /// The bytes of its `tokenizer.json`.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn to_json(&self) -> Result<String, NnError> {
        self.inner.to_string(true).map_err(refused)
    }

    /// The tokens of a text, with the special tokens that the file says stand around every text.
    ///
    /// # Errors
    /// If the text gives no token at all, or the tokenizer refuses it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, NnError> {
        let encoding = self.inner.encode_fast(text, true).map_err(refused)?;
        if encoding.get_ids().is_empty() {
            return Err(NnError::Empty { what: format!("the text {text:?}") });
        }
        Ok(encoding.get_ids().to_vec())
    }

    /// The tokens of a text that follows another: without special tokens around it, possibly none.
    ///
    /// # Errors
    /// If the tokenizer refuses the text.
    pub fn encode_more(&self, text: &str) -> Result<Vec<u32>, NnError> {
        Ok(self.inner.encode_fast(text, false).map_err(refused)?.get_ids().to_vec())
    }

    /// The text of tokens. Special tokens are left out; word-level tokens are joined by spaces.
    ///
    /// # Errors
    /// If the tokenizer refuses them.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, NnError> {
        self.inner.decode(tokens, true).map_err(refused)
    }

    /// The token of a word, if there is one.
    pub fn token(&self, word: &str) -> Option<u32> {
        self.inner.token_to_id(word)
    }

    /// The word of a token, if there is one.
    pub fn word(&self, token: u32) -> Option<String> {
        self.inner.id_to_token(token)
    }

    /// One more than the largest token.
    pub fn size(&self) -> usize {
        self.inner.get_vocab(true).values().map(|&id| id as usize + 1).max().unwrap_or(0)
    }

    fn from_value(value: &serde_json::Value) -> Result<Self, NnError> {
        Self::parse(value.to_string().as_bytes()).map_err(NnError::Tokenizer)
    }
}

/// Runs of letters, digits and underscores, and runs of everything else that is not white space.
fn split_words(text: &str) -> Result<Vec<String>, NnError> {
    let mut split = PreTokenizedString::from(text);
    Whitespace {}.pre_tokenize(&mut split).map_err(refused)?;
    let words = split.get_splits(tokenizers::OffsetReferential::Original, tokenizers::OffsetType::Byte);
    Ok(words.into_iter().map(|(word, _, _)| word.to_owned()).collect())
}

fn special_token(id: usize, word: &str) -> serde_json::Value {
    json!({"id": id, "content": word, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
}

fn refused(error: tokenizers::Error) -> NnError {
    NnError::Tokenizer(error.to_string())
}

/// The printable character by which byte-level tokenizers write each byte: itself where it is printable, else the next
/// unused character from U+0100 on.
fn byte_characters() -> Vec<char> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut unused = (0x100_u32..).filter_map(char::from_u32);
    (0..=255_u8)
        .filter_map(|byte| if printable(byte) { Some(char::from(byte)) } else { unused.next() })
        .collect()
}
