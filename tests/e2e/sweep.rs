//! Whoever administers one organization and names another's things reads nothing of them and changes nothing.
//!
//! What is asked is made of the served document, so that a route which is new is swept too. One that names things in a
//! way which is not known here fails the test.

mod operations;
mod things;

use crate::PORTALS;
use house::{House, Reply, Shape};
use http::Method;
use operations::{IDENTIFIERS, Identifier, Operation, operations};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use things::Things;

#[tokio::test]
async fn who_names_another_organizations_things_with_an_access_token_gets_nothing() {
    swept("access token").await;
}

#[tokio::test]
async fn who_names_another_organizations_things_in_a_session_gets_nothing() {
    swept("session").await;
}

/// Sweeps as the administrator of `acme`, who presents the thing of that name.
async fn swept(presented: &str) {
    let house = House::open(PORTALS, Shape::Up, &["--rest-rate-limit", "0"]).await;
    let own = Things::furnish(&house, "acme").await;
    let others = Things::furnish(&house, "other").await;
    let document = house.manage(Method::GET, "/v2/openapi.json", Value::Null).await.expect(200).json();
    let operations = operations(&document);
    let before = everything(&house, &operations, &others).await;
    let known = strings(&everything(&house, &operations, &own).await);
    let sweep = Sweep {
        house: &house,
        token: own[presented].clone(),
        facts: strings(&before).into_iter().filter(|fact| fact.len() > 5 && !known.contains(fact)).collect(),
        own,
        others,
    };
    assert!(sweep.facts.len() > 50, "{:?}", sweep.facts);

    let mut swaps = 0;
    for operation in &operations {
        swaps += sweep.paths(operation).await;
    }
    assert!(swaps >= 78, "{swaps}");
    for operation in &operations {
        sweep.bodies(operation).await;
    }
    assert_eq!(everything(&house, &operations, &sweep.others).await, before);
    house.call("other", "door", &sweep.others["service token"], r#"{"pipelineID":"1"}"#).await.expect(200);

    sweep.own_things_are_let_in(operations).await;
    house.close().await;
}

/// Someone who administers `own` and names what is of `others`.
struct Sweep<'a> {
    house: &'a House,
    token: String,
    own: Things,
    others: Things,
    /// What can be read of `others` and not of `own`.
    facts: BTreeSet<String>,
}

