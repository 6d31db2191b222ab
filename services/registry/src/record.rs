//! Records: what lies in the store, as JSON with a version.
//!
//! A published version is never edited: a field may be added with a default, and anything else is a new
//! version beside it, read by what knows both. `fixtures/` keeps one of each for ever. The JSON is packed, where that
//! makes it smaller.

mod access;
mod audit;
pub(crate) mod document;
mod index;
mod moment;
mod organization;
mod packed;
mod portal;
mod restriction;
mod schema;
mod secret;
mod sign_in;
mod token;
mod trusted_issuer;
mod user;

pub(crate) use access::{AccessToken, AccessTokenKind, Scope};
pub(crate) use audit::{Actor, ActorKind, AuditEvent, Link, Subject};
pub(crate) use document::Document;
pub(crate) use index::{End, Ending, Mark, Pointer};
pub(crate) use moment::Moment;
pub(crate) use organization::{Organization, Tally};
pub(crate) use portal::{ExtraVariables, Portal};
pub(crate) use restriction::{Restrictions, Variable as RestrictedVariable};
pub(crate) use schema::{InputField, InputType, Schema};
pub(crate) use secret::PortalSecret;
pub(crate) use sign_in::{Invitation, InvitationPlace, SessionEnding, UserPassword};
pub(crate) use token::{SpentUses, Token, TokenKind, TokenMember, TokenUse};
pub(crate) use trusted_issuer::TrustedIssuer;
pub(crate) use user::{MemberCredential, Membership, Place, Role, User};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[derive(Deserialize, Serialize)]
#[serde(tag = "version")]
enum Versions<V1> {
    #[serde(rename = "1")]
    V1(V1),
}

/// Why bytes are no record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it cannot be unpacked")]
    Packed(#[from] lz4_flex::block::DecompressError),
    #[error("it is not the JSON of such a record")]
    Json(#[from] serde_json::Error),
}

/// Writes a record in its newest version.
pub(crate) fn write<Record: Serialize>(record: &Record) -> Vec<u8> {
    packed::pack(json(record))
}

/// A record in its newest version, before it is packed.
pub(crate) fn json<Record: Serialize>(record: &Record) -> Vec<u8> {
    serde_json::to_vec(&Versions::V1(record)).expect("a record is made of texts, numbers and lists of them")
}

/// Reads a record of any version, packed or not.
pub(crate) fn read<Record: DeserializeOwned>(bytes: &[u8]) -> Result<Record, Unreadable> {
    let json = packed::unpack(bytes)?;
    let Versions::V1(record) = serde_json::from_slice(&json)?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::{fs, path::Path};

    /// Reads `fixtures/{name}.1.json` as what it was written as, and writes it again.
    fn keeps<Record: DeserializeOwned + Serialize>(name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{name}.1.json"));
        let fixture = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let record: Record = read(&fixture).unwrap_or_else(|error| panic!("{name}: {error}"));
        let written: Value = serde_json::from_slice(&json(&record)).unwrap();
        assert_eq!(written, serde_json::from_slice::<Value>(&fixture).unwrap(), "{name}");
    }

    #[test]
    fn every_record_of_version_1_is_still_read_and_written_the_same() {
        keeps::<AccessToken>("access_token");
        keeps::<AccessToken>("access_token_of_user");
        keeps::<AccessToken>("access_token_session");
        keeps::<AuditEvent>("audit_event");
        keeps::<AuditEvent>("audit_event_linked");
        keeps::<Document>("document");
        keeps::<End>("end");
        keeps::<Ending>("ending");
        keeps::<InputType>("input_type_enum");
        keeps::<InputType>("input_type_object");
        keeps::<Invitation>("invitation");
        keeps::<InvitationPlace>("invitation_place");
        keeps::<Mark>("mark");
        keeps::<MemberCredential>("member_credential");
        keeps::<Membership>("membership");
        keeps::<Organization>("organization");
        keeps::<Organization>("organization_with_schema");
        keeps::<Place>("place");
        keeps::<Pointer>("pointer");
        keeps::<Portal>("portal");
        keeps::<PortalSecret>("portal_secret");
        keeps::<PortalSecret>("portal_secret_by_user");
        keeps::<PortalSecret>("portal_secret_narrowed");
        keeps::<Portal>("portal_of_user");
        keeps::<Portal>("portal_limited");
        keeps::<Portal>("portal_invokable");
        keeps::<Portal>("portal_with_document");
        keeps::<Schema>("schema");
        keeps::<SessionEnding>("session_ending");
        keeps::<SpentUses>("spent_uses");
        keeps::<Tally>("tally");
        keeps::<Tally>("tally_with_head");
        keeps::<Tally>("tally_with_members");
        keeps::<Token>("token");
        keeps::<Token>("token_ephemeral");
        keeps::<Token>("token_ephemeral_narrowed");
        keeps::<Token>("token_by_user");
        keeps::<Token>("token_narrowed");
        keeps::<Token>("token_limited");
        keeps::<Token>("token_of_member");
        keeps::<TokenUse>("token_use");
        keeps::<TrustedIssuer>("trusted_issuer");
        keeps::<TrustedIssuer>("trusted_issuer_by_user");
        keeps::<TrustedIssuer>("trusted_issuer_narrowed");
        keeps::<User>("user");
        keeps::<UserPassword>("user_password");
    }

    #[test]
    fn a_record_of_an_unknown_version_is_not_read() {
        assert!(read::<End>(br#"{"version":"2","ended_at_ms":1}"#).is_err());
        assert!(read::<End>(br#"{"ended_at_ms":1}"#).is_err());
    }
}
