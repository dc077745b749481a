//! Reading the tree that a model wrote, with the place of every list in the text.
//!
//! The form is a JSON object of questions and their lists of sub-questions. What models get wrong most often is taken as it is meant:
//! text around the object, nested objects instead of further keys, commas at the end of a list, line breaks inside a text.

/// A question and its list of sub-questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) question: String,
    pub(super) parts: Vec<String>,
    /// From the opening bracket of the list to behind the closing one, in bytes of the text.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Deepest nesting that is read: a stack is not for a model to exhaust.
const DEEPEST: usize = 16;

/// All entries of the first object in a text, in their order; nested ones behind the one they stand in.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, String> {
    let Some(start) = text.find('{') else {
        return Err("the reply holds no JSON object".into());
    };
    let mut scanner = Scanner { text, at: start, entries: Vec::new() };
    scanner.object(0)?;
    Ok(scanner.entries)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    entries: Vec<Entry>,
}

impl Scanner<'_> {
    /// An object, from its brace on; gives the keys of it.
    fn object(&mut self, depth: usize) -> Result<Vec<String>, String> {
        if depth > DEEPEST {
            return Err(format!("the tree is nested more than {DEEPEST} deep"));
        }
        self.take('{')?;
        let mut keys = Vec::new();
        loop {
            if self.skip("}") {
                return Ok(keys);
            }
            let question = self.string()?;
            self.take(':')?;
            let start = self.place();
            let place = self.entries.len();
            self.entries.push(Entry { question: question.clone(), parts: Vec::new(), start, end: start });
            let parts = self.list(depth + 1)?;
            let entry = &mut self.entries[place];
            (entry.parts, entry.end) = (parts, self.at);
            keys.push(question);
            if !self.skip(",") && !self.at_char('}') {
                return Err(self.expected("a comma or }"));
            }
        }
    }

    /// A list of texts and objects.
    fn list(&mut self, depth: usize) -> Result<Vec<String>, String> {
        self.take('[')?;
        let mut parts = Vec::new();
        loop {
            if self.skip("]") {
                return Ok(parts);
            }
            if self.at_char('{') {
                parts.extend(self.object(depth)?);
            } else {
                parts.push(self.string()?);
            }
            if !self.skip(",") && !self.at_char(']') {
                return Err(self.expected("a comma or ]"));
            }
        }
    }

    /// A text between double quotes.
    fn string(&mut self) -> Result<String, String> {
        self.take('"')?;
        let mut text = String::new();
        let mut characters = self.text[self.at..].char_indices();
        while let Some((offset, character)) = characters.next() {
            match character {
                '"' => {
                    self.at += offset + 1;
                    return Ok(tidy(&text));
                }
                '\\' => match characters.next() {
                    Some((_, 'n' | 't' | 'r')) => text.push(' '),
                    Some((at, 'u')) => {
                        let digits = self.text[self.at..].get(at + 1..at + 5);
                        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                        // Half of a surrogate pair stands for nothing by itself.
                        text.push(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
                        if code.is_some() {
                            characters.nth(3);
                        }
                    }
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                character => text.push(character),
            }
        }
        Err("the reply ends inside a text; it may have reached the most tokens".into())
    }

    /// The next byte that is no white space.
    fn place(&mut self) -> usize {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.at
    }

    fn at_char(&mut self, character: char) -> bool {
        let place = self.place();
        self.text[place..].starts_with(character)
    }

    fn skip(&mut self, token: &str) -> bool {
        let place = self.place();
        let found = self.text[place..].starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn take(&mut self, character: char) -> Result<(), String> {
        let mut buffer = [0; 4];
        if self.skip(character.encode_utf8(&mut buffer)) {
            return Ok(());
        }
        Err(self.expected(&character.to_string()))
    }

    fn expected(&mut self, what: &str) -> String {
        let place = self.place();
        let found: String = self.text[place..].chars().take(20).collect();
        if found.is_empty() {
            return format!("the reply ends where {what} is expected; it may have reached the most tokens");
        }
        format!("{what} is expected at byte {place}, but {found:?} stands there")
    }
}

/// Single spaces, none before the mark that ends a sentence, none inside a placeholder.
pub(super) fn tidy(text: &str) -> String {
    let mut tidy = String::new();
    for word in text.split_whitespace() {
        let joins = matches!(word, "?" | "." | "," | "!" | ";" | ":" | ">")
            || tidy.ends_with('<') && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'>');
        if !tidy.is_empty() && !joins {
            tidy.push(' ');
        }
        tidy.push_str(word);
    }
    tidy
}
