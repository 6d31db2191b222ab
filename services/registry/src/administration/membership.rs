//! The membership service over gRPC: who calls, what they need for it, one call, the answer.

use super::{admission::call, lists::window, users::no_user, wire};
use crate::{Registry, catalog::Listed, door, record::Scope};
use proto::registry::v1::{self, membership_service_server::MembershipService};
use tonic::{Request, Response, Status, async_trait};

type Answer<Message> = Result<Response<Message>, Status>;

#[async_trait]
impl MembershipService for Registry {
    async fn list_users(&self, request: Request<v1::ListUsersRequest>) -> Answer<v1::ListUsersResponse> {
        call!(self, request, "ListUsers", Some(Scope::ReadMembers), |caller| {
            let window = window(request.page)?;
            self.read(move |administration| administration.list_users(window)).await
        })
    }

    async fn get_user(&self, request: Request<v1::GetUserRequest>) -> Answer<v1::GetUserResponse> {
        call!(self, request, "GetUser", Some(Scope::ReadMembers), |caller| {
            let user = self.administration().user(&request.user)?;
            Ok(v1::GetUserResponse { user: Some(wire::user(user)) })
        })
    }

    async fn create_user(&self, request: Request<v1::CreateUserRequest>) -> Answer<v1::CreateUserResponse> {
        call!(self, request, "CreateUser", Some(Scope::WriteMembers), |caller| {
            let user = self.administration().create_user(&caller, request).await?;
            Ok(v1::CreateUserResponse { user: Some(user) })
        })
    }

    async fn delete_user(&self, request: Request<v1::DeleteUserRequest>) -> Answer<v1::DeleteUserResponse> {
        call!(self, request, "DeleteUser", Some(Scope::WriteMembers), |caller| {
            self.administration().delete_user(&caller, request).await?;
            Ok(v1::DeleteUserResponse {})
        })
    }

    async fn list_user_access_tokens(
        &self,
        request: Request<v1::ListUserAccessTokensRequest>,
    ) -> Answer<v1::ListUserAccessTokensResponse> {
        call!(self, request, "ListUserAccessTokens", Some(Scope::ReadMembers), |caller| {
            let administration = self.administration();
            let user = administration.user(&request.user)?;
            let window = window(request.page)?;
            let Listed { items, total } = administration.list_access_tokens(user.uuid, window)?;
            Ok(v1::ListUserAccessTokensResponse { access_tokens: items, total })
        })
    }

    async fn create_user_access_token(
        &self,
        request: Request<v1::CreateUserAccessTokenRequest>,
    ) -> Answer<v1::CreateUserAccessTokenResponse> {
        call!(self, request, "CreateUserAccessToken", Some(Scope::WriteMembers), |caller| {
            let administration = self.administration();
            let user = administration.user(&request.user)?.uuid;
            let (token, bearer) =
                administration.create_access_token(&caller, user, request.properties, None).await?;
            let token_text = bearer.expose().to_owned();
            Ok(v1::CreateUserAccessTokenResponse { access_token: Some(token), token: token_text })
        })
    }

    async fn delete_user_access_token(
        &self,
        request: Request<v1::DeleteUserAccessTokenRequest>,
    ) -> Answer<v1::DeleteUserAccessTokenResponse> {
        call!(self, request, "DeleteUserAccessToken", Some(Scope::WriteMembers), |caller| {
            let administration = self.administration();
            let user = administration.user(&request.user)?.uuid;
            administration.delete_access_token(&caller, user, &request.uuid).await?;
            Ok(v1::DeleteUserAccessTokenResponse {})
        })
    }

    async fn list_members(
        &self,
        request: Request<v1::ListMembersRequest>,
    ) -> Answer<v1::ListMembersResponse> {
        call!(self, request, "ListMembers", Some(Scope::ReadMembers), |caller| {
            let window = window(request.page)?;
            self.read(move |administration| administration.list_members(&request.organization, window)).await
        })
    }

