//! How answers are shown: the API's JSON as it is, or in a few words.

use super::api::{Api, Reply};
use crate::exit::{self, Failure};
use serde_json::{Map, Value, value::RawValue};
use std::io::{self, Write};

/// Longer texts are cut in tables.
const CELL_CHARS: usize = 48;

/// Shows one thing: its properties, one a line.
pub(crate) fn show(api: &Api, reply: &Reply) -> Result<(), Failure> {
    if api.json {
        print_raw(&reply.body);
        return Ok(());
    }
    show_value(&reply.json()?);
    Ok(())
}

/// Shows one thing that was read already.
pub(crate) fn show_value(thing: &Map<String, Value>) {
    let width = thing.keys().map(String::len).max().unwrap_or_default();
    for (name, value) in thing {
        let text = text(value);
        match text.contains('\n') {
            true => exit::print(&format!("{name}:\n    {}\n", text.trim_end().replace('\n', "\n    "))),
            false => exit::print(&format!("{name:width$}  {text}\n")),
        }
    }
}

/// Says in words what was done; the API's own answer to it is empty.
pub(crate) fn done(api: &Api, what: &str) {
    if !api.json {
        exit::print(&format!("{what}\n"));
    }
}

/// Shows many things as a table of these properties; a dot leads into one that is an object.
pub(crate) fn table(api: &Api, things: &[Box<RawValue>], columns: &[&str]) -> Result<(), Failure> {
    if api.json {
        let all = serde_json::to_string(things).map_err(|error| Failure::internal(error.to_string()))?;
        exit::print(&format!("{all}\n"));
        return Ok(());
    }
    let mut rows =
        vec![columns.iter().map(|name| name.to_uppercase().replace(['_', '.'], " ")).collect::<Vec<_>>()];
    for thing in things {
        let thing: Value = serde_json::from_str(thing.get())
            .map_err(|_| Failure::refused("the list is not what this API says"))?;
        let value = |name: &str| name.split('.').try_fold(&thing, |thing, name| thing.get(name));
        rows.push(columns.iter().map(|name| cell(value(name).unwrap_or(&Value::Null))).collect());
    }
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            rows.iter()
                .filter_map(|row| row.get(at))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    for row in rows {
        let line: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        exit::print(&format!("{}\n", line.join("  ").trim_end()));
    }
    Ok(())
}

/// Tells people something on stderr: stdout is for what was asked for. A terminal that is gone shows nothing.
pub(crate) fn tell(text: &str) {
    let mut out = io::stderr().lock();
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints bytes as they came, and a line end.
pub(crate) fn print_raw(body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    exit::print(&format!("{}\n", text.trim_end_matches('\n')));
}

fn cell(value: &Value) -> String {
    let text = text(value).replace('\n', " ");
    match text.char_indices().nth(CELL_CHARS) {
        Some((at, _)) => text.split_at_checked(at).map(|(head, _)| format!("{head}…")).unwrap_or_default(),
        None => text,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(entries) if entries.is_empty() => "-".to_owned(),
        other => other.to_string(),
    }
}
