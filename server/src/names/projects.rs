//! Names of what a project holds, and of the keys that open it.

use std::fmt;

use uuid::Uuid;

use super::{Part, parse, parsed};
use crate::access::Place;
use crate::error::Error;

/// `projects/{project}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProjectName {
    /// The project's key.
    pub project: String,
}

/// `projects/{project}/environments/{environment}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EnvironmentName {
    /// The project's key.
    pub project: String,
    /// The environment's key.
    pub environment: String,
}

/// `projects/{project}/flags/{flag}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlagName {
    /// The project's key.
    pub project: String,
    /// The flag's key.
    pub flag: String,
}

/// `projects/{project}/environments/{environment}/flags/{flag}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlagConfigName {
    /// The project's key.
    pub project: String,
    /// The environment's key.
    pub environment: String,
    /// The flag's key.
    pub flag: String,
}

/// `projects/{project}/segments/{segment}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SegmentName {
    /// The project's key.
    pub project: String,
    /// The segment's key.
    pub segment: String,
}

/// `projects/{project}/environments/{environment}/segments/{segment}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SegmentConfigName {
    /// The project's key.
    pub project: String,
    /// The environment's key.
    pub environment: String,
    /// The segment's key.
    pub segment: String,
}

/// `apiKeys/{uid}`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApiKeyName {
    /// The key's uid.
    pub uid: Uuid,
}

impl ProjectName {
    /// Parses `projects/{project}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let [project] = parse(field, name, [("projects", Part::Slug)])?;
        Ok(Self { project })
    }

    /// Where it is, for asking what is allowed there.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        Place::Project(&self.project)
    }

    /// One of its environments.
    #[must_use]
    pub fn environment(&self, key: &str) -> EnvironmentName {
        EnvironmentName {
            project: self.project.clone(),
            environment: key.to_owned(),
        }
    }

    /// One of its flags.
    #[must_use]
    pub fn flag(&self, key: &str) -> FlagName {
        FlagName {
            project: self.project.clone(),
            flag: key.to_owned(),
        }
    }

    /// One of its segments.
    #[must_use]
    pub fn segment(&self, key: &str) -> SegmentName {
        SegmentName {
            project: self.project.clone(),
            segment: key.to_owned(),
        }
    }
}

impl EnvironmentName {
    /// Parses `projects/{project}/environments/{environment}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let form = [("projects", Part::Slug), ("environments", Part::Slug)];
        let [project, environment] = parse(field, name, form)?;
        Ok(Self {
            project,
            environment,
        })
    }

    /// Where it is, for asking what is allowed there.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        Place::Environment(&self.project, &self.environment)
    }

    /// The project it belongs to.
    #[must_use]
    pub fn project(&self) -> ProjectName {
        ProjectName {
            project: self.project.clone(),
        }
    }

    /// A flag's configuration in it.
    #[must_use]
    pub fn flag(&self, key: &str) -> FlagConfigName {
        FlagConfigName {
            project: self.project.clone(),
            environment: self.environment.clone(),
            flag: key.to_owned(),
        }
    }

    /// A segment's content in it.
    #[must_use]
    pub fn segment(&self, key: &str) -> SegmentConfigName {
        SegmentConfigName {
            project: self.project.clone(),
            environment: self.environment.clone(),
            segment: key.to_owned(),
        }
    }
}

impl FlagName {
    /// Parses `projects/{project}/flags/{flag}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let form = [("projects", Part::Slug), ("flags", Part::Key)];
        let [project, flag] = parse(field, name, form)?;
        Ok(Self { project, flag })
    }

    /// The project it belongs to.
    #[must_use]
    pub fn project(&self) -> ProjectName {
        ProjectName {
            project: self.project.clone(),
        }
    }
}

impl FlagConfigName {
    /// Parses `projects/{project}/environments/{environment}/flags/{flag}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let form = [
            ("projects", Part::Slug),
            ("environments", Part::Slug),
            ("flags", Part::Key),
        ];
        let [project, environment, flag] = parse(field, name, form)?;
        Ok(Self {
            project,
            environment,
            flag,
        })
    }

    /// The environment it stands in.
    #[must_use]
    pub fn environment(&self) -> EnvironmentName {
        EnvironmentName {
            project: self.project.clone(),
            environment: self.environment.clone(),
        }
    }
}

impl SegmentName {
    /// Parses `projects/{project}/segments/{segment}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let form = [("projects", Part::Slug), ("segments", Part::Key)];
        let [project, segment] = parse(field, name, form)?;
        Ok(Self { project, segment })
    }

    /// The project it belongs to.
    #[must_use]
    pub fn project(&self) -> ProjectName {
        ProjectName {
            project: self.project.clone(),
        }
    }
}

impl SegmentConfigName {
    /// Parses `projects/{project}/environments/{environment}/segments/{segment}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let form = [
            ("projects", Part::Slug),
            ("environments", Part::Slug),
            ("segments", Part::Key),
        ];
        let [project, environment, segment] = parse(field, name, form)?;
        Ok(Self {
            project,
            environment,
            segment,
        })
    }

    /// The environment it stands in.
    #[must_use]
    pub fn environment(&self) -> EnvironmentName {
        EnvironmentName {
            project: self.project.clone(),
            environment: self.environment.clone(),
        }
    }
}

impl ApiKeyName {
    /// Parses `apiKeys/{uid}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let [uid] = parse(field, name, [("apiKeys", Part::Uid)])?;
        Ok(Self { uid: parsed(&uid) })
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "projects/{}", self.project)
    }
}

impl fmt::Display for EnvironmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "projects/{}/environments/{}",
            self.project, self.environment
        )
    }
}

impl fmt::Display for FlagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "projects/{}/flags/{}", self.project, self.flag)
    }
}

impl fmt::Display for FlagConfigName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            project,
            environment,
            flag,
        } = self;
        write!(
            f,
            "projects/{project}/environments/{environment}/flags/{flag}"
        )
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "projects/{}/segments/{}", self.project, self.segment)
    }
}

impl fmt::Display for SegmentConfigName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            project,
            environment,
            segment,
        } = self;
        write!(
            f,
            "projects/{project}/environments/{environment}/segments/{segment}"
        )
    }
}

impl fmt::Display for ApiKeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "apiKeys/{}", self.uid)
    }
}
