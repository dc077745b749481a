//! The test command of a program, with a time limit.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use backstitch_reason::textgrad::jobs::TestOutcome;

use crate::failure::Failure;

/// Most bytes of the output that are shown to the critic, the last ones.
const MOST_OUTPUT: u64 = 8_000;

/// How often it is looked whether the tests have ended.
const PAUSE: Duration = Duration::from_millis(10);

/// A command that tests programs.
pub(super) struct TestCommand {
    command: String,
    limit: Duration,
    /// The name of the program's file.
    name: PathBuf,
    /// Whether it is said behind what they print how they ended.
    says_the_end: bool,
}

impl TestCommand {
    pub(super) fn new(command: &str, seconds: f64, program: &Path) -> Result<Self, Failure> {
        let limit = Duration::try_from_secs_f64(seconds).ok().filter(|limit| !limit.is_zero());
        let Some(limit) = limit else {
            let message = format!("--test-seconds is {seconds}, but must be above 0");
            return Err(Failure::input(message).hint("60 is usual"));
        };
        if !command.contains("{}") {
            let message = format!("--test-command {command:?} has no {{}} for the file of the program");
            return Err(Failure::input(message).hint("write it like \"python3 {}\""));
        }
        let name = program.file_name().map_or_else(|| "program".into(), PathBuf::from);
        Ok(Self { command: command.into(), limit, name, says_the_end: true })
    }

    /// The same, of which only what they print goes to the critic.
    pub(super) fn printing_all(self) -> Self {
        Self { says_the_end: false, ..self }
    }

    /// Tests a program. A failure is an outcome; an error is that the tests could not be started.
    pub(super) fn run(&self, program: &str) -> Result<TestOutcome, String> {
        let folder = Folder::new().map_err(|error| format!("no temporary folder: {error}"))?;
        let file = folder.0.join(&self.name);
        let shown = file.to_string_lossy().into_owned();
        let said = folder.0.join("output of the tests");
        let prepared = fs::write(&file, program).and_then(|()| {
            let output = File::create(&said)?;
            let errors = output.try_clone()?;
            let mut command = shell(&self.command.replace("{}", &quoted(&shown)));
            command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn()
        });
        let mut child = prepared.map_err(|error| error.to_string())?;
        let status = self.wait(&mut child).map_err(|error| error.to_string())?;
        let printed = end_of(&said).map_err(|error| error.to_string())?;
        // The place changes from run to run.
        let printed = printed.replace(&shown, &self.name.to_string_lossy());
        let (passed, end) = match status {
            Some(status) if status.success() => (true, "The tests passed.".into()),
            Some(status) => (false, format!("The tests failed ({status}).")),
            None => (false, format!("The tests were stopped after {} seconds.", self.limit.as_secs_f64())),
        };
        let output = if self.says_the_end { format!("{}\n{end}", printed.trim_end()) } else { printed };
        Ok(TestOutcome { passed, output: output.trim().to_owned() })
    }

    /// The exit status; nothing if the time ran out.
    fn wait(&self, child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
        let begin = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if begin.elapsed() >= self.limit {
                end(child);
                child.wait()?;
                return Ok(None);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

#[cfg(unix)]
fn shell(text: &str) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("/bin/sh");
    // A group of its own, so that all of it can be ended.
    command.arg("-c").arg(text).process_group(0);
    command
}

#[cfg(not(unix))]
fn shell(text: &str) -> Command {
    let mut command = Command::new("cmd");
    command.arg("/C").arg(text);
    command
}

/// Ends the command and what it started.
fn end(child: &mut Child) {
    #[cfg(unix)]
    {
        // Where there is no such program, the shell at least is ended below.
        let group = format!("-{}", child.id());
        let _ = Command::new("/bin/kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    }
    let _ = child.kill();
}

/// A path as the shell takes it.
fn quoted(path: &str) -> String {
    if cfg!(unix) { format!("'{}'", path.replace('\'', "'\\''")) } else { format!("\"{path}\"") }
}

/// The last of a file.
fn end_of(file: &Path) -> std::io::Result<String> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(MOST_OUTPUT)))?;
    file.take(MOST_OUTPUT).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(if length > MOST_OUTPUT { format!("… {text}") } else { text })
}

/// A folder that goes when it is no longer needed.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Self> {
        let mut number = 0;
        loop {
            let folder =
                std::env::temp_dir().join(format!("backstitch-textgrad-{}-{number}", std::process::id()));
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(Self(folder)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
