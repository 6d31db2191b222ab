//! The documentation's organization and portals, created through the API, and the commands that call them.
//!
//! Everything may be there already: portals that were made before stay as they are, the organization gets the upstream that
//! is told now, and tokens are new.

use crate::{client::api::Api, exit::Failure};
use http::{Method, StatusCode};
use model::Secret;
use serde_json::{Value, json};
use std::fmt::Write;

const ORGANIZATION: &str = "my-organization";
const ORGANIZATIONS: &str = "/v2/organizations";
/// By this the demo knows its own tokens.
const DESCRIPTION: &str = "portals demo";
/// How many tokens of its runs a portal has, the new one among them; older ones are revoked, for it holds only so many.
const KEPT_TOKENS: usize = 5;

/// A portal of the documentation.
struct Example {
    name: &'static str,
    slug: &'static str,
    document: &'static str,
    /// What calls it: a title, an operation's name where one is needed, variables.
    calls: &'static [(&'static str, Option<&'static str>, &'static str)],
}

const EXAMPLES: &[Example] = &[
    Example {
        name: "Trigger main build",
        slug: "trigger-main-build",
        document: include_str!("documents/trigger-main-build.graphql"),
        calls: &[("Trigger a build on the main branch", None, "{}")],
    },
    Example {
        name: "Portal slug",
        slug: "portal-slug",
        document: include_str!("documents/portal-slug.graphql"),
        calls: &[
            (
                "One of two operations: recent builds",
                Some("GetBuilds"),
                r#"{ "pipelineSlug": "my-organization/my-pipeline" }"#,
            ),
            ("The other: trigger a build", Some("triggerBuild"), r#"{ "pipelineID": "pipeline-id" }"#),
        ],
    },
    Example {
        name: "Get total build run time",
        slug: "get-total-build-run-time",
        document: include_str!("documents/get-total-build-run-time.graphql"),
        calls: &[(
            "Pass an argument",
            None,
            r#"{ "build_slug": "organization-slug/pipeline-slug/build-number" }"#,
        )],
    },
];

/// A call that works.
pub(super) struct Call {
    title: &'static str,
    url: String,
    token: Secret,
    variables: &'static str,
}

/// Creates what is not there, and a token for each portal.
pub(super) async fn create(
    api: &Api,
    upstream_url: &str,
    credential: Option<&Secret>,
) -> Result<Vec<Call>, Failure> {
    organization(api, upstream_url, credential).await?;
    let mut calls = Vec::new();
    for example in EXAMPLES {
        let (url, token) = portal(api, example).await?;
        calls.extend(example.calls.iter().map(|(title, operation, variables)| Call {
            title,
            url: match operation {
                Some(name) => format!("{url}?operation_name={name}"),
                None => url.clone(),
            },
            token: token.clone(),
            variables,
        }));
    }
    Ok(calls)
}

/// The organization, with this upstream.
async fn organization(api: &Api, upstream_url: &str, credential: Option<&Secret>) -> Result<(), Failure> {
    let mut body = json!({"upstream_url": upstream_url});
    if let (Some(credential), Some(body)) = (credential, body.as_object_mut()) {
        body.insert("upstream_token".to_owned(), json!(credential.expose()));
    }
    let path = format!("{ORGANIZATIONS}/{ORGANIZATION}");
    if find(api, &path).await?.is_some() {
        api.manage(Method::PATCH, &path, &[], Some(&body)).await?;
        return Ok(());
    }
    if let Some(body) = body.as_object_mut() {
        body.insert("name".to_owned(), json!("My organization"));
        body.insert("slug".to_owned(), json!(ORGANIZATION));
    }
    api.manage(Method::POST, ORGANIZATIONS, &[], Some(&body)).await?;
    Ok(())
}

/// The URL of a portal and a new token of it.
async fn portal(api: &Api, example: &Example) -> Result<(String, Secret), Failure> {
    let list = format!("{ORGANIZATIONS}/{ORGANIZATION}/portals");
    let path = format!("{list}/{}", example.slug);
    let made: Value = match find(api, &path).await? {
        Some(portal) => {
            let tokens = format!("{path}/tokens");
            forget_old_tokens(api, &tokens).await?;
            let body = json!({"description": DESCRIPTION});
            let token: Value = api.manage(Method::POST, &tokens, &[], Some(&body)).await?.json()?;
            json!({"url": portal.get("url"), "token": token.get("token")})
        }
        None => {
            let body = json!({"name": example.name, "slug": example.slug, "query": example.document});
            api.manage(Method::POST, &list, &[], Some(&body)).await?.json()?
        }
    };
    let text = |name: &str| {
        let text = made.get(name).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| Failure::refused(format!("the answer about `{}` has no {name}", example.slug)))
    };
    Ok((text("url")?, Secret::new(text("token")?)))
}

/// Revokes the oldest tokens that former runs have made.
async fn forget_old_tokens(api: &Api, tokens: &str) -> Result<(), Failure> {
    let mut kept = 0;
    for token in api.list(tokens).await? {
        let token: Value = serde_json::from_str(token.get()).unwrap_or_default();
        let ours = token.get("description").and_then(Value::as_str) == Some(DESCRIPTION);
        let Some(uuid) = token.get("uuid").and_then(Value::as_str).filter(|_| ours) else { continue };
        kept += 1;
        if kept >= KEPT_TOKENS {
            api.manage(Method::DELETE, &format!("{tokens}/{uuid}"), &[], None).await?;
        }
    }
    Ok(())
}

/// What lies at `path`, if there is anything.
async fn find(api: &Api, path: &str) -> Result<Option<Value>, Failure> {
    let reply = api.send(Method::GET, path, &[], None).await?;
    match reply.status {
        StatusCode::NOT_FOUND => Ok(None),
        status if status.is_success() => reply.json().map(Some),
        _ => Err(reply.refusal()),
    }
}

/// The calls as commands to paste.
pub(super) fn commands(calls: &[Call]) -> String {
    let mut text = String::from("\n# The portals of the documentation are ready. Paste these:\n");
    for call in calls {
        let Call { title, url, token, variables } = call;
        let token = token.expose();
        // Writing to a string does not fail.
        let _written = write!(
            text,
            "\n# {title}\ncurl -H \"Authorization: Bearer {token}\" \\\n  -H \"Content-Type: application/json\" \\\n  \
             -d '{variables}' \\\n  -X POST \"{url}\"\n"
        );
    }
    text
}
