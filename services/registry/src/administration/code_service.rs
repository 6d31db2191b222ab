//! The code service over gRPC: who calls, what they need for it, one call, the answer.

use super::admission::call;
use crate::{Registry, door, record::Scope};
use proto::registry::v1::{self, code_service_server::CodeService};
use tonic::{Request, Response, Status, async_trait};

type Answer<Message> = Result<Response<Message>, Status>;

#[async_trait]
impl CodeService for Registry {
    async fn get_code(&self, request: Request<v1::GetCodeRequest>) -> Answer<v1::GetCodeResponse> {
        call!(self, request, "GetCode", None, |caller| {
            let code = self.administration().code(&caller, &request.code)?;
            Ok(v1::GetCodeResponse { code: Some(code) })
        })
    }

    async fn authorize_code(
        &self,
        request: Request<v1::AuthorizeCodeRequest>,
    ) -> Answer<v1::AuthorizeCodeResponse> {
        call!(self, request, "AuthorizeCode", Some(Scope::WriteUser), |caller| {
            let code = self.administration().authorize_code(&caller, request).await?;
            Ok(v1::AuthorizeCodeResponse { code: Some(code) })
        })
    }

    async fn deny_code(&self, request: Request<v1::DenyCodeRequest>) -> Answer<v1::DenyCodeResponse> {
        call!(self, request, "DenyCode", Some(Scope::WriteUser), |caller| {
            let code = self.administration().deny_code(&caller, request).await?;
            Ok(v1::DenyCodeResponse { code: Some(code) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::administration::desk::{access_token, calls, check_scope, registry};
    use model::{Bearer, Fault, Reason};
    use proto::{Channel, channel, fault::read_status, registry::v1::code_service_client::CodeServiceClient};

    type Client = CodeServiceClient<Channel>;

    /// What each call needs.
    const CONTRACT: [(&str, Option<Scope>); 3] =
        [("GetCode", None), ("AuthorizeCode", Some(Scope::WriteUser)), ("DenyCode", Some(Scope::WriteUser))];

    /// Makes the call of that name with a message that says nothing.
    async fn call(mut client: Client, name: &str, token: &Bearer) -> Result<(), Fault> {
        macro_rules! call {
            ($method:ident) => {{
                let mut request = Request::new(Default::default());
                let bearer = format!("Bearer {}", token.expose()).parse().unwrap();
                request.metadata_mut().insert("authorization", bearer);
                client.$method(request).await.map(drop)
            }};
        }
        let answer = match name {
            "GetCode" => call!(get_code),
            "AuthorizeCode" => call!(authorize_code),
            "DenyCode" => call!(deny_code),
            _ => panic!("{name} is not called"),
        };
        answer.map_err(|status| read_status(status, Reason::Internal))
    }

    #[tokio::test]
    async fn each_call_needs_its_scope_and_no_other() {
        let proto = include_str!("../../../../proto/portals/registry/v1/code.proto");
        assert_eq!(CONTRACT.map(|(name, _)| name), *calls(proto));
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path()).await;
        let client = Client::new(channel::local(registry.code_service()));
        for held in Scope::ALL.into_iter().map(Some).chain([None]) {
            let token = access_token(&registry, held.into_iter().collect(), None).await;
            for (name, needed) in CONTRACT {
                check_scope(name, needed, held, &call(client.clone(), name, &token).await);
            }
        }
    }
}
