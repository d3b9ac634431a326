//! Resource names: one type for each, one parser for all.

mod access;
mod environment_patterns;
mod identities;
mod people;
mod projects;

use std::fmt;

use uuid::Uuid;

use crate::error::Error;

pub use access::{
    GroupName, OrganizationName, RoleBindingName, RoleName, ServiceAccountName, TokenName,
};
pub use environment_patterns::EnvironmentPattern;
pub use identities::{IdentityName, IdentityProviderName};
pub use people::{InvitationName, MemberName, SessionName, SubjectName};
pub use projects::{
    ApiKeyName, EnvironmentName, FlagConfigName, FlagName, ProjectName, SegmentConfigName,
    SegmentName,
};

/// The longest key of a project or environment, in bytes.
const SLUG_MAX: usize = 63;
/// The longest key of a flag, segment, variant or exclusion group, in bytes.
const KEY_MAX: usize = 128;

/// What a part of a name may consist of.
#[derive(Clone, Copy)]
enum Part {
    /// `[a-z0-9][a-z0-9-]{0,62}`
    Slug,
    /// `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`
    Key,
    /// A UUID in lower case, as the server writes it.
    Uid,
}

/// Makes types of names, of what they consist of: collections, each with a [`Part`].
macro_rules! resource_names {
    ($(
        $(#[$about:meta])*
        $name:ident { $($(#[$about_part:meta])* $part:ident: $collection:literal / $kind:ident,)+ }
    )+) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name {
            $($(#[$about_part])* pub $part: resource_names!(@type $kind),)+
        }

        impl $name {
            /// Parses such a name.
            ///
            /// # Errors
            /// [`Error::Invalid`](crate::error::Error::Invalid) naming `field`.
            pub fn parse(field: &str, name: &str) -> Result<Self, crate::error::Error> {
                let form = [$(($collection, crate::names::Part::$kind)),+];
                let [$($part),+] = crate::names::parse(field, name, form)?;
                Ok(Self { $($part: resource_names!(@value $kind $part)),+ })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                crate::names::write(formatter, &[$(($collection, &self.$part)),+])
            }
        }
    )+};
    (@type Uid) => { uuid::Uuid };
    (@type $key:ident) => { String };
    (@value Uid $text:ident) => { crate::names::parsed(&$text) };
    (@value $key:ident $text:ident) => { $text };
}
use resource_names;

/// Reads `collection/part/collection/part/…`. `field` names where in the
/// request the name stood.
fn parse<const N: usize>(
    field: &str,
    name: &str,
    form: [(&str, Part); N],
) -> Result<[String; N], Error> {
    let malformed = || {
        let wanted: Vec<String> = form
            .iter()
            .map(|(collection, kind)| match kind {
                Part::Uid => format!("{collection}/{{uid}}"),
                _ => format!("{collection}/{{{}}}", collection.trim_end_matches('s')),
            })
            .collect();
        Error::invalid(
            field,
            format!("give a name of the form {}", wanted.join("/")),
        )
    };
    let mut given = name.split('/');
    let mut parts = [const { String::new() }; N];
    for ((collection, kind), part) in form.iter().zip(&mut parts) {
        if given.next() != Some(collection) {
            return Err(malformed());
        }
        let text = given.next().ok_or_else(malformed)?;
        check(field, text, *kind)?;
        text.clone_into(part);
    }
    match given.next() {
        None => Ok(parts),
        Some(_) => Err(malformed()),
    }
}

/// Writes what [`parse`] reads.
fn write(formatter: &mut fmt::Formatter<'_>, parts: &[(&str, &dyn fmt::Display)]) -> fmt::Result {
    for (at, (collection, part)) in parts.iter().enumerate() {
        let slash = if at == 0 { "" } else { "/" };
        write!(formatter, "{slash}{collection}/{part}")?;
    }
    Ok(())
}

fn check(field: &str, text: &str, part: Part) -> Result<(), Error> {
    let (maximum, wanted) = match part {
        Part::Slug => (SLUG_MAX, "[a-z0-9][a-z0-9-]{0,62}"),
        Part::Key => (KEY_MAX, "[A-Za-z0-9][A-Za-z0-9._-]{0,127}"),
        Part::Uid => return check_uid(field, text),
    };
    let first = |byte: u8| match part {
        Part::Key => byte.is_ascii_alphanumeric(),
        Part::Slug | Part::Uid => byte.is_ascii_lowercase() || byte.is_ascii_digit(),
    };
    let rest = |byte: u8| match part {
        Part::Key => first(byte) || matches!(byte, b'.' | b'_' | b'-'),
        Part::Slug | Part::Uid => first(byte) || byte == b'-',
    };
    let bytes = text.as_bytes();
    let good = bytes.len() <= maximum
        && bytes.first().is_some_and(|byte| first(*byte))
        && bytes.iter().all(|byte| rest(*byte));
    if good {
        Ok(())
    } else {
        Err(Error::invalid(
            field,
            format!("keys are of the form {wanted}"),
        ))
    }
}

/// A uid has one spelling, so that names compare by bytes.
fn check_uid(field: &str, text: &str) -> Result<(), Error> {
    let parsed = Uuid::parse_str(text).ok();
    if parsed.is_some_and(|uid| uid.to_string() == text) {
        return Ok(());
    }
    Err(Error::invalid(field, "give a uid as the server writes it"))
}

/// A uid that was checked.
fn parsed(uid: &str) -> Uuid {
    Uuid::parse_str(uid).unwrap_or_default()
}

/// Checks the key of a new project, environment, service account, role or group.
///
/// # Errors
/// [`Error::Invalid`] naming `field`.
pub fn check_slug(field: &str, key: &str) -> Result<(), Error> {
    check(field, key, Part::Slug)
}

/// Checks the key of a new flag, segment, variant or exclusion group.
///
/// # Errors
/// [`Error::Invalid`] naming `field`.
pub fn check_key(field: &str, key: &str) -> Result<(), Error> {
    check(field, key, Part::Key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_name_parses_to_itself(
            project in "[a-z0-9][a-z0-9-]{0,62}",
            environment in "[a-z0-9][a-z0-9-]{0,62}",
            key in "[A-Za-z0-9][A-Za-z0-9._-]{0,127}",
        ) {
            let project = ProjectName { project };
            let environment = project.environment(&environment);
            let text = environment.flag(&key).to_string();
            prop_assert_eq!(FlagConfigName::parse("name", &text).unwrap().to_string(), text);
            let text = environment.segment(&key).to_string();
            prop_assert_eq!(SegmentConfigName::parse("name", &text).unwrap().to_string(), text);
            let text = project.flag(&key).to_string();
            prop_assert_eq!(FlagName::parse("name", &text).unwrap().to_string(), text);
            let text = project.segment(&key).to_string();
            prop_assert_eq!(SegmentName::parse("name", &text).unwrap().to_string(), text);
            let text = environment.to_string();
            prop_assert_eq!(EnvironmentName::parse("name", &text).unwrap().to_string(), text);
        }

        #[test]
        fn what_parses_is_spelled_that_way(text in "(projects|flags|environments|[a-zA-Z0-9./_-]{0,6}|/){0,8}") {
            if let Ok(name) = FlagName::parse("name", &text) {
                prop_assert_eq!(name.to_string(), text.clone());
            }
            if let Ok(name) = FlagConfigName::parse("name", &text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }

    #[test]
    fn malformed_names_are_refused_with_the_form_they_should_have() {
        for bad in [
            "",
            "projects",
            "projects/",
            "projects/A",
            "projects/-a",
            "projects/a/",
            "projects/a/flags/x",
            "/projects/a",
        ] {
            assert!(ProjectName::parse("name", bad).is_err(), "{bad}");
        }
        assert!(ProjectName::parse("name", &format!("projects/{}", "a".repeat(64))).is_err());
        assert!(FlagName::parse("name", "projects/a/flags/é").is_err());
        assert!(ApiKeyName::parse("name", "apiKeys/6F9619FF-8B86-D011-B42D-00CF4FC964FF").is_err());
    }
}
