//! How often a password, or a code of a second factor, may be tried: after some failures whoever
//! tries an account, or tries from an address, waits twice as long each time. Kept in Postgres, so
//! that all replicas count together.

use std::net::IpAddr;
use std::time::Duration;

use burgee_runtime::addresses::site;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

use crate::error::Error;

/// Attempts on an account before anybody waits.
const ACCOUNT_FREE: i32 = 5;
/// Failures from an address before anybody waits: many people may share one.
const ADDRESS_FREE: i32 = 50;
/// The longest wait. Longer ones would let anybody keep the owner of an account out.
const WAIT_MAX: Duration = Duration::from_secs(5 * 60);

/// For how long an address is familiar from which somebody signed in, in days.
const FAMILIAR_DAYS: i32 = 30;

/// The longest wait for another code. Only who knows the password makes the owner wait, who has
/// recovery codes, which wait for nothing; and at 24 codes a day one in a million is not found.
const CODE_WAIT_MAX: Duration = Duration::from_secs(60 * 60);

/// One attempt, which counts as failed until it is told otherwise.
#[derive(Debug)]
pub struct Attempt<'a> {
    pool: &'a PgPool,
    /// None: nobody could guess what is tried.
    account: Option<String>,
    address: Option<String>,
}

impl<'a> Attempt<'a> {
    /// Begins an attempt on the account of an e-mail address (anybody's or nobody's). It counts
    /// before the password is looked at, so that many at once are no way round. Where the person
    /// signed in lately it counts apart, so that nobody elsewhere can keep them out by guessing.
    ///
    /// # Errors
    /// [`Error::Exhausted`] if it is too early for another.
    pub async fn begin(
        pool: &'a PgPool,
        email: &str,
        origin: Option<IpAddr>,
    ) -> Result<Self, Error> {
        let address = origin.map(address_subject);
        if let Some(address) = &address {
            check(pool, address).await?;
        }
        let familiar = match origin {
            Some(origin) if is_familiar(pool, email, origin).await? => Some(origin),
            _ => None,
        };
        let account = account_subject(email, familiar);
        count_or_refuse(pool, &account, WAIT_MAX).await?;
        Ok(Self {
            pool,
            account: Some(account),
            address,
        })
    }

    /// Begins an attempt on the codes of a person's second factor, whose password was right. It
    /// counts as [`Attempt::begin`] does, and apart from it: the password begins nothing anew.
    ///
    /// # Errors
    /// [`Error::Exhausted`] if it is too early for another.
    pub async fn begin_code(
        pool: &'a PgPool,
        person: Uuid,
        address: Option<IpAddr>,
    ) -> Result<Self, Error> {
        let account = format!("second factor {person}");
        count_or_refuse(pool, &account, CODE_WAIT_MAX).await?;
        Ok(Self {
            pool,
            account: Some(account),
            address: address.map(address_subject),
        })
    }

    /// An attempt on what nobody could guess. Only for the address it counts, if it fails.
    #[must_use]
    pub fn beyond_guessing(pool: &'a PgPool, address: Option<IpAddr>) -> Self {
        Self {
            pool,
            account: None,
            address: address.map(address_subject),
        }
    }

    /// It was right: the account's count begins anew.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn succeeded(self) -> Result<(), Error> {
        if let Some(account) = self.account {
            sqlx::query!("delete from password_attempts where subject = $1", account)
                .execute(self.pool)
                .await?;
        }
        Ok(())
    }

    /// It was wrong: that counts for the address, too.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn failed(self) -> Result<(), Error> {
        if let Some(address) = &self.address {
            count(self.pool, address, (ADDRESS_FREE, WAIT_MAX)).await?;
        }
        Ok(())
    }
}

