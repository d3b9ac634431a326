//! `burgee-relay`: reads its configuration, builds a relay, runs it, drains it.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use burgee_relay::Relay;
use burgee_relay::config::{Arguments, Options};
use burgee_runtime::{shutdown, telemetry};
use clap::Parser as _;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

const SERVICE: &str = "burgee-relay";

fn main() -> ExitCode {
    match start(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("burgee-relay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    // Two providers may be compiled in, and rustls does not choose.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        return Err("a TLS provider was installed before".into());
    }
    let mut runtime = match arguments.threads().map(usize::from) {
        Some(1) => Builder::new_current_thread(),
        threads => {
            let mut runtime = Builder::new_multi_thread();
            if let Some(threads) = threads {
                runtime.worker_threads(threads);
            }
            runtime
        }
    };
    let options = arguments.resolve()?;
    runtime.enable_all().build()?.block_on(run(options))
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let telemetry = telemetry::Options::from_environment(SERVICE, env!("CARGO_PKG_VERSION"))?;
    let telemetry = telemetry::init(&telemetry)?;
    let scheme = if options.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let relay = Relay::prepare(options).await?;
    let stopped = tokio::spawn(shutdown::signal());
    // Whoever started it waits for this line; nobody reading it is no reason to
    // stop.
    let line = format!(
        "burgee-relay listening on {scheme}://{}\n",
        relay.local_addr()
    );
    let _ = std::io::stdout().lock().write_all(line.as_bytes());

    let stop = CancellationToken::new();
    let running = tokio::spawn(relay.run(stop.clone()));
    stopped.await??;
    stop.cancel();
    running.await??;
    telemetry.finish().await;
    Ok(())
}
