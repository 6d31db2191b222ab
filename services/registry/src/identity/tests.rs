//! What of an issuer is believed, and what is not.

use super::{
    issuing::{ISSUER, Published, Signing, claims},
    *,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

pub(super) fn trust(conditions: &[(&str, &str)]) -> Trust {
    let conditions =
        conditions.iter().map(|(claim, pattern)| Condition::parse(claim, pattern).unwrap()).collect();
    Trust { issuer: ISSUER.to_owned(), audience: "portals".to_owned(), conditions }
}

fn main_of_acme() -> [(u8, Trust); 1] {
    [(1, trust(&[("repository", "acme/*"), ("ref", "refs/heads/main")]))]
}

async fn judged(claims: &Value) -> Result<u8, String> {
    let key = Signing::new("one", Algorithm::ES256);
    let issuers = Issuers::new(Published::new(&[&key]));
    let trusts = main_of_acme();
    let verdict = verify(&issuers, &key.sign(claims), &trusts, SystemTime::now()).await;
    verdict.map(|(id, _)| *id).map_err(|refused| refused.to_string())
}

#[tokio::test]
async fn a_token_is_taken_whatever_asymmetric_key_signed_it() {
    for algorithm in
        [Algorithm::ES256, Algorithm::RS256, Algorithm::RS512, Algorithm::PS256, Algorithm::EdDSA]
    {
        let key = Signing::new("one", algorithm);
        let issuers = Issuers::new(Published::new(&[&key]));
        let (token, trusts) = (key.sign(&claims(SystemTime::now())), main_of_acme());
        let (id, subject) = verify(&issuers, &token, &trusts, SystemTime::now()).await.unwrap();
        assert_eq!(
            (*id, subject.as_deref()),
            (1, Some("repo:acme/app:ref:refs/heads/main")),
            "{algorithm:?}"
        );
    }
}

#[tokio::test]
async fn every_claim_must_be_there_and_of_its_type() {
    let now = SystemTime::now();
    assert_eq!(judged(&claims(now)).await, Ok(1));
    let seconds = claims(now)["iat"].as_u64().unwrap();
    let with = |name: &str, value: Value| {
        let mut claims = claims(now);
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.to_owned(), value),
        };
        claims
    };
    for (name, value) in [
        ("exp", Value::Null),
        ("exp", json!(seconds - 31)),
        ("exp", json!((seconds + 300).to_string())),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("nbf", Value::Null),
        ("nbf", json!(seconds + 60)),
        ("nbf", json!("now")),
        ("iat", Value::Null),
        ("iat", json!(seconds + 60)),
        ("iat", json!(true)),
        ("aud", Value::Null),
        ("aud", json!("others")),
        ("aud", json!([])),
        ("aud", json!(["others", "portals2"])),
        ("aud", json!(["portals", 5])),
        ("aud", json!({"portals": true})),
        ("ref", json!("refs/heads/main2")),
        ("ref", Value::Null),
        ("repository", json!("evil/acme/app")),
    ] {
        let refused = judged(&with(name, value.clone())).await.unwrap_err();
        assert!(refused.contains(&format!("`{name}`")), "{name} {value}: {refused}");
    }
    assert_eq!(judged(&with("aud", json!(["others", "portals"]))).await, Ok(1));
    let refused = judged(&with("iss", json!("https://issuer.example/"))).await.unwrap_err();
    assert!(refused.contains("not of an issuer"), "{refused}");
    assert!(judged(&with("iss", Value::Null)).await.unwrap_err().contains("iss"));
}

