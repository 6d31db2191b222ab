//! Why something could not be done: one vocabulary for every room.
//!
//! What a caller may read (`reason`, `message`, `details`) and what the log may hold (`cause`) are
//! different things. Transports are mapped at their own doors.

use crate::restriction::Rule;
use std::{borrow::Cow, error::Error, fmt, sync::Arc, time::Duration};

/// Anything that a fault may hide from its caller and show to the log.
pub type Cause = Box<dyn Error + Send + Sync>;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// What went wrong, in a word that programs may rely on.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word as it stands on every wire.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The reason that a wire's word stands for.
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

reasons! {
    /// The request is not of the form that the contract asks for.
    BadRequest = "BAD_REQUEST",
    /// The document has several operations and none was named.
    OperationNameRequired = "OPERATION_NAME_REQUIRED",
    /// The document has no operation of that name.
    OperationNotFound = "OPERATION_NOT_FOUND",
    /// The variables are not what the operation declares.
    VariablesInvalid = "VARIABLES_INVALID",
    /// There is no bearer, or it is malformed, forged, expired or revoked.
    Unauthenticated = "UNAUTHENTICATED",
    /// The bearer is good, but not for this.
    Forbidden = "FORBIDDEN",
    /// The caller's address is in none of the allowed ranges.
    IpNotAllowed = "IP_NOT_ALLOWED",
    /// The token may do less than its portal, and not this.
    TokenRestricted = "TOKEN_RESTRICTED",
    /// There is no such thing.
    NotFound = "NOT_FOUND",
    /// The route knows other methods.
    MethodNotAllowed = "METHOD_NOT_ALLOWED",
    /// The request took too long to arrive.
    RequestTimeout = "REQUEST_TIMEOUT",
    /// The body is larger than allowed.
    PayloadTooLarge = "PAYLOAD_TOO_LARGE",
    /// The body is of another media type than the route reads.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE",
    /// The request's header fields are larger than allowed.
    HeadersTooLarge = "HEADERS_TOO_LARGE",
    /// The organization has used up its calls of this minute.
    RateLimited = "RATE_LIMITED",
    /// The id or the secret that is to be exchanged for a token is not that of the portal.
    InvalidClient = "INVALID_CLIENT",
    /// The code or assertion that is to be exchanged for a token is unknown, spent or not for this.
    InvalidGrant = "INVALID_GRANT",
    /// There is no such way to get a token.
    UnsupportedGrantType = "UNSUPPORTED_GRANT_TYPE",
    /// Nobody has yet decided on the code.
    AuthorizationPending = "AUTHORIZATION_PENDING",
    /// The code is asked for more often than agreed.
    SlowDown = "SLOW_DOWN",
    /// Somebody who may decide has decided against it.
    AccessDenied = "ACCESS_DENIED",
    /// The code's time is over.
    ExpiredToken = "EXPIRED_TOKEN",
    /// Our own fault.
    Internal = "INTERNAL",
    /// No connection to the upstream could be had, or it broke.
    UpstreamUnreachable = "UPSTREAM_UNREACHABLE",
    /// The upstream did not take the credential.
    UpstreamUnauthorized = "UPSTREAM_UNAUTHORIZED",
    /// The upstream answered with an error.
    UpstreamError = "UPSTREAM_ERROR",
    /// The upstream's answer is not a GraphQL response.
    UpstreamInvalidResponse = "UPSTREAM_INVALID_RESPONSE",
    /// The upstream's answer is larger than allowed.
    UpstreamResponseTooLarge = "UPSTREAM_RESPONSE_TOO_LARGE",
    /// There is more to do than this process takes on.
    Overloaded = "OVERLOADED",
    /// The registry could not be asked.
    RegistryUnavailable = "REGISTRY_UNAVAILABLE",
    /// The executor could not be asked.
    ExecutorUnavailable = "EXECUTOR_UNAVAILABLE",
    /// The upstream has failed too often of late and is left alone for a while.
    UpstreamCircuitOpen = "UPSTREAM_CIRCUIT_OPEN",
    /// The upstream asks for fewer calls.
    UpstreamRateLimited = "UPSTREAM_RATE_LIMITED",
    /// The upstream did not answer in time.
    UpstreamTimeout = "UPSTREAM_TIMEOUT",
    /// What was to be stored breaks a rule.
    ValidationFailed = "VALIDATION_FAILED",
    /// Somebody else changed the same thing at the same time.
    Conflict = "CONFLICT",
    /// The thing is no longer at the revision that the request names.
    PreconditionFailed = "PRECONDITION_FAILED",
    /// The store takes no writes.
    StorageUnavailable = "STORAGE_UNAVAILABLE",
    /// The executor was given the hash of a grant that it does not hold.
    GrantUnknown = "GRANT_UNKNOWN",
    /// The grant is forged, malformed or has run out.
    GrantInvalid = "GRANT_INVALID",
}

