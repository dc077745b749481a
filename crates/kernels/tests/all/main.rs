//! All integration tests of this crate, one binary.

mod derivatives;
mod linear_recurrences;
mod operations;

use backstitch_numerics::Stream;

/// Random sizes, the first ones 0 and 1.
fn sizes<const N: usize>(case: u64, limits: [usize; N]) -> [usize; N] {
    let mut stream = Stream::new(case, "sizes");
    limits.map(|limit| match case {
        0 => 1,
        1..=3 => stream.below(3),
        _ => 1 + stream.below(limit),
    })
}

/// Normal draws.
fn draws(case: u64, purpose: &str, count: usize) -> Vec<f64> {
    let mut stream = Stream::new(case, purpose);
    (0..count).map(|_| stream.normal()).collect()
}

/// Cases of every test.
const CASES: u64 = 25;
