//! Where each record lies: its table, and its name there.
//!
//! Names begin with what they belong to, so that what belongs together lies together, and end with a UUID of
//! version 7 where the newest is to be found first. Nothing secret is in a name: of bearers it is the SHA-256.

use crate::{
    record::Moment,
    store::{Key, KeyRange},
};
use model::{Email, Fingerprint};
use uuid::Uuid;

/// Organizations by UUID, which is the order in which they were made.
pub(crate) const ORGANIZATIONS: u8 = b'O';
const ORGANIZATION_SLUGS: u8 = b'S';
const TALLIES: u8 = b'T';
/// Portals by organization and UUID.
pub(crate) const PORTALS: u8 = b'P';
const PORTAL_SLUGS: u8 = b's';
const DOCUMENTS: u8 = b'D';
const TOKENS: u8 = b'K';
const TOKEN_ORDER: u8 = b'k';
/// Tokens that end by themselves, by portal and UUID.
const EPHEMERAL_ORDER: u8 = b'e';
/// The same, by when they end.
const ENDINGS: u8 = b'x';
const TOKEN_USES: u8 = b'U';
const SPENT_USES: u8 = b'u';
const SECRETS: u8 = b'C';
/// Secrets that are not revoked, by portal and UUID.
pub(crate) const SECRET_ORDER: u8 = b'c';
/// Issuers that are trusted, by portal and UUID.
pub(crate) const TRUSTED_ISSUERS: u8 = b'I';
const ACCESS_TOKENS: u8 = b'A';
const OPERATOR: u8 = b'o';
const AUDIT_EVENTS: u8 = b'E';
/// Users by UUID.
pub(crate) const USERS: u8 = b'H';
const USER_EMAILS: u8 = b'h';
/// Memberships by organization and UUID.
const MEMBERSHIPS: u8 = b'M';
const PLACES: u8 = b'm';
const ACCESS_TOKEN_ORDER: u8 = b'a';
const PASSWORDS: u8 = b'W';
/// Sessions that have not been ended, by user and UUID.
const SESSION_ORDER: u8 = b'w';
/// All sessions, by when they end by themselves.
const SESSION_ENDINGS: u8 = b'y';
/// Invitations by organization and UUID.
const INVITATIONS: u8 = b'V';
const INVITATION_PLACES: u8 = b'v';
/// Memberships that have ended, by organization and UUID: whoever hears of one learns whose it was.
pub(crate) const MEMBERSHIP_ENDS: u8 = b'n';
/// What members' own tokens run with upstream, by organization and membership.
pub(crate) const MEMBER_CREDENTIALS: u8 = b'Q';
const SCHEMAS: u8 = b'G';
/// Enums and input objects of schemas, by organization and name.
const INPUT_TYPES: u8 = b'g';
/// What has ended, by kind and UUID.
pub(crate) const ENDS: u8 = b'X';

/// What takes rights away, and what says who manages: never served before all of it is known to be there.
pub(crate) const VERIFIED_FIRST: &[u8] = &[
    ENDS,
    MEMBERSHIP_ENDS,
    MEMBERSHIPS,
    PLACES,
    USERS,
    USER_EMAILS,
    ACCESS_TOKENS,
    OPERATOR,
    ORGANIZATIONS,
    ORGANIZATION_SLUGS,
];

/// What is listed a page at a time, however much there is.
pub(crate) const LISTS: &[u8] = &[ORGANIZATIONS, USERS, MEMBERSHIPS, PORTALS, AUDIT_EVENTS];

/// The longest name of an input type that a key can hold.
const MAX_TYPE_NAME_BYTES: usize = 200;

/// What can end for ever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mortal {
    /// An organization, with all that it owns.
    Organization,
    /// A portal, with its tokens.
    Portal,
    /// A token of a portal.
    Token,
    /// A secret of a portal, with the tokens that it was exchanged for.
    Secret,
    /// The trust of a portal in an issuer, with the tokens that it led to.
    TrustedIssuer,
    /// An API access token.
    AccessToken,
    /// A user, with their access tokens.
    User,
}