    async fn get_member(&self, request: Request<v1::GetMemberRequest>) -> Answer<v1::GetMemberResponse> {
        call!(self, request, "GetMember", Some(Scope::ReadMembers), |caller| {
            let member = self.administration().member(&request.organization, &request.user)?;
            Ok(v1::GetMemberResponse { member: Some(member) })
        })
    }

    async fn create_member(
        &self,
        request: Request<v1::CreateMemberRequest>,
    ) -> Answer<v1::CreateMemberResponse> {
        call!(self, request, "CreateMember", Some(Scope::WriteMembers), |caller| {
            let member = self.administration().create_member(&caller, request).await?;
            Ok(v1::CreateMemberResponse { member: Some(member) })
        })
    }

    async fn update_member(
        &self,
        request: Request<v1::UpdateMemberRequest>,
    ) -> Answer<v1::UpdateMemberResponse> {
        call!(self, request, "UpdateMember", Some(Scope::WriteMembers), |caller| {
            let member = self.administration().update_member(&caller, request).await?;
            Ok(v1::UpdateMemberResponse { member: Some(member) })
        })
    }

    async fn delete_member(
        &self,
        request: Request<v1::DeleteMemberRequest>,
    ) -> Answer<v1::DeleteMemberResponse> {
        call!(self, request, "DeleteMember", Some(Scope::WriteMembers), |caller| {
            self.administration().delete_member(&caller, request).await?;
            Ok(v1::DeleteMemberResponse {})
        })
    }

    async fn list_access_tokens(
        &self,
        request: Request<v1::ListAccessTokensRequest>,
    ) -> Answer<v1::ListAccessTokensResponse> {
        call!(self, request, "ListAccessTokens", None, |caller| {
            let user = caller.user_uuid().ok_or_else(no_user)?;
            let window = window(request.page)?;
            let Listed { items, total } = self.administration().list_access_tokens(user, window)?;
            Ok(v1::ListAccessTokensResponse { access_tokens: items, total })
        })
    }

    async fn create_access_token(
        &self,
        request: Request<v1::CreateAccessTokenRequest>,
    ) -> Answer<v1::CreateAccessTokenResponse> {
        call!(self, request, "CreateAccessToken", Some(Scope::WriteUser), |caller| {
            let user = caller.user_uuid().ok_or_else(no_user)?;
            let maker = Some(caller.token());
            let (token, bearer) =
                self.administration().create_access_token(&caller, user, request.properties, maker).await?;
            let token_text = bearer.expose().to_owned();
            Ok(v1::CreateAccessTokenResponse { access_token: Some(token), token: token_text })
        })
    }

    async fn delete_access_token(
        &self,
        request: Request<v1::DeleteAccessTokenRequest>,
    ) -> Answer<v1::DeleteAccessTokenResponse> {
        call!(self, request, "DeleteAccessToken", Some(Scope::WriteUser), |caller| {
            let user = caller.user_uuid().ok_or_else(no_user)?;
            self.administration().delete_access_token(&caller, user, &request.uuid).await?;
            Ok(v1::DeleteAccessTokenResponse {})
        })
    }

    async fn list_upstream_credentials(
        &self,
        request: Request<v1::ListUpstreamCredentialsRequest>,
    ) -> Answer<v1::ListUpstreamCredentialsResponse> {
        call!(self, request, "ListUpstreamCredentials", None, |caller| {
            let window = window(request.page)?;
            let Listed { items, total } = self.administration().list_upstream_credentials(&caller, window)?;
            Ok(v1::ListUpstreamCredentialsResponse { upstream_credentials: items, total })
        })
    }

    async fn set_upstream_credential(
        &self,
        request: Request<v1::SetUpstreamCredentialRequest>,
    ) -> Answer<v1::SetUpstreamCredentialResponse> {
        call!(self, request, "SetUpstreamCredential", Some(Scope::WriteUser), |caller| {
            self.administration().set_upstream_credential(&caller, request).await?;
            Ok(v1::SetUpstreamCredentialResponse {})
        })
    }

