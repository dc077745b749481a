//! The memory a reader takes beside the values it gives back, measured in a process of its own.

#![cfg(target_os = "linux")]

use std::env;
use std::fs;
use std::io::{self, Read};
use std::process::Command;

use backstitch_data::{TableOptions, read_table_from};

/// 64 MiB of values.
const ROWS: usize = 1 << 19;
const COLUMNS: usize = 16;

/// Makes this process the one that is measured.
const CHILD: &str = "BACKSTITCH_TEST_MEMORY_CHILD";

/// Rows of numbers, made as they are read.
struct Rows {
    line: Vec<u8>,
    taken: usize,
    left: usize,
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.line.len() {
            (self.taken, self.left) = (0, self.left - 1);
        }
        if self.left == 0 {
            return Ok(0);
        }
        let length = buffer.len().min(self.line.len() - self.taken);
        buffer[..length].copy_from_slice(&self.line[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}

/// Largest resident size of this process so far, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("a number") * 1024
}

#[test]
fn a_table_takes_little_more_than_its_values() {
    if env::var_os(CHILD).is_some() {
        let before = peak();
        let line = format!("{}\n", vec!["0.123456789"; COLUMNS].join(",")).into_bytes();
        let table =
            read_table_from(Rows { line, taken: 0, left: ROWS }, "rows", &TableOptions::default()).unwrap();
        assert_eq!((table.values.rows(), table.values.columns()), (ROWS, COLUMNS));
        println!("took {}", peak() - before);
        return;
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["memory::a_table_takes_little_more_than_its_values", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout).into_owned();
    let taken = output.split("took ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let taken: usize = taken.unwrap_or_else(|| panic!("{output}")).parse().unwrap();
    let values = ROWS * COLUMNS * size_of::<f64>();
    println!("{values} bytes of values took {taken} bytes");
    // A quarter for growing in steps, and 4 MiB for buffers and the allocator. The text is 100 MB.
    assert!(taken <= values + values / 4 + (4 << 20), "{values} bytes of values took {taken} bytes");
}