impl Sweep<'_> {
    /// Names each of the others' things, and several, in the place of one's own; counts how often.
    async fn paths(&self, operation: &Operation) -> u32 {
        let slots = operation.slots.len();
        if operation.method == Method::GET {
            let reply = self.ask(operation, &self.own_path(operation), &Value::Null).await;
            assert!([200, 403].contains(&reply.status.as_u16()), "{operation}: {reply:?}");
        }
        for swapped in 1..1_u32 << slots {
            let swapped = |slot: usize| swapped >> slot & 1 == 1;
            let named = |things: &dyn Fn(&str) -> String| {
                operation.at(|slot, kind| if swapped(slot) { things(kind) } else { self.own[kind].clone() })
            };
            let reply =
                self.ask(operation, &named(&|kind| self.others.theirs_alone(kind)), &operation.body).await;
            assert!([403, 404].contains(&reply.status.as_u16()), "{operation}: {reply:?}");
            // Nor does it show that they are there.
            let nothing = self.ask(operation, &named(&things::nothing), &operation.body).await;
            assert_eq!((reply.status, reply.body), (nothing.status, nothing.body), "{operation}");
        }
        (1 << slots) - 1
    }

    /// Names the others' things in the bodies of requests about one's own.
    async fn bodies(&self, operation: &Operation) {
        for property in &operation.properties {
            let known = IDENTIFIERS
                .iter()
                .find(|known| (known.operation, known.property) == (&operation.id, property));
            let Some(Identifier { thing, status, shows, .. }) = known else {
                assert!(
                    operations::PLAIN.contains(&&**property),
                    "nobody knows whether {property} of {operation} names a thing"
                );
                continue;
            };
            let mut body = operation.body.clone();
            body.as_object_mut().unwrap().retain(|name, _| operation.required.contains(name));
            body[property] = json!(self.others[thing]);
            let path = self.own_path(operation);
            let reply = self.send(operation, &path, &body).await.expect(*status);
            let shown = self.read(shows).await;
            self.assert_silent(operation, &[&path, &body.to_string(), &shown], &reply);
            self.undo(operation, property, &path, &reply).await;
        }
    }

    /// What the operator reads at a path of the others' things; nothing where there is no path.
    async fn read(&self, path: &str) -> String {
        if path.is_empty() {
            return String::new();
        }
        let path = path.replace("{clerk}", &self.others["clerk"]);
        let reply = self.house.manage(Method::GET, &path, Value::Null).await.expect(200);
        String::from_utf8(reply.body.to_vec()).unwrap()
    }

    /// Undoes what was done to one's own.
    async fn undo(&self, operation: &Operation, property: &str, path: &str, reply: &Reply) {
        match reply.status.as_u16() {
            200 => {
                let path = path.replace(&self.own["portals"], &self.others["gate"]);
                let back = json!({(property): self.own["portals"]});
                self.house.manage(operation.method.clone(), &path, back).await.expect(200);
            }
            201 => {
                let path = reply.header("location").replace(&self.house.url(""), "");
                self.house.manage(Method::DELETE, &path, Value::Null).await.expect(204);
            }
            _ => {}
        }
    }

    /// That nothing was let in was for what was named: the same requests about one's own are let in.
    async fn own_things_are_let_in(&self, mut operations: Vec<Operation>) {
        // What is within another thing goes before it.
        operations.sort_by_key(|operation| {
            (operation.method == Method::DELETE, usize::MAX - operation.slots.len())
        });
        let mut done = 0;
        for operation in operations.iter().filter(|operation| !operation.slots.is_empty()) {
            let mut body = operation.body.clone();
            if let Some(body) = body.as_object_mut() {
                // Of the examples' document, and not of one's own.
                for property in ["slug", "operations", "variables"] {
                    body.remove(property);
                }
            }
            let path = self.own_path(operation);
            let reply = self.send(operation, &path, &body).await;
            done += u32::from(reply.status.is_success());
            // The operator's alone, or let in and judged.
            assert!(
                reply.status.is_success() || [403, 409, 412, 422].contains(&reply.status.as_u16()),
                "{operation}: {reply:?}"
            );
        }
        assert!(done >= 23, "{done}");
    }

    fn own_path(&self, operation: &Operation) -> String {
        operation.at(|_, kind| self.own[kind].clone())
    }

    async fn ask(&self, operation: &Operation, path: &str, body: &Value) -> Reply {
        let reply = self.send(operation, path, body).await;
        self.assert_silent(operation, &[path, &body.to_string()], &reply);
        reply
    }

    async fn send(&self, operation: &Operation, path: &str, body: &Value) -> Reply {
        self.house.manage_as(&self.token, operation.method.clone(), path, body.clone()).await
    }

    /// Fails the test if an answer tells a fact that does not stand in `said`.
    fn assert_silent(&self, operation: &Operation, said: &[&str], reply: &Reply) {
        let told = format!("{} {:?}", String::from_utf8_lossy(&reply.body), reply.headers);
        for fact in &self.facts {
            let known = said.iter().any(|said| said.contains(fact.as_str()));
            assert!(known || !told.contains(fact.as_str()), "{operation} tells {fact}: {told}");
        }
    }
}

/// All that the operator reads, or whoever may, of an organization, by path.
async fn everything(house: &House, operations: &[Operation], things: &Things) -> BTreeMap<String, Value> {
    let mut read = BTreeMap::new();
    for operation in operations {
        if operation.method == Method::GET && !operation.slots.is_empty() {
            let path = format!("{}?per_page=100", operation.at(|_, kind| things[kind].clone()));
            // A code is a member's to look at, and nobody else's.
            let is_code = operation.slots.iter().any(|slot| slot == "codes");
            let token = if is_code { &things["session"] } else { house::ADMIN_TOKEN };
            let reply = house.manage_as(token, Method::GET, &path, Value::Null).await.expect(200).json();
            read.insert(path, reply);
        }
    }
    read
}

/// Every string in what was read, as it stands in JSON.
fn strings(read: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    read.values().for_each(|value| collect(value, &mut found));
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            found.insert(json!(text).to_string().trim_matches('"').to_owned());
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(entries) => entries.values().for_each(|value| collect(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
