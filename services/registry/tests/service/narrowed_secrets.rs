//! Secrets whose tokens may do less than their portal, and exchanges that ask for less still.

use crate::desk::{Desk, exchange, fault, refused};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{Fault, Reason, fault::Details, restriction::Rule};
use proto::{
    grant::Claims,
    registry::v1::{
        self, CreatePortalRequest, CreatePortalSecretRequest, Restrictions, TokenRevision,
        UpdatePortalRequest, VariableRestriction,
    },
};

const DOCUMENT: &str = "mutation Build($branch: String!, $commit: String, $tags: [String!]) {
        build(branch: $branch, commit: $commit, tags: $tags) }
    query Who($id: ID) { who(id: $id) }
    query Me { me }";

fn fixed(name: &str, value: &str) -> VariableRestriction {
    VariableRestriction {
        name: name.to_owned(),
        fixed_json: Some(value.to_owned()),
        schemas_json: Vec::new(),
    }
}

fn checked(name: &str, schema: &str) -> VariableRestriction {
    VariableRestriction { name: name.to_owned(), fixed_json: None, schemas_json: vec![schema.to_owned()] }
}

fn run(names: &[&str], variables: Vec<VariableRestriction>) -> Restrictions {
    let operations = names.iter().map(|name| (*name).to_owned()).collect();
    Restrictions { operations, variables, ..Default::default() }
}

fn at(ranges: &str) -> Restrictions {
    Restrictions { allowed_ip_addresses: Some(ranges.to_owned()), ..Default::default() }
}

fn revision(revision: TokenRevision) -> Restrictions {
    Restrictions { revision: revision.into(), ..Default::default() }
}

fn uses(most: u32) -> Restrictions {
    Restrictions { max_uses: Some(most), ..Default::default() }
}

/// A registry with a portal, and the portal's UUID.
struct Door {
    desk: Desk,
    portal: String,
}

impl Door {
    async fn open() -> Self {
        let desk = Desk::open().await;
        desk.portal("acme", "Other").await;
        let request = CreatePortalRequest {
            organization: "acme".to_owned(),
            name: "Door".to_owned(),
            query: DOCUMENT.to_owned(),
            ..Default::default()
        };
        let made = fault(desk.administration().create_portal(desk.signed(request)).await).unwrap();
        Self { desk, portal: made.portal.unwrap().uuid }
    }

    async fn secret(&self, restrictions: Restrictions) -> Result<(v1::PortalSecret, String), Fault> {
        let request = CreatePortalSecretRequest {
            organization: "acme".to_owned(),
            portal: "door".to_owned(),
            restrictions: Some(restrictions),
            ..Default::default()
        };
        let made = fault(self.desk.administration().create_portal_secret(self.desk.signed(request)).await)?;
        Ok((made.portal_secret.unwrap(), made.secret))
    }

    async fn exchange(&self, secret: &str, asked: Option<Restrictions>) -> Result<String, Fault> {
        self.exchange_from("192.0.2.9", secret, asked).await
    }

    async fn exchange_from(
        &self,
        address: &str,
        secret: &str,
        asked: Option<Restrictions>,
    ) -> Result<String, Fault> {
        let request = v1::ExchangeTokenRequest {
            restrictions: asked,
            ..exchange("acme", "door", &self.portal, secret)
        };
        self.desk.exchange_from(address, request).await.map(|made| made.token)
    }

    async fn publish(&self, query: &str) {
        let request = UpdatePortalRequest {
            organization: "acme".to_owned(),
            portal: "door".to_owned(),
            query: Some(query.to_owned()),
            ..Default::default()
        };
        fault(self.desk.administration().update_portal(self.desk.signed(request)).await).unwrap();
    }

    async fn granted(&self, token: &str) -> (Claims, v1::AuthorizeResponse) {
        let answer = self.desk.authorize("acme", "door", token).await.unwrap();
        let claims = URL_SAFE_NO_PAD.decode(answer.grant.split('.').nth(1).unwrap()).unwrap();
        (serde_json::from_slice(&claims).unwrap(), answer)
    }

    /// Why an exchange is refused.
    async fn too_much(&self, secret: &str, asked: Restrictions) -> String {
        refused(self.exchange(secret, Some(asked)).await, Reason::BadRequest)
    }
}

