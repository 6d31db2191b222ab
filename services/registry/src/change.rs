//! Changes of an organization, or of what belongs to none: one at a time, each with its audit event, all or nothing.
//!
//! Within this process a change waits for its turn. Against others stands a condition: every change rewrites the
//! organization's tally and requires that it be as it was read, so what was decided is decided again.

use crate::{
    administration::wire,
    caller::Origin,
    catalog::Catalog,
    record::{self, Actor, AuditEvent, Link, Moment, Organization, Subject, Tally},
    store::{Batch, CommitError, Condition, Key, Revision},
    table,
};
use metrics::counter;
use model::{Fault, Reason};
use proto::audit;
use serde::Serialize;
use serde_json::Value;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};
use uuid::Uuid;

/// How many organizations can be changed at once without waiting for another.
const TURNS: u64 = 64;
/// How long a change waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a change is decided anew because somebody else was first.
const ATTEMPTS: u32 = 5;
/// When whoever was refused for lack of room or time may try again.
const RETRY: Duration = Duration::from_secs(1);

/// Under which what belongs to no organization is counted and recorded.
pub(crate) const HOUSE: Uuid = Uuid::nil();
/// No slug: whose turn it is to change what belongs to no organization.
pub(crate) const NO_ORGANIZATION: &str = "";

/// Whose turn it is to change an organization.
pub(crate) struct Turns(Vec<Mutex<()>>);

/// What a change comes to.
pub(crate) enum Plan<Answer> {
    /// Nothing is to be written.
    Nothing(Answer),
    /// This is to be written, and then that can be said.
    Write(Box<Write>, Answer),
}

/// What is to be written, and what the log will say of it.
pub(crate) struct Write {
    batch: Batch,
    change: &'static str,
    organization: Uuid,
    subject: Uuid,
    actor: Uuid,
    request_id: Option<String>,
}

/// What belongs to no organization, such as users.
pub(crate) struct House;

/// To whom a change belongs, and its audit event.
pub(crate) trait Owner {
    /// Its identity.
    fn uuid(&self) -> Uuid;
}

impl Owner for Organization {
    fn uuid(&self) -> Uuid {
        self.uuid
    }
}

impl Owner for House {
    fn uuid(&self) -> Uuid {
        HOUSE
    }
}

/// A change of one organization, or of what belongs to none, as it takes shape.
pub(crate) struct Draft<Of = Organization> {
    pub(crate) organization: Of,
    pub(crate) tally: Tally,
    batch: Batch,
}

/// Who makes a change, and from where.
#[derive(Clone, Debug)]
pub(crate) struct Author {
    pub(crate) actor: Actor,
    pub(crate) origin: Origin,
}

/// What happened, for the audit.
pub(crate) struct Happening<'a> {
    pub(crate) r#type: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) uuid: Uuid,
    pub(crate) name: &'a str,
    pub(crate) data: Value,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self((0..TURNS).map(|_| Mutex::new(())).collect())
    }

    async fn take(&self, organization: &str) -> Result<MutexGuard<'_, ()>, Fault> {
        let mut hasher = DefaultHasher::new();
        organization.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % TURNS).unwrap_or_default();
        let turn = self.0.get(place).ok_or_else(busy)?;
        timeout(PATIENCE, turn.lock()).await.map_err(|_| busy())
    }

    /// Decides by `plan` what to write and writes it; the revision is that of the commit, where there was one.
    pub(crate) async fn change<Answer>(
        &self,
        catalog: &Catalog,
        organization: &str,
        plan: impl Fn() -> Result<Plan<Answer>, Fault>,
    ) -> Result<(Answer, Option<Revision>), Fault> {
        let _turn = self.take(organization).await?;
        for _ in 0..ATTEMPTS {
            let (write, answer) = match plan()? {
                Plan::Nothing(answer) => return Ok((answer, None)),
                Plan::Write(write, answer) => (write, answer),
            };
            let Write { batch, change, organization, subject, actor, request_id } = *write;
            match catalog.commit(batch).await {
                Ok(revision) => {
                    tracing::info!(change, revision, %organization, %subject, %actor, request_id, "changed");
                    counter!("portals_registry_commits_total").increment(1);
                    return Ok((answer, Some(revision)));
                }
                Err(CommitError::Conflict { .. }) => {
                    counter!("portals_registry_conflicts_total").increment(1)
                }
                Err(error) => return Err(refused(error)),
            }
        }
        Err(Fault::new(Reason::Conflict, "somebody else changed the same thing at the same time"))
    }
}

