//! What a caller may do, and where.

use std::collections::BTreeMap;
use std::fmt;

use super::methods::Level;
use super::permission::{Permission, Permissions};

/// Where something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// Above all projects.
    Organization,
    /// In a project, given by its key.
    Project(&'a str),
    /// In an environment, given by the keys of its project and itself.
    Environment(&'a str, &'a str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization => write!(formatter, "the organization"),
            Self::Project(project) => write!(formatter, "projects/{project}"),
            Self::Environment(project, environment) => {
                write!(formatter, "projects/{project}/environments/{environment}")
            }
        }
    }
}

impl Place<'_> {
    /// Where something is held that counts at this level, or further out, and is asked here.
    #[must_use]
    pub fn outwards(self, level: Level) -> Self {
        match (level, self) {
            (Level::Organization, _) => Place::Organization,
            (Level::Project, Place::Environment(project, _)) => Place::Project(project),
            (_, place) => place,
        }
    }
}

/// The permissions that roles give, by where they are bound. What holds in an organization
/// holds in its projects, and what holds in a project holds in its environments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    organization: Permissions,
    projects: BTreeMap<String, ProjectGrants>,
    confined: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ProjectGrants {
    project: Permissions,
    environments: BTreeMap<String, Permissions>,
}

impl Grants {
    /// Everything, everywhere.
    #[must_use]
    pub fn everything() -> Self {
        let mut grants = Self::default();
        grants.add(Place::Organization, Permissions::all());
        grants
    }

    /// What a test key may do: set flags in one environment, while that is not protected. To it
    /// nothing else exists.
    #[must_use]
    pub fn of_test_key(project: &str, environment: &str) -> Self {
        let mut grants = Self {
            confined: true,
            ..Self::default()
        };
        let permissions = [
            Permission::FlagConfigSetEnabled,
            Permission::FlagConfigUpdate,
        ];
        grants.add(
            Place::Environment(project, environment),
            permissions.into_iter().collect(),
        );
        grants
    }

    /// Whether nothing exists to their holder but where they allow something, and nothing is
    /// allowed in an environment that is protected.
    #[must_use]
    pub fn are_confined(&self) -> bool {
        self.confined
    }

    /// Adds what a role allows, where it is bound.
    pub fn add(&mut self, place: Place<'_>, permissions: Permissions) {
        let held = match place {
            Place::Organization => &mut self.organization,
            Place::Project(project) => {
                &mut self.projects.entry(project.into()).or_default().project
            }
            Place::Environment(project, environment) => {
                let project = self.projects.entry(project.into()).or_default();
                project.environments.entry(environment.into()).or_default()
            }
        };
        *held = held.union(permissions);
    }

    /// What is allowed somewhere: what is held there, and what is shown there.
    #[must_use]
    pub fn at(&self, place: Place<'_>) -> Permissions {
        let held = self.held(place);
        let Place::Project(project) = place else {
            return held;
        };
        let environments = self.projects.get(project).into_iter();
        let shown = environments
            .flat_map(|held| held.environments.values())
            .flat_map(|held| held.iter())
            .filter(|permission| permission.is_read());
        held.union(shown.collect())
    }

    /// What is held somewhere, and so in all below. Whoever holds something in an environment
    /// alone is shown the definitions of its project, and yet holds nothing there.
    fn held(&self, place: Place<'_>) -> Permissions {
        let in_project = |project: &str| {
            let held = self.projects.get(project);
            held.map_or(self.organization, |held| {
                self.organization.union(held.project)
            })
        };
        match place {
            Place::Organization => self.organization,
            Place::Project(project) => in_project(project),
            Place::Environment(project, environment) => {
                let held = self.projects.get(project);
                let held = held.and_then(|held| held.environments.get(environment));
                in_project(project).union(held.copied().unwrap_or_default())
            }
        }
    }

    /// Whether something is allowed somewhere.
    #[must_use]
    pub fn allow(&self, permission: Permission, place: Place<'_>) -> bool {
        self.at(place).contains(permission)
    }

