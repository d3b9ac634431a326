//! What a provider says of somebody, and whether its rules let them in.

use std::collections::HashMap;

use burgee_proto::admin::v1::IdentityProvider;
use openidconnect::core::CoreGenderClaim;
use openidconnect::{AdditionalClaims, IdTokenClaims, UserInfoClaims};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::members::email;

/// What people are called, at most, in bytes.
const DISPLAY_NAME_MAX: usize = 256;
/// The most groups that are looked at.
const GROUPS_MAX: usize = 5_000;
/// Where a provider says which claims it left out, as they were too large.
const LEFT_OUT: &str = "_claim_names";

/// The claims that OpenID Connect has no field for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MoreClaims {
    #[serde(flatten)]
    claims: HashMap<String, Value>,
}

impl AdditionalClaims for MoreClaims {}

/// The claims of an ID token.
pub type IdClaims = IdTokenClaims<MoreClaims, CoreGenderClaim>;
/// What a user info endpoint says.
pub type InfoClaims = UserInfoClaims<MoreClaims, CoreGenderClaim>;

/// What a provider says of somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// What the issuer calls them, for ever.
    pub subject: String,
    /// Their address, and whether the provider calls it verified.
    pub email: Option<(String, bool)>,
    /// What people call them.
    pub name: Option<String>,
    /// Their groups. None: it does not say.
    pub groups: Option<Vec<String>>,
    /// It would say more groups than fit.
    pub groups_left_out: bool,
}

/// Why somebody is not let in. Told to them: they have proven to be known to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No usable e-mail address.
    NoEmail,
    /// Not verified.
    EmailNotVerified,
    /// In another domain.
    EmailForeign,
    /// There are more groups than the provider says.
    GroupsLeftOut,
}

impl Refused {
    /// What is wrong, and what to do.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::NoEmail => "the identity provider gives no e-mail address; ask for the scope",
            Self::EmailNotVerified => {
                "the identity provider does not call the e-mail address verified"
            }
            Self::EmailForeign => {
                "the e-mail address is in none of the domains that the identity provider is for"
            }
            Self::GroupsLeftOut => {
                "the identity provider left the groups out, as there are too many; let it send \
                 fewer"
            }
        }
    }
}

impl Person {
    /// Who an ID token tells of.
    #[must_use]
    pub fn of(claims: &IdClaims, groups_claim: &str) -> Self {
        let more = claims.additional_claims();
        Self {
            subject: claims.subject().to_string(),
            email: address(
                claims.email().map(|it| it.as_str()),
                claims.email_verified(),
            ),
            name: claims
                .name()
                .and_then(|name| name.get(None))
                .map(|it| it.to_string()),
            groups: more.groups(groups_claim),
            groups_left_out: more.left_out(groups_claim),
        }
    }

    /// Whether the user info endpoint could say more.
    #[must_use]
    pub fn lacks(&self, groups_claim: &str) -> bool {
        self.email.is_none() || (!groups_claim.is_empty() && self.groups.is_none())
    }

    /// What was lacking, from the user info endpoint.
    #[must_use]
    pub fn completed(self, info: &InfoClaims, groups_claim: &str) -> Self {
        let more = info.additional_claims();
        let name = || info.name().and_then(|name| name.get(None));
        Self {
            // Whether it is verified is said of the address beside it.
            email: self
                .email
                .or_else(|| address(info.email().map(|it| it.as_str()), info.email_verified())),
            name: self.name.or_else(|| name().map(|it| it.to_string())),
            groups: self.groups.or_else(|| more.groups(groups_claim)),
            groups_left_out: self.groups_left_out || more.left_out(groups_claim),
            ..self
        }
    }

    /// What people call them, or the name in their address.
    #[must_use]
    pub fn display_name(&self, email: &str) -> String {
        let local = email.split('@').next().unwrap_or_default();
        let given = self.name.as_deref().map(str::trim);
        let given = given.filter(|name| !name.is_empty() && !name.contains('\0'));
        let mut name = given.unwrap_or(local).to_owned();
        name.truncate(name.floor_char_boundary(DISPLAY_NAME_MAX));
        name
    }

    /// Their address, in lower case, if the provider's rules let it in; and their groups.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn admitted_by(&self, provider: &IdentityProvider) -> Result<String, Refused> {
        let (given, verified) = self.email.as_ref().ok_or(Refused::NoEmail)?;
        // In lower case some letters look like others: `K` (U+212A) becomes a plain `k`.
        if given.to_lowercase() != given.to_ascii_lowercase() {
            return Err(Refused::NoEmail);
        }
        let email = email::parse("email", given).map_err(|_| Refused::NoEmail)?;
        if !verified && !provider.trust_unverified_email {
            return Err(Refused::EmailNotVerified);
        }
        let domain = email.rsplit_once('@').map(|(_, domain)| domain);
        let mut domains = provider.email_domains.iter();
        if !domains.any(|allowed| Some(allowed.as_str()) == domain) {
            return Err(Refused::EmailForeign);
        }
        let wants_groups = !provider.groups_claim.is_empty();
        match wants_groups && self.groups.is_none() && self.groups_left_out {
            // None would take away all that they have by groups.
            true => Err(Refused::GroupsLeftOut),
            false => Ok(email),
        }
    }
}

