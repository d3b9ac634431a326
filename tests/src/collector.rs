//! An OpenTelemetry collector, which keeps what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A collector on loopback, as long as the test's runtime lives.
pub struct Collector {
    address: SocketAddr,
    kept: Kept,
}

/// All that was sent, encoded.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Collector {
    /// Takes a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Kept::default();
        let service = TraceServiceServer::new(kept.clone()).max_decoding_message_size(usize::MAX);
        let serving = Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        Self { address, kept }
    }

    /// The environment variable that sends traces here.
    #[must_use]
    pub fn variable(&self) -> (String, String) {
        let url = format!("http://{}", self.address);
        ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), url)
    }

    /// All that it was sent.
    ///
    /// # Panics
    ///
    /// When somebody panicked while they sent.
    #[must_use]
    pub fn kept(&self) -> Vec<u8> {
        self.kept.0.lock().unwrap().clone()
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let encoded = request.into_inner().encode_to_vec();
        self.0.lock().unwrap().extend(encoded);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
