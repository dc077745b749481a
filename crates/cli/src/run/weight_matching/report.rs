//! What `run weight-matching` says: words, JSON, tables and the picture of the barrier.

use std::fmt::Write;

use backstitch_claim::picture::Picture;
use backstitch_networks::weight_matching::{Alignment, Barrier, Score, Specification};
use serde_json::{Value, json};

use super::{Found, Outcome, WeightMatchingArguments};

/// Most permutations, axes and layers that are listed; the report has all.
const LISTED: usize = 12;

/// Numbers that both two networks and more have.
struct Numbers {
    sweeps: usize,
    converged: bool,
    before: f64,
    after: f64,
    reduction: f64,
}

impl Outcome {
    fn numbers(&self) -> Numbers {
        match self {
            Self::Two(found) => Numbers {
                sweeps: found.sweeps,
                converged: found.converged,
                before: found.distance_before,
                after: found.distance_after,
                reduction: found.reduction(),
            },
            Self::More(found) => Numbers {
                sweeps: found.sweeps,
                converged: found.converged,
                before: found.distance_before,
                after: found.distance_after,
                reduction: found.reduction(),
            },
        }
    }
}

pub(super) fn words(arguments: &WeightMatchingArguments, found: &Found) -> String {
    // Writing to a String cannot fail, here and below.
    let mut text = String::new();
    let own = &found.specification;
    let _ = writeln!(text, "permutations: {}", own.permutations().len());
    for (place, permutation) in own.permutations().iter().enumerate().take(LISTED) {
        let groups = if permutation.per_group > 1 {
            format!(", in groups of {}", permutation.per_group)
        } else {
            String::new()
        };
        let _ = writeln!(
            text,
            "  {}: {} units{groups}: {}",
            permutation.name,
            permutation.units,
            axes(own, place)
        );
    }
    if own.permutations().len() > LISTED {
        let _ = writeln!(text, "  and {} more", own.permutations().len() - LISTED);
    }
    for note in &found.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let Numbers { sweeps, converged, before, after, reduction } = found.outcome.numbers();
    let end = if converged { "" } else { ", stopped before nothing moved" };
    if sweeps > 0 {
        let _ = writeln!(text, "sweeps: {sweeps}{end}");
    }
    let of = if arguments.many.is_empty() { "distance" } else { "distance from the mean" };
    let _ =
        writeln!(text, "{of}: {before:.6} before, {after:.6} after, reduced by {:.2} %", 100.0 * reduction);
    for alignment in &found.alignments {
        let Alignment { threshold, before, after, .. } = alignment;
        let _ = writeln!(
            text,
            "alignment of singular vectors from {threshold} of the largest: {before:.4} before, {after:.4} after"
        );
    }
    if let [all, strong] = &found.alignments[..] {
        text.push_str("layer                            R before   R after   R from 0.3: before   after\n");
        for (layer, strong) in all.layers.iter().zip(&strong.layers).take(LISTED) {
            let _ = writeln!(
                text,
                "{:32} {:>8.4}  {:>8.4}  {:>19.4} {:>7.4}",
                layer.name, layer.before, layer.after, strong.before, strong.after
            );
        }
        if all.layers.len() > LISTED {
            let _ = writeln!(text, "and {} more", all.layers.len() - LISTED);
        }
    }
    if let Some((before, after)) = &found.barriers {
        let _ = writeln!(text, "barrier of the loss: {:.6} before, {:.6} after", before.loss, after.loss);
        if let (Some(before), Some(after)) = (before.accuracy, after.accuracy) {
            let _ = writeln!(text, "barrier of the accuracy: {before:.4} before, {after:.4} after");
        }
    }
    if let Some((each, mean, merged)) = &found.scores {
        for (place, score) in each.iter().enumerate() {
            let _ = writeln!(text, "network {}: {}", place + 1, shown(score));
        }
        let _ = writeln!(text, "merged as they are: {}", shown(mean));
        let _ = writeln!(text, "merged: {}", shown(merged));
    }
    text
}

fn axes(own: &Specification, permutation: usize) -> String {
    let all: Vec<String> =
        own.axes_of(permutation).map(|(name, axis)| format!("{name} axis {axis}")).collect();
    let more = if all.len() > LISTED { format!(" and {} more", all.len() - LISTED) } else { String::new() };
    format!("{}{more}", all[..all.len().min(LISTED)].join(", "))
}

fn shown(score: &Score) -> String {
    let accuracy = score.accuracy.map_or(String::new(), |accuracy| format!(", accuracy {accuracy:.4}"));
    format!("loss {:.6}{accuracy}", score.loss)
}

