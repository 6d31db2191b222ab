//! A CI job that holds no secret: what its provider says of it is exchanged for a token.

use crate::PORTALS;
use house::{House, Reply, Shape, Upstream};
use http::{Method, Response};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::process::Command;

const DOCUMENT: &str = "query Who { viewer { user { name } } }";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// An OpenID Connect issuer on a socket of its own.
pub(crate) struct Issuer {
    server: Upstream,
    key: EncodingKey,
}

impl Issuer {
    pub(crate) async fn open() -> Self {
        let server = Upstream::open().await;
        let pair = KeyPair::generate().unwrap();
        let key = EncodingKey::from_ec_der(pair.serialized_der());
        let mut public =
            serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
        public["kid"] = "k1".into();
        let origin = server.origin();
        server.answers(move |heard| {
            let body = match heard.path.as_str() {
                "/.well-known/openid-configuration" => {
                    json!({"issuer": origin, "jwks_uri": format!("{origin}/keys")})
                }
                "/keys" => json!({"keys": [public]}),
                _ => return Response::builder().status(404).body("{}".into()).unwrap(),
            };
            Response::new(body.to_string().into())
        });
        Self { server, key }
    }

    /// What it is called.
    pub(crate) fn origin(&self) -> String {
        self.server.origin()
    }

    /// A token of it, after `change` to its claims.
    pub(crate) fn jwt(&self, change: impl Fn(&mut Value)) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({"iss": self.server.origin(), "aud": "portals", "sub": "repo:acme/app", "repository": "acme/app",
            "ref": "refs/heads/main", "iat": now, "nbf": now, "exp": now + 300});
        change(&mut claims);
        let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &self.key).unwrap()
    }
}

async fn exchange(house: &House, media_type: &str, body: String) -> Reply {
    let url = house.url("/organizations/acme/portals/who/tokens");
    house.client.send(Method::POST, &url, &[("content-type", media_type)], body).await.unwrap()
}

#[tokio::test]
async fn a_job_exchanges_its_identity_for_a_token_in_one_process() {
    exchanged(Shape::Up).await;
}

#[tokio::test]
async fn a_job_exchanges_its_identity_for_a_token_split() {
    exchanged(Shape::Split { edges: 2 }).await;
}

async fn exchanged(shape: Shape) {
    let (house, issuer) = (House::open(PORTALS, shape, &[]).await, Issuer::open().await);
    house.organization("acme", Value::Null).await;
    house.portal("acme", "who", DOCUMENT, Value::Null).await;
    let trusted = "/v2/organizations/acme/portals/who/trusted_issuers";
    let body = json!({"issuer": issuer.server.origin(), "audience": "portals", "description": "CI",
        "conditions": {"repository": "acme/*", "ref": "refs/heads/main"}});
    let made = house.manage(Method::POST, trusted, body.clone()).await.expect(201).json();
    assert_eq!(made["conditions"], body["conditions"]);
    assert!(made["created_by"].is_null() && made["last_used_at"].is_null());

    let jwt = issuer.jwt(|_| ());
    let as_json = json!({"grant_type": JWT_BEARER, "assertion": jwt, "expires_in": 5}).to_string();
    let reply = exchange(&house, "application/json", as_json).await.expect(200).json();
    assert_eq!((&reply["token_type"], &reply["expires_in"]), (&json!("Bearer"), &json!(300)));
    let form = format!("grant_type={TOKEN_EXCHANGE}&subject_token={jwt}&subject_token_type={JWT}");
    let other = exchange(&house, "application/x-www-form-urlencoded", form).await.expect(200).json();
    assert_eq!(other["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    let tokens = [&reply["token"], &other["access_token"]].map(|token| token.as_str().unwrap().to_owned());
    for token in &tokens {
        house.secrets.add(token.as_str());
        house.call("acme", "who", token, "{}").await.expect(200);
    }

    let elsewhere = issuer.jwt(|claims| claims["ref"] = "refs/heads/other".into());
    let refused = exchange(
        &house,
        "application/json",
        json!({"grant_type": JWT_BEARER, "assertion": elsewhere}).to_string(),
    )
    .await;
    let refused = refused.expect(400).json();
    assert_eq!(refused["error"], "invalid_grant");
    assert!(refused["error_description"].as_str().unwrap().contains("`ref`"), "{refused}");
    let missing = exchange(&house, "application/json", json!({"grant_type": JWT_BEARER}).to_string()).await;
    assert_eq!(missing.expect(400).json()["error"], "invalid_request");

    let listed = house.manage(Method::GET, trusted, Value::Null).await.expect(200).json();
    assert!(!listed[0]["last_used_at"].is_null(), "{listed}");
    let uuid = made["uuid"].as_str().unwrap();
    house.manage(Method::DELETE, &format!("{trusted}/{uuid}"), Value::Null).await.expect(204);
    let edges = if shape == Shape::Up { 1 } else { 2 };
    for (edge, token) in (0..edges).flat_map(|edge| tokens.iter().map(move |token| (edge, token))) {
        house.call_at(edge, "acme", "who", token, "{}").await.unwrap().expect_fault(401, "UNAUTHENTICATED");
    }
    house.close().await;
}

#[tokio::test]
async fn the_command_line_trusts_lists_and_distrusts() {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    house.organization("acme", Value::Null).await;
    house.portal("acme", "who", DOCUMENT, Value::Null).await;
    let run = async |words: &[&str]| {
        let output = Command::new(PORTALS)
            .args([&["issuer"], words, &["--json"]].concat())
            .env_clear()
            .env("PORTALS_URL", house.url(""))
            .env("PORTALS_TOKEN", house::ADMIN_TOKEN)
            .output()
            .await
            .unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let trust = ["trust", "acme", "who", "--issuer", "https://issuer.example", "--audience", "portals"];
    let (code, said) =
        run(&[&trust[..], &["--condition", "ref=refs/heads/*", "--condition", "a=b=c"]].concat()).await;
    assert_eq!(code, Some(0), "{said}");
    let made: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(made["conditions"], json!({"ref": "refs/heads/*", "a": "b=c"}));
    let (code, said) = run(&[&trust[..], &["--condition", "ref"]].concat()).await;
    assert_eq!(code, Some(64));
    assert!(said.contains("CLAIM=PATTERN"), "{said}");
    assert_eq!(run(&trust).await.0, Some(64));
    let (_, said) = run(&["list", "acme", "who"]).await;
    assert!(said.contains("issuer.example"), "{said}");
    assert_eq!(run(&["distrust", "acme", "who", made["uuid"].as_str().unwrap()]).await.0, Some(0));
    assert_eq!(run(&["list", "acme", "who"]).await.1.trim(), "[]");
    house.close().await;
}
