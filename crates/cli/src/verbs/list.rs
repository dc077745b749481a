//! `backstitch list`: the shelf.

use backstitch_claim::shelf::{Entry, SHELF, State};

use crate::arguments::{Common, List};
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

pub(crate) fn execute(list: &List, common: &Common) -> Result<i32, Failure> {
    if let Some(family) = &list.family
        && SHELF.iter().all(|entry| entry.family.name() != family)
    {
        let mut names: Vec<&str> = SHELF.iter().map(|entry| entry.family.name()).collect();
        names.dedup();
        return Err(Failure::input(format!("there is no family `{family}`"))
            .hint(format!("the families are {}", names.join(", "))));
    }
    let entries: Vec<&Entry> = SHELF
        .iter()
        .filter(|entry| !list.built || entry.state != State::Planned)
        .filter(|entry| list.family.as_deref().is_none_or(|family| entry.family.name() == family))
        .collect();
    if common.json {
        terminal::print_json(&entries)?;
        return Ok(EXIT_DONE);
    }
    let mut text = String::new();
    for entry in entries {
        let state = entry.state.name();
        text.push_str(&format!("{:22} {:8} {:11} {}\n", entry.id, state, entry.family.name(), entry.title));
    }
    terminal::print(&text)?;
    Ok(EXIT_DONE)
}
