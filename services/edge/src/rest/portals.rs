//! `/v2/organizations/{org}/portals` and `…/{portal}`.

use super::{
    Answered, Asked, Refused, answered,
    describe::Described,
    insert, json, no_content, page,
    precondition::{self, Condition},
    present,
    render::{self, ExtraVariables},
    route::{Noun, Route},
    sent::sent,
    text,
};
use axum::response::Response;
use http::{Method, StatusCode, header};
use proto::registry::v1::{
    self, CreatePortalRequest, DeletePortalRequest, GetPortalRequest, ListPortalsRequest, OptionalNumber,
    OptionalText, Portal, UpdatePortalRequest,
};

pub(super) const READ: &str = "read_portals";
pub(super) const WRITE: &str = "write_portals";
const ALL: &str = "/v2/organizations/{organization}/portals";
const ONE: &str = "/v2/organizations/{organization}/portals/{portal}";

sent! {
    /// A portal to be made.
    creation NewPortal {
        #[schema(schema_with = text::name)]
        name: String,
        #[schema(schema_with = text::slug_or_null)]
        slug: Option<String>,
        #[schema(schema_with = text::description_or_null)]
        description: Option<String>,
        #[schema(schema_with = text::query)]
        query: String,
        #[schema(schema_with = text::addresses_or_null)]
        allowed_ip_addresses: Option<String>,
        /// Whether members may have tokens for it; not where it is not given.
        #[schema(examples(false))]
        user_invokable: Option<bool>,
        /// What becomes of variables that nobody declared; rejected where it is not given.
        extra_variables: Option<ExtraVariables>,
        /// Whether identical queries in flight of one token share an answer; not where it is not given.
        #[schema(examples(false))]
        coalesce: Option<bool>,
        /// Invocations of it a minute, within those of its organization; 0, null or not given for no limit of its own.
        #[schema(maximum = 1_000_000, examples(50))]
        rate_limit_per_minute: Option<u32>,
    }
}

sent! {
    /// What is to change of a portal; what is not sent stays as it is.
    change PortalChange {
        #[schema(schema_with = text::name)]
        name: Option<String>,
        #[schema(schema_with = text::slug)]
        slug: Option<String>,
        #[schema(schema_with = text::description_or_null)]
        description: Option<OptionalText>,
        #[schema(schema_with = text::query)]
        query: Option<String>,
        #[schema(schema_with = text::addresses_or_null)]
        allowed_ip_addresses: Option<OptionalText>,
        /// Whether members may have tokens for it.
        #[schema(nullable = false, examples(false))]
        user_invokable: Option<bool>,
        /// What becomes of variables that nobody declared.
        #[schema(nullable = false)]
        extra_variables: Option<ExtraVariables>,
        /// Whether identical queries in flight of one token share an answer.
        #[schema(nullable = false, examples(false))]
        coalesce: Option<bool>,
        /// Invocations of it a minute, within those of its organization; 0 or null for no limit of its own.
        #[schema(value_type = Option<u32>, maximum = 1_000_000, examples(50))]
        rate_limit_per_minute: Option<OptionalNumber>,
    }
}

pub(super) fn noun() -> Noun {
    let listed = Described::lists::<render::Portal>("listPortals", "List an organization's portals");
    let made = Described::creates::<render::Portal>("createPortal", "Create a portal")
        .about("The answer has its first token, which cannot be read again.");
    let shown = Described::shows::<render::Portal>("showPortal", "Show a portal");
    let changed = Described::shows::<render::Portal>("updatePortal", "Change a portal")
        .about("Only the properties that are sent change.");
    let ended = Described::removes("deletePortal", "Delete a portal")
        .about("Its tokens and secrets end with it. When this is answered, nobody can invoke it any more.");
    Noun {
        name: "Portals",
        about: "A portal is a GraphQL document under a name, whose operations those can run who have a token for it.",
        routes: vec![
            Route::asks(Method::GET, ALL, listed.needs(READ), list),
            Route::takes(Method::POST, ALL, made.needs(WRITE).tagged(), create),
            Route::asks(Method::GET, ONE, shown.needs(READ).tagged(), show),
            Route::takes(Method::PUT, ONE, changed.needs(WRITE).tagged().conditional(), update),
            Route::asks(Method::DELETE, ONE, ended.needs(WRITE).conditional(), remove),
        ],
    }
}

