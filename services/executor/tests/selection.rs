//! Which operation runs, against the verdicts of a reference implementation.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that fails ends here"
)]

mod support;

use model::{Reason, document::Document};
use proto::{Execute, grant::DocumentClaim};
use std::{io::Write, path::Path};
use support::{House, upstream::Upstream};

const DOCUMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/spec/documents.json");

/// What the contract makes of the reference's verdict: for it an empty name names nothing.
fn expected(document: &Document, name: Option<&str>) -> Result<(), Reason> {
    match (name.filter(|name| !name.is_empty()), document.operations.as_slice()) {
        (None, [_]) => Ok(()),
        (None, _) => Err(Reason::OperationNameRequired),
        (Some(name), all) if all.iter().any(|operation| operation.name.as_deref() == Some(name)) => Ok(()),
        (Some(_), _) => Err(Reason::OperationNotFound),
    }
}

#[tokio::test]
async fn operations_are_selected_as_the_reference_does() {
    let Ok(text) = std::fs::read_to_string(Path::new(DOCUMENTS)) else {
        let _gone = writeln!(std::io::stderr(), "SKIPPED: {DOCUMENTS} is not there");
        return;
    };
    let table: serde_json::Value = serde_json::from_str(&text).unwrap();
    let house = House::open();
    let upstream = Upstream::start([]).await;
    let mut compared = 0;
    for case in table["documents"].as_array().unwrap() {
        // Large ones lie in files of their own and have nothing to say of names that others have not.
        let Some(source) = case["document"].as_str() else { continue };
        let Ok(document) = Document::parse(source) else { continue };
        if !document.operations.iter().all(runs_without_variables) {
            continue;
        }
        let grant = house.grant_for(DocumentClaim::from(&document), &upstream.url).change(|claims| {
            claims.portal = case["id"].as_str().unwrap().to_owned();
        });
        for selection in case["selection"].as_array().unwrap() {
            let name = selection["operation_name"].as_str();
            let mut call = grant.call();
            call.operation_name = name.map(str::to_owned);
            let outcome = house.executor.execute(call).await.map(|_| ()).map_err(|fault| fault.reason());
            assert_eq!(outcome, expected(&document, name), "{} {name:?}", case["id"]);
            if name != Some("") {
                assert_eq!(outcome.is_ok(), selection["execute"] == "ok", "{} {name:?}", case["id"]);
            }
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}

fn runs_without_variables(operation: &model::document::Operation) -> bool {
    operation.variables.iter().all(|variable| {
        variable.default.is_some() || !matches!(variable.r#type, model::document::Type::NonNull(_))
    })
}
