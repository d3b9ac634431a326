//! The audit log tells who did what, to whoever may read it.

use std::time::Duration;

use burgee_proto::admin::v1::{
    AuditEntry, AuditFilter, AuditFormat, DeactivateMemberRequest, DeleteRoleBindingRequest,
    ExportAuditEntriesRequest, ListAuditEntriesRequest, ListServiceAccountTokensRequest,
    RevokeServiceAccountTokenRequest, SetFlagEnabledRequest,
};
use burgee_tests::builders::boolean_flag;
use burgee_tests::callers::Caller;
use burgee_tests::errors::{reason, refused};
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use prost_types::value::Kind;
use tonic::{Code, Status};

pub(crate) async fn entries(caller: &Caller, filter: AuditFilter) -> Vec<AuditEntry> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListAuditEntriesRequest {
            page_size: 3,
            page_token,
            filter: Some(filter.clone()),
        };
        let page = caller.audit().list_audit_entries(request).await.unwrap();
        let page = page.into_inner();
        all.extend(page.audit_entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

async fn export(caller: &Caller, format: AuditFormat) -> String {
    let request = ExportAuditEntriesRequest {
        format: format.into(),
        ..ExportAuditEntriesRequest::default()
    };
    let response = caller.audit().export_audit_entries(request).await.unwrap();
    let mut parts = response.into_inner();
    let mut text = Vec::new();
    while let Some(part) = parts.message().await.unwrap() {
        text.extend_from_slice(&part.text);
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn each_change_is_told_once_with_what_it_was_and_became() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let owner = server.admin();
    let developer = owner.somebody("ci", "developer", &production.name).await;
    let request = SetFlagEnabledRequest {
        reason: "=launch".to_owned(),
        request_id: "launch".to_owned(),
        ..production.set_enabled_request("banner", true)
    };
    developer.flags().set_flag_enabled(request).await.unwrap();

    let by_request = AuditFilter {
        request_id: "launch".to_owned(),
        ..AuditFilter::default()
    };
    let [entry] = entries(owner, by_request).await.try_into().unwrap();
    assert_eq!(entry.actor, "serviceAccounts/ci");
    assert_eq!(entry.method, "/burgee.admin.v1.FlagService/SetFlagEnabled");
    assert_eq!(entry.resource, production.flag_name("banner"));
    assert_eq!(entry.reason, "=launch");
    assert_eq!(entry.environment, production.uid);
    assert_eq!(entry.address, "127.0.0.1");
    assert!(
        entry.user_agent.starts_with("tonic/"),
        "{}",
        entry.user_agent
    );
    assert_eq!(entry.denied, 0);
    let enabled = |value: &Option<prost_types::Value>| {
        matches!(value.as_ref().unwrap().kind, Some(Kind::BoolValue(true)))
    };
    assert!(!enabled(&entry.before) && enabled(&entry.after));

    let all = entries(owner, AuditFilter::default()).await;
    assert!(all.is_sorted_by(|newer, older| newer.id > older.id));
    // Who may do what is told, too.
    let about = |resource: &str| all.iter().filter(|it| it.resource == resource).count();
    assert_eq!(about("serviceAccounts/ci"), 1);
    for (filter, some) in [
        (
            AuditFilter {
                actor: "serviceAccounts/ci".into(),
                ..AuditFilter::default()
            },
            1,
        ),
        (
            AuditFilter {
                method: "SetFlagEnabled".into(),
                ..AuditFilter::default()
            },
            1,
        ),
        (
            AuditFilter {
                method: "FlagEnabled".into(),
                ..AuditFilter::default()
            },
            0,
        ),
        (
            AuditFilter {
                environment: production.name.clone(),
                ..AuditFilter::default()
            },
            2,
        ),
        (
            AuditFilter {
                resource: "serviceAccounts/ci".into(),
                ..AuditFilter::default()
            },
            2,
        ),
        (
            AuditFilter {
                resource: "serviceAccounts/c".into(),
                ..AuditFilter::default()
            },
            0,
        ),
        (
            AuditFilter {
                end_time: entry.create_time,
                ..AuditFilter::default()
            },
            all.len() - 1,
        ),
        (
            AuditFilter {
                start_time: entry.create_time,
                ..AuditFilter::default()
            },
            1,
        ),
    ] {
        assert_eq!(
            entries(owner, filter.clone()).await.len(),
            some,
            "{filter:?}"
        );
    }

    let lines = export(owner, AuditFormat::JsonLines).await;
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), all.len());
    assert_eq!(lines.last().unwrap()["requestId"], "launch");
    let csv = export(owner, AuditFormat::Csv).await;
    assert_eq!(
        csv.split("\r\n").count(),
        all.len() + 2,
        "a header, and the end of the last line"
    );
    assert!(
        csv.contains(",'=launch,"),
        "what a spreadsheet would run is quoted: {csv}"
    );
}