    async fn delete_upstream_credential(
        &self,
        request: Request<v1::DeleteUpstreamCredentialRequest>,
    ) -> Answer<v1::DeleteUpstreamCredentialResponse> {
        call!(self, request, "DeleteUpstreamCredential", Some(Scope::WriteUser), |caller| {
            self.administration().delete_upstream_credential(&caller, request).await?;
            Ok(v1::DeleteUpstreamCredentialResponse {})
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::administration::desk::{access_token, calls, check_scope, registry};
    use model::{Bearer, Fault, Reason};
    use proto::{
        Channel, channel, fault::read_status,
        registry::v1::membership_service_client::MembershipServiceClient,
    };

    type Client = MembershipServiceClient<Channel>;

    /// What each call needs.
    const CONTRACT: [(&str, Option<Scope>); 18] = [
        ("ListUsers", Some(Scope::ReadMembers)),
        ("GetUser", Some(Scope::ReadMembers)),
        ("CreateUser", Some(Scope::WriteMembers)),
        ("DeleteUser", Some(Scope::WriteMembers)),
        ("ListUserAccessTokens", Some(Scope::ReadMembers)),
        ("CreateUserAccessToken", Some(Scope::WriteMembers)),
        ("DeleteUserAccessToken", Some(Scope::WriteMembers)),
        ("ListMembers", Some(Scope::ReadMembers)),
        ("GetMember", Some(Scope::ReadMembers)),
        ("CreateMember", Some(Scope::WriteMembers)),
        ("UpdateMember", Some(Scope::WriteMembers)),
        ("DeleteMember", Some(Scope::WriteMembers)),
        ("ListAccessTokens", None),
        ("CreateAccessToken", Some(Scope::WriteUser)),
        ("DeleteAccessToken", Some(Scope::WriteUser)),
        ("ListUpstreamCredentials", None),
        ("SetUpstreamCredential", Some(Scope::WriteUser)),
        ("DeleteUpstreamCredential", Some(Scope::WriteUser)),
    ];

    /// Makes the call of that name with a message that says nothing.
    async fn call(mut client: Client, name: &str, token: &Bearer) -> Result<(), Fault> {
        macro_rules! call {
            ($method:ident) => {{
                let mut request = Request::new(Default::default());
                let bearer = format!("Bearer {}", token.expose()).parse().unwrap();
                request.metadata_mut().insert("authorization", bearer);
                client.$method(request).await.map(drop)
            }};
        }
        let answer = match name {
            "ListUsers" => call!(list_users),
            "GetUser" => call!(get_user),
            "CreateUser" => call!(create_user),
            "DeleteUser" => call!(delete_user),
            "ListUserAccessTokens" => call!(list_user_access_tokens),
            "CreateUserAccessToken" => call!(create_user_access_token),
            "DeleteUserAccessToken" => call!(delete_user_access_token),
            "ListMembers" => call!(list_members),
            "GetMember" => call!(get_member),
            "CreateMember" => call!(create_member),
            "UpdateMember" => call!(update_member),
            "DeleteMember" => call!(delete_member),
            "ListAccessTokens" => call!(list_access_tokens),
            "CreateAccessToken" => call!(create_access_token),
            "DeleteAccessToken" => call!(delete_access_token),
            "ListUpstreamCredentials" => call!(list_upstream_credentials),
            "SetUpstreamCredential" => call!(set_upstream_credential),
            "DeleteUpstreamCredential" => call!(delete_upstream_credential),
            _ => panic!("{name} is not called"),
        };
        answer.map_err(|status| read_status(status, Reason::Internal))
    }

    #[tokio::test]
    async fn each_call_needs_its_scope_and_no_other() {
        let proto = include_str!("../../../../proto/portals/registry/v1/membership.proto");
        assert_eq!(CONTRACT.map(|(name, _)| name), *calls(proto));
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path()).await;
        let client = Client::new(channel::local(registry.membership_service()));
        for held in Scope::ALL.into_iter().map(Some).chain([None]) {
            let token = access_token(&registry, held.into_iter().collect(), None).await;
            for (name, needed) in CONTRACT {
                check_scope(name, needed, held, &call(client.clone(), name, &token).await);
            }
        }
    }
}
