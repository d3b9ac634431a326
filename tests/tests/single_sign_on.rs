//! People sign in with an identity provider of their organization: whoever it knows and its
//! rules let in, as a member of that organization alone, and nobody whom it did not send.

mod browsers;
mod flows;
mod forgeries;
mod groups;
mod members;
mod providers;
mod takeovers;
mod troubles;

use burgee_tests::callers::Caller;
use burgee_tests::errors::{reason, refused};
use burgee_tests::single_sign_on::SingleSignOn;
use tonic::{Code, Status};

/// Nobody gets in, and is told no more than that.
fn is_refused<T>(outcome: Result<T, Status>) -> Status {
    let status = refused(outcome.map(drop), Code::Unauthenticated);
    assert_eq!(reason(&status), "CREDENTIAL_INVALID");
    status
}

/// The name of a member, by their own word.
async fn name_of(caller: &Caller) -> String {
    let request = burgee_proto::admin::v1::WhoAmIRequest {};
    let who = caller.auth().who_am_i(request).await.unwrap().into_inner();
    who.subject
}

/// How many sessions there are.
async fn sessions(sso: &SingleSignOn) -> i64 {
    let live = "select count(*) from sessions where ended_at is null";
    sso.server.database().number(live).await
}