/// One variable that is not what the operation declares.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VariableFault {
    /// The variable's name, without `$`.
    pub variable: String,
    /// Where in the value: the variable's name first, then keys and indices.
    pub path: Vec<PathSegment>,
    /// What was expected there.
    pub message: String,
}

/// A step into a JSON value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PathSegment {
    /// A key of an object.
    Key(String),
    /// An index of an array.
    Index(u32),
}

/// What a caller is told besides reason and message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Details {
    /// Nothing.
    #[default]
    None,
    /// The operations that can be asked for.
    Operations(Vec<String>),
    /// Every bad variable.
    Variables(Vec<VariableFault>),
    /// The rule of the token that the call breaks.
    Restricted {
        /// Which.
        rule: Rule,
        /// By which variable, where it is by one.
        variable: Option<String>,
    },
}

/// Why something could not be done.
///
/// `Display` shows what the caller may read; the cause is the error's `source`, and copies share it.
#[derive(Clone)]
pub struct Fault(Box<Inner>);

#[derive(Clone)]
struct Inner {
    reason: Reason,
    message: Cow<'static, str>,
    details: Details,
    retry_after: Option<Duration>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A fault with a message for the caller.
    pub fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        let (details, retry_after, cause) = (Details::None, None, None);
        Self(Box::new(Inner { reason, message: message.into(), details, retry_after, cause }))
    }

    /// The token does not allow it, by `rule`.
    pub fn restricted(rule: Rule, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Reason::TokenRestricted, message).with(Details::Restricted { rule, variable: None })
    }

    /// The token does not allow it, for what would become of `variable`.
    pub fn restricted_variable(rule: Rule, variable: &str, message: impl Into<Cow<'static, str>>) -> Self {
        let variable = Some(variable.to_owned());
        Self::new(Reason::TokenRestricted, message).with(Details::Restricted { rule, variable })
    }

    /// Our own fault: the caller learns nothing, the log gets `cause`.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::new(Reason::Internal, "something went wrong on our side").because(cause)
    }

    /// The same fault with a cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into().into());
        self
    }

    /// The same fault with more to tell.
    #[must_use]
    pub fn with(mut self, details: Details) -> Self {
        self.0.details = details;
        self
    }

    /// The same fault with the time after which another try may succeed.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// What the caller may read of it, without the cause.
    #[must_use]
    pub fn told(&self) -> Self {
        let Inner { reason, message, details, retry_after, .. } = &*self.0;
        let (message, details, retry_after) = (message.clone(), details.clone(), *retry_after);
        Self(Box::new(Inner { reason: *reason, message, details, retry_after, cause: None }))
    }

    /// What went wrong.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// What the caller may read.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the caller is told besides.
    pub fn details(&self) -> &Details {
        &self.0.details
    }

    /// When another try may succeed, where that is known.
    pub fn wait(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { reason, message, details, retry_after, cause } = &*self.0;
        formatter
            .debug_struct("Fault")
            .field("reason", reason)
            .field("message", message)
            .field("details", details)
            .field("retry_after", retry_after)
            .field("cause", cause)
            .finish()
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

/// Shows an error and all its causes on one line, for the log.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_names_one_reason() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
        }
    }

    #[test]
    fn a_caller_reads_the_message_and_the_log_the_chain() {
        let fault = Fault::internal("disk on fire");
        assert_eq!(fault.to_string(), "something went wrong on our side");
        assert_eq!(Chain(&fault).to_string(), "something went wrong on our side: disk on fire");
    }
}
