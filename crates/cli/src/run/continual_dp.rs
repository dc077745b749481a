//! `backstitch run continual-dp`: rows in, a private line out for each.

mod state;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use backstitch_claim::write::write_atomic;
use backstitch_statistics::Error;
use backstitch_statistics::continual_dp::{
    self, Key, Ledger, MaxMechanism, MaxParameters, MaxSum, Mechanism, Neighbours, Parameters, Privacy,
    Query, Release, Row, zcdp_epsilon,
};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::state::{SCHEMA, Saved, cannot, lock};
use super::output::quoted;
use crate::arguments::Common;
use crate::failure::{EXIT_DONE, Failure};
use crate::terminal;

/// Rows are lines of numbers with commas between; a first line of names is taken as such. For every row one line goes to
/// standard output: the number of rows so far, the private answers, their standard error. What was spent is said at the end on
/// standard error.
#[derive(Args, Debug)]
#[command(
    after_help = "What is private: the answers look alike whether or not one row is replaced by another allowed one \
(--neighbours event), or all rows of one user, who has at most K (user:K). The number of rows is not hidden. Noise comes from \
the operating system, not from --seed. With --state a crash neither loses nor repeats noise: the next run continues, and prints \
again the lines it cannot know to have been seen. Never continue from an older copy of the file with other rows."
)]
pub(crate) struct ContinualDp {
    /// Table with one row per event; standard input if not given
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// What is released after every row
    #[arg(long, value_enum, default_value_t = QueryName::Count)]
    query: QueryName,
    /// How
    #[arg(long, value_enum, default_value_t = MechanismName::Auto)]
    mechanism: MechanismName,
    /// Privacy: epsilon. Without --delta it is pure, with Laplace noise
    #[arg(
        long,
        value_name = "EPSILON",
        allow_negative_numbers = true,
        required_unless_present = "rho",
        conflicts_with = "rho"
    )]
    epsilon: Option<f64>,
    /// Privacy: delta, far below one over the number of people
    #[arg(long, value_name = "DELTA", allow_negative_numbers = true, requires = "epsilon")]
    delta: Option<f64>,
    /// Privacy: rho of zero-concentrated privacy, in place of epsilon and delta
    #[arg(long, value_name = "RHO", allow_negative_numbers = true)]
    rho: Option<f64>,
    /// The most rows that will ever come; a row more is refused
    #[arg(long, value_name = "ROWS")]
    horizon: usize,
    /// What is hidden: one row (event), or up to K rows of one user (user:K)
    #[arg(long, value_name = "event|user:K", default_value = "event", value_parser = neighbours)]
    neighbours: Neighbours,
    /// Largest value of an entry; the smallest is 0
    #[arg(long, value_name = "VALUE", default_value_t = 1.0)]
    bound: f64,
    /// Set entries outside 0 to the bound to the nearest allowed value instead of refusing the row
    #[arg(long)]
    clip: bool,
    /// Rows between two recomputations of the maximum [default: the best predicted]
    #[arg(long, value_name = "ROWS")]
    interval: Option<usize>,
    /// Keep what is needed to continue in this file; continue if it is there. It holds the key and partial sums: keep it secret
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The input starts with the rows already counted (checked by their hash): skip them. Otherwise it has new rows only
    #[arg(long, requires = "state")]
    replay: bool,
    /// Note what is spent in this file, and refuse to spend more than its limit
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Limit (rho) of a ledger that is not there yet
    #[arg(long, value_name = "RHO", requires = "ledger")]
    ledger_limit: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum QueryName {
    /// Running sum of one column
    Count,
    /// Running sum of each column; a row may change in all
    Sum,
    /// Running count of each category: at most one 1 per row
    Histogram,
    /// Largest of the running sums of 0/1 columns
    Max,
    /// The column that has the largest running sum
    Argmax,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MechanismName {
    /// The smallest predicted error
    Auto,
    /// Binary tree
    Tree,
    /// Binary tree with estimates improved from below
    Honaker,
    /// Square root of the prefix-sum matrix
    SquareRoot,
    /// Square root with columns of norm 1
    NormalisedSquareRoot,
    /// For max and argmax: a private counter per column
    Counters,
    /// For max and argmax: noise on the maximum every so many rows
    Recompute,
}

/// One release of either kind.
#[derive(Debug)]
enum Running {
    Sums(Box<Release>),
    Maximum(Box<MaxSum>),
}

/// Rows between two writes of the state, unless the input pauses earlier.
const BLOCK: usize = 4096;
/// Bytes that a pipe holds, as a rule.
const PIPE: usize = 1 << 16;
/// Bytes of a line at most.
const LINE: u64 = 1 << 24;

pub(crate) fn execute(arguments: &ContinualDp, common: &Common) -> Result<i32, Failure> {
    let _lock = arguments.state.as_deref().map(lock).transpose()?;
    let saved = arguments.state.as_deref().map(Saved::read).transpose()?.flatten();
    if arguments.replay && saved.is_none() {
        return Err(Failure::input("--replay, but there is no state to continue").hint("leave --replay out"));
    }
    let mut reader: Box<dyn BufReadable> = match &arguments.data {
        Some(path) => {
            Box::new(BufReader::new(File::open(path).map_err(|error| cannot("read", path, &error))?))
        }
        None => Box::new(BufReader::new(io::stdin())),
    };
    let mut input = Input { reader: &mut *reader, line: 0, buffer: Vec::new() };
    let mut first = input.next_line()?;
    let header =
        first.as_deref().filter(|line| line.split(',').any(|field| field.trim().parse::<f64>().is_err()));
    let names =
        header.map(|line| line.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect());
    if header.is_some() {
        first = input.next_line()?;
    }
    let Some(width) = names.as_ref().map(Vec::len).or(first.as_ref().map(|line| line.split(',').count()))
    else {
        return Err(
            Failure::input("the input is empty").hint("give one row per event: numbers with commas between")
        );
    };
    let names: Vec<String> = names.unwrap_or_else(|| match (arguments.query, width) {
        (QueryName::Count, 1) => vec!["count".into()],
        _ => (0..width).map(|column| format!("x{column}")).collect(),
    });
    let mut session = match saved {
        Some(saved) => Session::resumed(arguments, saved, &names, common.json)?,
        None => Session::begun(arguments, names, common.json)?,
    };
    let skip = if arguments.replay { session.steps() } else { 0 };
    let outcome = session.consume(arguments, &mut input, first, skip);
    // What was released before an error stands, and so does what it spent.
    session.finish(arguments)?;
    session.summarise(arguments)?;
    outcome.map(|()| EXIT_DONE)
}

/// A buffered reader that says whether a whole line is at hand.
trait BufReadable: BufRead {
    fn at_hand(&self) -> bool;
}

impl<R: Read> BufReadable for BufReader<R> {
    fn at_hand(&self) -> bool {
        self.buffer().contains(&b'\n')
    }
}

struct Input<'a> {
    reader: &'a mut dyn BufReadable,
    line: usize,
    buffer: Vec<u8>,
}

