//! What a provider must be, to be set up.

use std::collections::BTreeSet;

use burgee_proto::admin::v1::{IdentityProvider, RoleMapping};
use url::Url;

use crate::change::Change;
use crate::error::Error;
use crate::members::mapped_roles;
use crate::outbound::Outbound;
use crate::texts::Violations;

/// The longest issuer, in bytes.
const ISSUER_MAX: usize = 1_024;
/// The longest client id, secret, group, claim or scope, in bytes.
const TEXT_MAX: usize = 256;
/// The longest client secret, in bytes.
const CLIENT_SECRET_MAX: usize = 1_024;
/// The longest name of a domain, in bytes.
const DOMAIN_MAX: usize = 253;
/// The most domains, or scopes.
const DOMAINS_MAX: usize = 50;
/// The most role mappings.
const MAPPINGS_MAX: usize = 200;

/// As it is kept: domains in lower case, and nothing twice.
pub(super) fn normalize(provider: &mut IdentityProvider) {
    for domain in &mut provider.email_domains {
        *domain = domain.trim().to_lowercase();
    }
    let mut seen = BTreeSet::new();
    provider.email_domains.retain(|it| seen.insert(it.clone()));
}

/// Checks what was given, but for what it refers to.
pub(super) fn check(provider: &IdentityProvider, outbound: &Outbound) -> Result<(), Error> {
    let mut violations = Violations::default();
    let field = |name: &str| format!("identity_provider.{name}");
    violations.display_name(field("display_name"), &provider.display_name);
    if let Err(description) = check_issuer(&provider.issuer, outbound) {
        violations.require(false, field("issuer"), description);
    }
    let id = &provider.client_id;
    let good = (1..=TEXT_MAX).contains(&id.len()) && is_plain(id);
    violations.require(good, field("client_id"), format!("1 to {TEXT_MAX} bytes"));
    let secret = &provider.client_secret;
    let good = secret.len() <= CLIENT_SECRET_MAX && is_plain(secret);
    let wanted = format!("at most {CLIENT_SECRET_MAX} bytes, without control characters");
    violations.require(good, field("client_secret"), wanted);
    check_lists(provider, &mut violations);
    let claim = &provider.groups_claim;
    let good = claim.len() <= TEXT_MAX && is_plain(claim);
    let wanted = format!("at most {TEXT_MAX} bytes");
    violations.require(good, field("groups_claim"), wanted);
    check_mappings(&provider.role_mappings, claim, &mut violations);
    violations.finish()
}

fn check_issuer(issuer: &str, outbound: &Outbound) -> Result<(), String> {
    let url = Url::parse(issuer).ok();
    let url = url.filter(|url| url.query().is_none() && issuer.len() <= ISSUER_MAX);
    let url = url.ok_or("give the issuer's URL, without a query")?;
    let checked = outbound.check(&url);
    checked.map_err(|refusal| format!("the URL {refusal}"))
}

fn check_lists(provider: &IdentityProvider, violations: &mut Violations) {
    let domains = &provider.email_domains;
    violations.require(
        (1..=DOMAINS_MAX).contains(&domains.len()),
        "identity_provider.email_domains",
        format!("give 1 to {DOMAINS_MAX} domains, so that only people in these are let in"),
    );
    for (at, domain) in domains.iter().enumerate().take(DOMAINS_MAX) {
        let place = format!("identity_provider.email_domains[{at}]");
        violations.require(
            is_domain(domain),
            place,
            "give a domain, such as example.com",
        );
    }
    let scopes = &provider.scopes;
    violations.require(
        scopes.len() <= DOMAINS_MAX,
        "identity_provider.scopes",
        format!("at most {DOMAINS_MAX} scopes"),
    );
    for (at, scope) in scopes.iter().enumerate().take(DOMAINS_MAX) {
        let place = format!("identity_provider.scopes[{at}]");
        violations.require(is_scope(scope), place, "give one scope, without spaces");
    }
}

