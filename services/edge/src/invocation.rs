//! One invocation, stage by stage. It parses no GraphQL and opens no grant.

use crate::{
    answer::{self, Headers, Refusal},
    authorization::{Authorization, PortalName, ask::Authorized},
    body::{self, Limits},
    client::{self, Connection},
    media,
    rate::{self, Standing},
    reply::Body,
    room::Inner,
    router::RequestId,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use model::{
    AllowedAddresses, Bearer, Fault, Reason,
    fault::{Cause, Chain},
    restriction::Rule,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use proto::{Answer, Call, execute::SignedGrant};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::OwnedSemaphorePermit, time};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

const IGNORED: HeaderName = HeaderName::from_static("portal-ignored-variables");
/// The most bytes of the names of ignored variables; the rest goes unnamed.
const MAX_IGNORED_BYTES: usize = 4 << 10;
/// What of a name is escaped: all but visible ASCII without the comma that separates and the sign that escapes.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b',').add(b'%');

/// An answer with what is held until its body has been sent.
struct Answered {
    answer: Answer,
    permit: OwnedSemaphorePermit,
}

/// One invocation, as far as it is known before anything is read.
struct Caller<'a> {
    edge: &'a Inner,
    id: &'a RequestId,
    connection: &'a Connection,
    name: PortalName,
    parts: Parts,
    arrived: Instant,
}

/// Runs one invocation, which has `arrived` and whose caller wants to read `media_type`.
///
/// No `async fn`, which would keep the request twice.
pub(crate) fn invoke<'a, B>(
    edge: &'a Inner,
    id: &'a RequestId,
    connection: &'a Connection,
    name: PortalName,
    request: Request<B>,
    arrived: Instant,
    media_type: HeaderValue,
) -> impl Future<Output = Response<Body>>
where
    B: http_body::Body<Data = Bytes, Error: Into<Cause>> + Unpin,
{
    let (parts, mut body) = request.into_parts();
    let caller = Caller { edge, id, connection, name, parts, arrived };
    async move {
        // Nothing before the caller is known; nothing in it for whom nothing limits.
        let mut rated = None;
        let mut response = match caller.run(&mut body, &mut rated).await {
            Ok(answered) => write(answered, media_type.clone(), id)
                .unwrap_or_else(|fault| answer::graphql(fault.into(), media_type)),
            Err(refusal) => {
                let reason = refusal.fault.reason();
                if reason == Reason::Overloaded {
                    connection.refuse();
                }
                let reusable = body::discard(&mut body, &caller.parts.headers, reason).await;
                answer::closing(answer::graphql(refusal, media_type), !reusable)
            }
        };
        if let Some(standing) = rated {
            rate::write(response.headers_mut(), "portal", standing);
        }
        response
    }
}

