//! `/v2/access-token`: what the presented access token is.

use super::{
    Answered, Asked, answered,
    describe::Described,
    json, render,
    route::{Noun, Route},
};
use http::{Method, StatusCode};
use proto::registry::v1::DescribeAccessTokenRequest;

pub(super) fn noun() -> Noun {
    let shown =
        Described::shows::<render::PresentedToken>("showAccessToken", "Show the access token that asks");
    Noun {
        name: "Access token",
        about: "What the presented access token is, and what it is good for.",
        routes: vec![Route::asks(Method::GET, "/v2/access-token", shown, show)],
    }
}

async fn show(asked: Asked) -> Answered {
    let request = asked.message(DescribeAccessTokenRequest {});
    let token = answered(asked.registry().describe_access_token(request)).await?;
    Ok(json(StatusCode::OK, &render::PresentedToken::from(token)))
}