#[tokio::test]
async fn tokens_inherit_what_their_secret_may_not_do() {
    let door = Door::open().await;
    let asked = Restrictions {
        allowed_ip_addresses: Some("192.0.2.0/24".to_owned()),
        ..run(&["Build"], vec![checked("branch", r#"{"pattern":"^release/"}"#), fixed("commit", "\"HEAD\"")])
    };
    let (made, secret) = door.secret(asked.clone()).await.unwrap();
    let told = Restrictions { revision: TokenRevision::Follow.into(), ..asked };
    assert_eq!(made.restrictions, Some(told.clone()));
    let (plain, _) = door.desk.secret("acme", "door").await;
    assert_eq!(plain.restrictions, None);
    let door = Door { desk: door.desk.restart(|_| {}).await, portal: door.portal };
    let list = v1::ListPortalSecretsRequest {
        organization: "acme".to_owned(),
        portal: "door".to_owned(),
        page: None,
    };
    let listed = fault(door.desk.administration().list_portal_secrets(door.desk.signed(list)).await).unwrap();
    assert_eq!(listed.secrets[1].restrictions, Some(told));

    let token = door.exchange(&secret, None).await.unwrap();

    let (claims, answer) = door.granted(&token).await;
    let claim = claims.restrictions.unwrap();
    assert_eq!(claim.operations, Some(vec!["Build".to_owned()]));
    assert_eq!(claim.variables[0].schemas, [r#"{"pattern":"^release/"}"#]);
    assert_eq!(claim.variables[1].fixed.as_deref(), Some("\"HEAD\""));
    assert_eq!(answer.token_allowed_ip_addresses, ["192.0.2.0/24"]);
    let events = door.desk.events("acme").await;
    let restrictions = |r#type: &str| {
        let of_type = events.iter().filter(|event| event.r#type == r#type);
        let data = of_type.map(|event| serde_json::from_str::<serde_json::Value>(&event.data_json).unwrap());
        data.map(|data| data["restrictions"]["operations"][0].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        restrictions("PORTAL_SECRET_CREATED"),
        ["".into(), "Build".into()]
            .map(|name: serde_json::Value| { if name == "" { serde_json::Value::Null } else { name } })
    );
    assert_eq!(restrictions("PORTAL_TOKEN_CREATED")[0], "Build");
}

#[tokio::test]
async fn an_exchange_asks_for_less_and_gets_both() {
    let door = Door::open().await;
    let held = Restrictions {
        allowed_ip_addresses: Some("192.0.2.0/24 2001:db8::/32".to_owned()),
        ..run(
            &["Build", "Who"],
            vec![checked("branch", r#"{"pattern":"^release/"}"#), fixed("commit", "1.0")],
        )
    };
    // Commits are texts, and the value must be one.
    let misfit = refused(door.secret(held.clone()).await, Reason::ValidationFailed);
    assert!(misfit.contains("variables.commit.fixed: variable `$commit`: expected `String`"), "{misfit}");
    let held =
        Restrictions { variables: vec![held.variables[0].clone(), fixed("commit", "\"HEAD\"")], ..held };
    let (_, secret) = door.secret(held).await.unwrap();
    let asked = Restrictions {
        allowed_ip_addresses: Some("192.0.2.0/28 10.0.0.0/8".to_owned()),
        max_uses: Some(1),
        ..run(
            &["Build"],
            vec![
                checked("branch", r#"{"maxLength":9}"#),
                fixed("commit", " \"HEAD\""),
                fixed("tags", r#"["a"]"#),
            ],
        )
    };

    let token = door.exchange(&secret, Some(asked)).await.unwrap();

    let (claims, answer) = door.granted(&token).await;
    assert!(answer.counts_uses && claims.jti.is_some());
    assert_eq!(answer.token_allowed_ip_addresses, ["192.0.2.0/28"]);
    let claim = claims.restrictions.unwrap();
    assert_eq!(claim.operations, Some(vec!["Build".to_owned()]));
    let [branch, commit, tags] = claim.variables.as_slice() else { panic!("{claim:?}") };
    assert_eq!(branch.schemas, [r#"{"pattern":"^release/"}"#, r#"{"maxLength":9}"#], "all of them hold");
    assert_eq!((commit.fixed.as_deref(), tags.fixed.as_deref()), (Some("\"HEAD\""), Some(r#"["a"]"#)));
    let Err(spent) = door.desk.authorize("acme", "door", &token).await else { panic!("a second use") };
    assert_eq!(spent.details(), &Details::Restricted { rule: Rule::MaxUses, variable: None });
    // What one exchange asked for is no other's.
    let (claims, answer) = door.granted(&door.exchange(&secret, None).await.unwrap()).await;
    assert_eq!((claims.restrictions.unwrap().operations.unwrap().len(), answer.counts_uses), (2, false));

    // What is left declares neither, and is run all the same.
    let (claims, _) = door.granted(&door.exchange(&secret, Some(run(&["Who"], vec![]))).await.unwrap()).await;
    let variables = claims.restrictions.unwrap().variables;
    let among = Some(vec!["Build".to_owned(), "Who".to_owned()]);
    assert!(
        variables.len() == 2 && variables.iter().all(|variable| variable.declared_by == among),
        "{variables:?}"
    );

    let branch = run(&[], vec![fixed("branch", "\"release/1\"")]);
    let (claims, _) = door.granted(&door.exchange(&secret, Some(branch)).await.unwrap()).await;
    let variables = claims.restrictions.unwrap().variables;
    let branch = variables.iter().find(|variable| variable.name == "branch").unwrap();
    assert_eq!(branch.fixed.as_deref(), Some("\"release/1\""));
    assert_eq!(branch.schemas, [r#"{"pattern":"^release/"}"#], "it is checked as it is sent");
}

#[tokio::test]
async fn what_would_widen_is_refused_and_makes_no_token() {
    let door = Door::open().await;
    let held = Restrictions {
        allowed_ip_addresses: Some("192.0.2.0/24".to_owned()),
        revision: TokenRevision::Pin.into(),
        ..run(
            &["Build", "Me"],
            vec![checked("branch", r#"{"pattern":"^release/"}"#), fixed("commit", "\"HEAD\"")],
        )
    };
    let (made, secret) = door.secret(held).await.unwrap();
    assert_eq!(made.restrictions.unwrap().pinned_revision, Some(1));
    let events = door.desk.events("acme").await.len();
    for (asked, expected) in [
        (run(&["Who"], vec![]), "operations must be among those that can be run already, `Who` is not"),
        (run(&["Build", "Who"], vec![]), "`Who` is not"),
        (run(&["Nobody"], vec![]), "`Nobody` is not"),
        (run(&[], vec![fixed("commit", "\"main\"")]), "variables.commit is fixed already"),
        (run(&[], vec![checked("commit", "{}")]), "variables.commit is fixed already"),
        (
            run(&[], vec![fixed("branch", "\"main\"")]),
            "variables.branch.fixed is not a value that can be sent already",
        ),
        (
            run(&["Me"], vec![fixed("id", "1")]),
            "variables.id is declared by no operation that the token may run",
        ),
        (run(&[], vec![fixed("id", "1")]), "variables.id is declared by no operation that the token may run"),
        (run(&["Build"], vec![fixed("tags", "1")]), "variables.tags.fixed: variable `$tags`"),
        (run(&[], vec![checked("tags", r#"{"maxium":1}"#)]), "variables.tags.schema has `maxium`"),
        (at("198.51.100.0/24"), "allowed_ip_addresses has no address that is allowed already"),
        (at("home"), "allowed_ip_addresses: `home` is no IP address"),
        (revision(TokenRevision::Follow), "revision is 1 already"),
        (uses(0), "max_uses must be a whole number of at least 1"),
    ] {
        let message = door.too_much(&secret, asked.clone()).await;
        assert!(message.contains(expected) && !message.contains("Validation failed"), "{asked:?}: {message}");
        assert!(!message.contains("HEAD"), "{message}");
    }
    assert_eq!(door.desk.events("acme").await.len(), events, "no token was made, and nobody has guessed");
    let stranger =
        door.exchange_from("192.0.2.10", &crate::desk::generated_secret(), Some(run(&["Who"], vec![]))).await;
    refused(stranger, Reason::InvalidClient);
}

#[tokio::test]
async fn a_pinned_secret_stays_with_its_document_and_an_exchange_may_pin_another() {
    let door = Door::open().await;
    let (_, pinned) = door.secret(revision(TokenRevision::Pin)).await.unwrap();
    let (_, following) = door.desk.secret("acme", "door").await;
    door.publish("query Other($n: Int) { other(n: $n) }").await;
    let runs = async |secret: &str, asked| {
        let (claims, _) = door.granted(&door.exchange(secret, asked).await.unwrap()).await;
        (claims.revision, claims.document.operations.len())
    };
    let pin = || Some(revision(TokenRevision::Pin));
    assert_eq!(runs(&pinned, None).await, (1, 3));
    assert_eq!(runs(&pinned, pin()).await, (1, 3), "pinned as it was");
    assert_eq!(runs(&following, Some(revision(TokenRevision::Follow))).await, (2, 1));
    let token = door.exchange(&following, pin()).await.unwrap();
    // What is asked for must fit the document that will be run.
    let by_pinned = run(&["Me"], vec![]);
    door.exchange(&pinned, Some(by_pinned.clone())).await.unwrap();
    let message = door.too_much(&following, by_pinned).await;
    assert_eq!(message, "operations: the portal has no operation `Me`, it has `Other`");
    door.publish("{ me }").await;
    assert_eq!(door.granted(&token).await.0.revision, 2);
}

#[tokio::test]
async fn a_secret_is_exchanged_from_where_its_tokens_may_be_used() {
    let door = Door::open().await;
    let (_, secret) = door.secret(at("192.0.2.0/24")).await.unwrap();
    door.exchange_from("192.0.2.1", &secret, None).await.unwrap();
    let message = refused(door.exchange_from("198.51.100.1", &secret, None).await, Reason::IpNotAllowed);
    assert_eq!(message, "the client's address is not in the ranges that tokens are restricted to here");
    // Who asks may ask for others.
    door.exchange_from("192.0.2.1", &secret, Some(at("192.0.2.7"))).await.unwrap();
}

#[tokio::test]
async fn of_secrets_and_issuers_no_uses_are_counted() {
    let door = Door::open().await;
    let expected = "Validation failed: max_uses must be asked for with each exchange: nothing bounds how many tokens are made";
    assert_eq!(refused(door.secret(uses(3)).await, Reason::ValidationFailed), expected);
    let condition = v1::ClaimCondition { claim: "ref".to_owned(), pattern: "*".to_owned() };
    let request = v1::CreateTrustedIssuerRequest {
        organization: "acme".to_owned(),
        portal: "door".to_owned(),
        issuer: "https://issuer.example".to_owned(),
        audience: "portals".to_owned(),
        conditions: vec![condition],
        restrictions: Some(uses(3)),
        ..Default::default()
    };
    let answer = fault(door.desk.administration().create_trusted_issuer(door.desk.signed(request)).await);
    assert_eq!(refused(answer, Reason::ValidationFailed), expected);
}

#[tokio::test]
async fn what_each_of_many_tokens_carries_is_bounded() {
    let door = Door::open().await;
    // Names, values, schemas and addresses count.
    let long = |bytes: usize| {
        let value = "a".repeat(bytes / 2 - r#"branch"""#.len());
        let pattern = "b".repeat(bytes - bytes / 2 - r#"tags{"const":""}"#.len());
        run(
            &[],
            vec![
                fixed("branch", &format!("\"{value}\"")),
                checked("tags", &format!(r#"{{"const":"{pattern}"}}"#)),
            ],
        )
    };
    let expected = |most: usize, found: usize| {
        format!(
            "operations, variables and allowed_ip_addresses must have at most {most} bytes together here, they have {found}"
        )
    };
    let (_, secret) = door.desk.secret("acme", "door").await;
    door.exchange(&secret, Some(long(4_096))).await.unwrap();
    assert_eq!(door.too_much(&secret, long(4_097)).await, expected(4_096, 4_097));
    let ranges = |count: usize| at(&vec!["192.0.2.1"; count].join(" "));
    let message = refused(door.secret(ranges(900)).await, Reason::ValidationFailed);
    assert!(message.ends_with(&expected(8_192, 8_999)), "{message}");
    door.secret(ranges(800)).await.unwrap();
}