    /// What both these and the others hold.
    #[must_use]
    pub fn within(&self, others: &Self) -> Self {
        let both = |place: Place<'_>| self.held(place).within(others.held(place));
        let mut within = Self::default();
        within.add(Place::Organization, both(Place::Organization));
        for (project, held) in self.projects.iter().chain(&others.projects) {
            let place = Place::Project(project);
            within.add_below(both(Place::Organization), place, both(place));
            for environment in held.environments.keys() {
                let below = Place::Environment(project, environment);
                within.add_below(both(place), below, both(below));
            }
        }
        within
    }

    /// Adds what is held at a place, but for what is held above it.
    fn add_below(&mut self, above: Permissions, place: Place<'_>, held: Permissions) {
        let more = held.without(above);
        if more != Permissions::default() {
            self.add(place, more);
        }
    }

    /// The first thing that the others allow and these do not. None: these allow all of it.
    #[must_use]
    pub fn missing(&self, others: &Self) -> Option<Permission> {
        let missing = |place: Place<'_>, wanted: Permissions| {
            let held = self.held(place);
            wanted.iter().find(|permission| !held.contains(*permission))
        };
        missing(Place::Organization, others.organization).or_else(|| {
            others.projects.iter().find_map(|(project, wanted)| {
                missing(Place::Project(project), wanted.project).or_else(|| {
                    let mut environments = wanted.environments.iter();
                    environments.find_map(|(key, wanted)| {
                        missing(Place::Environment(project, key), *wanted)
                    })
                })
            })
        })
    }

    /// What is given at each place, beside what comes from above.
    #[must_use]
    pub fn given(&self) -> Vec<(String, Permissions)> {
        let mut given = vec![(String::new(), self.organization)];
        for (project, held) in &self.projects {
            given.push((format!("projects/{project}"), held.project));
            given.extend(held.environments.iter().map(|(environment, held)| {
                (
                    format!("projects/{project}/environments/{environment}"),
                    *held,
                )
            }));
        }
        given.retain(|(_, held)| *held != Permissions::default());
        given
    }

    /// Whether something is allowed anywhere at all.
    #[must_use]
    pub fn allow_anywhere(&self, permission: Permission) -> bool {
        self.organization.contains(permission)
            || self.projects.values().any(|held| {
                let mut environments = held.environments.values();
                held.project.contains(permission) || environments.any(|it| it.contains(permission))
            })
    }

    /// The keys of the projects in which something is allowed. None: in every one.
    #[must_use]
    pub fn projects(&self, permission: Permission) -> Option<Vec<String>> {
        if self.organization.contains(permission) {
            return None;
        }
        let keys = self.projects.keys();
        let allowed = keys.filter(|key| self.allow(permission, Place::Project(key)));
        Some(allowed.cloned().collect())
    }

    /// The keys of a project's environments in which something is allowed. None: in every one.
    #[must_use]
    pub fn environments(&self, permission: Permission, project: &str) -> Option<Vec<String>> {
        let held = self.projects.get(project);
        let in_project = held.map(|held| held.project).unwrap_or_default();
        if self.organization.union(in_project).contains(permission) {
            return None;
        }
        let environments = held.into_iter().flat_map(|held| &held.environments);
        let allowed = environments.filter(|(_, held)| held.contains(permission));
        Some(allowed.map(|(key, _)| key.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::role::BuiltIn;
    use super::*;

    fn developer_in(place: Place<'_>) -> Grants {
        let mut grants = Grants::default();
        grants.add(place, BuiltIn::Developer.permissions());
        grants
    }

    #[test]
    fn what_holds_above_holds_below_and_not_beside() {
        let update = Permission::FlagConfigUpdate;
        let everywhere = developer_in(Place::Organization);
        assert!(everywhere.allow(update, Place::Environment("shop", "production")));
        let in_shop = developer_in(Place::Project("shop"));
        assert!(in_shop.allow(update, Place::Environment("shop", "production")));
        assert!(in_shop.allow(update, Place::Project("shop")));
        assert!(!in_shop.allow(update, Place::Project("blog")));
        assert!(!in_shop.allow(update, Place::Organization));
        let in_staging = developer_in(Place::Environment("shop", "staging"));
        assert!(in_staging.allow(update, Place::Environment("shop", "staging")));
        assert!(!in_staging.allow(update, Place::Environment("shop", "production")));
        assert!(!in_staging.allow(update, Place::Project("shop")));
        assert!(in_staging.allow_anywhere(update));
        assert!(!in_staging.allow_anywhere(Permission::AuditRead));
    }

    #[test]
    fn whoever_sees_an_environment_sees_the_definitions_of_its_project() {
        let grants = developer_in(Place::Environment("shop", "staging"));
        assert!(grants.allow(Permission::FlagRead, Place::Project("shop")));
        assert!(!grants.allow(Permission::FlagUpdate, Place::Project("shop")));
        assert!(!grants.allow(
            Permission::FlagRead,
            Place::Environment("shop", "production")
        ));
        assert!(!grants.allow(Permission::FlagRead, Place::Project("blog")));
    }

    #[test]
    fn what_one_holds_less_than_another_is_missing() {
        let in_staging = developer_in(Place::Environment("shop", "staging"));
        let in_shop = developer_in(Place::Project("shop"));
        let everywhere = developer_in(Place::Organization);
        assert_eq!(everywhere.missing(&in_shop), None);
        assert_eq!(in_shop.missing(&in_staging), None);
        assert_eq!(in_staging.missing(&in_staging), None);
        assert_eq!(in_staging.missing(&Grants::default()), None);
        assert!(in_staging.missing(&in_shop).is_some());
        assert!(in_shop.missing(&everywhere).is_some());
        // Definitions that an environment shows are not held in their project.
        let [mut here, mut there] = [Grants::default(), Grants::default()];
        here.add(
            Place::Environment("shop", "staging"),
            BuiltIn::Viewer.permissions(),
        );
        there.add(Place::Project("shop"), BuiltIn::Viewer.permissions());
        assert!(here.missing(&there).is_some());
        let mut viewer = Grants::default();
        viewer.add(Place::Organization, BuiltIn::Viewer.permissions());
        assert_eq!(viewer.missing(&in_staging), Some(Permission::FlagCreate));
    }

    #[test]
    fn what_two_hold_both_is_held_where_both_hold_it() {
        let reads = [Permission::FlagRead, Permission::AuditRead];
        let in_staging = developer_in(Place::Environment("shop", "staging"));
        let mut reader = Grants::default();
        reader.add(Place::Project("shop"), reads.into_iter().collect());
        let mut expected = Grants::default();
        expected.add(
            Place::Environment("shop", "staging"),
            [Permission::FlagRead].into_iter().collect(),
        );
        assert_eq!(in_staging.within(&reader), expected);
        assert_eq!(reader.within(&in_staging), expected);
        let everywhere = developer_in(Place::Organization);
        assert_eq!(everywhere.within(&in_staging), in_staging);
        assert_eq!(everywhere.within(&everywhere), everywhere);
        let in_blog = developer_in(Place::Project("blog"));
        assert_eq!(in_staging.within(&in_blog), Grants::default());
        assert_eq!(Grants::everything().within(&reader), reader);
    }

    #[test]
    fn lists_hold_what_may_be_seen() {
        let read = Permission::EnvironmentRead;
        let grants = developer_in(Place::Environment("shop", "staging"));
        assert_eq!(
            grants.projects(Permission::ProjectRead),
            Some(vec!["shop".into()])
        );
        assert_eq!(
            grants.environments(read, "shop"),
            Some(vec!["staging".into()])
        );
        assert_eq!(grants.environments(read, "blog"), Some(Vec::new()));
        let in_shop = developer_in(Place::Project("shop"));
        assert_eq!(in_shop.environments(read, "shop"), None);
        assert_eq!(Grants::everything().projects(Permission::ProjectRead), None);
        assert_eq!(
            Grants::default().projects(Permission::ProjectRead),
            Some(Vec::new())
        );
    }
}