#[tokio::test]
async fn only_who_may_reads_the_audit_log() {
    let server = TestServer::start().await;
    let (_, production) = server.shop().await;
    let owner = server.admin();
    let reviewer = owner.somebody("reviewer", "reviewer", "").await;
    assert!(!entries(&reviewer, AuditFilter::default()).await.is_empty());
    for (account, role, scope) in [
        ("viewer", "viewer", ""),
        ("developer", "developer", ""),
        ("local", "reviewer", production.name.as_str()),
    ] {
        let caller = owner.somebody(account, role, scope).await;
        let mut audit = caller.audit();
        let list = audit.list_audit_entries(ListAuditEntriesRequest::default());
        refused(list.await, Code::PermissionDenied);
        let export = audit.export_audit_entries(ExportAuditEntriesRequest::default());
        refused(export.await, Code::PermissionDenied);
    }
    let bad = ListAuditEntriesRequest {
        page_token: "nonsense".to_owned(),
        ..ListAuditEntriesRequest::default()
    };
    refused(
        owner.audit().list_audit_entries(bad).await,
        Code::InvalidArgument,
    );
}

#[tokio::test]
async fn refused_attempts_are_told_with_their_count() {
    /// How often it is tried.
    const ATTEMPTS: i32 = 7;

    let mut server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let owner = server.admin().clone();
    let viewer = owner.somebody("curious", "viewer", "").await;
    for _ in 0..ATTEMPTS {
        let request = production.set_enabled_request("banner", true);
        refused(
            viewer.flags().set_flag_enabled(request).await,
            Code::PermissionDenied,
        );
    }
    let nobody = server.caller("burgee_svc_nonsense");
    let request = production.set_enabled_request("banner", true);
    refused(
        nobody.flags().set_flag_enabled(request).await,
        Code::Unauthenticated,
    );
    let refusals = async |denied| {
        let filter = AuditFilter {
            method: "SetFlagEnabled".to_owned(),
            denied: Some(denied),
            ..AuditFilter::default()
        };
        entries(&owner, filter).await
    };
    until("the first attempt is told", SOON, async || {
        !refusals(true).await.is_empty()
    })
    .await;
    let stranger = server.nobody();
    let outcome = stranger.sign_in("nobody@example.com", "a guess").await;
    refused(outcome, Code::Unauthenticated);
    // What is counted still is told at the end; of strangers, to the server's log alone.
    server.stop().await;
    let log = server.log();
    let strangers = log
        .lines()
        .find(|line| line.contains("calls without a known credential"));
    assert!(
        strangers.is_some_and(|line| line.contains("calls=2")),
        "{log}"
    );
    server.start_again().await;

    let told = refusals(true).await;
    assert!(told.len() <= 2, "one at once, and one of all that followed");
    let count: i32 = told.iter().map(|entry| entry.denied).sum();
    assert_eq!(count, ATTEMPTS);
    for entry in told {
        assert_eq!(entry.actor, "serviceAccounts/curious");
        assert_eq!(entry.method, "/burgee.admin.v1.FlagService/SetFlagEnabled");
        assert_eq!(entry.address, "127.0.0.1");
        let detail = format!("{:?}", entry.detail.unwrap());
        assert!(detail.contains("flagConfig.setEnabled"), "{detail}");
    }
    assert!(refusals(false).await.is_empty(), "nothing was done");
    let all = entries(&owner, AuditFilter::default()).await;
    let done = AuditFilter {
        denied: Some(false),
        ..AuditFilter::default()
    };
    assert!(entries(&owner, done).await.len() < all.len());
}

