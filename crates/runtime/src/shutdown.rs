//! The signals by which an operator, a supervisor or a terminal ends the process.

use std::io;

use tokio::signal::unix::{SignalKind, signal as listen};

/// Waits for SIGTERM or SIGINT, whose default effects end with the first call.
///
/// # Errors
/// When the system refuses the handlers.
pub async fn signal() -> io::Result<()> {
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal = name, "shutting down");
    Ok(())
}
