//! Documents and variables that others wrote, with the verdicts of the reference implementation.
//!
//! They are not part of this repository; where they are missing, the tests that use them say so and see
//! nothing.

use serde_json::Value;
use std::{fs, io::Write, path::PathBuf};

const FILES: [&str; 5] = [
    "buildkite/operations.json",
    "buildkite/generated_operations.json",
    "github/operations.json",
    "github/generated_operations.json",
    "spec/documents.json",
];

/// A document and what is known of it.
#[allow(dead_code, reason = "each test reads its own part")]
pub(crate) struct Sample {
    pub(crate) id: String,
    pub(crate) document: String,
    pub(crate) valid_without_schema: bool,
    /// Rule, line and column of each error.
    pub(crate) errors: Vec<(String, Option<u64>, Option<u64>)>,
    /// Name and kind of each operation.
    pub(crate) operations: Vec<(Option<String>, String)>,
    /// Whether it lies in a file of its own.
    pub(crate) large: bool,
    /// Everything else.
    pub(crate) json: Value,
}

fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !folder.is_dir() {
        let _gone = writeln!(std::io::stderr(), "SKIPPED: there is no corpus at {}", folder.display());
        return None;
    }
    Some(folder)
}

/// A file of the corpus, if there is one.
pub(crate) fn file(name: &str) -> Option<Value> {
    let text = fs::read_to_string(folder()?.join(name)).unwrap();
    Some(serde_json::from_str(&without_half_pairs(&text)).unwrap())
}

/// The text with U+FFFD for each half of a surrogate pair, which the JSON reader here does not take.
fn without_half_pairs(text: &str) -> String {
    let mut parts = text.split("\\ud83d");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let half = !part.starts_with("\\ude00") && !whole.ends_with('\\');
        whole.push_str(if half { "\\ufffd" } else { "\\ud83d" });
        whole.push_str(part);
    }
    whole
}

/// Every document of the corpus.
pub(crate) fn documents() -> Vec<Sample> {
    let files = FILES.iter().filter_map(|name| file(name));
    let mut documents = files.map(|mut file| file["documents"].take()).collect::<Vec<_>>();
    documents.iter_mut().flat_map(|list| std::mem::take(list.as_array_mut().unwrap())).map(sample).collect()
}

fn sample(json: Value) -> Sample {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let document = match json["document"].as_str() {
        Some(document) => document.to_owned(),
        None => {
            fs::read_to_string(folder().unwrap().join("spec").join(text(&json["document_file"]))).unwrap()
        }
    };
    let errors = json["errors"].as_array().unwrap().iter();
    let errors = errors.map(|error| {
        let place = &error["locations"][0];
        (text(&error["rule"]), place["line"].as_u64(), place["column"].as_u64())
    });
    let operations = json["operations"].as_array().unwrap().iter();
    let operations =
        operations.map(|operation| (operation["name"].as_str().map(str::to_owned), text(&operation["type"])));
    Sample {
        id: text(&json["id"]),
        large: json["document"].is_null(),
        document,
        valid_without_schema: json["valid_without_schema"] == true,
        errors: errors.collect(),
        operations: operations.collect(),
        json,
    }
}
