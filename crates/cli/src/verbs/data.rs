//! `backstitch data`: the catalogue of public sets.

use crate::arguments::{Common, DataVerb};
use crate::failure::{EXIT_DONE, Failure};
use crate::{data_sets, terminal};

use backstitch_data::catalogue::{CATALOGUE, PublicSet, public_set};
use backstitch_data::download::{DownloadOptions, Progress, download};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

pub(crate) fn execute(verb: &DataVerb, common: &Common) -> Result<i32, Failure> {
    match verb {
        DataVerb::List => list(common),
        DataVerb::Get { sets, origin } => get(sets, origin.as_deref(), common),
    }
}

fn list(common: &Common) -> Result<i32, Failure> {
    let directory = data_sets::directory(common)?;
    let state = data_sets::state(&directory);
    if common.json {
        let rows: Vec<_> = CATALOGUE
            .iter()
            .zip(&state)
            .map(|(set, (_, there))| {
                let files: Vec<_> = set
                    .files
                    .iter()
                    .map(|file| json!({"path": file.path, "origin": file.origin, "sha256": file.sha256, "bytes": file.bytes}))
                    .collect();
                json!({
                    "name": set.name, "title": set.title, "licence": set.licence, "citation": set.citation,
                    "used_by": set.used_by, "there": there, "files": files,
                })
            })
            .collect();
        terminal::print_json(&rows)?;
        return Ok(EXIT_DONE);
    }
    let widest =
        |text: fn(&PublicSet) -> &str| CATALOGUE.iter().map(|set| text(set).len()).max().unwrap_or(0);
    let (names, licences) = (widest(|set| set.name), widest(|set| set.licence));
    let mut text = String::new();
    for (set, (_, there)) in CATALOGUE.iter().zip(&state) {
        let kilobytes = set.files.iter().map(|file| file.bytes).sum::<u64>().div_ceil(1024);
        let there = if *there { "there" } else { "not there" };
        text.push_str(&format!(
            "{:names$} {there:9} {kilobytes:>8} KiB  {:licences$} {}\n",
            set.name, set.licence, set.title
        ));
    }
    terminal::print(&text)?;
    terminal::say(format_args!("data directory: {}", directory.root().display()));
    Ok(EXIT_DONE)
}

fn get(sets: &[String], origin: Option<&str>, common: &Common) -> Result<i32, Failure> {
    let directory = data_sets::directory(common)?;
    let sets: Vec<_> = sets
        .iter()
        .map(|name| public_set(name).map_err(|error| Failure::input(&error).maybe_hint(error.hint())))
        .collect::<Result<_, _>>()?;
    let options = DownloadOptions { mirror: origin.map(str::to_owned), ..DownloadOptions::default() };
    for set in sets {
        let progress = Downloading::new();
        let paths = download(set, &directory, &options, &mut |state| progress.tell(&state))
            .map_err(|error| Failure::input(&error).maybe_hint(error.hint()))?;
        progress.bar.finish_and_clear();
        let text: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
        if common.json {
            terminal::print_json(&json!({"name": set.name, "files": paths}))?;
        } else {
            terminal::print(&text)?;
        }
    }
    Ok(EXIT_DONE)
}

/// A bar on a terminal, nothing elsewhere.
struct Downloading {
    bar: ProgressBar,
}

impl Downloading {
    fn new() -> Self {
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}") {
            bar.set_style(style);
        }
        Self { bar }
    }

    fn tell(&self, state: &Progress) {
        self.bar.set_message(state.file);
        self.bar.set_length(state.total);
        self.bar.set_position(state.received);
    }
}
