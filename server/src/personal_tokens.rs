//! Personal tokens, by which scripts act for a person. People make, rotate and end their own,
//! with a session: a token never makes tokens. Whoever manages members sees and ends theirs.

pub mod create_token;
pub mod list_tokens;
pub mod revoke_token;
pub mod rotate_token;
pub mod service;

use crate::access::Authorized;
use crate::error::Error;
use crate::names::{MemberName, SubjectName, TokenName};

/// The person who calls, as a member of this organization.
fn caller(authorized: &Authorized) -> Result<MemberName, Error> {
    match &authorized.principal().subject {
        Some(SubjectName::Member(name)) => Ok(*name),
        _ => Err(Error::CredentialInvalid),
    }
}

/// The name of one of the caller's own tokens. What is somebody else's is not there.
fn own_token(authorized: &Authorized, name: &str) -> Result<TokenName, Error> {
    let name = TokenName::parse_of_member("name", name)?;
    if name.owner != caller(authorized)?.into() {
        return Err(Error::not_found(name));
    }
    Ok(name)
}
