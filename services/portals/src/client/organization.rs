//! `portals org`: organizations and their upstreams.

use super::{api::Api, input, output, segment};
use crate::{
    cli::manage::{Org, OrgAction, OrgProperties},
    config::secret,
    exit::Failure,
};
use http::Method;
use serde_json::{Map, Value, json};

const PATH: &str = "/v2/organizations";
const COLUMNS: [&str; 5] = ["slug", "name", "upstream_url", "rate_limit_per_minute", "created_at"];

/// Runs it.
pub(crate) fn run(command: Org) -> Result<(), Failure> {
    let api = Api::new(command.server)?;
    super::run(async move {
        match command.action {
            OrgAction::Create { slug, properties } => {
                let mut body = read(properties)?;
                body.entry("name").or_insert_with(|| json!(slug));
                body.insert("slug".to_owned(), json!(slug));
                let made = api.manage(Method::POST, PATH, &[], Some(&Value::Object(body))).await?;
                output::show(&api, &made)
            }
            OrgAction::List => output::table(&api, &api.list(PATH).await?, &COLUMNS),
            OrgAction::Show { slug } => {
                output::show(&api, &api.manage(Method::GET, &path(&slug)?, &[], None).await?)
            }
            OrgAction::Update { slug, properties } => {
                let body = Value::Object(read(properties)?);
                output::show(&api, &api.manage(Method::PATCH, &path(&slug)?, &[], Some(&body)).await?)
            }
            OrgAction::Delete { slug } => {
                api.manage(Method::DELETE, &path(&slug)?, &[], None).await?;
                output::done(&api, &format!("deleted {slug}"));
                Ok(())
            }
        }
    })
}

fn path(slug: &str) -> Result<String, Failure> {
    Ok(format!("{PATH}/{}", segment(slug)?))
}

/// The properties that were given, as the API names them.
fn read(given: OrgProperties) -> Result<Map<String, Value>, Failure> {
    let token = given.upstream_token;
    let token = secret::read("upstream-token", token.upstream_token, token.upstream_token_file)?;
    let mut headers = Map::new();
    for header in &given.upstream_headers {
        let Some((name, value)) = header.split_once(':') else {
            return Err(Failure::usage("--upstream-header: expected NAME: VALUE"));
        };
        headers.insert(name.trim().to_owned(), json!(value.trim()));
    }
    let schema = given.schema.map(|schema| input("--schema", &schema)).transpose()?;
    let properties = [
        ("name", given.name.map(Value::from)),
        ("upstream_url", given.upstream_url.map(Value::from)),
        ("upstream_token", token.map(|token| json!(token.expose()))),
        ("upstream_headers", (!headers.is_empty()).then_some(Value::Object(headers))),
        ("upstream_timeout_seconds", given.upstream_timeout.map(Value::from)),
        ("rate_limit_per_minute", given.rate_limit.map(Value::from)),
        ("schema", schema.map(|schema| if schema.is_empty() { Value::Null } else { Value::from(schema) })),
    ];
    Ok(properties.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}
