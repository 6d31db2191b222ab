//! The sign-in service over gRPC: who calls, what they need for it, one call, the answer.

use super::{admission::call, lists::window, wire};
use crate::{
    Registry,
    caller::{Caller, Origin},
    door,
    record::Scope,
};
use model::Fault;
use proto::{
    registry::v1::{self, sign_in_service_server::SignInService},
    time,
};
use tonic::{Request, Response, Status, async_trait, metadata::MetadataMap};

type Answer<Message> = Result<Response<Message>, Status>;

#[async_trait]
impl SignInService for Registry {
    async fn create_session(
        &self,
        request: Request<v1::CreateSessionRequest>,
    ) -> Answer<v1::CreateSessionResponse> {
        let (metadata, _, request) = request.into_parts();
        let origin = Origin::read(&metadata);
        let made = self.administration().create_session(&origin, request).await;
        let outcome = made.map(|(user, bearer, expires_at)| v1::CreateSessionResponse {
            token: bearer.expose().to_owned(),
            expires_at: Some(time::write(expires_at)),
            user: Some(wire::user(user)),
        });
        door::answer("CreateSession", origin.request_id.as_deref(), outcome)
    }

    async fn begin_sign_in(
        &self,
        request: Request<v1::BeginSignInRequest>,
    ) -> Answer<v1::BeginSignInResponse> {
        let (metadata, _, request) = request.into_parts();
        let origin = Origin::read(&metadata);
        let begun = self.administration().begin_sign_in(&origin, request).await;
        let outcome = begun.map(|location| v1::BeginSignInResponse { location });
        door::answer("BeginSignIn", origin.request_id.as_deref(), outcome)
    }

    async fn finish_sign_in(
        &self,
        request: Request<v1::FinishSignInRequest>,
    ) -> Answer<v1::FinishSignInResponse> {
        let (metadata, _, request) = request.into_parts();
        let origin = Origin::read(&metadata);
        let finished = self.administration().finish_sign_in(&origin, request).await;
        let outcome = finished.map(|location| v1::FinishSignInResponse { location });
        door::answer("FinishSignIn", origin.request_id.as_deref(), outcome)
    }

    async fn redeem_sign_in(
        &self,
        request: Request<v1::RedeemSignInRequest>,
    ) -> Answer<v1::RedeemSignInResponse> {
        let (metadata, _, request) = request.into_parts();
        let origin = Origin::read(&metadata);
        let made = self.administration().redeem_sign_in(&origin, request).await;
        let outcome = made.map(|(user, bearer, expires_at)| v1::RedeemSignInResponse {
            token: bearer.expose().to_owned(),
            expires_at: Some(time::write(expires_at)),
            user: Some(wire::user(user)),
        });
        door::answer("RedeemSignIn", origin.request_id.as_deref(), outcome)
    }

    async fn delete_session(
        &self,
        request: Request<v1::DeleteSessionRequest>,
    ) -> Answer<v1::DeleteSessionResponse> {
        call!(self, request, "DeleteSession", None, |caller| {
            let v1::DeleteSessionRequest {} = request;
            self.administration().delete_session(&caller).await?;
            Ok(v1::DeleteSessionResponse {})
        })
    }

    async fn set_password(
        &self,
        request: Request<v1::SetPasswordRequest>,
    ) -> Answer<v1::SetPasswordResponse> {
        call!(self, request, "SetPassword", Some(Scope::WriteUser), |caller| {
            self.administration().set_password(&caller, request).await?;
            Ok(v1::SetPasswordResponse {})
        })
    }

    async fn list_invitations(
        &self,
        request: Request<v1::ListInvitationsRequest>,
    ) -> Answer<v1::ListInvitationsResponse> {
        call!(self, request, "ListInvitations", Some(Scope::ReadMembers), |caller| {
            let window = window(request.page)?;
            self.administration().list_invitations(&request.organization, window)
        })
    }

