//! Whoever tries to sign in learns nothing of who is known here: neither by what
//! is answered nor by how long that takes.

use std::time::{Duration, Instant};

use burgee_proto::admin::v1::{DeactivateMemberRequest, SignInRequest};
use burgee_tests::people::PASSWORD;
use burgee_tests::server::TestServer;
use tonic::{Code, Status};

const ADA: &str = "ada@example.com";
const GONE: &str = "gone@example.com";
const WRONG: &str = "lanterns over harbour 8";
/// How often each is tried.
const ROUNDS: usize = 15;
/// How much longer one kind of refusal may take than another, at the median. Whoever is not looked
/// at takes a twentieth of the time of whoever's password is checked.
const RATIO_MAX: f64 = 2.0;

/// What somebody tries who should learn nothing by it.
struct Try {
    what: &'static str,
    email: &'static str,
    password: &'static str,
    organization: &'static str,
    took: Vec<Duration>,
}

impl Try {
    fn new(what: &'static str, email: &'static str, password: &'static str) -> Self {
        Self {
            what,
            email,
            password,
            organization: "",
            took: Vec::new(),
        }
    }

    fn of(self, organization: &'static str) -> Self {
        Self {
            organization,
            ..self
        }
    }

    async fn refused(&mut self, server: &TestServer) -> Status {
        let request = SignInRequest {
            email: self.email.to_owned(),
            password: self.password.to_owned(),
            organization: self.organization.to_owned(),
            ..SignInRequest::default()
        };
        let mut auth = server.nobody().auth();
        let began = Instant::now();
        let status = auth.sign_in(request).await.unwrap_err();
        self.took.push(began.elapsed());
        status
    }

    fn median(&mut self) -> f64 {
        self.took.sort();
        self.took[ROUNDS / 2].as_secs_f64()
    }
}

#[tokio::test]
async fn a_refused_sign_in_tells_nothing_by_its_bytes_or_its_time() {
    let server = TestServer::start().await;
    let owner = server.admin();
    owner.person(ADA, "viewer", "").await;
    let (_, gone) = owner.person(GONE, "viewer", "").await;
    let request = DeactivateMemberRequest {
        name: gone.name,
        ..DeactivateMemberRequest::default()
    };
    owner.members().deactivate_member(request).await.unwrap();

    let mut tries = [
        Try::new("nobody", "nobody@example.com", WRONG),
        Try::new("a wrong password", ADA, WRONG),
        Try::new("somebody who is kept out", GONE, PASSWORD),
        Try::new("another organization", ADA, PASSWORD).of("other"),
        Try::new(
            "nobody in another organization",
            "nobody@example.com",
            WRONG,
        )
        .of("other"),
    ];
    let mut answers = Vec::new();
    // By turns, so that what else the machine does meets all alike.
    for _ in 0..ROUNDS {
        for one in &mut tries {
            answers.push(one.refused(&server).await);
            // Whoever fails waits: that is another promise.
            sqlx::query("delete from password_attempts")
                .execute(server.database().pool())
                .await
                .unwrap();
        }
    }
    for answer in &answers {
        assert_eq!(answer.code(), Code::Unauthenticated, "{answer:?}");
        assert_eq!(answer.message(), answers[0].message());
        assert_eq!(answer.details(), answers[0].details());
    }
    let medians = tries.each_mut().map(|one| (one.median(), one.what));
    let (least, quick) = medians.into_iter().reduce(min).unwrap();
    let (most, slow) = medians.into_iter().reduce(max).unwrap();
    assert!(
        most / least < RATIO_MAX,
        "{slow} takes {most} s, and {quick} {least} s"
    );
}

type Median = (f64, &'static str);

fn min(one: Median, other: Median) -> Median {
    if one.0 <= other.0 { one } else { other }
}

fn max(one: Median, other: Median) -> Median {
    if one.0 >= other.0 { one } else { other }
}