impl Input<'_> {
    /// The next line that is not blank.
    fn next_line(&mut self) -> Result<Option<String>, Failure> {
        loop {
            self.buffer.clear();
            self.line += 1;
            let read = Read::take(&mut *self.reader, LINE).read_until(b'\n', &mut self.buffer);
            if read.map_err(|error| Failure::input(format!("line {}: {error}", self.line)))? == 0 {
                return Ok(None);
            }
            if self.buffer.len() as u64 == LINE {
                return Err(Failure::input(format!("line {} is longer than {LINE} bytes", self.line)));
            }
            let text = std::str::from_utf8(&self.buffer)
                .map_err(|_| Failure::input(format!("line {} is not UTF-8 text", self.line)))?;
            let text = text.trim_start_matches('\u{feff}').trim();
            if !text.is_empty() {
                return Ok(Some(text.to_owned()));
            }
        }
    }
}

/// A release with what the command line knows of it.
struct Session {
    running: Running,
    names: Vec<String>,
    hash: String,
    json: bool,
    /// Lines that have not been printed.
    pending: String,
    /// The last lines that have been, of which a pipe may still hold some that its reader never takes. Empty without a state.
    recent: String,
}

impl Session {
    fn begun(arguments: &ContinualDp, names: Vec<String>, json: bool) -> Result<Self, Failure> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| {
            Failure::internal(format!("the operating system gives no randomness: {error}"))
        })?;
        let running = start(arguments, names.len(), Key::new(bytes))?;
        if let Some(path) = &arguments.ledger {
            charge(path, arguments, running.rho())?;
        }
        let privacy = privacy(arguments);
        if let Privacy::Approximate { delta, .. } = privacy
            && delta * arguments.horizon as f64 >= 1.0
        {
            terminal::say(format_args!(
                "warning: delta is {delta}, but should be far below one over the {} rows",
                arguments.horizon
            ));
        }
        let columns = match arguments.query {
            QueryName::Max => "max".into(),
            QueryName::Argmax => "argmax".into(),
            _ => names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(","),
        };
        // Once in the life of a release, however often it is continued.
        let pending = if json { String::new() } else { format!("rows,{columns},standard_error\n") };
        Ok(Self { running, names, hash: String::new(), json, pending, recent: String::new() })
    }

    fn resumed(arguments: &ContinualDp, saved: Saved, names: &[String], json: bool) -> Result<Self, Failure> {
        if saved.columns.len() != names.len() {
            return Err(Failure::input(format!(
                "the input has {} columns, but the state has {}",
                names.len(),
                saved.columns.len()
            )));
        }
        let running = match saved.release {
            state::Release::Sums(state) => {
                Running::Sums(Box::new(Release::resume(*state).map_err(Failure::input)?))
            }
            state::Release::Maximum(state) => {
                Running::Maximum(Box::new(MaxSum::resume(*state).map_err(Failure::input)?))
            }
        };
        let same = match (&running, start(arguments, names.len(), Key::new([0; 32]))?) {
            (Running::Sums(kept), Running::Sums(asked)) => {
                kept.state().parameters == asked.state().parameters
            }
            (Running::Maximum(kept), Running::Maximum(asked)) => {
                kept.state().parameters == asked.state().parameters
            }
            _ => false,
        };
        if !same {
            return Err(Failure::input(
                "the state was made with other options (query, mechanism, privacy, horizon, …)",
            )
            .hint("continue with the same options, or give another --state with a budget of its own"));
        }
        if !saved.pending.is_empty() {
            let lines = saved.pending.lines().count();
            terminal::say(format_args!("note: the first {lines} lines may have been printed before"));
            print_all(&saved.pending, arguments)?;
        }
        Ok(Self {
            running,
            names: saved.columns,
            hash: saved.rows_sha256,
            json,
            pending: String::new(),
            recent: saved.pending,
        })
    }

    fn steps(&self) -> usize {
        match &self.running {
            Running::Sums(release) => release.steps(),
            Running::Maximum(release) => release.steps(),
        }
    }

    fn consume(
        &mut self,
        arguments: &ContinualDp,
        input: &mut Input<'_>,
        first: Option<String>,
        skip: usize,
    ) -> Result<(), Failure> {
        let other_rows = || {
            Failure::input("--replay: the input does not start with the rows that were counted")
                .hint("give the same file, or only the new rows without --replay")
        };
        let (mut line, mut seen, mut in_block) = (first, 0, 0);
        let mut replayed = String::new();
        while let Some(text) = line {
            seen += 1;
            let row = self.parse(&text, input.line, arguments)?;
            if seen <= skip {
                replayed = chained(&replayed, &row);
                if seen == skip && replayed != self.hash {
                    return Err(other_rows());
                }
            } else {
                self.push(&row, input.line)?;
                in_block += 1;
                if arguments.state.is_some() {
                    self.hash = chained(&self.hash, &row);
                }
            }
            if in_block == BLOCK || !input.reader.at_hand() {
                self.flush(arguments, true)?;
                in_block = 0;
            }
            line = input.next_line()?;
        }
        if seen < skip { Err(other_rows()) } else { Ok(()) }
    }

    fn parse(&self, text: &str, line: usize, arguments: &ContinualDp) -> Result<Vec<f64>, Failure> {
        let fields: Vec<&str> = text.split(',').collect();
        if fields.len() != self.names.len() {
            let (found, expected) = (fields.len(), self.names.len());
            return Err(Failure::input(format!(
                "line {line} has {found} fields, but the first row has {expected}"
            )));
        }
        let parse = |(field, name): (&&str, &String)| match field.trim().parse::<f64>() {
            Ok(value) if arguments.clip && !value.is_nan() => Ok(value.clamp(0.0, arguments.bound)),
            Ok(value) if (0.0..=arguments.bound).contains(&value) => Ok(value),
            Ok(value) => Err(Failure::input(format!(
                "line {line}, column \"{name}\" is {value}, but must be from 0 to {}",
                arguments.bound
            ))
            .hint("give --clip, or a larger --bound (which needs more noise)")),
            Err(_) => Err(Failure::input(format!(
                "line {line}, column \"{name}\" is {field:?}, which is no number"
            ))),
        };
        fields.iter().zip(&self.names).map(parse).collect()
    }

    fn push(&mut self, row: &[f64], line: usize) -> Result<(), Failure> {
        let named = |error: Error| match &error {
            Error::Horizon { .. } => Failure::input(error),
            _ => Failure::input(format!("line {line}: {error}")),
        };
        let (time, values, standard_error) = match &mut self.running {
            Running::Sums(release) => {
                let answer = release.push(row).map_err(named)?;
                (answer.time, answer.values, answer.standard_error)
            }
            Running::Maximum(release) => {
                if let Some(column) = row.iter().position(|&value| value != 0.0 && value != 1.0) {
                    let (name, value) = (&self.names[column], row[column]);
                    return Err(Failure::input(format!(
                        "line {line}, column \"{name}\" is {value}, but max and argmax take 0 or 1"
                    )));
                }
                let bits: Vec<bool> = row.iter().map(|&value| value == 1.0).collect();
                let answer = release.push(Row::Dense(&bits)).map_err(named)?;
                (answer.time, vec![answer.value], answer.standard_error)
            }
        };
        let text = if self.json {
            json!({"rows": time, "values": values, "standard_error": standard_error}).to_string()
        } else {
            let values: String = values.iter().map(|value| format!("{value},")).collect();
            format!("{time},{values}{standard_error}")
        };
        self.pending.push_str(&text);
        self.pending.push('\n');
        Ok(())
    }

    /// Makes the state durable, then prints: what has been seen is never computed again from other noise.
    fn flush(&mut self, arguments: &ContinualDp, with_pending: bool) -> Result<(), Failure> {
        if with_pending && self.pending.is_empty() {
            return Ok(());
        }
        if let Some(path) = &arguments.state {
            let release = match &self.running {
                Running::Sums(release) => state::Release::Sums(Box::new(release.state())),
                Running::Maximum(release) => state::Release::Maximum(Box::new(release.state())),
            };
            let saved = Saved {
                schema: SCHEMA.into(),
                columns: self.names.clone(),
                rows_sha256: self.hash.clone(),
                release,
                pending: if with_pending { self.recent.clone() + &self.pending } else { String::new() },
            };
            saved.write(path)?;
        }
        print_all(&self.pending, arguments)?;
        if arguments.state.is_some() {
            self.recent.push_str(&self.pending);
            let spare = self.recent.len().saturating_sub(PIPE);
            // Whole lines, as many as reach past what a pipe holds.
            let end = self.recent.as_bytes()[..spare].iter().rposition(|&byte| byte == b'\n');
            self.recent.drain(..end.map_or(0, |end| end + 1));
        }
        self.pending.clear();
        Ok(())
    }

    /// Prints the rest and notes that everything was printed.
    fn finish(&mut self, arguments: &ContinualDp) -> Result<(), Failure> {
        self.flush(arguments, true)?;
        if arguments.state.is_some() { self.flush(arguments, false) } else { Ok(()) }
    }

    fn summarise(&self, arguments: &ContinualDp) -> Result<(), Failure> {
        let hidden = match arguments.neighbours {
            Neighbours::Event => "any one row".to_owned(),
            Neighbours::User(rows) => format!("all rows of any one user, up to {rows}"),
        };
        let rho = self.running.rho();
        let delta = arguments.delta.unwrap_or(1e-6);
        let epsilon = match (&self.running, arguments.epsilon) {
            (Running::Sums(release), _) => release.plan().epsilon(delta, release.state().parameters.draws()),
            (_, Some(epsilon)) => epsilon,
            (_, None) => zcdp_epsilon(rho, delta),
        };
        let pure = arguments.delta.is_none() && arguments.epsilon.is_some();
        let summary = json!({
            "schema": "backstitch/continual-dp/1",
            "rows": self.steps(),
            "horizon": arguments.horizon,
            "mechanism": self.running.mechanism(),
            "hides": hidden,
            "rho": rho,
            "epsilon": epsilon,
            "delta": if pure { 0.0 } else { delta },
        });
        if self.json {
            return terminal::print_json(&json!({"summary": summary}));
        }
        let delta = if pure { String::new() } else { format!(", delta {delta:e}") };
        terminal::say(format_args!(
            "{} of {} rows · {} · hides {hidden} · spends epsilon {epsilon:.6}{delta} (rho {rho:.6} of zCDP) over the whole horizon",
            self.steps(),
            arguments.horizon,
            summary["mechanism"].as_str().unwrap_or_default(),
        ));
        Ok(())
    }
}

