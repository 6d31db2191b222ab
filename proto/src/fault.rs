//! Faults as gRPC statuses and as messages of a session.
//!
//! A status carries `google.rpc.ErrorInfo` with the reason, and what else a caller is told in its standard
//! companions: `BadRequest` for variables, `RetryInfo` for the wait. Causes never leave the process.

use crate::executor::v1::{self, path_segment::Step};
use model::{
    fault::{Details, Fault, PathSegment, Reason, VariableFault},
    restriction::Rule,
};
use std::{collections::HashMap, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// `domain` of every `ErrorInfo`.
pub const DOMAIN: &str = "portals";
const OPERATIONS: &str = "operations";
const RULE: &str = "rule";
const VARIABLE: &str = "variable";

/// The gRPC code of a reason.
pub fn code(reason: Reason) -> Code {
    match reason {
        Reason::BadRequest
        | Reason::OperationNameRequired
        | Reason::OperationNotFound
        | Reason::VariablesInvalid
        | Reason::UnsupportedMediaType
        | Reason::HeadersTooLarge
        | Reason::PayloadTooLarge
        | Reason::UnsupportedGrantType
        | Reason::InvalidGrant
        | Reason::ValidationFailed => Code::InvalidArgument,
        Reason::Unauthenticated | Reason::GrantInvalid | Reason::InvalidClient => Code::Unauthenticated,
        Reason::Forbidden | Reason::IpNotAllowed | Reason::TokenRestricted | Reason::AccessDenied => {
            Code::PermissionDenied
        }
        Reason::NotFound | Reason::GrantUnknown => Code::NotFound,
        Reason::MethodNotAllowed => Code::Unimplemented,
        Reason::RateLimited | Reason::SlowDown | Reason::Overloaded | Reason::UpstreamRateLimited => {
            Code::ResourceExhausted
        }
        Reason::Internal => Code::Internal,
        Reason::UpstreamUnauthorized
        | Reason::UpstreamError
        | Reason::UpstreamInvalidResponse
        | Reason::UpstreamResponseTooLarge
        | Reason::AuthorizationPending
        | Reason::ExpiredToken
        | Reason::PreconditionFailed => Code::FailedPrecondition,
        Reason::UpstreamUnreachable
        | Reason::RegistryUnavailable
        | Reason::ExecutorUnavailable
        | Reason::UpstreamCircuitOpen
        | Reason::StorageUnavailable => Code::Unavailable,
        Reason::UpstreamTimeout | Reason::RequestTimeout => Code::DeadlineExceeded,
        Reason::Conflict => Code::Aborted,
    }
}

/// Writes a fault as a status.
pub fn write_status(fault: &Fault) -> Status {
    let mut metadata = HashMap::new();
    let mut details = ErrorDetails::new();
    match fault.details() {
        Details::None => {}
        Details::Operations(names) => {
            // A list of strings always has a JSON text.
            metadata.insert(OPERATIONS.to_owned(), serde_json::to_string(names).unwrap_or_default());
        }
        Details::Variables(faults) => {
            for fault in faults {
                details.add_bad_request_violation(path_text(&fault.path), fault.message.clone());
            }
        }
        Details::Restricted { rule, variable } => {
            metadata.insert(RULE.to_owned(), rule.name().to_owned());
            metadata.extend(variable.iter().map(|variable| (VARIABLE.to_owned(), variable.clone())));
        }
    }
    details.set_error_info(fault.reason().code(), DOMAIN, metadata);
    if let Some(wait) = fault.wait() {
        details.set_retry_info(Some(wait));
    }
    Status::with_error_details(code(fault.reason()), fault.message(), details)
}

/// Reads a status that a service of ours made; any other becomes `otherwise`, with the status as its cause.
pub fn read_status(status: Status, otherwise: Reason) -> Fault {
    let details = status.get_error_details();
    let reason = details.error_info().and_then(|info| Reason::from_code(&info.reason));
    let Some(reason) = reason else {
        return Fault::new(otherwise, unavailable_message(otherwise)).because(status);
    };
    let mut fault = Fault::new(reason, status.message().to_owned());
    let names = details.error_info().and_then(|info| info.metadata.get(OPERATIONS));
    if let Some(names) = names.and_then(|names| serde_json::from_str(names).ok()) {
        fault = fault.with(Details::Operations(names));
    }
    if let Some(restricted) = details.error_info().and_then(|info| {
        let rule = info.metadata.get(RULE).and_then(|name| Rule::from_name(name))?;
        Some(Details::Restricted { rule, variable: info.metadata.get(VARIABLE).cloned() })
    }) {
        fault = fault.with(restricted);
    }
    if let Some(wait) = details.retry_info().and_then(|info| info.retry_delay) {
        fault = fault.retry_after(wait);
    }
    fault
}

fn unavailable_message(reason: Reason) -> &'static str {
    match reason {
        Reason::RegistryUnavailable => "the registry cannot be asked at the moment",
        Reason::ExecutorUnavailable => "the executor cannot be asked at the moment",
        _ => "something went wrong on our side",
    }
}

