//! `portals portal`: portals and their documents.

use super::{api::Api, input, output, segment};
use crate::{
    cli::manage::{ExtraVariables, Portal, PortalAction, PortalProperties},
    exit::Failure,
};
use http::{Method, header};
use serde_json::{Map, Value, json};

const COLUMNS: [&str; 5] = ["slug", "name", "revision", "created_at", "url"];

/// Runs it.
pub(crate) fn run(command: Portal) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        match command.action {
            PortalAction::Create { organization, properties } => {
                let body = Value::Object(read(properties)?);
                let made = api.manage(Method::POST, &list(&organization)?, &[], Some(&body)).await?;
                output::show(&api, &made)
            }
            PortalAction::List { organization } => {
                output::table(&api, &api.list(&list(&organization)?).await?, &COLUMNS)
            }
            PortalAction::Show { organization, portal } => {
                let path = path(&organization, &portal)?;
                output::show(&api, &api.manage(Method::GET, &path, &[], None).await?)
            }
            PortalAction::Update { organization, portal, properties, if_revision } => {
                let body = Value::Object(read(properties)?);
                let condition = if_revision.map(|revision| (header::IF_MATCH, format!("\"{revision}\"")));
                let path = path(&organization, &portal)?;
                let condition: Vec<_> = condition.into_iter().collect();
                output::show(&api, &api.manage(Method::PUT, &path, &condition, Some(&body)).await?)
            }
            PortalAction::Delete { organization, portal } => {
                api.manage(Method::DELETE, &path(&organization, &portal)?, &[], None).await?;
                output::done(&api, &format!("deleted {portal}"));
                Ok(())
            }
        }
    })
}

fn list(organization: &str) -> Result<String, Failure> {
    Ok(format!("/v2/organizations/{}/portals", segment(organization)?))
}

fn path(organization: &str, portal: &str) -> Result<String, Failure> {
    Ok(format!("{}/{}", list(organization)?, segment(portal)?))
}

/// The properties that were given, as the API names them.
fn read(given: PortalProperties) -> Result<Map<String, Value>, Failure> {
    let query = given.query.map(|query| input("--query", &query)).transpose()?;
    let extra = given.extra_variables.map(|rule| match rule {
        ExtraVariables::Reject => json!("reject"),
        ExtraVariables::Ignore => json!("ignore"),
    });
    let properties = [
        ("name", given.name.map(Value::from)),
        ("slug", given.slug.map(Value::from)),
        ("query", query.map(Value::from)),
        ("description", given.description.map(Value::from)),
        ("allowed_ip_addresses", given.allowed_ip_addresses.map(Value::from)),
        ("user_invokable", given.user_invokable.map(Value::from)),
        ("extra_variables", extra),
        ("coalesce", given.coalesce.map(Value::from)),
        ("rate_limit_per_minute", given.rate_limit.map(Value::from)),
    ];
    Ok(properties.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}