impl Mortal {
    const ALL: [Self; 7] = [
        Self::Organization,
        Self::Portal,
        Self::Token,
        Self::Secret,
        Self::TrustedIssuer,
        Self::AccessToken,
        Self::User,
    ];

    fn mark(self) -> u8 {
        match self {
            Self::Organization => b'o',
            Self::Portal => b'p',
            Self::Token => b't',
            Self::Secret => b's',
            Self::TrustedIssuer => b'i',
            Self::AccessToken => b'a',
            Self::User => b'u',
        }
    }
}

/// An organization.
pub(crate) fn organization(uuid: Uuid) -> Key {
    Key::new(ORGANIZATIONS, uuid)
}

/// All organizations, the oldest first.
pub(crate) fn organizations() -> KeyRange {
    KeyRange::table(ORGANIZATIONS)
}

/// Which organization a slug names.
pub(crate) fn organization_slug(slug: &str) -> Key {
    Key::new(ORGANIZATION_SLUGS, slug)
}

/// What an organization has how many of.
pub(crate) fn tally(organization: Uuid) -> Key {
    Key::new(TALLIES, organization)
}

/// A portal at its newest revision.
pub(crate) fn portal(organization: Uuid, portal: Uuid) -> Key {
    Key::new(PORTALS, pair(organization, portal.as_bytes()))
}

/// All portals of an organization, the oldest first.
pub(crate) fn portals(organization: Uuid) -> KeyRange {
    KeyRange::starting_with(&Key::new(PORTALS, organization))
}

/// Which portal of an organization a slug names.
pub(crate) fn portal_slug(organization: Uuid, slug: &str) -> Key {
    Key::new(PORTAL_SLUGS, pair(organization, slug.as_bytes()))
}

/// A document as it was saved with a portal's revision. A live one lies there only while its portal has not taken it in.
pub(crate) fn document(portal: Uuid, revision: u64) -> Key {
    Key::new(DOCUMENTS, pair(portal, &revision.to_be_bytes()))
}

/// A token of a portal.
pub(crate) fn token(fingerprint: &Fingerprint) -> Key {
    Key::new(TOKENS, fingerprint.as_bytes())
}

/// A token of a portal in its list.
pub(crate) fn token_order(portal: Uuid, token: Uuid) -> Key {
    Key::new(TOKEN_ORDER, pair(portal, token.as_bytes()))
}

/// The list of a portal's tokens, the oldest first.
pub(crate) fn token_orders(portal: Uuid) -> KeyRange {
    KeyRange::starting_with(&Key::new(TOKEN_ORDER, portal))
}

/// A token of a portal that ends by itself, in its list.
pub(crate) fn ephemeral_order(portal: Uuid, token: Uuid) -> Key {
    Key::new(EPHEMERAL_ORDER, pair(portal, token.as_bytes()))
}

/// The tokens of a portal that end by themselves, those that were made from a moment on.
pub(crate) fn ephemeral_orders_since(portal: Uuid, since: Moment) -> KeyRange {
    let least = uuid::Builder::from_unix_timestamp_millis(since.ms(), &[0; 10]).into_uuid();
    let all = KeyRange::starting_with(&Key::new(EPHEMERAL_ORDER, portal));
    all.after(&ephemeral_order(portal, least))
}

/// That a token ends by itself, and when.
pub(crate) fn ending(at: Moment, token: Uuid) -> Key {
    Key::new(ENDINGS, timed(at, token))
}

/// The tokens that ended by themselves before a moment, the first to end first.
pub(crate) fn endings_before(at: Moment) -> KeyRange {
    KeyRange::table(ENDINGS).before(&Key::new(ENDINGS, at.ms().to_be_bytes()))
}

/// Which token or session ends by itself, and when, as a key of [`ending`] or [`session_ending`] says.
pub(crate) fn ended_by_itself(key: &Key) -> Option<(Moment, Uuid)> {
    let (at, token) = key.name().split_first_chunk::<8>()?;
    Some((Moment::from_ms(u64::from_be_bytes(*at)), Uuid::from_slice(token).ok()?))
}

