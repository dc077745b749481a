//! `backstitch cache`: the answers of language models that are kept.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use backstitch_llm::{Cache, CacheEntry, Identity, Pruning};
use serde_json::json;

use crate::arguments::{CacheArguments, CacheVerb, Common};
use crate::failure::{EXIT_DONE, Failure};
use crate::run::language_model::{cache_file, failure};
use crate::run::output;
use crate::terminal;

const SECONDS_PER_DAY: f64 = 86_400.0;

pub(crate) fn execute(arguments: &CacheArguments, common: &Common) -> Result<i32, Failure> {
    let file = cache_file(arguments.cache.as_deref())?;
    if !file.exists() {
        // Opening it would make it.
        return Err(Failure::input(format!("there is no cache at {}", file.display()))
            .hint("a command that asks a language model makes it, or name another with --cache"));
    }
    let cache = Cache::open(&file).map_err(failure)?;
    match &arguments.verb {
        CacheVerb::Show => show(&cache, common),
        CacheVerb::Export { out } => export(&cache, out, common),
        CacheVerb::Prune { older_than, model_name } => {
            prune(&cache, *older_than, model_name.as_deref(), common)
        }
    }
}

/// What a cache holds of one model.
#[derive(Default)]
struct Held {
    requests: u64,
    samples: u64,
    bytes: u64,
}

fn show(cache: &Cache, common: &Common) -> Result<i32, Failure> {
    let mut models: BTreeMap<(String, String, String), Held> = BTreeMap::new();
    for CacheEntry { request, samples, bytes, .. } in cache.entries().map_err(failure)? {
        let Identity { kind, place, model } = serde_json::from_str(&request).map_err(Failure::internal)?;
        let held = models.entry((model, place, kind)).or_default();
        held.requests += 1;
        held.samples += u64::from(samples);
        held.bytes += bytes;
    }
    if common.json {
        let rows: Vec<_> = models
            .iter()
            .map(|((model, place, kind), Held { requests, samples, bytes })| {
                json!({
                    "model": model, "place": place, "kind": kind, "requests": requests, "samples": samples, "bytes": bytes,
                })
            })
            .collect();
        terminal::print_json(&json!({"file": cache.file(), "models": rows}))?;
        return Ok(EXIT_DONE);
    }
    let mut text = String::new();
    for ((model, place, kind), Held { requests, samples, bytes }) in &models {
        let kilobytes = bytes.div_ceil(1024);
        text += &format!(
            "{requests:>8} requests {samples:>8} samples {kilobytes:>8} KiB  {model} ({kind}) {place}\n"
        );
    }
    terminal::print(&text)?;
    terminal::say(format_args!("cache: {}", cache.file().display()));
    Ok(EXIT_DONE)
}

fn export(cache: &Cache, out: &PathBuf, common: &Common) -> Result<i32, Failure> {
    output::refuse_unwritable(out)?;
    output::refuse_same(out, cache.file(), "--cache")?;
    let mut recording = Vec::new();
    let samples = cache.export(&mut recording).map_err(failure)?;
    output::write(out, &recording)?;
    if common.json {
        terminal::print_json(&json!({"file": out, "samples": samples}))?;
    } else {
        terminal::print(&format!("{samples} samples\n"))?;
        terminal::say(format_args!("written: {}", out.display()));
    }
    Ok(EXIT_DONE)
}

fn prune(cache: &Cache, days: f64, model_name: Option<&str>, common: &Common) -> Result<i32, Failure> {
    let older_than = Duration::try_from_secs_f64(days * SECONDS_PER_DAY)
        .map_err(|_| Failure::input(format!("--older-than is {days}, but must be 0 or more days")))?;
    let pruning = Pruning { older_than, model: model_name.map(str::to_owned) };
    let removed = cache.prune(&pruning).map_err(failure)?;
    if common.json {
        terminal::print_json(&json!({"file": cache.file(), "removed_samples": removed}))?;
    } else {
        terminal::print(&format!("{removed} samples removed\n"))?;
    }
    Ok(EXIT_DONE)
}