/// Whether the person of an account signed in from an address within [`FAMILIAR_DAYS`].
async fn is_familiar(pool: &PgPool, email: &str, address: IpAddr) -> Result<bool, Error> {
    let familiar = sqlx::query_scalar!(
        r#"select exists (
               select from people p
               join members m on m.person_id = p.id
               join sessions s on s.member_id = m.id
               where p.email = $1 and p.organization_id is null and s.address = $2
                 and s.created_at > clock_timestamp() - make_interval(days => $3)
           ) as "familiar!""#,
        email,
        address.to_string(),
        FAMILIAR_DAYS,
    );
    Ok(familiar.fetch_one(pool).await?)
}

/// An unknown e-mail address counts as any other, and is nothing to keep in plain text. Tried from
/// a familiar address, it counts apart.
fn account_subject(email: &str, familiar: Option<IpAddr>) -> String {
    let mut digest = Sha256::new_with_prefix(email.as_bytes());
    if let Some(address) = familiar {
        digest.update(format!(" from {address}"));
    }
    format!("account {}", HEXLOWER.encode(&digest.finalize()))
}

fn address_subject(address: IpAddr) -> String {
    match site(address) {
        IpAddr::V4(address) => format!("address {address}"),
        IpAddr::V6(address) => format!("address {address}/64"),
    }
}

/// Counts an attempt on an account, unless it is too early.
async fn count_or_refuse(pool: &PgPool, account: &str, wait_max: Duration) -> Result<(), Error> {
    while !count(pool, account, (ACCOUNT_FREE, wait_max)).await? {
        // The wait may be over by now: then it is counted.
        check(pool, account).await?;
    }
    Ok(())
}

/// Counts an attempt. False: it is too early.
async fn count(
    pool: &PgPool,
    subject: &str,
    (free, wait_max): (i32, Duration),
) -> Result<bool, Error> {
    let counted = sqlx::query!(
        "insert into password_attempts as a (subject, failures, failed_at, next_at)
         values ($1, 1, clock_timestamp(), clock_timestamp())
         on conflict (subject) do update
         set failures = a.failures + 1,
             failed_at = clock_timestamp(),
             next_at = clock_timestamp() + make_interval(secs =>
                 case when a.failures + 1 < $2 then 0
                 else least($3, power(2, least(a.failures + 1 - $2, 30))) end)
         where a.next_at <= clock_timestamp()",
        subject,
        free,
        wait_max.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(counted.rows_affected() == 1)
}

/// Refuses what comes too early.
async fn check(pool: &PgPool, subject: &str) -> Result<(), Error> {
    let wait = sqlx::query_scalar!(
        r#"select extract(epoch from next_at - clock_timestamp())::float8 as "wait!"
           from password_attempts where subject = $1 and next_at > clock_timestamp()"#,
        subject,
    )
    .fetch_optional(pool)
    .await?;
    let Some(wait) = wait else {
        return Ok(());
    };
    let retry_after = Duration::try_from_secs_f64(wait).unwrap_or(WAIT_MAX);
    Err(Error::Exhausted {
        description: format!(
            "too many failed attempts; try again in {} s",
            retry_after.as_secs() + 1
        ),
        retry_after,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_told_apart_by_its_address_and_kept_as_a_hash() {
        let subject = account_subject("ada@example.com", None);
        assert!(!subject.contains("ada"), "{subject}");
        assert_eq!(subject, account_subject("ada@example.com", None));
        assert_ne!(subject, account_subject("bob@example.com", None));
        let familiar = "192.0.2.7".parse().ok();
        assert_ne!(subject, account_subject("ada@example.com", familiar));
    }

    #[test]
    fn addresses_of_one_customer_count_as_one() {
        let subject = |text: &str| address_subject(text.parse().unwrap());
        assert_eq!(subject("192.0.2.7"), "address 192.0.2.7");
        assert_eq!(subject("2001:db8:0:1::1"), "address 2001:db8:0:1::/64");
        assert_eq!(subject("2001:db8:0:1::1"), subject("2001:db8:0:1:ffff::2"));
        assert_ne!(subject("2001:db8:0:1::1"), subject("2001:db8:0:2::1"));
    }
}
