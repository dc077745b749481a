//! The card of a method: what stands beside its shelf row in `show`, the book and the report.

use serde::Serialize;

use crate::shelf::{self, Entry};

/// What a user wants to know of a method before calling it. It lives in the method's room.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Card {
    /// The shelf row.
    pub id: &'static str,
    /// Authors as BibTeX has them: `Family, Given and Family, Given`.
    pub authors: &'static str,
    /// Where it was published, if anywhere but arXiv.
    pub venue: Option<&'static str>,
    /// The authors' own code, if there is any.
    pub official_code: Option<OfficialCode>,
    /// What one uses it for, in one line.
    pub summary: &'static str,
    /// When it helps.
    pub helps: &'static str,
    /// When not to use it.
    pub does_not_help: &'static str,
    /// A command that works on a file of the user's.
    pub example: &'static str,
    /// Where we differ from the paper, one sentence each.
    pub deviations: &'static [&'static str],
}

/// Code published by the authors.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct OfficialCode {
    /// `owner/name` on GitHub.
    pub repository: &'static str,
    /// Its licence, or that it has none.
    pub licence: &'static str,
}

impl Card {
    /// The shelf row of this card.
    ///
    /// # Panics
    /// If the id is not on the shelf, which the conformance test of all cards excludes.
    pub fn entry(&self) -> &'static Entry {
        match shelf::find(self.id) {
            Some(entry) => entry,
            None => panic!("card `{}` has no row on the shelf", self.id),
        }
    }

    /// A BibTeX entry of the paper.
    pub fn bibtex(&self) -> String {
        let entry = self.entry();
        let first_author = self.authors.split(',').next().unwrap_or_default().to_lowercase();
        let key: String = first_author.chars().filter(char::is_ascii_alphabetic).collect();
        let venue = match self.venue {
            Some(venue) => format!("  note          = {{{venue}}},\n"),
            None => String::new(),
        };
        format!(
            "@misc{{{key}{year}{id},\n  title         = {{{title}}},\n  author        = {{{authors}}},\n  year          = {{{year}}},\n{venue}  eprint        = {{{arxiv}}},\n  archivePrefix = {{arXiv}}\n}}\n",
            year = entry.year,
            id = entry.id.replace('-', ""),
            title = entry.title,
            authors = self.authors,
            arxiv = entry.arxiv,
        )
    }
}