fn address(email: Option<&str>, verified: Option<bool>) -> Option<(String, bool)> {
    email.map(|email| (email.to_owned(), verified == Some(true)))
}

impl MoreClaims {
    /// A time before which a token is not good, in seconds since the Unix epoch.
    #[must_use]
    pub fn not_before(&self) -> Option<i64> {
        self.claims.get("nbf").and_then(Value::as_i64)
    }

    fn groups(&self, claim: &str) -> Option<Vec<String>> {
        match self.claims.get(claim)? {
            Value::String(group) => Some(vec![group.clone()]),
            Value::Array(groups) => {
                let groups = groups.iter().filter_map(Value::as_str).take(GROUPS_MAX);
                Some(groups.map(str::to_owned).collect())
            }
            _ => None,
        }
    }

    fn left_out(&self, claim: &str) -> bool {
        let names = self.claims.get(LEFT_OUT).and_then(Value::as_object);
        names.is_some_and(|names| names.contains_key(claim))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn provider() -> IdentityProvider {
        IdentityProvider {
            email_domains: vec!["example.com".to_owned()],
            groups_claim: "groups".to_owned(),
            ..IdentityProvider::default()
        }
    }

    fn claiming(claims: Value) -> Person {
        let mut all = json!({
            "iss": "https://a.example", "aud": "b", "sub": "1", "iat": 0, "exp": 1,
        });
        all.as_object_mut()
            .unwrap()
            .extend(claims.as_object().unwrap().clone());
        Person::of(&serde_json::from_value(all).unwrap(), "groups")
    }

    #[test]
    fn a_verified_address_of_the_domain_is_let_in_however_it_is_spelled() {
        let ada = claiming(json!({"email": "Ada@EXAMPLE.com", "email_verified": true}));
        assert_eq!(
            ada.admitted_by(&provider()),
            Ok("ada@example.com".to_owned())
        );
        let told_as_text = claiming(json!({"email": "a@example.com", "email_verified": "true"}));
        told_as_text.admitted_by(&provider()).unwrap();
    }

    #[test]
    fn other_addresses_are_not() {
        let refused = |claims| claiming(claims).admitted_by(&provider()).unwrap_err();
        assert_eq!(refused(json!({})), Refused::NoEmail);
        let email = |email: &str| json!({"email": email, "email_verified": true});
        assert_eq!(refused(email("nobody")), Refused::NoEmail);
        let look_alike = refused(email("\u{212a}im@example.com"));
        assert_eq!(look_alike, Refused::NoEmail);
        for foreign in [
            "a@example.com.evil.example",
            "a@evil.example",
            "a@sub.example.com",
            "a@example.com@evil.example",
            "a@example.org",
            "a@example.com.",
            "a@еxample.com",
        ] {
            assert_eq!(refused(email(foreign)), Refused::EmailForeign, "{foreign}");
        }
        for verified in [json!(false), json!("false"), Value::Null] {
            let claims = json!({"email": "a@example.com", "email_verified": verified});
            assert_eq!(refused(claims), Refused::EmailNotVerified);
        }
        let unsaid = claiming(json!({"email": "a@example.com"}));
        assert_eq!(
            unsaid.admitted_by(&provider()),
            Err(Refused::EmailNotVerified)
        );
        let trusting = IdentityProvider {
            trust_unverified_email: true,
            ..provider()
        };
        unsaid.admitted_by(&trusting).unwrap();
    }

    #[test]
    fn groups_are_a_list_or_one_and_may_be_left_out() {
        let groups = |claims| claiming(claims).groups;
        let two = Some(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(groups(json!({"groups": ["a", 7, "b"]})), two);
        assert_eq!(groups(json!({"groups": "a"})), Some(vec!["a".to_owned()]));
        assert_eq!(groups(json!({"groups": {"a": true}})), None);
        assert_eq!(groups(json!({"roles": ["a"]})), None);
        let left_out = claiming(json!({
            "email": "a@example.com", "email_verified": true,
            "_claim_names": {"groups": "src1"},
        }));
        assert_eq!(
            left_out.admitted_by(&provider()),
            Err(Refused::GroupsLeftOut)
        );
    }

    #[test]
    fn people_are_called_what_they_say_or_what_their_address_says() {
        let named = |name: Option<&str>| {
            let person = Person {
                name: name.map(str::to_owned),
                ..Person::default()
            };
            person.display_name("ada@example.com")
        };
        assert_eq!(named(Some("Ada Lovelace")), "Ada Lovelace");
        assert_eq!(named(Some("  ")), "ada");
        assert_eq!(named(None), "ada");
        assert_eq!(named(Some(&"é".repeat(200))).len(), DISPLAY_NAME_MAX);
    }
}
