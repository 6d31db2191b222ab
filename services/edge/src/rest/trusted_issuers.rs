//! `/v2/organizations/{org}/portals/{portal}/trusted_issuers` and `…/{uuid}`.

use super::{
    Answered, Asked, answered,
    describe::Described,
    insert, json, no_content, page, portals, present,
    properties::Properties,
    render::{User, time},
    restrictions::{self, NoUses, Revision, Variables},
    route::{Noun, Route},
    sent::{Property, sent},
    text,
};
use http::{Method, StatusCode, header};
use proto::registry::v1::{
    self, ClaimCondition, CreateTrustedIssuerRequest, DeleteTrustedIssuerRequest, Header,
    ListTrustedIssuersRequest,
};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, Type},
};
use uuid::Uuid;

const ALL: &str = "/v2/organizations/{organization}/portals/{portal}/trusted_issuers";
const ONE: &str = "/v2/organizations/{organization}/portals/{portal}/trusted_issuers/{uuid}";

sent! {
    /// An issuer to be trusted.
    creation NewTrustedIssuer {
        #[schema(schema_with = text::description_or_null)]
        description: Option<String>,
        #[schema(schema_with = text::issuer)]
        issuer: String,
        /// For whom a token must be: what `aud` is or has, of at most 1,024 bytes.
        #[schema(min_length = 1, examples("portals"))]
        audience: String,
        #[schema(schema_with = Conditions::schema)]
        conditions: Conditions,
        #[schema(schema_with = text::operations_or_null)]
        operations: Option<Vec<String>>,
        #[schema(schema_with = Variables::schema)]
        variables: Option<Variables>,
        #[schema(schema_with = text::token_addresses_or_null)]
        allowed_ip_addresses: Option<String>,
        #[schema(schema_with = NoUses::schema)]
        max_uses: Option<NoUses>,
        revision: Option<Revision>,
    }
}

/// An issuer that a portal trusts.
#[derive(Serialize, ToSchema)]
struct TrustedIssuer {
    #[schema(format = "uuid", examples("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e11"))]
    uuid: String,
    /// What it is for.
    #[schema(required, examples("GitHub Actions"))]
    description: Option<String>,
    /// The issuer, letter for letter as its tokens name it in `iss`.
    #[schema(examples("https://token.actions.githubusercontent.com"))]
    issuer: String,
    /// For whom a token must be: what `aud` is or has.
    #[schema(examples("portals"))]
    audience: String,
    #[schema(schema_with = Conditions::schema)]
    conditions: Conditions,
    #[schema(required, format = DateTime, examples("2026-08-26T03:22:45.555Z"))]
    created_at: Option<String>,
    /// Null where no user made it.
    #[schema(required)]
    created_by: Option<User>,
    /// When a token of it was last exchanged.
    #[schema(required, format = DateTime, examples("2026-08-27T12:00:00.000Z"))]
    last_used_at: Option<String>,
    /// The operations that its tokens may run, where they may not run all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, examples("triggerBuild"))]
    operations: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false, schema_with = restrictions::Told::schema)]
    variables: BTreeMap<String, restrictions::Told>,
    /// From where its tokens may be asked for and used, where that is less than the portal's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("192.0.2.1/32 198.51.100.0/24"))]
    allowed_ip_addresses: Option<String>,
    /// Which revisions its tokens may run, where they may do less than the portal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revision: Option<Revision>,
    /// The one that they may run, where it is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples(3))]
    pinned_revision: Option<u64>,
}

/// What must be true of a token's claims, as an object of claims and patterns.
struct Conditions(Vec<ClaimCondition>);

impl Conditions {
    /// What is told of them.
    fn schema() -> ObjectBuilder {
        let text = || ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .additional_properties(Some(text().max_length(Some(1_024))))
            .property_names(Some(text().max_length(Some(256))))
            .min_properties(Some(1))
            .max_properties(Some(20))
            .description(Some(
                "Claims and what each must be as a whole: `*` stands for any characters or none, `?` for one. All must \
                 hold. A claim that begins with `/` is a JSON pointer into the claims.",
            ))
            .examples([serde_json::json!({"repository": "acme/*", "ref": "refs/heads/main"})])
    }
}