impl Running {
    fn rho(&self) -> f64 {
        match self {
            Self::Sums(release) => release.plan().rho,
            Self::Maximum(release) => release.rho(),
        }
    }

    fn mechanism(&self) -> Value {
        match self {
            Self::Sums(release) => json!(release.state().parameters.mechanism),
            Self::Maximum(release) => match release.mechanism() {
                MaxMechanism::Recompute => json!(format!("recompute every {} rows", release.interval())),
                other => json!(other),
            },
        }
    }
}

fn privacy(arguments: &ContinualDp) -> Privacy {
    match (arguments.rho, arguments.epsilon, arguments.delta) {
        (_, Some(epsilon), Some(delta)) => Privacy::Approximate { epsilon, delta },
        (_, Some(epsilon), None) => Privacy::Pure { epsilon },
        (rho, None, _) => Privacy::Concentrated { rho: rho.unwrap_or(f64::NAN) },
    }
}

fn start(arguments: &ContinualDp, columns: usize, key: Key) -> Result<Running, Failure> {
    let privacy = privacy(arguments);
    let pure = matches!(privacy, Privacy::Pure { .. });
    let refused = |way_out: &str| {
        let name = arguments.mechanism.to_possible_value().map(|value| value.get_name().to_owned());
        Err(Failure::input(format!("--mechanism {} does not answer this query", name.unwrap_or_default()))
            .hint(way_out))
    };
    let query = match arguments.query {
        QueryName::Count => Query::Count,
        QueryName::Sum => Query::Sum,
        QueryName::Histogram => Query::Histogram,
        QueryName::Max | QueryName::Argmax => {
            let mechanism = match arguments.mechanism {
                MechanismName::Auto => MaxMechanism::Best,
                MechanismName::Counters => MaxMechanism::Counters,
                MechanismName::Recompute => MaxMechanism::Recompute,
                _ => return refused("max and argmax take auto, counters or recompute"),
            };
            let parameters = MaxParameters {
                columns,
                horizon: arguments.horizon,
                privacy,
                neighbours: arguments.neighbours,
                mechanism,
                interval: arguments.interval,
                select: arguments.query == QueryName::Argmax,
            };
            let release = MaxSum::new(parameters, key).map_err(Failure::input)?;
            return Ok(Running::Maximum(Box::new(release)));
        }
    };
    let mechanism = match arguments.mechanism {
        MechanismName::Auto if pure => Mechanism::Honaker,
        MechanismName::Auto | MechanismName::NormalisedSquareRoot => Mechanism::NormalisedSquareRoot,
        MechanismName::Tree => Mechanism::Tree,
        MechanismName::Honaker => Mechanism::Honaker,
        MechanismName::SquareRoot => Mechanism::SquareRoot,
        _ => return refused("counts, sums and histograms take auto, tree, honaker or a square root"),
    };
    let (horizon, neighbours) = (arguments.horizon, arguments.neighbours);
    let parameters =
        Parameters { query, columns, bound: arguments.bound, mechanism, privacy, horizon, neighbours };
    let method = continual_dp::ContinualDp::new(parameters).map_err(Failure::input)?;
    Ok(Running::Sums(Box::new(method.start(key))))
}

