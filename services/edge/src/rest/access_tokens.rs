//! `/v2/user/access-tokens`, and for the operator `/v2/users/{uuid}/access-tokens`.

use super::{
    Answered, Asked, answered,
    describe::Described,
    insert, json, members, no_content, page, present, render,
    route::{Noun, Route},
    sent::sent,
    text,
};
use axum::response::Response;
use http::{Method, StatusCode, header};
use proto::{
    registry::v1::{
        AccessToken, AccessTokenProperties, CreateAccessTokenRequest, CreateUserAccessTokenRequest,
        DeleteAccessTokenRequest, DeleteUserAccessTokenRequest, ListAccessTokensRequest,
        ListUserAccessTokensRequest, Page,
    },
    time::Timestamp,
};

const WRITE: &str = "write_user";
const ALL: &str = "/v2/user/access-tokens";
const ONE: &str = "/v2/user/access-tokens/{uuid}";
const ALL_OF_USER: &str = "/v2/users/{user}/access-tokens";
const ONE_OF_USER: &str = "/v2/users/{user}/access-tokens/{uuid}";

sent! {
    /// An access token to be made.
    creation NewAccessToken {
        #[schema(schema_with = text::description_or_null)]
        description: Option<String>,
        #[schema(schema_with = text::scopes)]
        scopes: Vec<String>,
        #[schema(schema_with = text::addresses_or_null)]
        allowed_ip_addresses: Option<String>,
        /// When it ends by itself.
        #[schema(value_type = Option<String>, format = DateTime, examples("2027-08-26T00:00:00.000Z"))]
        expires_at: Option<Timestamp>,
    }
}

impl From<NewAccessToken> for AccessTokenProperties {
    fn from(sent: NewAccessToken) -> Self {
        let NewAccessToken { description, scopes, allowed_ip_addresses, expires_at } = sent;
        Self { description, scopes, allowed_ip_addresses, expires_at }
    }
}

pub(super) fn noun() -> Noun {
    let listed = Described::lists::<render::AccessToken>("listAccessTokens", "List one's own access tokens");
    let made = Described::creates::<render::AccessToken>(
        "createAccessToken",
        "Make an access token of one's own",
    )
    .about(
        "It is good for nothing that the one which asks is not good for, from nowhere else and no longer.",
    );
    let revoked = Described::removes("revokeAccessToken", "Revoke an access token of one's own");
    let listed_of =
        Described::lists::<render::AccessToken>("listUserAccessTokens", "List a user's access tokens");
    let made_for =
        Described::creates::<render::AccessToken>("createUserAccessToken", "Make an access token for a user")
            .about("For the operator alone: it is how a user comes to their first.");
    let revoked_of = Described::removes("revokeUserAccessToken", "Revoke an access token of a user");
    Noun {
        name: "Access tokens",
        about: "What users manage with. It is good for what its scopes say, where its user has the role for it.",
        routes: vec![
            Route::asks(Method::GET, ALL, listed, list),
            Route::takes(Method::POST, ALL, made.needs(WRITE), create),
            Route::asks(Method::DELETE, ONE, revoked.needs(WRITE), remove),
            Route::asks(Method::GET, ALL_OF_USER, listed_of.needs(members::READ), list_of_user),
            Route::takes(Method::POST, ALL_OF_USER, made_for.needs(members::WRITE), create_for_user),
            Route::asks(Method::DELETE, ONE_OF_USER, revoked_of.needs(members::WRITE), remove_of_user),
        ],
    }
}

async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let request = asked.message(ListAccessTokensRequest { page: Some(page) });
    let listed = answered(asked.membership().list_access_tokens(request)).await?;
    Ok(written(&asked, page, listed.access_tokens, listed.total))
}

async fn list_of_user(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let request = asked.message(ListUserAccessTokensRequest { user: asked.uuid(0), page: Some(page) });
    let listed = answered(asked.membership().list_user_access_tokens(request)).await?;
    Ok(written(&asked, page, listed.access_tokens, listed.total))
}

async fn create(asked: Asked, sent: NewAccessToken) -> Answered {
    let request = asked.message(CreateAccessTokenRequest { properties: Some(sent.into()) });
    let created = answered(asked.membership().create_access_token(request)).await?;
    Ok(made(&asked, present(created.access_token)?, created.token))
}

async fn create_for_user(asked: Asked, sent: NewAccessToken) -> Answered {
    let properties = Some(sent.into());
    let request = asked.message(CreateUserAccessTokenRequest { user: asked.uuid(0), properties });
    let created = answered(asked.membership().create_user_access_token(request)).await?;
    Ok(made(&asked, present(created.access_token)?, created.token))
}

async fn remove(asked: Asked) -> Answered {
    let request = asked.message(DeleteAccessTokenRequest { uuid: asked.uuid(0) });
    answered(asked.membership().delete_access_token(request)).await?;
    Ok(no_content())
}

async fn remove_of_user(asked: Asked) -> Answered {
    let request = asked.message(DeleteUserAccessTokenRequest { user: asked.uuid(0), uuid: asked.uuid(1) });
    answered(asked.membership().delete_user_access_token(request)).await?;
    Ok(no_content())
}

fn written(asked: &Asked, page: Page, tokens: Vec<AccessToken>, total: u64) -> Response {
    let tokens: Vec<_> = tokens.into_iter().map(|token| render::AccessToken::new(token, None)).collect();
    let mut response = json(StatusCode::OK, &tokens);
    page::link(response.headers_mut(), asked, page, total);
    response
}

fn made(asked: &Asked, token: AccessToken, itself: String) -> Response {
    let url = asked.url(&format!("{}/{}", asked.route, token.uuid));
    let mut response = json(StatusCode::CREATED, &render::AccessToken::new(token, Some(itself)));
    insert(response.headers_mut(), header::LOCATION, &url);
    response
}
