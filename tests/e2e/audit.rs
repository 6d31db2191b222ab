//! The audit, as the command line reads and checks it.

use crate::PORTALS;
use house::{ADMIN_TOKEN, House, Shape};
use http::Method;
use serde_json::{Value, json};
use tokio::process::Command;

const DOCUMENT: &str = "query Who { viewer { user { name } } }";

/// Runs `portals audit` with these words: its exit code, and what it said.
async fn audit(house: &House, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(PORTALS)
        .arg("audit")
        .args(words)
        .env_clear()
        .env("PORTALS_URL", house.url(""))
        .env("PORTALS_TOKEN", ADMIN_TOKEN)
        .output()
        .await
        .unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[tokio::test]
async fn the_command_line_checks_every_event_over_several_pages() {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    house.organization("acme", Value::Null).await;
    assert!(audit(&house, &["verify", "acme"]).await.1.starts_with("1 events are as they were written"));
    let names = ["ü", "a\u{2028}\"b\\", "\u{1f680}"];
    for number in 0..110 {
        let (name, slug) = (format!("{} {number}", names[number % 3]), format!("portal-{number}"));
        let body = json!({"name": name, "slug": slug, "query": DOCUMENT, "description": "\u{7f}\t"});
        house.manage(Method::POST, "/v2/organizations/acme/portals", body).await.expect(201);
    }

    let (code, said) = audit(&house, &["verify", "acme", "--json"]).await;

    let verdict: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    let head = verdict["head"].as_str().unwrap();
    assert_eq!((code, verdict["events"].as_u64()), (Some(0), Some(111)));
    assert_eq!(audit(&house, &["verify", "acme", "--head", head]).await.0, Some(0));
    let (code, said) = audit(&house, &["verify", "acme", "--head", &head.replace(&head[..1], "z")]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("no event has the hash"), "{said}");
    let (code, said) = audit(&house, &["list", "acme"]).await;
    assert_eq!((code, said.lines().count()), (Some(0), 112));
    assert!(said.lines().nth(1).unwrap().contains("PORTAL_CREATED"), "{said}");
    assert_eq!(audit(&house, &["verify", "nobody"]).await.0, Some(1));
    house.close().await;
}
