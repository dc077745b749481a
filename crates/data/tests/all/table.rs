//! The table reader: every form it takes and every message it gives.

use std::fs;
use std::io::{self, Read};

use backstitch_data::table::{
    Delimiter, Header, Table, TableError, TableOptions, read_table, read_table_from,
};
use flate2::Compression;
use flate2::read::GzEncoder;
use proptest::prelude::*;

fn read(text: impl AsRef<[u8]>) -> Result<Table, TableError> {
    read_with(text, &TableOptions::default())
}

fn read_with(text: impl AsRef<[u8]>, options: &TableOptions) -> Result<Table, TableError> {
    read_table_from(text.as_ref(), "t.csv", options)
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    GzEncoder::new(text, Compression::fast()).read_to_end(&mut packed).expect("memory");
    packed
}

/// The error of a text as users see it: the message, then its hint.
#[track_caller]
fn refused(text: impl AsRef<[u8]>) -> String {
    refused_with(text, &TableOptions::default())
}

#[track_caller]
fn refused_with(text: impl AsRef<[u8]>, options: &TableOptions) -> String {
    let error = read_with(text, options).expect_err("a refusal");
    format!("{error}\nhint: {}", error.hint().expect("a hint"))
}

const EXPECTED: [[f64; 2]; 2] = [[1.5, -2.0], [3e-7, 40.0]];

#[track_caller]
fn assert_expected(text: impl AsRef<[u8]>, columns: [&str; 2]) {
    let table = read(text).expect("a table");
    assert_eq!(table.columns, columns);
    assert_eq!(table.values.rows(), 2);
    assert_eq!(table.values.row(0), EXPECTED[0]);
    assert_eq!(table.values.row(1), EXPECTED[1]);
}

#[test]
fn every_form_reads_the_same() {
    let named = ["a", "b"];
    assert_expected("a,b\n1.5,-2\n3e-7,40\n", named);
    assert_expected("a,b\n1.5,-2\n3e-7,40", named);
    assert_expected("a\tb\n1.5\t-2\n3e-7\t40\n", named);
    assert_expected("a;b\n1.5;-2\n3e-7;40\n", named);
    assert_expected("a b\n1.5 -2\n3e-7 40\n", named);
    assert_expected("  a   b\n 1.5  -2  \n3e-7 \t 40\n", named);
    assert_expected("a,b\r\n1.5,-2\r\n3e-7,40\r\n", named);
    assert_expected("\u{feff}a,b\n1.5,-2\n3e-7,40\n", named);
    assert_expected("\"a\",\"b\"\n\"1.5\", \"-2\" \n3e-7,40\n", named);
    assert_expected("\"a\" \"b\"\n1.5 -2\n3e-7 40\n", named);
    assert_expected("a, b\n1.5, -2\n +3e-7 ,40.\n", named);
    assert_expected("a,b\n1.5,-2\n3e-7,40\n\n  \n\r\n", named);
    assert_expected(packed(b"a,b\n1.5,-2\n3e-7,40\n"), named);
    assert_expected(packed("\u{feff}a,b\r\n1.5,-2\r\n3e-7,40\r\n".as_bytes()), named);
    let two_members = [packed(b"a,b\n1.5,"), packed(b"-2\n3e-7,40\n")].concat();
    assert_expected(two_members, named);
    assert_expected("1.5,-2\n3e-7,40\n", ["0", "1"]);
    assert_expected("1.5 -2\n3e-7 40\n", ["0", "1"]);
    assert_expected("\"a, \"\"first\"\"\",b\n1.5,-2\n3e-7,40\n", ["a, \"first\"", "b"]);
    assert_expected("größe,重さ\n1.5,-2\n3e-7,40\n", ["größe", "重さ"]);
}

#[test]
fn a_header_can_be_forced_either_way() {
    let present = TableOptions { header: Header::Present, ..TableOptions::default() };
    let table = read_with("1990,1991\n1,2\n", &present).unwrap();
    assert_eq!((table.columns[0].as_str(), table.values.rows()), ("1990", 1));
    let absent = TableOptions { header: Header::Absent, ..TableOptions::default() };
    assert_eq!(
        refused_with("a,b\n1,2\n", &absent),
        "t.csv: line 1, column \"0\": \"a\" is not a number\nhint: drop the column, or encode its values as numbers"
    );
    // Years beside a name are a header; a first row with a gap is data, and refused as such.
    assert_eq!(read("place,1990\n1,2\n").unwrap().columns, ["place", "1990"]);
    assert!(refused("1,NA\n1,2\n").starts_with("t.csv: line 1, column \"1\": \"NA\" is a missing value\n"));
}

