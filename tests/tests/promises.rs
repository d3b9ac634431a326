//! What Burgee promises whoever relies on it, one test each: the real server,
//! the real relay, the real SDK, a real Postgres, and the faults that they must
//! bear. One program, so that one private Postgres cluster serves them all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod access;
mod audit;
mod audit_rights;
mod audit_seal;
mod audit_tampering;
mod bad_input;
mod behind;
mod canaries;
mod dev;
mod edge;
mod ended_keys;
mod escalation;
mod faults;
mod groups;
mod idempotency;
mod key_uses;
mod lies;
mod organizations;
mod people;
mod personal_tokens;
mod protocols;
mod relay_keys;
mod relays;
mod revocation;
mod roles;
mod salts;
mod sealed_secrets;
mod service_accounts;
mod shipping;
mod single_sign_on;
mod test_keys;
mod told;
mod travelling;
mod trying_out;
mod two_servers;
mod viewing;
