//! The corpora of the fuzz targets, replayed: the name of a file says what must happen to it.

use std::fs;
use std::path::Path;

use backstitch_language::Error;
use backstitch_language::facts::read_facts_from;
use backstitch_language::locality::Network;
use backstitch_language::spt::{Parameters, Spt, read_sentences_from};

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
fn facts() {
    replay("facts", 19, |bytes, name| read_facts_from(bytes, name).map(drop));
}

#[test]
fn sentences() {
    let method = Spt::new(Parameters::default()).unwrap();
    replay("sentences", 16, |bytes, name| {
        let sentences = read_sentences_from(bytes, name)?;
        let all = method.augment_all(&sentences, 1, 0).unwrap();
        assert_eq!(!all.reports.is_empty(), name.ends_with("reads-changed-units"), "{}", name.display());
        Ok(())
    });
}

#[test]
fn bayes_nets() {
    replay("bayes_net", 30, |bytes, name| {
        let net = Network::read_from(bytes, name)?;
        assert_eq!(Network::from_variables(&net.to_variables()).unwrap(), net, "{}", name.display());
        Ok(())
    });
}