/// A secret of a portal.
pub(crate) fn secret(fingerprint: &Fingerprint) -> Key {
    Key::new(SECRETS, fingerprint.as_bytes())
}

/// A secret of a portal in its list.
pub(crate) fn secret_order(portal: Uuid, secret: Uuid) -> Key {
    Key::new(SECRET_ORDER, pair(portal, secret.as_bytes()))
}

/// The list of a portal's secrets, the oldest first.
pub(crate) fn secret_orders(portal: Uuid) -> KeyRange {
    KeyRange::starting_with(&Key::new(SECRET_ORDER, portal))
}

/// Whose something is, and which, as a key says that begins with the portal.
pub(crate) fn of_portal(key: &Key) -> Option<(Uuid, Uuid)> {
    let (portal, owned) = key.name().split_at_checked(16)?;
    Some((Uuid::from_slice(portal).ok()?, Uuid::from_slice(owned).ok()?))
}

/// How many uses of a token are spent.
pub(crate) fn spent_uses(token: Uuid) -> Key {
    Key::new(SPENT_USES, token)
}

/// When a token or a secret was last used.
pub(crate) fn token_use(token: Uuid) -> Key {
    Key::new(TOKEN_USES, token)
}

/// An issuer that a portal trusts.
pub(crate) fn trusted_issuer(portal: Uuid, issuer: Uuid) -> Key {
    Key::new(TRUSTED_ISSUERS, pair(portal, issuer.as_bytes()))
}

/// The issuers that a portal trusts, the oldest first.
pub(crate) fn trusted_issuers(portal: Uuid) -> KeyRange {
    KeyRange::starting_with(&Key::new(TRUSTED_ISSUERS, portal))
}

/// An API access token.
pub(crate) fn access_token(fingerprint: &Fingerprint) -> Key {
    Key::new(ACCESS_TOKENS, fingerprint.as_bytes())
}

/// An API access token of a user in their list.
pub(crate) fn access_token_order(user: Uuid, token: Uuid) -> Key {
    Key::new(ACCESS_TOKEN_ORDER, pair(user, token.as_bytes()))
}

/// The list of a user's API access tokens, the oldest first.
pub(crate) fn access_token_orders(user: Uuid) -> KeyRange {
    KeyRange::starting_with(&Key::new(ACCESS_TOKEN_ORDER, user))
}

/// The password of a user.
pub(crate) fn password(user: Uuid) -> Key {
    Key::new(PASSWORDS, user)
}

/// A session of a user in their list.
pub(crate) fn session_order(user: Uuid, session: Uuid) -> Key {
    Key::new(SESSION_ORDER, pair(user, session.as_bytes()))
}

/// The list of a user's sessions, the oldest first.
pub(crate) fn session_orders(user: Uuid) -> KeyRange {
    KeyRange::starting_with(&Key::new(SESSION_ORDER, user))
}

/// That a session ends by itself, and when.
pub(crate) fn session_ending(at: Moment, session: Uuid) -> Key {
    Key::new(SESSION_ENDINGS, timed(at, session))
}

/// The sessions that ended by themselves before a moment, the first to end first.
pub(crate) fn session_endings_before(at: Moment) -> KeyRange {
    KeyRange::table(SESSION_ENDINGS).before(&Key::new(SESSION_ENDINGS, at.ms().to_be_bytes()))
}

/// An invitation.
pub(crate) fn invitation(organization: Uuid, invitation: Uuid) -> Key {
    Key::new(INVITATIONS, pair(organization, invitation.as_bytes()))
}

/// The invitations to an organization, the oldest first.
pub(crate) fn invitations(organization: Uuid) -> KeyRange {
    KeyRange::starting_with(&Key::new(INVITATIONS, organization))
}

/// Where the invitation of that token lies.
pub(crate) fn invitation_place(fingerprint: &Fingerprint) -> Key {
    Key::new(INVITATION_PLACES, fingerprint.as_bytes())
}

