//! MemberService.

use burgee_proto::admin::v1::member_service_server::MemberService;
use burgee_proto::admin::v1::{
    AddGroupMembersRequest, AddGroupMembersResponse, CreateGroupRequest, CreateGroupResponse,
    CreatePasswordResetRequest, CreatePasswordResetResponse, CreateRoleBindingRequest,
    CreateRoleBindingResponse, CreateRoleRequest, CreateRoleResponse, DeactivateMemberRequest,
    DeactivateMemberResponse, DeleteGroupRequest, DeleteGroupResponse, DeleteMemberRequest,
    DeleteMemberResponse, DeleteRoleBindingRequest, DeleteRoleBindingResponse, DeleteRoleRequest,
    DeleteRoleResponse, ExplainAccessRequest, ExplainAccessResponse, GetGroupRequest,
    GetGroupResponse, GetMemberRequest, GetMemberResponse, GetRoleRequest, GetRoleResponse,
    InviteMemberRequest, InviteMemberResponse, ListGroupMembersRequest, ListGroupMembersResponse,
    ListGroupsRequest, ListGroupsResponse, ListInvitationsRequest, ListInvitationsResponse,
    ListMembersRequest, ListMembersResponse, ListPermissionsRequest, ListPermissionsResponse,
    ListRoleBindingsRequest, ListRoleBindingsResponse, ListRolesRequest, ListRolesResponse,
    ReactivateMemberRequest, ReactivateMemberResponse, RemoveGroupMembersRequest,
    RemoveGroupMembersResponse, ResetSecondFactorRequest, ResetSecondFactorResponse,
    RevokeInvitationRequest, RevokeInvitationResponse, UpdateGroupRequest, UpdateGroupResponse,
    UpdateMemberRequest, UpdateMemberResponse, UpdateRoleRequest, UpdateRoleResponse,
};
use tonic::{Request, Response, Status};

use super::{explain_access, list_invitations, list_members, list_role_bindings, list_roles};
use crate::access::authorize;
use crate::app::App;
use crate::change;
use crate::groups::list_groups;

/// MemberService, for everything shared.
pub struct Service {
    /// Everything shared.
    pub app: App,
}

#[tonic::async_trait]
impl MemberService for Service {
    async fn list_permissions(
        &self,
        request: Request<ListPermissionsRequest>,
    ) -> Result<Response<ListPermissionsResponse>, Status> {
        authorize(&request)?;
        Ok(Response::new(list_roles::list_permissions()))
    }

    async fn get_role(
        &self,
        request: Request<GetRoleRequest>,
    ) -> Result<Response<GetRoleResponse>, Status> {
        let authorized = authorize(&request)?;
        let response = list_roles::get_role(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn list_roles(
        &self,
        request: Request<ListRolesRequest>,
    ) -> Result<Response<ListRolesResponse>, Status> {
        let authorized = authorize(&request)?;
        let response = list_roles::list_roles(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn create_role(
        &self,
        request: Request<CreateRoleRequest>,
    ) -> Result<Response<CreateRoleResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn update_role(
        &self,
        request: Request<UpdateRoleRequest>,
    ) -> Result<Response<UpdateRoleResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn delete_role(
        &self,
        request: Request<DeleteRoleRequest>,
    ) -> Result<Response<DeleteRoleResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn list_role_bindings(
        &self,
        request: Request<ListRoleBindingsRequest>,
    ) -> Result<Response<ListRoleBindingsResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response =
            list_role_bindings::list_role_bindings(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn create_role_binding(
        &self,
        request: Request<CreateRoleBindingRequest>,
    ) -> Result<Response<CreateRoleBindingResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn delete_role_binding(
        &self,
        request: Request<DeleteRoleBindingRequest>,
    ) -> Result<Response<DeleteRoleBindingResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn explain_access(
        &self,
        request: Request<ExplainAccessRequest>,
    ) -> Result<Response<ExplainAccessResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = explain_access::explain_access(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn get_member(
        &self,
        request: Request<GetMemberRequest>,
    ) -> Result<Response<GetMemberResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = list_members::get_member(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn list_members(
        &self,
        request: Request<ListMembersRequest>,
    ) -> Result<Response<ListMembersResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = list_members::list_members(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn list_invitations(
        &self,
        request: Request<ListInvitationsRequest>,
    ) -> Result<Response<ListInvitationsResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = list_invitations::list_invitations(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn update_member(
        &self,
        request: Request<UpdateMemberRequest>,
    ) -> Result<Response<UpdateMemberResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn deactivate_member(
        &self,
        request: Request<DeactivateMemberRequest>,
    ) -> Result<Response<DeactivateMemberResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn reactivate_member(
        &self,
        request: Request<ReactivateMemberRequest>,
    ) -> Result<Response<ReactivateMemberResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn delete_member(
        &self,
        request: Request<DeleteMemberRequest>,
    ) -> Result<Response<DeleteMemberResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn invite_member(
        &self,
        request: Request<InviteMemberRequest>,
    ) -> Result<Response<InviteMemberResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn revoke_invitation(
        &self,
        request: Request<RevokeInvitationRequest>,
    ) -> Result<Response<RevokeInvitationResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn reset_second_factor(
        &self,
        request: Request<ResetSecondFactorRequest>,
    ) -> Result<Response<ResetSecondFactorResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn create_password_reset(
        &self,
        request: Request<CreatePasswordResetRequest>,
    ) -> Result<Response<CreatePasswordResetResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn get_group(
        &self,
        request: Request<GetGroupRequest>,
    ) -> Result<Response<GetGroupResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = list_groups::get_group(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn list_groups(
        &self,
        request: Request<ListGroupsRequest>,
    ) -> Result<Response<ListGroupsResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = list_groups::list_groups(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn list_group_members(
        &self,
        request: Request<ListGroupMembersRequest>,
    ) -> Result<Response<ListGroupMembersResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = list_groups::list_group_members(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn create_group(
        &self,
        request: Request<CreateGroupRequest>,
    ) -> Result<Response<CreateGroupResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn update_group(
        &self,
        request: Request<UpdateGroupRequest>,
    ) -> Result<Response<UpdateGroupResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn delete_group(
        &self,
        request: Request<DeleteGroupRequest>,
    ) -> Result<Response<DeleteGroupResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn add_group_members(
        &self,
        request: Request<AddGroupMembersRequest>,
    ) -> Result<Response<AddGroupMembersResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn remove_group_members(
        &self,
        request: Request<RemoveGroupMembersRequest>,
    ) -> Result<Response<RemoveGroupMembersResponse>, Status> {
        change::run(&self.app, request).await
    }
}
