//! `portals issuer`: whose JWTs a portal takes.

use super::{
    api::Api,
    output,
    restrictions::{self, Restrictions},
    segment,
};
use crate::{
    cli::issuer::{Issuer, IssuerAction},
    exit::Failure,
};
use http::Method;
use serde::Serialize;
use serde_json::{Map, Value};

const COLUMNS: [&str; 5] = ["uuid", "issuer", "audience", "conditions", "last_used_at"];

/// Runs it.
pub(crate) fn run(command: Issuer) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        match command.action {
            IssuerAction::Trust {
                organization,
                portal,
                issuer,
                audience,
                conditions,
                description,
                rules,
            } => {
                let (conditions, restrictions) = (read(&conditions)?, rules.try_into()?);
                let body = New { issuer, audience, conditions, description, restrictions };
                let (path, body) = (path(&organization, &portal)?, restrictions::body(&body)?);
                output::show(&api, &api.manage(Method::POST, &path, &[], Some(&body)).await?)
            }
            IssuerAction::List { organization, portal } => {
                output::table(&api, &api.list(&path(&organization, &portal)?).await?, &COLUMNS)
            }
            IssuerAction::Distrust { organization, portal, uuid } => {
                let path = format!("{}/{}", path(&organization, &portal)?, segment(&uuid)?);
                api.manage(Method::DELETE, &path, &[], None).await?;
                output::done(&api, &format!("{uuid} is trusted no more"));
                Ok(())
            }
        }
    })
}

/// Whom to trust; what is not given is null or left out.
#[derive(Serialize)]
struct New {
    issuer: String,
    audience: String,
    conditions: Map<String, Value>,
    description: Option<String>,
    #[serde(flatten)]
    restrictions: Restrictions,
}

fn path(organization: &str, portal: &str) -> Result<String, Failure> {
    let (organization, portal) = (segment(organization)?, segment(portal)?);
    Ok(format!("/v2/organizations/{organization}/portals/{portal}/trusted_issuers"))
}

fn read(conditions: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut read = Map::new();
    for condition in conditions {
        let Some((claim, pattern)) = condition.split_once('=') else {
            return Err(Failure::usage(format!("--condition: `{condition}` must be CLAIM=PATTERN")));
        };
        if read.insert(claim.to_owned(), pattern.into()).is_some() {
            return Err(Failure::usage(format!("--condition: `{claim}` is given twice")));
        }
    }
    Ok(read)
}
