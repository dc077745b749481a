//! What a portfolio can be wrong in.

use backstitch_science::Error;
use backstitch_science::deep_xva::{DeepXva, EXAMPLE, Parameters, Portfolio};

/// The example with one change, and what is said of it.
fn refused(from: &str, to: &str) -> String {
    assert!(EXAMPLE.contains(from), "{from}");
    Portfolio::from_toml(&EXAMPLE.replacen(from, to, 1)).unwrap_err().to_string()
}

#[test]
fn the_example_is_read() {
    let portfolio = Portfolio::from_toml(EXAMPLE).unwrap();
    assert_eq!((portfolio.factors.len(), portfolio.counterparties, portfolio.netting_sets.len()), (2, 2, 2));
    assert_eq!(portfolio.bank(), Some(2));
    assert_eq!(portfolio.horizon(), 1.0);
    assert_eq!(portfolio.netting_sets[1].collateral(7.0), 2.0);
    assert_eq!(portfolio.netting_sets[1].collateral(-9.0), -4.0);
    assert_eq!(portfolio.netting_sets[0].collateral(1e9), 0.0);
    // What is left out is the risk-free rate.
    let without = EXAMPLE.replacen("lending = 0.025", "", 1);
    assert_eq!(Portfolio::from_toml(&without).unwrap().market.lending, 0.02);
}

#[test]
fn numbers_outside_their_range_are_named() {
    let text = refused("volatility = 0.25  ", "volatility = -0.25");
    assert_eq!(
        text,
        "volatility of factor `index` is -0.25, but must be above 0 and at most 10; give it per year, as in 0.25"
    );
    assert!(refused("volatility = 0.25  ", "volatility = 1e200").contains("at most 10"));
    assert!(refused("volatility = 12.0", "volatility = -1.0").contains("in the units of the factor"));
    assert!(refused("start = 100.0", "start = -3.0").contains("take kind \"ou\""));
    assert!(refused("recovery = 0.3", "recovery = 1.3").contains("recovery of counterparty `volt` is 1.3"));
    assert!(refused("maturity = 0.5", "maturity = 0.0").contains("maturity of trade `sold-put` is 0"));
    assert!(refused("strike = 90.0", "strike = nan").contains("strike of trade `sold-put` is NaN"));
    assert!(refused("margin_level = 0.99", "margin_level = 99").contains("between 0.5 and 1"));
    assert!(refused("quantity = -1.0", "quantity = 0").contains("leave the trade out"));
    assert!(refused("reversion = 1.5", "reversion = -1.5").contains("reversion of factor `power` is -1.5"));
    assert!(refused("rate = 0.02 ", "rate = inf").contains("market rate is inf"));
    assert!(refused("value = -0.5", "value = -1.5").contains("correlation of `index` and `acme` is -1.5"));
    assert!(refused("maturity = 0.5", "maturity = -1.0").contains("above 0 and at most 100"));
    assert!(refused("rate = 0.02 ", "rate = 2000.0").contains("between -10 and 10"));
    assert!(refused("recovery = 0.3", "recovery = -0.1").contains("between 0 and 1"));
    assert!(
        refused("threshold_posted = 5.0", "threshold_posted = -5.0")
            .contains("threshold_posted of netting set `volt-energy`")
    );
}

#[test]
fn what_is_not_a_number_is_no_number_left_out() {
    for (from, name) in [
        ("borrowing = 0.04 ", "market borrowing"),
        ("start = 100.0", "start of factor `index`"),
        ("start = 50.0", "start of factor `power`"),
        ("volatility = 12.0", "volatility of factor `power`"),
        ("mean = 52.0", "mean of factor `power`"),
        ("barrier = 0.7", "barrier of counterparty `acme`"),
        ("assets = 1.0", "assets of the bank"),
        ("recovery = 0.3", "recovery of counterparty `volt`"),
        ("value = -0.5", "correlation of `index` and `acme`"),
        ("threshold_received = 5.0", "threshold_received of netting set `volt-energy`"),
        ("margin_days = 10", "margin_days of netting set `volt-energy`"),
        ("maturity = 0.5", "maturity of trade `sold-put`"),
        ("quantity = 2.0", "quantity of trade `call`"),
    ] {
        let key = from.split(' ').next().unwrap();
        let text = refused(from, &format!("{key} = nan "));
        assert!(text.contains(&format!("{name} is NaN, but must be ")), "{text}");
    }
    assert!(
        refused("weights = [0.5, 1.0]", "weights = [0.5, nan]").contains("a weight of trade `basket` is NaN")
    );
}

#[test]
fn a_firm_at_its_barrier_is_in_default() {
    let text = refused("barrier = 0.6", "barrier = 1.0");
    assert!(text.starts_with("the bank is already in default at inception"), "{text}");
    let text = refused("barrier = 0.7", "barrier = 1.2");
    assert!(text.contains("counterparty `acme` is already in default") && text.contains("1.2"), "{text}");
}

