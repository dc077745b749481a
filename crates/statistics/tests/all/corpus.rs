//! The corpus of the fuzz target for GML, replayed.

use std::fs;
use std::path::Path;

use backstitch_statistics::causal_minimax::read_gml;

#[test]
fn graphs_in_gml() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/gml");
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let refused = read_gml(&fs::read_to_string(&path).unwrap()).err();
        assert_eq!(refused.is_some(), name.starts_with("refused-"), "{name}: {refused:?}");
        replayed += 1;
    }
    assert!(replayed >= 8, "{} has {replayed} files", folder.display());
}
