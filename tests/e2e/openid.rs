//! People sign in with an identity provider: from a terminal, by a browser, and back.

use crate::PORTALS;
use house::{House, Shape, Upstream};
use http::{Method, Response};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

const CLIENT_SECRET: &str = "canary-openid-client-secret";

/// An OpenID Connect provider on a socket of its own, and whom it has before it.
struct Provider {
    server: Upstream,
    nonces: Arc<Mutex<HashMap<String, String>>>,
}

fn parameters(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    pairs.map(|(name, value)| (name.to_owned(), decoded(&value.replace('+', " ")))).collect()
}

impl Provider {
    /// Signs in whoever has this address.
    async fn open(email: &'static str) -> Self {
        let server = Upstream::open().await;
        let pair = KeyPair::generate().unwrap();
        let key = EncodingKey::from_ec_der(pair.serialized_der());
        let mut public =
            serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
        public["kid"] = "k1".into();
        let nonces: Arc<Mutex<HashMap<String, String>>> = Arc::default();
        let (origin, known) = (server.origin(), Arc::clone(&nonces));
        server.answers(move |heard| {
            let body = match heard.path.as_str() {
                "/.well-known/openid-configuration" => json!({"issuer": origin, "jwks_uri": format!("{origin}/keys"),
                    "authorization_endpoint": format!("{origin}/authorize"), "token_endpoint": format!("{origin}/token")}),
                "/keys" => json!({"keys": [public]}),
                "/token" => {
                    let form = parameters(std::str::from_utf8(&heard.body).unwrap());
                    let basic = heard.headers["authorization"].to_str().unwrap();
                    assert!(basic.starts_with("Basic ") && form.contains_key("code_verifier"));
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
                    let nonce = known.lock().unwrap().remove(&form["code"]);
                    let claims = json!({"iss": origin, "aud": "portals", "sub": "1", "iat": now, "exp": now + 60,
                        "nonce": nonce, "email": email, "email_verified": true});
                    let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::ES256) };
                    json!({"id_token": encode(&header, &claims, &key).unwrap()})
                }
                _ => return Response::builder().status(404).body("{}".into()).unwrap(),
            };
            Response::new(body.to_string().into())
        });
        Self { server, nonces }
    }

    async fn house(&self, shape: Shape) -> House {
        let house = House::open_told(
            PORTALS,
            shape,
            &[],
            &[
                ("PORTALS_OPENID_ISSUER", self.server.origin().as_str()),
                ("PORTALS_OPENID_CLIENT_ID", "portals"),
                ("PORTALS_OPENID_CLIENT_SECRET", CLIENT_SECRET),
            ],
        )
        .await;
        house.secrets.add(CLIENT_SECRET);
        house
    }
}

/// Goes where a browser is sent, and gives where it is sent from there.
async fn follow(house: &House, url: &str) -> String {
    let reply = house.client.send(Method::GET, url, &[], "").await.unwrap().expect(303);
    assert_eq!(reply.header("cache-control"), "no-store");
    reply.header("location").to_owned()
}

/// `portals login --openid`, and the URL that it tells to open.
async fn login(house: &House) -> (Child, String) {
    let mut login = Command::new(PORTALS);
    login.env_clear().env("PORTALS_URL", house.url("")).args(["login", "--openid"]);
    let mut login = login.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(login.stderr.take().unwrap()).lines();
    let line = said.next_line().await.unwrap().expect("it says where to go");
    let url = line.strip_prefix("To sign in, open ").unwrap().to_owned();
    // What it says after that is read away.
    tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
    (login, url)
}

/// Signs in at the provider and comes back to the house: where a browser is sent from there.
async fn through(house: &House, provider: &Provider, url: &str) -> String {
    let sent = follow(house, url).await;
    let (to, query) = sent.split_once('?').unwrap();
    assert_eq!(to, format!("{}/authorize", provider.server.origin()));
    let sent = parameters(query);
    assert_eq!(sent["redirect_uri"], house.url("/sign-in/callback"));
    provider.nonces.lock().unwrap().insert("a-code".to_owned(), sent["nonce"].clone());
    follow(house, &format!("{}?code=a-code&state={}", sent["redirect_uri"], sent["state"])).await
}

