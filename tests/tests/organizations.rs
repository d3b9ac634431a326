//! What an organization says of itself, and of the sessions in it.

use burgee_proto::admin::v1::{
    AuditFilter, DisableSecondFactorRequest, GetOrganizationRequest, Organization,
    UpdateOrganizationRequest, WhoAmIRequest,
};
use burgee_tests::callers::Caller;
use burgee_tests::errors::{fields, reason, refused};
use burgee_tests::people::{PASSWORD, personal_token};
use burgee_tests::secrets::KeyFile;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use prost_types::Duration;
use sqlx::Executor as _;
use tonic::{Code, Status};

use crate::audit::entries;

const HOUR: i64 = 60 * 60;

fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

async fn get(caller: &Caller, name: &str) -> Result<Organization, Status> {
    let request = GetOrganizationRequest {
        name: name.to_owned(),
    };
    let response = caller.organizations().get_organization(request).await?;
    Ok(response.into_inner().organization.unwrap())
}

async fn update(caller: &Caller, organization: Organization) -> Result<Organization, Status> {
    let request = UpdateOrganizationRequest {
        organization: Some(organization),
        ..UpdateOrganizationRequest::default()
    };
    let response = caller.organizations().update_organization(request).await?;
    Ok(response.into_inner().organization.unwrap())
}

/// As it is, but for what `change` does to it.
async fn updated(caller: &Caller, change: impl FnOnce(&mut Organization)) -> Organization {
    let mut organization = get(caller, "").await.unwrap();
    change(&mut organization);
    update(caller, organization).await.unwrap()
}

async fn is_known(caller: &Caller) -> bool {
    match caller.auth().who_am_i(WhoAmIRequest {}).await {
        Ok(_) => true,
        Err(status) => {
            assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
            false
        }
    }
}

#[tokio::test]
async fn an_organization_is_seen_and_changed_by_those_who_may() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let viewer = owner.somebody("reader", "viewer", "").await;
    let before = get(&viewer, "").await.unwrap();
    assert_eq!(before.name, "organizations/default");
    assert_eq!(before.session_idle_timeout, seconds(24 * HOUR));
    assert_eq!(before.session_lifetime, seconds(7 * 24 * HOUR));
    assert_eq!(get(&viewer, "organizations/default").await.unwrap(), before);

    let wanted = Organization {
        display_name: "Harbour".to_owned(),
        ..before.clone()
    };
    refused(
        update(&viewer, wanted.clone()).await,
        Code::PermissionDenied,
    );
    let after = update(owner, wanted.clone()).await.unwrap();
    assert_eq!(after.display_name, "Harbour");
    assert_eq!(after.session_lifetime, before.session_lifetime);
    // Read before that.
    let wanted = Organization {
        display_name: "Port".to_owned(),
        ..wanted
    };
    refused(update(owner, wanted).await, Code::Aborted);

    let told = entries(owner, Default::default()).await;
    let told: Vec<_> = told
        .iter()
        .filter(|entry| entry.part == "organization")
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].resource, "organizations/default");
}

#[tokio::test]
async fn another_organization_is_told_apart_from_none_by_nothing() {
    let server = TestServer::start().await;
    let pool = server.database().pool();
    pool.execute(
        "insert into organizations (id, key, display_name)
         values (gen_random_uuid(), 'other', 'Other')",
    )
    .await
    .unwrap();
    let owner = server.admin();
    let answer = async |key: &str| {
        let name = format!("organizations/{key}");
        let read = refused(get(owner, &name).await, Code::NotFound);
        let wanted = Organization {
            name,
            etag: "1-1".to_owned(),
            display_name: "Mine".to_owned(),
            ..Organization::default()
        };
        let written = refused(update(owner, wanted).await, Code::NotFound);
        [read, written].map(|status| {
            let details = String::from_utf8_lossy(status.details()).into_owned();
            (status.message().to_owned() + &details).replace(key, "key")
        })
    };
    assert_eq!(answer("other").await, answer("wrong").await);
}

