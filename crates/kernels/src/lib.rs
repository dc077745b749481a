//! Fused operations on the CPU, each with its backward pass.
//!
//! [`operations`] are functions on burn tensors. Where a tensor lives on burn's CPU backend in single precision they run the
//! kernels of this crate; elsewhere (a GPU, another precision) they are the composition of burn's own operations, which is also what
//! the tests hold the kernels to.
//!
//! The kernels themselves are functions on slices, generic over `f32` and `f64` so that their derivatives can be checked
//! against differences in double precision. SIMD is chosen at run time; the binary is built for any machine of its kind.
//! Work is cut into pieces of fixed size, and sums over pieces are taken in their order: the result does not depend on the number
//! of threads.

pub mod attention;
pub mod delta;
pub mod elementwise;
pub mod embedding;
pub mod linear;
pub mod loss;
pub mod memory;
pub mod norm;
pub mod operations;
mod product;
mod real;
pub mod recurrent;
pub mod rotary;
pub mod scan;
pub mod softmax;
pub mod step;

pub use real::Real;
