//! `backstitch man`: the manual page, in roff.

use clap::CommandFactory;

use crate::arguments::{Arguments, Man};
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

pub(crate) fn execute(man: &Man) -> Result<i32, Failure> {
    let mut program = Arguments::command();
    program.build();
    let command = match &man.verb {
        None => program,
        Some(verb) => match program.find_subcommand(verb) {
            Some(found) => found.clone(),
            None => {
                return Err(
                    Failure::input(format!("there is no verb `{verb}`")).hint("`backstitch help` lists them")
                );
            }
        },
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(Failure::internal)?;
    terminal::print(&String::from_utf8_lossy(&page))?;
    Ok(EXIT_DONE)
}
