//! Names of what a project holds, and of the keys that open it.

use super::resource_names;
use crate::access::Place;

resource_names! {
    /// `projects/{project}`
    ProjectName {
        /// The project's key.
        project: "projects" / Slug,
    }

    /// `projects/{project}/environments/{environment}`
    EnvironmentName {
        /// The project's key.
        project: "projects" / Slug,
        /// The environment's key.
        environment: "environments" / Slug,
    }

    /// `projects/{project}/flags/{flag}`
    FlagName {
        /// The project's key.
        project: "projects" / Slug,
        /// The flag's key.
        flag: "flags" / Key,
    }

    /// `projects/{project}/environments/{environment}/flags/{flag}`
    FlagConfigName {
        /// The project's key.
        project: "projects" / Slug,
        /// The environment's key.
        environment: "environments" / Slug,
        /// The flag's key.
        flag: "flags" / Key,
    }

    /// `projects/{project}/segments/{segment}`
    SegmentName {
        /// The project's key.
        project: "projects" / Slug,
        /// The segment's key.
        segment: "segments" / Key,
    }

    /// `projects/{project}/environments/{environment}/segments/{segment}`
    SegmentConfigName {
        /// The project's key.
        project: "projects" / Slug,
        /// The environment's key.
        environment: "environments" / Slug,
        /// The segment's key.
        segment: "segments" / Key,
    }

    /// `apiKeys/{uid}`
    #[derive(Copy)]
    ApiKeyName {
        /// The key's uid.
        uid: "apiKeys" / Uid,
    }
}

impl ProjectName {
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
    /// The project it belongs to.
    #[must_use]
    pub fn project(&self) -> ProjectName {
        ProjectName {
            project: self.project.clone(),
        }
    }
}

impl FlagConfigName {
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
    /// The project it belongs to.
    #[must_use]
    pub fn project(&self) -> ProjectName {
        ProjectName {
            project: self.project.clone(),
        }
    }
}

impl SegmentConfigName {
    /// The environment it stands in.
    #[must_use]
    pub fn environment(&self) -> EnvironmentName {
        EnvironmentName {
            project: self.project.clone(),
            environment: self.environment.clone(),
        }
    }
}
