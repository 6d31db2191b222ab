//! `/v2/organizations/{org}/portals/{portal}/tokens` and `…/{uuid}`.

use super::{
    Answered, Asked, answered,
    describe::Described,
    insert, json, no_content, page, portals, present, render,
    restrictions::{Revision, Variables, restrictions},
    route::{Noun, Route},
    sent::sent,
    text,
};
use http::{Method, StatusCode, header};
use proto::{
    registry::v1::{CreatePortalTokenRequest, DeletePortalTokenRequest, ListPortalTokensRequest},
    time::Timestamp,
};

const ALL: &str = "/v2/organizations/{organization}/portals/{portal}/tokens";
const ONE: &str = "/v2/organizations/{organization}/portals/{portal}/tokens/{uuid}";

sent! {
    /// A token to be made.
    creation NewToken {
        #[schema(schema_with = text::description_or_null)]
        description: Option<String>,
        /// When it ends by itself.
        #[schema(value_type = Option<String>, format = DateTime, examples("2027-08-26T00:00:00.000Z"))]
        expires_at: Option<Timestamp>,
        #[schema(schema_with = text::operations_or_null)]
        operations: Option<Vec<String>>,
        #[schema(schema_with = Variables::schema)]
        variables: Option<Variables>,
        #[schema(schema_with = text::token_addresses_or_null)]
        allowed_ip_addresses: Option<String>,
        /// How many calls it is good for; as many as one likes where it is not given.
        #[schema(minimum = 1, maximum = 1_000_000_000, examples(10))]
        max_uses: Option<u32>,
        revision: Option<Revision>,
        /// Calls with it a minute, within those of its portal and organization; 0, null or not given for no limit of its own.
        #[schema(maximum = 1_000_000, examples(20))]
        rate_limit_per_minute: Option<u32>,
    }
}

pub(super) fn noun() -> Noun {
    let listed = Described::lists::<render::Token>("listTokens", "List a portal's tokens");
    let made = Described::creates::<render::Token>("createToken", "Make a token for a portal");
    let revoked = Described::removes("revokeToken", "Revoke a token")
        .about("When this is answered, the token is dead everywhere.");
    Noun {
        name: "Tokens",
        about: "Service tokens: each opens one portal, and nothing else.",
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
    let request = asked.message(ListPortalTokensRequest { organization, portal, page: Some(page) });
    let listed = answered(asked.registry().list_portal_tokens(request)).await?;
    let tokens: Vec<_> = listed.tokens.into_iter().map(|token| render::Token::new(token, None)).collect();
    let mut response = json(StatusCode::OK, &tokens);
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}

async fn create(asked: Asked, sent: NewToken) -> Answered {
    let request = CreatePortalTokenRequest {
        organization: asked.slug(0),
        portal: asked.slug(1),
        description: sent.description,
        expires_at: sent.expires_at,
        restrictions: restrictions(
            sent.operations,
            sent.variables,
            sent.allowed_ip_addresses,
            (sent.max_uses, sent.revision),
        ),
        rate_limit_per_minute: sent.rate_limit_per_minute,
    };
    let created = answered(asked.registry().create_portal_token(asked.message(request))).await?;
    let token = present(created.portal_token)?;
    let (organization, portal) = (asked.slug(0), asked.slug(1));
    let path = format!("/v2/organizations/{organization}/portals/{portal}/tokens/{}", token.uuid);
    let mut response = json(StatusCode::CREATED, &render::Token::new(token, Some(created.token)));
    insert(response.headers_mut(), header::LOCATION, &asked.url(&path));
    Ok(response)
}

async fn remove(asked: Asked) -> Answered {
    let (organization, portal) = (asked.slug(0), asked.slug(1));
    let request = DeletePortalTokenRequest { organization, portal, uuid: asked.uuid(2) };
    answered(asked.registry().delete_portal_token(asked.message(request))).await?;
    Ok(no_content())
}