/// A path as text: `tags[1].name`.
fn path_text(path: &[PathSegment]) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            PathSegment::Key(key) if text.is_empty() => text.push_str(key),
            PathSegment::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            PathSegment::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

impl From<&Fault> for v1::Fault {
    fn from(fault: &Fault) -> Self {
        let mut written = Self {
            reason: fault.reason().code().to_owned(),
            message: fault.message().to_owned(),
            retry_after_ms: fault
                .wait()
                .map_or(0, |wait| u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)),
            ..Self::default()
        };
        match fault.details() {
            Details::None => {}
            Details::Operations(names) => written.operations.clone_from(names),
            Details::Variables(faults) => {
                written.variables = faults.iter().map(v1::VariableFault::from).collect();
            }
            Details::Restricted { rule, variable } => {
                rule.name().clone_into(&mut written.rule);
                written.restricted_variable = variable.clone().unwrap_or_default();
            }
        }
        written
    }
}

impl From<v1::Fault> for Fault {
    fn from(fault: v1::Fault) -> Self {
        let reason = Reason::from_code(&fault.reason).unwrap_or(Reason::Internal);
        let rule = Rule::from_name(&fault.rule);
        let variable = Some(fault.restricted_variable).filter(|name| !name.is_empty());
        let details = match (reason, rule) {
            (_, Some(rule)) => Details::Restricted { rule, variable },
            // A document with one anonymous operation has no names.
            (Reason::OperationNameRequired | Reason::OperationNotFound, None) => {
                Details::Operations(fault.operations)
            }
            (_, None) if fault.variables.is_empty() => Details::None,
            (_, None) => Details::Variables(fault.variables.into_iter().map(Into::into).collect()),
        };
        let read = Self::new(reason, fault.message).with(details);
        match fault.retry_after_ms {
            0 => read,
            wait => read.retry_after(Duration::from_millis(wait.into())),
        }
    }
}

impl From<&VariableFault> for v1::VariableFault {
    fn from(fault: &VariableFault) -> Self {
        let segment = |segment: &PathSegment| v1::PathSegment {
            step: Some(match segment {
                PathSegment::Key(key) => Step::Key(key.clone()),
                PathSegment::Index(index) => Step::Index(*index),
            }),
        };
        Self {
            variable: fault.variable.clone(),
            path: fault.path.iter().map(segment).collect(),
            message: fault.message.clone(),
        }
    }
}

impl From<v1::VariableFault> for VariableFault {
    fn from(fault: v1::VariableFault) -> Self {
        let segment = |segment: v1::PathSegment| match segment.step? {
            Step::Key(key) => Some(PathSegment::Key(key)),
            Step::Index(index) => Some(PathSegment::Index(index)),
        };
        Self {
            variable: fault.variable,
            path: fault.path.into_iter().filter_map(segment).collect(),
            message: fault.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_a_status_and_a_session() {
        for reason in Reason::ALL {
            let fault = Fault::new(*reason, "why").retry_after(Duration::from_secs(2));
            let read = read_status(write_status(&fault), Reason::Internal);
            assert_eq!((read.reason(), read.message(), read.wait()), (*reason, "why", fault.wait()));
            let read = Fault::from(v1::Fault::from(&fault));
            assert_eq!((read.reason(), read.message(), read.wait()), (*reason, "why", fault.wait()));
        }
    }

    #[test]
    fn a_strangers_status_becomes_what_the_caller_can_use() {
        let fault = read_status(Status::unavailable("tcp connect error"), Reason::RegistryUnavailable);
        assert_eq!(fault.reason(), Reason::RegistryUnavailable);
        assert!(!fault.message().contains("tcp"));
    }

    #[test]
    fn the_rule_that_a_call_breaks_survives_a_status_and_a_session() {
        for rule in Rule::ALL {
            for fault in [Fault::restricted(rule, "why"), Fault::restricted_variable(rule, "branch", "why")] {
                let status = read_status(write_status(&fault), Reason::Internal);
                assert_eq!((status.reason(), status.details()), (fault.reason(), fault.details()));
                let session = Fault::from(v1::Fault::from(&fault));
                assert_eq!((session.reason(), session.details()), (fault.reason(), fault.details()));
            }
        }
    }

    #[test]
    fn operations_survive_a_status_and_a_session_though_none_has_a_name() {
        for names in [vec![], vec!["a".to_owned(), "b".to_owned()]] {
            let details = Details::Operations(names);
            let fault = Fault::new(Reason::OperationNotFound, "why").with(details.clone());
            assert_eq!(read_status(write_status(&fault), Reason::Internal).details(), &details);
            assert_eq!(Fault::from(v1::Fault::from(&fault)).details(), &details);
        }
    }

    #[test]
    fn bad_variables_survive_a_session() {
        let bad = VariableFault {
            variable: "tags".to_owned(),
            path: vec![PathSegment::Key("tags".to_owned()), PathSegment::Index(1)],
            message: "expected String".to_owned(),
        };
        let fault = Fault::new(Reason::VariablesInvalid, "bad").with(Details::Variables(vec![bad.clone()]));
        let read = Fault::from(v1::Fault::from(&fault));
        assert_eq!(read.details(), &Details::Variables(vec![bad]));
    }
}
