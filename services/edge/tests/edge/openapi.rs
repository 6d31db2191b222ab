//! The document of the management: that it is what is served, and served what it is.

use crate::stage::{ORGANIZATION, PORTAL, Reply, Stage, TOKEN};
use axum::body::Body;
use http::{Method, Request};
use proto::registry::v1;
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, fs};

/// The document as it was when it was last looked at.
const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/edge/openapi.json");
/// Set, it is written anew.
const RENEW: &str = "PORTALS_TEST_RENEW";
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

async fn document(stage: &Stage) -> Reply {
    let request = Request::builder().uri("/v2/openapi.json").header("host", "portals.example");
    stage.ask(request.body(Body::empty()).unwrap()).await
}

/// Each operation with its method and its path.
fn operations(document: &Value) -> Vec<(Method, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let methods = METHODS.into_iter();
            methods.filter_map(move |method| {
                let operation = item.get(method.as_str().to_lowercase())?;
                Some((method, path.as_str(), operation))
            })
        })
        .collect()
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).expect(reference),
        None => value,
    }
}

/// A path that names things which may be.
fn named(path: &str) -> String {
    path.replace("{organization}", "my-organization").replace("{uuid}", TOKEN).replace(['{', '}'], "")
}

/// A stage whose registry gives every scope and answers every call.
fn stage() -> Stage {
    let stage = Stage::open();
    stage.registry.answer("describe_access_token", |_: &v1::DescribeAccessTokenRequest| {
        let scopes = ["write_portals", "write_organizations", "write_members", "write_user"];
        let scopes = scopes.map(str::to_owned).to_vec();
        Ok(v1::DescribeAccessTokenResponse { scopes, ..v1::DescribeAccessTokenResponse::default() })
    });
    stage
}

#[tokio::test]
async fn the_document_is_for_everybody_and_is_the_copy_that_was_looked_at() {
    let reply = document(&Stage::open()).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("content-type")),
        (200, Some("application/json; charset=utf-8"))
    );
    let text = format!("{}\n", reply.text());
    if std::env::var_os(RENEW).is_some() {
        fs::write(COPY, &text).unwrap();
    }
    let copy = fs::read_to_string(COPY).unwrap();
    assert!(
        text == copy,
        "the document is another: {RENEW}=1 cargo test -p edge openapi; look at what changed"
    );
    assert_eq!(reply.json()["openapi"], "3.1.0");
    assert_eq!(reply.json()["servers"], json!([{"url": "https://portals.example"}]));
}

#[tokio::test]
async fn every_path_knows_the_methods_that_are_told_and_no_other() {
    let stage = stage();
    let document = document(&stage).await.json();
    for path in document["paths"].as_object().unwrap().keys() {
        let told = operations(&document).into_iter().filter(|(_, other, _)| other == path);
        let mut told: BTreeSet<_> = told.map(|(method, ..)| method.as_str().to_owned()).collect();
        if told.contains("GET") {
            told.insert("HEAD".to_owned());
        }
        let reply = stage.ask(stage.request(Method::TRACE, &named(path), "")).await;
        assert_eq!(reply.status.as_u16(), 405, "{path}");
        let allowed = reply.header("allow").unwrap().split(", ").map(str::to_owned);
        assert_eq!(allowed.collect::<BTreeSet<_>>(), told, "{path}");
    }
}

