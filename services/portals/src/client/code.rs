//! `portals code` and `portals upstream-credential`: what is done in one's own name, and with what.

use super::{api::Api, output, segment};
use crate::{
    cli::code::{Code, CodeAction, UpstreamCredential, UpstreamCredentialAction},
    config::secret,
    exit::Failure,
};
use http::Method;
use serde_json::{Map, Value, json};

const CREDENTIALS: &str = "/v2/user/upstream_credentials";
const COLUMNS: [&str; 2] = ["organization", "updated_at"];

/// Runs `portals code`.
pub(crate) fn run(command: Code) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        match command.action {
            CodeAction::Show { code } => {
                let reply = api.manage(Method::GET, &path(&code)?, &[], None).await?;
                if api.json {
                    output::print_raw(&reply.body);
                    return Ok(());
                }
                output::show_value(&flat(reply.json()?));
                Ok(())
            }
            CodeAction::Authorize { code, revision } => {
                let path = format!("{}/authorize", path(&code)?);
                let body = json!({"revision": revision});
                decided(&api, &path, Some(&body), "authorized", &code).await
            }
            CodeAction::Deny { code } => {
                decided(&api, &format!("{}/deny", path(&code)?), None, "denied", &code).await
            }
        }
    })
}

async fn decided(
    api: &Api,
    path: &str,
    body: Option<&(dyn std::fmt::Display + Sync)>,
    done: &str,
    code: &str,
) -> Result<(), Failure> {
    let reply = api.manage(Method::POST, path, &[], body).await?;
    if api.json {
        output::print_raw(&reply.body);
    }
    output::done(api, &format!("{done} {code}"));
    Ok(())
}

/// What matters of the portal beside the rest.
fn flat(mut told: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Object(mut portal)) = told.remove("portal") {
        for (name, shown) in
            [("url", "portal"), ("name", "name"), ("revision", "revision"), ("query", "query")]
        {
            told.insert(shown.to_owned(), portal.remove(name).unwrap_or_default());
        }
    }
    told
}

/// Runs `portals upstream-credential`.
pub(crate) fn upstream_credential(command: UpstreamCredential) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        match command.action {
            UpstreamCredentialAction::Set { organization, upstream_token: given } => {
                let token = secret::read("upstream-token", given.upstream_token, given.upstream_token_file)?;
                let token = token.ok_or_else(|| {
                    Failure::usage(
                        "--upstream-token-file (or --upstream-token, or a variable of either) is required",
                    )
                })?;
                let body = json!({"upstream_token": token.expose()});
                api.manage(Method::PUT, &credential(&organization)?, &[], Some(&body)).await?;
                output::done(&api, &format!("stored the credential for {organization}"));
                Ok(())
            }
            UpstreamCredentialAction::List => output::table(&api, &api.list(CREDENTIALS).await?, &COLUMNS),
            UpstreamCredentialAction::Remove { organization } => {
                api.manage(Method::DELETE, &credential(&organization)?, &[], None).await?;
                output::done(&api, &format!("removed the credential for {organization}"));
                Ok(())
            }
        }
    })
}

fn path(code: &str) -> Result<String, Failure> {
    Ok(format!("/v2/codes/{}", segment(code)?))
}

fn credential(organization: &str) -> Result<String, Failure> {
    Ok(format!("{CREDENTIALS}/{}", segment(organization)?))
}