impl Caller<'_> {
    async fn run<B>(&self, body: &mut B, rated: &mut Option<Option<Standing>>) -> Result<Answered, Refusal>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Cause>> + Unpin,
    {
        let &Self { edge, id, ref name, ref parts, arrived, .. } = self;
        let bearer = client::bearer(&parts.headers)?;
        let authorized = edge.authorizer.authorize(name, &bearer, arrived).await?;
        let (authorization, now) = (&authorized.authorization, authorized.at);
        let rates = &authorization.rates;
        *rated = Some(rates.peek(now));
        self.let_in(authorization)?;
        match rates.count(now) {
            Ok(standing) => *rated = Some(standing),
            Err((fault, standing)) => {
                *rated = Some(Some(standing));
                return Err(fault.into());
            }
        }
        let patience = self.connection.patience();
        let permit = self.room(patience).await?;
        let variables = self.read_variables(body, now).await?;
        let operation_name = operation_name(parts.uri.query())?;
        let call = |grant: &Arc<SignedGrant>, timeout: Duration| Call {
            grant: Arc::clone(grant),
            operation_name: operation_name.clone(),
            variables: variables.clone(),
            deadline: arrived + timeout,
            // What is left of it after the wait for room here; most have none.
            patience: if patience.is_zero() { patience } else { patience.saturating_sub(arrived.elapsed()) },
            request_id: id.as_str().to_owned(),
        };
        let answer = execute(edge, name, &bearer, authorized, call).await?;
        Ok(Answered { answer, permit })
    }

    /// Room for the call, waited for where patience says so.
    async fn room(&self, patience: Duration) -> Result<OwnedSemaphorePermit, Fault> {
        let calls = || Arc::clone(&self.edge.calls);
        if let Ok(permit) = calls().try_acquire_owned() {
            return Ok(permit);
        }
        match patience {
            Duration::ZERO => Err(answer::overloaded()),
            // Boxed, for it is rare and a future has room for all that it may come to.
            patience => match Box::pin(time::timeout(patience, calls().acquire_owned())).await {
                Ok(Ok(permit)) => Ok(permit),
                Ok(Err(_)) | Err(_) => Err(answer::overloaded()),
            },
        }
    }

    /// Checks from where the call comes.
    fn let_in(&self, authorization: &Authorization) -> Result<(), Fault> {
        let Authorization { allowed, token_allowed, .. } = authorization;
        if allowed.ranges().next().is_none() && token_allowed.is_none() {
            return Ok(());
        }
        let address =
            client::address(self.connection.peer(), &self.parts.headers, &self.edge.config.trusted_proxies)?;
        // Nobody's address is in no range.
        let is_in = |allowed: &AllowedAddresses| address.is_some_and(|address| allowed.allows(address));
        if allowed.ranges().next().is_some() && !is_in(allowed) {
            return Err(Fault::new(
                Reason::IpNotAllowed,
                "the client's address is not in the portal's allowed ranges",
            ));
        }
        if token_allowed.as_ref().is_some_and(|allowed| !is_in(allowed)) {
            let message = "the client's address is not in the token's allowed ranges";
            return Err(Fault::restricted(Rule::AllowedIpAddresses, message));
        }
        Ok(())
    }

    async fn read_variables<B>(&self, body: &mut B, now: Instant) -> Result<Bytes, Refusal>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Cause>> + Unpin,
    {
        let config = &self.edge.config;
        let limits = Limits { bytes: config.max_body_bytes, until: now + config.body_timeout };
        match media::body_type(&self.parts.headers) {
            media::BodyType::Json => body::read(body, limits).await,
            media::BodyType::Form | media::BodyType::Other => Err(body::unsupported()),
            // Without a media type there must be nothing to have one; a byte more than nothing is enough to know.
            media::BodyType::Unsaid => match body::read(body, Limits { bytes: 0, ..limits }).await {
                Err(refusal) if refusal.fault.reason() == Reason::PayloadTooLarge => {
                    Err(Refusal { headers: Headers::Close, ..body::unsupported() })
                }
                read => read,
            },
        }
    }
}

/// The operation that the query string names; an empty name counts as none.
fn operation_name(query: Option<&str>) -> Result<Option<String>, Fault> {
    let Some(query) = query else { return Ok(None) };
    let mut names = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "operation_name")
        .map(|(_, value)| value);
    let name = names.next();
    if names.next().is_some() {
        return Err(Fault::new(Reason::BadRequest, "operation_name is given twice"));
    }
    Ok(name.filter(|name| !name.is_empty()).map(std::borrow::Cow::into_owned))
}