#[tokio::test]
async fn who_has_no_token_is_refused_where_the_document_says_so() {
    let stage = stage();
    let document = document(&stage).await.json();
    for (method, path, operation) in operations(&document) {
        let mut request = stage.request(method.clone(), &named(path), "");
        request.headers_mut().remove("authorization");
        let status = stage.ask(request).await.status.as_u16();
        // Those who sign in are refused for their password.
        let signs_in = ["/v2/sessions", "/v2/sessions/openid", "/v2/invitations/accept"].contains(&path)
            && method == Method::POST;
        let told = operation["responses"].get("401").is_some();
        assert_eq!(status == 401 || signs_in, told, "{method} {path}");
        assert_eq!(status == 401, operation["security"][0].get("accessToken").is_some(), "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_is_read_from_those_alone_who_have_the_scope_that_is_told() {
    let stage = stage();
    let document = document(&stage).await.json();
    for (method, path, operation) in operations(&document) {
        let Some(scope) = operation["security"][0]["accessToken"][0].as_str() else { continue };
        if operation.get("requestBody").is_none() {
            continue;
        }
        stage.registry.answer("describe_access_token", |_: &v1::DescribeAccessTokenRequest| {
            Ok(v1::DescribeAccessTokenResponse::default())
        });
        let reply = stage.ask(stage.request(method.clone(), &named(path), "{")).await;
        assert_eq!(reply.status.as_u16(), 403, "{method} {path}");
        assert!(reply.text().contains(scope), "{method} {path}: {}", reply.text());
    }
}

/// Whether a schema lets a value be, by its type alone.
fn lets(document: &Value, schema: &Value, value: &Value) -> bool {
    let schema = resolved(document, schema);
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().any(|choice| lets(document, choice, value));
    }
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match &schema["type"] {
        Value::String(one) => one == name,
        Value::Array(several) => several.iter().any(|one| one == name),
        other => panic!("no type: {other}"),
    }
}

/// Values of every type, of which one is what the schema gives as an example.
fn values(document: &Value, schema: &Value) -> Vec<Value> {
    let choices = resolved(document, schema)["oneOf"].as_array().cloned();
    let mut schemas = choices.unwrap_or_else(|| vec![schema.clone()]).into_iter();
    let example = schemas.find_map(|schema| {
        let schema = resolved(document, &schema).clone();
        if schema.get("oneOf").is_some() {
            return values(document, &schema).pop();
        }
        let item = schema["items"]["examples"].get(0).map(|item| json!([item]));
        schema["examples"].get(0).or_else(|| schema["enum"].get(0)).cloned().or(item)
    });
    let example = example.unwrap_or_else(|| json!("a"));
    let mut values = vec![Value::Null, json!(true), json!(1), json!("a"), json!(["a"]), json!({"a": "b"})];
    values.retain(|value| std::mem::discriminant(value) != std::mem::discriminant(&example));
    values.push(example);
    values
}

/// What is read is declared once for the reader and for the document. This looks at both from outside.
#[tokio::test]
async fn every_property_that_is_told_is_read_as_it_is_told() {
    let stage = stage();
    let document = document(&stage).await.json();
    let mut seen = 0;
    for (method, path, operation) in operations(&document) {
        let Some(body) = operation.get("requestBody") else { continue };
        let schema = resolved(&document, &body["content"]["application/json"]["schema"]);
        let choices =
            schema["oneOf"].as_array().map_or_else(|| vec![schema], |choices| choices.iter().collect());
        assert_eq!(body["required"], choices[0].get("required").is_some(), "{method} {path}");
        for name in choices[0]["properties"].as_object().unwrap().keys() {
            let property = json!({"oneOf": choices.iter().map(|choice| &choice["properties"][name]).collect::<Vec<_>>()});
            for value in values(&document, &property) {
                let sent = Map::from_iter([(name.clone(), value.clone())]);
                let reply =
                    stage.ask(stage.request(method.clone(), &named(path), Value::from(sent).to_string()));
                let reply = reply.await;
                let refused = reply.text().contains(&format!("{name} must be"))
                    || (value.is_null() && reply.text().contains(&format!("{name} is required")));
                let told = lets(&document, &property, &value);
                assert_eq!(refused, !told, "{method} {path}: {name} as {value}: {}", reply.text());
                seen += 1;
            }
        }
        let mut required = choices[0].get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        required.retain(|name| {
            choices.iter().all(|choice| choice["required"].as_array().unwrap().contains(name))
        });
        let reply = stage.ask(stage.request(method.clone(), &named(path), "{}")).await;
        let missing = required.iter().map(|name| format!("{} is required", name.as_str().unwrap()));
        let missing = missing.collect::<Vec<_>>().join(", ");
        let told = reply.json()["message"]
            .as_str()
            .unwrap_or_default()
            .strip_prefix("Validation failed: ")
            .map(str::to_owned);
        assert_eq!(told.unwrap_or_default(), missing, "{method} {path}");
    }
    assert!(seen > 100, "{seen}");
}

#[tokio::test]
async fn everything_that_is_referred_to_is_there_and_nothing_else() {
    let stage = stage();
    let document = document(&stage).await.json();
    let text = document.to_string();
    let mut referred = BTreeSet::new();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let reference = part.split('"').next().unwrap();
        assert!(document.pointer(reference).is_some(), "{reference}");
        referred.insert(reference.to_owned());
    }
    for (kind, components) in document["components"].as_object().unwrap() {
        for name in components.as_object().unwrap().keys().filter(|_| kind != "securitySchemes") {
            let reference = format!("/components/{kind}/{name}");
            assert!(referred.contains(&reference), "nobody refers to {reference}");
        }
    }
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
        for name in path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')) {
            let reference = json!({"$ref": format!("#/components/parameters/{name}")});
            assert!(operation["parameters"].as_array().unwrap().contains(&reference), "{method} {path}");
        }
    }
    assert!(ids.len() > 10);
}

#[tokio::test]
async fn what_is_answered_has_the_properties_that_are_told_and_no_other() {
    let stage = stage();
    let document = document(&stage).await.json();
    stage.registry.answer("get_portal", |_: &v1::GetPortalRequest| {
        let user = v1::User { uuid: TOKEN.to_owned(), ..v1::User::default() };
        let variable = v1::Variable { name: "a".to_owned(), r#type: "Int".to_owned(), required: false };
        let operation = v1::Operation { variables: vec![variable], ..v1::Operation::default() };
        let portal = v1::Portal {
            uuid: PORTAL.to_owned(),
            organization_uuid: ORGANIZATION.to_owned(),
            created_by: Some(user),
            operations: vec![operation],
            ..v1::Portal::default()
        };
        Ok(v1::GetPortalResponse { portal: Some(portal) })
    });
    let path = "/v2/organizations/{organization}/portals/{portal}";
    let reply = stage.ask(stage.request(Method::GET, &named(path), "")).await;
    let told = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    same(&document, told, &reply.json(), "portal");
}

/// Compares the properties of what is there with those that its schema has and requires.
fn same(document: &Value, schema: &Value, there: &Value, place: &str) {
    let schema = resolved(document, schema);
    if let Some(choices) = schema["oneOf"].as_array() {
        let choice = choices.iter().find(|choice| lets(document, choice, there)).expect(place);
        return same(document, choice, there, place);
    }
    assert!(lets(document, schema, there), "{place} is {there}");
    match there {
        Value::Object(entries) => {
            let told = schema["properties"].as_object().expect(place);
            for (name, value) in entries {
                same(document, told.get(name).expect(name), value, &format!("{place}.{name}"));
            }
            for name in schema["required"].as_array().expect(place) {
                assert!(entries.contains_key(name.as_str().unwrap()), "{place}.{name} is required");
            }
        }
        Value::Array(items) => items.iter().for_each(|item| same(document, &schema["items"], item, place)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
