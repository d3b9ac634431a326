//! Logs to stderr, and traces to an OpenTelemetry collector where there is one.

use std::env;
use std::str::FromStr;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// The log filter, such as `info,burgee_hub=debug`.
const FILTER: &str = "BURGEE_LOG";
/// The log format: `text` or `json`.
const FORMAT: &str = "BURGEE_LOG_FORMAT";
/// The collector, as OpenTelemetry names it everywhere.
const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

const DEFAULT_FILTER: &str = "info";

/// What is logged, how, and where traces go.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name and version by which traces tell who sent them.
    pub service: &'static str,
    /// See [`Options::service`].
    pub version: &'static str,
    /// Directives of `tracing_subscriber`'s `EnvFilter`.
    pub filter: String,
    /// The form of a log line.
    pub format: LogFormat,
    /// The URL of a collector that takes OTLP over gRPC; without one, no traces.
    pub otlp_endpoint: Option<String>,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither `text` nor `json`.
    #[error("{FORMAT} is {0:?}; it must be text or json")]
    Format(String),
    /// A filter directive is malformed.
    #[error("{FILTER} cannot be parsed: {0}")]
    Filter(#[from] ParseError),
    /// The collector's address is malformed.
    #[error("cannot export traces: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// The process has telemetry already.
    #[error("telemetry was set up before: {0}")]
    Repeated(#[from] TryInitError),
}

/// The process's telemetry. Keep it until the end and [`Telemetry::finish`] it.
#[derive(Debug)]
#[must_use = "traces that are not sent yet are lost unless it is finished"]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Options {
    /// Reads `BURGEE_LOG`, `BURGEE_LOG_FORMAT` and `OTEL_EXPORTER_OTLP_ENDPOINT`.
    ///
    /// # Errors
    /// When the format is neither `text` nor `json`.
    pub fn from_environment(service: &'static str, version: &'static str) -> Result<Self, Error> {
        let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Ok(Self {
            service,
            version,
            filter: set(FILTER).unwrap_or_else(|| DEFAULT_FILTER.to_owned()),
            format: set(FORMAT).map_or(Ok(LogFormat::default()), |format| format.parse())?,
            otlp_endpoint: set(OTLP_ENDPOINT),
        })
    }
}

impl FromStr for LogFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(Error::Format(other.to_owned())),
        }
    }
}

/// Sets up logs, traces, and panics as log lines, for the whole process. With a
/// collector, call it within the tokio runtime.
///
/// # Errors
/// When an option is malformed, or telemetry was set up before.
pub fn init(options: &Options) -> Result<Telemetry, Error> {
    let filter = EnvFilter::try_new(&options.filter)?;
    let traces = options
        .otlp_endpoint
        .as_ref()
        .map(|endpoint| exporting(endpoint, options))
        .transpose()?;
    let spans = traces.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer(options.service))
    });
    tracing_subscriber::registry()
        .with(lines(options.format))
        .with(spans)
        .with(filter)
        .try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str();
        tracing::error!(location, message, "panic");
    }));
    Ok(Telemetry { traces })
}

fn exporting(endpoint: &str, options: &Options) -> Result<SdkTracerProvider, Error> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()?;
    let resource = Resource::builder()
        .with_service_name(options.service)
        .with_attribute(KeyValue::new("service.version", options.version))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}

fn lines(format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

impl Telemetry {
    /// Sends the traces that are still held, within the exporter's own time-out.
    pub async fn finish(self) {
        let Some(traces) = self.traces else { return };
        // It blocks, and what it waits for runs on this runtime.
        let sent = tokio::task::spawn_blocking(move || traces.shutdown()).await;
        if let Ok(Err(error)) = sent {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}
