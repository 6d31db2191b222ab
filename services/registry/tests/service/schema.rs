//! Schemas of upstreams: given, kept, replaced, and what documents and grants make of them.

use crate::desk::{Desk, fault, generated, portal, refused};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use model::{Fault, Fingerprint, Reason};
use proto::{
    grant::{Claims, InputTypeClaim},
    registry::v1,
};

const SCHEMA: &str = "enum Color { RED GREEN }
input Filter { color: Color! = RED of: Owner other: Filter }
input Owner { id: ID! }
input Unreached { a: Int }
type User { name(color: Color): String }
type Query { viewer(id: ID!, filter: Filter): User, gone: Int @deprecated(reason: \"use viewer\") }";

const FILTERED: &str =
    "query Viewer($id: ID!, $filter: Filter) { viewer(id: $id, filter: $filter) { name } }";

async fn set(desk: &Desk, schema: Option<&str>) -> Result<v1::Organization, Fault> {
    let request = v1::UpdateOrganizationRequest {
        organization: "acme".to_owned(),
        schema: Some(v1::OptionalText { value: schema.map(str::to_owned) }),
        ..Default::default()
    };
    let answer = fault(desk.administration().update_organization(desk.signed(request)).await)?;
    Ok(answer.organization.unwrap())
}

async fn create(desk: &Desk, name: &str, query: &str) -> Result<(v1::Portal, String), Fault> {
    let request = v1::CreatePortalRequest { query: query.to_owned(), ..portal("acme", name) };
    let answer = fault(desk.administration().create_portal(desk.signed(request)).await)?;
    Ok((answer.portal.unwrap(), answer.token))
}

async fn update(desk: &Desk, slug: &str, query: &str) -> Result<v1::Portal, Fault> {
    let request = v1::UpdatePortalRequest {
        organization: "acme".to_owned(),
        portal: slug.to_owned(),
        query: Some(query.to_owned()),
        ..Default::default()
    };
    Ok(fault(desk.administration().update_portal(desk.signed(request)).await)?.portal.unwrap())
}

/// The types that a grant carries, by name; the signature is for the executor to verify.
async fn types(desk: &Desk, slug: &str, token: &str) -> Vec<InputTypeClaim> {
    let grant = desk.authorize("acme", slug, token).await.unwrap().grant;
    let claims = URL_SAFE_NO_PAD.decode(grant.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Claims>(&claims).unwrap().document.types
}

fn names(types: &[InputTypeClaim]) -> Vec<&str> {
    types.iter().map(|r#type| r#type.name.as_str()).collect()
}

#[tokio::test]
async fn documents_are_held_against_the_schema_from_then_on() {
    let desk = Desk::open().await;
    let (before, _) = create(&desk, "before", "{ anything }").await.unwrap();
    let organization = set(&desk, Some(SCHEMA)).await.unwrap();
    assert_eq!(organization.schema_sha256, Some(Fingerprint::of(SCHEMA.as_bytes()).to_hex()));

    let message = refused(create(&desk, "wrong", "{\n  anything\n}").await, Reason::ValidationFailed);
    assert_eq!(
        message,
        "Validation failed: query line 2, column 3: type `Query` does not have a field `anything`"
    );
    let message = refused(update(&desk, &before.slug, "{ anything }").await, Reason::ValidationFailed);
    assert!(message.contains("line 1, column 3"), "{message}");
    let (right, _) = create(&desk, "right", "query ($n: Int) { gone }").await.unwrap();
    assert_eq!(right.warnings.len(), 2, "{:?}", right.warnings);
    assert_eq!(right.warnings[1], "line 1, column 19: field `Query.gone` is deprecated: use viewer");

    // What is not sent is not held against anything.
    let request = v1::UpdatePortalRequest {
        organization: "acme".to_owned(),
        portal: before.slug.clone(),
        description: Some(v1::OptionalText { value: Some("still there".to_owned()) }),
        ..Default::default()
    };
    fault(desk.administration().update_portal(desk.signed(request)).await).unwrap();

    // The same text under a schema that says less of it is saved anew, and then not again.
    set(&desk, Some(&SCHEMA.replace("@deprecated(reason: \"use viewer\")", ""))).await.unwrap();
    let again = update(&desk, &right.slug, "query ($n: Int) { gone }").await.unwrap();
    assert_eq!((again.revision, again.warnings.len()), (2, 1));
    assert_eq!(update(&desk, &right.slug, "query ($n: Int) { gone }").await.unwrap().revision, 2);

    let organization = set(&desk, None).await.unwrap();
    assert_eq!(organization.schema_sha256, None);
    update(&desk, &before.slug, "{ whatever }").await.unwrap();
}

#[tokio::test]
async fn grants_carry_the_types_that_variables_reach_as_the_schema_has_them_now() {
    let desk = Desk::open().await;
    let (made, token) = create(&desk, "viewer", FILTERED).await.unwrap();
    assert_eq!(names(&types(&desk, &made.slug, &token).await), [] as [&str; 0]);

    set(&desk, Some(SCHEMA)).await.unwrap();
    let reached = types(&desk, &made.slug, &token).await;
    assert_eq!(names(&reached), ["Filter", "Color", "Owner"]);
    let color = &reached[0].fields[0];
    assert_eq!((color.name.as_str(), color.r#type.as_str(), color.default), ("color", "Color!", true));
    assert_eq!(reached[1].values, ["RED", "GREEN"]);

    // Another schema: nobody has to save the portal again, and nothing is left of the one before.
    set(&desk, Some("input Filter { a: Int }\ntype Query { viewer(id: ID!, filter: Filter): Int }"))
        .await
        .unwrap();
    assert_eq!(names(&types(&desk, &made.slug, &token).await), ["Filter"]);
    let desk = desk.restart(|_| ()).await;
    assert_eq!(names(&types(&desk, &made.slug, &token).await), ["Filter"]);
    refused(create(&desk, "name", "{ viewer(id: 1) { name } }").await, Reason::ValidationFailed);
    set(&desk, None).await.unwrap();
    assert_eq!(names(&types(&desk, &made.slug, &token).await), [] as [&str; 0]);
    refused(desk.authorize("acme", &made.slug, &generated()).await, Reason::Unauthenticated);
}

#[tokio::test]
async fn a_fixed_value_must_be_what_the_schema_says() {
    let desk = Desk::open().await;
    set(&desk, Some(SCHEMA)).await.unwrap();
    let (made, _) = create(&desk, "viewer", FILTERED).await.unwrap();
    let fixing = |json: &str| {
        let variable = v1::VariableRestriction {
            name: "filter".to_owned(),
            fixed_json: Some(json.to_owned()),
            schemas_json: Vec::new(),
        };
        let restrictions = v1::Restrictions { variables: vec![variable], ..Default::default() };
        desk.signed(v1::CreatePortalTokenRequest {
            organization: "acme".to_owned(),
            portal: made.slug.clone(),
            restrictions: Some(restrictions),
            ..Default::default()
        })
    };
    let token = desk.administration().create_portal_token(fixing("{\"color\":\"BLUE\"}")).await;
    let message = refused(fault(token), Reason::ValidationFailed);
    assert!(
        message.contains("variable `$filter`.color: expected `Color`, one of `GREEN`, `RED`"),
        "{message}"
    );
    fault(desk.administration().create_portal_token(fixing("{\"color\":\"RED\"}")).await).unwrap();
}

#[tokio::test]
async fn what_is_no_schema_is_told_with_its_place_and_changes_nothing() {
    let desk = Desk::open().await;
    let kept = set(&desk, Some(SCHEMA)).await.unwrap();
    let many_types = || (0..10_001).map(|n| format!("enum E{n} {{ A }}\n")).collect::<String>();
    let long_name = format!("enum {} {{ A }} type Query {{ a: Int }}", "E".repeat(201));
    for (schema, expected) in [
        (String::new(), "schema line 1, column 1: "),
        ("type Query {\n  a: Nope\n}".to_owned(), "schema line 2, column 6: cannot find type `Nope`"),
        ("{ viewer }".to_owned(), "schema line 1, column 1: "),
        (
            format!("type Query {{ a: Int }} #{}", "x".repeat(4 << 20)),
            "schema must have at most 4194304 bytes",
        ),
        (format!("type Query {{ a: Int }}{}", "\n".repeat(3 << 20)), "schema: it comes to"),
        (format!("type Query {{ a: Int }}\n{}", many_types()), "schema: it has 10001 input types"),
        (long_name, "schema: the name of a type has 201 characters"),
    ] {
        let message = refused(set(&desk, Some(&schema)).await, Reason::ValidationFailed);
        assert!(message.starts_with(&format!("Validation failed: {expected}")), "{message:.300}");
    }
    let request = v1::GetOrganizationRequest { organization: "acme".to_owned() };
    let now = fault(desk.administration().get_organization(desk.signed(request)).await).unwrap();
    assert_eq!(now.organization.unwrap(), kept);
}

#[tokio::test]
async fn a_schema_is_a_change_that_the_audit_tells_of_and_ends_with_the_organization() {
    let desk = Desk::open().await;
    set(&desk, Some(SCHEMA)).await.unwrap();
    assert_eq!(set(&desk, Some(SCHEMA)).await.unwrap().revision, 2, "the same again changes nothing");
    let event = desk.events("acme").await.remove(0);
    let sha256 = Fingerprint::of(SCHEMA.as_bytes()).to_hex();
    let data: serde_json::Value = serde_json::from_str(&event.data_json).unwrap();
    assert_eq!(data["schema_sha256"], serde_json::json!({"before": null, "after": sha256}));

    let request = v1::DeleteOrganizationRequest { organization: "acme".to_owned(), ..Default::default() };
    fault(desk.administration().delete_organization(desk.signed(request)).await).unwrap();
    let request = v1::CreateOrganizationRequest {
        name: "acme".to_owned(),
        upstream_url: "http://upstream.example/".to_owned(),
        schema: Some("type Query { a: Int }".to_owned()),
        ..Default::default()
    };
    fault(desk.administration().create_organization(desk.signed(request)).await).unwrap();
    refused(create(&desk, "viewer", FILTERED).await, Reason::ValidationFailed);
    create(&desk, "a", "{ a }").await.unwrap();
}
