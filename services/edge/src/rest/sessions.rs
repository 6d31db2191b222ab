//! `/v2/sessions`: signing in, and out again.

use super::{
    Answered, Asked, answered,
    describe::Described,
    insert, json, no_content, render,
    route::{Noun, Route},
    sent::sent,
};
use http::{Method, StatusCode, header};
use proto::registry::v1::{CreateSessionRequest, DeleteSessionRequest};

const ALL: &str = "/v2/sessions";
const CURRENT: &str = "/v2/sessions/current";

sent! {
    /// Who wants to be let in.
    creation NewSession {
        #[schema(examples("ada@example.com"))]
        email: String,
        #[schema(format = Password, examples("correct horse battery staple"))]
        password: String,
    }
}

pub(super) fn noun() -> Noun {
    let made = Described::creates::<render::Session>("createSession", "Sign in with a password").about(
        "An unknown address, a user without a password and a wrong password are answered alike, and 10 wrong ones a \
         minute for a user or from an address are listened to. A user has at most 20 sessions: with one more the \
         oldest ends.",
    );
    let ended = Described::removes("endSession", "End the session that asks");
    Noun {
        name: "Sessions",
        about: "What a user gets for their password: an access token with every scope that a user's can have, for 12 \
                hours.",
        routes: vec![
            Route::welcomes(Method::POST, ALL, made, create),
            Route::asks(Method::DELETE, CURRENT, ended, remove),
        ],
    }
}

async fn create(asked: Asked, NewSession { email, password }: NewSession) -> Answered {
    let request = asked.message(CreateSessionRequest { email, password });
    let created = answered(asked.sign_in().create_session(request)).await?;
    let mut response = json(StatusCode::CREATED, &render::Session::from(created));
    insert(response.headers_mut(), header::LOCATION, &asked.url(CURRENT));
    Ok(response)
}

async fn remove(asked: Asked) -> Answered {
    answered(asked.sign_in().delete_session(asked.message(DeleteSessionRequest {}))).await?;
    Ok(no_content())
}
