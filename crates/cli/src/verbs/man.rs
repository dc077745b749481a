//! `backstitch man`: the manual page, in roff.

use clap::CommandFactory;

use crate::arguments::{Arguments, Man};
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

pub(crate) fn execute(man: &Man) -> Result<i32, Failure> {
    let mut program = Arguments::command();
    program.build();
    let mut command = &program;
    for verb in &man.verbs {
        command = command.find_subcommand(verb).ok_or_else(|| {
            Failure::input(format!(
                "`{}` has no verb `{verb}`",
                command.get_bin_name().unwrap_or("backstitch")
            ))
            .hint("`backstitch help` lists the verbs")
        })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(Failure::internal)?;
    terminal::print(&String::from_utf8_lossy(&page))?;
    Ok(EXIT_DONE)
}
