//! Whom each call lets in, beside the scope that it needs. A message that is not told here is no call's.

use super::{Administration, organizations::no_organization};
use crate::{caller::Caller, record::Role};
use model::{Fault, Reason};
use proto::registry::v1;

/// Whom a call is for. An access token that is not a user's is the house's own, and let in everywhere but at
/// what is a user's own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reach<'a> {
    /// Whoever has an access token; the call itself shows each no more than is theirs.
    Everyone,
    /// A user, about what is their own.
    User,
    /// Whoever runs this.
    Operator,
    /// The members of an organization.
    Members(&'a str),
    /// The administrators of an organization.
    Administrators(&'a str),
}

/// A message that says whom its call is for.
pub(crate) trait Reaches {
    fn reach(&self) -> Reach<'_>;
}

macro_rules! reaches {
    ($($message:ident: $message_as:ident => $reach:expr,)+) => {
        $(impl Reaches for v1::$message {
            fn reach(&self) -> Reach<'_> {
                let $message_as = self;
                $reach
            }
        })+
    };
}

reaches! {
    DescribeAccessTokenRequest: _request => Reach::Everyone,
    ListOrganizationsRequest: _request => Reach::Everyone,
    GetOrganizationRequest: request => Reach::Members(&request.organization),
    CreateOrganizationRequest: _request => Reach::Operator,
    UpdateOrganizationRequest: _request => Reach::Operator,
    DeleteOrganizationRequest: _request => Reach::Operator,
    ListPortalsRequest: request => Reach::Administrators(&request.organization),
    GetPortalRequest: request => Reach::Administrators(&request.organization),
    CreatePortalRequest: request => Reach::Administrators(&request.organization),
    UpdatePortalRequest: request => Reach::Administrators(&request.organization),
    DeletePortalRequest: request => Reach::Administrators(&request.organization),
    ListPortalTokensRequest: request => Reach::Administrators(&request.organization),
    CreatePortalTokenRequest: request => Reach::Administrators(&request.organization),
    DeletePortalTokenRequest: request => Reach::Administrators(&request.organization),
    ListPortalSecretsRequest: request => Reach::Administrators(&request.organization),
    CreatePortalSecretRequest: request => Reach::Administrators(&request.organization),
    DeletePortalSecretRequest: request => Reach::Administrators(&request.organization),
    ListTrustedIssuersRequest: request => Reach::Administrators(&request.organization),
    CreateTrustedIssuerRequest: request => Reach::Administrators(&request.organization),
    DeleteTrustedIssuerRequest: request => Reach::Administrators(&request.organization),
    ListAuditEventsRequest: request => match request.organization.as_str() {
        "" => Reach::Operator,
        organization => Reach::Administrators(organization),
    },
    ListUsersRequest: _request => Reach::Operator,
    GetUserRequest: _request => Reach::Operator,
    CreateUserRequest: _request => Reach::Operator,
    DeleteUserRequest: _request => Reach::Operator,
    ListUserAccessTokensRequest: _request => Reach::Operator,
    CreateUserAccessTokenRequest: _request => Reach::Operator,
    DeleteUserAccessTokenRequest: _request => Reach::Operator,
    ListMembersRequest: request => Reach::Administrators(&request.organization),
    GetMemberRequest: request => Reach::Administrators(&request.organization),
    CreateMemberRequest: request => Reach::Administrators(&request.organization),
    UpdateMemberRequest: request => Reach::Administrators(&request.organization),
    DeleteMemberRequest: request => Reach::Administrators(&request.organization),
    ListAccessTokensRequest: _request => Reach::User,
    CreateAccessTokenRequest: _request => Reach::User,
    DeleteAccessTokenRequest: _request => Reach::User,
    ListUpstreamCredentialsRequest: _request => Reach::User,
    SetUpstreamCredentialRequest: _request => Reach::User,
    DeleteUpstreamCredentialRequest: _request => Reach::User,
    GetCodeRequest: _request => Reach::User,
    AuthorizeCodeRequest: _request => Reach::User,
    DenyCodeRequest: _request => Reach::User,
    DeleteSessionRequest: _request => Reach::User,
    SetPasswordRequest: _request => Reach::User,
    ListInvitationsRequest: request => Reach::Administrators(&request.organization),
    CreateInvitationRequest: request => Reach::Administrators(&request.organization),
    DeleteInvitationRequest: request => Reach::Administrators(&request.organization),
}

impl Administration<'_> {
    /// Lets in whom a call is for, as things stand at this moment.
    ///
    /// # Errors
    ///
    /// FORBIDDEN, and says for whom it is; NOT_FOUND for an organization that is not the user's, existing or not.
    pub(crate) fn admit(&self, caller: &Caller, reach: Reach<'_>) -> Result<(), Fault> {
        let forbidden = |message: &'static str| Err(Fault::new(Reason::Forbidden, message));
        let (Some(user), reach) = (caller.user_uuid(), reach) else {
            return match reach {
                Reach::User => {
                    Err(Fault::new(Reason::NotFound, "No user found: the API access token is nobody's own"))
                }
                Reach::Everyone | Reach::Operator | Reach::Members(_) | Reach::Administrators(_) => Ok(()),
            };
        };
        let role = |slug: &str| {
            let organization = self.organization(slug)?;
            let membership = self.catalog.membership(organization.uuid, user)?.ok_or_else(no_organization)?;
            Ok::<_, Fault>(membership.role)
        };
        match reach {
            Reach::Everyone | Reach::User => Ok(()),
            Reach::Operator => forbidden("only whoever runs this may do that, and no user"),
            Reach::Members(organization) => role(organization).map(drop),
            Reach::Administrators(organization) => match role(organization)? {
                Role::Administrator => Ok(()),
                Role::Member => forbidden("only an administrator of the organization may do that"),
            },
        }
    }
}
