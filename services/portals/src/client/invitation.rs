//! `portals invite`: how somebody comes to an organization.

use super::{api::Api, input, member, output, segment, sign_in};
use crate::{
    cli::sign_in::{Invite, InviteAction},
    exit::Failure,
};
use http::Method;
use model::Secret;
use serde_json::json;

const ACCEPT: &str = "/v2/invitations/accept";
const COLUMNS: [&str; 6] = ["uuid", "email", "role", "created_by.email", "created_at", "expires_at"];

/// Runs it.
pub(crate) fn run(command: Invite) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        match command.action {
            InviteAction::Create { organization, email, role } => {
                let (path, body) =
                    (path(&organization)?, json!({"email": email, "role": member::name(role)}));
                output::show(&api, &api.manage(Method::POST, &path, &[], Some(&body)).await?)
            }
            InviteAction::List { organization } => {
                output::table(&api, &api.list(&path(&organization)?).await?, &COLUMNS)
            }
            InviteAction::Revoke { organization, uuid } => {
                let path = format!("{}/{}", path(&organization)?, segment(&uuid)?);
                api.manage(Method::DELETE, &path, &[], None).await?;
                output::done(&api, &format!("revoked {uuid}"));
                Ok(())
            }
            InviteAction::Accept { invitation, name, password } => {
                let password = sign_in::given(password)?;
                let invitation = Secret::new(input("INVITATION", &invitation)?.trim());
                let body = json!({
                    "token": invitation.expose(),
                    "name": name,
                    "password": password.as_ref().map(Secret::expose),
                });
                output::show(&api, &api.manage(Method::POST, ACCEPT, &[], Some(&body)).await?)
            }
        }
    })
}

fn path(organization: &str) -> Result<String, Failure> {
    Ok(format!("/v2/organizations/{}/invitations", segment(organization)?))
}
