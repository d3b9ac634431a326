//! What machines are given, and what is given where it does not belong.

use burgee_proto::admin::v1::{
    ListServiceAccountTokensRequest, RevokeApiKeyRequest, RotateApiKeyRequest,
    RotatePersonalTokenRequest, RotateServiceAccountTokenRequest, SignInRequest, WhoAmIRequest,
};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::callers::Caller;
use burgee_tests::people::{PASSWORD, personal_token};
use burgee_tests::project::api_key;
use burgee_tests::wait::{SOON, until};

use super::{ADA, Drive, PLANTED};

impl Drive {
    /// Tokens and keys of every kind are made, replaced, used and given up.
    pub(super) async fn machines(&mut self) {
        let owner = self.server.admin().clone();
        owner.create_account("robot").await;
        self.canaries
            .add("a token", owner.token("robot").await.unwrap());
        let list = ListServiceAccountTokensRequest {
            parent: "serviceAccounts/robot".to_owned(),
            ..ListServiceAccountTokensRequest::default()
        };
        let mut accounts = owner.service_accounts();
        let listed = accounts.list_service_account_tokens(list).await.unwrap();
        let request = RotateServiceAccountTokenRequest {
            name: listed.into_inner().service_account_tokens[0].name.clone(),
            request_id: "a rotation".to_owned(),
            ..RotateServiceAccountTokenRequest::default()
        };
        let rotated = accounts
            .rotate_service_account_token(request.clone())
            .await
            .unwrap();
        self.canaries
            .add("a rotated token", rotated.into_inner().secret);
        let again = accounts
            .rotate_service_account_token(request)
            .await
            .unwrap();
        self.hear(&again.into_inner());

        for kind in [
            AccessKeyKind::Server,
            AccessKeyKind::Client,
            AccessKeyKind::Relay,
            AccessKeyKind::Test,
        ] {
            let (made, secret) = api_key(&owner, kind, &[&self.environment]).await;
            let secret = self.canaries.add(&format!("a {kind:?} key"), secret);
            let request = RotateApiKeyRequest {
                name: made.name.clone(),
                ..RotateApiKeyRequest::default()
            };
            let rotated = owner.api_keys().rotate_api_key(request).await.unwrap();
            let rotated = rotated.into_inner();
            let new = self
                .canaries
                .add(&format!("a rotated {kind:?} key"), rotated.secret);
            for address in [
                self.server.address().to_owned(),
                self.relay.address().to_owned(),
            ] {
                let outcome = Caller::new(&address, &new)
                    .evaluate_for_alice("absent")
                    .await;
                self.hear(&outcome);
            }
            let request = RevokeApiKeyRequest {
                name: made.name,
                ..RevokeApiKeyRequest::default()
            };
            owner.api_keys().revoke_api_key(request).await.unwrap();
            let revoked = self.server.caller(&secret);
            until("the key is refused", SOON, async || {
                revoked.evaluate_for_alice(PLANTED).await.is_err()
            })
            .await;
            self.refuse(revoked.evaluate_for_alice(PLANTED).await);
        }
    }

    /// Somebody makes a token of their own, replaces it, and uses it for what it is not good for.
    pub(super) async fn own_tokens(&mut self, ada: &Caller) {
        let mut tokens = ada.personal_tokens();
        let request = personal_token(&["flag.read"], "");
        let made = tokens.create_personal_token(request).await.unwrap();
        let made = made.into_inner();
        let first = self.canaries.add("a personal token", made.secret);
        let request = RotatePersonalTokenRequest {
            name: made.personal_token.unwrap().name,
            ..RotatePersonalTokenRequest::default()
        };
        let rotated = tokens.rotate_personal_token(request).await.unwrap();
        let rotated = rotated.into_inner().secret;
        let second = self.canaries.add("a rotated personal token", rotated);
        for secret in [first, second] {
            let caller = self.server.caller(&secret);
            self.refuse(caller.invite("bob@example.com", "viewer", "").await);
        }
    }

    /// Credentials where they do not belong, and requests that are refused for what is in them.
    pub(super) async fn mistakes(&mut self, ada: &Caller) {
        let half = self.canaries.add(
            "half a credential",
            format!("burgee_svc_{}", "x7Yq".repeat(8)),
        );
        let server_key = self
            .canaries
            .add("a server key", self.environment.server_key().await);
        for credential in [half, server_key] {
            let caller = self.server.caller(&credential);
            let outcome = caller.auth().who_am_i(WhoAmIRequest {}).await;
            self.refuse(outcome);
            let request = SignInRequest {
                email: ADA.to_owned(),
                password: PASSWORD.to_owned(),
                second_factor_code: credential,
                ..SignInRequest::default()
            };
            self.refuse(self.server.nobody().auth().sign_in(request).await);
        }
        // A viewer, who may not.
        self.refuse(ada.invite("bob@example.com", "owner", "").await);
    }
}
