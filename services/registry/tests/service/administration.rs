//! What can be managed, by whom, and what is refused in which words.

use crate::desk::{Desk, fault, portal, refused};
use model::{Fault, Reason};
use proto::registry::v1::{
    self, CreateOrganizationRequest, CreatePortalRequest, OptionalText, UpdatePortalRequest,
};
use std::time::{Duration, SystemTime};
use tonic::Request;

fn update() -> UpdatePortalRequest {
    UpdatePortalRequest { organization: "acme".to_owned(), portal: "viewer".to_owned(), ..Default::default() }
}

async fn updated(desk: &Desk, request: UpdatePortalRequest) -> Result<v1::Portal, Fault> {
    fault(desk.administration().update_portal(desk.signed(request)).await)
        .map(|answer| answer.portal.unwrap())
}

#[tokio::test]
async fn a_portal_reads_as_it_was_written() {
    let desk = Desk::open().await;
    let request = CreatePortalRequest {
        description: Some("Who am I?".to_owned()),
        allowed_ip_addresses: Some("192.0.2.1 2001:db8::/32".to_owned()),
        user_invokable: Some(true),
        extra_variables: v1::ExtraVariables::Ignore.into(),
        coalesce: Some(true),
        rate_limit_per_minute: Some(50),
        ..portal("acme", "Trigger main build!")
    };
    let made = fault(desk.administration().create_portal(desk.signed(request.clone())).await).unwrap();
    let made_portal = made.portal.unwrap();
    let get =
        v1::GetPortalRequest { organization: "acme".to_owned(), portal: "trigger-main-build".to_owned() };
    let read = fault(desk.administration().get_portal(desk.signed(get)).await).unwrap().portal.unwrap();

    assert_eq!(read, made_portal);
    assert_eq!((read.name, read.query, read.description), (request.name, request.query, request.description));
    assert_eq!(read.allowed_ip_addresses, request.allowed_ip_addresses);
    assert_eq!(
        (read.revision, read.user_invokable, read.extra_variables, read.coalesce, read.rate_limit_per_minute),
        (1, true, request.extra_variables, true, Some(50))
    );
    assert_eq!((read.organization_slug.as_str(), read.created_at), ("acme", read.updated_at));
    assert_eq!(
        read.warnings,
        ["line 1, column 24: variable `$unused` is declared but never used"].map(String::from).to_vec()
    );
    let operation = &read.operations[0];
    assert_eq!((operation.name.as_deref(), operation.kind()), (Some("Viewer"), v1::OperationKind::Query));
    let variables: Vec<_> = operation
        .variables
        .iter()
        .map(|variable| (variable.name.as_str(), variable.r#type.as_str(), variable.required))
        .collect();
    assert_eq!(variables, [("id", "ID!", true), ("unused", "Int", false)]);
    let granted = desk.authorize("acme", "trigger-main-build", &made.token).await.unwrap();
    assert_eq!(granted.allowed_ip_addresses, ["192.0.2.1", "2001:db8::/32"]);
}

#[tokio::test]
async fn an_update_changes_what_is_sent_and_nothing_else() {
    let desk = Desk::open().await;
    let (before, token) = desk.portal("acme", "Viewer").await;

    let text = |text: &str| Some(OptionalText { value: Some(text.to_owned()) });
    let after = updated(
        &desk,
        UpdatePortalRequest {
            description: text("Who?"),
            allowed_ip_addresses: text("192.0.2.1"),
            ..update()
        },
    )
    .await
    .unwrap();
    assert_eq!((after.revision, after.description.as_deref()), (2, Some("Who?")));
    assert_eq!((&after.name, &after.query, &after.slug), (&before.name, &before.query, &before.slug));

    let query = Some("{ me }".to_owned());
    let after =
        updated(&desk, UpdatePortalRequest { query: query.clone(), if_revision: Some(2), ..update() })
            .await
            .unwrap();
    assert_eq!((after.revision, Some(&after.query), after.operations.len()), (3, query.as_ref(), 1));

    let cleared = Some(OptionalText { value: None });
    let request =
        UpdatePortalRequest { description: cleared.clone(), allowed_ip_addresses: cleared, ..update() };
    let after = updated(&desk, request).await.unwrap();
    assert_eq!((after.revision, after.description, after.allowed_ip_addresses), (4, None, None));
    assert_eq!(Some(after.query), query);

    let moved = UpdatePortalRequest { slug: Some("me".to_owned()), ..update() };
    assert_eq!(updated(&desk, moved).await.unwrap().slug, "me");
    desk.authorize("acme", "me", &token).await.unwrap();
    refused(desk.authorize("acme", "viewer", &token).await, Reason::Forbidden);
    desk.portal("acme", "Viewer").await;
    let taken = UpdatePortalRequest { slug: Some("me".to_owned()), ..update() };
    assert_eq!(
        refused(updated(&desk, taken).await, Reason::ValidationFailed),
        "Validation failed: slug `me` is already taken"
    );
}

#[tokio::test]
async fn a_name_that_no_slug_can_be_made_of_is_a_name_nevertheless() {
    let desk = Desk::open().await;
    for name in ["日本", "日本", "…"] {
        let (portal, _) = desk.portal("acme", name).await;
        assert_eq!((&*portal.name, &portal.slug), (name, &portal.uuid));
    }
}

#[tokio::test]
async fn a_change_of_an_old_revision_is_refused() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    let stale = UpdatePortalRequest { if_revision: Some(2), or_revisions: vec![0, 3], ..update() };
    assert_eq!(
        refused(updated(&desk, stale).await, Reason::PreconditionFailed),
        "it is at revision 1, which is not what the change depends on"
    );
    let delete = v1::DeletePortalRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        if_revision: Some(2),
        or_revisions: vec![3],
    };
    refused(
        fault(desk.administration().delete_portal(desk.signed(delete)).await),
        Reason::PreconditionFailed,
    );
    let delete = v1::DeleteOrganizationRequest {
        organization: "acme".to_owned(),
        if_revision: Some(2),
        or_revisions: Vec::new(),
    };
    refused(
        fault(desk.administration().delete_organization(desk.signed(delete)).await),
        Reason::PreconditionFailed,
    );
    let fitting = UpdatePortalRequest {
        name: Some("Other".to_owned()),
        if_revision: Some(9),
        or_revisions: vec![8, 1],
        ..update()
    };
    assert_eq!(updated(&desk, fitting).await.unwrap().revision, 2);
}

