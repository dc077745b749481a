//! The reader of sparse rows.

use std::path::Path;

use backstitch_data::catalogue::public_set;
use backstitch_data::{DataDirectory, LibsvmData, LibsvmOptions, read_libsvm, read_libsvm_from};
use proptest::prelude::*;

fn read(text: &str) -> LibsvmData {
    read_libsvm_from(text.as_bytes(), "d.txt", &LibsvmOptions::default()).expect("rows")
}

/// The error as users see it: the message, then its hint.
#[track_caller]
fn refused_with(text: &str, options: &LibsvmOptions) -> String {
    let error = read_libsvm_from(text.as_bytes(), "d.txt", options).expect_err("a refusal");
    format!("{error}\nhint: {}", error.hint().expect("a hint"))
}

#[track_caller]
fn refused(text: &str) -> String {
    refused_with(text, &LibsvmOptions::default())
}

#[test]
fn rows_are_read_as_they_stand() {
    let data = read("# made by hand\n+1 1:0.5 3:2 # first\n-1\n\t2.5  2:-1e-3 4:0\r\n\n");
    assert_eq!(data.labels, [1.0, -1.0, 2.5]);
    // An entry of zero is not kept, but its feature is there.
    assert_eq!((data.features.rows(), data.features.columns(), data.features.entries()), (3, 4, 3));
    assert_eq!(data.features.to_dense().row(0), [0.5, 0.0, 2.0, 0.0]);
    assert_eq!(data.features.to_dense().row(2), [0.0, -1e-3, 0.0, 0.0]);
}

#[test]
fn indices_may_count_from_zero() {
    let options = LibsvmOptions { zero_based: true, ..LibsvmOptions::default() };
    let data = read_libsvm_from("1 0:2 1:3\n".as_bytes(), "d.txt", &options).unwrap();
    assert_eq!(data.features.to_dense().row(0), [2.0, 3.0]);
    assert_eq!(
        refused("-1 1:1\n1 0:2 1:3\n"),
        "d.txt: line 2: the index is 0, but indices count from 1\nhint: read the file as one whose indices count from 0"
    );
}

#[test]
fn the_number_of_features_can_be_given() {
    let options = LibsvmOptions { features: Some(5), ..LibsvmOptions::default() };
    let data = read_libsvm_from("1 2:3\n".as_bytes(), "d.txt", &options).unwrap();
    assert_eq!(data.features.columns(), 5);
    assert_eq!(
        refused_with("1 2:3\n1 6:1\n", &options),
        "d.txt: line 2: the index is 6, but must be at most 5\n\
         hint: give data with the features that were used before, or another number of features"
    );
    for (zero_based, text) in [(true, "1 0:1\n"), (false, "1 1:1\n")] {
        let none = LibsvmOptions { zero_based, features: Some(0), ..LibsvmOptions::default() };
        assert!(refused_with(text, &none).contains("must be at most 0"));
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_line_and_a_way_out() {
    assert_eq!(
        refused("1 1:1\n1 1:1 5:1 3:1\n"),
        "d.txt: line 2: index 3 comes after index 5; the indices of a line must ascend\n\
         hint: sort the entries of every line by their index"
    );
    assert_eq!(
        refused("1 5:1 5:2\n"),
        "d.txt: line 1: index 5 stands there twice\nhint: keep one of the two entries"
    );
    assert_eq!(
        refused("1:2 2:3\n"),
        "d.txt: line 1 has no label: it begins with \"1:2\"\nhint: begin every line with its label, such as `+1 3:0.5`"
    );
    assert_eq!(
        refused("spam 1:2\n"),
        "d.txt: line 1: the label \"spam\" is not a finite number\nhint: encode labels as numbers, such as +1 and -1"
    );
    assert!(refused("1,2 1:2\n").ends_with("rows of several labels are not read"));
    assert!(refused("1 qid:3 1:2\n").ends_with("delete the qid: fields; they are for ranking"));
    assert!(refused("1 1:2 3\n").starts_with("d.txt: line 1: \"3\" is not an entry index:value"));
    assert!(refused("1 -4:2\n").starts_with("d.txt: line 1: the index \"-4\" is not a whole number"));
    assert!(
        refused("1 7:1e400\n")
            .starts_with("d.txt: line 1, index 7: the value \"1e400\" is not a finite number")
    );
    assert_eq!(
        refused("1 16777217:1\n"),
        "d.txt: line 1: the index is 16777217, but must be at most 16777216\n\
         hint: number features without large gaps, or give the number of features if memory allows"
    );
    assert!(refused("1 1:1\n\n1 1:1\n").starts_with("d.txt: line 2 is blank but lines below it are not"));
    assert!(refused("# nothing\n").starts_with("d.txt: the file has no rows"));
    let short = LibsvmOptions { max_line_bytes: 64, ..LibsvmOptions::default() };
    let long = format!("1 1:1\n1 {}\n", (1..50).map(|index| format!("{index}:1 ")).collect::<String>());
    assert!(refused_with(&long, &short).starts_with("d.txt: line 2 is longer than 64 bytes"));
    let small = LibsvmOptions { max_bytes: 100, ..LibsvmOptions::default() };
    assert!(
        refused_with(&"1 1:1 2:1\n".repeat(20), &small)
            .starts_with("d.txt: line 4: after 3 rows, the next one is above the limit of 100 bytes")
    );
    assert!(read_libsvm(Path::new("/nowhere/d.txt"), &LibsvmOptions::default()).is_err());
}

#[test]
fn public_sets_are_read_in_less_memory_than_their_text_takes() {
    let directory = DataDirectory::resolve(None).expect("a data directory");
    let known = [
        ("a9a", 32_561, 123, 451_592),
        ("w8a", 49_749, 300, 579_586),
        ("phishing", 11_055, 68, 331_650),
        ("mushrooms", 8_124, 112, 170_604),
    ];
    for (name, rows, features, entries) in known {
        let set = public_set(name).unwrap();
        let Some(paths) = directory.files_of(set).unwrap_or_else(|error| panic!("{error}")) else {
            println!("skipped: {} does not hold {name}", directory.root().display());
            continue;
        };
        let data = read_libsvm(&paths[0], &LibsvmOptions::default()).unwrap();
        assert_eq!(
            (data.features.rows(), data.features.columns(), data.features.entries()),
            (rows, features, entries)
        );
        // Phishing has 331,650 values besides 1; the other sets have none.
        let most = if name == "phishing" { 3 * set.files[0].bytes } else { set.files[0].bytes };
        assert!((data.features.bytes() + 8 * rows) as u64 <= most, "{name}: {} bytes", data.features.bytes());
    }
}

proptest! {
    /// What is written is read back, entry by entry.
    #[test]
    fn written_rows_are_read_back(
        rows in prop::collection::vec((-5.0..5.0f64, prop::collection::btree_map(1..200_usize, -1e3..1e3f64, 0..9)), 1..20)
    ) {
        let text: String = rows
            .iter()
            .map(|(label, entries)| {
                let entries: String = entries.iter().map(|(index, value)| format!(" {index}:{value}")).collect();
                format!("{label}{entries}\n")
            })
            .collect();
        let data = read(&text);
        for (row, (label, entries)) in rows.iter().enumerate() {
            prop_assert_eq!(data.labels[row], *label);
            let read: Vec<(usize, f64)> = data.features.row(row).iter().collect();
            let expected: Vec<(usize, f64)> =
                entries.iter().filter(|(_, value)| **value != 0.0).map(|(index, value)| (index - 1, *value)).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