#[tokio::test]
async fn the_first_trust_of_which_all_holds_takes_the_token() {
    let key = Signing::new("one", Algorithm::ES256);
    let issuers = Issuers::new(Published::new(&[&key]));
    let other = Trust { issuer: "https://other.example".to_owned(), ..trust(&[("ref", "*")]) };
    let elsewhere = Trust { audience: "elsewhere".to_owned(), ..trust(&[("ref", "*")]) };
    let trusts =
        [(1, other), (2, elsewhere), (3, trust(&[("ref", "*/tags/*")])), (4, trust(&[("ref", "*")]))];
    let token = key.sign(&claims(SystemTime::now()));
    let (id, _) = verify(&issuers, &token, &trusts, SystemTime::now()).await.unwrap();
    assert_eq!(*id, 4);
    assert!(verify(&issuers, &token, &trusts[..3], SystemTime::now()).await.is_err());
    assert!(matches!(verify(&issuers, &token, &trusts[..1], SystemTime::now()).await, Err(Refused::Issuer)));
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_found_and_made_up_ones_cause_one_question_each_half_minute() {
    let (old, new, unknown) = (
        Signing::new("old", Algorithm::ES256),
        Signing::new("new", Algorithm::ES256),
        Signing::new("x", Algorithm::ES256),
    );
    let published = Published::new(&[&old]);
    let issuers = Issuers::new(Arc::clone(&published) as Arc<dyn Fetch>);
    let (trusts, now) = (main_of_acme(), SystemTime::now());
    let by = async |key: &Signing| verify(&issuers, &key.sign(&claims(now)), &trusts, now).await.map(|_| ());
    by(&old).await.unwrap();
    published.set(&[&old, &new]);
    for _ in 0..100 {
        assert!(matches!(by(&unknown).await, Err(Refused::Key)));
    }
    assert_eq!(published.asked(), 1, "the keys were read only just now");
    tokio::time::advance(Duration::from_secs(30)).await;
    by(&new).await.unwrap();
    by(&old).await.unwrap();
    assert_eq!(published.asked(), 2);

    published.fall_silent();
    tokio::time::advance(Duration::from_secs(2 * 3_600)).await;
    by(&old).await.unwrap();
    assert!(matches!(by(&unknown).await, Err(Refused::Unavailable(_))));
    assert_eq!(published.asked(), 3, "and not again within half a minute");
    tokio::time::advance(Duration::from_secs(23 * 3_600)).await;
    assert!(matches!(by(&old).await, Err(Refused::Unavailable(_))));
    published.set(&[&new]);
    tokio::time::advance(Duration::from_secs(31)).await;
    assert!(matches!(by(&old).await, Err(Refused::Key)), "a key that is published no more is taken no more");
    by(&new).await.unwrap();
}

#[tokio::test]
async fn an_issuer_is_believed_only_for_itself_and_sent_nowhere_inside() {
    let key = Signing::new("one", Algorithm::ES256);
    let (token, trusts) = (key.sign(&claims(SystemTime::now())), main_of_acme());
    for (issuer, jwks, why) in [
        ("https://issuer.example/", "https://keys.example/jwks?set=1", "calls itself"),
        (ISSUER, "http://keys.example/jwks", "https"),
        (ISSUER, "http://169.254.169.254/latest/meta-data", "https"),
        (ISSUER, "file:///etc/passwd", "URL"),
        (ISSUER, "https://user:canary@keys.example/jwks", "password"),
        (ISSUER, "https://nowhere.example/jwks", "reading https://nowhere.example/jwks"),
    ] {
        let published = Published::new(&[&key]);
        published.put(
            &format!("{ISSUER}/.well-known/openid-configuration"),
            &json!({"issuer": issuer, "jwks_uri": jwks}),
        );
        let issuers = Issuers::new(published);
        let Err(Refused::Unavailable(cause)) = verify(&issuers, &token, &trusts, SystemTime::now()).await
        else {
            panic!("{issuer} {jwks} was believed");
        };
        assert!(cause.to_string().contains(why), "{cause}");
    }
    assert!(check_issuer("https://token.actions.githubusercontent.com").is_ok());
    assert!(check_issuer("http://127.0.0.1:8080/realm").is_ok());
    for bad in [
        "http://issuer.example",
        "https://issuer.example/?a=1",
        "issuer.example",
        "https://issuer.example/#a",
    ] {
        assert!(check_issuer(bad).is_err(), "{bad}");
    }
}

#[test]
fn keys_that_nobody_verifies_with_are_left_out() {
    let key = Signing::new("good", Algorithm::ES256);
    let mut for_encryption = Signing::new("enc", Algorithm::ES256).published();
    for_encryption["use"] = "enc".into();
    let mut nameless = key.published();
    nameless.as_object_mut().unwrap().remove("kid");
    let symmetric = json!({"kty": "oct", "kid": "oct", "alg": "HS256", "k": "c2VjcmV0"});
    let set = json!({"keys": [&for_encryption, &nameless, &symmetric, {"kty": "new"}, 5, key.published()]});
    let keys = keys::Keys::parse(set.to_string().as_bytes()).unwrap();
    assert!(keys.find(Some("good"), Algorithm::ES256).is_some());
    for (id, algorithm) in [
        ("good", Algorithm::ES384),
        ("good", Algorithm::RS256),
        ("enc", Algorithm::ES256),
        ("oct", Algorithm::HS256),
    ] {
        assert!(keys.find(Some(id), algorithm).is_none(), "{id} {algorithm:?}");
    }
    assert!(keys.find(None, Algorithm::ES256).is_none(), "there are two, and nobody says which");
    let only = json!({"keys": [nameless, for_encryption, symmetric]}).to_string();
    let only = keys::Keys::parse(only.as_bytes()).unwrap();
    assert!(only.find(None, Algorithm::ES256).is_some(), "there is one");
    assert!(only.find(None, Algorithm::RS256).is_none());
    assert!(keys::Keys::parse(b"{}").is_err());
}
