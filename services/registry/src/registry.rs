//! The registry as its roof and its callers see it: three services over one state.

use crate::{
    administration::Administration,
    authorize::{Authorization, Good, admit},
    caller::Origin,
    catalog::Catalog,
    change::Turns,
    codes::{self, Codes},
    door,
    ended_sessions::EndedSession,
    exchange::{EndedToken, Exchange, Guesses, Refusals, refusals},
    grant::Signer,
    identity::Issuers,
    openid::SignIns,
    passwords::Passwords,
    schema::Schemas,
    sweep,
    usage::{self, Usage},
    uses::Uses,
    watch::{self, Hearing},
    withdrawals::Withdrawals,
};
use metrics::counter;
use model::{Fault, Fingerprint, fault::Chain, key::PurposeKeys};
use proto::{
    MAX_CHANGE_BYTES, MAX_MESSAGE_BYTES, MAX_PAGE_BYTES,
    registry::v1::{
        AuthorizeRequest, AuthorizeResponse, CreateCodeRequest, CreateCodeResponse, ExchangeTokenRequest,
        ExchangeTokenResponse, WatchRequest,
        administration_service_server::AdministrationServiceServer,
        code_service_server::CodeServiceServer,
        membership_service_server::MembershipServiceServer,
        registry_service_server::{RegistryService, RegistryServiceServer},
        sign_in_service_server::SignInServiceServer,
    },
    time,
};
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::{sync::mpsc, task::AbortHandle};
use tonic::{Request, Response, Status, Streaming, async_trait};

/// The registry; its clones are one and the same. The store is closed when the last of them is dropped.
#[derive(Clone)]
pub struct Registry(Arc<Shared>);

