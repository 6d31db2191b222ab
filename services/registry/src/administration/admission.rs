//! The way in of every call: who calls, whether they have the scope, and whether the call is for them.

use super::reach::Reaches;
use crate::{
    Registry,
    caller::Caller,
    door,
    record::{Moment, Scope},
};
use model::Fault;
use tonic::{Request, Response, Status, metadata::MetadataMap};

/// Lets in whoever may call, calls, and answers.
macro_rules! call {
    ($registry:ident, $request:ident, $name:literal, $scope:expr, |$caller:ident| $outcome:expr) => {{
        let ($caller, $request) = $registry.admit($name, $request, $scope)?;
        let outcome = async { $outcome }.await;
        door::answer($name, $caller.request_id(), outcome)
    }};
}

pub(super) use call;

impl Registry {
    /// Who calls and what they send, if they have the scope that the call needs and it is for them.
    pub(super) fn admit<Message: Reaches>(
        &self,
        call: &'static str,
        request: Request<Message>,
        scope: Option<Scope>,
    ) -> Result<(Caller, Message), Status> {
        let (metadata, _, message) = request.into_parts();
        match self.caller(&metadata, scope, &message) {
            Ok(caller) => Ok((caller, message)),
            Err(fault) => door::answer(call, None, Err(fault)).map(Response::into_inner),
        }
    }

    fn caller(
        &self,
        metadata: &MetadataMap,
        scope: Option<Scope>,
        message: &impl Reaches,
    ) -> Result<Caller, Fault> {
        let caller = Caller::authenticate(self.catalog(), metadata)?;
        scope.map_or(Ok(()), |scope| caller.needs(scope))?;
        let administration = self.administration();
        administration.admit(&caller, message.reach())?;
        administration.usage.note(caller.token().uuid, Moment::now());
        Ok(caller)
    }
}
