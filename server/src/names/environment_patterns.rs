//! Patterns of environments: names in which keys may be left open.

use std::fmt;

use super::{Part, ProjectName, check};
use crate::access::Place;
use crate::error::Error;

/// What stands for any key.
const ANY: &str = "*";

/// `projects/{project}/environments/{environment}`, where each key may be `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EnvironmentPattern {
    /// The project's key. None: any.
    pub project: Option<String>,
    /// The environment's key. None: any.
    pub environment: Option<String>,
}

impl EnvironmentPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.split('/').collect();
        let ["projects", project, "environments", environment] = parts[..] else {
            return Err(Error::invalid(
                field,
                "give a pattern of the form projects/{project or *}/environments/{environment or *}",
            ));
        };
        let key = |text: &str| -> Result<Option<String>, Error> {
            if text == ANY {
                return Ok(None);
            }
            check(field, text, Part::Slug)?;
            Ok(Some(text.to_owned()))
        };
        Ok(Self {
            project: key(project)?,
            environment: key(environment)?,
        })
    }

    /// The project that all it may ever cover is in. None: the organization.
    #[must_use]
    pub fn project(&self) -> Option<ProjectName> {
        let project = self.project.clone();
        project.map(|project| ProjectName { project })
    }

    /// The place that all it may ever cover is in.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        let project = self.project.as_deref();
        project.map_or(Place::Organization, Place::Project)
    }
}

impl fmt::Display for EnvironmentPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |key: &Option<String>| key.clone().unwrap_or_else(|| ANY.to_owned());
        let (project, environment) = (part(&self.project), part(&self.environment));
        write!(formatter, "projects/{project}/environments/{environment}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_with_keys_left_open() {
        for (text, place) in [
            ("projects/*/environments/production", Place::Organization),
            ("projects/*/environments/*", Place::Organization),
            ("projects/shop/environments/*", Place::Project("shop")),
            (
                "projects/shop/environments/production",
                Place::Project("shop"),
            ),
        ] {
            let pattern = EnvironmentPattern::parse("field", text).unwrap();
            assert_eq!(pattern.to_string(), text);
            assert_eq!(pattern.place(), place);
        }
        for bad in [
            "",
            "*",
            "projects/*",
            "projects/*/environments",
            "projects/*/environments/*/flags/x",
            "projects/sh*p/environments/production",
            "projects/**/environments/production",
            "projects//environments/production",
            "projects/Shop/environments/*",
        ] {
            assert!(EnvironmentPattern::parse("field", bad).is_err(), "{bad}");
        }
    }
}
