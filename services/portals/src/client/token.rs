//! `portals token`: who may call a portal.

use super::{
    api::Api,
    output,
    restrictions::{self, Restrictions},
    secret, segment,
};
use crate::{
    cli::manage::{Token, TokenAction},
    exit::Failure,
};
use http::Method;
use serde::Serialize;

const COLUMNS: [&str; 6] = ["uuid", "description", "kind", "created_at", "expires_at", "last_used_at"];

/// Runs it.
pub(crate) fn run(command: Token) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        match command.action {
            TokenAction::Exchange(exchange) => secret::exchange(api.anonymous(), exchange).await,
            TokenAction::Create {
                organization,
                portal,
                description,
                expires_at,
                rate_limit,
                restrictions,
            } => {
                let restrictions = restrictions.try_into()?;
                let body = New { description, expires_at, rate_limit_per_minute: rate_limit, restrictions };
                let (path, body) = (path(&organization, &portal)?, restrictions::body(&body)?);
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

/// What a token is to be; what is not given is null or left out.
#[derive(Serialize)]
struct New {
    description: Option<String>,
    expires_at: Option<String>,
    rate_limit_per_minute: Option<u32>,
    #[serde(flatten)]
    restrictions: Restrictions,
}

fn path(organization: &str, portal: &str) -> Result<String, Failure> {
    let (organization, portal) = (segment(organization)?, segment(portal)?);
    Ok(format!("/v2/organizations/{organization}/portals/{portal}/tokens"))
}
