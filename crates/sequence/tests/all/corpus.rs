//! The corpora of the fuzz targets, replayed: the name of a file says what must happen to it.

use std::fs;
use std::path::Path;

use backstitch_sequence::Error;
use backstitch_sequence::negative_eigenvalues::Automaton;
use backstitch_sequence::negative_eigenvalues::sequences::read_sequences_from;

fn replay(corpus: &str, at_least: usize, read: impl Fn(&[u8], &Path) -> Result<(), Error>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(corpus);
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match read(&fs::read(&path).unwrap(), Path::new(&name)) {
            Ok(()) => assert!(name.starts_with("reads-"), "{name} was read"),
            Err(error) => {
                assert!(name.starts_with("refused-"), "{error}");
                assert!(error.to_string().starts_with(&name), "{error}");
            }
        }
        replayed += 1;
    }
    assert!(replayed >= at_least, "{} has {replayed} files", folder.display());
}

#[test]
fn labelled_sequences() {
    replay("labelled_sequences", 12, |bytes, name| read_sequences_from(bytes, name).map(drop));
}

#[test]
fn automata() {
    replay("automaton", 9, |bytes, name| Automaton::read_from(bytes, name).map(|own| drop(own.probe())));
}
