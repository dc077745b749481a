//! The memory that training takes, measured in a process of its own.

#![cfg(target_os = "linux")]

use std::env;
use std::fs;
use std::process::Command;

use backstitch_data::catalogue::public_set;
use backstitch_data::{DataDirectory, LibsvmOptions, read_libsvm};
use backstitch_optimize::ef21_w::{Ef21W, Federated, Parameters, Split, smoothness_of_rows};
use backstitch_optimize::objective::{Classes, Loss, Regulariser};

/// Makes this process the one that is measured, with the file to train on.
const CHILD: &str = "BACKSTITCH_TEST_MEMORY_CHILD";

/// Largest resident size of this process so far, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") * 1024
}

#[test]
fn sparse_data_stays_sparse() {
    if let Some(file) = env::var_os(CHILD) {
        let before = peak();
        let data = read_libsvm(file, &LibsvmOptions::default()).unwrap();
        let signs = Classes::of(&data.labels, None).unwrap().signs(&data.labels);
        let federated = Federated::new(&data.features, &signs, 100, Split::Label, 0).unwrap();
        drop(data);
        let clients = federated.objectives(Loss::Logistic, Regulariser::Bounded(1e-3)).unwrap();
        let smoothness = smoothness_of_rows(&clients).unwrap();
        let method = Ef21W::new(Parameters { rounds: 20, ..Parameters::default() }).unwrap();
        let fit = method.fit(&clients, &smoothness).unwrap();
        assert_eq!(fit.rounds, 20);
        println!("took {}", peak() - before);
        return;
    }
    let directory = DataDirectory::resolve(None).expect("a data directory");
    for name in ["a9a", "w8a"] {
        let set = public_set(name).unwrap();
        let Some(paths) = directory.files_of(set).unwrap_or_else(|error| panic!("{error}")) else {
            println!("skipped: {} does not hold {name}", directory.root().display());
            continue;
        };
        let child = Command::new(env::current_exe().unwrap())
            .args(["memory::sparse_data_stays_sparse", "--exact", "--nocapture"])
            .env(CHILD, &paths[0])
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&child.stdout).into_owned();
        let taken = output.split("took ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let taken: u64 = taken.unwrap_or_else(|| panic!("{output}")).parse().unwrap();
        // Dense, w8a would take 119 MB. 4 MiB for buffers, threads and the allocator.
        let text = set.files[0].bytes;
        println!("{name}: {text} bytes of text took {taken} bytes");
        assert!(taken <= 3 * text + (4 << 20), "{name}: {text} bytes of text took {taken} bytes");
    }
}