#[test]
fn a_delimiter_can_be_given() {
    let options = TableOptions { delimiter: Some(Delimiter::Semicolon), ..TableOptions::default() };
    let table = read_with("length, in metres;width\n1;2\n", &options).unwrap();
    assert_eq!(table.columns, ["length, in metres", "width"]);
    assert_eq!("tab".parse(), Ok(Delimiter::Tab));
    assert!("pipe".parse::<Delimiter>().unwrap_err().contains("use comma, tab, semicolon or whitespace"));
}

#[test]
fn one_row_and_one_column_are_tables() {
    let table = read("a,b,c\n1,2,3\n").unwrap();
    assert_eq!((table.values.rows(), table.values.columns()), (1, 3));
    let table = read("152\n75\n141\n").unwrap();
    assert_eq!((table.values.rows(), table.values.columns()), (3, 1));
}

#[test]
fn columns_are_found_by_name_or_position() {
    let table = read("height,1,age\n1,2,3\n").unwrap();
    assert_eq!(table.column_position("age"), Ok(2));
    assert_eq!(table.column_position("1"), Ok(1), "a name comes before a position");
    assert_eq!(table.column_position("0"), Ok(0));
    let error = table.column_position("hieght").unwrap_err();
    assert_eq!(error.to_string(), "the table has no column \"hieght\"");
    assert_eq!(error.hint().unwrap(), "the nearest name is \"height\"");
}

#[test]
fn missing_values_are_refused_by_name() {
    for missing in ["", " ", "NA", "na", "NaN", "nan", "?", "null", "NULL", "N/A", "None", "\"\""] {
        let message = refused(format!("age,height\n31,170\n28,{missing}\n"));
        assert!(message.starts_with("t.csv: line 3, column \"height\": "), "{missing:?}: {message}");
        assert!(message.contains("is a missing value\nhint: drop rows or columns"), "{missing:?}: {message}");
    }
}

#[test]
fn numbers_without_end_are_refused() {
    for infinite in ["inf", "-Infinity", "1e999"] {
        assert_eq!(
            refused(format!("a,b\n1,{infinite}\n")),
            format!(
                "t.csv: line 2, column \"b\": \"{infinite}\" is not a finite number\n\
                 hint: replace the value by a finite number, or drop the row"
            )
        );
    }
}

#[test]
fn numbers_without_end_are_kept_where_that_is_wanted() {
    let keep = TableOptions { keep_infinite: true, ..TableOptions::default() };
    let table = read_table_from("a,b\n1,inf\n-inf,1e999\n".as_bytes(), "t.csv", &keep).unwrap();
    assert_eq!(table.values.values(), [1.0, f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY]);
    let error = read_table_from("a,b\n1,nan\n".as_bytes(), "t.csv", &keep).unwrap_err();
    assert!(error.to_string().ends_with("\"nan\" is a missing value"), "{error}");
}

#[test]
fn text_is_refused_with_the_likely_reason() {
    assert_eq!(
        refused("name,age\nada,36\n"),
        "t.csv: line 2, column \"name\": \"ada\" is not a number\n\
         hint: drop the column, or encode its values as numbers"
    );
    assert_eq!(
        refused("a;b\n1,5;2\n"),
        "t.csv: line 2, column \"a\": \"1,5\" is not a number\n\
         hint: write numbers with a decimal point, not a comma"
    );
    assert_eq!(
        refused("a b\n1;2 3;4\n"),
        "t.csv: line 2, column \"a\": \"1;2\" is not a number\n\
         hint: if fields are separated by semicolon, give that delimiter"
    );
    let message = refused(format!("a,b\n1,{}\n", "x".repeat(1000)));
    assert!(message.starts_with(&format!("t.csv: line 2, column \"b\": \"{}…\" is not", "x".repeat(40))));
    // The separators of thousands of other languages.
    for text in ["1_000", "0x10", "1 000", "12%", "1.000.000", "--", "1e", "TRUE"] {
        assert!(refused(format!("a,b\n1,{text}\n")).contains("is not a number"), "{text}");
    }
}

#[test]
fn rows_of_another_width_are_refused() {
    assert_eq!(
        refused("a,b\n1,2\n3,4,5\n"),
        "t.csv: line 3 has 3 fields where 2 would be expected (separated by comma)\n\
         hint: give every row one field per column; quote names that hold a delimiter"
    );
    assert_eq!(
        refused("a,b\n1;2\n"),
        "t.csv: line 2 has 1 field where 2 would be expected (separated by comma)\n\
         hint: if fields are not separated by comma, give the delimiter"
    );
    assert!(refused("a,b,c\n1,2\n").contains("line 2 has 2 fields where 3 would be expected"));
    assert!(
        refused("my value\n1\n2\n")
            .contains("line 2 has 1 field where 2 would be expected (separated by whitespace)")
    );
}

