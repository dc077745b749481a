//! `backstitch show`: what one wants to know before calling a method.

use backstitch_claim::shelf;
use serde_json::json;

use crate::arguments::{Common, Show};
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

pub(crate) fn execute(show: &Show, common: &Common) -> Result<i32, Failure> {
    let method = match super::method(&show.method) {
        Ok(method) => method,
        // A planned method has a row, if no more.
        Err(failure) => {
            let planned = shelf::find(&show.method).filter(|entry| entry.state == shelf::State::Planned);
            let Some(entry) = planned.filter(|_| !show.bibtex) else { return Err(failure) };
            if common.json {
                terminal::print_json(entry)?;
            } else {
                terminal::print(&format!(
                    "{} — {}\narXiv {} · {} · {} wing · planned, no study of it yet\n",
                    entry.id,
                    entry.title,
                    entry.arxiv,
                    entry.year,
                    entry.family.name()
                ))?;
            }
            return Ok(EXIT_DONE);
        }
    };
    let (card, study) = (method.card, method.study);
    let entry = card.entry();
    if show.bibtex {
        terminal::print(&card.bibtex())?;
        return Ok(EXIT_DONE);
    }
    if common.json {
        let claims: Vec<_> = study.claims.iter().collect();
        terminal::print_json(&json!({
            "entry": entry, "card": card, "bibtex": card.bibtex(), "revision": study.revision(),
            "history": study.history, "arms": study.arms, "metrics": study.metrics, "claims": claims,
        }))?;
        return Ok(EXIT_DONE);
    }
    let mut text = format!("{} — {}\n{}\n", entry.id, entry.title, card.authors);
    let venue = card.venue.map(|venue| format!(" · {venue}")).unwrap_or_default();
    text.push_str(&format!(
        "arXiv {} · {}{venue} · {} wing · {}\n",
        entry.arxiv,
        entry.year,
        entry.family.name(),
        entry.state.name()
    ));
    if let Some(code) = card.official_code {
        text.push_str(&format!("official code: {} ({})\n", code.repository, code.licence));
    }
    text.push_str(&format!(
        "\n{}\n\nwhen it helps      {}\nwhen it does not   {}\n",
        card.summary, card.helps, card.does_not_help
    ));
    text.push_str(&format!(
        "\nuse it    {}\ncheck it  backstitch reproduce {}\n\nclaims of the study (revision {}, {} seeds):\n",
        card.example,
        entry.id,
        study.revision(),
        study.seeds
    ));
    for claim in study.claims {
        text.push_str(&format!(
            "  {:28} {} ({}; {})\n",
            claim.id,
            claim.sentence,
            claim.scope.name(),
            claim.source
        ));
    }
    text.push_str("\ndeviations from the paper:\n");
    for (i, deviation) in card.deviations.iter().enumerate() {
        text.push_str(&format!("  {}. {deviation}\n", i + 1));
    }
    terminal::print(&text)?;
    Ok(EXIT_DONE)
}
