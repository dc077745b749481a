//! Hashes of content: known answers, and indifference to packing.

use std::fs;
use std::io::Write;

use backstitch_data::hash::{
    content_sha256_of_bytes, content_sha256_of_file, content_sha256_of_folder, sha256_of_bytes,
    sha256_of_file,
};
use flate2::Compression;
use flate2::write::GzEncoder;

/// FIPS 180-2, appendix B.1.
const OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn packed(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn known_answers() {
    assert_eq!(sha256_of_bytes(b"abc"), OF_ABC);
    assert_eq!(content_sha256_of_bytes(b"abc").unwrap(), OF_ABC);
    assert_eq!(
        content_sha256_of_bytes(b"").unwrap(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[test]
fn the_content_hash_does_not_see_the_packing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    for content in [b"abc".to_vec(), packed(b"abc", 0), packed(b"abc", 9)] {
        assert_eq!(content_sha256_of_bytes(&content).unwrap(), OF_ABC);
        fs::write(&path, &content).unwrap();
        assert_eq!(content_sha256_of_file(&path).unwrap(), OF_ABC);
        assert_eq!(sha256_of_file(&path).unwrap(), sha256_of_bytes(&content));
    }
    assert!(content_sha256_of_bytes(&packed(b"abc", 9)[..12]).is_err());
    assert!(content_sha256_of_file(&folder.path().join("nothing")).is_err());
}

#[test]
fn a_folder_is_its_files_in_the_order_of_their_paths() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, content: &[u8]| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    let hash = || content_sha256_of_folder(folder.path()).unwrap();
    write("b.txt", b"abc");
    write("a/c.txt", b"abc");
    assert_eq!(hash(), sha256_of_bytes(format!("{OF_ABC}  a/c.txt\n{OF_ABC}  b.txt\n").as_bytes()));
    let before = hash();
    fs::create_dir(folder.path().join("empty")).unwrap();
    write("b.txt", &packed(b"abc", 6));
    assert_eq!(hash(), before);
    write("b.txt", b"abd");
    assert_ne!(hash(), before);
    write("b.txt", b"abc");
    fs::rename(folder.path().join("b.txt"), folder.path().join("d.txt")).unwrap();
    assert_ne!(hash(), before);
    assert!(content_sha256_of_folder(&folder.path().join("nothing")).is_err());
}
