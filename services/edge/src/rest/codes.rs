//! `/v2/codes/{code}`, `…/authorize` and `…/deny`: what members decide.

use super::{
    Answered, Asked, answered,
    describe::Described,
    json, portals, present, render,
    route::{Noun, Route},
    sent::sent,
};
use http::{Method, StatusCode};
use proto::registry::v1::{AuthorizeCodeRequest, Code, DenyCodeRequest, GetCodeRequest};

const ONE: &str = "/v2/codes/{code}";
const AUTHORIZE: &str = "/v2/codes/{code}/authorize";
const DENY: &str = "/v2/codes/{code}/deny";
const WRITE: &str = "write_user";

sent! {
    /// What is approved.
    creation Authorization {
        /// The revision of the portal that was looked at.
        #[schema(examples(3), minimum = 1)]
        revision: u32,
    }
}

pub(super) fn noun() -> Noun {
    let shown = Described::shows::<render::Code>("getCode", "Show what a code is for");
    let authorized = Described::shows::<render::Code>("authorizeCode", "Approve a code").about(
        "Whoever asked for it gets one token, which runs the document that was shown with the member's own upstream \
         credential, for 12 hours at most. It ends with the membership, with the portal, and when `user_invokable` is \
         turned off.",
    );
    let denied = Described::shows::<render::Code>("denyCode", "Deny a code");
    Noun {
        name: "Codes",
        about: "What somebody shows to a member to get a token of a portal in their name. A code lives for 5 minutes; \
                10 wrong ones a minute from an address or with an access token are listened to.",
        routes: vec![
            Route::asks(Method::GET, ONE, shown, show),
            Route::takes(Method::POST, AUTHORIZE, authorized.needs(WRITE), authorize),
            Route::asks(Method::POST, DENY, denied.needs(WRITE), deny),
        ],
    }
}

/// The code of the path: what is none is nobody's.
fn code(asked: &Asked) -> String {
    asked.path.first().cloned().unwrap_or_default()
}

async fn show(asked: Asked) -> Answered {
    let request = asked.message(GetCodeRequest { code: code(&asked) });
    told(&asked, answered(asked.codes().get_code(request)).await?.code)
}

async fn authorize(asked: Asked, Authorization { revision }: Authorization) -> Answered {
    let request = AuthorizeCodeRequest { code: code(&asked), revision: revision.into() };
    told(&asked, answered(asked.codes().authorize_code(asked.message(request))).await?.code)
}

async fn deny(asked: Asked) -> Answered {
    let request = asked.message(DenyCodeRequest { code: code(&asked) });
    told(&asked, answered(asked.codes().deny_code(request)).await?.code)
}

fn told(asked: &Asked, code: Option<Code>) -> Answered {
    let mut code = present(code)?;
    let portal = portals::rendered(asked, present(code.portal.take())?, None);
    Ok(json(StatusCode::OK, &render::Code::new(code, portal)))
}
