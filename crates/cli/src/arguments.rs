//! Every verb and option. Help, completions and the man page come from here.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use backstitch_claim::Scale;

/// Machine-learning papers as methods you can call and claims you can check.
///
/// `backstitch run` applies a method to your files; `backstitch reproduce` re-tests the claims of its paper.
#[derive(Debug, Parser)]
#[command(name = "backstitch", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done · 1 a claim fails · 2 wrong usage or input · 3 nothing decided · 4 internal error · 130 interrupted, can be continued"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Set apart in the help, so that the options of a verb stand together.
const COMMON: &str = "Common options";
/// Every reader of JSON has it exactly.
const LARGEST_SEED: u64 = 1 << 52;
/// A study lists its cells in memory before it runs the first.
const MOST_SEEDS: u64 = 10_000;

/// Options of every verb.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// Threads to compute with; results do not depend on it [default: all cores]
    #[arg(long, global = true, help_heading = COMMON, value_name = "N", value_parser = one_or_more)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Seed of every random draw; for `reproduce`, the first seed (pilots start at 1000)
    #[arg(long, global = true, help_heading = COMMON, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=LARGEST_SEED))]
    pub(crate) seed: u64,
    /// Print JSON instead of text
    #[arg(long, global = true, help_heading = COMMON)]
    pub(crate) json: bool,
    /// Say more on standard error
    #[arg(short, long, global = true, help_heading = COMMON, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Where data sets are kept [default: BACKSTITCH_DATA, else the user's data folder]
    #[arg(long, global = true, help_heading = COMMON, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the methods on the shelf
    List(List),
    /// Show a method: paper, use, limits, claims, deviations
    Show(Show),
    /// Apply a method to your data
    #[command(subcommand, arg_required_else_help = true)]
    Run(crate::run::Method),
    /// Re-test the claims of a paper
    Reproduce(Reproduce),
    /// Judge a run and write its report; without a run, the scoreboard of all runs
    Report(Report),
    /// Compare the verdicts of two runs
    Compare(Compare),
    /// Time a method beside what you would use today
    Bench(Bench),
    /// Write a workflow that runs the cells of a study elsewhere
    Plan(Plan),
    /// Run one cell of a study (what `reproduce` and workflows call)
    Cell(CellArguments),
    /// List or download public data sets
    Data(Data),
    /// Show, export or prune the answers of language models that are kept
    #[cfg(feature = "reason")]
    Cache(CacheArguments),
    /// Write or train the small language models that come with backstitch
    #[cfg(feature = "in-process")]
    Embedded(EmbeddedArguments),
    /// Say what this machine and this build have
    Doctor,
    /// Print shell completions
    Completions(Completions),
    /// Print the manual page
    Man(Man),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only methods that are built
    #[arg(long)]
    pub(crate) built: bool,
    /// Only methods of this family
    #[arg(long, value_name = "NAME")]
    pub(crate) family: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// The method
    pub(crate) method: String,
    /// Print the BibTeX entry of the paper only
    #[arg(long)]
    pub(crate) bibtex: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Reproduce {
    /// The methods
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "METHOD")]
    pub(crate) methods: Vec<String>,
    /// All methods of this build
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) design: Design,
    /// Cells at a time [default: all cores]
    #[arg(long, value_name = "N", value_parser = one_or_more)]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Also write the evidence file DIR/<method>/<scale>.json (recorded configuration only)
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,
}

/// What is run, and where.
#[derive(Args, Debug)]
pub(crate) struct Design {
    /// How large: smoke (seconds, no verdict), quick (up to 15 minutes on 2 cores), paper (the published setting)
    #[arg(long, value_enum, default_value_t = ScaleName::Quick)]
    pub(crate) scale: ScaleName,
    /// Number of seeds; other than the study's own makes it not the recorded configuration
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_SEEDS))]
    pub(crate) seeds: Option<u64>,
    /// Change a key of the configuration; makes it not the recorded configuration
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
    /// Run the arms on this file of yours instead of the study's data
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Run directory [default: runs/<method>/<scale>-<key>, found again by the same command]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Start another run instead of continuing the one that is there
    #[arg(long, conflicts_with = "out")]
    pub(crate) fresh: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Report {
    /// Run directory; all runs below `runs` if not given
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<PathBuf>,
    /// Where the scoreboard looks for runs and is written (scoreboard.html)
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) runs: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// Run directory, verdict.json or evidence file
    pub(crate) left: PathBuf,
    /// Another
    pub(crate) right: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// The method, or `nn` for the network floor
    pub(crate) method: String,
    /// Pairs of runs per piece of work
    #[arg(long, value_name = "N", default_value = "5", value_parser = one_or_more)]
    pub(crate) pairs: NonZeroUsize,
    /// Only work whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
    /// The Python that has the peer [default: peers/.venv-<method>, else python3]
    #[arg(long, value_name = "FILE", env = "BACKSTITCH_PYTHON", hide_env_values = true)]
    pub(crate) python: Option<PathBuf>,
    /// Also write the result to DIR/<method>/bench.json
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,
    /// Be our side of the bench: answer requests on standard input
    #[arg(long, hide = true)]
    pub(crate) worker: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Plan {
    /// The methods
    #[arg(required = true, value_name = "METHOD")]
    pub(crate) methods: Vec<String>,
    /// Workflow language
    #[arg(long, value_enum, default_value_t = PlanFormat::Snakemake)]
    pub(crate) format: PlanFormat,
    #[command(flatten)]
    pub(crate) design: Design,
}

