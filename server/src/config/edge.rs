//! What the world may ask of the port.

use burgee_runtime::addresses::{ForwardedHeader, Network, TrustedProxies};
use clap::Args;

/// Who is believed, and who may ask.
#[derive(Debug, Clone, Default, Args)]
pub struct Edge {
    /// Addresses and networks of proxies that say truly for whom they speak, with commas between
    #[arg(
        long,
        env = "BURGEE_TRUSTED_PROXIES",
        value_name = "NETWORKS",
        value_delimiter = ','
    )]
    pub trusted_proxies: Vec<Network>,
    /// The header in which they say it: x-forwarded-for or forwarded; the other is never read
    #[arg(
        long,
        env = "BURGEE_FORWARDED_HEADER",
        value_name = "NAME",
        default_value = "x-forwarded-for"
    )]
    pub forwarded_header: ForwardedHeader,
}

impl Edge {
    /// Whose word counts for whom they speak.
    #[must_use]
    pub fn proxies(&self) -> TrustedProxies {
        TrustedProxies::new(self.trusted_proxies.clone(), self.forwarded_header)
    }
}
