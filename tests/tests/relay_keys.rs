//! Relay keys by pattern: what they open follows the environments that there are, and nobody makes
//! one that may come to open more than they may open themselves.

use std::time::Duration;

use burgee_proto::admin::v1::{
    ApiKey, CreateApiKeyRequest, CreateEnvironmentRequest, DeleteEnvironmentRequest, Environment,
    GetApiKeyRequest, ListApiKeysRequest, RevokeApiKeyRequest, RotateApiKeyRequest,
    UpdateApiKeyRequest,
};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::builders::boolean_flag;
use burgee_tests::callers::Caller;
use burgee_tests::errors::{fields, refused};
use burgee_tests::project::{TestEnvironment, TestProject};
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::wait::until;
use prost_types::FieldMask;
use tonic::{Code, Status};

/// A relay has a new environment within seconds; asserted with a margin.
const LIVE_DEADLINE: Duration = Duration::from_secs(50);
const EVERY_PRODUCTION: &str = "projects/*/environments/production";
const ALL_OF_SHOP: &str = "projects/shop/environments/*";
const ALL: &str = "projects/*/environments/*";

fn patterns(patterns: &[&str]) -> ApiKey {
    ApiKey {
        kind: AccessKeyKind::Relay.into(),
        environment_patterns: patterns.iter().map(|&it| it.to_owned()).collect(),
        ..ApiKey::default()
    }
}

async fn make(caller: &Caller, key: ApiKey) -> Result<(ApiKey, String), Status> {
    let request = CreateApiKeyRequest {
        api_key: Some(key),
        ..CreateApiKeyRequest::default()
    };
    let made = caller
        .api_keys()
        .create_api_key(request)
        .await?
        .into_inner();
    Ok((made.api_key.unwrap(), made.secret))
}

async fn get(caller: &Caller, key: &ApiKey) -> Result<ApiKey, Status> {
    let name = key.name.clone();
    let mut keys = caller.api_keys();
    let response = keys.get_api_key(GetApiKeyRequest { name }).await?;
    Ok(response.into_inner().api_key.unwrap())
}

async fn update(caller: &Caller, key: ApiKey, paths: &[&str]) -> Result<ApiKey, Status> {
    let request = UpdateApiKeyRequest {
        etag: key.etag.clone(),
        api_key: Some(key),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(|&path| path.to_owned()).collect(),
        }),
        ..UpdateApiKeyRequest::default()
    };
    let response = caller.api_keys().update_api_key(request).await?;
    Ok(response.into_inner().api_key.unwrap())
}

async fn delete(environment: &TestEnvironment) {
    let request = DeleteEnvironmentRequest {
        name: environment.name.clone(),
        etag: environment.get().await.etag,
        ..DeleteEnvironmentRequest::default()
    };
    let mut environments = environment.admin.environments();
    environments.delete_environment(request).await.unwrap();
}

/// A project with a flag.
async fn project(server: &TestServer, key: &str) -> TestProject {
    let project = server.project(key).await;
    project.create_flag(boolean_flag("banner")).await;
    project
}

/// Waits until a relay serves an environment.
async fn serves(relay: &TestRelay, environment: &TestEnvironment) {
    let sdk = relay.caller(&environment.server_key().await);
    until("the relay serves it", LIVE_DEADLINE, async || {
        sdk.evaluate_for_alice("banner").await.is_ok()
    })
    .await;
}

/// Waits until a relay has forgotten an environment.
async fn forgets(relay: &TestRelay, environment: &TestEnvironment) {
    until("the relay has forgotten it", LIVE_DEADLINE, async || {
        relay.saved(&environment.uid).is_none()
    })
    .await;
}

#[tokio::test]
async fn environments_come_and_go_with_a_pattern_at_every_hop() {
    let server = TestServer::start().await;
    let shop = project(&server, "shop").await;
    let production = shop.environment("production").await;
    let (key, secret) = make(server.admin(), patterns(&[EVERY_PRODUCTION]))
        .await
        .unwrap();
    assert_eq!(key.environments, [production.name.as_str()]);
    let (_, below) = make(server.admin(), patterns(&[ALL])).await.unwrap();
    let near = TestRelay::start(server.address(), &secret).await;
    serves(&near, &production).await;
    let far = TestRelay::start(near.address(), &below).await;
    serves(&far, &production).await;

    let staging = shop.environment("staging").await;
    let blog = project(&server, "blog")
        .await
        .environment("production")
        .await;
    for relay in [&near, &far] {
        serves(relay, &blog).await;
        assert_eq!(relay.saved(&staging.uid), None, "it is not of the pattern");
    }
    let opened = get(server.admin(), &key).await.unwrap().environments;
    assert_eq!(opened, [blog.name.clone(), production.name.clone()]);

    delete(&blog).await;
    for relay in [&near, &far] {
        forgets(relay, &blog).await;
        serves(relay, &production).await;
    }
}

