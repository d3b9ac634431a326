//! People: the first owner comes by a link, others are invited, and whoever is
//! kept out is out, everywhere.

pub(crate) mod browsers;
mod invitations;
mod members;
mod passwords;
mod second_factor;
mod signing_in;
mod strangers;

use burgee_proto::admin::v1::{AuditEntry, ListAuditEntriesRequest, WhoAmIRequest, WhoAmIResponse};
use burgee_tests::callers::Caller;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use tonic::{Code, Status};

/// Who a caller is.
async fn who_am_i(caller: &Caller) -> Result<WhoAmIResponse, Status> {
    let response = caller.auth().who_am_i(WhoAmIRequest {}).await?;
    Ok(response.into_inner())
}

/// Waits until a credential opens nothing.
pub(crate) async fn is_shut_out(caller: &Caller) {
    until("the session is refused", SOON, async || {
        let outcome = who_am_i(caller).await;
        outcome.is_err_and(|status| status.code() == Code::Unauthenticated)
    })
    .await;
}

/// What a call comes to whose session ends, with all others, before it does anything.
async fn overtaken<T: Send + 'static>(
    server: &TestServer,
    call: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<T, Status> {
    let database = server.database();
    let mut holding = database.pool().begin().await.unwrap();
    sqlx::query("select id from people for update")
        .execute(&mut *holding)
        .await
        .unwrap();
    let call = tokio::spawn(call);
    let waiting = "select count(*) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
    until(
        "the call waits for whoever holds the lock",
        SOON,
        async || database.number(waiting).await == 1,
    )
    .await;
    sqlx::query("update sessions set ended_at = now()")
        .execute(&mut *holding)
        .await
        .unwrap();
    holding.commit().await.unwrap();
    call.await.unwrap()
}

/// The audit log, oldest first.
pub(crate) async fn audit(owner: &Caller) -> Vec<AuditEntry> {
    let request = ListAuditEntriesRequest {
        page_size: 1_000,
        ..ListAuditEntriesRequest::default()
    };
    let entries = owner.audit().list_audit_entries(request).await.unwrap();
    let mut entries = entries.into_inner().audit_entries;
    entries.reverse();
    entries
}

/// Another organization; its owner.
fn other_organization(server: &TestServer) -> Caller {
    server.caller(&server.database().create_organization("other"))
}