#[tokio::test]
async fn what_breaks_a_rule_of_portals_is_refused_and_says_so() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    let base = || portal("acme", "Other");
    let some = |text: &str| Some(text.to_owned());
    for (request, said) in [
        (CreatePortalRequest { name: " ".to_owned(), ..base() }, "name must not be blank"),
        (
            CreatePortalRequest { name: "a".repeat(256), ..base() },
            "name must have at most 255 characters, it has 256",
        ),
        (CreatePortalRequest { name: "viewer".to_owned(), ..base() }, "slug `viewer` is already taken"),
        (CreatePortalRequest { slug: some("A b"), ..base() }, "slug: expected 1 to 100 of a-z, 0-9 and -"),
        (
            CreatePortalRequest { description: Some("a".repeat(4097)), ..base() },
            "description must have at most 4096 characters",
        ),
        (
            CreatePortalRequest { allowed_ip_addresses: some("192.0.2.1 x"), ..base() },
            "allowed_ip_addresses: `x` is no IP address",
        ),
        (
            CreatePortalRequest { allowed_ip_addresses: Some(" ".repeat(65_537)), ..base() },
            "allowed_ip_addresses must have at most 65536 bytes",
        ),
        (CreatePortalRequest { query: "x".repeat((128 << 10) + 1), ..base() }, "query line 1, column "),
        (CreatePortalRequest { query: String::new(), ..base() }, "query line 1, column 1: "),
        (CreatePortalRequest { query: "{ a }\n{ b".to_owned(), ..base() }, "query line 2, column "),
        (
            CreatePortalRequest { query: "subscription { a }".to_owned(), ..base() },
            "query line 1, column 1: ",
        ),
    ] {
        let message = refused(
            fault(desk.administration().create_portal(desk.signed(request)).await),
            Reason::ValidationFailed,
        );
        assert!(
            message.starts_with("Validation failed: ") && message.contains(said),
            "{message}\nexpected {said}"
        );
    }
    let both = CreatePortalRequest { name: String::new(), query: "{".to_owned(), ..base() };
    let message = refused(
        fault(desk.administration().create_portal(desk.signed(both)).await),
        Reason::ValidationFailed,
    );
    assert!(message.contains("name must not be blank, query line 1, column "), "{message}");
    assert_eq!(desk.events("acme").await.len(), 2, "nothing of it was stored");
}

