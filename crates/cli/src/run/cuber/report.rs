//! What `run cuber` says: words, JSON, tables and the picture of accuracies.

use std::fmt::Write;

use backstitch_claim::picture::Picture;
use backstitch_continual::cuber::Kind;
use backstitch_numerics::Matrix;
use serde_json::{Value, json};

use super::Found;
use crate::run::output::quoted;

pub(super) fn summary(found: &Found) -> Value {
    let Found { names, learner, measures, joint, .. } = found;
    let relations: Vec<Value> = learner
        .learned()
        .iter()
        .map(|own| json!({"task": own.name(), "directions": own.directions().collect::<Vec<_>>(), "layers": own.relations().collect::<Vec<_>>()}))
        .collect();
    json!({
        "schema": "backstitch/cuber/1",
        "parameters": learner.parameters(),
        "joint": joint,
        "tasks": names,
        "accuracy": measures.accuracy,
        "untrained": measures.untrained,
        "acc": measures.average(),
        "bwt": measures.backward_transfer(),
        "fwt": measures.forward_transfer(),
        "gains": gains(found),
        "capacity": learner.capacity().map(|(used, all)| json!({"used": used, "all": all})).collect::<Vec<_>>(),
        "relations": relations,
    })
}

/// What every task gained since it was learned.
fn gains(found: &Found) -> Vec<Option<f64>> {
    let gain = |task| if found.joint { None } else { found.measures.gain(task) };
    (0..found.names.len()).map(gain).collect()
}

pub(super) fn words(found: &Found) -> String {
    let Found { names, learner, measures, joint, .. } = found;
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(8);
    let cell = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{:.2}", 100.0 * value));
    let mut text = String::from("accuracy in % on test rows\n\n");
    let line = |label: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("  {cell:>width$}")).collect();
        format!("{label:<0$}{cells}\n", width + 6)
    };
    text += &line("", names.clone());
    for (place, row) in measures.accuracy.iter().enumerate() {
        let label = if *joint { "all at once".to_owned() } else { format!("after {}", names[place]) };
        text += &line(&label, row.iter().map(|value| cell(*value)).collect());
    }
    if !joint {
        let signed =
            |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{:+.2}", 100.0 * value));
        text += &line("since then", gains(found).into_iter().map(signed).collect());
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\nACC  {:>7} %   mean over tasks at the end", cell(measures.average()));
    if let Some(transfer) = measures.backward_transfer() {
        let _ = writeln!(
            text,
            "BWT  {:>+7.2}     what earlier tasks gained since they were learned",
            100.0 * transfer
        );
    }
    if let Some(transfer) = measures.forward_transfer() {
        let _ =
            writeln!(text, "FWT  {:>+7.2}     what tasks gained before they were learned", 100.0 * transfer);
    }
    let kinds: Vec<Kind> = learner
        .learned()
        .iter()
        .flat_map(|own| own.relations())
        .flatten()
        .map(|relation| relation.kind)
        .collect();
    if !kinds.is_empty() {
        let count = |kind| kinds.iter().filter(|own| **own == kind).count();
        let _ = writeln!(
            text,
            "\nearlier tasks, layer by layer: {} apart, {} reused, {} updated",
            count(Kind::Apart),
            count(Kind::Reused),
            count(Kind::Updated)
        );
    }
    for (layer, (used, all)) in learner.capacity().enumerate() {
        if used > 0 {
            let full = if used == all { ": no capacity left" } else { "" };
            let _ = writeln!(text, "layer {}: {used} of {all} directions protected{full}", layer + 1);
        }
    }
    text
}

pub(super) fn accuracy_csv(found: &Found) -> String {
    let names = || found.names.iter().map(|name| format!(",{}", quoted(name))).collect::<String>();
    let mut text = format!("after{}\n", names());
    for (place, row) in found.measures.accuracy.iter().enumerate() {
        let label = if found.joint { "all".to_owned() } else { quoted(&found.names[place]) };
        let cells: String =
            row.iter().map(|value| value.map_or_else(|| ",".into(), |value| format!(",{value}"))).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label}{cells}");
    }
    text
}

pub(super) fn relations_csv(found: &Found) -> String {
    let mut text = String::from("task,layer,earlier,share,cosine,kind,demoted_at,free_directions\n");
    let learned = found.learner.learned();
    for own in learned {
        for (layer, relations) in own.relations().enumerate() {
            for relation in relations {
                let kind = match relation.kind {
                    Kind::Apart => "apart",
                    Kind::Reused => "reused",
                    Kind::Updated => "updated",
                };
                let demoted = relation.demoted.map_or_else(String::new, |step| step.to_string());
                let _ = writeln!(
                    text,
                    "{},{},{},{},{},{kind},{demoted},{}",
                    quoted(own.name()),
                    layer + 1,
                    quoted(learned[relation.task].name()),
                    relation.share,
                    relation.cosine,
                    relation.free
                );
            }
        }
    }
    text
}

/// Accuracy of every task from when it was learned.
pub(super) fn picture(found: &Found) -> String {
    let rows = &found.measures.accuracy;
    let mut picture = Picture::new(420.0, 260.0, true);
    picture.titles("tasks learned", "accuracy");
    let last = rows.len().saturating_sub(1).max(1) as f64;
    let step = rows.len().div_ceil(10).max(1);
    for place in (0..rows.len()).step_by(step) {
        picture.mark_x(place as f64 / last, &(place + 1).to_string());
    }
    for mark in [0.0, 0.25, 0.5, 0.75, 1.0] {
        picture.mark_y(mark, &format!("{mark:.2}"));
    }
    for (task, name) in found.names.iter().enumerate() {
        let places = rows.iter().enumerate().skip(task);
        picture.line(name, places.filter_map(|(place, row)| Some((place as f64 / last, (*row.get(task)?)?))));
    }
    picture.finish()
}

pub(super) fn prediction_lines(probabilities: &Matrix, classes: &[f64]) -> String {
    let heads: String = classes.iter().map(|class| format!(",probability_{class}")).collect();
    let mut text = format!("label{heads}\n");
    for row in 0..probabilities.rows() {
        let row = probabilities.row(row);
        let best = (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
        let shares: String = row.iter().map(|share| format!(",{share}")).collect();
        let _ = writeln!(text, "{}{shares}", classes[best]);
    }
    text
}
