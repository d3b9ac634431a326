//! What attackers hold, before and afterwards.

use burgee_proto::admin::v1::{ResetPasswordRequest, WhoAmIRequest};
use burgee_server::access::{Grants, Permission, Place, Rule, rule};
use burgee_tests::callers::Caller;
use burgee_tests::people::acceptance;
use bytes::Bytes;
use prost_reflect::DynamicMessage;
use tonic::Status;

use super::attempts::Attempt;
use super::world::{Attacker, World};

/// What whoever got the link sets, or signs in with.
const PASSWORD: &str = "nine brass telescopes";

/// What an attacker got hold of.
pub(super) enum Minted {
    /// A credential of the control plane.
    Credential(String),
    /// A link that makes a member.
    Invitation(String),
    /// A link that sets the password of whoever has that e-mail address.
    PasswordReset(String, String),
    /// A key that may do this by itself.
    Key(Grants),
}

/// What a caller may do, as they are told.
pub(super) async fn held(caller: &Caller) -> Result<Grants, Status> {
    let me = caller.auth().who_am_i(WhoAmIRequest {}).await?.into_inner();
    let mut grants = Grants::default();
    for there in me.permissions {
        let permissions = there.permissions.iter();
        let permissions = permissions.map(|name| Permission::parse(name).unwrap());
        grants.add(place(&there.scope), permissions.collect());
    }
    Ok(grants)
}

fn place(scope: &str) -> Place<'_> {
    let parts: Vec<&str> = scope.split('/').collect();
    match parts[..] {
        [_, project] => Place::Project(project),
        [_, project, _, environment] => Place::Environment(project, environment),
        _ => Place::Organization,
    }
}

/// What there is in an answer to get hold of. A key of the data plane is no more than that: it
/// opens only what the attacker may make keys of.
pub(super) fn minted(attempt: &Attempt, answer: Bytes, before: &Grants) -> Vec<Minted> {
    let answer = DynamicMessage::decode(attempt.method.output(), answer).unwrap();
    let text = |message: &DynamicMessage, field: &str| {
        let value = message.get_field_by_name(field);
        value
            .and_then(|it| it.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let nested = |field: &str| {
        let value = answer.get_field_by_name(field);
        value.and_then(|it| it.as_message().cloned())
    };
    if let Some(key) = nested("api_key") {
        return opened(attempt, &key, before);
    }
    let secret = text(&answer, "secret");
    match secret.get(..11) {
        None => Vec::new(),
        Some("burgee_svc_" | "burgee_pat_") => vec![Minted::Credential(secret)],
        Some("burgee_lnk_") if attempt.method.name() == "InviteMember" => {
            vec![Minted::Invitation(secret)]
        }
        Some("burgee_lnk_") => {
            let email = text(&nested("member").unwrap(), "email");
            vec![Minted::PasswordReset(secret, email)]
        }
        Some(kind) => panic!("what does {kind} of {} open?", attempt.path),
    }
}

fn opened(attempt: &Attempt, key: &DynamicMessage, before: &Grants) -> Vec<Minted> {
    let Some((_, Rule::Permission(needed, _))) = rule(&attempt.path) else {
        panic!("{} takes no permission", attempt.path);
    };
    let environments = key.get_field_by_name("environments").unwrap();
    let environments = environments.as_list().unwrap().iter();
    let names = environments.map(|name| name.as_str().unwrap());
    let kind = key.get_field_by_name("kind").unwrap().as_enum_number();
    let is_test = kind == Some(burgee_proto::types::v1::AccessKeyKind::Test as i32);
    let mut minted = Vec::new();
    for name in names {
        let place = place(name);
        assert!(before.allow(needed, place), "{} opens {name}", attempt.path);
        if let Place::Environment(project, environment) = place
            && is_test
        {
            minted.push(Minted::Key(Grants::of_test_key(project, environment)));
        }
    }
    minted
}

/// All together may do no more than the attacker before.
pub(super) async fn none(world: &World, attacker: &Attacker, before: &Grants, minted: Vec<Minted>) {
    let check = async |what: &str, after: Grants| {
        let gained = before.missing(&after);
        assert!(
            gained.is_none(),
            "{} gained {gained:?} by {what}",
            attacker.what
        );
    };
    let checker = &world.checker;
    let nobody = checker.nobody();
    let accomplice = checker.caller(&attacker.accomplices_token);
    check("an accomplice", held(&accomplice).await.unwrap()).await;
    let signed_in = nobody
        .sign_in(&attacker.email, burgee_tests::people::PASSWORD)
        .await
        .unwrap();
    let again = checker.caller(&signed_in.secret);
    check("what they hold now", held(&again).await.unwrap()).await;
    for thing in minted {
        match thing {
            // What was rotated since has ended.
            Minted::Credential(secret) => {
                let after = held(&checker.caller(&secret)).await;
                check("a credential", after.unwrap_or_default()).await;
            }
            Minted::Key(grants) => check("a key", grants).await,
            Minted::Invitation(secret) => {
                let accepted = nobody.accept(acceptance(&secret)).await.unwrap();
                let member = checker.caller(&accepted.secret);
                check("an invitation", held(&member).await.unwrap()).await;
            }
            Minted::PasswordReset(secret, email) => {
                let request = ResetPasswordRequest {
                    secret,
                    new_password: PASSWORD.to_owned(),
                };
                // Of several links the first is the last.
                if nobody.auth().reset_password(request).await.is_ok() {
                    let signed_in = nobody.sign_in(&email, PASSWORD).await.unwrap();
                    let member = checker.caller(&signed_in.secret);
                    check("a password", held(&member).await.unwrap()).await;
                }
            }
        }
    }
}
