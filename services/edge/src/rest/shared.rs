//! What many routes have in common, as the document tells it: parameters, header fields, errors.

use super::{describe::Success, route::Route};
use http::Method;
use utoipa::{
    ToSchema,
    openapi::{
        ContentBuilder, Header, HeaderBuilder, ObjectBuilder, Ref, Required, ResponseBuilder, Type,
        path::{Parameter, ParameterBuilder, ParameterIn},
        response::Response,
        schema::SchemaFormat,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// The one way to say who one is.
pub(super) const ACCESS_TOKEN: &str = "accessToken";
pub(super) const PAGE: &str = "page";
pub(super) const PER_PAGE: &str = "per_page";
pub(super) const IF_MATCH: &str = "If-Match";
pub(super) const ETAG: &str = "ETag";
pub(super) const LINK: &str = "Link";
pub(super) const LOCATION: &str = "Location";
const REQUEST_ID: &str = "X-Request-Id";
const RETRY_AFTER: &str = "Retry-After";
const LIMIT: &str = "RateLimit-Limit";
const REMAINING: &str = "RateLimit-Remaining";
const RESET: &str = "RateLimit-Reset";
const SCOPE: &str = "RateLimit-Scope";
const CHALLENGE: &str = "WWW-Authenticate";

/// Why something was not done.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is described here and written elsewhere")]
pub(super) struct Error {
    /// The reason, for people.
    #[schema(examples("No portal found"))]
    message: String,
}

/// An error that routes may answer with.
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) name: &'static str,
    /// When it is answered.
    about: &'static str,
    /// Its message, for instance.
    message: &'static str,
    /// Whether a route may answer with it.
    pub(super) of: fn(&Route) -> bool,
}

/// Every error there is under `/v2`.
pub(super) const ERRORS: &[Told] = &[
    Told {
        status: 400,
        name: "BadRequest",
        about: "The request is not of the form that HTTP or this API asks for.",
        message: "the body must be a JSON object",
        of: |_| true,
    },
    Told {
        status: 401,
        name: "Unauthenticated",
        about: "There is no access token, or it is malformed, unknown, expired or revoked, or a password is wrong.",
        message: "the API access token is missing, unknown, expired or revoked",
        of: |route| route.guarded || takes(route),
    },
    Told {
        status: 403,
        name: "Forbidden",
        about: "The access token lacks the scope or may not be used from there, or its user lacks the role.",
        message: "the API access token lacks the scope write_portals",
        of: |route| route.guarded || route.path.starts_with("/v2/invitations/"),
    },
    Told {
        status: 404,
        name: "NotFound",
        about: "There is no such thing.",
        message: "No portal found",
        of: |route| {
            let named = ["/v2/user", "/v2/sessions/", "/v2/invitations/"];
            route.path.contains('{') || named.iter().any(|name| route.path.starts_with(name))
        },
    },
    Told {
        status: 408,
        name: "RequestTimeout",
        about: "The body did not arrive in time.",
        message: "the request's body took too long to arrive",
        of: takes,
    },
    Told {
        status: 409,
        name: "Conflict",
        about: "Somebody else changed the same thing at the same time, or has decided on the code already. Nothing was changed.",
        message: "somebody else changed this at the same time",
        of: |route| route.method != Method::GET,
    },
    Told {
        status: 412,
        name: "PreconditionFailed",
        about: "The thing is no longer at a revision that `If-Match` names, or that was looked at.",
        message: "the revision is 3, not one that If-Match names",
        of: |route| route.described.conditional || route.path.ends_with("/authorize"),
    },
    Told {
        status: 413,
        name: "PayloadTooLarge",
        about: "The body is larger than 3 MiB, than 9 MiB where it may have a schema in it, or than 16 KiB where no access token is needed.",
        message: "the request's body is too large",
        of: takes,
    },
    Told {
        status: 415,
        name: "UnsupportedMediaType",
        about: "The body is not said to be JSON.",
        message: "the Content-Type must be application/json",
        of: takes,
    },
    Told {
        status: 422,
        name: "ValidationFailed",
        about: "What was sent breaks rules; the message tells them all, for documents with line and column.",
        message: "Validation failed: name is required, query must be a string",
        of: |route| takes(route) || route.described.success == Success::Page,
    },
    Told {
        status: 429,
        name: "RateLimited",
        about: "The access token has used up its requests of this minute, or its address has with tokens that nobody knows or without one, or there were too many wrong secrets.",
        message: "the access token has used up its 600 requests of this minute",
        of: |route| route.guarded || takes(route),
    },
    Told {
        status: 431,
        name: "HeadersTooLarge",
        about: "The target and the header fields together are larger than 16 KiB.",
        message: "the request's target and header fields are too large",
        of: |_| true,
    },
    Told {
        status: 500,
        name: "Internal",
        about: "Our own fault; the log has the cause under the request's id.",
        message: "something went wrong on our side",
        of: |_| true,
    },
    Told {
        status: 503,
        name: "Unavailable",
        about: "There is more to do than can be done, or the registry cannot be asked or takes no writes.",
        message: "the registry cannot be asked at the moment",
        of: |route| route.guarded || takes(route),
    },
];

