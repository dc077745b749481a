//! Numbers in files.

/// Numbers of N bytes each, in the order in which they stand. Bytes left over at the end are left out.
pub(super) fn parsed<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}
