//! The one list of routes: what the router serves is what the document tells.
//!
//! A route is made together with its description, and the paths, methods and scopes of both are the same.

use super::{
    Answered, Asked, Refused, VISITOR_BODY_BYTES, Visiting,
    describe::{Described, Success},
    not_allowed, page,
    sent::Sent,
};
use crate::{rate, room::Inner};
use axum::{
    Router,
    handler::Handler,
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use http::Method;
use std::{
    sync::{Arc, LazyLock},
    time::Instant,
};

/// One noun of the API with all that can be done to it.
pub(super) struct Noun {
    /// Its name.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) about: &'static str,
    /// What can be done to it.
    pub(super) routes: Vec<Route>,
}

/// A method of a path: what is told of it, and who answers.
pub(super) struct Route {
    pub(super) method: Method,
    /// The path; every other segment is a name in braces.
    pub(super) path: &'static str,
    /// Whether it is for those alone who present an access token.
    pub(super) guarded: bool,
    pub(super) described: Described,
    handler: MethodRouter<Arc<Inner>>,
}

impl Route {
    /// One that wants an access token, and reads no body.
    pub(super) fn asks<F, A>(method: Method, path: &'static str, described: Described, answer: F) -> Self
    where
        F: Fn(Asked) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answered> + Send + 'static,
    {
        let (scope, is_page) = (described.scope, described.success == Success::Page);
        let read = move |asked: Asked| async move {
            // Who may not ask is told that, whatever is wrong with the question.
            if is_page && page::read(asked.query.as_deref()).is_err() {
                asked.admitted(scope).await?;
            }
            answer(asked).await
        };
        let handler = on(filter(&method), move |asked: Asked| limited(asked, read));
        Self { method, path, guarded: true, described, handler }
    }

    /// One that wants an access token with the described scope, and only then reads a body.
    pub(super) fn takes<B, F, A>(method: Method, path: &'static str, described: Described, answer: F) -> Self
    where
        B: Sent + 'static,
        F: Fn(Asked, B) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answered> + Send + 'static,
    {
        let (scope, bytes) = (described.scope, described.bytes);
        let read = move |asked: Asked| async move {
            let sent = B::read(asked.properties(scope, bytes).await?)?;
            answer(asked, sent).await
        };
        let handler = on(filter(&method), move |asked: Asked| limited(asked, read));
        Self { method, path, guarded: true, described: described.taking::<B>(), handler }
    }

    /// One that takes a body of whoever may have no access token.
    pub(super) fn welcomes<B, F, A>(
        method: Method,
        path: &'static str,
        described: Described,
        answer: F,
    ) -> Self
    where
        B: Sent + 'static,
        F: Fn(Asked, B) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answered> + Send + 'static,
    {
        let read = move |Visiting(asked): Visiting| async move {
            // What is asked without a token counts for its address, however it is answered.
            asked.edge.quotas.enter(&asked.caller, Instant::now()).map_err(|(fault, _)| fault)?;
            let sent = B::read(asked.body(VISITOR_BODY_BYTES).await?)?;
            let exchanges = Arc::clone(&asked.edge.exchanges);
            let _permit = exchanges.try_acquire_owned().map_err(|_| crate::answer::overloaded())?;
            answer(asked, sent).await
        };
        let handler = on(filter(&method), read);
        Self { method, path, guarded: false, described: described.taking::<B>(), handler }
    }

    /// One for everybody.
    pub(super) fn open<T: 'static>(
        method: Method,
        path: &'static str,
        described: Described,
        handler: impl Handler<T, Arc<Inner>>,
    ) -> Self {
        let handler = on(filter(&method), handler);
        Self { method, path, guarded: false, described, handler }
    }
}

/// Answers whoever has requests left, and tells how they stand.
async fn limited<A: Future<Output = Answered>>(asked: Asked, answer: impl FnOnce(Asked) -> A) -> Response {
    let (edge, caller) = (Arc::clone(&asked.edge), asked.caller.clone());
    let (mut response, standing) = match edge.quotas.enter(&caller, Instant::now()) {
        Ok(()) => {
            let response = answer(asked).await.into_response();
            let standing = edge.quotas.leave(&caller, response.status(), Instant::now());
            (response, standing)
        }
        Err((fault, standing)) => (Refused::from(fault).into_response(), standing),
    };
    if standing.is_some() {
        rate::write(response.headers_mut(), "rest", standing);
    }
    response
}

fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).expect("a route's method is one of HTTP's own")
}

/// All there is under `/v2`, in the order in which it is told.
pub(super) static NOUNS: LazyLock<Vec<Noun>> = LazyLock::new(super::nouns);

/// Each path with the methods that it knows.
static PATHS: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| {
    let mut paths: Vec<(&'static str, String)> = Vec::new();
    for Route { method, path, .. } in routes() {
        let methods = if method == Method::GET { "GET, HEAD" } else { method.as_str() };
        match paths.iter_mut().find(|(known, _)| known == path) {
            Some((_, allow)) => *allow = format!("{allow}, {methods}"),
            None => paths.push((path, methods.to_owned())),
        }
    }
    paths
});

/// Every route.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    NOUNS.iter().flat_map(|noun| &noun.routes)
}

/// A router of every route.
pub(super) fn router() -> Router<Arc<Inner>> {
    PATHS.iter().fold(Router::new(), |router, (path, allow)| {
        let known = routes().filter(|route| route.path == *path);
        let methods = known.fold(MethodRouter::new(), |methods, route| methods.merge(route.handler.clone()));
        router.route(path, methods.fallback(move || async move { not_allowed(allow) }))
    })
}
