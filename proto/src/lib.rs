//! Burgee's contract as Rust types, generated from `burgee/**/*.proto` beside
//! this crate's sources.
//!
//! | module | package | who speaks it |
//! |---|---|---|
//! | [`types::v1`] | `burgee.types.v1` | everybody: flags, segments, contexts, results, positions |
//! | [`admin::v1`] | `burgee.admin.v1` | people and scripts |
//! | [`sync::v1`] | `burgee.sync.v1` | SDKs with local evaluation, relays |
//! | [`evaluation::v1`] | `burgee.evaluation.v1` | thin clients, browsers |
//! | [`telemetry::v1`] | `burgee.telemetry.v1` | relays |
//!
//! Messages come by default; the features `client` and `server` add tonic's
//! stubs, so that the evaluator can use the messages without tonic. An
//! [`Explanation`](types::v1::Explanation) can be displayed, for people.

/// Every descriptor of the contract and what it imports, comments included:
/// for reflection, ProtoJSON, and tests that walk it.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/burgee.binpb"));

mod explanation_text;
#[cfg(feature = "server")]
pub mod pass_through;

/// `burgee.types.v1`: what everybody speaks of.
pub mod types {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/burgee.types.v1.rs"));
    }
}

/// `burgee.admin.v1`: the control plane.
pub mod admin {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/burgee.admin.v1.rs"));
    }
}

/// `burgee.sync.v1`: rulesets on their way to whoever evaluates them.
pub mod sync {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/burgee.sync.v1.rs"));

        /// SyncService for a server that encodes a ruleset message once and
        /// sends it to many.
        #[cfg(feature = "server")]
        pub mod encoded {
            include!(concat!(env!("OUT_DIR"), "/burgee.sync.v1.SyncService.rs"));
        }
    }
}

/// `burgee.telemetry.v1`: what happened at SDKs and relays.
pub mod telemetry {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/burgee.telemetry.v1.rs"));
    }
}

/// `burgee.evaluation.v1`: flags evaluated for the caller.
pub mod evaluation {
    /// Version 1.
    #[allow(missing_docs, clippy::all, clippy::pedantic)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/burgee.evaluation.v1.rs"));
    }
}