#[test]
fn files_without_rows_are_refused() {
    let empty = "t.csv: the file is empty\nhint: check that the file was written completely";
    assert_eq!(refused(""), empty);
    assert_eq!(refused("\n\n  \n"), empty);
    assert_eq!(refused("\u{feff}"), empty);
    assert_eq!(refused(packed(b"")), empty);
    assert_eq!(
        refused("a,b\n"),
        "t.csv: the file has a header of 2 columns but no rows\n\
         hint: if the first line is data, read the table as one without a header"
    );
}

#[test]
fn headers_need_distinct_names() {
    assert_eq!(
        refused(",a,b\n0,1,2\n"),
        "t.csv: line 1: the header has no name at position 1\n\
         hint: name the column, or delete it (programs that write row numbers often leave their name empty)"
    );
    assert!(refused("a,b,\n1,2,\n").starts_with("t.csv: line 1: the header has no name at position 3\n"));
    assert_eq!(
        refused("a,b,a\n1,2,3\n"),
        "t.csv: line 1: the header has the name \"a\" twice\nhint: rename one of the two columns"
    );
}

#[test]
fn blank_lines_are_refused_unless_at_the_end() {
    let hint = "hint: delete the line; if it stands for a missing value, drop the row or fill the value in";
    assert_eq!(
        refused("a,b\n1,2\n\n3,4\n"),
        format!("t.csv: line 3 is blank but lines below it are not\n{hint}")
    );
    assert_eq!(refused("\na,b\n1,2\n"), format!("t.csv: line 1 is blank but lines below it are not\n{hint}"));
}

#[test]
fn quotes_must_close_on_their_line() {
    let message = "has a quote that is not closed, or text right after a closing quote\n\
                   hint: close the quote on its line, and double a quote inside quotes";
    assert_eq!(refused("a,b\n1,\"2\n3,4\n"), format!("t.csv: line 2 {message}"));
    assert_eq!(refused("a,b\n1,\"2\"3\n"), format!("t.csv: line 2 {message}"));
    assert_eq!(refused("a,\"b\n1,2\n"), format!("t.csv: line 1 {message}"));
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    let hint = "hint: save the file as UTF-8 text";
    assert_eq!(refused(b"a,b\n1,\xff\n"), format!("t.csv: line 2 is not UTF-8 text\n{hint}"));
    // UTF-16 with its byte order mark, as spreadsheets export it.
    assert_eq!(refused(b"\xff\xfea\0,\0b\0\n\0"), format!("t.csv: line 1 is not UTF-8 text\n{hint}"));
}

#[test]
fn line_ends_of_old_programs_are_named() {
    assert_eq!(
        refused("a,b\r1,2\r3,4\r"),
        "t.csv: line 1 has a carriage return that is not followed by a line feed\n\
         hint: save the file with line ends LF or CRLF"
    );
}

#[test]
fn a_packed_file_cut_short_is_refused() {
    let whole = packed("a,b\n1,2\n".repeat(1000).as_bytes());
    let message = refused(&whole[..whole.len() - 9]);
    assert!(message.starts_with("t.csv: "), "{message}");
    let whole = packed(b"a,b\n1,2\n3,4\n");
    let message = refused(&whole[..whole.len() - 9]);
    assert!(message.contains("reading failed after line"), "{message}");
    assert!(message.ends_with("hint: a packed file may be cut short; fetch or pack it again"), "{message}");
    assert!(refused([0x1f, 0x8b]).contains("reading failed after line 0"));
}

#[test]
fn paths_that_are_no_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nothing.csv");
    let error = read_table(&missing, &TableOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: there is no such file", missing.display()));
    assert_eq!(error.hint().unwrap(), "check the path; it is taken relative to the current folder");
    let error = read_table(folder.path(), &TableOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: this is a folder, not a file", folder.path().display()));
    let error = read_table(folder.path().join("a\0b"), &TableOptions::default()).unwrap_err();
    assert!(error.to_string().contains("the file cannot be opened: "), "{error}");
}

#[test]
fn the_name_of_a_packed_file_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("a.csv", packed(b"a,b\n1,2\n")), ("a.csv.gz", b"a,b\n1,2\n".to_vec())] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        assert_eq!(read_table(&path, &TableOptions::default()).unwrap().values.row(0), [1.0, 2.0]);
    }
}

/// A table that is made while it is read: a header, then `rows` rows of `columns` ones. Counts what was taken.
struct Endless {
    pending: Vec<u8>,
    row: Vec<u8>,
    rows: u64,
}

