//! `/v2/sessions`: signing in, and out again.

use super::{
    Answered, Asked, answered,
    describe::Described,
    insert, json, no_content, render,
    route::{Noun, Route},
    sent::sent,
};
use http::{Method, StatusCode, header};
use proto::registry::v1::{
    CreateSessionRequest, CreateSessionResponse, DeleteSessionRequest, RedeemSignInRequest,
    RedeemSignInResponse,
};

const ALL: &str = "/v2/sessions";
const CURRENT: &str = "/v2/sessions/current";
const OPENID: &str = "/v2/sessions/openid";

sent! {
    /// Who wants to be let in.
    creation NewSession {
        #[schema(examples("ada@example.com"))]
        email: String,
        #[schema(format = Password, examples("correct horse battery staple"))]
        password: String,
    }
}

sent! {
    /// Who has been signed in by the identity provider.
    creation FinishedSignIn {
        /// What they came back with.
        #[schema(examples("ptn_…"))]
        code: String,
        /// What only they know who began.
        #[schema(examples("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))]
        code_verifier: String,
    }
}

pub(super) fn noun() -> Noun {
    let made = Described::creates::<render::Session>("createSession", "Sign in with a password").about(
        "An unknown address, a user without a password and a wrong password are answered alike, and 10 wrong ones a \
         minute for a user or from an address are listened to. A user has at most 20 sessions: with one more the \
         oldest ends.",
    );
    let redeemed = Described::creates::<render::Session>("createSessionOfSignIn", "Sign in with the identity provider")
        .about(
            "A browser that is sent to `/sign-in?redirect_uri=…&state=…&code_challenge=…&code_challenge_method=S256` \
             comes back to `redirect_uri`, which is on its own machine, with a code that is good for one session \
             within a minute, for whoever knows the verifier of the challenge (RFC 8252, RFC 7636).",
        );
    let ended = Described::removes("endSession", "End the session that asks");
    Noun {
        name: "Sessions",
        about: "What a user gets for their password, or by the identity provider: an access token with every scope that a user's can have, for 12 \
                hours.",
        routes: vec![
            Route::welcomes(Method::POST, ALL, made, create),
            Route::welcomes(Method::POST, OPENID, redeemed, redeem),
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

async fn redeem(asked: Asked, FinishedSignIn { code, code_verifier }: FinishedSignIn) -> Answered {
    let request = asked.message(RedeemSignInRequest { code, code_verifier });
    let RedeemSignInResponse { token, expires_at, user } =
        answered(asked.sign_in().redeem_sign_in(request)).await?;
    let created = CreateSessionResponse { token, expires_at, user };
    let mut response = json(StatusCode::CREATED, &render::Session::from(created));
    insert(response.headers_mut(), header::LOCATION, &asked.url(CURRENT));
    Ok(response)
}

async fn remove(asked: Asked) -> Answered {
    answered(asked.sign_in().delete_session(asked.message(DeleteSessionRequest {}))).await?;
    Ok(no_content())
}