    async fn create_invitation(
        &self,
        request: Request<v1::CreateInvitationRequest>,
    ) -> Answer<v1::CreateInvitationResponse> {
        call!(self, request, "CreateInvitation", Some(Scope::WriteMembers), |caller| {
            let (invitation, bearer) = self.administration().create_invitation(&caller, request).await?;
            let token = bearer.expose().to_owned();
            Ok(v1::CreateInvitationResponse { invitation: Some(invitation), token })
        })
    }

    async fn delete_invitation(
        &self,
        request: Request<v1::DeleteInvitationRequest>,
    ) -> Answer<v1::DeleteInvitationResponse> {
        call!(self, request, "DeleteInvitation", Some(Scope::WriteMembers), |caller| {
            self.administration().delete_invitation(&caller, request).await?;
            Ok(v1::DeleteInvitationResponse {})
        })
    }

    async fn accept_invitation(
        &self,
        request: Request<v1::AcceptInvitationRequest>,
    ) -> Answer<v1::AcceptInvitationResponse> {
        let (metadata, _, request) = request.into_parts();
        let origin = Origin::read(&metadata);
        let outcome = self.accept(&metadata, &origin, request).await;
        door::answer("AcceptInvitation", origin.request_id.as_deref(), outcome)
    }
}

impl Registry {
    async fn accept(
        &self,
        metadata: &MetadataMap,
        origin: &Origin,
        request: v1::AcceptInvitationRequest,
    ) -> Result<v1::AcceptInvitationResponse, Fault> {
        // Whoever presents a token means it: one that is no good is not passed over.
        let presents = metadata.contains_key("authorization");
        let caller = presents.then(|| Caller::authenticate(self.catalog(), metadata)).transpose()?;
        let accepted = self.administration().accept_invitation(origin, caller.as_ref(), request).await;
        let (member, organization) = accepted?;
        Ok(v1::AcceptInvitationResponse { member: Some(member), organization })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::administration::desk::{access_token, calls, check_scope, registry};
    use model::{Bearer, Reason};
    use proto::{
        Channel, channel, fault::read_status, registry::v1::sign_in_service_client::SignInServiceClient,
    };

    type Client = SignInServiceClient<Channel>;

    /// What each call needs that needs an access token.
    const CONTRACT: [(&str, Option<Scope>); 5] = [
        ("DeleteSession", None),
        ("SetPassword", Some(Scope::WriteUser)),
        ("ListInvitations", Some(Scope::ReadMembers)),
        ("CreateInvitation", Some(Scope::WriteMembers)),
        ("DeleteInvitation", Some(Scope::WriteMembers)),
    ];
    const OPEN: [&str; 5] =
        ["CreateSession", "AcceptInvitation", "BeginSignIn", "FinishSignIn", "RedeemSignIn"];

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
            "DeleteSession" => call!(delete_session),
            "SetPassword" => call!(set_password),
            "ListInvitations" => call!(list_invitations),
            "CreateInvitation" => call!(create_invitation),
            "DeleteInvitation" => call!(delete_invitation),
            _ => panic!("{name} is not called"),
        };
        answer.map_err(|status| read_status(status, Reason::Internal))
    }

    #[tokio::test]
    async fn each_call_needs_its_scope_and_no_other() {
        let proto = include_str!("../../../../proto/portals/registry/v1/sign_in.proto");
        let mut known: Vec<_> = CONTRACT.map(|(name, _)| name).into_iter().chain(OPEN).collect();
        let mut all = calls(proto);
        known.sort_unstable();
        all.sort_unstable();
        assert_eq!(known, all);
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path()).await;
        let client = Client::new(channel::local(registry.sign_in_service()));
        for held in Scope::ALL.into_iter().map(Some).chain([None]) {
            let token = access_token(&registry, held.into_iter().collect(), None).await;
            for (name, needed) in CONTRACT {
                check_scope(name, needed, held, &call(client.clone(), name, &token).await);
            }
        }
    }
}
