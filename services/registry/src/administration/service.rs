//! The administration over gRPC: who calls, what they need for it, one call, the answer.

use super::{admission::call, lists::window, wire};
use crate::{Registry, door, record::Scope};
use proto::registry::v1::{self, administration_service_server::AdministrationService};
use tonic::{Request, Response, Status, async_trait};

type Answer<Message> = Result<Response<Message>, Status>;

#[async_trait]
impl AdministrationService for Registry {
    async fn describe_access_token(
        &self,
        request: Request<v1::DescribeAccessTokenRequest>,
    ) -> Answer<v1::DescribeAccessTokenResponse> {
        call!(self, request, "DescribeAccessToken", None, |caller| {
            let v1::DescribeAccessTokenRequest {} = request;
            Ok(wire::presented(&caller))
        })
    }

    async fn list_organizations(
        &self,
        request: Request<v1::ListOrganizationsRequest>,
    ) -> Answer<v1::ListOrganizationsResponse> {
        call!(self, request, "ListOrganizations", Some(Scope::ReadOrganizations), |caller| {
            let (window, user) = (window(request.page)?, caller.user_uuid());
            self.read(move |administration| administration.list_organizations(user, window)).await
        })
    }

    async fn get_organization(
        &self,
        request: Request<v1::GetOrganizationRequest>,
    ) -> Answer<v1::GetOrganizationResponse> {
        call!(self, request, "GetOrganization", Some(Scope::ReadOrganizations), |caller| {
            let administration = self.administration();
            let organization = administration.organization(&request.organization)?;
            let organization = Some(administration.show_organization(organization, caller.user_uuid())?);
            Ok(v1::GetOrganizationResponse { organization })
        })
    }

    async fn create_organization(
        &self,
        request: Request<v1::CreateOrganizationRequest>,
    ) -> Answer<v1::CreateOrganizationResponse> {
        call!(self, request, "CreateOrganization", Some(Scope::WriteOrganizations), |caller| {
            let organization = self.administration().create_organization(&caller, request).await?;
            Ok(v1::CreateOrganizationResponse { organization: Some(organization) })
        })
    }

    async fn update_organization(
        &self,
        request: Request<v1::UpdateOrganizationRequest>,
    ) -> Answer<v1::UpdateOrganizationResponse> {
        call!(self, request, "UpdateOrganization", Some(Scope::WriteOrganizations), |caller| {
            let organization = self.administration().update_organization(&caller, request).await?;
            Ok(v1::UpdateOrganizationResponse { organization: Some(organization) })
        })
    }

    async fn delete_organization(
        &self,
        request: Request<v1::DeleteOrganizationRequest>,
    ) -> Answer<v1::DeleteOrganizationResponse> {
        call!(self, request, "DeleteOrganization", Some(Scope::WriteOrganizations), |caller| {
            self.administration().delete_organization(&caller, request).await?;
            Ok(v1::DeleteOrganizationResponse {})
        })
    }

    async fn list_portals(
        &self,
        request: Request<v1::ListPortalsRequest>,
    ) -> Answer<v1::ListPortalsResponse> {
        call!(self, request, "ListPortals", Some(Scope::ReadPortals), |caller| {
            let window = window(request.page)?;
            self.read(move |administration| administration.list_portals(&request.organization, window)).await
        })
    }

    async fn get_portal(&self, request: Request<v1::GetPortalRequest>) -> Answer<v1::GetPortalResponse> {
        call!(self, request, "GetPortal", Some(Scope::ReadPortals), |caller| {
            let administration = self.administration();
            let portal = administration.portal(&request.organization, &request.portal)?;
            let portal = administration.show_portal(portal, &request.organization)?;
            Ok(v1::GetPortalResponse { portal: Some(portal) })
        })
    }

    async fn create_portal(
        &self,
        request: Request<v1::CreatePortalRequest>,
    ) -> Answer<v1::CreatePortalResponse> {
        call!(self, request, "CreatePortal", Some(Scope::WritePortals), |caller| {
            let (portal, bearer) = self.administration().create_portal(&caller, request).await?;
            Ok(v1::CreatePortalResponse { portal: Some(portal), token: bearer.expose().to_owned() })
        })
    }

