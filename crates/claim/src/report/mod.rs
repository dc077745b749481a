//! The report of a run: one self-contained HTML page, and the scoreboard over all runs.
//!
//! No script, no font, no request: it opens offline, in dark and light, on a phone. All text that comes from data,
//! models or files is escaped.

mod page;
mod plot;

use std::time::Duration;

use crate::card::Card;
use crate::directory::VerdictFile;
use crate::judge::{Judgement, Verdict};
use crate::run::Run;
use crate::shelf;
use crate::study::Study;

use page::{Page, escape};

/// The page of one run.
///
/// `wall` is the time its cells took, added up.
pub fn run_page(study: &Study, card: &Card, run: &Run, verdict: &VerdictFile, wall: Duration) -> String {
    let entry = card.entry();
    let mut page = Page::new(&format!("{} — {} report", entry.id, run.scale.name()));
    page.push(&format!(
        "<header><p class=\"eyebrow\">backstitch · {family} · {scale} scale · revision {revision}</p><h1>{id}</h1>\
         <p class=\"paper\">{title}<br><span class=\"quiet\">{authors} · arXiv {arxiv} · {year}</span></p></header>",
        family = entry.family.name(),
        scale = run.scale.name(),
        revision = run.revision,
        id = escape(entry.id),
        title = escape(entry.title),
        authors = escape(card.authors),
        arxiv = escape(entry.arxiv),
        year = entry.year,
    ));
    if !run.recorded {
        page.push("<p class=\"note\">This is not the recorded configuration: seeds, settings or data were chosen by hand.</p>");
    }
    page.push(&tally(&verdict.claims));
    page.push(&claims_table(&verdict.claims));
    page.push("<h2>Observations</h2>");
    page.push(&plot::observations(study, verdict));
    page.push(&arms_table(study));
    page.push("<h2>Where this differs from the paper</h2><ul>");
    for deviation in card.deviations {
        page.push(&format!("<li>{}</li>", escape(deviation)));
    }
    page.push("</ul>");
    page.push(&provenance(run, verdict, wall));
    page.finish()
}

/// The scoreboard: one row per method of `rows`, with a link to its report if there is one.
pub fn scoreboard(rows: &[ScoreRow]) -> String {
    let mut page = Page::new("backstitch scoreboard");
    page.push("<header><p class=\"eyebrow\">backstitch</p><h1>Scoreboard</h1></header>");
    page.push("<div class=\"scroll\"><table id=\"scoreboard\"><thead><tr><th>method<th>scale<th>claim<th>verdict<th>scope<th>estimate</tr></thead><tbody>");
    for row in rows {
        let verdict = &row.verdict;
        for (i, claim) in verdict.claims.iter().enumerate() {
            let method = match (&row.link, i) {
                (Some(link), 0) => format!("<a href=\"{}\">{}</a>", escape(link), escape(&verdict.method)),
                (None, 0) => escape(&verdict.method),
                _ => String::new(),
            };
            let stale = if row.stale && i == 0 { " <span class=\"badge stale\">stale</span>" } else { "" };
            page.push(&format!(
                "<tr><th>{method}{stale}<td>{}<td>{}<td>{}<td>{}<td class=\"number\">{}</tr>",
                verdict.scale.name(),
                escape(&claim.sentence),
                badge(claim.verdict),
                escape(&claim.scope),
                interval(claim.estimate, claim.lower, claim.upper),
            ));
        }
    }
    page.push("</tbody></table></div>");
    let built = shelf::SHELF.iter().filter(|entry| entry.state != shelf::State::Planned).count();
    page.push(&format!("<p class=\"quiet\">{built} of {} methods are built.</p>", shelf::SHELF.len()));
    page.finish()
}

/// One line of the scoreboard's input.
#[derive(Clone, Debug)]
pub struct ScoreRow {
    /// The verdicts of a run.
    pub verdict: VerdictFile,
    /// Where its report is, relative to the scoreboard.
    pub link: Option<String>,
    /// Whether the study has been revised since.
    pub stale: bool,
}

/// How many claims got which verdict, in words.
fn tally(claims: &[Judgement]) -> String {
    let mut text = String::from("<p class=\"tally\">");
    for verdict in [Verdict::Holds, Verdict::Fails, Verdict::Inconclusive, Verdict::Vacuous, Verdict::NotRun]
    {
        let count = claims.iter().filter(|claim| claim.verdict == verdict).count();
        if count > 0 {
            text.push_str(&format!("<span>{} × {count}</span>", badge(verdict)));
        }
    }
    text + "</p>"
}

