//! Whoever has a second factor gives a code beside their password, once each, everywhere.

use burgee_proto::admin::v1::{
    CreatePasswordResetRequest, DisableSecondFactorRequest, GetMemberRequest, ListSessionsRequest,
    Member, RegenerateRecoveryCodesRequest, ResetPasswordRequest, ResetSecondFactorRequest,
    SignInRequest, SwitchOrganizationRequest,
};
use burgee_tests::callers::Caller;
use burgee_tests::errors::{fields, reason, refused};
use burgee_tests::people::{PASSWORD, acceptance};
use burgee_tests::process::{built, run};
use burgee_tests::second_factor::Enrolled;
use burgee_tests::secrets::{KeyFile, key};
use burgee_tests::server::TestServer;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{audit, is_shut_out, other_organization, overtaken, who_am_i};

const ADA: &str = "ada@example.com";
const WRONG: &str = "lanterns over harbour 8";

/// A server that can seal, and somebody there who has a second factor.
async fn ada() -> (TestServer, Caller, Enrolled) {
    let server = TestServer::with_secret_keys(&KeyFile::with(&[1])).await;
    let (ada, _) = server.admin().person(ADA, "viewer", "").await;
    let enrolled = ada.enroll(server.database()).await;
    (server, ada, enrolled)
}

fn is_refused_for<T>(outcome: Result<T, Status>, why: &str) -> Status {
    let status = refused(outcome.map(drop), Code::Unauthenticated);
    assert_eq!(reason(&status), why);
    status
}

async fn disable(caller: &Caller, password: &str, code: &str) -> Result<(), Status> {
    let request = DisableSecondFactorRequest {
        password: password.to_owned(),
        code: code.to_owned(),
    };
    caller.auth().disable_second_factor(request).await.map(drop)
}

async fn regenerate(caller: &Caller, code: &str) -> Result<Vec<String>, Status> {
    let request = RegenerateRecoveryCodesRequest {
        password: PASSWORD.to_owned(),
        code: code.to_owned(),
    };
    let answer = caller.auth().regenerate_recovery_codes(request).await?;
    Ok(answer.into_inner().recovery_codes)
}

#[tokio::test]
async fn whoever_is_shut_out_sets_no_second_factor_and_takes_none_away() {
    let server = TestServer::with_secret_keys(&KeyFile::with(&[1])).await;
    let (ada, _) = server.admin().person(ADA, "viewer", "").await;
    let app = ada.begin_second_factor().await.unwrap();
    let code = app.code();
    let confirming = async move { ada.confirm_second_factor(&code).await };
    is_refused_for(overtaken(&server, confirming).await, "CREDENTIAL_INVALID");
    // Their own password is enough still.
    let signed_in = server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
    let ada = server.caller(&signed_in.secret);
    let enrolled = ada.enroll(server.database()).await;
    let code = enrolled.app.code();
    let disabling = async move { disable(&ada, PASSWORD, &code).await };
    is_refused_for(overtaken(&server, disabling).await, "CREDENTIAL_INVALID");
    is_refused_for(
        server.nobody().sign_in(ADA, PASSWORD).await,
        "SECOND_FACTOR_REQUIRED",
    );
}

