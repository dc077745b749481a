//! `backstitch completions`: for the shell.

use clap::CommandFactory;

use crate::arguments::{Arguments, Completions};
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

pub(crate) fn execute(completions: &Completions) -> Result<i32, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut Arguments::command(), "backstitch", &mut script);
    terminal::print(&String::from_utf8_lossy(&script))?;
    Ok(EXIT_DONE)
}
