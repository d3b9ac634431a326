//! Burgee's control plane.
//!
//! | module | what |
//! |---|---|
//! | [`app`], [`config`] | the only shared state, and what it is made from |
//! | [`serve`], [`grpc`], [`http`] | the services on their one port |
//! | [`auth`], [`access`] | who is calling, and may they |
//! | [`change`] | the only door for writes |
//! | [`change_feed`] | follows the heads and items, feeds the hub |
//! | [`organizations`], [`members`], [`groups`], [`service_accounts`] | companies, people, groups, machines' accounts, and who may do what |
//! | [`passwords`], [`second_factor`], [`sessions`] | how people are known |
//! | [`identity_providers`], [`oidc`] | signing in with a provider of the organization |
//! | [`tokens`], [`personal_tokens`] | how scripts are known, for an account or for a person |
//! | [`credentials`] | what secrets that are shown once have in common |
//! | [`audit`] | who did what |
//! | [`sealing`], [`keyring`] | secrets that the database gives back, and the keys they are sealed with |
//! | [`projects`], [`environments`], [`flags`], [`segments`], [`api_keys`] | the resources |
//! | [`outbound`] | calls to others, at addresses that users chose |
//! | [`deployment`], [`first_owner`] | migrations, the epoch, the first organization and its owner |
//! | [`dev`], [`private_postgres`] | trying Burgee out |
//! | [`failure`] | why the process ends |

pub mod access;
pub mod api_keys;
pub mod app;
pub mod audit;
pub mod auth;
pub mod change;
pub mod change_feed;
pub mod compaction;
pub mod config;
pub mod credentials;
pub mod deployment;
pub mod descriptors;
pub mod dev;
pub mod environments;
pub mod error;
pub mod failure;
pub mod first_owner;
pub mod flags;
pub mod groups;
pub mod grpc;
pub mod http;
pub mod identity_providers;
pub mod keyring;
pub mod members;
pub mod names;
pub mod oidc;
pub mod organizations;
pub mod outbound;
pub mod page;
pub mod passwords;
pub mod personal_tokens;
pub mod private_postgres;
pub mod projects;
pub mod random;
pub mod sealing;
pub mod second_factor;
pub mod segments;
pub mod serve;
pub mod service_accounts;
pub mod sessions;
#[cfg(test)]
mod soundness;
pub mod stored;
pub mod texts;
pub mod tokens;
