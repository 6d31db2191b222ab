//! `/v2/organizations` and `/v2/organizations/{org}`.

use super::{
    Answered, Asked, Refused, answered,
    describe::Described,
    insert, json, no_content, page,
    precondition::{self, Condition},
    present,
    properties::invalid,
    render,
    route::{Noun, Route},
    sent::sent,
    text,
};
use axum::response::Response;
use http::{Method, StatusCode, header};
use proto::registry::v1::{
    CreateOrganizationRequest, DeleteOrganizationRequest, GetOrganizationRequest, Headers,
    ListOrganizationsRequest, OptionalText, Organization, UpdateOrganizationRequest,
};

const READ: &str = "read_organizations";
const WRITE: &str = "write_organizations";
const ALL: &str = "/v2/organizations";
const ONE: &str = "/v2/organizations/{organization}";

sent! {
    /// An organization to be made.
    creation NewOrganization {
        #[schema(schema_with = text::organization_name)]
        name: String,
        #[schema(schema_with = text::organization_slug_or_null)]
        slug: Option<String>,
        #[schema(schema_with = text::url)]
        upstream_url: String,
        #[schema(schema_with = text::credential_or_null)]
        upstream_token: Option<String>,
        #[schema(schema_with = render::Fields::nullable_schema)]
        upstream_headers: Option<Headers>,
        /// The whole time of an invocation; 30 where it is not given.
        #[schema(minimum = 1, maximum = 300, examples(30))]
        upstream_timeout_seconds: Option<u32>,
        /// Invocations of all its portals together, 0 for no limit; 200 where it is not given.
        #[schema(maximum = 1_000_000, examples(200))]
        rate_limit_per_minute: Option<u32>,
        #[schema(schema_with = text::schema_or_null)]
        schema: Option<String>,
    }
}

sent! {
    /// What is to change of an organization; what is not sent stays as it is.
    change OrganizationChange {
        #[schema(schema_with = text::organization_name)]
        name: Option<String>,
        #[schema(schema_with = text::organization_slug)]
        slug: Option<String>,
        #[schema(schema_with = text::url)]
        upstream_url: Option<String>,
        #[schema(schema_with = text::credential_or_null)]
        upstream_token: Option<OptionalText>,
        #[schema(schema_with = render::Fields::nullable_schema)]
        upstream_headers: Option<Headers>,
        /// The whole time of an invocation.
        #[schema(nullable = false, minimum = 1, maximum = 300, examples(30))]
        upstream_timeout_seconds: Option<u32>,
        /// Invocations of all its portals together, 0 for no limit.
        #[schema(nullable = false, maximum = 1_000_000, examples(200))]
        rate_limit_per_minute: Option<u32>,
        #[schema(schema_with = text::schema_or_null)]
        schema: Option<OptionalText>,
    }
}

pub(super) fn noun() -> Noun {
    let listed = Described::lists::<render::Organization>("listOrganizations", "List organizations");
    let made = Described::creates::<render::Organization>("createOrganization", "Create an organization");
    let shown = Described::shows::<render::Organization>("showOrganization", "Show an organization");
    let changed = Described::shows::<render::Organization>("updateOrganization", "Change an organization")
        .about("Only the properties that are sent change.");
    let ended = Described::removes("deleteOrganization", "Delete an organization")
        .about("When this is answered, nobody can invoke any of its portals any more.");
    Noun {
        name: "Organizations",
        about: "An organization owns portals, and says where they run and with which credential.",
        routes: vec![
            Route::asks(Method::GET, ALL, listed.needs(READ), list),
            Route::takes(Method::POST, ALL, made.needs(WRITE).tagged().large(), create),
            Route::asks(Method::GET, ONE, shown.needs(READ).tagged(), show),
            Route::takes(Method::PATCH, ONE, changed.needs(WRITE).tagged().conditional().large(), update),
            Route::asks(Method::DELETE, ONE, ended.needs(WRITE).conditional(), remove),
        ],
    }
}

async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let request = asked.message(ListOrganizationsRequest { page: Some(page) });
    let listed = answered(asked.registry().list_organizations(request)).await?;
    let organizations: Vec<_> = listed.organizations.into_iter().map(render::Organization::from).collect();
    let mut response = json(StatusCode::OK, &organizations);
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}

async fn show(asked: Asked) -> Answered {
    let request = asked.message(GetOrganizationRequest { organization: asked.slug(0) });
    let got = answered(asked.registry().get_organization(request)).await?;
    written(StatusCode::OK, got.organization)
}

async fn create(asked: Asked, sent: NewOrganization) -> Answered {
    let request = CreateOrganizationRequest {
        name: sent.name,
        slug: sent.slug,
        upstream_url: sent.upstream_url,
        upstream_token: sent.upstream_token,
        upstream_headers: sent.upstream_headers,
        upstream_timeout_seconds: sent.upstream_timeout_seconds,
        rate_limit_per_minute: sent.rate_limit_per_minute,
        schema: sent.schema,
    };
    let created = answered(asked.registry().create_organization(asked.message(request))).await?;
    let organization = present(created.organization)?;
    let url = asked.url(&format!("/v2/organizations/{}", organization.slug));
    let mut response = written(StatusCode::CREATED, Some(organization))?;
    insert(response.headers_mut(), header::LOCATION, &url);
    Ok(response)
}

async fn update(asked: Asked, sent: OrganizationChange) -> Answered {
    let Condition { if_revision, or_revisions } = Condition::read(&asked.headers);
    let slug = asked.slug(0);
    // Whoever sends back what was read sends it too.
    if sent.slug.is_some_and(|sent| sent != slug) {
        return Err(invalid("slug cannot be changed").into());
    }
    let request = UpdateOrganizationRequest {
        organization: slug,
        name: sent.name,
        upstream_url: sent.upstream_url,
        upstream_token: sent.upstream_token,
        upstream_headers: sent.upstream_headers,
        upstream_timeout_seconds: sent.upstream_timeout_seconds,
        rate_limit_per_minute: sent.rate_limit_per_minute,
        schema: sent.schema,
        if_revision,
        or_revisions,
    };
    let updated = answered(asked.registry().update_organization(asked.message(request))).await?;
    written(StatusCode::OK, updated.organization)
}

async fn remove(asked: Asked) -> Answered {
    let Condition { if_revision, or_revisions } = Condition::read(&asked.headers);
    let request = DeleteOrganizationRequest { organization: asked.slug(0), if_revision, or_revisions };
    answered(asked.registry().delete_organization(asked.message(request))).await?;
    Ok(no_content())
}

fn written(status: StatusCode, organization: Option<Organization>) -> Result<Response, Refused> {
    let organization = present(organization)?;
    let revision = organization.revision;
    let mut response = json(status, &render::Organization::from(organization));
    precondition::write(response.headers_mut(), revision);
    Ok(response)
}
