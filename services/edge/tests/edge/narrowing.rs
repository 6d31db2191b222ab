//! What secrets, issuers and exchanges ask for of restrictions, and how it is told.

use crate::{
    rest::{ONE, message, send, stage},
    stage::{PATH, PORTAL, Reply, Stage},
};
use http::Method;
use proto::registry::v1;

const ASKED: &str = concat!(
    r#""operations":["a"],"variables":{"branch":{"schema":{"maximum": 1.50}},"#,
    r#""commit":{"fixed":12345678901234567890123}},"allowed_ip_addresses":"192.0.2.1""#,
);

fn pinned(asked: Option<v1::Restrictions>) -> Option<v1::Restrictions> {
    asked.map(|asked| v1::Restrictions { pinned_revision: Some(3), ..asked })
}

#[tokio::test]
async fn what_tokens_are_to_do_less_is_passed_on_and_told_as_it_was_written() {
    let stage = stage();
    stage.registry.answer("create_portal_secret", |asked: &v1::CreatePortalSecretRequest| {
        let secret =
            v1::PortalSecret { restrictions: pinned(asked.restrictions.clone()), ..Default::default() };
        Ok(v1::CreatePortalSecretResponse { portal_secret: Some(secret), secret: "pts_secret".to_owned() })
    });
    stage.registry.answer("create_trusted_issuer", |asked: &v1::CreateTrustedIssuerRequest| {
        let issuer =
            v1::TrustedIssuer { restrictions: pinned(asked.restrictions.clone()), ..Default::default() };
        Ok(v1::CreateTrustedIssuerResponse { trusted_issuer: Some(issuer) })
    });
    let issuer = r#""issuer":"https://issuer.example","audience":"portals","conditions":{"ref":"*"}"#;
    for (noun, more, after) in
        [("secrets", r#""description":null"#, r#","secret":"pts_secret"}"#), ("trusted_issuers", issuer, "}")]
    {
        let path = format!("{ONE}/{noun}");
        let body = format!(r#"{{{more},{ASKED},"revision":"pin"}}"#);
        let reply = send(&stage, Method::POST, &path, &body).await;
        assert_eq!(reply.status.as_u16(), 201, "{}", reply.text());
        let told = format!(r#","last_used_at":null,{ASKED},"revision":"pin","pinned_revision":3{after}"#);
        assert!(reply.text().ends_with(&told), "{}", reply.text());
        let reply = send(&stage, Method::POST, &path, &format!("{{{more}}}")).await;
        assert!(reply.text().ends_with(&format!(r#","last_used_at":null{after}"#)), "{}", reply.text());
        let body = format!(r#"{{{more},"operations":[],"revision":1}}"#);
        let reply = send(&stage, Method::POST, &path, &body).await;
        let expected =
            "operations must be a list of at least one string, revision must be \"follow\" or \"pin\"";
        assert!(reply.status.as_u16() == 422 && message(&reply).contains(expected), "{}", reply.text());
    }
    for noun in ["secrets", "trusted_issuers"] {
        let reply = send(&stage, Method::POST, &format!("{ONE}/{noun}"), r#"{"max_uses":3}"#).await;
        let expected =
            "max_uses must be asked for with each exchange: nothing bounds how many tokens are made";
        assert!(reply.status.as_u16() == 422 && message(&reply).contains(expected), "{}", reply.text());
    }
}

async fn exchange(stage: &Stage, media_type: &str, body: &str) -> Reply {
    let mut request = stage.request(Method::POST, &format!("{PATH}/tokens"), body.to_owned());
    request.headers_mut().remove("authorization");
    request.headers_mut().insert("content-type", media_type.parse().unwrap());
    stage.ask(request).await
}

fn restrictions(stage: &Stage) -> Option<v1::Restrictions> {
    stage.registry.asked::<v1::ExchangeTokenRequest>("exchange_token").unwrap().0.restrictions
}

#[tokio::test]
async fn an_exchange_asks_in_json_for_what_its_token_is_to_do_less() {
    let stage = Stage::open();
    let held = format!(r#""grant_type":"client_credentials","client_id":"{PORTAL}","secret":"pts_s""#);
    let jwt = r#""grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","assertion":"a.b.c""#;
    for grant in [&*held, jwt] {
        let body = format!(r#"{{{grant},{ASKED},"max_uses":9,"revision":"pin"}}"#);
        assert_eq!(exchange(&stage, "application/json", &body).await.status.as_u16(), 200);
        let asked = restrictions(&stage).unwrap();
        assert_eq!((&*asked.operations, asked.max_uses), (&["a".to_owned()][..], Some(9)));
        assert_eq!(asked.revision(), v1::TokenRevision::Pin);
        assert_eq!(asked.allowed_ip_addresses.as_deref(), Some("192.0.2.1"));
        let texts = |variable: &v1::VariableRestriction| {
            (variable.fixed_json.clone(), variable.schemas_json.first().cloned())
        };
        let [branch, commit] = asked.variables.as_slice() else { panic!("{asked:?}") };
        assert_eq!(texts(branch), (None, Some(r#"{"maximum": 1.50}"#.to_owned())), "digit for digit");
        assert_eq!(texts(commit), (Some("12345678901234567890123".to_owned()), None));
    }
    for plain in ["", r#","operations":null,"variables":{},"max_uses":null,"revision":null"#] {
        assert_eq!(
            exchange(&stage, "application/json", &format!("{{{held}{plain}}}")).await.status.as_u16(),
            200
        );
        assert_eq!(restrictions(&stage), None, "{plain}");
    }
    for (wrong, expected) in [
        (r#""operations":[]"#, "operations must be a list of at least one string"),
        (r#""operations":"a""#, "operations must be a list of at least one string"),
        (r#""variables":{"a":{"pattern":"x"}}"#, "variables must be an object such as"),
        (r#""variables":{"a":{"fixed":1},"a":{"fixed":2}}"#, "variables must be an object such as"),
        (r#""allowed_ip_addresses":["192.0.2.1"]"#, "allowed_ip_addresses must be a string"),
        (r#""max_uses":-1"#, "max_uses must be a whole number of at least 0"),
        (r#""max_uses":"1","revision":3"#, "max_uses must be a whole number of at least 0, revision must be"),
    ] {
        let reply = exchange(&stage, "application/json", &format!("{{{held},{wrong}}}")).await;
        let json = reply.json();
        assert_eq!((reply.status.as_u16(), &json["error"]), (400, &"invalid_request".into()), "{wrong}");
        assert!(json["error_description"].as_str().unwrap().starts_with(expected), "{wrong}: {json}");
    }
}

#[tokio::test]
async fn a_form_cannot_ask_for_less_and_is_not_thought_to() {
    let stage = Stage::open();
    let form = "application/x-www-form-urlencoded";
    let held = format!("grant_type=client_credentials&client_id={PORTAL}&client_secret=pts_s");
    for name in ["operations", "variables", "allowed_ip_addresses", "max_uses", "revision"] {
        let reply = exchange(&stage, form, &format!("{held}&{name}=1")).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["error"]),
            (400, &"invalid_request".into()),
            "{name}"
        );
        let expected = format!("{name} can be asked for in a body of JSON alone");
        assert_eq!(reply.json()["error_description"], expected);
    }
    assert!(stage.registry.asked::<v1::ExchangeTokenRequest>("exchange_token").is_none());
    let plain = exchange(&stage, form, &format!("{held}&operations=&scope=a+b")).await;
    assert_eq!(plain.status.as_u16(), 200);
    assert_eq!(restrictions(&stage), None);
}
