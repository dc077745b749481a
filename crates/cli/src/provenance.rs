//! Who made a run: version, commit, compiler, machine.

use backstitch_claim::Provenance;

/// Of this process.
pub(crate) fn here() -> Provenance {
    Provenance {
        version: env!("CARGO_PKG_VERSION").into(),
        commit: env!("BACKSTITCH_COMMIT").into(),
        toolchain: env!("BACKSTITCH_TOOLCHAIN").into(),
        cpu: cpu(),
        cores: cores(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
    }
}

/// Logical cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The command line, without the path of the program.
pub(crate) fn command_line() -> Vec<String> {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once("backstitch".into()).chain(arguments).collect()
}

fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| {
        line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim().to_owned())
    });
    model.unwrap_or_else(|| std::env::consts::ARCH.into())
}
