//! When tokens and sessions were last used is written down beside whoever changes them.

use burgee_server::auth::Uses;

use crate::plane::Plane;

/// Two tokens and two sessions, by their hashes.
const CREDENTIALS: &str = "
    insert into service_accounts (id, organization_id, key, body)
    select gen_random_uuid(), id, 'robot', '' from organizations;
    insert into tokens (id, service_account_id, hash, secret_prefix, dev)
    select gen_random_uuid(), a.id, decode(repeat(byte, 32), 'hex'), '', false
    from service_accounts a, unnest(array['01', '02']) as byte where a.key = 'robot';
    insert into people (id, email, password_hash) values (gen_random_uuid(), 'ann@example.com', '');
    insert into members (id, organization_id, person_id, display_name, changed_by)
    select gen_random_uuid(), o.id, p.id, 'Ann', '' from organizations o, people p;
    insert into sessions (id, member_id, hash, address, user_agent, expires_at, last_seen_at)
    select gen_random_uuid(), m.id, decode(repeat(byte, 32), 'hex'), '', '',
           now() + interval '1 day', now() - interval '1 day'
    from members m, unnest(array['03', '04']) as byte";
/// Ends the first token and the first session.
const END_FIRST: &str = "
    update tokens set expires_at = now() where get_byte(hash, 0) = 1;
    update sessions set expires_at = now() where get_byte(hash, 0) = 3";
/// Ends the others.
const END_SECOND: &str = "
    update tokens set expires_at = now() where get_byte(hash, 0) = 2;
    update sessions set expires_at = now() where get_byte(hash, 0) = 4";
/// Of which credentials it is written down that they were used just now.
const KNOWN: &str = "select coalesce(sum(get_byte(hash, 0)), 0)::bigint from (
    select hash, last_used_at as at from tokens union all select hash, last_seen_at from sessions
) as used where at > now() - interval '1 hour'";

#[tokio::test]
async fn uses_are_written_down_beside_whoever_ends_the_same_credentials_in_another_order() {
    let plane = Plane::new().await;
    plane.run(CREDENTIALS).await;
    let pool = &plane.app.pools.write;
    let uses = Uses::default();
    // The fifth is nobody's.
    for byte in 1..=5 {
        uses.note([byte; 32]);
    }

    let mut ending = pool.begin().await.unwrap();
    sqlx::raw_sql(END_SECOND)
        .execute(&mut *ending)
        .await
        .unwrap();
    uses.write(pool).await;
    assert_eq!(plane.number(KNOWN).await, 1 + 3, "what nobody holds");
    sqlx::raw_sql(END_FIRST)
        .execute(&mut *ending)
        .await
        .unwrap();
    ending.commit().await.unwrap();

    uses.write(pool).await;
    assert_eq!(plane.number(KNOWN).await, 1 + 2 + 3 + 4, "the others too");
    plane.stop().await;
}

#[tokio::test]
async fn replicas_that_saw_the_same_credentials_write_them_down_at_once() {
    /// Writers that meet once in a while.
    const ROUNDS: usize = 20;
    let plane = Plane::new().await;
    plane
        .run(
            "insert into service_accounts (id, organization_id, key, body)
             select gen_random_uuid(), id, 'robot', '' from organizations;
             insert into tokens (id, service_account_id, hash, secret_prefix, dev)
             select gen_random_uuid(), a.id, decode(repeat(lpad(to_hex(byte), 2, '0'), 32), 'hex'),
                    '', false
             from service_accounts a, generate_series(0, 199) as byte where a.key = 'robot'",
        )
        .await;
    let pool = &plane.app.pools.write;
    for _ in 0..ROUNDS {
        plane.run("update tokens set last_used_at = null").await;
        let [one, other] = [Uses::default(), Uses::default()];
        for uses in [&one, &other] {
            (0..200).for_each(|byte| uses.note([byte; 32]));
        }
        tokio::join!(one.write(pool), other.write(pool));
        let unknown = "select count(*) from tokens where last_used_at is null";
        assert_eq!(plane.number(unknown).await, 0);
    }
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(plane.number(deadlocks).await, 0);
    plane.stop().await;
}