pub(super) fn summary(arguments: &WeightMatchingArguments, found: &Found) -> Value {
    let own = &found.specification;
    let permutations: Vec<Value> = own
        .permutations()
        .iter()
        .enumerate()
        .map(|(place, permutation)| {
            let axes: Vec<Value> = own.axes_of(place).map(|(name, axis)| json!({"tensor": name, "axis": axis})).collect();
            let orders: Value = match &found.outcome {
                Outcome::Two(matching) => json!(matching.orders[place]),
                Outcome::More(many) => many.orders.iter().map(|orders| json!(orders[place])).collect(),
            };
            json!({"name": permutation.name, "units": permutation.units, "per_group": permutation.per_group, "axes": axes, "order": orders})
        })
        .collect();
    let Numbers { sweeps, converged, before, after, reduction } = found.outcome.numbers();
    let alignments: Vec<Value> = found
        .alignments
        .iter()
        .map(|alignment| {
            let layers: Vec<Value> = alignment
                .layers
                .iter()
                .map(|layer| {
                    json!({"tensor": layer.name, "kept": [layer.kept.0, layer.kept.1], "before": layer.before, "after": layer.after})
                })
                .collect();
            json!({"threshold": alignment.threshold, "before": alignment.before, "after": alignment.after, "layers": layers})
        })
        .collect();
    let score = |score: &Score| json!({"loss": score.loss, "accuracy": score.accuracy});
    let barrier = |barrier: &Barrier| {
        let points: Vec<Value> = barrier
            .points
            .iter()
            .map(|(share, score)| json!({"share": share, "loss": score.loss, "accuracy": score.accuracy}))
            .collect();
        json!({"loss": barrier.loss, "accuracy": barrier.accuracy, "points": points})
    };
    let files: Vec<String> = [&arguments.first, &arguments.second]
        .into_iter()
        .chain(&arguments.many)
        .map(|file| file.display().to_string())
        .collect();
    json!({
        "networks": files,
        "permutations": permutations,
        "notes": found.notes,
        "sweeps": sweeps,
        "converged": converged,
        "distance": {"before": before, "after": after, "reduction": reduction},
        "alignment": alignments,
        "barrier": found.barriers.as_ref().map(|(before, after)| json!({"before": barrier(before), "after": barrier(after)})),
        "scores": found.scores.as_ref().map(|(each, mean, merged)| {
            json!({"networks": each.iter().map(score).collect::<Vec<_>>(), "merged_as_they_are": score(mean), "merged": score(merged)})
        }),
    })
}

pub(super) fn layers_csv(alignments: &[Alignment]) -> String {
    let mut text = "tensor,threshold,kept_first,kept_second,before,after\n".to_owned();
    for alignment in alignments {
        for layer in &alignment.layers {
            let _ = writeln!(
                text,
                "{},{},{},{},{},{}",
                super::super::output::quoted(&layer.name),
                alignment.threshold,
                layer.kept.0,
                layer.kept.1,
                layer.before,
                layer.after
            );
        }
    }
    text
}

pub(super) fn barrier_csv(before: &Barrier, after: &Barrier) -> String {
    let mut text = "share,loss_before,loss_after,accuracy_before,accuracy_after\n".to_owned();
    let accuracy = |score: &Score| score.accuracy.map_or(String::new(), |accuracy| accuracy.to_string());
    for ((share, one), (_, other)) in before.points.iter().zip(&after.points) {
        let _ = writeln!(text, "{share},{},{},{},{}", one.loss, other.loss, accuracy(one), accuracy(other));
    }
    text
}

/// Losses on the way from the first network to the second, as it is and permuted.
pub(super) fn picture(before: &Barrier, after: &Barrier) -> String {
    let mut picture = Picture::new(420.0, 260.0, true);
    picture.titles("share of the second network", "loss");
    let highest = before.points.iter().chain(&after.points).map(|(_, score)| score.loss).fold(0.0, f64::max);
    let top = if highest > 0.0 && highest.is_finite() { highest } else { 1.0 };
    for mark in [0.0, 0.25, 0.5, 0.75, 1.0] {
        picture.mark_x(mark, &mark.to_string());
        picture.mark_y(mark, &format!("{:.3}", mark * top));
    }
    for (name, barrier) in [("as they are", before), ("permuted", after)] {
        let places = barrier.points.iter().filter(|(_, score)| score.loss.is_finite());
        picture.line(name, places.map(|(share, score)| (*share, score.loss / top)));
    }
    picture.finish()
}
