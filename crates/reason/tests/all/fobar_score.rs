//! The probabilities: closed forms, identities, and the limits.

use backstitch_reason::fobar::Combination::{Arithmetic, Geometric};
use backstitch_reason::fobar::score::{EPSILON, backward, combine, first_largest, forward};
use proptest::prelude::*;

fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1e-12), "{found} is not {expected}");
    }
}

#[test]
fn closed_forms() {
    assert_near(&forward(&[6, 3, 1]), &[0.6, 0.3, 0.1]);
    assert_near(
        &backward(&[Some(3), Some(1)]),
        &[(3.0 + 0.5e-8) / (4.0 + 1e-8), (1.0 + 0.5e-8) / (4.0 + 1e-8)],
    );
    // Nothing recovered: all the same, and the forward probability decides.
    let nothing = backward(&[Some(0), Some(0), Some(0)]);
    assert_near(&nothing, &[1.0 / 3.0; 3]);
    let geometric = combine(&[0.6, 0.3, 0.1], &nothing, 0.5, Geometric);
    let roots = [0.6_f64.sqrt(), 0.3_f64.sqrt(), 0.1_f64.sqrt()];
    let sum: f64 = roots.iter().sum();
    assert_near(&geometric, &roots.map(|root| root / sum));
    // Below the threshold.
    assert_near(&backward(&[Some(2), None]), &[(2.0 + EPSILON) / (2.0 + EPSILON), EPSILON]);
    // The ends: one of the two alone.
    let (f, b) = ([0.6, 0.3, 0.1], [0.1, 0.2, 0.7]);
    for combination in [Geometric, Arithmetic] {
        assert_near(&combine(&f, &b, 1.0, combination), &f);
        assert_near(&combine(&f, &b, 0.0, combination), &b);
    }
    assert_near(&combine(&f, &b, 0.25, Arithmetic), &[0.225, 0.225, 0.55]);
    // A candidate without any recovered mask loses against one that has some, but is not lost in rounding.
    let far = combine(&[0.9, 0.1], &backward(&[Some(0), Some(8)]), 0.5, Geometric);
    assert!(far[0] > 0.0 && far[0] < 1e-3);
    assert_eq!(first_largest(&[0.2, 0.4, 0.4]), Some(1));
    assert_eq!(first_largest(&[]), None);
}

proptest! {
    /// The combination is the normalised product of powers, adds up to one, and does not depend on the order of candidates.
    #[test]
    fn the_combination_is_the_product_of_powers(
        pairs in prop::collection::vec((1_u32..100, 0_u32..100), 1..8), alpha in 0.0..=1.0_f64,
    ) {
        let score = |pairs: &[(u32, u32)]| {
            let f = forward(&pairs.iter().map(|pair| pair.0).collect::<Vec<_>>());
            let b = backward(&pairs.iter().map(|pair| Some(pair.1)).collect::<Vec<_>>());
            (combine(&f, &b, alpha, Geometric), f, b)
        };
        let (combined, f, b) = score(&pairs);
        prop_assert!((combined.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        prop_assert!((b.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let products: Vec<f64> = f.iter().zip(&b).map(|(f, b)| f.powf(alpha) * b.powf(1.0 - alpha)).collect();
        let sum: f64 = products.iter().sum();
        for (found, product) in combined.iter().zip(&products) {
            prop_assert!((found - product / sum).abs() < 1e-10);
        }
        let mut turned = pairs.clone();
        turned.reverse();
        let (mut back, ..) = score(&turned);
        back.reverse();
        for (found, other) in combined.iter().zip(&back) {
            prop_assert!((found - other).abs() < 1e-12);
        }
    }
}
