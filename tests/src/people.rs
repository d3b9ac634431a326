//! People, as they are invited and sign in.

use burgee_proto::admin::v1::{
    AcceptInvitationRequest, AcceptInvitationResponse, CreatePersonalTokenRequest, Invitation,
    InviteMemberRequest, InviteMemberResponse, Member, PersonalToken, SignInRequest,
    SignInResponse, TokenScopes,
};
use tonic::Status;

use crate::callers::Caller;

/// A password that is hard to guess.
pub const PASSWORD: &str = "lanterns over harbour 7";

/// A request for an invitation.
#[must_use]
pub fn invitation(email: &str, role: &str, scope: &str) -> InviteMemberRequest {
    InviteMemberRequest {
        invitation: Some(Invitation {
            email: email.to_owned(),
            role: format!("roles/{role}"),
            scope: scope.to_owned(),
            ..Invitation::default()
        }),
        ..InviteMemberRequest::default()
    }
}

/// What whoever is invited sends, with the usual password.
#[must_use]
pub fn acceptance(secret: &str) -> AcceptInvitationRequest {
    AcceptInvitationRequest {
        secret: secret.to_owned(),
        display_name: "Ada".to_owned(),
        password: PASSWORD.to_owned(),
        ..AcceptInvitationRequest::default()
    }
}

/// A request for a personal token that is good for this.
#[must_use]
pub fn personal_token(permissions: &[&str], scope: &str) -> CreatePersonalTokenRequest {
    CreatePersonalTokenRequest {
        personal_token: Some(PersonalToken {
            display_name: "a script".to_owned(),
            scopes: Some(TokenScopes {
                permissions: permissions.iter().map(|it| (*it).to_owned()).collect(),
                scope: scope.to_owned(),
            }),
            ..PersonalToken::default()
        }),
        ..CreatePersonalTokenRequest::default()
    }
}

impl Caller {
    /// Makes a token of one's own; gives whoever calls with it.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn own_token(
        &self,
        request: CreatePersonalTokenRequest,
    ) -> Result<(Self, PersonalToken), Status> {
        let mut tokens = self.personal_tokens();
        let made = tokens.create_personal_token(request).await?.into_inner();
        let caller = Self::new(self.address(), &made.secret);
        Ok((caller, made.personal_token.unwrap()))
    }

    /// Invites somebody.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn invite(
        &self,
        email: &str,
        role: &str,
        scope: &str,
    ) -> Result<InviteMemberResponse, Status> {
        let request = invitation(email, role, scope);
        Ok(self.members().invite_member(request).await?.into_inner())
    }

    /// Accepts an invitation.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn accept(
        &self,
        request: AcceptInvitationRequest,
    ) -> Result<AcceptInvitationResponse, Status> {
        Ok(self.auth().accept_invitation(request).await?.into_inner())
    }

    /// Signs in to the organization that they joined first.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<SignInResponse, Status> {
        let request = SignInRequest {
            email: email.to_owned(),
            password: password.to_owned(),
            ..SignInRequest::default()
        };
        Ok(self.auth().sign_in(request).await?.into_inner())
    }

    /// A person who has a role somewhere and is made for that, signed in with [`PASSWORD`].
    pub async fn person(&self, email: &str, role: &str, scope: &str) -> (Self, Member) {
        let secret = self.invite(email, role, scope).await.unwrap().secret;
        let nobody = Self::anonymous(self.address());
        let accepted = nobody.accept(acceptance(&secret)).await.unwrap();
        let caller = Self::new(self.address(), &accepted.secret);
        (caller, accepted.member.unwrap())
    }
}
