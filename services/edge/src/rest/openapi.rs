//! `/v2/openapi.json`: all of `/v2` as an OpenAPI document (3.1), made of the list of routes.

use super::{
    describe::{Described, Success},
    example,
    route::{NOUNS, Noun, Route, routes},
    shared,
};
use crate::{answer, room::Inner};
use axum::{body::Body, extract::State, response::Response};
use bytes::Bytes;
use http::{Method, header};
use std::sync::Arc;
use utoipa::{
    ToSchema,
    openapi::{
        Array, Components, ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, LicenseBuilder,
        OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required, ResponseBuilder, Schema, SecurityRequirement,
        Server,
        path::{Operation, OperationBuilder},
        request_body::{RequestBody, RequestBodyBuilder},
        response,
        tag::TagBuilder,
    },
};

const JSON: &str = "application/json";
const ABOUT: &str = "Organizations, their portals and the tokens that may call them, for whoever manages them. \
    Every answer with a body is JSON; an error is an object with a `message` for people. Lists are newest first. \
    Properties that nobody knows are ignored, and more of them may be told than stand here.";

/// An OpenAPI document.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is described here and written elsewhere")]
struct Document {
    /// The version of OpenAPI.
    #[schema(examples("3.1.0"))]
    openapi: String,
}

pub(super) fn noun() -> Noun {
    let shown = Described::shows::<Document>("showDocument", "Show this document");
    Noun {
        name: "Document",
        about: "What all of this is.",
        routes: vec![Route::open(Method::GET, "/v2/openapi.json", shown, show)],
    }
}

async fn show(State(edge): State<Arc<Inner>>) -> Response {
    let document = edge.openapi.get_or_init(|| written(&edge.config.public_url));
    let mut response = Response::new(Body::from(document.clone()));
    response.headers_mut().insert(header::CONTENT_TYPE, answer::JSON);
    response
}

/// The document of a service that callers reach at `url`.
fn written(url: &str) -> Bytes {
    let document = document(url);
    Bytes::from(document.to_pretty_json().expect("a document of strings and numbers has a JSON text"))
}

fn document(url: &str) -> OpenApi {
    let info = InfoBuilder::new()
        .title("Portals")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(LicenseBuilder::new().name("Apache 2.0").identifier(Some("Apache-2.0")).build()));
    let components = components();
    let mut paths = Paths::new();
    for noun in NOUNS.iter() {
        for route in &noun.routes {
            let mut operation = operation(noun, route);
            example::fill(&mut operation, &components);
            paths.add_path_operation(route.path, vec![method(&route.method)], operation);
        }
    }
    let tag = |noun: &Noun| TagBuilder::new().name(noun.name).description(Some(noun.about)).build();
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new(url.trim_end_matches('/'))]))
        .tags(Some(NOUNS.iter().map(tag)))
        .paths(paths)
        .components(Some(components))
        .build()
}

fn method(method: &Method) -> HttpMethod {
    match method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        // Routes have no others, and a test looks for each of them in the document.
        _ => HttpMethod::Get,
    }
}

/// Everything that is told once and referred to.
fn components() -> Components {
    let mut components = ComponentsBuilder::new()
        .schema_from::<shared::Error>()
        .security_scheme(shared::ACCESS_TOKEN, shared::access_token());
    for (name, schema) in routes().flat_map(|route| &route.described.schemas) {
        components = components.schema(name, schema.clone());
    }
    for parameter in shared::parameters() {
        components = components.parameter(parameter.name.clone(), parameter);
    }
    for (name, header) in shared::headers() {
        components = components.header(name, header);
    }
    for error in shared::ERRORS {
        components = components.response(error.name, error.response());
    }
    components.build()
}

fn operation(noun: &Noun, route: &Route) -> Operation {
    let Route { described, .. } = route;
    let mut operation = OperationBuilder::new()
        .tag(noun.name)
        .operation_id(Some(described.id))
        .summary(Some(described.summary))
        .description(about(route))
        .request_body(described.takes.as_ref().map(|taken| body(&taken.name, taken.required)))
        .security(match route.guarded {
            true => SecurityRequirement::new(shared::ACCESS_TOKEN, described.scope),
            false => SecurityRequirement::default(),
        })
        .response(described.success.status().as_str(), success(route));
    for name in names(route) {
        operation = operation.parameter_ref(Ref::new(format!("#/components/parameters/{name}")));
    }
    for error in shared::ERRORS.iter().filter(|error| (error.of)(route)) {
        let answer = RefOr::<response::Response>::Ref(Ref::from_response_name(error.name));
        operation = operation.response(error.status.to_string(), answer);
    }
    operation.build()
}

/// What there is to know beside the summary.
fn about(route: &Route) -> Option<String> {
    let scope = match (route.guarded, route.described.scope) {
        (true, Some(scope)) => format!("Needs an access token with the scope `{scope}`."),
        (true, None) => "Any access token will do.".to_owned(),
        (false, _) => "Needs no access token.".to_owned(),
    };
    Some(route.described.about.into_iter().chain([&*scope]).collect::<Vec<_>>().join(" "))
}

/// The names of its parameters: those in the path, then those of its kind.
fn names(route: &Route) -> Vec<&str> {
    let segments = route.path.split('/');
    let mut names: Vec<_> =
        segments.filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).collect();
    if route.described.success == Success::Page {
        names.extend([shared::PAGE, shared::PER_PAGE]);
    }
    if route.described.conditional {
        names.push(shared::IF_MATCH);
    }
    names
}

fn body(schema: &str, required: bool) -> RequestBody {
    let required = if required { Required::True } else { Required::False };
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    RequestBodyBuilder::new().content(JSON, content).required(Some(required)).build()
}

fn success(route: &Route) -> response::Response {
    let Route { described, guarded, .. } = route;
    let told = match described.success {
        Success::Page => "A page of the list.",
        Success::Shown => "What was asked for.",
        Success::Created => "What was made.",
        Success::Removed => "It is gone.",
        Success::Done => "It is done.",
    };
    let mut response = shared::response(told);
    if *guarded {
        response = shared::with_rates(response);
    }
    if let Some(name) = &described.says {
        let one = Ref::from_schema_name(name);
        let schema = match described.success {
            Success::Page => Schema::Array(Array::new(one)).into(),
            Success::Shown | Success::Created | Success::Removed | Success::Done => RefOr::Ref(one),
        };
        response = response.content(JSON, ContentBuilder::new().schema(Some(schema)).build());
    }
    let headers = [
        (described.success == Success::Page, shared::LINK),
        (described.success == Success::Created, shared::LOCATION),
        (described.tagged, shared::ETAG),
    ];
    let there = headers.into_iter().filter(|(there, _)| *there);
    there.fold(response, |response: ResponseBuilder, (_, name)| shared::with_header(response, name)).build()
}
