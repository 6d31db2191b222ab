//! Passwords, sessions and invitations, as they lie in the store.

use super::{Catalog, ReadError, Window};
use crate::{
    record::{AccessToken, Invitation, InvitationPlace, Mark, Moment, SessionEnding, UserPassword},
    table,
};
use model::Fingerprint;
use uuid::Uuid;

impl Catalog {
    /// The password of a user, if they have one.
    pub(crate) fn password(&self, user: Uuid) -> Result<Option<UserPassword>, ReadError> {
        self.read(&table::password(user))
    }

    /// The sessions of a user that have not been ended, of which there are at most `most`, the newest first; some may
    /// have expired.
    pub(crate) fn sessions(&self, user: Uuid, most: usize) -> Result<Vec<AccessToken>, ReadError> {
        let marks: Vec<Mark> = self.newest(table::session_orders(user), Window { skip: 0, limit: most })?;
        let session = |mark: Mark| {
            let key = table::access_token(&mark.fingerprint);
            self.read(&key)?.ok_or(ReadError::Missing { key })
        };
        marks.into_iter().map(session).collect()
    }

    /// The first `limit` sessions that ended by themselves before a moment.
    pub(crate) fn sessions_ended_before(
        &self,
        at: Moment,
        limit: usize,
    ) -> Result<Vec<(Moment, Uuid, SessionEnding)>, ReadError> {
        self.ended(table::session_endings_before(at), limit)
    }

    /// The invitations to an organization, of which there are at most `most`, the newest first; some may have expired.
    pub(crate) fn invitations(&self, organization: Uuid, most: usize) -> Result<Vec<Invitation>, ReadError> {
        self.newest(table::invitations(organization), Window { skip: 0, limit: most })
    }

    pub(crate) fn invitation(
        &self,
        organization: Uuid,
        invitation: Uuid,
    ) -> Result<Option<Invitation>, ReadError> {
        self.read(&table::invitation(organization, invitation))
    }

    /// Where the invitation of that token lies, if it is there yet.
    pub(crate) fn invitation_place(
        &self,
        fingerprint: &Fingerprint,
    ) -> Result<Option<InvitationPlace>, ReadError> {
        self.read(&table::invitation_place(fingerprint))
    }
}
