//! Service accounts and groups with a role somewhere.

use burgee_proto::admin::v1::{
    AddGroupMembersRequest, CreateGroupRequest, CreateRoleBindingRequest,
    CreateServiceAccountRequest, CreateServiceAccountTokenRequest, Group,
    RemoveGroupMembersRequest, RoleBinding, ServiceAccount,
};
use tonic::Status;

use crate::callers::Caller;

/// A request for a role, held somewhere by whoever has that name.
#[must_use]
pub fn binding(subject: &str, role: &str, scope: &str) -> CreateRoleBindingRequest {
    CreateRoleBindingRequest {
        role_binding: Some(RoleBinding {
            subject: subject.to_owned(),
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
        let subject = format!("serviceAccounts/{account}");
        self.bind_subject(&subject, role, scope).await
    }

    /// Gives whoever has that name a role somewhere.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn bind_subject(
        &self,
        subject: &str,
        role: &str,
        scope: &str,
    ) -> Result<RoleBinding, Status> {
        let request = binding(subject, role, scope);
        let response = self.members().create_role_binding(request).await?;
        Ok(response.into_inner().role_binding.unwrap())
    }

    /// Makes a group without members or roles.
    pub async fn create_group(&self, key: &str) -> Group {
        let request = CreateGroupRequest {
            group: Some(Group {
                key: key.to_owned(),
                ..Group::default()
            }),
            ..CreateGroupRequest::default()
        };
        let response = self.members().create_group(request).await.unwrap();
        response.into_inner().group.unwrap()
    }

    /// Puts members into a group.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn add_to_group(&self, group: &str, members: &[&str]) -> Result<(), Status> {
        let request = AddGroupMembersRequest {
            name: group.to_owned(),
            members: members.iter().map(|it| (*it).to_owned()).collect(),
            ..AddGroupMembersRequest::default()
        };
        self.members().add_group_members(request).await.map(drop)
    }

    /// Takes members out of a group.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn remove_from_group(&self, group: &str, members: &[&str]) -> Result<(), Status> {
        let request = RemoveGroupMembersRequest {
            name: group.to_owned(),
            members: members.iter().map(|it| (*it).to_owned()).collect(),
            ..RemoveGroupMembersRequest::default()
        };
        self.members().remove_group_members(request).await.map(drop)
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
