//! Networks, as operators write them.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// An address, or all addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("give an address or a network, such as 192.0.2.7 or 10.0.0.0/8 or 2001:db8::/32")]
pub struct MalformedNetwork;

impl Network {
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for Network {
    type Err = MalformedNetwork;

    fn from_str(text: &str) -> Result<Self, MalformedNetwork> {
        let text = text.trim();
        let single = || text.parse::<IpAddr>().map(IpNet::from);
        let network = text.parse::<IpNet>().or_else(|_| single());
        network.map(Self).map_err(|_| MalformedNetwork)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_network_of_its_own() {
        let network: Network = " 192.0.2.7".parse().unwrap();
        assert!(network.contains("192.0.2.7".parse().unwrap()));
        assert!(!network.contains("192.0.2.8".parse().unwrap()));
        let network: Network = "10.1.2.3/8".parse().unwrap();
        assert!(network.contains("10.9.9.9".parse().unwrap()));
        for bad in ["", "10.0.0.0/33", "example.com", "10.0.0/8", "*"] {
            assert_eq!(bad.parse::<Network>(), Err(MalformedNetwork), "{bad}");
        }
    }
}