/// What all clones share.
pub(crate) struct Shared {
    pub(crate) catalog: Catalog,
    pub(crate) signer: Signer,
    pub(crate) credentials: PurposeKeys,
    pub(crate) usage: Usage,
    pub(crate) uses: Uses,
    pub(crate) turns: Turns,
    pub(crate) withdrawals: Arc<Withdrawals>,
    pub(crate) guesses: Guesses,
    pub(crate) refusals: Refusals,
    pub(crate) issuers: Issuers,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) passwords: Passwords,
    /// Wrong passwords and invitations, counted apart from wrong secrets.
    pub(crate) passwords_guessed: Guesses,
    pub(crate) sign_ins: SignIns,
    pub(crate) codes: Codes,
    /// Wrong codes of members.
    pub(crate) typed: Guesses,
    pub(crate) edge_key: Fingerprint,
    /// Tells edges what the store has committed.
    pub(crate) follower: AbortHandle,
    pub(crate) closed: AtomicBool,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Registry {
    /// Takes the state, and begins to write what is noted in memory, and to remove what has ended.
    pub(crate) fn start(shared: Shared, refused: mpsc::Receiver<refusals::Refusal>) -> Self {
        let shared = Arc::new(shared);
        tokio::spawn(write_usage(Arc::downgrade(&shared)));
        tokio::spawn(refusals::write(Arc::downgrade(&shared), refused));
        tokio::spawn(sweep::run::<EndedToken>(Arc::downgrade(&shared)));
        tokio::spawn(sweep::run::<EndedSession>(Arc::downgrade(&shared)));
        Self(shared)
    }

    /// Says who may run what.
    pub fn registry_service(&self) -> RegistryServiceServer<Self> {
        RegistryServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Manages organizations, portals and tokens.
    pub fn administration_service(&self) -> AdministrationServiceServer<Self> {
        AdministrationServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_CHANGE_BYTES)
            .max_encoding_message_size(MAX_PAGE_BYTES)
    }

    /// Manages users and members.
    pub fn membership_service(&self) -> MembershipServiceServer<Self> {
        MembershipServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Lets members decide on codes.
    pub fn code_service(&self) -> CodeServiceServer<Self> {
        CodeServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Lets people in.
    pub fn sign_in_service(&self) -> SignInServiceServer<Self> {
        SignInServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Whether it can serve.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn ready(&self) -> Result<(), String> {
        if self.0.closed.load(Ordering::Relaxed) {
            return Err("the registry is about to end".to_owned());
        }
        if self.0.follower.is_finished() {
            return Err("nobody tells the edges what has changed".to_owned());
        }
        match self.catalog().operator() {
            Ok(_) => Ok(()),
            Err(error) => Err(Chain(&error).to_string()),
        }
    }

    /// How many stored records have yet to be verified; those of a small store are before it is opened.
    pub fn unverified(&self) -> u64 {
        self.catalog().unverified()
    }

    /// Gives no more leases, lets every edge go, and writes what was only noted in memory.
    ///
    /// Calls in flight are still answered, a change once the leases that were given have run out.
    pub async fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
        self.0.withdrawals.close();
        if let Err(fault) = self.0.usage.write(self.catalog()).await {
            tracing::warn!(error = %Chain(&fault), "the last uses of tokens were not written");
        }
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    pub(crate) fn administration(&self) -> Administration<'_> {
        self.0.administration()
    }

    /// Reads what may take a while, off the threads that serve.
    pub(crate) async fn read<Answer: Send + 'static>(
        &self,
        read: impl FnOnce(Administration<'_>) -> Result<Answer, Fault> + Send + 'static,
    ) -> Result<Answer, Fault> {
        let shared = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || read(shared.administration()));
        read.await.map_err(Fault::internal)?
    }

    async fn authorize_now(&self, request: &AuthorizeRequest) -> Result<AuthorizeResponse, Fault> {
        let authorization = self.authorization(request).await;
        let outcome = authorization.as_ref().map_or_else(|fault| fault.reason().code(), |_| "GRANTED");
        counter!("portals_registry_authorize_total", "outcome" => outcome).increment(1);
        authorization.map(AuthorizeResponse::from)
    }

    async fn authorization(&self, request: &AuthorizeRequest) -> Result<Authorization, Fault> {
        let AuthorizeRequest { organization, portal, bearer, spare_uses } = request;
        let Shared { catalog, signer, usage, uses, .. } = &*self.0;
        let admit = || admit(catalog, (organization, portal, bearer), SystemTime::now());
        let admitted = admit()?;
        match (admitted.token.max_uses(), spare_uses) {
            (None, _) => admitted.grant(signer, usage, Good::ForAll),
            (Some(_), true) => Ok(admitted.spared()),
            (Some(_), false) => {
                let admitted = uses.spend(catalog, admitted.token.uuid, admit).await?;
                admitted.grant(signer, usage, Good::ForOne)
            }
        }
    }

    async fn exchange(
        &self,
        origin: &Origin,
        request: &ExchangeTokenRequest,
    ) -> Result<ExchangeTokenResponse, Fault> {
        let minted = self.0.exchange().exchange(origin, request).await;
        let outcome = minted.as_ref().map_or_else(|fault| fault.reason().code(), |_| "MINTED");
        counter!("portals_registry_exchanges_total", "outcome" => outcome).increment(1);
        let (bearer, minted) = minted?;
        Ok(ExchangeTokenResponse {
            token: bearer.expose().to_owned(),
            expires_at: Some(time::write(minted.expires_at)),
            expires_in_seconds: u32::try_from(minted.life.as_secs()).unwrap_or(u32::MAX),
            token_uuid: minted.uuid.to_string(),
        })
    }

    fn create_code_now(
        &self,
        origin: &Origin,
        request: &CreateCodeRequest,
    ) -> Result<CreateCodeResponse, Fault> {
        let made = self.0.exchange().code(origin, &request.organization, &request.portal);
        let outcome = made.as_ref().map_or_else(|fault| fault.reason().code(), |_| "CREATED");
        counter!("portals_registry_codes_total", "outcome" => outcome).increment(1);
        let made = made?;
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        Ok(CreateCodeResponse {
            code: made.code.to_string(),
            secret: made.secret.expose().to_owned(),
            expires_at: Some(time::write(made.expires_at)),
            expires_in_seconds: seconds(codes::LIFE),
            interval_seconds: seconds(codes::INTERVAL),
        })
    }
}

impl Shared {
    fn exchange(&self) -> Exchange<'_> {
        let Self { catalog, turns, usage, guesses, refusals, issuers, codes, .. } = self;
        Exchange { catalog, turns, usage, guesses, refusals, issuers, codes }
    }

    fn administration(&self) -> Administration<'_> {
        Administration {
            catalog: &self.catalog,
            turns: &self.turns,
            usage: &self.usage,
            withdrawals: &self.withdrawals,
            credentials: &self.credentials,
            passwords: &self.passwords,
            guesses: &self.passwords_guessed,
            sign_ins: &self.sign_ins,
            issuers: &self.issuers,
            schemas: &self.schemas,
            codes: &self.codes,
            typed: &self.typed,
        }
    }
}

