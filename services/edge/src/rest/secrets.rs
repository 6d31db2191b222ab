//! `/v2/organizations/{org}/portals/{portal}/secrets` and `…/{uuid}`.

use super::{
    Answered, Asked, answered,
    describe::Described,
    insert, json, no_content, page, portals, present, render,
    restrictions::{self, NoUses, Revision, Variables},
    route::{Noun, Route},
    sent::sent,
    text,
};
use http::{Method, StatusCode, header};
use proto::{
    registry::v1::{CreatePortalSecretRequest, DeletePortalSecretRequest, ListPortalSecretsRequest},
    time::Timestamp,
};
use uuid::Uuid;

const ALL: &str = "/v2/organizations/{organization}/portals/{portal}/secrets";
const ONE: &str = "/v2/organizations/{organization}/portals/{portal}/secrets/{uuid}";

sent! {
    /// A secret to be made.
    creation NewSecret {
        #[schema(schema_with = text::description_or_null)]
        description: Option<String>,
        /// When it ends by itself, and with it the tokens that it was exchanged for.
        #[schema(value_type = Option<String>, format = DateTime, examples("2027-08-26T00:00:00.000Z"))]
        expires_at: Option<Timestamp>,
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

pub(super) fn noun() -> Noun {
    let listed = Described::lists::<render::PortalSecret>("listSecrets", "List a portal's secrets");
    let made = Described::creates::<render::PortalSecret>("createSecret", "Make a secret for a portal")
        .about("A portal has at most two: one that is in use, and one to change over to.");
    let revoked = Described::removes("revokeSecret", "Revoke a secret")
        .about("When this is answered, the tokens that it was exchanged for are dead everywhere.");
    Noun {
        name: "Secrets",
        about: "What is exchanged for ephemeral tokens of one portal, so that no lasting token lies anywhere.",
        routes: vec![
            Route::asks(Method::GET, ALL, listed.needs(portals::READ), list),
            Route::takes(Method::POST, ALL, made.needs(portals::WRITE), create),
            Route::asks(Method::DELETE, ONE, revoked.needs(portals::WRITE), remove),
        ],
    }
}

async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let (organization, portal) = (asked.slug(0), asked.slug(1));
    let request = asked.message(ListPortalSecretsRequest { organization, portal, page: Some(page) });
    let listed = answered(asked.registry().list_portal_secrets(request)).await?;
    let secrets = listed.secrets.into_iter().map(|secret| render::PortalSecret::new(secret, None));
    let mut response = json(StatusCode::OK, &secrets.collect::<Vec<_>>());
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}

async fn create(asked: Asked, sent: NewSecret) -> Answered {
    let request = CreatePortalSecretRequest {
        organization: asked.slug(0),
        portal: asked.slug(1),
        description: sent.description,
        expires_at: sent.expires_at,
        restrictions: restrictions::restrictions(
            sent.operations,
            sent.variables,
            sent.allowed_ip_addresses,
            (sent.max_uses.map(u32::from), sent.revision),
        ),
    };
    let created = answered(asked.registry().create_portal_secret(asked.message(request))).await?;
    let secret = present(created.portal_secret)?;
    let (organization, portal) = (asked.slug(0), asked.slug(1));
    let path = format!("/v2/organizations/{organization}/portals/{portal}/secrets/{}", secret.uuid);
    let mut response = json(StatusCode::CREATED, &render::PortalSecret::new(secret, Some(created.secret)));
    insert(response.headers_mut(), header::LOCATION, &asked.url(&path));
    Ok(response)
}

async fn remove(asked: Asked) -> Answered {
    // What is no UUID is no secret's.
    let uuid = asked.path.get(2).and_then(|text| Uuid::parse_str(text).ok()).unwrap_or_default();
    let (organization, portal) = (asked.slug(0), asked.slug(1));
    let request = DeletePortalSecretRequest { organization, portal, uuid: uuid.to_string() };
    answered(asked.registry().delete_portal_secret(asked.message(request))).await?;
    Ok(no_content())
}
