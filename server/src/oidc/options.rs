//! What an operator says of signing in with identity providers.

use clap::Args;
use openidconnect::RedirectUrl;

use super::Oidc;
use crate::failure::Failure;
use crate::outbound::Outbound;

/// Where the dashboard takes what a provider sends people back with.
const CALLBACK_PATH: &str = "/auth/callback";

/// Signing in with identity providers.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Identity providers")]
pub struct OidcOptions {
    /// Where identity providers send people back to, if not to /auth/callback of the public URL
    #[arg(long, env = "BURGEE_OIDC_REDIRECT_URI", value_name = "URL")]
    pub oidc_redirect_uri: Option<String>,
}

impl OidcOptions {
    /// What signs people in, to a server that people know by this URL.
    ///
    /// # Errors
    /// [`Failure::RedirectUri`].
    pub fn oidc(&self, outbound: Outbound, public_url: &str) -> Result<Oidc, Failure> {
        let given = self.oidc_redirect_uri.clone();
        let base = public_url.trim_end_matches('/');
        let uri = given.unwrap_or_else(|| format!("{base}{CALLBACK_PATH}"));
        match RedirectUrl::new(uri.clone()) {
            Ok(redirect) if is_callable(&redirect) => Ok(Oidc::new(outbound, redirect)),
            _ => Err(Failure::RedirectUri(uri)),
        }
    }
}

fn is_callable(redirect: &RedirectUrl) -> bool {
    let url = redirect.url();
    matches!(url.scheme(), "http" | "https") && url.has_host() && url.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::Allowed;

    #[test]
    fn people_come_back_to_the_public_url_or_where_an_operator_says() {
        let outbound = Outbound::new(Allowed::default(), Vec::new()).unwrap();
        let redirect = |given: Option<&str>| {
            let options = OidcOptions {
                oidc_redirect_uri: given.map(str::to_owned),
            };
            let oidc = options.oidc(outbound.clone(), "https://flags.example.com/");
            oidc.map(|oidc| oidc.redirect_uri.to_string()).ok()
        };
        let usual = "https://flags.example.com/auth/callback";
        assert_eq!(redirect(None).as_deref(), Some(usual));
        let other = "https://other.example.com/back";
        assert_eq!(redirect(Some(other)).as_deref(), Some(other));
        for wrong in ["", "/auth/callback", "javascript:x", "https://a.example/#b"] {
            assert_eq!(redirect(Some(wrong)), None, "{wrong}");
        }
    }
}
