//! `/v2/user`: whose access token was presented.

use super::{
    Answered, Asked, answered,
    describe::Described,
    json, render,
    route::{Noun, Route},
};
use http::{Method, StatusCode};
use model::{Fault, Reason};
use proto::registry::v1::DescribeAccessTokenRequest;

pub(super) fn noun() -> Noun {
    let shown = Described::shows::<render::User>("showUserThatAsks", "Show the user that asks");
    Noun {
        name: "User",
        about: "Whose the presented access token is.",
        routes: vec![Route::asks(Method::GET, "/v2/user", shown, show)],
    }
}

async fn show(asked: Asked) -> Answered {
    let request = asked.message(DescribeAccessTokenRequest {});
    let token = answered(asked.registry().describe_access_token(request)).await?;
    let nobody = || Fault::new(Reason::NotFound, "No user found: the API access token is nobody's own");
    Ok(json(StatusCode::OK, &render::User::from(token.user.ok_or_else(nobody)?)))
}
