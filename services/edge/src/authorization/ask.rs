//! Asks the registry, once for all callers who want to know the same.

use super::{
    Authorization, Key, PortalName, Subjects,
    grants::{Grants, Lookup},
};
use crate::{
    jitter,
    observe::Metrics,
    rate::{Counters, Limits},
};
use model::{AllowedAddresses, Bearer, BearerKind, Fault, Prehashed, Reason, Secret, fault::Cause};
use proto::{
    Channel, MAX_MESSAGE_BYTES,
    execute::SignedGrant,
    registry::v1::{AuthorizeRequest, AuthorizeResponse, registry_service_client::RegistryServiceClient},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::{Duration, Instant, SystemTime},
};
use tokio::{sync::watch, time};
use uuid::Uuid;

/// How long the registry may take for an answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// Questions after which an answer that is outdated each time counts as none.
const MAX_TRIES: usize = 3;
/// The most different questions at a time.
const MAX_QUESTIONS: usize = 4_096;
/// A registry's grants live five minutes; a longer one is a clock gone wrong.
const LONGEST_LIFE: Duration = Duration::from_secs(600);
/// The time of an invocation where the registry names none.
const USUAL_TIMEOUT: Duration = Duration::from_secs(30);

/// The registry's word on callers, kept or asked for.
#[derive(Debug)]
pub(crate) struct Authorizer {
    pub(crate) grants: Grants,
    counters: Counters,
    registry: RegistryServiceClient<Channel>,
    questions: Mutex<HashMap<Key, watch::Receiver<Option<Verdict>>, Prehashed>>,
    metrics: Arc<Metrics>,
}

/// The registry's word that a call may be made.
pub(crate) struct Authorized {
    /// Under what it is kept.
    pub(crate) key: Key,
    pub(crate) authorization: Arc<Authorization>,
    /// When it was there: when the call arrived, where nobody had to be asked.
    pub(crate) at: Instant,
}

/// How a question was answered.
#[derive(Clone, Debug)]
enum Verdict {
    Granted(Arc<Authorization>),
    Refused(Reason),
    Failed(Arc<Fault>),
}

#[derive(Debug, thiserror::Error)]
enum UnreadableAnswer {
    #[error("the registry's answer has no readable `{0}`")]
    Field(&'static str),
    #[error("the registry's answers are overtaken by withdrawals again and again")]
    Outdated,
    #[error("the registry's answer took too long")]
    Late,
}

impl Authorizer {
    pub(crate) fn new(grants: Grants, registry: Channel, metrics: Arc<Metrics>, base: Instant) -> Self {
        let registry = RegistryServiceClient::new(registry).max_decoding_message_size(MAX_MESSAGE_BYTES);
        Self { grants, counters: Counters::new(base), registry, questions: Mutex::default(), metrics }
    }

    /// Says whether `bearer` may call the portal; `arrived` is now.
    ///
    /// # Errors
    ///
    /// `Unauthenticated`, `Forbidden`, `RegistryUnavailable`, `Overloaded`.
    pub(crate) async fn authorize(
        self: &Arc<Self>,
        name: &PortalName,
        bearer: &Bearer,
        arrived: Instant,
    ) -> Result<Authorized, Fault> {
        let key = Key::of(name, bearer);
        let authorized = |authorization, at| Ok(Authorized { key, authorization, at });
        match self.grants.look_up(&key, arrived) {
            Lookup::Use(authorization) => {
                self.metrics.grant_hit();
                return authorized(authorization, arrived);
            }
            Lookup::UseAndAsk(authorization) => {
                self.metrics.grant_hit();
                // What is in hand is good enough, so too many questions at once are no reason to fail.
                let _ = self.question(key, name, bearer);
                return authorized(authorization, arrived);
            }
            Lookup::Refused(reason) => return Err(refusal(reason)),
            Lookup::Ask if !bearer.is(BearerKind::PortalToken) => {
                return Err(refusal(Reason::Unauthenticated));
            }
            Lookup::Ask => {}
        }
        self.metrics.grant_miss();
        for _ in 0..MAX_TRIES {
            match self.answer(key, name, bearer).await? {
                Verdict::Granted(authorization) => {
                    // Asked before this call came, an answer may be older than a change that the call must see.
                    let (fresh, now) = (authorization.asked >= arrived, Instant::now());
                    if fresh || self.grants.hold(&authorization, now) {
                        return authorized(authorization, now);
                    }
                }
                Verdict::Refused(reason) => return Err(refusal(reason)),
                Verdict::Failed(fault) if fault.reason() == Reason::TokenRestricted => {
                    return Err(fault.told());
                }
                Verdict::Failed(cause) => {
                    let now = Instant::now();
                    let kept = self.grants.fallback(&key, now).ok_or_else(|| unavailable(cause))?;
                    return authorized(kept, now);
                }
            }
        }
        Err(unavailable(UnreadableAnswer::Outdated))
    }

