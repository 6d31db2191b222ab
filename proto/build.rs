//! Compiles the protos with protox, so that no `protoc` need be installed.

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use std::{env, error::Error, fs, path::PathBuf};

const PROTOS: &[&str] = &[
    "portals/executor/v1/executor.proto",
    "portals/registry/v1/administration.proto",
    "portals/registry/v1/code.proto",
    "portals/registry/v1/membership.proto",
    "portals/registry/v1/registry.proto",
    "portals/registry/v1/sign_in.proto",
];

/// The package whose streams carry answers.
const EXECUTOR: &str = "portals.executor.v1";

/// Fields whose content must not be printed: their messages get no derived `Debug`.
const SECRET_MESSAGES: &[&str] = &[
    "portals.executor.v1.ExecuteRequest",
    "portals.executor.v1.ExecuteResponse",
    "portals.executor.v1.Call",
    "portals.executor.v1.Answer",
    "portals.registry.v1.AuthorizeRequest",
    "portals.registry.v1.AuthorizeResponse",
    "portals.registry.v1.CreateOrganizationRequest",
    "portals.registry.v1.UpdateOrganizationRequest",
    "portals.registry.v1.Header",
    "portals.registry.v1.OptionalText",
    "portals.registry.v1.CreatePortalResponse",
    "portals.registry.v1.CreatePortalTokenResponse",
    "portals.registry.v1.CreatePortalSecretResponse",
    "portals.registry.v1.ClientCredentials",
    "portals.registry.v1.IdentityToken",
    "portals.registry.v1.ExchangeTokenResponse",
    "portals.registry.v1.CreateAccessTokenResponse",
    "portals.registry.v1.CreateUserAccessTokenResponse",
    "portals.registry.v1.CreateSessionRequest",
    "portals.registry.v1.CreateSessionResponse",
    "portals.registry.v1.BeginSignInRequest",
    "portals.registry.v1.BeginSignInResponse",
    "portals.registry.v1.FinishSignInRequest",
    "portals.registry.v1.FinishSignInResponse",
    "portals.registry.v1.RedeemSignInRequest",
    "portals.registry.v1.RedeemSignInResponse",
    "portals.registry.v1.SetPasswordRequest",
    "portals.registry.v1.CreateInvitationResponse",
    "portals.registry.v1.AcceptInvitationRequest",
    "portals.registry.v1.SetUpstreamCredentialRequest",
    "portals.registry.v1.DeviceCode",
    "portals.registry.v1.CreateCodeResponse",
    "portals.registry.v1.Code",
    "portals.registry.v1.GetCodeRequest",
    "portals.registry.v1.AuthorizeCodeRequest",
    "portals.registry.v1.DenyCodeRequest",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=portals");
    let descriptors = protox::compile(PROTOS, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    let file = descriptors.file.into_iter().map(without_streams).collect();
    tonic_prost_build::configure()
        .bytes(".portals.executor.v1")
        .skip_debug(SECRET_MESSAGES.iter().copied())
        .compile_fds(FileDescriptorSet { file })?;
    Ok(())
}

/// Leaves out what `stream` does by hand.
fn without_streams(mut file: FileDescriptorProto) -> FileDescriptorProto {
    if file.package() == EXECUTOR {
        for service in &mut file.service {
            service.method.retain(|method| !method.server_streaming());
        }
    }
    file
}