impl Draft {
    /// Begins to change the organization that `slug` names.
    pub(crate) fn of(catalog: &Catalog, slug: &str) -> Result<Self, Fault> {
        let missing = || Fault::new(Reason::NotFound, "No organization found");
        let organization = catalog.organization_named(slug)?.ok_or_else(missing)?;
        // The tally first: whatever is read after it is protected by the condition.
        let (tally, read_at) = catalog.tally(organization.uuid)?.ok_or_else(missing)?;
        let organization = catalog.organization(organization.uuid)?.ok_or_else(missing)?;
        let batch = Batch::new().require(Condition::Revision(table::tally(organization.uuid), read_at));
        Ok(Self { organization, tally, batch })
    }

    /// Begins to make `organization`, if its slug is still free.
    pub(crate) fn new(organization: Organization) -> Self {
        let batch = Batch::new().require(Condition::Absent(table::organization_slug(&organization.slug)));
        Self { organization, tally: Tally::default(), batch }
    }
}

impl Draft<House> {
    /// Begins to change what belongs to no organization.
    pub(crate) fn of_house(catalog: &Catalog) -> Result<Self, Fault> {
        let key = table::tally(HOUSE);
        let (tally, condition) = match catalog.tally(HOUSE)? {
            Some((tally, read_at)) => (tally, Condition::Revision(key, read_at)),
            None => (Tally::default(), Condition::Absent(key)),
        };
        Ok(Self { organization: House, tally, batch: Batch::new().require(condition) })
    }
}

impl<Of: Owner> Draft<Of> {
    pub(crate) fn require(&mut self, condition: Condition) {
        self.batch = std::mem::take(&mut self.batch).require(condition);
    }

    pub(crate) fn put(&mut self, key: Key, record: &impl Serialize) {
        self.batch = std::mem::take(&mut self.batch).put(key, record::write(record));
    }

    pub(crate) fn delete(&mut self, key: Key) {
        self.batch = std::mem::take(&mut self.batch).delete(key);
    }

    /// Completes the change with what the audit is to say of it.
    pub(crate) fn record(
        mut self,
        author: impl Into<Author>,
        at: Moment,
        happening: Happening<'_>,
    ) -> Box<Write> {
        let author = author.into();
        let event = self.event(&author, at, &happening);
        let tally = self.tally.clone();
        self.put(table::tally(self.organization.uuid()), &tally);
        self.write(author, &event, happening)
    }

    /// Completes the last change of an organization: nothing in it can be changed after.
    pub(crate) fn record_last(
        mut self,
        author: impl Into<Author>,
        at: Moment,
        happening: Happening<'_>,
    ) -> Box<Write> {
        let author = author.into();
        let event = self.event(&author, at, &happening);
        self.write(author, &event, happening)
    }

    /// The audit event of a change, bound to the one before it.
    fn event(&mut self, author: &Author, at: Moment, happening: &Happening<'_>) -> AuditEvent {
        let mut event = AuditEvent {
            uuid: Uuid::now_v7(),
            occurred_at_ms: at,
            r#type: happening.r#type.to_owned(),
            actor: author.actor.clone(),
            subject: Subject {
                r#type: happening.subject.to_owned(),
                uuid: happening.uuid,
                name: happening.name.to_owned(),
            },
            data: happening.data.clone(),
            ip: author.origin.address,
            link: None,
        };
        self.tally.audit_events += 1;
        let mut link = Link {
            sequence: self.tally.audit_events,
            previous_hash: self.tally.audit_head.take(),
            hash: String::new(),
        };
        event.link = Some(link.clone());
        link.hash = audit::hash(&audit::json(&wire::audit_event(event.clone())));
        self.tally.audit_head = Some(link.hash.clone());
        event.link = Some(link);
        event
    }

    fn write(mut self, author: Author, event: &AuditEvent, happening: Happening<'_>) -> Box<Write> {
        self.put(table::audit_event(self.organization.uuid(), event.uuid), event);
        Box::new(Write {
            batch: self.batch,
            change: happening.r#type,
            organization: self.organization.uuid(),
            subject: happening.uuid,
            actor: event.actor.uuid,
            request_id: author.origin.request_id,
        })
    }
}

/// Why a commit was refused, in words for its caller.
pub(crate) fn refused(error: CommitError) -> Fault {
    let message = match error {
        CommitError::Conflict { .. } => {
            return Fault::new(Reason::Conflict, "somebody else changed the same thing at the same time");
        }
        CommitError::TooLarge => return Fault::internal(error),
        CommitError::Full => "the volume is too full to write",
        CommitError::Busy => return busy().because(error),
        CommitError::Unavailable => "the store does not answer; whether the change took effect is not known",
    };
    Fault::new(Reason::StorageUnavailable, message).retry_after(RETRY).because(error)
}

fn busy() -> Fault {
    Fault::new(Reason::StorageUnavailable, "too many changes wait to be written").retry_after(RETRY)
}