    async fn answer(
        self: &Arc<Self>,
        key: Key,
        name: &PortalName,
        bearer: &Bearer,
    ) -> Result<Verdict, Fault> {
        let mut question = self.question(key, name, bearer)?;
        let limit = ASK_TIMEOUT.saturating_mul(2);
        let answered = time::timeout(limit, question.wait_for(Option::is_some)).await;
        match answered {
            Ok(Ok(verdict)) => verdict.clone().ok_or_else(|| unavailable(UnreadableAnswer::Late)),
            Ok(Err(ended)) => Err(Fault::internal(ended)),
            Err(_) => Ok(Verdict::Failed(Arc::new(unavailable(UnreadableAnswer::Late)))),
        }
    }

    /// Joins the question that is on its way, or asks it.
    fn question(
        self: &Arc<Self>,
        key: Key,
        name: &PortalName,
        bearer: &Bearer,
    ) -> Result<watch::Receiver<Option<Verdict>>, Fault> {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(question) = questions.get(&key) {
            return Ok(question.clone());
        }
        if questions.len() >= MAX_QUESTIONS {
            return Err(crate::answer::overloaded());
        }
        let (sender, receiver) = watch::channel(None);
        questions.insert(key, receiver.clone());
        drop(questions);
        let question = Question { authorizer: Arc::clone(self), key, sender, verdict: None };
        let request = request(name, bearer, true);
        // A task of its own: that its first caller leaves must not end it for the others.
        tokio::spawn(question.ask(request));
        Ok(receiver)
    }

    /// Asks until an answer is not overtaken by a withdrawal.
    async fn ask(&self, key: Key, request: AuthorizeRequest) -> Verdict {
        for _ in 0..MAX_TRIES {
            let (asked, generation) = (Instant::now(), self.grants.generation());
            let answered = match self.ask_once(request.clone(), asked).await {
                Ok(authorization) => Arc::new(authorization),
                Err(fault) => match fault.reason() {
                    reason @ (Reason::Unauthenticated | Reason::Forbidden) => {
                        self.grants.refuse(key, reason, Instant::now());
                        return Verdict::Refused(reason);
                    }
                    _ => return Verdict::Failed(Arc::new(fault)),
                },
            };
            // From half-time on, spread over a tenth of the life.
            let renew_after = 0.5 + jitter::fraction() / 10.0;
            let now = Instant::now();
            if self.grants.insert(key, Arc::clone(&answered), generation, renew_after, now).is_ok() {
                return Verdict::Granted(answered);
            }
        }
        Verdict::Failed(Arc::new(unavailable(UnreadableAnswer::Outdated)))
    }

    /// Asks for a grant of one call, for which the registry counts a use: it is neither kept nor shared.
    ///
    /// # Errors
    ///
    /// `TokenRestricted` when no use is left, and those of [`Self::authorize`].
    pub(crate) async fn spend_use(
        &self,
        name: &PortalName,
        bearer: &Bearer,
    ) -> Result<Arc<SignedGrant>, Fault> {
        let answer = self.say(request(name, bearer, false)).await.map_err(|fault| match fault.reason() {
            reason @ (Reason::Unauthenticated | Reason::Forbidden) => refusal(reason),
            Reason::TokenRestricted => fault,
            _ => unavailable(fault),
        })?;
        Ok(Arc::new(SignedGrant::new(Secret::new(answer.grant))))
    }

    async fn ask_once(&self, request: AuthorizeRequest, asked: Instant) -> Result<Authorization, Fault> {
        self.read(self.say(request).await?, asked).map_err(unavailable)
    }