#[test]
fn unknown_names_come_with_the_nearest() {
    let text = refused("between = [\"index\", \"bank\"]", "between = [\"indx\", \"bank\"]");
    assert_eq!(
        text,
        "a correlation names the factor or firm `indx`, which is not there; did you mean `index`?"
    );
    let text = refused("counterparty = \"acme\"  ", "counterparty = \"akme\"");
    assert!(text.contains("netting set `acme-options`") && text.contains("did you mean `acme`?"), "{text}");
    let text = refused("factors = [\"power\"]", "factors = [\"gas\"]");
    assert!(text.contains("trade `power-forward`") && text.contains("given are index, power"), "{text}");
    assert!(refused("threshold_received", "treshold_received").contains("unknown field `treshold_received`"));
    assert!(refused("name = \"basket\"", "name = \"call\"").contains("`call` is given twice"));
    assert!(refused("name = \"volt\"", "name = \"index\"").contains("`index` is given twice"));
    assert!(refused("name = \"acme-options\"", "name = \"acme\"").contains("`acme` is given twice"));
    assert!(refused("name = \"index\"", "name = \" \"").contains("a name is empty"));
    assert!(refused("name = \"volt\"", "name = \"bank\"").contains("the name `bank` is that of the bank"));
    assert!(refused("[bank] ", "[bank]\nname = \"us\" ").contains("leave out the name in [bank]"));
    assert!(
        refused("netting_set = \"volt-energy\"", "netting_set = \"volt-energi\"").contains("did you mean")
    );
    assert!(refused("kind = \"forward\"", "kind = \"future\"").contains("unknown variant `future`"));
}

#[test]
fn correlations_that_cannot_be_are_told_by_their_smallest_eigenvalue() {
    let more = "[[correlation]]\nbetween = [\"acme\", \"bank\"]\nvalue = 0.95\n\n[[netting_set]]\nname = \"acme-options\"";
    let text = refused("[[netting_set]]\nname = \"acme-options\"", more);
    assert!(text.contains("not positive semi-definite: its smallest eigenvalue is -0."), "{text}");
    let error = Portfolio::from_toml(&EXAMPLE.replacen("[[netting_set]]\nname = \"acme-options\"", more, 1));
    // Three drivers with correlations −0.5, 0.3 and 0.95: the root of the characteristic polynomial.
    let Err(Error::Correlation { smallest, names }) = error else { panic!("{error:?}") };
    let (a, b, c): (f64, f64, f64) = (-0.5, 0.3, 0.95);
    let x = 1.0 - smallest;
    let polynomial = x.powi(3) - x * (a * a + b * b + c * c) - 2.0 * a * b * c;
    assert!(
        polynomial.abs() < 1e-9 || (x.powi(3) - x * (a * a + b * b + c * c) + 2.0 * a * b * c).abs() < 1e-9
    );
    assert!(names.contains("acme") && names.contains("bank"), "{names}");
}

#[test]
fn shapes_that_do_not_fit_are_told() {
    assert!(refused("weights = [0.5, 1.0]", "weights = [0.5]").contains("1 weights for 2 factors"));
    assert!(refused("factors = [\"power\"]", "factors = []").contains("written on no factor"));
    assert!(
        refused("between = [\"index\", \"bank\"]", "between = [\"acme\", \"index\"]").contains("given twice")
    );
    // Also where the first of them is 0.
    let twice = "value = 0.0\n\n[[correlation]]\nbetween = [\"acme\", \"index\"]\nvalue = -0.5";
    assert!(refused("value = -0.5", twice).contains("given twice"));
    let text = Portfolio::from_toml("market = 3").unwrap_err().to_string();
    assert!(text.starts_with("the portfolio cannot be read"), "{text}");
    let empty = EXAMPLE.replacen("netting_set = \"acme-options\"", "netting_set = \"volt-energy\"", 2);
    assert!(Portfolio::from_toml(&empty).unwrap_err().to_string().contains("`acme-options` has no trade"));
}

#[test]
fn parameters_have_ranges() {
    let refused = |change: fn(&mut Parameters)| {
        let mut parameters = Parameters::default();
        change(&mut parameters);
        DeepXva::new(parameters).unwrap_err().to_string()
    };
    assert!(refused(|p| p.paths = 1).contains("paths is 1"));
    assert!(refused(|p| p.steps = 0).contains("steps is 0"));
    assert!(refused(|p| p.training.learning_rate = f64::NAN).contains("learning_rate is NaN"));
    assert!(refused(|p| p.training.hidden = vec![0]).contains("a hidden width is 0"));
    assert!(refused(|p| p.tilt_below = 2.0).contains("tilt_below is 2"));
}