/// Executes under the authorization in hand, or a new one where that no longer holds.
async fn execute(
    edge: &Inner,
    name: &PortalName,
    bearer: &Bearer,
    Authorized { key, mut authorization, .. }: Authorized,
    call: impl Fn(&Arc<SignedGrant>, Duration) -> Call,
) -> Result<Answer, Fault> {
    let grants = &edge.authorizer.grants;
    // While the body came in, the token may have been revoked.
    if !grants.hold(&authorization, Instant::now()) {
        authorization = edge.authorizer.authorize(name, bearer, Instant::now()).await?.authorization;
    }
    if authorization.counts_uses {
        // Boxed, for it is rare.
        return Box::pin(execute_counted(edge, name, bearer, &authorization, call)).await;
    }
    let call = |authorization: &Authorization| call(&authorization.grant, authorization.timeout);
    match edge.executor.execute(call(&authorization)).await {
        Err(fault) if fault.reason() == Reason::GrantInvalid => {
            // Nothing was run: the executor's clock or key is ahead of what is kept here.
            grants.forget(&key);
            let anew = edge.authorizer.authorize(name, bearer, Instant::now()).await?;
            edge.executor.execute(call(&anew.authorization)).await
        }
        outcome => outcome,
    }
}

/// Executes under a grant of one call, which a use was spent for. Whatever becomes of it, there is no second try: it
/// would take another use.
async fn execute_counted(
    edge: &Inner,
    name: &PortalName,
    bearer: &Bearer,
    authorization: &Authorization,
    call: impl Fn(&Arc<SignedGrant>, Duration) -> Call,
) -> Result<Answer, Fault> {
    let grant = edge.authorizer.spend_use(name, bearer).await?;
    if !edge.authorizer.grants.hold(authorization, Instant::now()) {
        // While it was spent, the portal may have been changed or the lease have run out.
        edge.authorizer.authorize(name, bearer, Instant::now()).await?;
    }
    edge.executor.execute(call(&grant, authorization.timeout)).await
}

fn write(answered: Answered, media_type: HeaderValue, id: &RequestId) -> Result<Response<Body>, Fault> {
    let Answered { answer, permit } = answered;
    let status = StatusCode::from_u16(answer.status).map_err(Fault::internal)?;
    let body = match answer.body {
        proto::Body::Whole(bytes) => Body::from(bytes),
        proto::Body::Stream(chunks) => {
            let id = id.clone();
            let chunks = ReceiverStream::new(chunks).map(move |chunk| {
                // Until its last byte is sent, the call is in flight.
                let _held = &permit;
                // The head is gone, so the only way to say it is to break off: the error ends the connection.
                chunk.inspect_err(|fault| {
                    let (request_id, code, error) = (id.as_str(), fault.reason().code(), Chain(fault));
                    tracing::warn!(request_id, code, error = %error, "answer broken off");
                })
            });
            axum::body::Body::from_stream(chunks).into()
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    if !answer.ignored_variables.is_empty() {
        response.headers_mut().insert(IGNORED, ignored(&answer.ignored_variables));
    }
    Ok(response)
}

/// The names of the variables that were left out, as far as there is room.
fn ignored(names: &[String]) -> HeaderValue {
    let mut text = String::new();
    for name in names {
        let name = utf8_percent_encode(name, ESCAPED).to_string();
        if text.len() + name.len() + 2 > MAX_IGNORED_BYTES {
            break;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&name);
    }
    HeaderValue::from_str(&text).expect("escaped text is visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ignored_variables_are_visible_and_bounded() {
        let names = ["a", "b c", "d,e", "ü%", "x-1.$"].map(str::to_owned);
        assert_eq!(ignored(&names), "a, b%20c, d%2Ce, %C3%BC%25, x-1.$");
        let many: Vec<_> = (0..10_000).map(|number| format!("v{number}")).collect();
        assert!(ignored(&many).len() <= MAX_IGNORED_BYTES);
    }

    #[test]
    fn an_operation_is_named_once_or_not_at_all() {
        let read = |query| operation_name(Some(query)).map_err(|fault| fault.reason());
        assert_eq!(read("operation_name=a%20b&x=1"), Ok(Some("a b".to_owned())));
        assert_eq!(read("operation_name="), Ok(None));
        assert_eq!(read("operation%5Fname=a"), Ok(Some("a".to_owned())));
        assert_eq!(read("operation_name=a&operation_name="), Err(Reason::BadRequest));
        assert_eq!(operation_name(None).unwrap(), None);
    }
}