    async fn update_portal(
        &self,
        request: Request<v1::UpdatePortalRequest>,
    ) -> Answer<v1::UpdatePortalResponse> {
        call!(self, request, "UpdatePortal", Some(Scope::WritePortals), |caller| {
            let portal = self.administration().update_portal(&caller, request).await?;
            Ok(v1::UpdatePortalResponse { portal: Some(portal) })
        })
    }

    async fn delete_portal(
        &self,
        request: Request<v1::DeletePortalRequest>,
    ) -> Answer<v1::DeletePortalResponse> {
        call!(self, request, "DeletePortal", Some(Scope::WritePortals), |caller| {
            self.administration().delete_portal(&caller, request).await?;
            Ok(v1::DeletePortalResponse {})
        })
    }

    async fn list_portal_tokens(
        &self,
        request: Request<v1::ListPortalTokensRequest>,
    ) -> Answer<v1::ListPortalTokensResponse> {
        call!(self, request, "ListPortalTokens", Some(Scope::ReadPortals), |caller| {
            let window = window(request.page)?;
            self.read(move |administration| administration.list_tokens(&request, window)).await
        })
    }

    async fn create_portal_token(
        &self,
        request: Request<v1::CreatePortalTokenRequest>,
    ) -> Answer<v1::CreatePortalTokenResponse> {
        call!(self, request, "CreatePortalToken", Some(Scope::WritePortals), |caller| {
            let (token, bearer) = self.administration().create_token(&caller, request).await?;
            let token_text = bearer.expose().to_owned();
            Ok(v1::CreatePortalTokenResponse { portal_token: Some(token), token: token_text })
        })
    }

    async fn delete_portal_token(
        &self,
        request: Request<v1::DeletePortalTokenRequest>,
    ) -> Answer<v1::DeletePortalTokenResponse> {
        call!(self, request, "DeletePortalToken", Some(Scope::WritePortals), |caller| {
            self.administration().delete_token(&caller, request).await?;
            Ok(v1::DeletePortalTokenResponse {})
        })
    }

    async fn list_portal_secrets(
        &self,
        request: Request<v1::ListPortalSecretsRequest>,
    ) -> Answer<v1::ListPortalSecretsResponse> {
        call!(self, request, "ListPortalSecrets", Some(Scope::ReadPortals), |caller| {
            let window = window(request.page)?;
            self.read(move |administration| administration.list_secrets(&request, window)).await
        })
    }

    async fn create_portal_secret(
        &self,
        request: Request<v1::CreatePortalSecretRequest>,
    ) -> Answer<v1::CreatePortalSecretResponse> {
        call!(self, request, "CreatePortalSecret", Some(Scope::WritePortals), |caller| {
            let (secret, bearer) = self.administration().create_secret(&caller, request).await?;
            let secret_text = bearer.expose().to_owned();
            Ok(v1::CreatePortalSecretResponse { portal_secret: Some(secret), secret: secret_text })
        })
    }

    async fn delete_portal_secret(
        &self,
        request: Request<v1::DeletePortalSecretRequest>,
    ) -> Answer<v1::DeletePortalSecretResponse> {
        call!(self, request, "DeletePortalSecret", Some(Scope::WritePortals), |caller| {
            self.administration().delete_secret(&caller, request).await?;
            Ok(v1::DeletePortalSecretResponse {})
        })
    }

    async fn list_trusted_issuers(
        &self,
        request: Request<v1::ListTrustedIssuersRequest>,
    ) -> Answer<v1::ListTrustedIssuersResponse> {
        call!(self, request, "ListTrustedIssuers", Some(Scope::ReadPortals), |caller| {
            let window = window(request.page)?;
            self.read(move |administration| administration.list_trusted_issuers(&request, window)).await
        })
    }

    async fn create_trusted_issuer(
        &self,
        request: Request<v1::CreateTrustedIssuerRequest>,
    ) -> Answer<v1::CreateTrustedIssuerResponse> {
        call!(self, request, "CreateTrustedIssuer", Some(Scope::WritePortals), |caller| {
            let issuer = self.administration().create_trusted_issuer(&caller, request).await?;
            Ok(v1::CreateTrustedIssuerResponse { trusted_issuer: Some(issuer) })
        })
    }

