//! What of a provider is believed, and for whom.

use super::*;
use crate::identity::issuing::{ISSUER, Signing};
use bytes::Bytes;
use serde_json::{Value, json};
use std::{collections::HashMap, future::Future, pin::Pin, sync::Mutex, time::UNIX_EPOCH};

const CALLBACK: &str = "https://portals.example/sign-in/callback";
const BACK: &str = "http://127.0.0.1:49152/";
const VERIFIER: &str = "what-only-the-one-who-began-knows-0123456789abc";

/// A provider that gives one ID token for whatever code, and records what it was asked.
#[derive(Debug)]
struct Scripted {
    configuration: Value,
    keys: Value,
    id_token: Mutex<String>,
    asked: Mutex<Vec<Question>>,
}

/// How a house proves who it is, and its form.
type Question = (Option<String>, HashMap<String, String>);

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Bytes, Cause>> + Send + 'a>>;

impl Fetch for Scripted {
    fn get(&self, uri: Uri, _: usize) -> Answer<'_> {
        let known = match uri.path() {
            "/.well-known/openid-configuration" => &self.configuration,
            "/keys" => &self.keys,
            _ => &Value::Null,
        };
        let text = known.to_string();
        Box::pin(async { Ok(text.into()) })
    }

    fn post(&self, uri: Uri, authorization: Option<Secret>, form: Secret, _: usize) -> Answer<'_> {
        assert_eq!(uri.path(), "/token");
        let form = form_urlencoded::parse(form.expose().as_bytes()).into_owned().collect();
        let authorization = authorization.map(|authorization| authorization.expose().to_owned());
        self.asked.lock().unwrap().push((authorization, form));
        let text = json!({"id_token": *self.id_token.lock().unwrap(), "access_token": "x"}).to_string();
        Box::pin(async { Ok(text.into()) })
    }
}

/// A provider, its key, and a house that it signs people in to.
struct Scene {
    provider: Arc<Scripted>,
    key: Signing,
    sign_ins: SignIns,
    issuers: Issuers,
}

fn scene(methods: Value, client_secret: Option<&str>) -> Scene {
    let key = Signing::es256("one");
    let mut configuration = json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/authorize?tenant=a"),
        "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/keys"),
    });
    if !methods.is_null() {
        configuration["token_endpoint_auth_methods_supported"] = methods;
    }
    let provider = Arc::new(Scripted {
        configuration,
        keys: json!({"keys": [key.published()]}),
        id_token: Mutex::default(),
        asked: Mutex::default(),
    });
    let openid = OpenId {
        issuer: ISSUER.to_owned(),
        client_id: "portals".to_owned(),
        client_secret: client_secret.map(Secret::new),
    };
    let fetch: Arc<dyn Fetch> = Arc::clone(&provider) as _;
    let (sign_ins, issuers) = (SignIns::new(Some(openid), Arc::clone(&fetch)), Issuers::new(fetch));
    Scene { provider, key, sign_ins, issuers }
}

fn request() -> BeginSignInRequest {
    BeginSignInRequest {
        return_to: BACK.to_owned(),
        state: "of-the-program".to_owned(),
        code_challenge: challenge(VERIFIER),
        callback_url: CALLBACK.to_owned(),
    }
}

/// The parameters of a URL.
fn query(url: &str) -> HashMap<String, String> {
    form_urlencoded::parse(url.split_once('?').unwrap().1.as_bytes()).into_owned().collect()
}

impl Scene {
    async fn begin(&self) -> HashMap<String, String> {
        let location = self.sign_ins.begin(&Origin::default(), request()).await.unwrap();
        assert!(location.starts_with(&format!("{ISSUER}/authorize?tenant=a&")), "{location}");
        query(&location)
    }

    /// Signs somebody in of whom the provider says this.
    async fn sign_in(&self, change: impl FnOnce(&mut Value)) -> Result<String, Fault> {
        let sent = self.begin().await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({"iss": ISSUER, "aud": "portals", "sub": "1", "iat": now, "exp": now + 60,
            "nonce": sent["nonce"], "email": "ada@example.com", "email_verified": true});
        change(&mut claims);
        *self.provider.id_token.lock().unwrap() = self.key.sign(&claims);
        let vouched = self.sign_ins.vouched(&self.issuers, &sent["state"], Ok("the-code")).await;
        vouched.unwrap().1
    }
}

#[tokio::test]
async fn somebody_is_sent_to_the_provider_and_comes_back_with_what_is_theirs() {
    let scene = scene(Value::Null, Some("a:secret"));
    let sent = scene.begin().await;
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "portals"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(sent[name], value);
    }
    assert_eq!(scene.sign_in(|_| ()).await.unwrap(), "ada@example.com");
    let (authorization, form) = scene.provider.asked.lock().unwrap().pop().unwrap();
    // `portals:a%3Asecret`, as RFC 6749 writes the two before they are put together.
    assert_eq!(authorization.as_deref(), Some("Basic cG9ydGFsczphJTNBc2VjcmV0"));
    assert_eq!(
        (&*form["grant_type"], &*form["code"], &*form["redirect_uri"]),
        ("authorization_code", "the-code", CALLBACK)
    );
    assert!(!form.contains_key("client_secret"));
    assert_eq!(challenge(&form["code_verifier"]).len(), CHALLENGE_BYTES);

    let user = Uuid::now_v7();
    let back =
        Back { to: BACK.to_owned(), state: "of-the-program".to_owned(), challenge: challenge(VERIFIER) };
    let finish = || query(&scene.sign_ins.finish(&Origin::default(), &back, user).unwrap());
    let returned = finish();
    assert_eq!(returned["state"], "of-the-program");
    assert_eq!(scene.sign_ins.redeem(&returned["code"], VERIFIER).unwrap(), user);
    assert!(scene.sign_ins.redeem(&returned["code"], VERIFIER).is_err(), "a code is good once");
    let code = &finish()["code"];
    assert!(scene.sign_ins.redeem(code, "another's").is_err());
    assert!(scene.sign_ins.redeem(code, VERIFIER).is_err(), "whoever guesses at the verifier has one try");
    let refused = query(&back.refused(&Fault::new(Reason::AccessDenied, "no user")));
    assert_eq!((&*refused["error"], &*refused["error_description"]), ("access_denied", "no user"));
}

