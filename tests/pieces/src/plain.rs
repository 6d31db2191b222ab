//! The pieces that are plain functions.

use crate::Failure;
use executor::Portal;
use model::{document::Document, input::InputTypes, json, portal::ExtraVariables, variables};
use proto::grant::DocumentClaim;
use std::{fmt::Write, hint::black_box};

const DOCUMENT: &str = "query GetBuilds($pipelineSlug: ID!) { pipeline(slug: $pipelineSlug) { builds(last: 10, branch: \"main\") { edges { node { url } } } } }";
const VARIABLES: &[u8] = br#"{"pipelineSlug":"pipe-000001"}"#;

fn document() -> Result<Document, Failure> {
    Document::parse(DOCUMENT).map_err(|problems| format!("{problems:?}").into())
}

pub(crate) fn variables(times: u32) -> Result<(), Failure> {
    let document = document()?;
    let operation = document.operations.first().ok_or("the document has an operation")?;
    let types = InputTypes::unknown();
    for _ in 0..times {
        variables::coerce(operation, &types, ExtraVariables::Reject, black_box(VARIABLES))?;
    }
    Ok(())
}

pub(crate) fn upstream_body(times: u32) -> Result<(), Failure> {
    let portal = Portal::compile(DocumentClaim::from(&document()?))?;
    for _ in 0..times {
        portal.prepare(None, ExtraVariables::Reject, black_box(VARIABLES))?;
    }
    Ok(())
}

pub(crate) fn answer(builds: u32, times: u32) -> Result<(), Failure> {
    let answer = builds_of_a_pipeline(builds)?;
    for _ in 0..times {
        json::response_head(black_box(answer.as_bytes()), true)?;
    }
    Ok(())
}

/// An answer of about 75 bytes for each build.
pub(crate) fn builds_of_a_pipeline(builds: u32) -> Result<String, Failure> {
    let mut answer = String::from(r#"{"data":{"pipeline":{"builds":{"edges":["#);
    for build in 0..builds {
        let comma = if build == 0 { "" } else { "," };
        write!(
            answer,
            r#"{comma}{{"node":{{"url":"https://ci.example.test/acme/web/builds/{build:05}"}}}}"#
        )?;
    }
    answer.push_str("]}}}}");
    Ok(answer)
}