#[derive(Args, Debug)]
pub(crate) struct CellArguments {
    /// Run directory
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Cell id
    #[arg(value_name = "CELL")]
    pub(crate) cell: String,
    /// End when standard input closes
    #[arg(long, hide = true)]
    pub(crate) die_with_parent: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Data {
    #[command(subcommand)]
    pub(crate) verb: DataVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataVerb {
    /// List the catalogue: what is there, how large, under which licence (--json: also origin, hashes and what to cite)
    List,
    /// Download a set by its pinned hash; nothing is downloaded that is there already
    Get {
        /// Names of sets
        #[arg(required = true, value_name = "SET")]
        sets: Vec<String>,
        /// Take the files from this address instead of their public origin
        #[arg(long, value_name = "URL", value_parser = web_address)]
        origin: Option<String>,
    },
}

#[cfg(feature = "reason")]
#[derive(Args, Debug)]
pub(crate) struct CacheArguments {
    #[command(subcommand)]
    pub(crate) verb: CacheVerb,
    /// The file [default: backstitch/replies.sqlite in XDG_STATE_HOME, else in ~/.local/state]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) cache: Option<PathBuf>,
}

#[cfg(feature = "reason")]
#[derive(Debug, Subcommand)]
pub(crate) enum CacheVerb {
    /// Say what it holds of which model
    Show,
    /// Write everything as a recording, which `run … --replay` plays back
    Export {
        /// File for the recording
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Remove samples; they are asked for, and paid for, again when they are needed
    Prune {
        /// Samples kept for longer than this; 0 removes all
        #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
        older_than: f64,
        /// Of this model only
        #[arg(long, value_name = "NAME")]
        model_name: Option<String>,
    },
}

#[cfg(feature = "in-process")]
#[derive(Args, Debug)]
pub(crate) struct EmbeddedArguments {
    #[command(subcommand)]
    pub(crate) verb: EmbeddedVerb,
}

#[cfg(feature = "in-process")]
#[derive(Debug, Subcommand)]
pub(crate) enum EmbeddedVerb {
    /// Write one as a folder in the Hugging Face layout, for other programs; --seed 0, 1 or 2 says which
    Export {
        /// What it was trained for
        #[arg(long, value_enum)]
        skill: SkillName,
        /// Folder for its files; made if it is not there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Write questions that it was not trained on, with their answers, to try a method: JSON Lines
    Questions {
        /// What it was trained for
        #[arg(long, value_enum)]
        skill: SkillName,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=100_000))]
        count: u64,
        /// File for them
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// File for the passages that they can be looked up in, some missing and some wrong; for `knowledge`
        #[arg(long, value_name = "FILE")]
        passages: Option<PathBuf>,
    },
    /// Say how a code of three digits stands to a hidden one: a test command for `run textgrad code` with the skill `feedback`
    Check {
        /// File with the code: "3 7 0"
        file: PathBuf,
        /// The hidden code
        #[arg(long, value_name = "CODE")]
        hidden: String,
    },
    /// Train one from scratch: the command that made those that come with backstitch, with --seed 0, 1 and 2
    Train {
        /// What it is trained for
        #[arg(long, value_enum)]
        skill: SkillName,
        /// Folder for its files; made if it is not there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Training steps, for trying out; other than the default gives another model
        #[arg(long, value_name = "N")]
        steps: Option<u64>,
    },
}

/// Skills as the command line has them.
#[cfg(feature = "in-process")]
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SkillName {
    /// Word problems, forward and backward
    Arithmetic,
    /// Questions about made-up people
    Knowledge,
    /// Codes improved by feedback in words
    Feedback,
}

#[cfg(feature = "in-process")]
impl SkillName {
    pub(crate) fn skill(self) -> backstitch_llm::corpus::Skill {
        match self {
            Self::Arithmetic => backstitch_llm::corpus::Skill::Arithmetic,
            Self::Knowledge => backstitch_llm::corpus::Skill::Knowledge,
            Self::Feedback => backstitch_llm::corpus::Skill::Feedback,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
pub(crate) struct Man {
    /// The verb, as in `man reproduce` or `man run topo`; the page of the whole program if not given
    #[arg(value_name = "VERB")]
    pub(crate) verbs: Vec<String>,
}

/// Scales as the command line has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScaleName {
    Smoke,
    Quick,
    Paper,
}

impl From<ScaleName> for Scale {
    fn from(name: ScaleName) -> Self {
        match name {
            ScaleName::Smoke => Self::Smoke,
            ScaleName::Quick => Self::Quick,
            ScaleName::Paper => Self::Paper,
        }
    }
}

/// Workflow languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    Snakemake,
}

fn one_or_more(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a whole number from 1".into())
}

fn web_address(text: &str) -> Result<String, String> {
    let known =
        ["http://", "https://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    if known {
        Ok(text.into())
    } else {
        Err("expected an address that begins with http:// or https://".into())
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("expected KEY=VALUE, as in `--set rows=500`".into()),
    }
}
