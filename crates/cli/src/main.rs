//! The `backstitch` binary: parses, calls, prints. The logic of a method lives in its wing, of an experiment in
//! `backstitch-studies`, of a verdict in `backstitch-claim`.

mod arguments;
mod data_sets;
mod failure;
mod provenance;
mod run;
mod terminal;
mod verbs;

use clap::Parser;

use arguments::{Arguments, Verb};
use failure::{EXIT_DONE, EXIT_INTERRUPTED, EXIT_USAGE, Failure};

/// Wings that train make and drop many buffers.
#[cfg(any(feature = "language", feature = "sequence"))]
#[global_allocator]
static ALLOCATOR: backstitch_nn::MiMalloc = backstitch_nn::MiMalloc;

fn main() {
    #[cfg(any(feature = "language", feature = "sequence"))]
    backstitch_nn::keep_freed_memory();
    std::process::exit(match execute() {
        Ok(code) => code,
        Err(failure) => {
            failure.print();
            failure.exit_code
        }
    })
}

fn execute() -> Result<i32, Failure> {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, not errors; everything else is wrong usage.
            let code = if error.use_stderr() { EXIT_USAGE } else { EXIT_DONE };
            let _ = error.print();
            return Ok(code);
        }
    };
    let common = arguments.common;
    terminal::set_verbosity(common.verbose);
    if let Some(threads) = common.threads {
        // Fails only if a pool exists already, which nothing before this line makes.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build_global();
    }
    let handler = || {
        terminal::say("interrupted; the same command continues");
        std::process::exit(EXIT_INTERRUPTED);
    };
    ctrlc::set_handler(handler).map_err(Failure::internal)?;
    match arguments.verb {
        Verb::List(list) => verbs::list::execute(&list, &common),
        Verb::Show(show) => verbs::show::execute(&show, &common),
        Verb::Run(method) => run::execute(method, &common),
        Verb::Reproduce(reproduce) => verbs::reproduce::execute(&reproduce, &common),
        Verb::Report(report) => verbs::report::execute(&report, &common),
        Verb::Compare(compare) => verbs::compare::execute(&compare, &common),
        Verb::Bench(bench) => verbs::bench::execute(&bench, &common),
        Verb::Plan(plan) => verbs::plan::execute(&plan, &common),
        Verb::Cell(cell) => verbs::cell::execute(&cell, &common),
        Verb::Data(data) => verbs::data::execute(&data.verb, &common),
        #[cfg(feature = "reason")]
        Verb::Cache(cache) => verbs::cache::execute(&cache, &common),
        #[cfg(feature = "in-process")]
        Verb::Embedded(embedded) => verbs::embedded::execute(&embedded.verb, &common),
        Verb::Doctor => verbs::doctor::execute(&common),
        Verb::Completions(completions) => verbs::completions::execute(&completions),
        Verb::Man(man) => verbs::man::execute(&man),
    }
}
