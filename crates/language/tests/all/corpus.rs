//! The corpus of the fuzz target `bayes_net`, replayed: the name of a file says what must happen to it.

use std::fs;
use std::path::Path;

use backstitch_language::locality::Network;

#[test]
fn bayes_nets() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/bayes_net");
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match Network::read_from(fs::read(&path).unwrap().as_slice(), Path::new(&name)) {
            Ok(net) => {
                assert!(!name.starts_with("refused-"), "{name} was read");
                assert_eq!(Network::from_variables(&net.to_variables()).unwrap(), net, "{name}");
            }
            Err(error) => {
                assert!(!name.starts_with("reads-"), "{error}");
                assert!(error.to_string().len() > 10, "{name}: {error}");
            }
        }
        replayed += 1;
    }
    assert!(replayed >= 30, "{} has {replayed} files", folder.display());
}
