//! The bench of `ef21-w`: rounds of EF21 with Top-1 on rows of indicators, beside transcriptions in numpy and scipy.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use backstitch_claim::bench::{Reply, peak_bytes};
use backstitch_data::libsvm::{LibsvmOptions, read_libsvm};
use backstitch_numerics::Stream;
use backstitch_optimize::ef21_w::{
    Algorithm, Ef21W, Federated, Parameters, Smoothness, Split, Step, smoothness_of_rows,
};
use backstitch_optimize::objective::{Loss, Regulariser, RowObjective};
use serde_json::{Value, json};

use super::{Bench, Work};

/// The bench.
pub static BENCH: Bench = Bench { environment: "ef21-w", works, ours };

/// The shape of a9a: so many people, 14 questions of one answer each, 123 answers in all.
const ROWS: usize = 32_561;
const ANSWERS: [usize; 14] = [5, 8, 5, 16, 5, 7, 14, 6, 5, 2, 2, 2, 5, 41];
const REGULARISER: f64 = 1e-3;
/// Points may differ by this share of the largest weight: sums are taken in other orders.
const SAME: f64 = 1e-9;

fn works(folder: &Path) -> Result<Vec<Work>, String> {
    let file = folder.join("indicators.txt");
    std::fs::write(&file, indicators()).map_err(|error| format!("{}: {error}", file.display()))?;
    // Twenty workers, and the paper's thousand.
    let sizes = [(20, 1000, "numpy"), (20, 1000, "scipy"), (1000, 100, "numpy"), (1000, 100, "scipy")];
    sizes.iter().map(|&(clients, rounds, peer)| work(&file, clients, rounds, peer)).collect()
}

fn work(file: &Path, clients: usize, rounds: usize, peer: &'static str) -> Result<Work, String> {
    let features: usize = ANSWERS.iter().sum();
    let data = Rows::read(file, features, clients)?;
    // Both sides are told the step, so that both take the same rounds.
    let step = data.certified_step()?;
    let request = json!({
        "peer": peer, "data": file, "features": features, "clients": clients, "step": step,
        "regulariser": REGULARISER, "rounds": rounds, "repeat": 1,
    });
    Ok(Work {
        name: format!(
            "{rounds} rounds of EF21 with Top-1, {ROWS} rows of 14 indicators, {clients} clients, beside {peer}"
        ),
        peer: Some(peer),
        request,
        compare: Box::new(compare),
    })
}

/// People who answer 14 questions at random, and whether a random weighing of their answers is large.
fn indicators() -> String {
    let mut stream = Stream::new(0, "ef21-w bench");
    let features: usize = ANSWERS.iter().sum();
    let weights: Vec<f64> = (0..features).map(|_| stream.normal()).collect();
    let mut text = String::new();
    for _ in 0..ROWS {
        let (mut begin, mut score, mut entries) = (0, stream.normal(), String::new());
        for answers in ANSWERS {
            let answer = begin + stream.below(answers);
            begin += answers;
            score += weights[answer];
            // Writing to a String cannot fail.
            let _ = write!(entries, " {}:1", answer + 1);
        }
        let _ = writeln!(text, "{}{entries}", if score > 2.0 { "+1" } else { "-1" });
    }
    text
}

struct Rows {
    federated: Federated,
}

impl Rows {
    fn read(file: &Path, features: usize, clients: usize) -> Result<Self, String> {
        let options = LibsvmOptions { features: Some(features), ..LibsvmOptions::default() };
        let data = read_libsvm(file, &options).map_err(|error| error.to_string())?;
        let federated = Federated::new(&data.features, &data.labels, clients, Split::Order, 0)
            .map_err(|error| error.to_string())?;
        Ok(Self { federated })
    }

    fn clients(&self) -> Result<(Vec<RowObjective<'_>>, Smoothness), String> {
        let clients = self.federated.objectives(Loss::Logistic, Regulariser::Bounded(REGULARISER));
        let clients = clients.map_err(|error| error.to_string())?;
        let smoothness = smoothness_of_rows(&clients).map_err(|error| error.to_string())?;
        Ok((clients, smoothness))
    }

    fn certified_step(&self) -> Result<f64, String> {
        let (_, smoothness) = self.clients()?;
        let method = Ef21W::new(Parameters::default()).map_err(|error| error.to_string())?;
        let features = self.federated.features().columns();
        method
            .certificate(&smoothness, features)
            .map(|certificate| certificate.new_step)
            .map_err(|error| error.to_string())
    }
}

fn ours(request: &Value) -> Result<Reply, String> {
    let number = |name: &str| {
        request[name].as_u64().map(|value| value as usize).ok_or_else(|| format!("the request has no {name}"))
    };
    let file = request["data"].as_str().ok_or("the request names no data")?;
    let step = request["step"].as_f64().ok_or("the request has no step")?;
    let rows = Rows::read(Path::new(file), number("features")?, number("clients")?)?;
    let (clients, smoothness) = rows.clients()?;
    let run = |rounds: usize| {
        let step = Step::Fixed(step);
        Ef21W::new(Parameters { algorithm: Algorithm::Ef21, step, rounds, ..Parameters::default() })
            .and_then(|method| method.fit(&clients, &smoothness))
            .map_err(|error| error.to_string())
    };
    // Warms up, as the peer does.
    run(2)?;
    let rounds = number("rounds")?;
    let begin = Instant::now();
    let fit = run(rounds)?;
    let seconds = begin.elapsed().as_secs_f64();
    let squared_gradient = fit.trace.last().map(|last| last.squared_gradient);
    let answer = json!({"point": fit.point, "squared_gradient": squared_gradient});
    Ok(Reply { version: env!("CARGO_PKG_VERSION").into(), seconds, peak_bytes: peak_bytes(), answer })
}

fn compare(ours: &Value, theirs: Option<&Value>) -> (bool, String) {
    let squared = |answer: &Value| answer["squared_gradient"].as_f64().unwrap_or(f64::NAN);
    let Some(theirs) = theirs else {
        return (true, format!("|gradient|^2 {:.6e}", squared(ours)));
    };
    let point = |answer: &Value| -> Vec<f64> {
        answer["point"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let (one, other) = (point(ours), point(theirs));
    let largest = one.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    let apart = one.iter().zip(&other).fold(0.0, |most: f64, (x, y)| most.max((x - y).abs()));
    let agree = !one.is_empty() && one.len() == other.len() && apart <= SAME * largest;
    (
        agree,
        format!(
            "|gradient|^2 {:.6e} and {:.6e}; points at most {:.1e} of the largest weight apart",
            squared(ours),
            squared(theirs),
            apart / largest
        ),
    )
}