fn takes(route: &Route) -> bool {
    route.described.takes.is_some()
}

impl Told {
    pub(super) fn response(&self) -> Response {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(Error::name())))
            .example(Some(serde_json::json!({"message": self.message})));
        let answer = response(self.about).content("application/json", content.build());
        let answer = match self.status {
            401 => with_header(answer, CHALLENGE),
            429 | 503 => with_header(answer, RETRY_AFTER),
            _ => answer,
        };
        // From authentication on.
        match self.status {
            400 | 401 | 431 => answer.build(),
            _ => with_rates(answer).build(),
        }
    }
}

/// An answer with what every answer has.
pub(super) fn response(about: &str) -> ResponseBuilder {
    with_header(ResponseBuilder::new().description(about), REQUEST_ID)
}

/// The same answer with one of the header fields of [`headers`].
pub(super) fn with_header(response: ResponseBuilder, name: &str) -> ResponseBuilder {
    response.header_ref(name, Ref::new(format!("#/components/headers/{name}")))
}

/// The same answer with how the access token stands.
pub(super) fn with_rates(response: ResponseBuilder) -> ResponseBuilder {
    [LIMIT, REMAINING, RESET, SCOPE].into_iter().fold(response, with_header)
}

/// Header fields of answers.
pub(super) fn headers() -> impl Iterator<Item = (&'static str, Header)> {
    let text = |example: &str| ObjectBuilder::new().schema_type(Type::String).examples([example]);
    let number = || ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).examples([30]);
    let links = "<https://portals.example/v2/organizations?page=2>; rel=\"next\", \
        <https://portals.example/v2/organizations?page=1>; rel=\"first\", \
        <https://portals.example/v2/organizations?page=2>; rel=\"last\"";
    [
        (
            REQUEST_ID,
            text("deploy-4711"),
            "The request's own, if it had one that is 1 to 128 visible ASCII characters.",
        ),
        (ETAG, text("\"3\""), "The revision, for `If-Match`."),
        (LINK, text(links), "Where the other pages are: `next`, `prev`, `first`, `last`."),
        (LOCATION, text("https://portals.example/v2/organizations/my-organization"), "Where it is."),
        (CHALLENGE, text("Bearer realm=\"portals\""), "With `error=\"invalid_token\"` if there was a token."),
        (LIMIT, number(), "Requests of the access token in a minute; not there where they have no limit."),
        (REMAINING, number(), "Requests that are left in this one."),
        (RESET, number(), "Seconds until the next."),
        (SCOPE, text("rest"), "What is limited."),
        (RETRY_AFTER, number(), "Seconds after which another try may succeed."),
    ]
    .into_iter()
    .map(|(name, schema, about)| {
        (name, HeaderBuilder::new().schema(Some(schema)).description(Some(about)).build())
    })
}

/// Parameters of paths, by their names there, and of kinds of routes.
pub(super) fn parameters() -> impl Iterator<Item = Parameter> {
    let slug = |example: &str| ObjectBuilder::new().schema_type(Type::String).examples([example]);
    let uuid = || {
        let format = SchemaFormat::Custom("uuid".to_owned());
        slug("018f3c2e-7d2a-7c1b-9b0e-2f6a4d5c8e10").format(Some(format))
    };
    let number = |usual: u32| {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).default(Some(usual.into()))
    };
    [
        (ParameterIn::Path, "organization", slug("my-organization"), "The organization's slug."),
        (ParameterIn::Path, "portal", slug("trigger-main-build"), "The portal's slug."),
        (ParameterIn::Path, "user", uuid(), "The user's `uuid`."),
        (ParameterIn::Path, "uuid", uuid(), "The `uuid` of the token, the secret, the trusted issuer or the invitation."),
        (ParameterIn::Path, "code", slug("WDJB-MJHT"), "The code, in any case, with or without a hyphen."),
        (ParameterIn::Query, PAGE, number(1), "Which page; there is nothing beyond the last."),
        (ParameterIn::Query, PER_PAGE, number(30), "How many on a page; more than 100 are 100."),
        (
            ParameterIn::Header,
            IF_MATCH,
            slug("\"3\""),
            "The `ETag` of a revision, several of them, or `*`: nothing is done unless the thing is at one of them.",
        ),
    ]
    .into_iter()
    .map(|(place, name, schema, about)| {
        let required = if place == ParameterIn::Path { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required);
        parameter.schema(Some(schema)).description(Some(about)).build()
    })
}

/// How an access token is presented.
pub(super) fn access_token() -> SecurityScheme {
    let about = "An API access token (`pta_…`), or the operator's.";
    SecurityScheme::Http(
        HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("pta_…")
            .description(Some(about))
            .build(),
    )
}