#[tokio::test]
async fn what_breaks_a_rule_of_organizations_is_refused_and_says_so() {
    let desk = Desk::open().await;
    let base = || CreateOrganizationRequest {
        name: "Other".to_owned(),
        upstream_url: "http://a".to_owned(),
        ..Default::default()
    };
    let headers = |name: &str| {
        Some(v1::Headers { headers: vec![v1::Header { name: name.to_owned(), value: "canary".to_owned() }] })
    };
    for (request, said) in [
        (CreateOrganizationRequest { name: String::new(), ..base() }, "name must not be blank"),
        (CreateOrganizationRequest { name: "ACME".to_owned(), ..base() }, "slug `acme` is already taken"),
        (
            CreateOrganizationRequest { upstream_url: String::new(), ..base() },
            "upstream_url must be an absolute",
        ),
        (
            CreateOrganizationRequest { upstream_url: "http://u:p@a".to_owned(), ..base() },
            "upstream_url must not have a user",
        ),
        (
            CreateOrganizationRequest { upstream_token: Some("canary\n".to_owned()), ..base() },
            "upstream_token must be visible",
        ),
        (
            CreateOrganizationRequest { upstream_headers: headers("Host"), ..base() },
            "upstream_headers: Host cannot be set",
        ),
        (
            CreateOrganizationRequest { upstream_timeout_seconds: Some(0), ..base() },
            "upstream_timeout_seconds must be 1 to 300",
        ),
        (
            CreateOrganizationRequest { rate_limit_per_minute: Some(1_000_001), ..base() },
            "rate_limit_per_minute must be 0 to 1000000",
        ),
    ] {
        let answer = desk.administration().create_organization(desk.signed(request)).await;
        let message = refused(fault(answer), Reason::ValidationFailed);
        assert!(
            message.starts_with("Validation failed: ") && message.contains(said),
            "{message}\nexpected {said}"
        );
        assert!(!message.contains("canary"), "{message}");
    }
}

#[tokio::test]
async fn an_organization_is_changed_by_what_is_sent_alone() {
    let desk = Desk::open().await;
    let (_, token) = desk.portal("acme", "Viewer").await;
    let header = v1::Header { name: "X-Team".to_owned(), value: "ci".to_owned() };
    let request = v1::UpdateOrganizationRequest {
        organization: "acme".to_owned(),
        upstream_headers: Some(v1::Headers { headers: vec![header.clone()] }),
        upstream_timeout_seconds: Some(5),
        if_revision: Some(1),
        ..Default::default()
    };
    let after = fault(desk.administration().update_organization(desk.signed(request)).await)
        .unwrap()
        .organization
        .unwrap();
    assert_eq!((after.revision, after.upstream_headers.len(), after.upstream_timeout_seconds), (2, 1, 5));
    assert_eq!(
        (after.name.as_str(), after.upstream_url.as_str()),
        ("acme", "http://upstream.example/graphql")
    );
    let get = v1::GetOrganizationRequest { organization: "acme".to_owned() };
    let read =
        fault(desk.administration().get_organization(desk.signed(get)).await).unwrap().organization.unwrap();
    assert_eq!(read.upstream_headers[0].value, header.value);
    assert_eq!(desk.authorize("acme", "viewer", &token).await.unwrap().timeout_ms, 5_000);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    let (organization, portal) = ("acme".to_owned(), "none".to_owned());
    let get = v1::GetPortalRequest { organization: organization.clone(), portal: portal.clone() };
    let answer = fault(desk.administration().get_portal(desk.signed(get)).await);
    assert_eq!(refused(answer, Reason::NotFound), "No portal found");
    let get = v1::GetOrganizationRequest { organization: portal.clone() };
    let answer = fault(desk.administration().get_organization(desk.signed(get)).await);
    assert_eq!(refused(answer, Reason::NotFound), "No organization found");
    let answer =
        fault(desk.administration().create_portal(desk.signed(crate::desk::portal("none", "A"))).await);
    assert_eq!(refused(answer, Reason::NotFound), "No organization found");
    let answer = updated(&desk, UpdatePortalRequest { portal, ..update() }).await;
    assert_eq!(refused(answer, Reason::NotFound), "No portal found");
    let get = v1::GetOrganizationRequest { organization: "a".repeat(100_000) };
    let answer = fault(desk.administration().get_organization(desk.signed(get)).await);
    refused(answer, Reason::NotFound);
    for uuid in ["", "none", "0198e2b4-7a10-7c3e-9f1a-000000000001"] {
        assert_eq!(refused(desk.revoke("acme", "viewer", uuid).await, Reason::NotFound), "No token found");
    }
}