#[async_trait]
impl RegistryService for Registry {
    type WatchStream = Hearing;

    async fn authorize(
        &self,
        request: Request<AuthorizeRequest>,
    ) -> Result<Response<AuthorizeResponse>, Status> {
        door::answer("Authorize", None, self.authorize_now(request.get_ref()).await)
    }

    async fn exchange_token(
        &self,
        request: Request<ExchangeTokenRequest>,
    ) -> Result<Response<ExchangeTokenResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let origin = Origin::read(&metadata);
        let outcome = self.exchange(&origin, &request).await;
        door::answer("ExchangeToken", origin.request_id.as_deref(), outcome)
    }

    async fn create_code(
        &self,
        request: Request<CreateCodeRequest>,
    ) -> Result<Response<CreateCodeResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let origin = Origin::read(&metadata);
        let outcome = self.create_code_now(&origin, &request);
        door::answer("CreateCode", origin.request_id.as_deref(), outcome)
    }

    async fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Result<Response<Hearing>, Status> {
        let admitted = watch::admit(request.metadata(), &self.0.edge_key);
        let begun = admitted.and_then(|()| watch::begin(&self.0.withdrawals, request.into_inner()));
        door::answer("Watch", None, begun)
    }
}

impl From<Authorization> for AuthorizeResponse {
    fn from(authorization: Authorization) -> Self {
        let Authorization { grant, expires_at, organization, portal, token, revision } = authorization;
        let words =
            |text: Option<&str>| text.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let restrictions = token.restrictions.as_ref();
        Self {
            grant: grant.map(|grant| grant.expose().to_owned()).unwrap_or_default(),
            expires_at: Some(time::write(expires_at)),
            organization_uuid: organization.uuid.to_string(),
            portal_uuid: portal.uuid.to_string(),
            token_uuid: token.uuid.to_string(),
            allowed_ip_addresses: words(portal.allowed_ip_addresses.as_deref()),
            token_allowed_ip_addresses: words(
                restrictions.and_then(|restrictions| restrictions.allowed_ip_addresses.as_deref()),
            ),
            rate_limit_per_minute: organization.rate_limit_per_minute,
            portal_rate_limit_per_minute: portal.rate_limit_per_minute.unwrap_or_default(),
            token_rate_limit_per_minute: token.rate_limit_per_minute.unwrap_or_default(),
            store_revision: revision,
            timeout_ms: organization.upstream_timeout_seconds.saturating_mul(1_000),
            counts_uses: token.max_uses().is_some(),
        }
    }
}

/// Writes when tokens were last used, until the registry is dropped.
async fn write_usage(shared: Weak<Shared>) {
    let mut ticks = tokio::time::interval(usage::PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        if let Err(fault) = shared.usage.write(&shared.catalog).await {
            tracing::warn!(error = %Chain(&fault), "the last uses of tokens are not written yet");
        }
    }
}
