//! Service accounts with a role somewhere.

use burgee_proto::admin::v1::{
    CreateRoleBindingRequest, CreateServiceAccountRequest, CreateServiceAccountTokenRequest,
    RoleBinding, ServiceAccount,
};
use tonic::Status;

use crate::callers::Caller;

/// A request for a role, held somewhere.
#[must_use]
pub fn binding(account: &str, role: &str, scope: &str) -> CreateRoleBindingRequest {
    CreateRoleBindingRequest {
        role_binding: Some(RoleBinding {
            subject: format!("serviceAccounts/{account}"),
            role: format!("roles/{role}"),
            scope: scope.to_owned(),
            ..RoleBinding::default()
        }),
        ..CreateRoleBindingRequest::default()
    }
}

impl Caller {
    /// Makes a service account that may do nothing yet.
    pub async fn create_account(&self, key: &str) {
        let request = CreateServiceAccountRequest {
            service_account: Some(ServiceAccount {
                key: key.to_owned(),
                ..ServiceAccount::default()
            }),
            ..CreateServiceAccountRequest::default()
        };
        let mut accounts = self.service_accounts();
        accounts.create_service_account(request).await.unwrap();
    }

    /// Gives a service account a role somewhere.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn bind(
        &self,
        account: &str,
        role: &str,
        scope: &str,
    ) -> Result<RoleBinding, Status> {
        let request = binding(account, role, scope);
        let response = self.members().create_role_binding(request).await?;
        Ok(response.into_inner().role_binding.unwrap())
    }

    /// Makes a token of a service account; gives its secret.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn token(&self, account: &str) -> Result<String, Status> {
        let request = CreateServiceAccountTokenRequest {
            parent: format!("serviceAccounts/{account}"),
            ..CreateServiceAccountTokenRequest::default()
        };
        let mut accounts = self.service_accounts();
        let response = accounts.create_service_account_token(request).await?;
        Ok(response.into_inner().secret)
    }

    /// Whoever has a role somewhere and is made for that.
    pub async fn somebody(&self, account: &str, role: &str, scope: &str) -> Self {
        self.create_account(account).await;
        self.bind(account, role, scope).await.unwrap();
        Self::new(self.address(), &self.token(account).await.unwrap())
    }
}
