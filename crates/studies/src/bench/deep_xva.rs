//! The bench of `deep-xva`: exposures and CVA of a forward and a call beside numpy, which does the same paths in whole arrays; CVA of a call
//! beside QuantLib's Monte Carlo of the option that dies at the same barrier; and the time to CVA beside our own simulation within a
//! simulation.

use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_science::deep_xva::{DeepXva, Method, Parameters, Portfolio, SetValuation, Training};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "deep-xva", works, ours };

/// Standard errors by which two simulations of the same may differ, and a share for the profile.
const ERRORS: f64 = 5.0;
const PROFILE: f64 = 0.03;

/// A forward and a call on one stock; the counterparty fails when the stock is high.
const PORTFOLIO: &str = r#"
[market]
rate = 0.02
[[factor]]
name = "stock"
start = 100.0
volatility = 0.25
[[counterparty]]
name = "firm"
assets = 1.0
barrier = 0.7
volatility = 0.3
recovery = 0.4
[[correlation]]
between = ["stock", "firm"]
value = -0.5
[[netting_set]]
name = "set"
counterparty = "firm"
[[trade]]
name = "forward"
netting_set = "set"
kind = "forward"
factors = ["stock"]
strike = 100.0
maturity = 1.0
[[trade]]
name = "call"
netting_set = "set"
kind = "call"
factors = ["stock"]
strike = 110.0
maturity = 1.0
"#;

/// A call whose counterparty fails when the stock itself falls to a barrier.
const BARRIER: &str = r#"
[market]
rate = 0.02
[[factor]]
name = "stock"
start = 100.0
volatility = 0.25
[[counterparty]]
name = "firm"
assets = 100.0
barrier = 80.0
volatility = 0.25
recovery = 0.4
[[correlation]]
between = ["stock", "firm"]
value = 1.0
[[netting_set]]
name = "set"
counterparty = "firm"
[[trade]]
name = "call"
netting_set = "set"
kind = "call"
factors = ["stock"]
strike = 100.0
maturity = 1.0
"#;

fn works(_: &Path) -> Result<Vec<Work>, String> {
    let mut works: Vec<Work> = [(20_480, 5), (204_800, 3)]
        .into_iter()
        .map(|(paths, repeat)| Work {
            name: format!("exposures and CVA of a forward and a call, {paths} paths, 50 dates"),
            peer: Some("numpy"),
            request: json!({"peer": "numpy", "work": "exposures", "paths": paths, "steps": 50, "repeat": repeat}),
            compare: Box::new(compare),
        })
        .collect();
    works.extend([(20_480, 3), (204_800, 1)].map(|(paths, repeat)| Work {
        name: format!("CVA of a call, default at a barrier on the stock, {paths} paths, 50 dates"),
        peer: Some("quantlib"),
        request: json!({"peer": "quantlib", "work": "barrier", "paths": paths, "steps": 50, "repeat": repeat}),
        compare: Box::new(compare),
    }));
    works.push(Work {
        name: "CVA with clean values learned, training included, beside inner simulations (ours)".into(),
        peer: None,
        request: json!({"work": "learned", "paths": 20_480, "inner": 500, "steps": 50}),
        compare: Box::new(|ours, _| {
            let [deep, nested] = ["deep", "nested"].map(|name| numbers(&ours[name]));
            let apart = (deep[0] - nested[0]).abs() / deep[1].hypot(nested[1]);
            // The inner simulations lift the nested value a little: it is convex in the clean value.
            let near = (deep[0] / nested[0] - 1.0).abs() < 0.03 || apart < ERRORS;
            let words = format!(
                "CVA {:.4} ({:.4}); inner simulations {:.4} ({:.4}) in {:.2} s",
                deep[0],
                deep[1],
                nested[0],
                nested[1],
                ours["nested_seconds"].as_f64().unwrap_or(f64::NAN)
            );
            (near, words)
        }),
    });
    Ok(works)
}