async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let request = asked.message(ListPortalsRequest { organization: asked.slug(0), page: Some(page) });
    let listed = answered(asked.registry().list_portals(request)).await?;
    let portals: Vec<_> = listed.portals.into_iter().map(|portal| rendered(&asked, portal, None)).collect();
    let mut response = json(StatusCode::OK, &portals);
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}

async fn show(asked: Asked) -> Answered {
    let request = GetPortalRequest { organization: asked.slug(0), portal: asked.slug(1) };
    let got = answered(asked.registry().get_portal(asked.message(request))).await?;
    written(&asked, StatusCode::OK, got.portal, None)
}

async fn create(asked: Asked, sent: NewPortal) -> Answered {
    let request = CreatePortalRequest {
        organization: asked.slug(0),
        name: sent.name,
        slug: sent.slug,
        description: sent.description,
        query: sent.query,
        allowed_ip_addresses: sent.allowed_ip_addresses,
        user_invokable: sent.user_invokable,
        extra_variables: sent.extra_variables.map(v1::ExtraVariables::from).unwrap_or_default().into(),
        coalesce: sent.coalesce,
        rate_limit_per_minute: sent.rate_limit_per_minute,
    };
    let created = answered(asked.registry().create_portal(asked.message(request))).await?;
    let portal = present(created.portal)?;
    let path = format!("/v2/organizations/{}/portals/{}", portal.organization_slug, portal.slug);
    let mut response = written(&asked, StatusCode::CREATED, Some(portal), Some(created.token))?;
    insert(response.headers_mut(), header::LOCATION, &asked.url(&path));
    Ok(response)
}

async fn update(asked: Asked, sent: PortalChange) -> Answered {
    let Condition { if_revision, or_revisions } = Condition::read(&asked.headers);
    let request = UpdatePortalRequest {
        organization: asked.slug(0),
        portal: asked.slug(1),
        name: sent.name,
        slug: sent.slug,
        description: sent.description,
        query: sent.query,
        allowed_ip_addresses: sent.allowed_ip_addresses,
        user_invokable: sent.user_invokable,
        extra_variables: sent.extra_variables.map(v1::ExtraVariables::from).unwrap_or_default().into(),
        if_revision,
        or_revisions,
        coalesce: sent.coalesce,
        rate_limit_per_minute: sent.rate_limit_per_minute,
    };
    let updated = answered(asked.registry().update_portal(asked.message(request))).await?;
    written(&asked, StatusCode::OK, updated.portal, None)
}

async fn remove(asked: Asked) -> Answered {
    let Condition { if_revision, or_revisions } = Condition::read(&asked.headers);
    let (organization, portal) = (asked.slug(0), asked.slug(1));
    let request = DeletePortalRequest { organization, portal, if_revision, or_revisions };
    answered(asked.registry().delete_portal(asked.message(request))).await?;
    Ok(no_content())
}

pub(super) fn rendered(asked: &Asked, portal: Portal, token: Option<String>) -> render::Portal {
    let path = format!("/organizations/{}/portals/{}", portal.organization_slug, portal.slug);
    render::Portal::new(portal, asked.url(&path), token)
}

fn written(
    asked: &Asked,
    status: StatusCode,
    portal: Option<Portal>,
    token: Option<String>,
) -> Result<Response, Refused> {
    let portal = present(portal)?;
    let revision = portal.revision;
    let mut response = json(status, &rendered(asked, portal, token));
    precondition::write(response.headers_mut(), revision);
    Ok(response)
}
