//! The corpora of the fuzz targets, replayed.

use std::fs;
use std::path::{Path, PathBuf};

use backstitch_nn::{Checkpoint, Tokenizer, cpu};

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

/// Every file by name, with what reading it says: nothing if it is accepted.
fn replay(target: &str, read: impl Fn(&[u8]) -> Result<(), String>) -> Vec<(String, Option<String>)> {
    let mut outcomes: Vec<(String, Option<String>)> = fs::read_dir(corpus(target))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, read(&fs::read(&path).unwrap()).err())
        })
        .collect();
    outcomes.sort();
    outcomes
}

#[test]
fn checkpoints_are_read_or_refused_as_their_names_say() {
    let config = fs::read(corpus("checkpoint").join("config.json")).unwrap();
    let weights = fs::read(corpus("checkpoint").join("model.safetensors")).unwrap();
    let outcomes = replay("checkpoint", |bytes| {
        let as_config = Checkpoint::parse(bytes, &weights, &cpu());
        let as_weights = Checkpoint::parse(&config, bytes, &cpu());
        as_config.or(as_weights).map(drop)
    });
    assert!(outcomes.len() >= 10);
    for (name, refused) in outcomes {
        let whole = name.starts_with("config.json") || name.starts_with("model.safetensors");
        assert_eq!(refused.is_none(), whole, "{name}: {refused:?}");
    }
}

#[test]
fn tokenizers_are_read_or_refused_as_their_names_say() {
    let outcomes = replay("tokenizer", |bytes| {
        let tokenizer = Tokenizer::parse(bytes)?;
        let _ = tokenizer.encode("a b, c");
        Ok(())
    });
    assert!(outcomes.len() >= 6);
    for (name, refused) in outcomes {
        assert_eq!(refused.is_none(), name.starts_with("whole"), "{name}: {refused:?}");
    }
}
