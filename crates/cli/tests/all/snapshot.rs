//! Sessions: commands and all they say, held to a file. `SNAPSHOTS=overwrite cargo test -p backstitch` rewrites them.

use std::path::Path;

use snapbox::{Assert, Data};

use crate::sandbox::Sandbox;

/// Runs the commands (words separated by spaces) one after another and compares what they say with
/// `tests/snapshots/<name>.txt`. What varies from machine to machine is replaced by a name in brackets, and so is each of
/// `secrets`.
#[track_caller]
pub(crate) fn session(name: &str, sandbox: &Sandbox, secrets: &[(&str, &str)], commands: &[&str]) {
    let mut text = String::new();
    for command in commands {
        let outcome = sandbox.run(&command.split_whitespace().collect::<Vec<_>>());
        let code = outcome.code.unwrap();
        text.push_str(&format!("$ backstitch {command}\n-- exit code {code}\n"));
        for (stream, said) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
            if !said.is_empty() {
                let end = if said.ends_with('\n') { "" } else { "\n(no newline)\n" };
                text.push_str(&format!("-- {stream}\n{said}{end}"));
            }
        }
        text.push('\n');
    }
    for (value, name) in secrets {
        text = text.replace(value, name);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.txt"));
    let text = redacted(&text.replace(&*sandbox.path("").to_string_lossy(), "[FOLDER]/"));
    Assert::new().action_env("SNAPSHOTS").eq(Data::text(text).raw(), Data::read_from(&path, None).raw());
}

/// Hashes, times and sizes of processes under names.
fn redacted(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let redacted: Vec<String> = words
            .iter()
            .enumerate()
            .map(|(i, word)| match words.get(i + 1).map(|next| next.trim_end_matches(',')) {
                Some("s") if word.parse::<f64>().is_ok() => "[TIME]".into(),
                Some("MiB") if word.parse::<f64>().is_ok() => "[SIZE]".into(),
                _ => without_hashes(word),
            })
            .collect();
        lines.push(redacted.join(" "));
    }
    lines.join("\n") + "\n"
}

/// Runs of 12 or more hexadecimal digits, at least one of them a figure, are hashes.
fn without_hashes(word: &str) -> String {
    let mut clean = String::new();
    let mut hexadecimal = String::new();
    for character in word.chars().chain(std::iter::once('\0')) {
        if character.is_ascii_digit() || ('a'..='f').contains(&character) {
            hexadecimal.push(character);
            continue;
        }
        let hash =
            matches!(hexadecimal.len(), 12 | 40 | 64) && hexadecimal.contains(|c: char| c.is_ascii_digit());
        clean.push_str(if hash { "[HASH]" } else { &hexadecimal });
        hexadecimal.clear();
        if character != '\0' {
            clean.push(character);
        }
    }
    clean
}