#[tokio::test]
async fn a_second_factor_counts_once_a_code_of_it_was_given() {
    let server = TestServer::with_secret_keys(&KeyFile::with(&[1])).await;
    let (ada, member) = server.admin().person(ADA, "viewer", "").await;
    let elsewhere = server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
    let elsewhere = server.caller(&elsewhere.secret);
    who_am_i(&elsewhere).await.unwrap();
    let status = refused(
        ada.confirm_second_factor("123456").await,
        Code::FailedPrecondition,
    );
    assert_eq!(reason(&status), "SECOND_FACTOR_NOT_SET");

    let void = ada.begin_second_factor().await.unwrap();
    let app = ada.begin_second_factor().await.unwrap();
    assert_ne!(void.code_in(100), app.code_in(100));
    is_refused_for(
        ada.confirm_second_factor(&app.wrong_code()).await,
        "SECOND_FACTOR_INVALID",
    );
    server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
    assert!(!who_am_i(&ada).await.unwrap().member.unwrap().second_factor);

    let used = app.code();
    let codes = ada.confirm_second_factor(&used).await.unwrap();
    assert_eq!(codes.len(), 10);
    is_shut_out(&elsewhere).await;
    let who = who_am_i(&ada).await.unwrap();
    assert_eq!(
        (who.member.unwrap().second_factor, who.recovery_codes_left),
        (true, 10)
    );
    let sessions = ada
        .auth()
        .list_sessions(ListSessionsRequest {})
        .await
        .unwrap();
    let sessions = sessions.into_inner().sessions;
    assert!(
        sessions.len() == 1 && sessions[0].second_factor,
        "{sessions:?}"
    );
    let request = GetMemberRequest { name: member.name };
    let seen = server.admin().members().get_member(request).await.unwrap();
    assert!(seen.into_inner().member.unwrap().second_factor);
    for outcome in [
        ada.begin_second_factor().await.map(drop),
        ada.confirm_second_factor(&app.code_in(1)).await.map(drop),
    ] {
        let status = refused(outcome, Code::FailedPrecondition);
        assert_eq!(reason(&status), "SECOND_FACTOR_SET");
    }
    is_refused_for(
        server.nobody().sign_in(ADA, PASSWORD).await,
        "SECOND_FACTOR_REQUIRED",
    );
    // The code that confirmed it was used by that.
    let outcome = server.nobody().sign_in_with(ADA, &used).await;
    is_refused_for(outcome, "SECOND_FACTOR_INVALID");
}

#[tokio::test]
async fn an_enrollment_that_was_left_lying_is_void() {
    let server = TestServer::with_secret_keys(&KeyFile::with(&[1])).await;
    let (ada, _) = server.admin().person(ADA, "viewer", "").await;
    let app = ada.begin_second_factor().await.unwrap();
    let age = "update second_factors set created_at = created_at - interval '61 minutes'";
    server.database().execute(age.to_owned()).await.unwrap();
    let outcome = ada.confirm_second_factor(&app.code()).await;
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(reason(&status), "SECOND_FACTOR_NOT_SET");
}

#[tokio::test]
async fn each_code_signs_in_once() {
    let (server, _, enrolled) = ada().await;
    let nobody = server.nobody();
    let (now, next) = (enrolled.app.code(), enrolled.app.code_in(1));
    let spaced = format!("{} {}", &now[..3], &now[3..]);
    for code in [&spaced, &next] {
        let signed_in = nobody.sign_in_with(ADA, code).await.unwrap();
        assert!(signed_in.session.unwrap().second_factor);
        is_refused_for(
            nobody.sign_in_with(ADA, code).await,
            "SECOND_FACTOR_INVALID",
        );
    }
    // Nor one from before, once a later one was used.
    is_refused_for(
        nobody.sign_in_with(ADA, &now).await,
        "SECOND_FACTOR_INVALID",
    );
}