#[tokio::test]
async fn a_token_of_another_portal_cannot_be_revoked_from_here() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    desk.portal("acme", "Other").await;
    let (token, bearer) = desk.token("acme", "other").await;
    refused(desk.revoke("acme", "viewer", &token.uuid).await, Reason::NotFound);
    desk.authorize("acme", "other", &bearer).await.unwrap();
}

#[tokio::test]
async fn a_portal_has_at_most_a_hundred_tokens_and_none_that_has_expired() {
    let desk = Desk::open().await;
    desk.portal("acme", "Viewer").await;
    let request = |expires_at| v1::CreatePortalTokenRequest {
        organization: "acme".to_owned(),
        portal: "viewer".to_owned(),
        expires_at,
        ..Default::default()
    };
    let past = Some(proto::time::write(SystemTime::now() - Duration::from_secs(1)));
    let answer = fault(desk.administration().create_portal_token(desk.signed(request(past))).await);
    assert_eq!(
        refused(answer, Reason::ValidationFailed),
        "Validation failed: expires_at must be a time in the future"
    );
    for _ in 1..100 {
        desk.token("acme", "viewer").await;
    }
    let answer = fault(desk.administration().create_portal_token(desk.signed(request(None))).await);
    assert!(refused(answer, Reason::ValidationFailed).contains("revoke one first"));
}

#[tokio::test]
async fn lists_are_newest_first_and_tell_how_many_there_are() {
    let desk = Desk::open().await;
    for number in 0..7 {
        desk.portal("acme", &format!("Portal {number}")).await;
    }
    let page = |number, size| {
        let request =
            v1::ListPortalsRequest { organization: "acme".to_owned(), page: Some(v1::Page { number, size }) };
        let (mut administration, request) = (desk.administration(), desk.signed(request));
        async move {
            let v1::ListPortalsResponse { portals, total } =
                fault(administration.list_portals(request).await)?;
            assert_eq!(total, 7);
            Ok::<_, Fault>(portals.into_iter().map(|portal| portal.slug).collect::<Vec<_>>())
        }
    };
    assert_eq!(page(1, 3).await.unwrap(), ["portal-6", "portal-5", "portal-4"]);
    assert_eq!(page(3, 3).await.unwrap(), ["portal-0"]);
    assert_eq!(page(4, 3).await.unwrap(), [""; 0]);
    assert_eq!(page(u32::MAX, 100).await.unwrap(), [""; 0]);
    assert_eq!(page(0, 0).await.unwrap().len(), 7);
    refused(page(1, 101).await, Reason::ValidationFailed);
}

#[tokio::test]
async fn a_page_of_large_documents_comes_whole() {
    let desk = Desk::open().await;
    for number in 0..40 {
        let query = format!("{{ a }} # {}", "x".repeat(120 << 10));
        let request = CreatePortalRequest { query, ..portal("acme", &format!("Portal {number}")) };
        desk.administration().create_portal(desk.signed(request)).await.unwrap();
    }
    let request = v1::ListPortalsRequest {
        organization: "acme".to_owned(),
        page: Some(v1::Page { number: 1, size: 40 }),
    };
    let mut administration = desk.administration().max_decoding_message_size(proto::MAX_PAGE_BYTES);
    let answer = fault(administration.list_portals(desk.signed(request)).await).unwrap();
    assert_eq!((answer.portals.len(), answer.total), (40, 40));
}

#[tokio::test]
async fn who_has_no_access_token_manages_nothing() {
    let desk = Desk::open().await;
    let (_, token) = desk.portal("acme", "Viewer").await;
    for authorization in
        [None, Some("Bearer"), Some("Bearer wrong"), Some("Basic YTpi"), Some(&*format!("Bearer {token}"))]
    {
        let signed = || {
            let mut request = Request::new(());
            if let Some(text) = authorization {
                request.metadata_mut().insert("authorization", text.parse().unwrap());
            }
            request
        };
        let describe = signed().map(|()| v1::DescribeAccessTokenRequest {});
        refused(fault(desk.administration().describe_access_token(describe).await), Reason::Unauthenticated);
        let list = signed().map(|()| v1::ListOrganizationsRequest { page: None });
        refused(fault(desk.administration().list_organizations(list).await), Reason::Unauthenticated);
        let create = signed().map(|()| portal("acme", "Other"));
        refused(fault(desk.administration().create_portal(create).await), Reason::Unauthenticated);
    }
}