    async fn delete_trusted_issuer(
        &self,
        request: Request<v1::DeleteTrustedIssuerRequest>,
    ) -> Answer<v1::DeleteTrustedIssuerResponse> {
        call!(self, request, "DeleteTrustedIssuer", Some(Scope::WritePortals), |caller| {
            self.administration().delete_trusted_issuer(&caller, request).await?;
            Ok(v1::DeleteTrustedIssuerResponse {})
        })
    }

    async fn list_audit_events(
        &self,
        request: Request<v1::ListAuditEventsRequest>,
    ) -> Answer<v1::ListAuditEventsResponse> {
        call!(self, request, "ListAuditEvents", Some(Scope::ReadAuditEvents), |caller| {
            let window = window(request.page)?;
            self.read(move |administration| administration.list_audit_events(&request.organization, window))
                .await
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
        registry::v1::administration_service_client::AdministrationServiceClient,
    };

    type Client = AdministrationServiceClient<Channel>;

    /// What each call needs, as the contract has it.
    const CONTRACT: [(&str, Option<Scope>); 21] = [
        ("DescribeAccessToken", None),
        ("ListOrganizations", Some(Scope::ReadOrganizations)),
        ("GetOrganization", Some(Scope::ReadOrganizations)),
        ("CreateOrganization", Some(Scope::WriteOrganizations)),
        ("UpdateOrganization", Some(Scope::WriteOrganizations)),
        ("DeleteOrganization", Some(Scope::WriteOrganizations)),
        ("ListPortals", Some(Scope::ReadPortals)),
        ("GetPortal", Some(Scope::ReadPortals)),
        ("CreatePortal", Some(Scope::WritePortals)),
        ("UpdatePortal", Some(Scope::WritePortals)),
        ("DeletePortal", Some(Scope::WritePortals)),
        ("ListPortalTokens", Some(Scope::ReadPortals)),
        ("CreatePortalToken", Some(Scope::WritePortals)),
        ("DeletePortalToken", Some(Scope::WritePortals)),
        ("ListPortalSecrets", Some(Scope::ReadPortals)),
        ("CreatePortalSecret", Some(Scope::WritePortals)),
        ("DeletePortalSecret", Some(Scope::WritePortals)),
        ("ListTrustedIssuers", Some(Scope::ReadPortals)),
        ("CreateTrustedIssuer", Some(Scope::WritePortals)),
        ("DeleteTrustedIssuer", Some(Scope::WritePortals)),
        ("ListAuditEvents", Some(Scope::ReadAuditEvents)),
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
            "DescribeAccessToken" => call!(describe_access_token),
            "ListOrganizations" => call!(list_organizations),
            "GetOrganization" => call!(get_organization),
            "CreateOrganization" => call!(create_organization),
            "UpdateOrganization" => call!(update_organization),
            "DeleteOrganization" => call!(delete_organization),
            "ListPortals" => call!(list_portals),
            "GetPortal" => call!(get_portal),
            "CreatePortal" => call!(create_portal),
            "UpdatePortal" => call!(update_portal),
            "DeletePortal" => call!(delete_portal),
            "ListPortalTokens" => call!(list_portal_tokens),
            "CreatePortalToken" => call!(create_portal_token),
            "DeletePortalToken" => call!(delete_portal_token),
            "ListPortalSecrets" => call!(list_portal_secrets),
            "CreatePortalSecret" => call!(create_portal_secret),
            "DeletePortalSecret" => call!(delete_portal_secret),
            "ListTrustedIssuers" => call!(list_trusted_issuers),
            "CreateTrustedIssuer" => call!(create_trusted_issuer),
            "DeleteTrustedIssuer" => call!(delete_trusted_issuer),
            "ListAuditEvents" => call!(list_audit_events),
            _ => panic!("{name} is not called"),
        };
        answer.map_err(|status| read_status(status, Reason::Internal))
    }

    #[tokio::test]
    async fn each_call_needs_the_scope_of_the_contract_and_no_other() {
        let proto = include_str!("../../../../proto/portals/registry/v1/administration.proto");
        assert_eq!(CONTRACT.map(|(name, _)| name), *calls(proto));
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path()).await;
        let client = Client::new(channel::local(registry.administration_service()));
        let holders = Scope::ALL.into_iter().map(Some).chain([None]);
        for held in holders {
            let token = access_token(&registry, held.into_iter().collect(), None).await;
            for (name, needed) in CONTRACT {
                check_scope(name, needed, held, &call(client.clone(), name, &token).await);
            }
        }
    }
}
