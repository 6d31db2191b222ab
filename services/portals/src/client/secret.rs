//! `portals secret`, and `portals token exchange`: what lasts, and the tokens that do not.

use super::{
    api::Api,
    output,
    restrictions::{self, Restrictions},
    segment,
};
use crate::{
    cli::secret::{Exchange, PortalSecret, SecretAction},
    config::secret,
    exit::{self, Failure},
};
use http::Method;
use serde::{Deserialize, Serialize};

const COLUMNS: [&str; 5] = ["uuid", "description", "created_at", "expires_at", "last_used_at"];

/// Runs `portals secret`.
pub(crate) fn run(command: PortalSecret) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        match command.action {
            SecretAction::Create { organization, portal, description, expires_at, rules } => {
                let body = New { description, expires_at, restrictions: rules.try_into()? };
                let (path, body) = (path(&organization, &portal)?, restrictions::body(&body)?);
                output::show(&api, &api.manage(Method::POST, &path, &[], Some(&body)).await?)
            }
            SecretAction::List { organization, portal } => {
                output::table(&api, &api.list(&path(&organization, &portal)?).await?, &COLUMNS)
            }
            SecretAction::Revoke { organization, portal, uuid } => {
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
    Ok(format!("/v2/organizations/{organization}/portals/{portal}/secrets"))
}

/// What a secret is to be; what is not given is null or left out.
#[derive(Serialize)]
struct New {
    description: Option<String>,
    expires_at: Option<String>,
    #[serde(flatten)]
    restrictions: Restrictions,
}

/// What is exchanged, and for what.
#[derive(Serialize)]
struct Pair<'a> {
    grant_type: &'static str,
    client_id: String,
    secret: &'a str,
    expires_in: Option<u32>,
    #[serde(flatten)]
    restrictions: Restrictions,
}

/// A new token, as far as the command shows it.
#[derive(Deserialize)]
struct Exchanged<'a> {
    token: &'a str,
}

/// Runs `portals token exchange`: the token alone goes to stdout, so that it can be put where it is needed.
pub(crate) async fn exchange(api: Api, command: Exchange) -> Result<(), Failure> {
    let secret = secret::read("client-secret", command.client_secret, command.client_secret_file)?;
    let secret = secret.ok_or_else(|| {
        Failure::usage("--client-secret-file (or --client-secret, or a variable of either) is required")
    })?;
    let (organization, portal) = (segment(&command.organization)?, segment(&command.portal)?);
    let path = format!("/organizations/{organization}/portals/{portal}/tokens");
    let body = restrictions::body(&Pair {
        grant_type: "client_credentials",
        client_id: command.client_id,
        secret: secret.expose(),
        expires_in: command.expires_in,
        restrictions: command.restrictions.try_into()?,
    })?;
    let reply = api.manage(Method::POST, &path, &[], Some(&body)).await?;
    if api.json {
        output::print_raw(&reply.body);
        return Ok(());
    }
    let Exchanged { token } = reply.json()?;
    exit::print(&format!("{token}\n"));
    Ok(())
}