#[tokio::test]
async fn who_signs_in_by_a_browser_has_a_session_in_the_terminal() {
    let provider = Provider::open("ada@example.com").await;
    for shape in [Shape::Up, Shape::Split { edges: 1 }] {
        let house = provider.house(shape).await;
        let user = json!({"name": "Ada", "email": "Ada@example.com"});
        let user = house.manage(Method::POST, "/v2/users", user).await.expect(201).json();
        let (login, url) = login(&house).await;
        let back = through(&house, &provider, &url).await;
        let shown = house.client.send(Method::GET, &back, &[], "").await.unwrap().expect(200);
        assert!(String::from_utf8_lossy(&shown.body).contains("You are signed in"));
        let output = login.wait_with_output().await.unwrap();
        assert!(output.status.success());
        let session = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        house.secrets.add(&session);
        let me = house.manage_as(&session, Method::GET, "/v2/user", Value::Null).await.expect(200).json();
        assert_eq!(me, user);
        let again = house.client.send(Method::GET, &url, &[], "").await.unwrap();
        assert_eq!(again.status, 303, "what was begun once can be begun again");
        house.close().await;
    }
}

#[tokio::test]
async fn whom_nobody_knows_here_is_not_signed_in_and_nobody_learns_a_thing() {
    let provider = Provider::open("eve@example.com").await;
    let house = provider.house(Shape::Up).await;
    let (login, url) = login(&house).await;
    let back = through(&house, &provider, &url).await;
    assert!(back.contains("error=access_denied") && back.contains("eve%40example.com"), "{back}");
    let shown = house.client.send(Method::GET, &back, &[], "").await.unwrap().expect(403);
    assert!(String::from_utf8_lossy(&shown.body).contains("ask an administrator"));
    assert_eq!(login.wait_with_output().await.unwrap().status.code(), Some(1));

    for (path, status, said) in [
        ("/sign-in", 400, "redirect_uri is required"),
        (
            "/sign-in?redirect_uri=https://evil.example:1/&state=a&code_challenge=b&code_challenge_method=S256",
            400,
            "redirect_uri must be",
        ),
        (
            "/sign-in?redirect_uri=http://127.0.0.1:1/&state=a&code_challenge=b&code_challenge_method=plain",
            400,
            "S256",
        ),
        ("/sign-in/callback?code=a&state=made-up", 400, "begin again"),
        ("/sign-in/callback?code=a", 400, "state is required"),
    ] {
        let reply = house.client.send(Method::GET, &house.url(path), &[], "").await.unwrap().expect(status);
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(text.contains(said), "{path}: {text}");
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
    }
    house.client.send(Method::POST, &house.url("/sign-in"), &[], "").await.unwrap().expect(405);
    let made_up = json!({"code": "ptn_made-up", "code_verifier": "made-up"}).to_string();
    let headers = [("content-type", "application/json")];
    let url = house.url("/v2/sessions/openid");
    house.client.send(Method::POST, &url, &headers, made_up).await.unwrap().expect(401);
    house.close().await;
}

#[tokio::test]
async fn a_house_without_a_provider_says_so() {
    let house = House::open(PORTALS, Shape::Up, &[]).await;
    let query = format!(
        "redirect_uri=http://127.0.0.1:1/&state=a&code_challenge={}&code_challenge_method=S256",
        "a".repeat(43)
    );
    let reply =
        house.client.send(Method::GET, &house.url(&format!("/sign-in?{query}")), &[], "").await.unwrap();
    assert!(String::from_utf8_lossy(&reply.expect(404).body).contains("signs nobody in"));
    house.close().await;
}