#[tokio::test]
async fn a_pattern_that_covers_nothing_opens_what_comes() {
    let server = TestServer::start().await;
    let (key, secret) = make(server.admin(), patterns(&[ALL])).await.unwrap();
    assert!(key.environments.is_empty());
    let relay = TestRelay::start(server.address(), &secret).await;

    let shop = project(&server, "shop").await;
    let first = shop.environment("first").await;
    serves(&relay, &first).await;
    let second = shop.environment("second").await;
    serves(&relay, &second).await;

    delete(&first).await;
    delete(&second).await;
    forgets(&relay, &second).await;
    let left = get(server.admin(), &key).await.unwrap();
    assert!(left.environments.is_empty() && left.revoke_time.is_none());
    let third = shop.environment("third").await;
    serves(&relay, &third).await;
}

#[tokio::test]
async fn a_successor_follows_the_patterns_and_an_ended_key_does_not() {
    let server = TestServer::start().await;
    let shop = project(&server, "shop").await;
    let owner = server.admin();
    let (old, _) = make(owner, patterns(&[ALL_OF_SHOP])).await.unwrap();
    let request = RotateApiKeyRequest {
        name: old.name.clone(),
        ..RotateApiKeyRequest::default()
    };
    let rotated = owner.api_keys().rotate_api_key(request).await.unwrap();
    let rotated = rotated.into_inner();
    let successor = rotated.api_key.unwrap();
    assert_eq!(successor.environment_patterns, [ALL_OF_SHOP]);
    let relay = TestRelay::start(server.address(), &rotated.secret).await;
    let first = shop.environment("first").await;
    serves(&relay, &first).await;
    let opened = get(owner, &old).await.unwrap().environments;
    assert_eq!(opened, [first.name.as_str()], "until the overlap ends");

    let request = RevokeApiKeyRequest {
        name: old.name.clone(),
        ..RevokeApiKeyRequest::default()
    };
    owner.api_keys().revoke_api_key(request).await.unwrap();
    let second = shop.environment("second").await;
    serves(&relay, &second).await;
    assert_eq!(get(owner, &old).await.unwrap().environments, [first.name]);
}

#[tokio::test]
async fn patterns_become_a_list_and_a_list_becomes_patterns() {
    let server = TestServer::start().await;
    let shop = project(&server, "shop").await;
    let owner = server.admin();
    let first = shop.environment("first").await;
    let (key, secret) = make(owner, patterns(&[ALL_OF_SHOP])).await.unwrap();
    let relay = TestRelay::start(server.address(), &secret).await;
    serves(&relay, &first).await;

    // What was read is sent back with another text: nothing else changes.
    let named = ApiKey {
        display_name: "edge".to_owned(),
        ..key
    };
    let named = update(owner, named, &["display_name"]).await.unwrap();
    assert_eq!(named.environment_patterns, [ALL_OF_SHOP]);
    let both = ApiKey {
        environments: Vec::new(),
        ..named.clone()
    };
    let status = refused(
        update(owner, both, &["environments"]).await,
        Code::InvalidArgument,
    );
    assert_eq!(fields(&status), ["api_key.environments"]);

    let listed = ApiKey {
        environment_patterns: Vec::new(),
        ..named
    };
    let listed = update(owner, listed, &["environment_patterns"])
        .await
        .unwrap();
    assert_eq!(listed.environments, [first.name.as_str()]);
    let second = shop.environment("second").await;
    let listed = get(owner, &listed).await.unwrap();
    assert_eq!(listed.environments, [first.name.as_str()]);

    let follows = ApiKey {
        environment_patterns: vec![ALL_OF_SHOP.to_owned()],
        ..listed
    };
    let follows = update(owner, follows, &["environment_patterns"])
        .await
        .unwrap();
    assert_eq!(
        follows.environments,
        [first.name.clone(), second.name.clone()]
    );
    serves(&relay, &second).await;
}

