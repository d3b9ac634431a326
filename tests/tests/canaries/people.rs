//! What people are given, and give.

use burgee_proto::admin::v1::{
    ChangePasswordRequest, CreatePasswordResetRequest, DisableSecondFactorRequest,
    RegenerateRecoveryCodesRequest, ResetPasswordRequest,
};
use burgee_tests::callers::Caller;
use burgee_tests::people::{PASSWORD, acceptance};

use super::{ADA, Drive, random};

impl Drive {
    /// Somebody comes, changes and forgets their password.
    pub(super) async fn passwords(&mut self) -> Caller {
        let owner = self.server.admin().clone();
        let nobody = self.server.nobody();
        let invited = owner.invite(ADA, "viewer", "").await.unwrap().secret;
        let mut request = acceptance(&self.canaries.add("the secret of an invitation", invited));
        let weak = self
            .canaries
            .add("a password that was refused", "password1234");
        request.password = weak;
        self.refuse(nobody.accept(request.clone()).await);
        request.password = self.canaries.add("a first password", random("lanterns"));
        let accepted = nobody.accept(request.clone()).await.unwrap();
        let session = self.canaries.add("a first session", &*accepted.secret);
        self.refuse(nobody.accept(request.clone()).await);
        let ada = Caller::new(self.server.address(), &session);

        let new_password = self.canaries.add("a changed password", random("kettles"));
        let wrong = self.canaries.add("a wrong password", random("wrong"));
        let change = |password: &str| ChangePasswordRequest {
            password: password.to_owned(),
            new_password: new_password.clone(),
            ..ChangePasswordRequest::default()
        };
        self.refuse(ada.auth().change_password(change(&wrong)).await);
        ada.auth()
            .change_password(change(&request.password))
            .await
            .unwrap();
        self.refuse(nobody.sign_in(ADA, &wrong).await);
        self.refuse(nobody.sign_in("nobody@example.com", &wrong).await);

        let request = CreatePasswordResetRequest {
            name: accepted.member.unwrap().name,
            ..CreatePasswordResetRequest::default()
        };
        let link = owner
            .members()
            .create_password_reset(request)
            .await
            .unwrap();
        let secret = self
            .canaries
            .add("the secret of a reset", link.into_inner().secret);
        let new_password = PASSWORD.to_owned();
        self.canaries.add("a reset password", PASSWORD);
        let request = ResetPasswordRequest {
            secret,
            new_password,
        };
        nobody.auth().reset_password(request.clone()).await.unwrap();
        self.refuse(nobody.auth().reset_password(request).await);
        let session = nobody.sign_in(ADA, PASSWORD).await.unwrap().secret;
        Caller::new(
            self.server.address(),
            &self.canaries.add("a session", session),
        )
    }

    /// Somebody gets a second factor, and takes it away.
    pub(super) async fn second_factor(&mut self, ada: &Caller) {
        let nobody = self.server.nobody();
        let app = ada.begin_second_factor().await.unwrap();
        let seed = self
            .canaries
            .add("a seed in base32", app.secret_in_base32());
        self.canaries.add_bytes("a seed", &app.secret());
        self.refuse(ada.confirm_second_factor(&app.wrong_code()).await);
        // A mistake that people make.
        self.refuse(ada.confirm_second_factor(&seed).await);
        let codes = ada.confirm_second_factor(&app.code()).await.unwrap();
        self.server.database().forget_codes().await;
        self.keep_codes(&codes);
        self.refuse(nobody.sign_in(ADA, PASSWORD).await);
        for code in [&app.code(), &codes[0]] {
            let session = nobody.sign_in_with(ADA, code).await.unwrap().secret;
            self.canaries.add("a session with a second factor", session);
            self.refuse(nobody.sign_in_with(ADA, code).await);
        }
        let request = RegenerateRecoveryCodesRequest {
            password: PASSWORD.to_owned(),
            code: codes[1].clone(),
        };
        let new = ada
            .auth()
            .regenerate_recovery_codes(request.clone())
            .await
            .unwrap();
        let new = new.into_inner().recovery_codes;
        self.keep_codes(&new);
        self.refuse(ada.auth().regenerate_recovery_codes(request).await);
        // Some stay, to be searched for.
        let request = DisableSecondFactorRequest {
            password: PASSWORD.to_owned(),
            code: codes[2].clone(),
        };
        self.refuse(ada.auth().disable_second_factor(request).await);
    }

    fn keep_codes(&mut self, codes: &[String]) {
        for code in codes {
            self.canaries.add("a recovery code", code);
            self.canaries
                .add("a recovery code without dashes", code.replace('-', ""));
        }
    }
}
