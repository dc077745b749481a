//! `run deep-xva` on portfolios.

use crate::sandbox::Sandbox;

const QUICK: [&str; 9] =
    ["run", "deep-xva", "portfolio.toml", "--paths", "512", "--steps", "6", "--iterations", "3"];
const NESTED: [&str; 4] = ["--method", "nested", "--inner", "5"];

/// A sandbox with the portfolio that the command prints itself.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let example = sandbox.expect(0, &["run", "deep-xva", "--example"]).stdout;
    sandbox.write("portfolio.toml", example);
    sandbox
}

/// The same without initial margin.
fn without_margin(sandbox: &Sandbox) {
    let example = sandbox.read("portfolio.toml");
    let lines =
        example.lines().filter(|line| !line.starts_with("margin_level") && !line.starts_with("margin_days"));
    let rest: Vec<&str> = lines.collect();
    sandbox.write("portfolio.toml", rest.join("\n"));
}

#[test]
fn the_example_is_valued_by_every_method() {
    let sandbox = sandbox();
    for method in ["deep", "lsmc", "nested"] {
        if method == "nested" {
            let refused = sandbox.expect(2, &[&QUICK[..], &NESTED].concat()).stderr;
            assert!(refused.contains("netting set `volt-energy` has initial margin"), "{refused}");
            without_margin(&sandbox);
        }
        let rest = ["--method", method, "--inner", "5", "--out", method];
        let printed = sandbox.expect(0, &[&QUICK[..], &rest].concat()).stdout;
        assert!(printed.contains("acme-options") && printed.contains("Adjusted value"), "{printed}");
        // Networks alone have a mismatch at the end.
        assert_eq!(printed.contains("mismatch: a posteriori"), method == "deep", "{printed}");
        assert!(printed.contains(" ?\n") || printed.contains(" ? "), "{printed}");
        // Funding is not simulated within simulations.
        assert_eq!(printed.contains("-: not valued by this method"), method == "nested", "{printed}");
        let derivatives = sandbox.read(&format!("{method}/sensitivities.csv"));
        assert!(derivatives.starts_with("netting_set,driver,quantity,derivative,standard_error\n"));
        // No collateral and no margin: exactly 0, not noise.
        let adjustments = sandbox.read(&format!("{method}/adjustments.csv"));
        assert!(adjustments.contains("netting set,acme-options,ColVA,0,0\n"), "{adjustments}");
        assert!(adjustments.contains("netting set,acme-options,MVA,0,0\n"), "{adjustments}");
        assert_eq!(
            sandbox.entries(method),
            [
                "adjustments.csv",
                "profile-1.svg",
                "profile-2.svg",
                "profiles.csv",
                "sensitivities.csv",
                "summary.json"
            ]
        );
        // Two sets, each with every date: 0 and six steps, among which the maturity at half a year is one.
        assert_eq!(sandbox.read(&format!("{method}/profiles.csv")).lines().count(), 1 + 2 * 7);
    }
}

#[test]
fn json_says_the_same_on_any_number_of_threads() {
    let sandbox = sandbox();
    let found = sandbox.expect(0, &[&QUICK[..], &["--json"]].concat()).json();
    assert_eq!(found, sandbox.expect(0, &[&QUICK[..], &["--json", "--threads", "1"]].concat()).json());
    let set = &found["netting_sets"][0];
    assert!(
        set["cva"]["value"].as_f64().unwrap() > 0.0 && set["cva"]["standard_error"].as_f64().unwrap() > 0.0
    );
    let total =
        ["cva", "colva", "mva", "fva"].map(|name| set[name]["value"].as_f64().unwrap()).iter().sum::<f64>();
    let total = total - set["dva"]["value"].as_f64().unwrap();
    assert!((set["total"]["value"].as_f64().unwrap() - total).abs() < 1e-9);
    without_margin(&sandbox);
    let nested = sandbox.expect(0, &[&QUICK[..], &["--json"], &NESTED].concat()).json();
    // Without margin there is nothing to pay for it; funding is not simulated within simulations.
    let set = &nested["netting_sets"][0];
    assert!(set["fva"].is_null() && set["mva"]["value"] == 0.0, "{set}");
}

/// What cannot be used is refused with code 2, in words that name it; nothing is written.
#[test]
fn mistakes() {
    let sandbox = sandbox();
    let example = sandbox.read("portfolio.toml");
    let refused = |from: &str, to: &str, words: &str| {
        assert!(example.contains(from), "{from}");
        sandbox.write("wrong.toml", example.replacen(from, to, 1));
        let stderr = sandbox.expect(2, &["run", "deep-xva", "wrong.toml", "--out", "found"]).stderr;
        assert!(stderr.contains("wrong.toml: ") && stderr.contains(words), "{stderr}");
    };
    refused(
        "volatility = 0.25 ",
        "volatility = -1",
        "volatility of factor `index` is -1, but must be above 0 and at most 10",
    );
    refused("barrier = 0.6", "barrier = 1.5", "the bank is already in default at inception");
    refused("[\"index\", \"acme\"]", "[\"index\", \"acne\"]", "did you mean `acme`?");
    refused("value = -0.5", "value = -1.01", "between -1 and 1");
    refused("[market]", "[markets]", "unknown field `markets`");
    refused("rate = 0.02 ", "rate = 2 %", "line 4");
    refused("borrowing = 0.04", "borrowing = nan", "market borrowing is NaN");
    refused("maturity = 0.5", "maturity = -0.5", "maturity of trade `sold-put` is -0.5");
    refused("recovery = 0.3", "recovery = 30", "between 0 and 1");
    refused("factors = [\"power\"]", "factors = [\"powr\"]", "did you mean `power`?");
    refused("name = \"volt\"", "name = \"acme\"", "the name `acme` is given twice");
    refused(
        "value = 0.3",
        "value = 0.3\n[[correlation]]\nbetween = [\"acme\", \"bank\"]\nvalue = 0.95",
        "smallest eigenvalue is -0.",
    );
    let refused = |rest: &[&str], words: &str| {
        let stderr = sandbox.expect(2, &[&["run", "deep-xva"], rest].concat()).stderr;
        assert!(stderr.contains(words), "{stderr}");
    };
    refused(&["absent.toml"], "absent.toml cannot be read");
    refused(&["portfolio.toml", "--paths", "1"], "paths is 1, but must be between 2 and");
    refused(&["portfolio.toml", "--steps", "0"], "steps is 0");
    refused(&["portfolio.toml", "--method", "exact"], "invalid value 'exact'");
    refused(&[], "<PORTFOLIO>");
    assert!(!sandbox.path("found").exists());
}