/// Notes the release in the ledger, or refuses it. A crash after this has paid for nothing, which errs on the safe side.
fn charge(path: &Path, arguments: &ContinualDp, rho: f64) -> Result<(), Failure> {
    let _lock = lock(path)?;
    let mut ledger = match (fs::read(path), arguments.ledger_limit) {
        (Ok(bytes), None) => serde_json::from_slice::<Ledger>(&bytes)
            .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?,
        (Ok(_), Some(_)) => {
            return Err(Failure::input(format!("{} is there already and has its limit", path.display()))
                .hint("leave --ledger-limit out"));
        }
        (Err(error), Some(limit)) if error.kind() == io::ErrorKind::NotFound => {
            Ledger::new(limit).map_err(Failure::input)?
        }
        (Err(error), _) => {
            let failure = cannot("read", path, &error);
            return Err(failure.hint("a new ledger needs --ledger-limit"));
        }
    };
    let query = arguments.query.to_possible_value().map(|value| value.get_name().to_owned());
    let what = format!("continual-dp {} over {} rows", query.unwrap_or_default(), arguments.horizon);
    ledger.spend(&what, rho).map_err(Failure::input)?;
    let text = serde_json::to_string_pretty(&ledger).map_err(Failure::internal)? + "\n";
    write_atomic(path, text.as_bytes(), "output").map_err(|error| cannot("written", path, &error))
}

/// Prints answers. Where they are kept until they have been printed, a reader that has gone away ends the run: to go on without it
/// would be to note as printed what nobody has seen.
fn print_all(text: &str, arguments: &ContinualDp) -> Result<(), Failure> {
    let gone = !terminal::print_to_reader(text)?;
    match &arguments.state {
        Some(path) if gone => Err(Failure::input("nobody reads the answers any more")
            .hint(format!("continue from {}: what may not have been seen is printed again", path.display()))),
        _ => Ok(()),
    }
}

/// SHA-256 of the hash so far and one row.
fn chained(hash: &str, row: &[f64]) -> String {
    let mut bytes = hash.as_bytes().to_vec();
    row.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    backstitch_data::hash::sha256_of_bytes(&bytes)
}

fn neighbours(text: &str) -> Result<Neighbours, String> {
    match text.split_once(':') {
        None if text == "event" => Ok(Neighbours::Event),
        Some(("user", rows)) => match rows.parse() {
            Ok(rows) if rows > 0 => Ok(Neighbours::User(rows)),
            _ => Err("user:K needs the most rows of one user, 1 or more".into()),
        },
        _ => Err("expected `event` or `user:K`, K the most rows of one user".into()),
    }
}
