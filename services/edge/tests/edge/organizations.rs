//! Managing organizations: JSON in and out, and what reaches the registry.

use crate::{
    rest::{at, send, stage},
    stage::ORGANIZATION,
};
use http::Method;
use proto::registry::v1;

#[tokio::test]
async fn organizations_are_managed_and_never_tell_their_credential() {
    let stage = stage();
    let organization = || v1::Organization {
        uuid: ORGANIZATION.to_owned(),
        slug: "my-organization".to_owned(),
        name: "My organization".to_owned(),
        upstream_url: "https://graphql.buildkite.com/v1".to_owned(),
        upstream_headers: vec![v1::Header { name: "X-Team".to_owned(), value: "ci".to_owned() }],
        upstream_timeout_seconds: 30,
        rate_limit_per_minute: 200,
        created_at: at(0),
        revision: 1,
        schema_sha256: None,
    };
    stage.registry.answer("create_organization", move |_: &v1::CreateOrganizationRequest| {
        Ok(v1::CreateOrganizationResponse { organization: Some(organization()) })
    });
    stage.registry.answer("update_organization", move |_: &v1::UpdateOrganizationRequest| {
        let schema_sha256 = Some("2c26".to_owned());
        Ok(v1::UpdateOrganizationResponse {
            organization: Some(v1::Organization { schema_sha256, ..organization() }),
        })
    });
    let body = r#"{"name":"My organization","upstream_url":"u","upstream_token":"canary","upstream_headers":{"A":"b"}}"#;
    let reply = send(&stage, Method::POST, "/v2/organizations", body).await;
    assert_eq!((reply.status.as_u16(), reply.header("etag")), (201, Some("\"1\"")));
    assert_eq!(
        reply.text(),
        concat!(
            r#"{"uuid":"00000000-0000-4000-8000-00000000000a","slug":"my-organization","name":"My organization","#,
            r#""upstream_url":"https://graphql.buildkite.com/v1","upstream_headers":{"X-Team":"ci"},"#,
            r#""upstream_timeout_seconds":30,"rate_limit_per_minute":200,"created_at":"1970-01-01T00:00:00.000Z"}"#
        )
    );
    let (asked, _) = stage.registry.asked::<v1::CreateOrganizationRequest>("create_organization").unwrap();
    assert_eq!(asked.upstream_token.as_deref(), Some("canary"));
    assert_eq!(asked.upstream_headers.unwrap().headers.len(), 1);
    let path = "/v2/organizations/my-organization";
    let body = r#"{"upstream_token":null,"upstream_headers":null,"rate_limit_per_minute":0}"#;
    assert_eq!(send(&stage, Method::PATCH, path, body).await.status.as_u16(), 200);
    let (asked, _) = stage.registry.asked::<v1::UpdateOrganizationRequest>("update_organization").unwrap();
    assert_eq!(asked.upstream_token.unwrap().value, None);
    assert_eq!(asked.schema, None);
    assert!(asked.upstream_headers.unwrap().headers.is_empty());
    assert_eq!((asked.rate_limit_per_minute, asked.name), (Some(0), None));
    for (slug, status) in [(r#""my-organization""#, 200), (r#""other""#, 422), ("5", 422), ("null", 422)] {
        let reply = send(&stage, Method::PATCH, path, &format!("{{\"slug\":{slug}}}")).await;
        assert_eq!(reply.status.as_u16(), status, "{slug}: {}", reply.text());
    }
    assert_eq!(send(&stage, Method::DELETE, path, "").await.status.as_u16(), 204);

    // Larger than what any other body may be.
    let schema = "#".repeat(4 << 20);
    let reply = send(&stage, Method::PATCH, path, &format!("{{\"schema\":\"{schema}\"}}")).await;
    assert!(reply.text().ends_with(",\"schema_sha256\":\"2c26\"}"), "{}", reply.text());
    let (asked, _) = stage.registry.asked::<v1::UpdateOrganizationRequest>("update_organization").unwrap();
    assert_eq!(asked.schema.unwrap().value, Some(schema));
    // Too large, which is the registry's to say.
    let body = format!("{{\"schema\":\"{}\"}}", "#".repeat(8 << 20));
    assert_eq!(send(&stage, Method::PATCH, path, &body).await.status.as_u16(), 200);
    let (asked, _) = stage.registry.asked::<v1::UpdateOrganizationRequest>("update_organization").unwrap();
    assert_eq!(asked.schema.unwrap().value.map(|schema| schema.len()), Some(8 << 20));
    assert_eq!(send(&stage, Method::PATCH, path, "{\"schema\":null}").await.status.as_u16(), 200);
    let (asked, _) = stage.registry.asked::<v1::UpdateOrganizationRequest>("update_organization").unwrap();
    assert_eq!(asked.schema, Some(v1::OptionalText { value: None }));
    let larger = format!("{{\"schema\":\"{}\"}}", "#".repeat(9 << 20));
    assert_eq!(send(&stage, Method::PATCH, path, &larger).await.status.as_u16(), 413);
}