fn ours(request: &Value) -> Result<Reply, String> {
    let barrier = request["work"] == "barrier";
    let text = if barrier { BARRIER } else { PORTFOLIO };
    let portfolio = Portfolio::from_toml(text).map_err(|error| error.to_string())?;
    let number = |name: &str| request[name].as_u64().and_then(|value| usize::try_from(value).ok());
    let paths = number("paths").ok_or("the request has no paths")?;
    let steps = number("steps").ok_or("the request has no steps")?;
    let plain =
        Parameters { method: Method::Nested, antithetic: false, paths, steps, ..Parameters::default() };
    let (seconds, answer) = match request["work"].as_str() {
        Some("exposures" | "barrier") => {
            let mut times = Vec::new();
            let mut found = value(&plain, &portfolio)?;
            for _ in 0..number("repeat").unwrap_or(1) {
                let (seconds, again) = timed(&plain, &portfolio)?;
                times.push(seconds);
                found = again;
            }
            let seconds = backstitch_numerics::interval::median(&times).map_err(|error| error.to_string())?;
            let profile = [&found.profile.positive, &found.profile.negative];
            (seconds, json!({"cva": cva(&found)?, "positive": profile[0], "negative": profile[1]}))
        }
        Some("learned") => {
            let inner = number("inner").ok_or("the request has no inner")?;
            let training = Training { iterations: 400, batch: 128, ..Training::default() };
            let deep = Parameters {
                formulas: false,
                method: Method::Deep,
                training,
                antithetic: true,
                ..plain.clone()
            };
            let nested = Parameters { formulas: false, inner_paths: inner, ..plain };
            let (seconds, learned) = timed(&deep, &portfolio)?;
            let (nested_seconds, brute) = timed(&nested, &portfolio)?;
            (
                seconds,
                json!({"deep": cva(&learned)?, "nested": cva(&brute)?, "nested_seconds": nested_seconds}),
            )
        }
        _ => return Err("the request names no work".into()),
    };
    Ok(Reply { version: env!("CARGO_PKG_VERSION").to_owned(), seconds, peak_bytes: peak_bytes(), answer })
}

fn value(parameters: &Parameters, portfolio: &Portfolio) -> Result<SetValuation, String> {
    let valuation = DeepXva::new(parameters.clone()).and_then(|method| method.value(portfolio));
    Ok(valuation.map_err(|error| error.to_string())?.sets.swap_remove(0))
}

fn timed(parameters: &Parameters, portfolio: &Portfolio) -> Result<(f64, SetValuation), String> {
    let begin = Instant::now();
    let found = value(parameters, std::hint::black_box(portfolio))?;
    Ok((begin.elapsed().as_secs_f64(), found))
}

/// CVA and its standard error.
fn cva(set: &SetValuation) -> Result<[f64; 2], String> {
    let estimate = set.values.adjustments[0].ok_or("there is no CVA")?;
    Ok([estimate.mean, estimate.standard_error])
}

fn numbers(answer: &Value) -> Vec<f64> {
    let found: Vec<f64> = answer.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    if found.is_empty() { vec![f64::NAN; 2] } else { found }
}

fn compare(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let own = numbers(&ours["cva"]);
    let words = format!("CVA {:.4} ({:.4})", own[0], own[1]);
    let Some(theirs) = theirs else { return (own[0] > 0.0, words) };
    let other = numbers(&theirs["cva"]);
    let apart = (own[0] - other[0]).abs() / own[1].hypot(other[1]);
    let mut same = apart < ERRORS;
    for profile in ["positive", "negative"].into_iter().filter(|profile| theirs[profile].is_array()) {
        let (own, other) = (numbers(&ours[profile]), numbers(&theirs[profile]));
        let largest = own.iter().copied().fold(0.0, f64::max);
        same &= own.len() == other.len()
            && own.iter().zip(&other).all(|(own, other)| (own - other).abs() < PROFILE * largest);
    }
    (same, format!("{words}; the peer {:.4} ({:.4})", other[0], other[1]))
}