#[tokio::test]
async fn a_house_proves_who_it_is_as_the_provider_wants_it() {
    let post = scene(json!(["client_secret_post"]), Some("secret"));
    post.sign_in(|_| ()).await.unwrap();
    let (authorization, form) = post.provider.asked.lock().unwrap().pop().unwrap();
    assert_eq!((authorization, &*form["client_id"], &*form["client_secret"]), (None, "portals", "secret"));
    let public = scene(Value::Null, None);
    public.sign_in(|_| ()).await.unwrap();
    let (authorization, form) = public.provider.asked.lock().unwrap().pop().unwrap();
    assert_eq!((authorization, &*form["client_id"]), (None, "portals"));
    assert!(!form.contains_key("client_secret"));
}

#[tokio::test]
async fn every_claim_of_an_identity_must_be_what_it_should() {
    let scene = scene(Value::Null, Some("secret"));
    for (claim, value) in [
        ("iss", json!("https://other.example")),
        ("aud", json!("others")),
        ("aud", json!(["portals", "others"])),
        ("aud", Value::Null),
        ("azp", json!("others")),
        ("exp", json!(1)),
        ("exp", Value::Null),
        ("iat", Value::Null),
        ("nbf", json!(u32::MAX)),
        ("nonce", json!("another's")),
        ("nonce", Value::Null),
        ("email", Value::Null),
        ("email_verified", json!(false)),
        ("email_verified", Value::Null),
    ] {
        let refused = scene.sign_in(|claims| {
            claims[claim] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(claim);
            }
        });
        let fault = refused.await.expect_err(claim);
        assert_eq!(fault.reason(), Reason::AccessDenied, "{claim} {value}");
        assert!(fault.message().contains(claim) || claim == "iss", "{claim}: {fault}");
    }
    let several = scene.sign_in(|claims| {
        claims["aud"] = json!(["portals", "others"]);
        claims["azp"] = "portals".into();
    });
    several.await.unwrap();
    scene.sign_in(|claims| claims["email_verified"] = "true".into()).await.unwrap();
    let other = Signing::es256("one");
    let sent = scene.begin().await;
    *scene.provider.id_token.lock().unwrap() = other.sign(&json!({"iss": ISSUER, "nonce": sent["nonce"]}));
    let (_, forged) = scene.sign_ins.vouched(&scene.issuers, &sent["state"], Ok("c")).await.unwrap();
    assert_eq!(forged.unwrap_err().reason(), Reason::AccessDenied);
}

#[tokio::test]
async fn a_sign_in_is_finished_once_and_by_what_the_provider_was_given() {
    let scene = scene(Value::Null, None);
    let sent = scene.begin().await;
    let finish = |state: String| {
        let scene = &scene;
        async move { scene.sign_ins.vouched(&scene.issuers, &state, Err("access_denied")).await }
    };
    assert!(finish("ptn_made-up".to_owned()).await.is_err());
    let (back, refused) = finish(sent["state"].clone()).await.unwrap();
    assert_eq!((back.to.as_str(), refused.unwrap_err().reason()), (BACK, Reason::AccessDenied));
    assert_eq!(finish(sent["state"].clone()).await.unwrap_err().reason(), Reason::BadRequest);
}

#[tokio::test]
async fn nobody_is_sent_back_to_another_machine_or_without_a_proof() {
    let scene = scene(Value::Null, None);
    let begin = |change: &dyn Fn(&mut BeginSignInRequest)| {
        let mut request = request();
        change(&mut request);
        let sign_ins = &scene.sign_ins;
        async move { sign_ins.begin(&Origin::default(), request).await.err().map(|fault| fault.reason()) }
    };
    for own in ["http://127.0.0.1:1/", "http://[::1]:65535/a?b=c", "http://localhost:3000"] {
        assert_eq!(begin(&|request| request.return_to = own.to_owned()).await, None, "{own}");
    }
    for other in [
        "",
        "/",
        "https://127.0.0.1:1/",
        "http://127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1.example:1/",
        "http://example.com:80/",
        "http://127.0.0.1:1@example.com:80/",
        "http://localhost:1/#a",
        "javascript:1",
    ] {
        let refused = begin(&|request| request.return_to = other.to_owned()).await;
        assert_eq!(refused, Some(Reason::BadRequest), "{other}");
    }
    for state in ["", "a b", &"a".repeat(MAX_STATE_BYTES + 1)] {
        assert_eq!(begin(&|request| request.state = state.to_owned()).await, Some(Reason::BadRequest));
    }
    for challenge in ["", "short", &"=".repeat(CHALLENGE_BYTES)] {
        assert_eq!(
            begin(&|request| request.code_challenge = challenge.to_owned()).await,
            Some(Reason::BadRequest)
        );
    }
    let nowhere = SignIns::new(None, Arc::clone(&scene.provider) as _);
    let fault = nowhere.begin(&Origin::default(), request()).await.unwrap_err();
    assert_eq!(fault.reason(), Reason::NotFound);
}
