//! The management services of a registry that does as it is told: every call of each.

use super::{Asked, Registry, Told};
use proto::registry::v1;
use tonic::Status;

macro_rules! administer {
    ($service:path: $($method:ident: $request:ident => $response:ident,)+) => {
        #[tonic::async_trait]
        impl $service for Registry {
            $(async fn $method(&self, request: Asked<v1::$request>) -> Result<Told<v1::$response>, Status> {
                self.administer(stringify!($method), request)
            })+
        }
    };
}

administer! {
    v1::administration_service_server::AdministrationService:
    describe_access_token: DescribeAccessTokenRequest => DescribeAccessTokenResponse,
    list_organizations: ListOrganizationsRequest => ListOrganizationsResponse,
    get_organization: GetOrganizationRequest => GetOrganizationResponse,
    create_organization: CreateOrganizationRequest => CreateOrganizationResponse,
    update_organization: UpdateOrganizationRequest => UpdateOrganizationResponse,
    delete_organization: DeleteOrganizationRequest => DeleteOrganizationResponse,
    list_portals: ListPortalsRequest => ListPortalsResponse,
    get_portal: GetPortalRequest => GetPortalResponse,
    create_portal: CreatePortalRequest => CreatePortalResponse,
    update_portal: UpdatePortalRequest => UpdatePortalResponse,
    delete_portal: DeletePortalRequest => DeletePortalResponse,
    list_portal_tokens: ListPortalTokensRequest => ListPortalTokensResponse,
    create_portal_token: CreatePortalTokenRequest => CreatePortalTokenResponse,
    delete_portal_token: DeletePortalTokenRequest => DeletePortalTokenResponse,
    list_portal_secrets: ListPortalSecretsRequest => ListPortalSecretsResponse,
    create_portal_secret: CreatePortalSecretRequest => CreatePortalSecretResponse,
    delete_portal_secret: DeletePortalSecretRequest => DeletePortalSecretResponse,
    list_trusted_issuers: ListTrustedIssuersRequest => ListTrustedIssuersResponse,
    create_trusted_issuer: CreateTrustedIssuerRequest => CreateTrustedIssuerResponse,
    delete_trusted_issuer: DeleteTrustedIssuerRequest => DeleteTrustedIssuerResponse,
    list_audit_events: ListAuditEventsRequest => ListAuditEventsResponse,
}

administer! {
    v1::membership_service_server::MembershipService:
    list_users: ListUsersRequest => ListUsersResponse,
    get_user: GetUserRequest => GetUserResponse,
    create_user: CreateUserRequest => CreateUserResponse,
    delete_user: DeleteUserRequest => DeleteUserResponse,
    list_user_access_tokens: ListUserAccessTokensRequest => ListUserAccessTokensResponse,
    create_user_access_token: CreateUserAccessTokenRequest => CreateUserAccessTokenResponse,
    delete_user_access_token: DeleteUserAccessTokenRequest => DeleteUserAccessTokenResponse,
    list_members: ListMembersRequest => ListMembersResponse,
    get_member: GetMemberRequest => GetMemberResponse,
    create_member: CreateMemberRequest => CreateMemberResponse,
    update_member: UpdateMemberRequest => UpdateMemberResponse,
    delete_member: DeleteMemberRequest => DeleteMemberResponse,
    list_access_tokens: ListAccessTokensRequest => ListAccessTokensResponse,
    create_access_token: CreateAccessTokenRequest => CreateAccessTokenResponse,
    delete_access_token: DeleteAccessTokenRequest => DeleteAccessTokenResponse,
    list_upstream_credentials: ListUpstreamCredentialsRequest => ListUpstreamCredentialsResponse,
    set_upstream_credential: SetUpstreamCredentialRequest => SetUpstreamCredentialResponse,
    delete_upstream_credential: DeleteUpstreamCredentialRequest => DeleteUpstreamCredentialResponse,
}

administer! {
    v1::code_service_server::CodeService:
    get_code: GetCodeRequest => GetCodeResponse,
    authorize_code: AuthorizeCodeRequest => AuthorizeCodeResponse,
    deny_code: DenyCodeRequest => DenyCodeResponse,
}

administer! {
    v1::sign_in_service_server::SignInService:
    create_session: CreateSessionRequest => CreateSessionResponse,
    begin_sign_in: BeginSignInRequest => BeginSignInResponse,
    finish_sign_in: FinishSignInRequest => FinishSignInResponse,
    redeem_sign_in: RedeemSignInRequest => RedeemSignInResponse,
    delete_session: DeleteSessionRequest => DeleteSessionResponse,
    set_password: SetPasswordRequest => SetPasswordResponse,
    list_invitations: ListInvitationsRequest => ListInvitationsResponse,
    create_invitation: CreateInvitationRequest => CreateInvitationResponse,
    delete_invitation: DeleteInvitationRequest => DeleteInvitationResponse,
    accept_invitation: AcceptInvitationRequest => AcceptInvitationResponse,
}