    /// What the registry says.
    async fn say(&self, request: AuthorizeRequest) -> Result<AuthorizeResponse, Fault> {
        let mut request = tonic::Request::new(request);
        request.set_timeout(ASK_TIMEOUT);
        let mut registry = self.registry.clone();
        let answered = time::timeout(ASK_TIMEOUT, registry.authorize(request)).await;
        let response = answered
            .map_err(|_| unavailable(UnreadableAnswer::Late))?
            .map_err(|status| proto::fault::read_status(status, Reason::RegistryUnavailable))?;
        Ok(response.into_inner())
    }

    fn read(&self, answer: AuthorizeResponse, asked: Instant) -> Result<Authorization, UnreadableAnswer> {
        let uuid = |text: &str, field| Uuid::parse_str(text).map_err(|_| UnreadableAnswer::Field(field));
        let subjects = Subjects {
            organization: uuid(&answer.organization_uuid, "organization_uuid")?,
            portal: uuid(&answer.portal_uuid, "portal_uuid")?,
            token: uuid(&answer.token_uuid, "token_uuid")?,
        };
        let allowed = addresses(&answer.allowed_ip_addresses, "allowed_ip_addresses")?.unwrap_or_default();
        let token_allowed = addresses(&answer.token_allowed_ip_addresses, "token_allowed_ip_addresses")?;
        let expires_at = answer.expires_at.and_then(proto::time::read);
        let expires_at = expires_at.ok_or(UnreadableAnswer::Field("expires_at"))?;
        let life = expires_at.duration_since(SystemTime::now()).unwrap_or_default().min(LONGEST_LIFE);
        let timeout = match answer.timeout_ms {
            0 => USUAL_TIMEOUT,
            ms => Duration::from_millis(ms.into()),
        };
        let limits = Limits {
            organization: answer.rate_limit_per_minute,
            portal: answer.portal_rate_limit_per_minute,
            token: answer.token_rate_limit_per_minute,
        };
        let rates = self.counters.rates(&subjects, limits, asked);
        Ok(Authorization {
            grant: Arc::new(SignedGrant::new(Secret::new(answer.grant))),
            subjects,
            allowed,
            token_allowed,
            counts_uses: answer.counts_uses,
            rates,
            timeout,
            store_revision: answer.store_revision,
            asked,
            expires: asked + life,
            withdrawn: AtomicBool::new(false),
        })
    }
}

fn request(name: &PortalName, bearer: &Bearer, spare_uses: bool) -> AuthorizeRequest {
    AuthorizeRequest {
        organization: name.organization().to_owned(),
        portal: name.portal().to_owned(),
        bearer: bearer.expose().to_owned(),
        spare_uses,
    }
}

/// Ranges that the registry told; nothing where it told none.
fn addresses(ranges: &[String], field: &'static str) -> Result<Option<AllowedAddresses>, UnreadableAnswer> {
    if ranges.is_empty() {
        return Ok(None);
    }
    // Unreadable ranges let nobody in: better no grant than one without its restriction.
    AllowedAddresses::parse(&ranges.join(" ")).map(Some).map_err(|_| UnreadableAnswer::Field(field))
}

/// A question on its way; however it ends, the next one can be asked.
struct Question {
    authorizer: Arc<Authorizer>,
    key: Key,
    sender: watch::Sender<Option<Verdict>>,
    verdict: Option<Verdict>,
}

impl Question {
    async fn ask(mut self, request: AuthorizeRequest) {
        self.verdict = Some(self.authorizer.ask(self.key, request).await);
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let mut questions = self.authorizer.questions.lock().unwrap_or_else(PoisonError::into_inner);
        questions.remove(&self.key);
        drop(questions);
        // Last, so that whoever is not content with this verdict does not find the same question again.
        self.sender.send_replace(self.verdict.take());
    }
}

/// What a caller is told who may not.
pub(crate) fn refusal(reason: Reason) -> Fault {
    match reason {
        Reason::Forbidden => Fault::new(reason, "the token is not good for this portal"),
        _ => Fault::new(Reason::Unauthenticated, "a valid token is required"),
    }
}

fn unavailable(cause: impl Into<Cause>) -> Fault {
    Fault::new(Reason::RegistryUnavailable, "the registry cannot be asked at the moment")
        .retry_after(Duration::from_secs(1))
        .because(cause)
}
