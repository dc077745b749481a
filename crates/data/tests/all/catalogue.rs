//! The catalogue agrees with itself and, where the data is here, with the data.

use std::collections::HashSet;

use backstitch_data::catalogue::{CATALOGUE, public_set};
use backstitch_data::directory::DATA_VARIABLE;
use backstitch_data::edges::read_edges;
use backstitch_data::{DataDirectory, TableOptions, read_table};

#[test]
fn entries_are_well_formed() {
    let mut names = HashSet::new();
    let mut paths = HashSet::new();
    for set in CATALOGUE {
        assert!(names.insert(set.name), "{} is there twice", set.name);
        assert!(!set.title.is_empty() && !set.licence.is_empty() && !set.citation.is_empty(), "{}", set.name);
        assert!(!set.files.is_empty() && !set.used_by.is_empty(), "{}", set.name);
        for file in set.files {
            assert!(paths.insert(file.path), "{} is there twice", file.path);
            let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
            assert!(file.path.split('/').all(plain) && !file.path.contains(['\\', ':']), "{}", file.path);
            let digit = |digit: char| digit.is_ascii_digit() || ('a'..='f').contains(&digit);
            assert!(file.sha256.len() == 64 && file.sha256.chars().all(digit), "{}", file.path);
            assert!(file.origin.starts_with("https://") && !file.origin.contains(char::is_whitespace));
            // An address in a repository names a commit, so that its content cannot change.
            if let Some(address) = file.origin.strip_prefix("https://raw.githubusercontent.com/") {
                let commit = address.split('/').nth(2).unwrap();
                assert!(commit.len() == 40 && commit.chars().all(digit), "{commit}");
            }
            assert!(file.bytes > 0, "{}", file.path);
        }
    }
}

#[test]
fn an_unknown_name_gets_the_nearest_one() {
    let error = public_set("sacks").unwrap_err();
    assert_eq!(error.to_string(), "there is no public data set \"sacks\"");
    assert_eq!(error.hint().unwrap(), "the nearest name is \"sachs\"; `backstitch data list` shows all");
}

#[test]
fn sachs_is_what_the_catalogue_says() {
    let directory =
        DataDirectory::resolve(None).expect("BACKSTITCH_DATA is absolute, or a home folder is known");
    if std::env::var_os(DATA_VARIABLE).is_none() && !directory.is_required() {
        println!("skipped: {DATA_VARIABLE} is not set");
        return;
    }
    let set = public_set("sachs").unwrap();
    let Some(paths) = directory.files_of(set).unwrap_or_else(|error| panic!("{error}")) else {
        println!("skipped: {} does not hold {}", directory.root().display(), set.name);
        return;
    };
    for (path, file) in paths.iter().zip(set.files) {
        assert_eq!(path.metadata().unwrap().len(), file.bytes, "{}", file.path);
    }
    let table = read_table(&paths[0], &TableOptions::default()).unwrap();
    assert_eq!((table.values.rows(), table.values.columns()), (7_466, 11));
    assert_eq!(
        table.columns,
        ["raf", "mek", "plc", "pip2", "pip3", "erk", "akt", "pka", "pkc", "p38", "jnk"]
    );
    assert_eq!(table.values.row(0)[..3], [26.4, 13.2, 8.82]);
    let edges = read_edges(&paths[1], &table.columns).unwrap();
    assert_eq!(edges.len(), 20);
    let named = |from: &str, to: &str| {
        edges.iter().any(|edge| table.columns[edge.from] == from && table.columns[edge.to] == to)
    };
    assert!(named("erk", "akt") && named("raf", "mek") && !named("mek", "raf"));
}
