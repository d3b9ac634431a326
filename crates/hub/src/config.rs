//! What an operator may set.

use std::time::Duration;

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
    /// Streams that one key may have open here. Default: 20,000.
    pub streams_per_key_max: usize,
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
            streams_per_key_max: 20_000,
        }
    }
}