#[tokio::test]
async fn nobody_makes_or_changes_a_key_that_may_come_to_open_more_than_they_may() {
    let server = TestServer::start().await;
    let (_, production) = server.shop().await;
    server.project("blog").await;
    let owner = server.admin();
    let of_shop = owner.somebody("of-shop", "admin", "projects/shop").await;
    let of_production = owner
        .somebody("of-production", "admin", &production.name)
        .await;

    let (key_of_all, _) = make(owner, patterns(&[EVERY_PRODUCTION])).await.unwrap();
    let (key_of_shop, _) = make(&of_shop, patterns(&[ALL_OF_SHOP])).await.unwrap();
    assert_eq!(key_of_all.environments, key_of_shop.environments);
    for wide in [EVERY_PRODUCTION, ALL, "projects/blog/environments/*"] {
        for caller in [&of_shop, &of_production] {
            refused(
                make(caller, patterns(&[wide])).await,
                Code::PermissionDenied,
            );
        }
        let wider = ApiKey {
            environment_patterns: vec![wide.to_owned()],
            ..key_of_shop.clone()
        };
        let outcome = update(&of_shop, wider, &["environment_patterns"]).await;
        refused(outcome, Code::PermissionDenied);
    }
    // That it opens no more than production now is no reason.
    let outcome = make(&of_production, patterns(&[ALL_OF_SHOP])).await;
    refused(outcome, Code::PermissionDenied);

    for (caller, keys) in [
        (&of_shop, vec![&key_of_all]),
        (&of_production, vec![&key_of_all, &key_of_shop]),
    ] {
        for key in keys {
            refused(get(caller, key).await, Code::PermissionDenied);
            let named = ApiKey {
                display_name: "mine".to_owned(),
                ..key.clone()
            };
            let outcome = update(caller, named, &["display_name"]).await;
            refused(outcome, Code::PermissionDenied);
            let request = RotateApiKeyRequest {
                name: key.name.clone(),
                ..RotateApiKeyRequest::default()
            };
            let outcome = caller.api_keys().rotate_api_key(request).await;
            refused(outcome, Code::PermissionDenied);
            let request = RevokeApiKeyRequest {
                name: key.name.clone(),
                ..RevokeApiKeyRequest::default()
            };
            let outcome = caller.api_keys().revoke_api_key(request).await;
            refused(outcome, Code::PermissionDenied);
        }
    }
    for (caller, seen) in [(owner, 2), (&of_shop, 1), (&of_production, 0)] {
        let mut keys = caller.api_keys();
        let listed = keys.list_api_keys(ListApiKeysRequest::default()).await;
        assert_eq!(listed.unwrap().into_inner().api_keys.len(), seen);
    }
}

#[tokio::test]
async fn whoever_makes_an_environment_is_not_told_of_those_that_a_key_joins_it_with() {
    let server = TestServer::start().await;
    let (shop, _) = server.shop().await;
    let blog = server.project("blog").await.environment("production").await;
    let owner = server.admin();
    let (key, _) = make(owner, patterns(&[ALL])).await.unwrap();
    let of_shop = owner.somebody("of-shop", "admin", "projects/shop").await;
    let request = CreateEnvironmentRequest {
        parent: shop.name(),
        environment: Some(Environment {
            key: "staging".to_owned(),
            ..Environment::default()
        }),
        validate_only: true,
        ..CreateEnvironmentRequest::default()
    };
    let mut environments = of_shop.environments();
    environments
        .create_environment(request.clone())
        .await
        .unwrap();
    assert_eq!(
        get(owner, &key).await.unwrap().environments.len(),
        2,
        "it was only tried"
    );

    let before = blog.position().await;
    let request = CreateEnvironmentRequest {
        validate_only: false,
        ..request
    };
    let made = environments.create_environment(request).await.unwrap();
    let positions = made.into_inner().positions;
    assert_eq!(positions.len(), 2, "{positions:?}");
    assert!(positions.iter().all(|it| it.environment != blog.uid));
    assert!(
        blog.position().await > before,
        "the key is shipped there anew"
    );
}

#[tokio::test]
async fn a_pattern_is_of_a_relay_key_and_names_keys_or_leaves_them_open() {
    let server = TestServer::start().await;
    let (_, production) = server.shop().await;
    let owner = server.admin();
    for (key, field) in [
        (
            ApiKey {
                kind: AccessKeyKind::Server.into(),
                environments: vec![production.name.clone()],
                ..patterns(&[ALL])
            },
            "api_key.environment_patterns",
        ),
        (
            ApiKey {
                environments: vec![production.name.clone()],
                ..patterns(&[ALL])
            },
            "api_key.environments",
        ),
        (patterns(&[ALL, ALL]), "api_key.environment_patterns[1]"),
        (patterns(&["projects/*"]), "api_key.environment_patterns[0]"),
        (
            patterns(&["projects/sh*p/environments/*"]),
            "api_key.environment_patterns[0]",
        ),
        (patterns(&[ALL; 101]), "api_key.environment_patterns"),
    ] {
        let status = refused(make(owner, key).await, Code::InvalidArgument);
        assert_eq!(fields(&status), [field], "{status:?}");
    }
    let nowhere = patterns(&["projects/nowhere/environments/*"]);
    refused(make(owner, nowhere).await, Code::NotFound);
}
