//! Opens the registry: what it is told, the store, the operator's token, the first organization.

use crate::{
    Registry,
    caller::{Caller, operator_token},
    catalog::{Catalog, ReadError},
    change::Turns,
    codes::Codes,
    exchange::{Guessed, Guesses, Refusals},
    grant::Signer,
    identity::{Fetch, Issuers},
    lease::LEASE,
    openid::{OpenId, SignIns},
    passwords::Passwords,
    record::{self, AccessToken, End, Mark, Moment},
    registry::Shared,
    store::{self, Batch, CommitError, Options, SledStore, Store},
    table::{self, Mortal},
    usage::Usage,
    uses::Uses,
    withdrawals::Withdrawals,
};
use model::{
    Bearer, BearerKind, Fault, Fingerprint, Reason, Secret,
    key::{Keyring, Purpose},
};
use proto::registry::v1::CreateOrganizationRequest;
use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};
use tokio::time::Instant;
use uuid::Uuid;

/// What the store's folder is called.
const STORE: &str = "store";
/// The fewest characters of an operator's token, for it is guessed at from outside.
const MIN_ADMIN_TOKEN_CHARS: usize = 32;

/// What a registry is told.
#[derive(Debug)]
pub struct Config {
    /// The folder for all state; the store lies in `store` within.
    pub data_dir: PathBuf,
    /// The keys that are shared with the executors.
    pub keyring: Keyring,
    /// What an edge presents to watch: 1 to 256 visible ASCII characters.
    pub edge_key: Secret,
    /// The operator's API access token, 32 to 256 visible ASCII characters; one that is new takes the old one's
    /// place. Without it, one is made when there is none yet.
    pub admin_token: Option<Secret>,
    /// An organization to make if it is not there.
    pub first_organization: Option<FirstOrganization>,
    /// Whether no edge can hold a lease from before this start.
    pub sole_edge: bool,
    /// Below so many free bytes of the volume nothing is written.
    pub min_free_bytes: u64,
    /// How issuers of identities are asked for their keys.
    pub issuers: Arc<dyn Fetch>,
    /// The provider that signs people in, where there is one.
    pub openid: Option<OpenId>,
}

/// An organization to begin with.
#[derive(Clone, Debug)]
pub struct FirstOrganization {
    /// Its slug, which is its name too.
    pub slug: String,
    /// Where its upstream is.
    pub upstream_url: String,
    /// The credential that goes there.
    pub upstream_token: Option<Secret>,
}

/// A registry that serves.
pub struct Opened {
    /// It.
    pub registry: Registry,
    /// The operator's token where one was made just now. It cannot be read again; one that got lost is replaced by
    /// giving another.
    pub made_admin_token: Option<Bearer>,
}

/// Why a registry was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It was told what cannot be.
    #[error("{0}")]
    Configuration(String),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The store cannot be read.
    #[error("reading the store at the start: {0}")]
    Read(String),
    /// The store cannot be written.
    #[error("writing the store at the start")]
    Write(#[source] CommitError),
    /// The first organization could not be made.
    #[error("making the first organization")]
    Organization(#[source] Fault),
}

impl OpenError {
    /// What the process ends with, as `sysexits.h` has it: 64 for what was told, 78 for what lies on the disk.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 64,
            Self::Store(_) | Self::Read(_) | Self::Write(_) | Self::Organization(_) => 78,
        }
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        Self::Read(model::fault::Chain(&error).to_string())
    }
}

/// Opens the registry; its background work runs on the runtime that calls this.
///
/// # Errors
///
/// See [`OpenError`].
pub async fn open(config: Config) -> Result<Opened, OpenError> {
    let admin_token = config.admin_token.as_ref().map(read_admin_token).transpose()?;
    let edge_key = read_edge_key(&config.edge_key)?;
    let store = open_store(&config).await?;
    let catalog = Catalog::new(Arc::clone(&store));

    let begin = store.revision();
    let presumed = (begin > 0 && !config.sole_edge).then(|| Instant::now() + LEASE);
    let withdrawals = Arc::new(Withdrawals::new(begin, presumed));
    let follower = tokio::spawn(Arc::clone(&withdrawals).follow(store, begin)).abort_handle();
    let (refusals, refused) = Refusals::new();
    let shared = Shared {
        signer: Signer::new(&config.keyring),
        credentials: config.keyring.keys(Purpose::Credential),
        usage: Usage::default(),
        turns: Turns::new(),
        uses: Uses::new(),
        withdrawals,
        guesses: Guesses::new(Guessed::Secrets),
        refusals,
        issuers: Issuers::new(Arc::clone(&config.issuers)),
        schemas: Arc::default(),
        passwords: Passwords::default(),
        passwords_guessed: Guesses::new(Guessed::Passwords),
        sign_ins: SignIns::new(config.openid, Arc::clone(&config.issuers)),
        codes: Codes::default(),
        typed: Guesses::new(Guessed::Codes),
        edge_key,
        follower,
        closed: AtomicBool::new(false),
        catalog,
    };
    let registry = Registry::start(shared, refused);

    let operator = Operator::find(registry.catalog(), admin_token)?;
    if let Some(first) = config.first_organization {
        make_first(&registry, operator.token.clone(), first).await?;
    }
    // Last: a token that was made is told only by a start that succeeds.
    let made_admin_token = operator.settle(registry.catalog()).await?;
    tracing::info!(revision = registry.catalog().revision(), "registry open");
    Ok(Opened { registry, made_admin_token })
}

