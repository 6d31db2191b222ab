//! Who calls: an access token, what it may do, and from where it is used.

use crate::{
    catalog::Catalog,
    change::Author,
    record::{AccessToken, AccessTokenKind, Actor, Scope, User},
    table::Mortal,
};
use model::{AllowedAddresses, Bearer, Fault, Fingerprint, Reason};
use std::{net::IpAddr, time::SystemTime};
use tonic::metadata::MetadataMap;
use uuid::Uuid;

const CLIENT_ADDRESS: &str = "portals-client-address";
const REQUEST_ID: &str = "portals-request-id";
const MAX_REQUEST_ID_CHARS: usize = 128;

/// From where a call comes, and what it is known by in the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) address: Option<IpAddr>,
    pub(crate) request_id: Option<String>,
}

impl Origin {
    /// What the metadata of a call says of it.
    pub(crate) fn read(metadata: &MetadataMap) -> Self {
        let text = |name: &str| metadata.get(name).and_then(|value| value.to_str().ok());
        let is_id =
            |id: &&str| id.len() <= MAX_REQUEST_ID_CHARS && id.bytes().all(|byte| byte.is_ascii_graphic());
        Self {
            address: text(CLIENT_ADDRESS).and_then(|address| address.parse().ok()),
            request_id: text(REQUEST_ID).filter(is_id).map(str::to_owned),
        }
    }
}

/// Whoever changes or reads definitions.
pub(crate) struct Caller {
    token: AccessToken,
    /// Whose token it is, where it is a person's.
    user: Option<User>,
    origin: Origin,
}

impl Caller {
    /// Finds out who calls by the metadata of the call.
    ///
    /// # Errors
    ///
    /// UNAUTHENTICATED when there is no live access token, IP_NOT_ALLOWED when it may not be used from there.
    pub(crate) fn authenticate(catalog: &Catalog, metadata: &MetadataMap) -> Result<Self, Fault> {
        let refused = || {
            Fault::new(
                Reason::Unauthenticated,
                "the API access token is missing, unknown, expired or revoked",
            )
        };
        let fingerprint = bearer(metadata).ok_or_else(refused)?.fingerprint();
        let token = catalog.access_token(&fingerprint)?.ok_or_else(refused)?;
        if catalog.has_ended(Mortal::AccessToken, token.uuid)? || token.has_expired(SystemTime::now()) {
            return Err(refused());
        }
        let user = match token.user {
            Some(uuid) => Some(catalog.user(uuid)?.ok_or_else(refused)?.0),
            None => None,
        };
        let origin = Origin::read(metadata);
        check_address(&token, origin.address)?;
        Ok(Self { token, user, origin })
    }

    /// The registry itself, at its start, on behalf of whoever runs it.
    pub(crate) fn operator(token: AccessToken) -> Self {
        Self { token, user: None, origin: Origin::default() }
    }

    /// Refuses whoever lacks `scope`.
    ///
    /// # Errors
    ///
    /// FORBIDDEN, and names the scope.
    pub(crate) fn needs(&self, scope: Scope) -> Result<(), Fault> {
        if self.scopes().contains(&scope) {
            return Ok(());
        }
        Err(Fault::new(Reason::Forbidden, format!("the API access token lacks the scope {}", scope.name())))
    }

    /// What the token may do: the operator's everything, whatever there was when it was made.
    pub(crate) fn scopes(&self) -> &[Scope] {
        match self.token.kind {
            AccessTokenKind::Operator => &Scope::ALL,
            AccessTokenKind::AccessToken | AccessTokenKind::User | AccessTokenKind::Session => {
                &self.token.scopes
            }
        }
    }

    /// What the audit knows them by.
    fn actor(&self) -> Actor {
        let (uuid, name) = match (&self.user, self.token.kind) {
            (Some(user), _) => (user.uuid, user.name.as_str()),
            (None, AccessTokenKind::Operator) => (self.token.uuid, "operator"),
            (None, AccessTokenKind::AccessToken | AccessTokenKind::User | AccessTokenKind::Session) => {
                (self.token.uuid, self.token.description.as_str())
            }
        };
        Actor { r#type: self.token.kind.into(), uuid, name: name.to_owned() }
    }

    /// The person whose token it is, if it is a person's.
    pub(crate) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Their identity.
    pub(crate) fn user_uuid(&self) -> Option<Uuid> {
        self.user.as_ref().map(|user| user.uuid)
    }

    pub(crate) fn token(&self) -> &AccessToken {
        &self.token
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn request_id(&self) -> Option<&str> {
        self.origin.request_id.as_deref()
    }
}

impl From<&Caller> for Author {
    fn from(caller: &Caller) -> Self {
        Self { actor: caller.actor(), origin: caller.origin.clone() }
    }
}

/// The operator's access token, all scopes included.
pub(crate) fn operator_token(uuid: Uuid) -> AccessToken {
    AccessToken {
        uuid,
        description: "made for whoever runs this".to_owned(),
        kind: AccessTokenKind::Operator,
        scopes: Scope::ALL.to_vec(),
        created_at_ms: crate::record::Moment::now(),
        user: None,
        expires_at_ms: None,
        allowed_ip_addresses: None,
    }
}

/// Refuses a token that may not be used from there; who does not say from where is nowhere.
fn check_address(token: &AccessToken, address: Option<IpAddr>) -> Result<(), Fault> {
    let Some(text) = &token.allowed_ip_addresses else { return Ok(()) };
    let allowed = AllowedAddresses::parse(text).map_err(Fault::internal)?;
    match address {
        Some(address) if allowed.allows(address) => Ok(()),
        _ => {
            let message = "the API access token may not be used from this address";
            Err(Fault::new(Reason::IpNotAllowed, message))
        }
    }
}

/// The bearer that a call carries.
pub(crate) fn bearer(metadata: &MetadataMap) -> Option<Bearer> {
    let text = metadata.get("authorization")?.to_str().ok()?;
    let (scheme, bearer) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    Bearer::parse(bearer.trim()).ok()
}

/// Whether two fingerprints are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &Fingerprint, other: &Fingerprint) -> bool {
    let pairs = one.as_bytes().iter().zip(other.as_bytes());
    pairs.fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lacks_a_scope_is_told_which() {
        let scopes = vec![Scope::ReadPortals];
        let kind = AccessTokenKind::AccessToken;
        let caller = Caller::operator(AccessToken { kind, scopes, ..operator_token(Uuid::nil()) });
        assert!(caller.needs(Scope::ReadPortals).is_ok());
        for scope in Scope::ALL.into_iter().filter(|scope| *scope != Scope::ReadPortals) {
            let fault = caller.needs(scope).unwrap_err();
            assert_eq!(fault.reason(), Reason::Forbidden);
            assert!(fault.message().ends_with(scope.name()), "{fault}");
        }
    }

    #[test]
    fn a_bearer_is_read_whatever_the_case_of_its_scheme() {
        let read = |text: &str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("authorization", text.parse().unwrap());
            bearer(&metadata).map(|bearer| bearer.expose().to_owned())
        };
        assert_eq!(read("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(read("bearer abc").as_deref(), Some("abc"));
        for text in ["abc", "Bearer", "Bearer ", "Basic abc", "Bearer a b"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn fingerprints_are_the_same_or_not() {
        let (one, other) = (Fingerprint::of(b"one"), Fingerprint::of(b"other"));
        assert!(same(&one, &one) && !same(&one, &other));
    }
}
