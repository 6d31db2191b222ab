//! `/v2/user/upstream_credentials` and `…/{organization}`: what one's own tokens run with upstream.

use super::{
    Answered, Asked, answered,
    describe::Described,
    json, no_content, page, render,
    route::{Noun, Route},
    sent::sent,
};
use http::{Method, StatusCode};
use proto::registry::v1::{
    DeleteUpstreamCredentialRequest, ListUpstreamCredentialsRequest, SetUpstreamCredentialRequest,
};

const ALL: &str = "/v2/user/upstream_credentials";
const ONE: &str = "/v2/user/upstream_credentials/{organization}";
const WRITE: &str = "write_user";

sent! {
    /// A credential to be stored.
    creation NewUpstreamCredential {
        /// Goes upstream as `Authorization: Bearer …`; it cannot be read again.
        #[schema(format = Password, min_length = 1, max_length = 8192, pattern = "^[!-~]+$", examples("bkua_of-the-member"))]
        upstream_token: String,
    }
}

pub(super) fn noun() -> Noun {
    let listed = Described::lists::<render::UpstreamCredential>(
        "listUpstreamCredentials",
        "List for which organizations one has stored an upstream credential",
    );
    let set = Described::sets("setUpstreamCredential", "Store one's own upstream credential").about(
        "It takes the place of what was there, with which nothing runs any more when this is answered.",
    );
    let removed = Described::removes("removeUpstreamCredential", "Remove one's own upstream credential");
    Noun {
        name: "Upstream credentials",
        about: "What the tokens that a member approves run with, in place of the organization's own credential.",
        routes: vec![
            Route::asks(Method::GET, ALL, listed, list),
            Route::takes(Method::PUT, ONE, set.needs(WRITE), store),
            Route::asks(Method::DELETE, ONE, removed.needs(WRITE), remove),
        ],
    }
}

async fn list(asked: Asked) -> Answered {
    let page = page::read(asked.query.as_deref())?;
    let request = asked.message(ListUpstreamCredentialsRequest { page: Some(page) });
    let listed = answered(asked.membership().list_upstream_credentials(request)).await?;
    let told = listed.upstream_credentials.into_iter().map(render::UpstreamCredential::from);
    let mut response = json(StatusCode::OK, &told.collect::<Vec<_>>());
    page::link(response.headers_mut(), &asked, page, listed.total);
    Ok(response)
}

async fn store(asked: Asked, NewUpstreamCredential { upstream_token }: NewUpstreamCredential) -> Answered {
    let request = SetUpstreamCredentialRequest { organization: asked.slug(0), upstream_token };
    answered(asked.membership().set_upstream_credential(asked.message(request))).await?;
    Ok(no_content())
}

async fn remove(asked: Asked) -> Answered {
    let request = DeleteUpstreamCredentialRequest { organization: asked.slug(0) };
    answered(asked.membership().delete_upstream_credential(asked.message(request))).await?;
    Ok(no_content())
}
