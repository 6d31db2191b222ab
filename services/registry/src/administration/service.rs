//! The administration over gRPC: who calls, what they need for it, one call, the answer.

use super::{lists::window, wire};
use crate::{Registry, caller::Caller, door, record::Scope};
use model::Fault;
use proto::registry::v1::{self, administration_service_server::AdministrationService};
use tonic::{Request, Response, Status, async_trait, metadata::MetadataMap};

type Answer<Message> = Result<Response<Message>, Status>;

/// Lets in whoever has the scope, calls, and answers.
macro_rules! call {
    ($registry:ident, $request:ident, $name:literal, $scope:expr, |$caller:ident| $outcome:expr) => {{
        let ($caller, $request) = $registry.admit($name, $request, $scope)?;
        let outcome = async { $outcome }.await;
        door::answer($name, $caller.request_id(), outcome)
    }};
}

impl Registry {
    /// Who calls and what they send, if they have the scope that the call needs.
    fn admit<Message>(
        &self,
        call: &'static str,
        request: Request<Message>,
        scope: Option<Scope>,
    ) -> Result<(Caller, Message), Status> {
        let (metadata, _, message) = request.into_parts();
        match self.caller(&metadata, scope) {
            Ok(caller) => Ok((caller, message)),
            Err(fault) => door::answer(call, None, Err(fault)).map(Response::into_inner),
        }
    }

    fn caller(&self, metadata: &MetadataMap, scope: Option<Scope>) -> Result<Caller, Fault> {
        let caller = Caller::authenticate(self.catalog(), metadata)?;
        scope.map_or(Ok(()), |scope| caller.needs(scope))?;
        Ok(caller)
    }
}

#[async_trait]
impl AdministrationService for Registry {
    async fn describe_access_token(
        &self,
        request: Request<v1::DescribeAccessTokenRequest>,
    ) -> Answer<v1::DescribeAccessTokenResponse> {
        call!(self, request, "DescribeAccessToken", None, |caller| {
            let v1::DescribeAccessTokenRequest {} = request;
            Ok(wire::access_token(caller.token().clone()))
        })
    }

    async fn list_organizations(
        &self,
        request: Request<v1::ListOrganizationsRequest>,
    ) -> Answer<v1::ListOrganizationsResponse> {
        call!(self, request, "ListOrganizations", Some(Scope::ReadOrganizations), |caller| {
            let window = window(request.page)?;
            self.read(move |administration| administration.list_organizations(window)).await
        })
    }

    async fn get_organization(
        &self,
        request: Request<v1::GetOrganizationRequest>,
    ) -> Answer<v1::GetOrganizationResponse> {
        call!(self, request, "GetOrganization", Some(Scope::ReadOrganizations), |caller| {
            let administration = self.administration();
            let organization = administration.organization(&request.organization)?;
            let organization = Some(administration.show_organization(organization)?);
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
