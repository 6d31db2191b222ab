//! `/v2/user`: whose access token was presented; and `/v2/user/password`.

use super::{
    Answered, Asked, answered,
    describe::Described,
    json, no_content, render,
    route::{Noun, Route},
    sent::sent,
    text,
};
use http::{Method, StatusCode};
use model::{Fault, Reason};
use proto::registry::v1::{DescribeAccessTokenRequest, SetPasswordRequest};

sent! {
    /// A password to be set.
    creation NewPassword {
        /// The present one, where there is one.
        #[schema(format = Password, examples("correct horse battery"))]
        current_password: Option<String>,
        #[schema(schema_with = text::password)]
        password: String,
    }
}

pub(super) fn noun() -> Noun {
    let shown = Described::shows::<render::User>("showUserThatAsks", "Show the user that asks");
    let set = Described::sets("setPassword", "Set one's own password")
        .about("Every session of the user ends, that which asks included; other access tokens stay.");
    Noun {
        name: "User",
        about: "Whose the presented access token is.",
        routes: vec![
            Route::asks(Method::GET, "/v2/user", shown, show),
            Route::takes(Method::PUT, "/v2/user/password", set.needs("write_user"), set_password),
        ],
    }
}

async fn show(asked: Asked) -> Answered {
    let request = asked.message(DescribeAccessTokenRequest {});
    let token = answered(asked.registry().describe_access_token(request)).await?;
    let nobody = || Fault::new(Reason::NotFound, "No user found: the API access token is nobody's own");
    Ok(json(StatusCode::OK, &render::User::from(token.user.ok_or_else(nobody)?)))
}

async fn set_password(asked: Asked, NewPassword { current_password, password }: NewPassword) -> Answered {
    let request = asked.message(SetPasswordRequest { current_password, password });
    answered(asked.sign_in().set_password(request)).await?;
    Ok(no_content())
}
