//! A GraphQL API to try portals with: named and shaped as a part of Buildkite's, its state in memory.

mod schema;
mod state;

use async_graphql::{EmptySubscription, Schema};
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use model::{Fingerprint, Secret};
use schema::{Mutation, Query};
use state::Builds;

/// Selections inside each other.
const MAX_DEPTH: usize = 20;
/// Selections in all.
const MAX_COMPLEXITY: usize = 2_000;

#[derive(Clone)]
struct Upstream {
    schema: Schema<Query, Mutation, EmptySubscription>,
    credential: Option<Fingerprint>,
}

/// The API at `/graphql`; with a credential it answers nobody who does not show it.
pub(crate) fn router(credential: Option<Secret>) -> Router {
    let schema = Schema::build(Query, Mutation, EmptySubscription)
        .data(Builds::example())
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_COMPLEXITY)
        .finish();
    let credential = credential.map(|credential| Fingerprint::of(credential.expose().as_bytes()));
    Router::new().route("/graphql", post(answer)).with_state(Upstream { schema, credential })
}

async fn answer(State(upstream): State<Upstream>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(credential) = upstream.credential {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.strip_prefix("Bearer "));
        if shown.map(|text| Fingerprint::of(text.as_bytes())) != Some(credential) {
            return json(StatusCode::UNAUTHORIZED, r#"{"errors":[{"message":"Invalid access token"}]}"#);
        }
    }
    let request: async_graphql::Request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(_) => {
            return json(StatusCode::BAD_REQUEST, r#"{"errors":[{"message":"Expected a GraphQL request"}]}"#);
        }
    };
    let response = upstream.schema.execute(request).await;
    match serde_json::to_string(&response) {
        Ok(text) => json(StatusCode::OK, text),
        Err(_) => json(StatusCode::INTERNAL_SERVER_ERROR, r#"{"errors":[{"message":"Internal error"}]}"#),
    }
}

fn json(status: StatusCode, body: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(document: &str) -> String {
        let schema = Schema::build(Query, Mutation, EmptySubscription).data(Builds::example()).finish();
        serde_json::to_string(&schema.execute(document).await).unwrap()
    }

    #[tokio::test]
    async fn the_documentations_documents_are_answered() {
        let made = run(include_str!("documents/trigger-main-build.graphql")).await;
        assert!(made.contains("my-pipeline/builds/") && !made.contains("errors"), "{made}");
        let time = include_str!("documents/get-total-build-run-time.graphql");
        assert!(
            run(time).await.contains("is not used"),
            "it is as strict as others: the portal leaves it out"
        );
        let time = run(&time.replace("($build_slug: ID)", "")).await;
        assert!(time.contains("finishedAt") && !time.contains("errors"), "{time}");
    }

    #[tokio::test]
    async fn a_new_build_is_the_newest_of_its_branch() {
        let schema = Schema::build(Query, Mutation, EmptySubscription).data(Builds::example()).finish();
        let new = r#"mutation { buildCreate(input: {pipelineID: "pipeline-id", branch: "main"}) { build { number } } }"#;
        let made = serde_json::to_value(schema.execute(new).await).unwrap();
        let list = r#"{ pipeline(slug: "my-organization/my-pipeline") { builds(first: 1, branch: ["main"]) { edges { node { number } } } } }"#;
        let listed = serde_json::to_value(schema.execute(list).await).unwrap();
        assert_eq!(
            made["data"]["buildCreate"]["build"],
            listed["data"]["pipeline"]["builds"]["edges"][0]["node"],
        );
    }
}
