//! Whatever a token rests on: once it is answered that it has ended, no call that starts after that succeeds anywhere.
//!
//! `PORTALS_TEST_REVOCATIONS` says how many are tried; with many of them `PORTALS_TEST_LOG=info` keeps the logs small.

use crate::{PORTALS, identity::Issuer};
use house::{ADMIN_TOKEN, House, Reply, Shape};
use http::Method;
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

const EDGES: usize = 3;
/// How many are tried where nothing is said.
const TRIED: usize = 24;
const DOCUMENT: &str = "query Who { viewer { user { name } } }";
const MEMBERS: &str = "/v2/organizations/acme/members";
/// A portal gives 1,000 codes within ten minutes: so many of them are asked of one.
const CODES: usize = 900;
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A token, and what is deleted so that it ends.
struct Doomed {
    portal: String,
    token: String,
    rests_on: String,
}

/// A house whose portals have whatever a token can rest on.
struct Trial {
    house: House,
    issuer: Issuer,
    user: String,
    access_token: String,
}

#[tokio::test]
async fn no_call_that_starts_after_what_its_token_rests_on_has_ended_succeeds_on_any_of_three_edges() {
    let tried = std::env::var("PORTALS_TEST_REVOCATIONS").ok().map_or(TRIED, |tried| tried.parse().unwrap());
    let trial = Trial::open().await;
    let each = tried.div_ceil(4);
    let began = Instant::now();
    let calls = tokio::join!(
        trial.lane(each, async |_| trial.service_token().await),
        trial.lane(each, async |_| trial.token_of_a_secret().await),
        trial.lane(each, async |_| trial.token_of_an_identity().await),
        trial.lane(each, async |number| trial.token_of_a_member(number).await),
    );
    println!("4 times {each} ended in {:?}, among {calls:?} calls", began.elapsed());
    trial.house.close().await;
}

impl Trial {
    async fn open() -> Self {
        let house =
            House::open(PORTALS, Shape::Split { edges: EDGES }, &["--trusted-proxies", "127.0.0.1"]).await;
        house.organization("acme", json!({"rate_limit_per_minute": 0})).await;
        house.portal("acme", "door", DOCUMENT, Value::Null).await;
        let (user, access_token) = crate::codes::member(&house, "ada").await;
        house.manage(Method::DELETE, &format!("{MEMBERS}/{user}"), Value::Null).await.expect(204);
        Self { house, issuer: Issuer::open().await, user, access_token }
    }

    /// Makes one after the other and ends it; counts the calls.
    async fn lane(&self, each: usize, make: impl AsyncFn(usize) -> Doomed) -> usize {
        let mut calls = 0;
        for number in 0..each {
            let doomed = make(number).await;
            calls += self.end(&doomed, number % EDGES).await;
            self.house.upstream.take();
        }
        calls
    }

    /// Asks an edge for something, without having its answer looked through for all the tokens that were ever made.
    async fn ask(&self, edge: usize, token: &str, method: Method, path: &str, body: &Value) -> Reply {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.house.client.send(method, &self.house.url_at(edge, path), &headers, body).await.unwrap()
    }

    /// Makes something of the portal `door`.
    async fn made(&self, kind: &str, body: Value) -> Value {
        let path = format!("/v2/organizations/acme/portals/door/{kind}");
        self.ask(0, ADMIN_TOKEN, Method::POST, &path, &body).await.expect(201).json()
    }

    async fn exchanged(&self, portal: &str, body: Value) -> String {
        let path = format!("/organizations/acme/portals/{portal}/tokens");
        let headers = [("content-type", "application/json")];
        let url = self.house.url(&path);
        let reply = self.house.client.send(Method::POST, &url, &headers, body.to_string()).await.unwrap();
        text(&reply.expect(200).json()["token"])
    }

    async fn service_token(&self) -> Doomed {
        let made = self.made("tokens", json!({})).await;
        of_door("tokens", &made, text(&made["token"]))
    }

