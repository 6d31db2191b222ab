//! `Debug` for messages whose content must not be printed.

use crate::{executor, registry};
use std::fmt;

macro_rules! redact {
    ($($message:path),+ $(,)?) => {
        $(impl fmt::Debug for $message {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($message), "(redacted)"))
            }
        })+
    };
}

redact!(
    executor::v1::Answer,
    executor::v1::Call,
    executor::v1::ExecuteRequest,
    executor::v1::ExecuteResponse,
    registry::v1::AcceptInvitationRequest,
    registry::v1::AuthorizeCodeRequest,
    registry::v1::AuthorizeRequest,
    registry::v1::AuthorizeResponse,
    registry::v1::BeginSignInRequest,
    registry::v1::BeginSignInResponse,
    registry::v1::ClientCredentials,
    registry::v1::Code,
    registry::v1::CreateAccessTokenResponse,
    registry::v1::CreateCodeResponse,
    registry::v1::CreateInvitationResponse,
    registry::v1::CreateOrganizationRequest,
    registry::v1::CreatePortalResponse,
    registry::v1::CreatePortalSecretResponse,
    registry::v1::CreatePortalTokenResponse,
    registry::v1::CreateSessionRequest,
    registry::v1::CreateSessionResponse,
    registry::v1::DenyCodeRequest,
    registry::v1::DeviceCode,
    registry::v1::ExchangeTokenResponse,
    registry::v1::FinishSignInRequest,
    registry::v1::FinishSignInResponse,
    registry::v1::GetCodeRequest,
    registry::v1::CreateUserAccessTokenResponse,
    registry::v1::Header,
    registry::v1::IdentityToken,
    registry::v1::OptionalText,
    registry::v1::RedeemSignInRequest,
    registry::v1::RedeemSignInResponse,
    registry::v1::SetPasswordRequest,
    registry::v1::SetUpstreamCredentialRequest,
    registry::v1::UpdateOrganizationRequest,
);
