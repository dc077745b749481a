//! How far sums and products in double precision can be from the real ones.
//!
//! A sum of n products, in whatever order and with or without fused multiplication, differs from the real one by at most
//! γ(n) Σ|aᵢbᵢ| with γ(n) = n u/(1 − n u), u = 2⁻⁵³. [`factor`] is several times that, so that the sizes it multiplies may
//! themselves be rounded.

/// An upper bound on the relative error of a sum of `terms` products, with room for the rounding of what it multiplies.
pub(super) fn factor(terms: usize) -> f64 {
    2.0 * f64::EPSILON * (terms as f64 + 16.0)
}