    /// The token of a secret that is narrowed, and narrowed further for this one.
    async fn token_of_a_secret(&self) -> Doomed {
        let door =
            self.ask(0, ADMIN_TOKEN, Method::GET, "/v2/organizations/acme/portals/door", &Value::Null).await;
        let made = self.made("secrets", json!({"operations": ["Who"]})).await;
        let body = json!({"grant_type": "client_credentials", "client_id": door.json()["uuid"], "secret": made["secret"],
            "allowed_ip_addresses": "127.0.0.1"});
        of_door("secrets", &made, self.exchanged("door", body).await)
    }

    async fn token_of_an_identity(&self) -> Doomed {
        let conditions = json!({"repository": "acme/*"});
        let trusted =
            json!({"issuer": self.issuer.origin(), "audience": "portals", "conditions": conditions});
        let made = self.made("trusted_issuers", trusted).await;
        let body = json!({"grant_type": JWT_BEARER, "assertion": self.issuer.jwt(|_| ())});
        of_door("trusted_issuers", &made, self.exchanged("door", body).await)
    }

    /// The token of a member who has just become one and approves a code.
    async fn token_of_a_member(&self, number: usize) -> Doomed {
        let portal = format!("door-{}", number / CODES);
        if number.is_multiple_of(CODES) {
            self.house.portal("acme", &portal, DOCUMENT, json!({"user_invokable": true})).await;
        }
        let member = json!({"user": self.user, "role": "member"});
        self.ask(0, ADMIN_TOKEN, Method::POST, MEMBERS, &member).await.expect(201);
        crate::codes::credential(&self.house, &self.access_token).await;
        let asked = self.code(&portal, number).await;
        let path = format!("/v2/codes/{}", text(&asked["code"]));
        let told = self.ask(0, &self.access_token, Method::GET, &path, &Value::Null).await.expect(200).json();
        let approved = json!({"revision": told["portal"]["revision"]});
        let path = format!("{path}/authorize");
        self.ask(0, &self.access_token, Method::POST, &path, &approved).await.expect(200);
        let body = json!({"grant_type": "device_code", "code": asked["code"], "secret": asked["secret"]});
        let token = self.exchanged(&portal, body).await;
        Doomed { portal, token, rests_on: format!("{MEMBERS}/{}", self.user) }
    }

    /// Asks for a code, from an address that has not asked for many.
    async fn code(&self, portal: &str, number: usize) -> Value {
        let url = self.house.url(&format!("/organizations/acme/portals/{portal}/codes"));
        let address = format!("192.0.2.{}", number / 50 % 250);
        let headers = [("x-forwarded-for", address.as_str())];
        self.house.client.send(Method::POST, &url, &headers, "").await.unwrap().expect(200).json()
    }

    /// Ends a token while calls go on with it at every edge, so that a grant on its way is caught too; counts them.
    async fn end(&self, Doomed { portal, token, rests_on }: &Doomed, edge: usize) -> usize {
        let path = format!("/organizations/acme/portals/{portal}");
        let call = |edge| self.ask(edge, token, Method::POST, &path, &Value::Null);
        for edge in 0..EDGES {
            call(edge).await.expect(200);
        }
        let ended = AtomicBool::new(false);
        let calls = |edge| {
            let (ended, call) = (&ended, &call);
            async move {
                for count in 1.. {
                    let had_ended = ended.load(Ordering::SeqCst);
                    let reply = call(edge).await;
                    if had_ended {
                        reply.expect_fault(401, "UNAUTHENTICATED");
                        return count;
                    }
                }
                0
            }
        };
        let ending = async {
            self.ask(edge, ADMIN_TOKEN, Method::DELETE, rests_on, &Value::Null).await.expect(204);
            ended.store(true, Ordering::SeqCst);
        };
        let (one, other, third, ()) = tokio::join!(calls(0), calls(1), calls(2), ending);
        EDGES + one + other + third
    }
}

fn of_door(kind: &str, made: &Value, token: String) -> Doomed {
    let rests_on = format!("/v2/organizations/acme/portals/door/{kind}/{}", text(&made["uuid"]));
    Doomed { portal: "door".to_owned(), token, rests_on }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