#[tokio::test]
async fn one_code_at_once_in_many_hands_signs_in_once() {
    let (server, _, enrolled) = ada().await;
    for code in [&enrolled.app.code(), &enrolled.recovery_codes[0]] {
        let attempts = (0..4).map(async |_| server.nobody().sign_in_with(ADA, code).await);
        let outcomes = futures_util::future::join_all(attempts).await;
        let signed_in = outcomes.iter().filter(|it| it.is_ok()).count();
        assert_eq!(signed_in, 1, "{outcomes:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_tells_nothing_of_a_second_factor() {
    let (server, _, enrolled) = ada().await;
    let mut answers = Vec::new();
    for (email, code) in [
        ("nobody@example.com", String::new()),
        (ADA, String::new()),
        (ADA, enrolled.app.code()),
        (ADA, enrolled.recovery_codes[0].clone()),
    ] {
        let request = SignInRequest {
            email: email.to_owned(),
            password: WRONG.to_owned(),
            second_factor_code: code,
            ..SignInRequest::default()
        };
        let outcome = server.nobody().auth().sign_in(request).await;
        let status = is_refused_for(outcome, "CREDENTIAL_INVALID");
        answers.push((status.message().to_owned(), status.details().to_vec()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    // Nor was the code used by that.
    server
        .nobody()
        .sign_in_with(ADA, &enrolled.app.code())
        .await
        .unwrap();
    let outcome = server.nobody().sign_in_with(ADA, "1234567").await;
    let status = refused(outcome, Code::InvalidArgument);
    assert_eq!(fields(&status), ["second_factor_code"]);
}

#[tokio::test]
async fn whoever_guesses_codes_waits_and_the_password_begins_nothing_anew() {
    let (server, ada, enrolled) = ada().await;
    let nobody = server.nobody();
    let mut refusals = 0;
    let status = loop {
        let code = enrolled.app.wrong_code();
        let status = nobody.sign_in_with(ADA, &code).await.unwrap_err();
        if status.code() == Code::ResourceExhausted {
            break status;
        }
        assert_eq!(reason(&status), "SECOND_FACTOR_INVALID");
        is_refused_for(
            nobody.sign_in(ADA, PASSWORD).await,
            "SECOND_FACTOR_REQUIRED",
        );
        refusals += 1;
        assert!(refusals < 20, "codes are guessed without end");
    };
    assert!(refusals >= 5, "only {refusals} attempts are free");
    assert!(
        status
            .get_details_retry_info()
            .unwrap()
            .retry_delay
            .is_some()
    );
    let minute = "update password_attempts set next_at = now() + interval '1 minute'
                  where subject like 'second factor %'";
    server.database().execute(minute.to_owned()).await.unwrap();
    // Not even the right code is looked at, here or by a session.
    let code = enrolled.app.code();
    refused(
        nobody.sign_in_with(ADA, &code).await,
        Code::ResourceExhausted,
    );
    refused(
        disable(&ada, PASSWORD, &code).await,
        Code::ResourceExhausted,
    );
    // Whoever has recovery codes is not kept out by others.
    nobody
        .sign_in_with(ADA, &enrolled.recovery_codes[0])
        .await
        .unwrap();
    let over = "update password_attempts set next_at = now()";
    server.database().execute(over.to_owned()).await.unwrap();
    nobody
        .sign_in_with(ADA, &enrolled.app.code())
        .await
        .unwrap();
    let counted = "select count(*) from password_attempts where subject like 'second factor %'";
    assert_eq!(server.database().number(counted).await, 0);
}

#[tokio::test]
async fn each_recovery_code_is_good_once_and_new_ones_void_the_old() {
    let (server, ada, enrolled) = ada().await;
    let nobody = server.nobody();
    let [first, second, third, ..] = &enrolled.recovery_codes[..] else {
        panic!("{:?}", enrolled.recovery_codes.len())
    };
    nobody
        .sign_in_with(ADA, &first.to_uppercase())
        .await
        .unwrap();
    is_refused_for(
        nobody.sign_in_with(ADA, first).await,
        "SECOND_FACTOR_INVALID",
    );
    assert_eq!(who_am_i(&ada).await.unwrap().recovery_codes_left, 9);

    is_refused_for(
        regenerate(&ada, &enrolled.app.wrong_code()).await,
        "SECOND_FACTOR_INVALID",
    );
    nobody.sign_in_with(ADA, second).await.unwrap();
    let new = regenerate(&ada, &enrolled.app.code()).await.unwrap();
    assert_eq!(who_am_i(&ada).await.unwrap().recovery_codes_left, 10);
    is_refused_for(
        nobody.sign_in_with(ADA, third).await,
        "SECOND_FACTOR_INVALID",
    );
    nobody.sign_in_with(ADA, &new[0]).await.unwrap();

    let entries = audit(server.admin()).await;
    let told = entries.iter().filter(|entry| entry.part == "secondFactor");
    let told: Vec<_> = told
        .map(|entry| {
            let method = entry.method.rsplit('/').next().unwrap();
            (method, entry.denied, format!("{:?}", entry.detail))
        })
        .collect();
    let used = |told: &(&str, i32, String)| told.2.contains("recoveryCode\"");
    assert_eq!(told.iter().filter(|it| used(it)).count(), 3, "{told:?}");
    assert_eq!(told[0].0, "ConfirmSecondFactor");
    assert!(
        told.iter()
            .any(|it| it.0 == "RegenerateRecoveryCodes" && it.1 == 0)
    );
    assert!(
        told.iter()
            .any(|it| it.0 == "RegenerateRecoveryCodes" && it.1 == 1)
    );
    assert!(told.iter().any(|it| it.0 == "SignIn" && it.1 == 1));
}

#[tokio::test]
async fn whoever_takes_their_second_factor_away_proves_it_first() {
    let (server, ada, enrolled) = ada().await;
    let code = &enrolled.recovery_codes[0];
    is_refused_for(disable(&ada, WRONG, code).await, "CREDENTIAL_INVALID");
    let wrong = enrolled.app.wrong_code();
    is_refused_for(
        disable(&ada, PASSWORD, &wrong).await,
        "SECOND_FACTOR_INVALID",
    );
    let status = refused(disable(&ada, "", "").await, Code::InvalidArgument);
    assert_eq!(fields(&status), ["password", "code"]);

    disable(&ada, PASSWORD, code).await.unwrap();
    let who = who_am_i(&ada).await.unwrap();
    assert_eq!(
        (who.member.unwrap().second_factor, who.recovery_codes_left),
        (false, 0)
    );
    let signed_in = server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
    assert!(!signed_in.session.unwrap().second_factor);
    for outcome in [
        disable(&ada, PASSWORD, &enrolled.recovery_codes[1]).await,
        regenerate(&ada, &enrolled.app.code()).await.map(drop),
    ] {
        let status = refused(outcome, Code::FailedPrecondition);
        assert_eq!(reason(&status), "SECOND_FACTOR_NOT_SET");
    }
}

#[tokio::test]
async fn a_reset_password_is_no_way_round() {
    let (server, ada, enrolled) = ada().await;
    let name = who_am_i(&ada).await.unwrap().subject;
    let request = CreatePasswordResetRequest {
        name,
        ..CreatePasswordResetRequest::default()
    };
    let mut members = server.admin().members();
    let link = members.create_password_reset(request).await.unwrap();
    let request = ResetPasswordRequest {
        secret: link.into_inner().secret,
        new_password: PASSWORD.to_owned(),
    };
    server
        .nobody()
        .auth()
        .reset_password(request)
        .await
        .unwrap();
    is_shut_out(&ada).await;
    is_refused_for(
        server.nobody().sign_in(ADA, PASSWORD).await,
        "SECOND_FACTOR_REQUIRED",
    );
    server
        .nobody()
        .sign_in_with(ADA, &enrolled.app.code())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_invitation_elsewhere_asks_for_it_and_switching_does_not() {
    let (server, ada, enrolled) = ada().await;
    let other = other_organization(&server);
    let invited = other.invite(ADA, "viewer", "").await.unwrap();
    let mut request = acceptance(&invited.secret);
    let nobody = server.nobody();
    is_refused_for(
        nobody.accept(request.clone()).await,
        "SECOND_FACTOR_REQUIRED",
    );
    request.second_factor_code = enrolled.app.wrong_code();
    is_refused_for(
        nobody.accept(request.clone()).await,
        "SECOND_FACTOR_INVALID",
    );
    request.second_factor_code = enrolled.app.code();
    let accepted = nobody.accept(request).await.unwrap();
    assert!(accepted.session.unwrap().second_factor);

    let request = SwitchOrganizationRequest {
        organization: "other".to_owned(),
        ..SwitchOrganizationRequest::default()
    };
    let switched = ada.auth().switch_organization(request).await.unwrap();
    assert!(switched.into_inner().session.unwrap().second_factor);
}

#[tokio::test]
async fn an_owner_may_take_away_what_a_member_lost() {
    let (server, ada, _) = ada().await;
    let owner = server.admin();
    let (admin, admin_member) = owner.person("admin@example.com", "admin", "").await;
    let (boss, boss_member) = owner.person("boss@example.com", "owner", "").await;
    boss.enroll(server.database()).await;
    admin.enroll(server.database()).await;
    let ada_name = who_am_i(&ada).await.unwrap().subject;
    refused(
        reset(&admin, &boss_member.name).await,
        Code::PermissionDenied,
    );
    refused(reset(&ada, &boss_member.name).await, Code::PermissionDenied);
    let status = refused(
        reset(&admin, &admin_member.name).await,
        Code::InvalidArgument,
    );
    assert_eq!(fields(&status), ["name"]);

    let member = reset(&admin, &ada_name).await.unwrap();
    assert!(!member.second_factor);
    is_shut_out(&ada).await;
    let signed_in = server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
    assert!(!signed_in.session.unwrap().second_factor);
    let status = refused(reset(&admin, &ada_name).await, Code::FailedPrecondition);
    assert_eq!(reason(&status), "SECOND_FACTOR_NOT_SET");
    let entries = audit(owner).await;
    let told = entries
        .iter()
        .filter(|entry| entry.method.ends_with("/ResetSecondFactor") && entry.denied == 0)
        .map(|entry| (entry.actor.as_str(), entry.resource.as_str()));
    let expected = (admin_member.name.as_str(), ada_name.as_str());
    assert_eq!(told.collect::<Vec<_>>(), [expected]);
}

#[tokio::test]
async fn what_protects_another_organization_too_only_an_operator_takes_away() {
    let (server, ada, enrolled) = ada().await;
    let other = other_organization(&server);
    let invited = other.invite(ADA, "viewer", "").await.unwrap();
    let mut request = acceptance(&invited.secret);
    request.second_factor_code = enrolled.app.code();
    server.nobody().accept(request).await.unwrap();
    let name = who_am_i(&ada).await.unwrap().subject;
    let status = refused(reset(server.admin(), &name).await, Code::FailedPrecondition);
    assert_eq!(reason(&status), "PERSON_ELSEWHERE");

    let database = server.database().url();
    let command = |email| {
        [
            "reset-second-factor",
            "--email",
            email,
            "--database-url",
            database,
        ]
    };
    let output = run(&built("burgee-server"), &command("nobody@example.com"));
    assert!(!output.status.success());
    let output = run(&built("burgee-server"), &command(ADA));
    assert!(output.status.success(), "{output:?}");
    is_shut_out(&ada).await;
    server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
    for organization in [server.admin(), &other] {
        let entries = audit(organization).await;
        let told = entries
            .iter()
            .filter(|entry| entry.method == "reset-second-factor");
        assert_eq!(told.count(), 1);
    }
}

#[tokio::test]
async fn without_a_key_there_are_no_second_factors() {
    let server = TestServer::start().await;
    let (ada, _) = server.admin().person(ADA, "viewer", "").await;
    let outcome = ada.begin_second_factor().await.map(drop);
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(reason(&status), "SECRET_KEY_MISSING");
    assert!(status.message().contains("--secret-key-file"), "{status:?}");
}

#[tokio::test]
async fn second_factors_outlive_the_key_that_sealed_them() {
    let keys = KeyFile::with(&[1]);
    let mut server = TestServer::with_secret_keys(&keys).await;
    let (ada, _) = server.admin().person(ADA, "viewer", "").await;
    let enrolled = ada.enroll(server.database()).await;
    let restart = async |server: &mut TestServer, bytes: &[u8]| {
        keys.rewrite(bytes);
        server.stop().await;
        server.start_again().await;
        server.database().forget_codes().await;
    };
    restart(&mut server, &[2, 1]).await;
    server
        .nobody()
        .sign_in_with(ADA, &enrolled.app.code())
        .await
        .unwrap();
    let path = keys.path();
    let arguments = [
        "reseal-secrets",
        "--secret-key-file",
        path.to_str().unwrap(),
        "--database-url",
        server.database().url(),
    ];
    let output = run(&built("burgee-server"), &arguments);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("1 secrets resealed"), "{output:?}");
    restart(&mut server, &[2]).await;
    server
        .nobody()
        .sign_in_with(ADA, &enrolled.app.code())
        .await
        .unwrap();
    assert!(!server.log().contains("does not hold"), "{}", server.log());

    restart(&mut server, &[3]).await;
    let missing = key(2).id().to_owned();
    assert!(server.log().contains(&missing), "{}", server.log());
    let outcome = server
        .nobody()
        .sign_in_with(ADA, &enrolled.app.code())
        .await;
    let status = refused(outcome.map(drop), Code::FailedPrecondition);
    assert_eq!(reason(&status), "SECRET_KEY_MISSING");
    assert!(status.message().contains(&missing), "{status:?}");
    // They are hashes, and need no key.
    let code = &enrolled.recovery_codes[0];
    server.nobody().sign_in_with(ADA, code).await.unwrap();
}

async fn reset(caller: &Caller, name: &str) -> Result<Member, Status> {
    let request = ResetSecondFactorRequest {
        name: name.to_owned(),
        ..ResetSecondFactorRequest::default()
    };
    let answer = caller.members().reset_second_factor(request).await?;
    Ok(answer.into_inner().member.unwrap())
}