async fn open_store(config: &Config) -> Result<Arc<dyn Store>, OpenError> {
    let (path, keys) = (config.data_dir.join(STORE), config.keyring.keys(Purpose::Store));
    let options = Options {
        minimum_free: config.min_free_bytes,
        verified_first: table::VERIFIED_FIRST,
        counted: table::LISTS,
        ..Options::default()
    };
    let opened = tokio::task::spawn_blocking(move || SledStore::open(&path, keys, options)).await;
    let store = opened.map_err(|error| OpenError::Read(error.to_string()))??;
    Ok(Arc::new(store))
}

fn read_admin_token(token: &Secret) -> Result<Bearer, OpenError> {
    let read = Bearer::parse(token.expose()).ok();
    read.filter(|bearer| bearer.expose().len() >= MIN_ADMIN_TOKEN_CHARS).ok_or_else(|| {
        let expected = "the admin token must be 32 to 256 visible ASCII characters";
        OpenError::Configuration(expected.to_owned())
    })
}

fn read_edge_key(key: &Secret) -> Result<Fingerprint, OpenError> {
    let expected =
        |_| OpenError::Configuration("the edge key must be 1 to 256 visible ASCII characters".to_owned());
    Bearer::parse(key.expose()).map(|bearer| bearer.fingerprint()).map_err(expected)
}

/// The operator's token, and what is to be written so that it is theirs.
struct Operator {
    token: AccessToken,
    write: Option<Batch>,
    made: Option<Bearer>,
}

impl Operator {
    /// The token that is given, or is there, or is made.
    fn find(catalog: &Catalog, given: Option<Bearer>) -> Result<Self, OpenError> {
        let present = match catalog.operator()? {
            Some(Mark { fingerprint }) => {
                catalog.access_token(&fingerprint)?.map(|token| (fingerprint, token))
            }
            None => None,
        };
        match (given, present) {
            (None, Some((_, token))) => Ok(Self { token, write: None, made: None }),
            (Some(given), Some((known, token))) if given.fingerprint() == known => {
                Ok(Self { token, write: None, made: None })
            }
            (Some(given), present) => Ok(Self::new(&given, present.map(|(_, token)| token))),
            (None, None) => {
                let bearer = Bearer::generate(BearerKind::AccessToken);
                Ok(Self { made: Some(bearer.clone()), ..Self::new(&bearer, None) })
            }
        }
    }

    /// A new token, in place of another.
    fn new(bearer: &Bearer, replaced: Option<AccessToken>) -> Self {
        let (token, fingerprint) = (operator_token(Uuid::now_v7()), bearer.fingerprint());
        let mut batch = Batch::new()
            .put(table::access_token(&fingerprint), record::write(&token))
            .put(table::operator(), record::write(&Mark { fingerprint }));
        if let Some(replaced) = replaced {
            let end = record::write(&End { ended_at_ms: Moment::now() });
            batch = batch.put(table::end(Mortal::AccessToken, replaced.uuid), end);
        }
        Self { token, write: Some(batch), made: None }
    }

    /// Writes what is to be written; what is left is the bearer that nobody knows yet.
    async fn settle(self, catalog: &Catalog) -> Result<Option<Bearer>, OpenError> {
        if let Some(batch) = self.write {
            catalog.commit(batch).await.map_err(OpenError::Write)?;
        }
        Ok(self.made)
    }
}

async fn make_first(
    registry: &Registry,
    operator: AccessToken,
    first: FirstOrganization,
) -> Result<(), OpenError> {
    if registry.catalog().organization_named(&first.slug)?.is_some() {
        return Ok(());
    }
    let request = CreateOrganizationRequest {
        name: first.slug.clone(),
        slug: Some(first.slug),
        upstream_url: first.upstream_url,
        upstream_token: first.upstream_token.map(|token| token.expose().to_owned()),
        ..CreateOrganizationRequest::default()
    };
    let made = registry.administration().create_organization(&Caller::operator(operator), request).await;
    made.map(drop).map_err(|fault| match fault.reason() {
        Reason::ValidationFailed => OpenError::Configuration(fault.message().to_owned()),
        _ => OpenError::Organization(fault),
    })
}
