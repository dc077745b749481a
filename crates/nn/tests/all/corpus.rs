//! The corpora of the fuzz targets, replayed.

use std::fs;
use std::path::{Path, PathBuf};

use backstitch_nn::{Checkpoint, Tokenizer, cpu};

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target)
}

/// Names begin with `reads-` or `refused-`, and reading a file must agree.
fn replay(target: &str, at_least: usize, read: impl Fn(&[u8]) -> Result<(), String>) {
    let mut replayed = 0;
    for entry in fs::read_dir(corpus(target)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let refused = read(&fs::read(&path).unwrap()).err();
        assert_eq!(refused.is_some(), name.starts_with("refused-"), "{name}: {refused:?}");
        assert!(name.starts_with("refused-") || name.starts_with("reads-"), "{name}");
        replayed += 1;
    }
    assert!(replayed >= at_least, "{target} has {replayed} files");
}

#[test]
fn checkpoints() {
    let config = fs::read(corpus("checkpoint").join("reads-config.json")).unwrap();
    let weights = fs::read(corpus("checkpoint").join("reads-model.safetensors")).unwrap();
    replay("checkpoint", 10, |bytes| {
        let as_config = Checkpoint::parse(bytes, &weights, &cpu());
        as_config.or(Checkpoint::parse(&config, bytes, &cpu())).map(drop)
    });
}

#[test]
fn tokenizers() {
    replay("tokenizer", 6, |bytes| {
        let tokenizer = Tokenizer::parse(bytes)?;
        // A tokenizer that knows none of these words may refuse them.
        let _ = tokenizer.encode("a b, c");
        Ok(())
    });
}
