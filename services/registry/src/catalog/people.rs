//! Users, their places in organizations, and their access tokens, as they lie in the store.

use super::{Catalog, Listed, ReadError, Window};
use crate::{
    record::{AccessToken, End, Mark, MemberCredential, Membership, Place, Pointer, User},
    store::Revision,
    table::{self, Mortal},
};
use model::Email;
use uuid::Uuid;

impl Catalog {
    /// A user who has not ended, and the commit that last wrote them.
    pub(crate) fn user(&self, uuid: Uuid) -> Result<Option<(User, Revision)>, ReadError> {
        if self.has_ended(Mortal::User, uuid)? {
            return Ok(None);
        }
        self.read_entry(&table::user(uuid))
    }

    /// The user who is written to there.
    pub(crate) fn user_at(&self, email: &Email) -> Result<Option<(User, Revision)>, ReadError> {
        match self.read::<Pointer>(&table::user_email(email))? {
            Some(pointer) => self.user(pointer.uuid),
            None => Ok(None),
        }
    }

    pub(crate) fn count_users(&self) -> u64 {
        self.count(table::USERS)
    }

    pub(crate) fn users(&self, window: Window) -> Result<Listed<User>, ReadError> {
        Ok(Listed { items: self.newest(table::users(), window)?, total: self.count_users() })
    }

    /// The live membership of a user in an organization.
    pub(crate) fn membership(&self, organization: Uuid, user: Uuid) -> Result<Option<Membership>, ReadError> {
        let Some(place) = self.read::<Place>(&table::place(user, organization))? else { return Ok(None) };
        if self.membership_has_ended(organization, place.membership)? {
            return Ok(None);
        }
        self.read(&table::membership(organization, place.membership))
    }

    /// Whether a membership has ended for ever.
    pub(crate) fn membership_has_ended(
        &self,
        organization: Uuid,
        membership: Uuid,
    ) -> Result<bool, ReadError> {
        Ok(self.read::<End>(&table::membership_end(organization, membership))?.is_some())
    }

    /// What a member's own tokens run with upstream, if they have stored it.
    pub(crate) fn member_credential(
        &self,
        organization: Uuid,
        membership: Uuid,
    ) -> Result<Option<MemberCredential>, ReadError> {
        self.read(&table::member_credential(organization, membership))
    }

    pub(crate) fn memberships(
        &self,
        organization: Uuid,
        window: Window,
    ) -> Result<Listed<Membership>, ReadError> {
        let total = self.tally(organization)?.map_or(0, |(tally, _)| tally.members);
        Ok(Listed { items: self.newest(table::memberships(organization), window)?, total })
    }

    /// Where a user is a member, of at most `most` organizations, that of the newest first; some may have ended.
    pub(crate) fn places(&self, user: Uuid, most: usize) -> Result<Vec<Place>, ReadError> {
        self.newest(table::places(user), Window { skip: 0, limit: most })
    }

    /// The access tokens of a user that are not revoked, of which there are at most `most`; some may have expired.
    pub(crate) fn access_tokens(
        &self,
        user: Uuid,
        window: Window,
        most: usize,
    ) -> Result<Listed<AccessToken>, ReadError> {
        let every = Window { skip: 0, limit: most };
        let marks: Vec<Mark> = self.newest(table::access_token_orders(user), every)?;
        let total = u64::try_from(marks.len()).unwrap_or(u64::MAX);
        let mut items = Vec::with_capacity(window.limit.min(marks.len()));
        for mark in marks.iter().skip(window.skip).take(window.limit) {
            let key = table::access_token(&mark.fingerprint);
            items.push(self.read(&key)?.ok_or(ReadError::Missing { key })?);
        }
        Ok(Listed { items, total })
    }

    /// Where the live access token of a user lies.
    pub(crate) fn access_token_mark(&self, user: Uuid, token: Uuid) -> Result<Option<Mark>, ReadError> {
        self.read(&table::access_token_order(user, token))
    }
}
