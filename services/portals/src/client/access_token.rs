//! `portals access-token`: with what users manage.

use super::{api::Api, output, segment};
use crate::{
    cli::people::{AccessToken, AccessTokenAction},
    exit::Failure,
};
use http::Method;
use serde_json::json;

const COLUMNS: [&str; 6] = ["uuid", "description", "scopes", "created_at", "expires_at", "last_used_at"];

/// Runs it.
pub(crate) fn run(command: AccessToken) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    let path = match &command.user {
        Some(user) => format!("/v2/users/{}/access-tokens", segment(user)?),
        None => "/v2/user/access-tokens".to_owned(),
    };
    super::run(async move {
        match command.action {
            AccessTokenAction::Create { scopes, description, allowed_ip_addresses, expires_at } => {
                let body = json!({
                    "scopes": scopes,
                    "description": description,
                    "allowed_ip_addresses": allowed_ip_addresses,
                    "expires_at": expires_at,
                });
                output::show(&api, &api.manage(Method::POST, &path, &[], Some(&body)).await?)
            }
            AccessTokenAction::List => output::table(&api, &api.list(&path).await?, &COLUMNS),
            AccessTokenAction::Revoke { uuid } => {
                let path = format!("{path}/{}", segment(&uuid)?);
                api.manage(Method::DELETE, &path, &[], None).await?;
                output::done(&api, &format!("revoked {uuid}"));
                Ok(())
            }
        }
    })
}