#[tokio::test]
async fn sessions_live_as_long_as_their_organization_says() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (ada, _) = owner.person("ada@example.com", "viewer", "").await;
    let pool = server.database().pool();
    let age = async |statement: &'static str| {
        pool.execute(statement).await.unwrap();
    };

    age("update sessions set last_seen_at = now() - interval '2 hours'").await;
    assert!(is_known(&ada).await);
    updated(owner, |it| it.session_idle_timeout = seconds(3 * HOUR)).await;
    age("update sessions set last_seen_at = now() - interval '2 hours'").await;
    assert!(is_known(&ada).await);
    updated(owner, |it| it.session_idle_timeout = seconds(HOUR)).await;
    until("the idle session has ended", SOON, async || {
        // It must not look used because this asks.
        age("update sessions set last_seen_at = now() - interval '2 hours'").await;
        !is_known(&ada).await
    })
    .await;

    let again = async || {
        let signed = server.nobody().sign_in("ada@example.com", PASSWORD).await;
        signed.unwrap()
    };
    let signed = again().await;
    let ada = server.caller(&signed.secret);
    age("update sessions set created_at = now() - interval '2 hours'").await;
    assert!(is_known(&ada).await);
    updated(owner, |it| it.session_lifetime = seconds(HOUR)).await;
    until("the old session has ended", SOON, async || {
        !is_known(&ada).await
    })
    .await;

    let session = again().await.session.unwrap();
    let lives = session.expire_time.unwrap().seconds - session.create_time.unwrap().seconds;
    assert_eq!(lives, HOUR);
}

#[tokio::test]
async fn sessions_can_live_neither_for_ever_nor_for_no_time() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let etag = get(owner, "").await.unwrap().etag;
    for (idle, lifetime) in [
        (seconds(0), seconds(HOUR)),
        (seconds(HOUR), seconds(-1)),
        (seconds(HOUR), seconds(100 * 24 * HOUR)),
        (seconds(i64::MAX), seconds(HOUR)),
        (
            Some(Duration {
                seconds: HOUR,
                nanos: 1,
            }),
            seconds(HOUR),
        ),
    ] {
        let wanted = Organization {
            name: "organizations/default".to_owned(),
            etag: etag.clone(),
            session_idle_timeout: idle,
            session_lifetime: lifetime,
            ..Organization::default()
        };
        let status = refused(update(owner, wanted).await, Code::InvalidArgument);
        assert_eq!(fields(&status).len(), 1, "{status:?}");
    }
}

#[tokio::test]
async fn an_organization_may_want_a_second_factor_of_everybody() {
    let server = TestServer::with_secret_keys(&KeyFile::with(&[1])).await;
    let machine = server.admin();
    let (ada, _) = machine.person("ada@example.com", "owner", "").await;
    let (bob, bob_member) = machine.person("bob@example.com", "viewer", "").await;
    let mut wanted = get(&ada, "").await.unwrap();
    wanted.require_second_factor = true;
    // Whoever has none would only keep themselves out.
    let status = refused(update(&ada, wanted.clone()).await, Code::FailedPrecondition);
    assert_eq!(reason(&status), "SECOND_FACTOR_WANTED");
    ada.enroll(server.database()).await;
    until("her session counts as proven", SOON, async || {
        update(&ada, wanted.clone()).await.is_ok()
    })
    .await;

    let held_up = async |caller: &Caller| match get(caller, "").await {
        Ok(_) => false,
        Err(status) => {
            assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
            assert_eq!(reason(&status), "SECOND_FACTOR_WANTED");
            true
        }
    };
    until("his session is held up", SOON, async || held_up(&bob).await).await;
    // A token would be a way round.
    let request = personal_token(&["project.read"], "");
    let made = bob.personal_tokens().create_personal_token(request).await;
    assert_eq!(
        reason(&refused(made, Code::FailedPrecondition)),
        "SECOND_FACTOR_WANTED"
    );
    assert!(is_known(&bob).await);
    let again = server.nobody().sign_in("bob@example.com", PASSWORD).await;
    assert!(held_up(&server.caller(&again.unwrap().secret)).await);

    let attempt = AuditFilter {
        actor: bob_member.name.clone(),
        denied: Some(true),
        ..AuditFilter::default()
    };
    until("what he could not do is told", SOON, async || {
        let told = entries(machine, attempt.clone()).await;
        let detail = told.first().map(|entry| format!("{:?}", entry.detail));
        detail.is_some_and(|detail| detail.contains("secondFactor"))
    })
    .await;

    let enrolled = bob.enroll(server.database()).await;
    until("he is let in", SOON, async || !held_up(&bob).await).await;
    assert!(!held_up(&ada).await);
    assert!(!held_up(machine).await, "machines have no second factor");

    let request = DisableSecondFactorRequest {
        password: PASSWORD.to_owned(),
        code: enrolled.recovery_codes[0].clone(),
    };
    bob.auth().disable_second_factor(request).await.unwrap();
    until("he is held up again", SOON, async || held_up(&bob).await).await;
}

#[tokio::test]
async fn no_second_factor_is_wanted_where_nobody_could_have_one() {
    let server = TestServer::start().await;
    let mut wanted = get(server.admin(), "").await.unwrap();
    wanted.require_second_factor = true;
    let outcome = update(server.admin(), wanted).await;
    assert_eq!(
        reason(&refused(outcome, Code::FailedPrecondition)),
        "SECRET_KEY_MISSING"
    );
}