impl Endless {
    fn new(columns: usize, rows: u64) -> Self {
        let line = |field: &dyn Fn(usize) -> String| {
            let mut line = (0..columns).map(field).collect::<Vec<_>>().join(",").into_bytes();
            line.push(b'\n');
            line
        };
        Self { pending: line(&|column| format!("c{column}")), row: line(&|_| "1".into()), rows }
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pending.is_empty() {
            if self.rows == 0 {
                return Ok(0);
            }
            self.rows -= 1;
            self.pending.clone_from(&self.row);
        }
        let taken = buffer.len().min(self.pending.len());
        buffer[..taken].copy_from_slice(&self.pending[..taken]);
        self.pending.drain(..taken);
        Ok(taken)
    }
}

#[test]
fn a_table_above_the_limit_is_refused_when_it_gets_there() {
    let options = TableOptions { max_bytes: 1 << 20, ..TableOptions::default() };
    // 2^20 bytes are 13,107 rows of 10 numbers. The source would go on for 10^12 rows.
    let mut source = Endless::new(10, 1_000_000_000_000);
    let error = read_table_from(&mut source, "endless.csv", &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "endless.csv: line 13109: after 13107 rows of 10 columns, one more row is above the limit of 1048576 bytes \
         of values"
    );
    assert_eq!(error.hint().unwrap(), "read fewer rows or columns, or raise the limit if memory allows");
    // Packed: a thousand times smaller on disk, refused at the same row.
    let source = GzEncoder::new(Endless::new(10, 1_000_000_000_000), Compression::fast());
    let packed = read_table_from(source, "endless.csv", &options).unwrap_err();
    assert_eq!(packed.to_string(), error.to_string());
}

#[test]
fn a_line_without_end_is_refused() {
    let options = TableOptions { max_line_bytes: 1000, ..TableOptions::default() };
    for source in [
        Box::new(io::repeat(b'1')) as Box<dyn Read>,
        Box::new(GzEncoder::new(io::repeat(b'1'), Compression::fast())),
        Box::new("a,b\n1,".as_bytes().chain(io::repeat(b'\"'))),
        Box::new("a,b\n1,2\n".as_bytes().chain(io::repeat(b' '))),
    ] {
        let error = read_table_from(source, "line.csv", &options).unwrap_err();
        assert!(error.to_string().contains("is longer than 1000 bytes"), "{error}");
        assert!(error.hint().unwrap().contains("one row per line"));
    }
    // Exactly at the limit, with either line end, is still read.
    for end in ["\n", "\r\n", ""] {
        let text = format!("a\n{}1{end}", "0".repeat(999));
        assert_eq!(read_with(text, &options).unwrap().values.row(0), [1.0]);
    }
    assert!(read_with(format!("a\n{}1\n", "0".repeat(1000)), &options).is_err());
}

#[test]
fn too_many_columns_are_refused() {
    let message = refused("1,".repeat(1_000_001));
    assert!(message.starts_with("t.csv: line 1 has more than 1000000 columns\n"), "{message}");
}

proptest! {
    /// What another program's writer quotes and delimits is read back bit by bit.
    #[test]
    fn written_tables_are_read_back(
        columns in proptest::collection::hash_set("[a-z][ -~äß]{0,8}[a-z]", 1..6),
        rows in 1_usize..20,
        seed in any::<u64>(),
        delimiter in 0_usize..3,
        crlf in any::<bool>(),
        gzip in any::<bool>(),
    ) {
        let columns: Vec<String> = columns.into_iter().collect();
        let delimiter = [(b',', Delimiter::Comma), (b'\t', Delimiter::Tab), (b';', Delimiter::Semicolon)][delimiter];
        let mut state = seed;
        let values: Vec<f64> = (0..rows * columns.len()).map(|_| any_finite(&mut state)).collect();
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter.0)
            .terminator(if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
            .from_writer(Vec::new());
        writer.write_record(&columns).unwrap();
        for row in values.chunks(columns.len()) {
            writer.write_record(row.iter().map(|value| format!("{value:?}"))).unwrap();
        }
        writer.flush().unwrap();
        let mut text = writer.into_inner().unwrap();
        if gzip {
            text = packed(&text);
        }
        let options =
            TableOptions { delimiter: Some(delimiter.1), header: Header::Present, ..TableOptions::default() };
        let table = read_with(&text, &options).unwrap();
        prop_assert_eq!(&table.columns, &columns);
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(table.values.values()), bits(&values));
    }

    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(bytes);
    }
}

/// A finite number with any bits, from a linear congruential generator.
fn any_finite(state: &mut u64) -> f64 {
    loop {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let value = f64::from_bits(*state ^ (*state >> 29));
        if value.is_finite() {
            return value;
        }
    }
}
