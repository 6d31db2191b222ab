//! How audit events hang together: each is bound to the one before it by a hash that anybody can compute.
//!
//! It knows the JSON that is shown of an event, and neither where events lie nor who reads them.
//!
//! The hash is SHA-256, in 64 lower-case hexadecimal digits, of the event's JSON without its own `hash`: the keys of
//! every object sorted, no white space, in UTF-8, as RFC 8785 has it. `previous_hash` is part of that JSON.

use crate::{registry::v1, time};
use model::Fingerprint;
use serde_json::{Map, Value, json};

/// The property that the hash itself does not cover.
const HASH: &str = "hash";

/// An event as the management API shows it.
pub fn json(event: &v1::AuditEvent) -> Value {
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let party = |kind: &str, uuid: &str, name: &str| json!({"type": kind, "uuid": filled(uuid), "name": filled(name)});
    json!({
        "uuid": event.uuid,
        "occurred_at": event.occurred_at.and_then(time::read).and_then(time::text),
        "type": event.r#type,
        "actor": event.actor.as_ref().map(|actor| party(&actor.r#type, &actor.uuid, &actor.name)),
        "subject": event.subject.as_ref().map(|subject| party(&subject.r#type, &subject.uuid, &subject.name)),
        "data": serde_json::from_str(&event.data_json).unwrap_or(Value::Null),
        "ip": filled(&event.ip),
        "sequence": event.sequence,
        "previous_hash": filled(&event.previous_hash),
        HASH: filled(&event.hash),
    })
}

/// The hash of an event's JSON; what it says of itself under `hash` does not count.
pub fn hash(event: &Value) -> String {
    let mut text = String::new();
    match event {
        Value::Object(object) => write_object(object, Some(HASH), &mut text),
        other => write_value(other, &mut text),
    }
    Fingerprint::of(text.as_bytes()).to_hex()
}

fn write_value(value: &Value, to: &mut String) {
    match value {
        Value::Object(object) => write_object(object, None, to),
        Value::Array(entries) => {
            to.push('[');
            for (at, entry) in entries.iter().enumerate() {
                if at > 0 {
                    to.push(',');
                }
                write_value(entry, to);
            }
            to.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => to.push_str(&value.to_string()),
    }
}

/// Sorts the keys itself, whatever order the map keeps.
fn write_object(object: &Map<String, Value>, left_out: Option<&str>, to: &mut String) {
    let mut entries: Vec<_> = object.iter().filter(|(key, _)| Some(key.as_str()) != left_out).collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    to.push('{');
    for (at, (key, value)) in entries.into_iter().enumerate() {
        if at > 0 {
            to.push(',');
        }
        to.push_str(&Value::from(key.as_str()).to_string());
        to.push(':');
        write_value(value, to);
    }
    to.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_sorted_json_without_the_hash_itself() {
        let event: Value = serde_json::from_str(
            r#"{"type":"PORTAL_CREATED", "data":{"b":[1,{"z":null,"a":"ä\n"}],"a":true},"sequence":1,"hash":"x"}"#,
        )
        .unwrap();
        let canonical = "{\"data\":{\"a\":true,\"b\":[1,{\"a\":\"ä\\n\",\"z\":null}]},\"sequence\":1,\"type\":\"PORTAL_CREATED\"}";
        let expected: String = Fingerprint::of(canonical.as_bytes())
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hash(&event), expected);
        assert_eq!(hash(&json!({})), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    }
}
