//! What lies in the store, by what it is. It reads records and decides nothing.

mod people;
mod schema;
mod sign_in;

pub(crate) use schema::MAX_INPUT_TYPES;

use crate::{
    record::{
        self, AccessToken, AuditEvent, Document, End, Ending, Mark, Moment, Organization, Pointer, Portal,
        PortalSecret, SpentUses, Tally, Token, TokenUse, TrustedIssuer,
    },
    store::{Entry, Key, KeyRange, Revision, Scan, Store, StoreError},
    table::{self, Mortal},
};
use model::{Fault, Fingerprint, Reason, slug};
use serde::de::DeserializeOwned;
use std::{ops::Deref, sync::Arc, time::Duration};
use uuid::Uuid;

/// When whoever asked for what cannot be read may ask again.
const RETRY: Duration = Duration::from_secs(1);

/// Reads what the store holds; all handles share the store.
#[derive(Clone)]
pub(crate) struct Catalog(Arc<dyn Store>);

/// A page of a list, the newest first, and how many there are on all pages.
pub(crate) struct Listed<Item> {
    pub(crate) items: Vec<Item>,
    pub(crate) total: u64,
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) skip: usize,
    pub(crate) limit: usize,
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("reading the store")]
    Store(#[source] StoreError),
    #[error("reading the record under {key:?}")]
    Record { key: Key, source: record::Unreadable },
    #[error("the record under {key:?} is missing, though another points at it")]
    Missing { key: Key },
    #[error("{key:?} is no key of its table")]
    Key { key: Key },
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        Self::new(Reason::StorageUnavailable, "the store cannot be read").retry_after(RETRY).because(error)
    }
}

impl Deref for Catalog {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Catalog {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    pub(crate) fn organization(&self, uuid: Uuid) -> Result<Option<Organization>, ReadError> {
        self.read(&table::organization(uuid))
    }

    /// The organization that a slug names.
    pub(crate) fn organization_named(&self, slug: &str) -> Result<Option<Organization>, ReadError> {
        match self.pointer(slug, table::organization_slug)? {
            Some(uuid) => self.organization(uuid),
            None => Ok(None),
        }
    }

    pub(crate) fn count_organizations(&self) -> u64 {
        self.count(table::ORGANIZATIONS)
    }

    pub(crate) fn organizations(&self, window: Window) -> Result<Listed<Organization>, ReadError> {
        let total = self.count_organizations();
        Ok(Listed { items: self.newest(table::organizations(), window)?, total })
    }

    /// How much an organization has, and the commit that said so; nothing once the organization has ended.
    pub(crate) fn tally(&self, organization: Uuid) -> Result<Option<(Tally, Revision)>, ReadError> {
        self.read_entry(&table::tally(organization))
    }

    pub(crate) fn portal(&self, organization: Uuid, portal: Uuid) -> Result<Option<Portal>, ReadError> {
        self.read(&table::portal(organization, portal))
    }

    /// The portal of an organization that a slug names.
    pub(crate) fn portal_named(&self, organization: Uuid, slug: &str) -> Result<Option<Portal>, ReadError> {
        match self.pointer(slug, |slug| table::portal_slug(organization, slug))? {
            Some(uuid) => self.portal(organization, uuid),
            None => Ok(None),
        }
    }

    pub(crate) fn portals(&self, organization: Uuid, window: Window) -> Result<Listed<Portal>, ReadError> {
        let total = self.tally(organization)?.map_or(0, |(tally, _)| tally.portals);
        Ok(Listed { items: self.newest(table::portals(organization), window)?, total })
    }

    /// The live document of a portal.
    pub(crate) fn document(&self, portal: &Portal) -> Result<Document, ReadError> {
        let revision = portal.document_revision;
        let missing = || ReadError::Missing { key: table::document(portal.uuid, revision) };
        self.document_saved(portal, revision)?.ok_or_else(missing)
    }

    /// The document that was saved with a portal's revision.
    pub(crate) fn document_saved(
        &self,
        portal: &Portal,
        revision: u64,
    ) -> Result<Option<Document>, ReadError> {
        match &portal.document {
            Some(live) if portal.document_revision == revision => Ok(Some(live.clone())),
            _ => self.read(&table::document(portal.uuid, revision)),
        }
    }

    pub(crate) fn token(&self, fingerprint: &Fingerprint) -> Result<Option<Token>, ReadError> {
        self.read(&table::token(fingerprint))
    }

    /// The tokens of a portal that are not revoked, of which there are at most `most`; some may have expired.
    pub(crate) fn tokens(
        &self,
        portal: Uuid,
        window: Window,
        most: usize,
    ) -> Result<Listed<Token>, ReadError> {
        let marks: Vec<Mark> = self.newest(table::token_orders(portal), Window { skip: 0, limit: most })?;
        let total = u64::try_from(marks.len()).unwrap_or(u64::MAX);
        let mut items = Vec::with_capacity(window.limit.min(marks.len()));
        for mark in marks.iter().skip(window.skip).take(window.limit) {
            let key = table::token(&mark.fingerprint);
            items.push(self.read(&key)?.ok_or(ReadError::Missing { key })?);
        }
        Ok(Listed { items, total })
    }

    /// Where the live token of a portal lies.
    pub(crate) fn token_mark(&self, portal: Uuid, token: Uuid) -> Result<Option<Mark>, ReadError> {
        self.read(&table::token_order(portal, token))
    }

    /// Where a token of a portal lies that ends by itself.
    pub(crate) fn ephemeral_mark(&self, portal: Uuid, token: Uuid) -> Result<Option<Mark>, ReadError> {
        self.read(&table::ephemeral_order(portal, token))
    }