/// A user.
pub(crate) fn user(uuid: Uuid) -> Key {
    Key::new(USERS, uuid)
}

/// All users, the oldest first.
pub(crate) fn users() -> KeyRange {
    KeyRange::table(USERS)
}

/// Whose an email address is, whatever its case.
pub(crate) fn user_email(email: &Email) -> Key {
    Key::new(USER_EMAILS, Fingerprint::of(email.folded().as_bytes()).as_bytes())
}

/// A membership.
pub(crate) fn membership(organization: Uuid, membership: Uuid) -> Key {
    Key::new(MEMBERSHIPS, pair(organization, membership.as_bytes()))
}

/// All memberships of an organization, the oldest first.
pub(crate) fn memberships(organization: Uuid) -> KeyRange {
    KeyRange::starting_with(&Key::new(MEMBERSHIPS, organization))
}

/// Where the membership of a user in an organization lies.
pub(crate) fn place(user: Uuid, organization: Uuid) -> Key {
    Key::new(PLACES, pair(user, organization.as_bytes()))
}

/// Where a user's memberships lie, that of the oldest organization first.
pub(crate) fn places(user: Uuid) -> KeyRange {
    KeyRange::starting_with(&Key::new(PLACES, user))
}

/// That a membership has ended.
pub(crate) fn membership_end(organization: Uuid, membership: Uuid) -> Key {
    Key::new(MEMBERSHIP_ENDS, pair(organization, membership.as_bytes()))
}

/// What a member's own tokens run with upstream.
pub(crate) fn member_credential(organization: Uuid, membership: Uuid) -> Key {
    Key::new(MEMBER_CREDENTIALS, pair(organization, membership.as_bytes()))
}

/// The schema of an organization's upstream.
pub(crate) fn schema(organization: Uuid) -> Key {
    Key::new(SCHEMAS, organization)
}

/// An enum or input object of a schema; see [`can_name_input_type`].
pub(crate) fn input_type(organization: Uuid, name: &str) -> Key {
    Key::new(INPUT_TYPES, pair(organization, name.as_bytes()))
}

/// Whether a name is short enough for a key of [`input_type`].
pub(crate) fn can_name_input_type(name: &str) -> bool {
    name.len() <= MAX_TYPE_NAME_BYTES
}

/// The input types of a schema, in the order of their names.
pub(crate) fn input_types(organization: Uuid) -> KeyRange {
    KeyRange::starting_with(&Key::new(INPUT_TYPES, organization))
}

/// Which access token is the operator's.
pub(crate) fn operator() -> Key {
    Key::new(OPERATOR, [])
}

/// A change that was made in an organization.
pub(crate) fn audit_event(organization: Uuid, event: Uuid) -> Key {
    Key::new(AUDIT_EVENTS, pair(organization, event.as_bytes()))
}

/// The changes that were made in an organization, the oldest first.
pub(crate) fn audit_events(organization: Uuid) -> KeyRange {
    KeyRange::starting_with(&Key::new(AUDIT_EVENTS, organization))
}

/// That something has ended.
pub(crate) fn end(what: Mortal, uuid: Uuid) -> Key {
    let mut name = vec![what.mark()];
    name.extend_from_slice(uuid.as_bytes());
    Key::new(ENDS, name)
}

/// What a key of [`ENDS`] says has ended.
pub(crate) fn ended(key: &Key) -> Option<(Mortal, Uuid)> {
    let (mark, uuid) = key.name().split_first()?;
    let what = Mortal::ALL.into_iter().find(|what| what.mark() == *mark)?;
    Some((what, Uuid::from_slice(uuid).ok()?))
}

fn timed(at: Moment, what: Uuid) -> Vec<u8> {
    let mut name = at.ms().to_be_bytes().to_vec();
    name.extend_from_slice(what.as_bytes());
    name
}

fn pair(owner: Uuid, rest: &[u8]) -> Vec<u8> {
    let mut name = owner.as_bytes().to_vec();
    name.extend_from_slice(rest);
    name
}
