//! Names to addresses that may be called. What it gives is what is connected to, so that a name
//! which means something else a moment later leads nowhere else.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

use super::Refusal;
use super::address::Allowed;

/// The most addresses of a name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Looks names up, and leaves out what may not be called.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    allowed: Allowed,
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Forbidden(pub(super) Refusal);

impl Resolver {
    pub(super) fn new(allowed: Allowed) -> Self {
        Self { allowed }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Forbidden;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allowed = self.allowed.clone();
        Box::pin(async move {
            // The connector puts the port in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map_err(|_| Forbidden(Refusal::Unresolved))?;
            choose(&allowed, found)
        })
    }
}

fn choose(
    allowed: &Allowed,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<std::vec::IntoIter<SocketAddr>, Forbidden> {
    let mut found = found.peekable();
    if found.peek().is_none() {
        return Err(Forbidden(Refusal::Unresolved));
    }
    let good = found.filter(|address| allowed.allows(address.ip()));
    let good: Vec<_> = good.take(ADDRESSES_MAX).collect();
    match good.is_empty() {
        true => Err(Forbidden(Refusal::Forbidden)),
        false => Ok(good.into_iter()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_addresses_only_good_ones_are_connected_to() {
        let allowed = Allowed::default();
        let chosen = |addresses: &[&str]| {
            let found = addresses
                .iter()
                .map(|it| SocketAddr::new(it.parse().unwrap(), 0));
            let chosen = choose(&allowed, found.collect::<Vec<_>>().into_iter());
            chosen.map(|it| {
                it.map(|address| address.ip().to_string())
                    .collect::<Vec<_>>()
            })
        };
        let good = chosen(&["127.0.0.1", "1.1.1.1", "::1"]).unwrap();
        assert_eq!(good, ["1.1.1.1"]);
        let refused = chosen(&["127.0.0.1", "10.0.0.1"]).unwrap_err();
        assert_eq!(refused.0, Refusal::Forbidden);
        assert_eq!(chosen(&[]).unwrap_err().0, Refusal::Unresolved);
        let many = ["1.1.1.1"; 2 * ADDRESSES_MAX];
        assert_eq!(chosen(&many).unwrap().len(), ADDRESSES_MAX);
    }
}
