//! What the numbers were measured on.

use std::process::Command;

/// One line about processor, memory and Postgres.
pub(crate) fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib.div_ceil(1024 * 1024));
    let kernel = Command::new("uname").arg("-sr").output();
    let kernel = kernel.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    let profile = if cfg!(debug_assertions) {
        "DEBUG BUILD: these numbers mean nothing"
    } else {
        "release build"
    };
    format!(
        "{cores} cores ({processor}), {memory} GiB, {kernel}; server, Postgres (fsync on) and \
         load on the same machine; {profile}."
    )
}

/// The value of the first `name: value` line of a file.
fn field(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