    /// Whether a portal has had at least `count` tokens that end by themselves since a moment.
    pub(crate) fn has_ephemeral_since(
        &self,
        portal: Uuid,
        since: Moment,
        count: usize,
    ) -> Result<bool, ReadError> {
        let page = Scan::first(1, table::ephemeral_orders_since(portal, since)).skip(count.saturating_sub(1));
        Ok(!self.scan(&page).map_err(ReadError::Store)?.is_empty())
    }

    /// The first `limit` tokens that ended by themselves before a moment.
    pub(crate) fn ended_before(
        &self,
        at: Moment,
        limit: usize,
    ) -> Result<Vec<(Moment, Uuid, Ending)>, ReadError> {
        self.ended(table::endings_before(at), limit)
    }

    /// The first `limit` of a range that says what ended by itself, and when.
    fn ended<Record: DeserializeOwned>(
        &self,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<(Moment, Uuid, Record)>, ReadError> {
        let page = Scan::first(limit, range);
        let mut ended = Vec::new();
        for Entry { key, value, .. } in self.scan(&page).map_err(ReadError::Store)? {
            let read = record::read(&value);
            let ending = read.map_err(|source| ReadError::Record { key: key.clone(), source })?;
            let (at, token) = table::ended_by_itself(&key).ok_or(ReadError::Key { key })?;
            ended.push((at, token, ending));
        }
        Ok(ended)
    }

    pub(crate) fn secret(&self, fingerprint: &Fingerprint) -> Result<Option<PortalSecret>, ReadError> {
        self.read(&table::secret(fingerprint))
    }

    /// The secrets of a portal that are not revoked, of which there are at most `most`, the newest first; some may
    /// have expired.
    pub(crate) fn secrets(&self, portal: Uuid, most: usize) -> Result<Vec<PortalSecret>, ReadError> {
        let marks: Vec<Mark> = self.newest(table::secret_orders(portal), Window { skip: 0, limit: most })?;
        let secret = |mark: Mark| {
            let key = table::secret(&mark.fingerprint);
            self.read(&key)?.ok_or(ReadError::Missing { key })
        };
        marks.into_iter().map(secret).collect()
    }

    /// Where the live secret of a portal lies.
    pub(crate) fn secret_mark(&self, portal: Uuid, secret: Uuid) -> Result<Option<Mark>, ReadError> {
        self.read(&table::secret_order(portal, secret))
    }

    /// How many uses of a token are spent, and the commit that said so.
    pub(crate) fn spent_uses(&self, token: Uuid) -> Result<Option<(SpentUses, Revision)>, ReadError> {
        self.read_entry(&table::spent_uses(token))
    }

    /// When a token or a secret was last used, as far as that is written.
    pub(crate) fn token_use(&self, token: Uuid) -> Result<Option<TokenUse>, ReadError> {
        self.read(&table::token_use(token))
    }

    /// The issuers that a portal trusts, of which there are at most `most`, the newest first.
    pub(crate) fn trusted_issuers(&self, portal: Uuid, most: usize) -> Result<Vec<TrustedIssuer>, ReadError> {
        self.newest(table::trusted_issuers(portal), Window { skip: 0, limit: most })
    }

    pub(crate) fn access_token(&self, fingerprint: &Fingerprint) -> Result<Option<AccessToken>, ReadError> {
        self.read(&table::access_token(fingerprint))
    }

    /// The operator's access token.
    pub(crate) fn operator(&self) -> Result<Option<Mark>, ReadError> {
        self.read(&table::operator())
    }

    pub(crate) fn audit_events(
        &self,
        organization: Uuid,
        window: Window,
    ) -> Result<Listed<AuditEvent>, ReadError> {
        let total = self.tally(organization)?.map_or(0, |(tally, _)| tally.audit_events);
        Ok(Listed { items: self.newest(table::audit_events(organization), window)?, total })
    }

    /// Whether something has ended for ever.
    pub(crate) fn has_ended(&self, what: Mortal, uuid: Uuid) -> Result<bool, ReadError> {
        Ok(self.read::<End>(&table::end(what, uuid))?.is_some())
    }

    /// What a slug names; what is longer than a slug names nothing, and is not asked for.
    fn pointer(&self, slug: &str, key: impl Fn(&str) -> Key) -> Result<Option<Uuid>, ReadError> {
        if slug.len() > slug::MAX_CHARS {
            return Ok(None);
        }
        Ok(self.read::<Pointer>(&key(slug))?.map(|pointer| pointer.uuid))
    }

    fn read<Record: DeserializeOwned>(&self, key: &Key) -> Result<Option<Record>, ReadError> {
        Ok(self.read_entry(key)?.map(|(record, _)| record))
    }

    fn read_entry<Record: DeserializeOwned>(
        &self,
        key: &Key,
    ) -> Result<Option<(Record, Revision)>, ReadError> {
        let Some(entry) = self.get(key).map_err(ReadError::Store)? else { return Ok(None) };
        let record =
            record::read(&entry.value).map_err(|source| ReadError::Record { key: key.clone(), source })?;
        Ok(Some((record, entry.revision)))
    }

    fn newest<Record: DeserializeOwned>(
        &self,
        range: KeyRange,
        window: Window,
    ) -> Result<Vec<Record>, ReadError> {
        let page = Scan::last(window.limit, range).skip(window.skip);
        let entries = self.scan(&page).map_err(ReadError::Store)?;
        let read = |entry: Entry| {
            record::read(&entry.value).map_err(|source| ReadError::Record { key: entry.key, source })
        };
        entries.into_iter().map(read).collect()
    }
}
