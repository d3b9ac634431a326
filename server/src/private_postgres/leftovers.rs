//! What a killed predecessor left: a Postgres that still runs or is just ending, and
//! the file by which it would refuse a second one.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::{Error, POLL, cannot};

/// How a leftover is asked to end, and how long it has for it. A postmaster ends its
/// backends; backends whose postmaster was killed end on their own or are killed.
const WAYS: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_secs(20)),
    (Signal::SIGQUIT, Duration::from_secs(5)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];

/// Ends every Postgres process of `cluster`, and forgets the last postmaster. To be
/// called by whoever holds the lock of the data directory.
pub(super) async fn end(cluster: &Path) -> Result<(), Error> {
    for (signal, patience) in WAYS {
        let processes = running(cluster).map_err(cannot("list processes"))?;
        if processes.is_empty() {
            break;
        }
        tracing::info!(?processes, %signal, "ending a Postgres of an earlier process");
        for process in processes {
            match kill(process, signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(cannot("end an earlier Postgres")(error.into())),
            }
        }
        gone(cluster, patience).await?;
    }
    if let Some(process) = running(cluster).map_err(cannot("list processes"))?.first() {
        return Err(Error::Leftover(process.as_raw()));
    }
    forget_postmaster(cluster).map_err(cannot("remove postmaster.pid"))
}

/// Removes the file by which Postgres would refuse to start because its process id is
/// in use again, by something else. A file of a dead process is left to Postgres,
/// which also looks whether anything still holds its memory.
fn forget_postmaster(cluster: &Path) -> io::Result<()> {
    let file = cluster.join("postmaster.pid");
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    let id = text.lines().next().unwrap_or_default().trim();
    if Path::new("/proc").join(id).exists() {
        fs::remove_file(&file)?;
    }
    Ok(())
}

/// Waits until nothing runs, or patience ends.
async fn gone(cluster: &Path, patience: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        let processes = running(cluster).map_err(cannot("list processes"))?;
        if processes.is_empty() {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// The Postgres processes of `cluster`.
fn running(cluster: &Path) -> io::Result<Vec<Pid>> {
    let processes = fs::read_dir("/proc")?.flatten().filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let process = entry.path();
        (works_in(&process, cluster) || was_told(&process, cluster)).then(|| Pid::from_raw(id))
    });
    Ok(processes.collect())
}

/// Whether it is a Postgres that works in `cluster`, as postmaster and backends do.
/// That of another account is hidden from a root without the right to trace.
fn works_in(process: &Path, cluster: &Path) -> bool {
    let folder = fs::read_link(process.join("cwd"));
    let program = fs::read_link(process.join("exe"));
    folder.is_ok_and(|folder| folder == cluster)
        && program.is_ok_and(|program| is_postgres(program.as_os_str().as_bytes()))
}

/// Whether it is a postmaster whose arguments name `cluster`: those can all see.
fn was_told(process: &Path, cluster: &Path) -> bool {
    let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
    let mut arguments = arguments.split(|byte| *byte == 0);
    arguments.next().is_some_and(is_postgres)
        && arguments.any(|argument| argument == cluster.as_os_str().as_bytes())
}

/// By the name of the program, which may be followed by ` (deleted)`.
fn is_postgres(program: &[u8]) -> bool {
    let name = program.rsplit(|byte| *byte == b'/').next();
    name.is_some_and(|name| name.starts_with(b"postgres"))
}
