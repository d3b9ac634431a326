//! What every Burgee binary needs around its services.
//!
//! - [`listening`]: one port for gRPC, gRPC-web and plain HTTP; an accept loop
//!   with caps, time-outs, TLS and a shutdown that ends.
//! - [`addresses`]: who calls, also through proxies that are trusted.
//! - [`browsers`]: what they are told, and what pages of other origins may ask.
//! - [`calls`]: what each call is guarded with: content type, deadline, the bytes that
//!   it sends, load shedding, panics, and the answer to paths that nobody serves.
//! - [`shares`]: what there is a bounded amount of, for all and for each address.
//! - [`tls`]: certificates that are read again when their files change.
//! - [`telemetry`]: logs and traces.
//! - [`shutdown`]: the signals that end the process.
//!
//! Nothing in here knows what Burgee's services do.

pub mod addresses;
pub mod browsers;
pub mod calls;
pub mod listening;
pub mod shares;
pub mod shutdown;
pub mod telemetry;
pub mod tls;

pub use addresses::ClientAddress;
pub use listening::{Connection, Limits, Listening};