/// Entries that fill more than what two HTTP/2 windows hold.
const MANY_ENTRIES: &str = "insert into audit_entries (organization_id, actor, method, request_id,
         resource, part, reason, detail, address, user_agent, denied)
     select id, 'test', 'test', '', '', '', repeat('x', 4000), '{}', '', '', 0
     from organizations cross join generate_series(1, 20000)";

/// A stream of the log that is read slowly; what it ended with, and whether that was its end.
async fn export_slowly(reader: &Caller, meanwhile: impl Future<Output = ()>) -> Option<Status> {
    let request = ExportAuditEntriesRequest::default();
    let response = reader.audit().export_audit_entries(request).await.unwrap();
    let mut parts = response.into_inner();
    parts.message().await.unwrap().unwrap();
    meanwhile.await;
    let mut pace = tokio::time::interval(Duration::from_millis(200));
    loop {
        pace.tick().await;
        match parts.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(status) => return Some(status),
        }
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_credential_and_the_role_that_opened_it() {
    let server = TestServer::start().await;
    let owner = server.admin();
    sqlx::query(MANY_ENTRIES)
        .execute(server.database().pool())
        .await
        .unwrap();

    let reader = owner.somebody("reader", "owner", "").await;
    let status = export_slowly(&reader, async {
        let list = ListServiceAccountTokensRequest {
            parent: "serviceAccounts/reader".to_owned(),
            ..ListServiceAccountTokensRequest::default()
        };
        let mut accounts = owner.service_accounts();
        let tokens = accounts.list_service_account_tokens(list).await.unwrap();
        let name = &tokens.into_inner().service_account_tokens[0].name;
        let request = RevokeServiceAccountTokenRequest {
            name: name.clone(),
            ..RevokeServiceAccountTokenRequest::default()
        };
        let revoked = accounts.revoke_service_account_token(request).await;
        revoked.unwrap();
    })
    .await
    .expect("the log was sent to its end");
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert_eq!(reason(&status), "CREDENTIAL_INVALID");

    let (ada, member) = owner.person("ada@example.com", "owner", "").await;
    let status = export_slowly(&ada, async {
        let request = DeactivateMemberRequest {
            name: member.name,
            ..DeactivateMemberRequest::default()
        };
        owner.members().deactivate_member(request).await.unwrap();
    })
    .await
    .expect("the log was sent to its end");
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");

    let second = owner.somebody("second", "viewer", "").await;
    let role = owner.bind("second", "reviewer", "").await.unwrap();
    let status = export_slowly(&second, async {
        let request = DeleteRoleBindingRequest {
            name: role.name,
            ..DeleteRoleBindingRequest::default()
        };
        owner.members().delete_role_binding(request).await.unwrap();
    })
    .await
    .expect("the log was sent to its end");
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
}

#[tokio::test]
async fn entries_that_hold_much_are_read_a_few_at_a_time() {
    let server = TestServer::start().await;
    let owner = server.admin();
    // More than is held at a time, of which nothing is shown: each is too large.
    sqlx::query(
        "insert into audit_entries (organization_id, actor, method, request_id, resource, part,
                                    reason, detail, address, user_agent, denied)
         select id, 'large', 'test', '', '', '', '',
                json_build_object('keys', repeat('x', 1000000)), '', '', 0
         from organizations cross join generate_series(1, 40)",
    )
    .execute(server.database().pool())
    .await
    .unwrap();
    let request = ListAuditEntriesRequest {
        page_size: 1_000,
        filter: Some(AuditFilter {
            actor: "large".to_owned(),
            ..AuditFilter::default()
        }),
        ..ListAuditEntriesRequest::default()
    };
    let first = owner.audit().list_audit_entries(request.clone()).await;
    let first = first.unwrap().into_inner();
    assert!((1..40).contains(&first.audit_entries.len()));
    assert!(first.audit_entries.iter().all(|entry| entry.truncated));
    let mut ids: Vec<i64> = first.audit_entries.iter().map(|it| it.id).collect();
    let mut page_token = first.next_page_token;
    while !page_token.is_empty() {
        let request = ListAuditEntriesRequest {
            page_token,
            ..request.clone()
        };
        let page = owner.audit().list_audit_entries(request).await.unwrap();
        let page = page.into_inner();
        ids.extend(page.audit_entries.iter().map(|it| it.id));
        page_token = page.next_page_token;
    }
    assert_eq!(ids.len(), 40);
    assert!(ids.is_sorted_by(|one, next| one > next));
}
