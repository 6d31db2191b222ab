//! `portals token`: who may call a portal.

use super::{api::Api, output, secret, segment};
use crate::{
    cli::manage::{Token, TokenAction},
    exit::Failure,
};
use http::Method;
use serde_json::json;

const COLUMNS: [&str; 6] = ["uuid", "description", "kind", "created_at", "expires_at", "last_used_at"];

/// Runs it.
pub(crate) fn run(command: Token) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        match command.action {
            TokenAction::Exchange(exchange) => secret::exchange(api.anonymous(), exchange).await,
            TokenAction::Create { organization, portal, description, expires_at } => {
                let body = json!({"description": description, "expires_at": expires_at});
                let path = path(&organization, &portal)?;
                output::show(&api, &api.manage(Method::POST, &path, &[], Some(&body)).await?)
            }
            TokenAction::List { organization, portal } => {
                output::table(&api, &api.list(&path(&organization, &portal)?).await?, &COLUMNS)
            }
            TokenAction::Revoke { organization, portal, uuid } => {
                let path = format!("{}/{}", path(&organization, &portal)?, segment(&uuid)?);
                api.manage(Method::DELETE, &path, &[], None).await?;
                output::done(&api, &format!("revoked {uuid}"));
                Ok(())
            }
        }
    })
}

fn path(organization: &str, portal: &str) -> Result<String, Failure> {
    let (organization, portal) = (segment(organization)?, segment(portal)?);
    Ok(format!("/v2/organizations/{organization}/portals/{portal}/tokens"))
}
