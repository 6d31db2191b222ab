//! Sessions and invitations, as the JSON of this API.

use super::{Role, User, time};
use proto::registry::v1;
use serde::Serialize;
use utoipa::ToSchema;

/// A session: the access token of a user who has signed in.
#[derive(Serialize, ToSchema)]
pub(in crate::rest) struct Session {
    /// The access token; it cannot be read again.
    #[schema(examples("pta_…"))]
    token: String,
    /// When it ends by itself.
    #[schema(required, format = DateTime, examples("2026-08-26T15:22:45.555Z"))]
    expires_at: Option<String>,
    /// Whose it is.
    #[schema(required)]
    user: Option<User>,
}

impl From<v1::CreateSessionResponse> for Session {
    fn from(created: v1::CreateSessionResponse) -> Self {
        let v1::CreateSessionResponse { token, expires_at, user } = created;
        Self { token, expires_at: time(expires_at), user: user.map(User::from) }
    }
}

/// An invitation to an organization; with what it is accepted only in the answer that made it.
#[derive(Serialize, ToSchema)]
pub(in crate::rest) struct Invitation {
    #[schema(format = "uuid", examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10"))]
    uuid: String,
    /// Who is invited.
    #[schema(examples("ada@example.com"))]
    email: String,
    role: Role,
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    created_at: Option<String>,
    /// Who made it; null where no user did.
    #[schema(required)]
    created_by: Option<User>,
    /// When it ends by itself.
    #[schema(required, format = DateTime, examples("2026-08-29T03:22:45.555Z"))]
    expires_at: Option<String>,
    /// With what it is accepted, in the answer that made it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("pti_…"))]
    token: Option<String>,
    /// To where that is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("https://portals.example/v2/invitations/accept"))]
    url: Option<String>,
}

/// With what an invitation is accepted, and where.
pub(in crate::rest) struct InvitationItself {
    pub(in crate::rest) token: String,
    pub(in crate::rest) url: String,
}

impl Invitation {
    pub(in crate::rest) fn new(invitation: v1::Invitation, itself: Option<InvitationItself>) -> Self {
        let (token, url) = itself.map(|InvitationItself { token, url }| (token, url)).unzip();
        Self {
            role: invitation.role().into(),
            uuid: invitation.uuid,
            email: invitation.email,
            created_at: time(invitation.created_at),
            created_by: invitation.created_by.map(User::from),
            expires_at: time(invitation.expires_at),
            token,
            url,
        }
    }
}
