//! What an operator may set.

use std::net::IpAddr;
use std::time::Duration;

use tonic::Extensions;

use crate::limits::Limits;

/// Limits and times of a hub. The defaults are those of the design; all others
/// are constants beside their use.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Rulesets of so many bytes in all are held; further environments are
    /// refused with RESOURCE_EXHAUSTED. Default: 1 GiB.
    pub memory_max_bytes: usize,
    /// An environment that nobody used for so long is let go while the source
    /// is current. `None`: never (a relay holds what its key opens). Default:
    /// 10 minutes.
    pub environment_idle: Option<Duration>,
    /// A stream lives so long ±25 %, then says goodbye. Default: 45 minutes.
    pub stream_lifetime: Duration,
    /// An idle stream gives a sign of life each so long ±20 %. Default: 15
    /// seconds.
    pub bookmark_interval: Duration,
    /// A receiver that is ahead of this hop is held so long. Default: 30
    /// seconds.
    pub behind_max: Duration,
    /// A call that wants a position waits so long if it names no deadline.
    /// Default: 5 seconds.
    pub position_wait_default: Duration,
    /// Streams that may be open here. Default: 50,000. Client keys, which are
    /// public, are given four fifths of them, so that services always find a place.
    pub streams_max: usize,
    /// Streams that one key may have open here. Default: 20,000.
    pub streams_per_key_max: usize,
    /// Streams that all client keys together may have open from one address.
    /// Default: 1,000.
    pub client_streams_per_address_max: usize,
    /// Who has called how often. Clones count together, wherever else they count.
    pub limits: Limits,
    /// From where a request comes, as its extensions say it: an address that stands
    /// for all that one party has. Default: that is not known, and not counted.
    pub caller_site: fn(&Extensions) -> Option<IpAddr>,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            memory_max_bytes: 1 << 30,
            environment_idle: Some(Duration::from_secs(10 * 60)),
            stream_lifetime: Duration::from_secs(45 * 60),
            bookmark_interval: Duration::from_secs(15),
            behind_max: Duration::from_secs(30),
            position_wait_default: Duration::from_secs(5),
            streams_max: 50_000,
            streams_per_key_max: 20_000,
            client_streams_per_address_max: 1_000,
            limits: Limits::default(),
            caller_site: |_| None,
        }
    }
}