impl Property for Conditions {
    fn take(properties: &mut Properties, name: &str) -> Self {
        let condition = |Header { name, value }| ClaimCondition { claim: name, pattern: value };
        Self(properties.required_texts(name).into_iter().map(condition).collect())
    }
}

impl Serialize for Conditions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|ClaimCondition { claim, pattern }| (claim, pattern)))
    }
}

impl From<v1::TrustedIssuer> for TrustedIssuer {
    fn from(issuer: v1::TrustedIssuer) -> Self {
        let revision = issuer.restrictions.as_ref().map(|restrictions| restrictions.revision().into());
        let restrictions = issuer.restrictions.unwrap_or_default();
        Self {
            uuid: issuer.uuid,
            description: issuer.description,
            issuer: issuer.issuer,
            audience: issuer.audience,
            conditions: Conditions(issuer.conditions),
            created_at: time(issuer.created_at),
            created_by: issuer.created_by.map(User::from),
            last_used_at: time(issuer.last_used_at),
            operations: restrictions.operations,
            variables: restrictions::told(restrictions.variables),
            allowed_ip_addresses: restrictions.allowed_ip_addresses,
            revision,
            pinned_revision: restrictions.pinned_revision,
        }
    }
}

pub(super) fn noun() -> Noun {
    let listed =
        Described::lists::<TrustedIssuer>("listTrustedIssuers", "List the issuers that a portal trusts");
    let made = Described::creates::<TrustedIssuer>("createTrustedIssuer", "Have a portal trust an issuer");
    let ended = Described::removes("deleteTrustedIssuer", "End the trust in an issuer")
        .about("When this is answered, every token that it led to is dead everywhere.");
    Noun {
        name: "Trusted issuers",
        about: "OpenID Connect issuers whose JWTs are exchanged for tokens of a portal.",
        routes: vec![
            Route::asks(Method::GET, ALL, listed.needs(portals::READ), list),
            Route::takes(Method::POST, ALL, made.needs(portals::WRITE), create),
            Route::asks(Method::DELETE, ONE, ended.needs(portals::WRITE), remove),
        ],
    }
}

async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let (organization, portal) = (asked.slug(0), asked.slug(1));
    let request = asked.message(ListTrustedIssuersRequest { organization, portal, page: Some(page) });
    let listed = answered(asked.registry().list_trusted_issuers(request)).await?;
    let issuers: Vec<_> = listed.trusted_issuers.into_iter().map(TrustedIssuer::from).collect();
    let mut response = json(StatusCode::OK, &issuers);
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}

async fn create(asked: Asked, sent: NewTrustedIssuer) -> Answered {
    let request = CreateTrustedIssuerRequest {
        organization: asked.slug(0),
        portal: asked.slug(1),
        description: sent.description,
        issuer: sent.issuer,
        audience: sent.audience,
        conditions: sent.conditions.0,
        restrictions: restrictions::restrictions(
            sent.operations,
            sent.variables,
            sent.allowed_ip_addresses,
            (sent.max_uses.map(u32::from), sent.revision),
        ),
    };
    let created = answered(asked.registry().create_trusted_issuer(asked.message(request))).await?;
    let issuer = present(created.trusted_issuer)?;
    let (organization, portal) = (asked.slug(0), asked.slug(1));
    let path = format!("/v2/organizations/{organization}/portals/{portal}/trusted_issuers/{}", issuer.uuid);
    let mut response = json(StatusCode::CREATED, &TrustedIssuer::from(issuer));
    insert(response.headers_mut(), header::LOCATION, &asked.url(&path));
    Ok(response)
}

async fn remove(asked: Asked) -> Answered {
    // What is no UUID is nobody's.
    let uuid = asked.path.get(2).and_then(|text| Uuid::parse_str(text).ok()).unwrap_or_default();
    let (organization, portal) = (asked.slug(0), asked.slug(1));
    let request = DeleteTrustedIssuerRequest { organization, portal, uuid: uuid.to_string() };
    answered(asked.registry().delete_trusted_issuer(asked.message(request))).await?;
    Ok(no_content())
}
