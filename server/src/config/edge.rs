//! What the world may ask of the port.

use burgee_runtime::addresses::{ForwardedHeader, Network, TrustedProxies};
use burgee_runtime::browsers::{AllowedOrigin, AllowedOrigins};
use clap::Args;

use super::callers::Callers;

/// Who is believed, and who may ask.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Who may reach it")]
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
    /// Origins whose pages may evaluate flags with a client key, with commas between; * for all
    #[arg(
        long,
        env = "BURGEE_ALLOWED_ORIGINS",
        value_name = "ORIGINS",
        value_delimiter = ','
    )]
    pub allowed_origins: Vec<AllowedOrigin>,
    /// Pages of this machine may, too: for `dev`, which nobody else reaches.
    #[arg(skip)]
    pub allow_loopback_origins: bool,
    /// How much everybody may ask.
    #[command(flatten)]
    pub callers: Callers,
}

impl Edge {
    /// What `dev` lets in.
    #[must_use]
    pub fn dev() -> Self {
        Self {
            allow_loopback_origins: true,
            ..Self::default()
        }
    }

    /// Of which origins pages may call.
    #[must_use]
    pub fn origins(&self) -> AllowedOrigins {
        if self.allow_loopback_origins {
            return AllowedOrigins::Loopback;
        }
        self.allowed_origins.clone().into()
    }

    /// Whose word counts for whom they speak.
    #[must_use]
    pub fn proxies(&self) -> TrustedProxies {
        TrustedProxies::new(self.trusted_proxies.clone(), self.forwarded_header)
    }
}
