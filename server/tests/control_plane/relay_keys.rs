//! Relay keys: of a list of environments, and of patterns.

use burgee_proto::admin::v1::{ApiKey, CreateApiKeyRequest, UpdateApiKeyRequest};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_server::error::Error;
use prost_types::FieldMask;

use crate::plane::{ONE, Plane, TWO};

#[tokio::test]
async fn a_relay_key_is_shipped_where_it_opens_and_nowhere_else() {
    let plane = Plane::with_environments().await;
    let made = plane
        .create(AccessKeyKind::Relay, &[TWO, ONE])
        .await
        .unwrap();
    let key = made.api_key.unwrap();
    assert_eq!(key.environments, [ONE, TWO]);
    assert_eq!(
        plane
            .shipped(ONE, &made.secret)
            .await
            .unwrap()
            .environments
            .len(),
        2
    );

    let narrowed = UpdateApiKeyRequest {
        api_key: Some(ApiKey {
            environments: vec![TWO.to_owned()],
            ..key.clone()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["environments".to_owned()],
        }),
        ..UpdateApiKeyRequest::default()
    };
    plane.perform(narrowed.clone()).await.unwrap();
    assert!(plane.shipped(ONE, &made.secret).await.is_none());
    assert_eq!(
        plane
            .shipped(TWO, &made.secret)
            .await
            .unwrap()
            .environments
            .len(),
        1
    );
    // The etag has moved.
    let stale = plane.perform(narrowed).await;
    assert!(
        matches!(stale, Err(Error::EtagMismatch { .. })),
        "{stale:?}"
    );
    let absent = plane
        .create(
            AccessKeyKind::Relay,
            &[ONE, "projects/shop/environments/none"],
        )
        .await;
    assert!(matches!(absent, Err(Error::NotFound { .. })), "{absent:?}");
    plane.stop().await;
}

fn of_all() -> CreateApiKeyRequest {
    CreateApiKeyRequest {
        api_key: Some(ApiKey {
            kind: AccessKeyKind::Relay.into(),
            environment_patterns: vec!["projects/*/environments/*".to_owned()],
            ..ApiKey::default()
        }),
        ..CreateApiKeyRequest::default()
    }
}

#[tokio::test]
async fn an_environment_that_is_too_many_for_a_key_is_not_made() {
    let plane = Plane::with_environments().await;
    let made = plane.perform(of_all()).await.unwrap();
    let key = made.api_key.unwrap();
    plane
        .run(
            "insert into projects (id, organization_id, key, version, body, changed_by)
             select gen_random_uuid(), organization_id, 'crowd', 1, '', '' from projects;
             insert into environments (id, project_id, key, version, body, changed_by)
             select gen_random_uuid(), p.id, 'e' || n, 1, '', ''
             from projects p, generate_series(1, 998) as n where p.key = 'crowd';
             insert into environment_heads (environment_id, revision)
             select e.id, 1 from environments e join projects p on p.id = e.project_id
             where p.key = 'crowd';
             insert into api_key_environments (api_key_id, environment_id)
             select k.id, e.id from api_keys k, environments e on conflict do nothing",
        )
        .await;
    let environment = burgee_proto::admin::v1::Environment {
        key: "three".to_owned(),
        ..Default::default()
    };
    let request = burgee_proto::admin::v1::CreateEnvironmentRequest {
        parent: "projects/shop".to_owned(),
        environment: Some(environment),
        ..Default::default()
    };
    let refused = plane.perform(request.clone()).await;
    match refused {
        Err(Error::Limit { limit, subject, .. }) => {
            assert_eq!((limit, subject), ("relay_key_environments", key.name));
        }
        other => panic!("{other:?}"),
    }
    let another = plane.perform(of_all()).await;
    assert!(another.is_ok(), "a thousand are not too many: {another:?}");

    // Whoever has ended stands in nobody's way.
    plane
        .run("update api_keys set expires_at = now() - interval '1 second'")
        .await;
    plane.perform(request).await.unwrap();
    let too_many = plane.perform(of_all()).await;
    assert!(
        matches!(
            too_many,
            Err(Error::Limit {
                limit: "relay_key_environments",
                ..
            })
        ),
        "{too_many:?}"
    );
    plane.stop().await;
}

#[tokio::test]
async fn an_organization_has_a_bounded_number_of_keys_with_patterns() {
    let plane = Plane::with_environments().await;
    for _ in 0..100 {
        plane.perform(of_all()).await.unwrap();
    }
    let refused = plane.perform(of_all()).await;
    assert!(
        matches!(
            refused,
            Err(Error::Limit {
                limit: "pattern_keys",
                ..
            })
        ),
        "{refused:?}"
    );
    plane.environment("three").await;
    plane
        .run(
            "update api_keys set revoked_at = now()
             where id = (select id from api_keys order by id limit 1)",
        )
        .await;
    plane.perform(of_all()).await.unwrap();
    plane.stop().await;
}
