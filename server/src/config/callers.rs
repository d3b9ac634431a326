//! How much callers may ask of one replica.

use burgee_hub::HubConfig;
use burgee_hub::limits::{Limits, Rate, Rates};
use burgee_runtime::ClientAddress;
use clap::Args;

/// How often callers may call, and how many streams they may have open.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "How much callers may ask")]
pub struct Callers {
    /// Calls a second with one credential of the control plane; /N: at once, 0 or off: any number
    #[arg(long, env = "BURGEE_CREDENTIAL_RATE", value_name = "RATE", default_value_t = Rates::default().credential)]
    pub credential_rate: Rate,
    /// Calls a second of one person or service account, whatever their credentials
    #[arg(long, env = "BURGEE_ACCOUNT_RATE", value_name = "RATE", default_value_t = Rates::default().account)]
    pub account_rate: Rate,
    /// Calls a second from one address without a good credential
    #[arg(long, env = "BURGEE_ADDRESS_RATE", value_name = "RATE", default_value_t = Rates::default().address)]
    pub address_rate: Rate,
    /// Calls a second with one server, relay or test key
    #[arg(long, env = "BURGEE_SERVER_KEY_RATE", value_name = "RATE", default_value_t = Rates::default().server_key)]
    pub server_key_rate: Rate,
    /// Calls a second with one client key
    #[arg(long, env = "BURGEE_CLIENT_KEY_RATE", value_name = "RATE", default_value_t = Rates::default().client_key)]
    pub client_key_rate: Rate,
    /// Calls a second with one client key from one address
    #[arg(long, env = "BURGEE_CLIENT_ADDRESS_RATE", value_name = "RATE", default_value_t = Rates::default().client_address)]
    pub client_address_rate: Rate,
    /// Streams of the data plane that may be open; client keys are given four fifths of them
    #[arg(long, env = "BURGEE_STREAMS", value_name = "NUMBER", default_value_t = HubConfig::default().streams_max)]
    pub streams: usize,
    /// Streams that one key may have open
    #[arg(long, env = "BURGEE_STREAMS_PER_KEY", value_name = "NUMBER", default_value_t = HubConfig::default().streams_per_key_max)]
    pub streams_per_key: usize,
    /// Streams that client keys may have open from one address
    #[arg(long, env = "BURGEE_CLIENT_STREAMS_PER_ADDRESS", value_name = "NUMBER", default_value_t = HubConfig::default().client_streams_per_address_max)]
    pub client_streams_per_address: usize,
}

impl Default for Callers {
    fn default() -> Self {
        let (rates, hub) = (Rates::default(), HubConfig::default());
        Self {
            credential_rate: rates.credential,
            account_rate: rates.account,
            address_rate: rates.address,
            server_key_rate: rates.server_key,
            client_key_rate: rates.client_key,
            client_address_rate: rates.client_address,
            streams: hub.streams_max,
            streams_per_key: hub.streams_per_key_max,
            client_streams_per_address: hub.client_streams_per_address_max,
        }
    }
}

impl Callers {
    /// What the data plane is told, with who has called how often: nobody yet.
    #[must_use]
    pub fn hub(&self) -> HubConfig {
        HubConfig {
            streams_max: self.streams,
            streams_per_key_max: self.streams_per_key,
            client_streams_per_address_max: self.client_streams_per_address,
            limits: Limits::new(Rates {
                credential: self.credential_rate,
                account: self.account_rate,
                address: self.address_rate,
                server_key: self.server_key_rate,
                client_key: self.client_key_rate,
                client_address: self.client_address_rate,
            }),
            caller_site: ClientAddress::site_of,
            ..HubConfig::default()
        }
    }
}