fn claims_table(claims: &[Judgement]) -> String {
    let mut text = String::from(
        "<div class=\"scroll\"><table id=\"verdicts\"><thead><tr><th>claim<th>verdict<th>ours, 95 %<th>margin<th>control<th>published</tr></thead><tbody>",
    );
    for claim in claims {
        let reason = claim
            .reason
            .as_ref()
            .map(|reason| format!("<p class=\"reason\">{}</p>", escape(reason)))
            .unwrap_or_default();
        let precondition = claim.precondition.as_ref().map(|condition| {
            let state = match condition.holds {
                Some(true) => "holds",
                Some(false) => "does not hold",
                None => "not run",
            };
            format!("<p class=\"quiet\">Given that {} ({state}).</p>", escape(&condition.sentence))
        });
        let control = &claim.control;
        let as_expected = match control.as_expected {
            Some(true) => "fails, as it must",
            Some(false) => "does not fail",
            None => "not run",
        };
        text.push_str(&format!(
            "<tr><td><strong>{sentence}</strong><p class=\"quiet\"><code>{id}</code> · {source} · {statistic}</p>{precondition}{reason}\
             <td>{badge}<p class=\"quiet\">{scope}</p><td class=\"number\">{estimate}{strip}<p class=\"quiet\">{effect}</p>\
             <td class=\"number\">{margin}<td><code>{arm}</code> {as_expected}<p class=\"quiet number\">{control_estimate}</p><td>{published}</tr>",
            sentence = escape(&claim.sentence),
            id = escape(&claim.id),
            source = escape(&claim.source),
            statistic = escape(&claim.statistic),
            precondition = precondition.unwrap_or_default(),
            badge = badge(claim.verdict),
            scope = escape(&claim.scope),
            estimate = interval(claim.estimate, claim.lower, claim.upper),
            strip = plot::strip(claim),
            effect = escape(&claim.effect),
            margin = number(claim.margin),
            arm = escape(&control.arm),
            control_estimate = interval(control.estimate, control.lower, control.upper),
            published = claim.published.as_deref().map_or("—".into(), escape),
        ));
    }
    text + "</tbody></table></div>"
}

fn arms_table(study: &Study) -> String {
    let mut text = String::from(
        "<h2>Arms</h2><div class=\"scroll\"><table><thead><tr><th>arm<th>role<th>what it does</tr></thead><tbody>",
    );
    for arm in study.arms {
        let role = format!("{:?}", arm.role).to_lowercase();
        let description = escape(arm.description);
        text.push_str(&format!("<tr><th>{}<td>{role}<td>{description}</tr>", escape(arm.name)));
    }
    text.push_str("</tbody></table></div><h2>Metrics</h2><ul>");
    for metric in study.metrics {
        text.push_str(&format!(
            "<li><code>{}</code>: {}</li>",
            escape(metric.name),
            escape(metric.description)
        ));
    }
    text + "</ul>"
}

fn provenance(run: &Run, verdict: &VerdictFile, wall: Duration) -> String {
    let made = &run.provenance;
    let mut text = String::from("<h2>How it was made</h2><dl>");
    let mut line = |name: &str, value: String| text.push_str(&format!("<dt>{name}<dd>{}", escape(&value)));
    line("command", run.arguments.join(" "));
    line("seeds", format!("{} to {}", run.seeds.first().unwrap_or(&0), run.seeds.last().unwrap_or(&0)));
    line("claims hash", run.claims_hash.clone());
    line("machine", format!("{}, {} cores, {}", made.cpu, made.cores, made.system));
    line("built", format!("backstitch {}, commit {}, {}", made.version, made.commit, made.toolchain));
    line("time in cells", format!("{:.1} s", wall.as_secs_f64()));
    for record in &verdict.data {
        let kind = if record.synthetic { "generated" } else { "read" };
        line("data", format!("{} ({kind}), sha256 {}", record.name, record.sha256));
    }
    text.push_str(&format!(
        "</dl><details><summary>Configuration</summary><pre>{}</pre></details>",
        escape(&serde_json::to_string_pretty(&run.configuration).unwrap_or_default())
    ));
    text
}

fn badge(verdict: Verdict) -> String {
    format!("<span class=\"badge {name}\">{name}</span>", name = verdict.name())
}

/// `0.91 [0.80, 0.97]`, with infinity where a diverged cell put it.
fn interval(estimate: Option<f64>, lower: Option<f64>, upper: Option<f64>) -> String {
    match (estimate, lower, upper) {
        (Some(estimate), Some(lower), Some(upper)) if lower == upper => number(estimate),
        (Some(estimate), Some(lower), Some(upper)) => {
            format!(
                "{} <span class=\"quiet\">[{}, {}]</span>",
                number(estimate),
                number(lower),
                number(upper)
            )
        }
        _ => "—".into(),
    }
}

/// Four significant digits.
pub fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !value.is_finite() {
        return if value > 0.0 { "∞".into() } else { "−∞".into() };
    }
    let magnitude = value.abs().log10().floor() as i32;
    let text = if (-4..6).contains(&magnitude) {
        let text = format!("{value:.*}", (3 - magnitude).max(0) as usize);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{value:.3e}")
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (-1.25, "−1.25"),
            (1234.56, "1235"),
            (0.000123456, "0.0001235"),
            (1e-12, "1.000e−12"),
            (3.0, "3"),
            (100.0, "100"),
            (f64::NEG_INFINITY, "−∞"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
