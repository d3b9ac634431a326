use tonic_types::StatusExt as _;

use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 8));
const GOOD: KeyHash = [1; 32];

fn with(change: impl FnOnce(&mut Rates)) -> Limits {
    let mut rates = Rates::default();
    change(&mut rates);
    Limits::new(rates)
}

#[tokio::test(start_paused = true)]
async fn guesses_use_up_the_address_and_not_whoever_is_known_there() {
    let limits = with(|rates| rates.address = Rate::new(1, 3));
    limits.attempt(Some(HERE), &GOOD).unwrap().good();
    for guess in 10..13 {
        limits.attempt(Some(HERE), &[guess; 32]).unwrap().bad();
    }
    let exceeded = limits.attempt(Some(HERE), &[13; 32]).unwrap_err();
    assert_eq!(exceeded.limit(), Limit::Address);
    // Whoever is known, whoever is elsewhere, and whoever waits.
    limits.attempt(Some(HERE), &GOOD).unwrap().good();
    limits.attempt(Some(ELSEWHERE), &[14; 32]).unwrap().bad();
    tokio::time::advance(exceeded.retry_after()).await;
    limits.attempt(Some(HERE), &[15; 32]).unwrap().bad();
}

#[tokio::test(start_paused = true)]
async fn a_good_credential_costs_its_address_nothing() {
    let limits = with(|rates| rates.address = Rate::new(1, 1));
    for number in 0..100 {
        limits.attempt(Some(HERE), &[number; 32]).unwrap().good();
    }
    for _ in 0..100 {
        limits.attempt(Some(HERE), &[200; 32]).unwrap().undecided();
    }
    assert_eq!(limits.stranger(Some(HERE)), Ok(()));
    assert!(limits.stranger(Some(HERE)).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_has_ended_is_a_guess_from_then_on() {
    let limits = with(|rates| rates.address = Rate::new(1, 2));
    limits.attempt(Some(HERE), &GOOD).unwrap().good();
    limits.attempt(Some(HERE), &GOOD).unwrap().bad();
    limits.attempt(Some(HERE), &GOOD).unwrap().bad();
    assert!(limits.attempt(Some(HERE), &GOOD).is_err());
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_away_has_paid() {
    let limits = with(|rates| rates.address = Rate::new(1, 1));
    drop(limits.attempt(Some(HERE), &GOOD).unwrap());
    assert!(limits.attempt(Some(HERE), &GOOD).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_account_is_counted_over_all_its_credentials() {
    let limits = with(|rates| {
        rates.credential = Rate::new(1, 2);
        rates.account = Rate::new(1, 3);
    });
    for credential in [1, 1, 2] {
        assert_eq!(limits.call(&[credential; 32], "ada"), Ok(()));
    }
    let by_credential = limits.call(&[1; 32], "ada").unwrap_err();
    assert_eq!(by_credential.limit(), Limit::Credential);
    let by_account = limits.call(&[2; 32], "ada").unwrap_err();
    assert_eq!(by_account.limit(), Limit::Account);
    assert_eq!(limits.call(&[3; 32], "bob"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn one_address_does_not_use_up_a_public_key() {
    let limits = with(|rates| {
        rates.client_address = Rate::new(1, 2);
        rates.client_key = Rate::new(1, 4);
    });
    let call = |address| limits.key_call(AccessKeyKind::Client, &GOOD, Some(address));
    for _ in 0..2 {
        assert_eq!(call(HERE), Ok(()));
    }
    for _ in 0..10 {
        assert_eq!(call(HERE).unwrap_err().limit(), Limit::ClientAddress);
    }
    for _ in 0..2 {
        assert_eq!(call(ELSEWHERE), Ok(()));
    }
    // The key has a limit of its own.
    let third = IpAddr::from([192, 0, 2, 9]);
    assert_eq!(call(third).unwrap_err().limit(), Limit::ClientKey);
    let server = limits.key_call(AccessKeyKind::Server, &GOOD, Some(HERE));
    assert_eq!(server, Ok(()));
}

#[test]
fn a_refusal_says_what_is_counted_and_when_to_come_back() {
    let status = Status::from(Exceeded {
        limit: Limit::Credential,
        rate: Rate::per_second(500),
        retry_after: Duration::from_millis(20),
    });
    assert_eq!(status.code(), Code::ResourceExhausted);
    let details = status.get_error_details();
    let retry = details.retry_info().unwrap().retry_delay;
    assert_eq!(retry, Some(Duration::from_millis(20)));
    let info = details.error_info().unwrap();
    assert_eq!(info.reason, "RESOURCE_EXHAUSTED");
    assert_eq!(info.metadata["limit"], "credential_rate");
    assert_eq!(info.metadata["maximum"], "500");
    let quota = &details.quota_failure().unwrap().violations[0];
    assert_eq!(quota.subject, "this credential");
}