fn check_mappings(mappings: &[RoleMapping], claim: &str, violations: &mut Violations) {
    const FIELD: &str = "identity_provider.role_mappings";
    violations.require(
        mappings.len() <= MAPPINGS_MAX,
        FIELD,
        format!("at most {MAPPINGS_MAX} mappings"),
    );
    violations.require(
        mappings.is_empty() || !claim.is_empty(),
        "identity_provider.groups_claim",
        "name the claim that says which groups somebody is in",
    );
    for (at, mapping) in mappings.iter().enumerate().take(MAPPINGS_MAX) {
        let good = (1..=TEXT_MAX).contains(&mapping.group.len()) && !mapping.group.contains('\0');
        violations.require(
            good,
            format!("{FIELD}[{at}].group"),
            format!("1 to {TEXT_MAX} bytes"),
        );
        let first = mappings.iter().position(|other| other == mapping) == Some(at);
        violations.require(first, format!("{FIELD}[{at}]"), "given twice");
    }
}

/// Checks the roles that groups give, and where.
pub(super) async fn check_roles(
    change: &mut Change,
    provider: &IdentityProvider,
) -> Result<(), Error> {
    for mapping in &provider.role_mappings {
        mapped_roles::check(change, mapping).await?;
    }
    Ok(())
}

fn is_plain(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// In lower case; names beyond ASCII as they are on the wire (`xn--…`).
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(good)
    };
    domain.len() <= DOMAIN_MAX && domain.split('.').all(is_label)
}

/// RFC 6749, 3.3.
fn is_scope(scope: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    (1..=TEXT_MAX).contains(&scope.len()) && scope.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::Allowed;

    fn sound() -> IdentityProvider {
        IdentityProvider {
            issuer: "https://login.example.com/realms/staff".to_owned(),
            client_id: "burgee".to_owned(),
            email_domains: vec!["Example.com".to_owned(), "example.com".to_owned()],
            ..IdentityProvider::default()
        }
    }

    fn fields(change: impl FnOnce(&mut IdentityProvider)) -> Vec<String> {
        let mut provider = sound();
        change(&mut provider);
        normalize(&mut provider);
        let outbound = Outbound::new(Allowed::default(), Vec::new()).unwrap();
        match check(&provider, &outbound) {
            Ok(()) => Vec::new(),
            Err(Error::Invalid(violations)) => {
                let fields = violations.into_iter().map(|violation| violation.field);
                fields
                    .map(|it| it.replace("identity_provider.", ""))
                    .collect()
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_sound_is_taken_and_domains_are_kept_in_lower_case() {
        assert_eq!(fields(|_| {}), [""; 0]);
        let mut provider = sound();
        normalize(&mut provider);
        assert_eq!(provider.email_domains, ["example.com"]);
    }

    #[test]
    fn what_is_not_is_named() {
        let nothing = fields(|it| *it = IdentityProvider::default());
        assert_eq!(nothing, ["issuer", "client_id", "email_domains"]);
        for issuer in [
            "http://login.example.com",
            "https://127.0.0.1",
            "https://a@login.example.com",
            "https://login.example.com/?tenant=1",
            "https://login.example.com/#x",
            "login.example.com",
        ] {
            assert_eq!(
                fields(|it| it.issuer = issuer.to_owned()),
                ["issuer"],
                "{issuer}"
            );
        }
        for domain in ["", "a@example.com", "*.example.com", ".example.com", "a b"] {
            let named = fields(|it| it.email_domains = vec![domain.to_owned()]);
            assert_eq!(named, ["email_domains[0]"], "{domain:?}");
        }
        assert_eq!(
            fields(|it| it.scopes = vec!["a b".to_owned()]),
            ["scopes[0]"]
        );
        let mapping = RoleMapping {
            group: "staff".to_owned(),
            ..RoleMapping::default()
        };
        let twice = fields(|it| it.role_mappings = vec![mapping.clone(), mapping.clone()]);
        assert_eq!(twice, ["groups_claim", "role_mappings[1]"]);
    }
}
