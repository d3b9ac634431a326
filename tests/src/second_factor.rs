//! People's second factors: the app on their phone, which is somebody else's implementation.

use std::time::{SystemTime, UNIX_EPOCH};

use burgee_proto::admin::v1::{
    ConfirmSecondFactorRequest, EnrollSecondFactorRequest, SignInRequest, SignInResponse,
};
use tonic::Status;
use totp_rs::Totp;

use crate::callers::Caller;
use crate::people::PASSWORD;
use crate::postgres::TestDatabase;

/// An app that makes codes.
pub struct Authenticator {
    totp: Totp,
}

/// Whoever has an app and recovery codes.
pub struct Enrolled {
    /// The app.
    pub app: Authenticator,
    /// As they were shown, once.
    pub recovery_codes: Vec<String>,
}

impl Authenticator {
    /// Scans the QR code.
    #[must_use]
    pub fn scan(uri: &str) -> Self {
        Self {
            totp: Totp::from_url(uri).unwrap(),
        }
    }

    /// The seed, as it can be typed.
    #[must_use]
    pub fn secret_in_base32(&self) -> String {
        self.totp.secret().to_base32()
    }

    /// The seed.
    #[must_use]
    pub fn secret(&self) -> Vec<u8> {
        self.totp.secret().as_bytes().to_vec()
    }

    /// The code of now.
    #[must_use]
    pub fn code(&self) -> String {
        self.code_in(0)
    }

    /// The code of so many steps from now.
    #[must_use]
    pub fn code_in(&self, steps: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let at = now.as_secs().checked_add_signed(steps * 30).unwrap();
        self.totp.generate(at).to_string()
    }

    /// A code that is not of these minutes.
    #[must_use]
    pub fn wrong_code(&self) -> String {
        let near: Vec<String> = (-4..=4).map(|steps| self.code_in(steps)).collect();
        let mut numbers = (0..1_000_000).map(|number| format!("{number:06}"));
        numbers.find(|code| !near.contains(code)).unwrap()
    }
}

impl Caller {
    /// Begins to have a second factor.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn begin_second_factor(&self) -> Result<Authenticator, Status> {
        let request = EnrollSecondFactorRequest {
            password: PASSWORD.to_owned(),
        };
        let answer = self.auth().enroll_second_factor(request).await?;
        Ok(Authenticator::scan(&answer.into_inner().uri))
    }

    /// Confirms it; gives the recovery codes.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn confirm_second_factor(&self, code: &str) -> Result<Vec<String>, Status> {
        let code = code.to_owned();
        let request = ConfirmSecondFactorRequest { code };
        let answer = self.auth().confirm_second_factor(request).await?;
        Ok(answer.into_inner().recovery_codes)
    }

    /// Gets a second factor. The app's codes of now can be used still.
    pub async fn enroll(&self, database: &TestDatabase) -> Enrolled {
        let app = self.begin_second_factor().await.unwrap();
        let recovery_codes = self.confirm_second_factor(&app.code()).await.unwrap();
        database.forget_codes().await;
        Enrolled {
            app,
            recovery_codes,
        }
    }

    /// Signs in with the usual password and a code.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn sign_in_with(&self, email: &str, code: &str) -> Result<SignInResponse, Status> {
        let request = SignInRequest {
            email: email.to_owned(),
            password: PASSWORD.to_owned(),
            second_factor_code: code.to_owned(),
            ..SignInRequest::default()
        };
        Ok(self.auth().sign_in(request).await?.into_inner())
    }
}

impl TestDatabase {
    /// As if the codes of now had not been used, instead of waiting for the next.
    pub async fn forget_codes(&self) {
        let forget = "update second_factors set last_step = 0";
        self.execute(forget.to_owned()).await.unwrap();
    }
}
