//! What texts must be, as the document tells it. The registry checks them.

use utoipa::openapi::{
    ArrayBuilder, ObjectBuilder,
    schema::{KnownFormat, SchemaFormat, SchemaType, Type},
};

/// No control character, and something that is no white space.
const NAME: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";
const SLUG: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";
/// The host of a URL.
macro_rules! host {
    () => {
        concat!(
            r"([A-Za-z0-9._-]+|\[(([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}",
            r"|([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4}){0,2})?::([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4}){0,3})?)\])",
        )
    };
}
/// A port that there can be, and a path.
macro_rules! port_and_path {
    () => {
        concat!(
            "(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4}))?",
            r"(/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?",
        )
    };
}
/// An absolute URL without user, password and fragment.
const HTTP_URL: &str = concat!(
    "^https?://",
    host!(),
    port_and_path!(),
    r"(\?([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?$"
);
/// The same without a query, and with plain http on one's own machine alone.
const ISSUER_URL: &str = concat!(
    "^(https://",
    host!(),
    r"|http://(localhost|127(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}|\[::1\]))",
    port_and_path!(),
    "$",
);
/// RFC 9110, 5.6.2.
const FIELD_NAME: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";
/// RFC 9110, 5.5, of ASCII alone.
const FIELD_VALUE: &str = r"^[\t -~]*$";
/// One `@` between other visible ASCII characters.
const EMAIL: &str = "^[!-?A-~]+@[!-?A-~]+$";
/// All that an access token of a user can be good for.
const SCOPES: [&str; 7] = [
    "read_organizations",
    "read_portals",
    "write_portals",
    "read_audit_events",
    "read_members",
    "write_members",
    "write_user",
];
/// GraphQL, October 2021, 2.1.9.
const GRAPHQL_NAME: &str = "^[_A-Za-z][_0-9A-Za-z]*$";
const VISIBLE_ASCII: &str = "^[!-~]*$";
const DOCUMENT: &str = "mutation triggerBuild($pipelineID: ID!) { buildCreate(input: {pipelineID: $pipelineID}) { build { url } } }";

fn text(about: &str, example: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(about)).examples([example])
}

fn or_null(text: ObjectBuilder) -> ObjectBuilder {
    text.schema_type(SchemaType::from_iter([Type::String, Type::Null]))
}

fn format(name: &str) -> Option<SchemaFormat> {
    Some(SchemaFormat::Custom(name.to_owned()))
}

/// A name for people.
pub(super) fn name() -> ObjectBuilder {
    text("Its name for people.", "Trigger main build")
        .pattern(Some(NAME))
        .min_length(Some(1))
        .max_length(Some(255))
}

/// A name in URLs.
pub(super) fn slug() -> ObjectBuilder {
    text("Its name in URLs.", "trigger-main-build")
        .pattern(Some(SLUG))
        .min_length(Some(1))
        .max_length(Some(100))
}

/// A name in URLs that need not be given.
pub(super) fn slug_or_null() -> ObjectBuilder {
    or_null(slug()).description(Some("Its name in URLs; made from the name where it is not given."))
}

/// What something is for, which need not be told.
pub(super) fn description_or_null() -> ObjectBuilder {
    or_null(text("What it is for.", "Builds the main branch")).max_length(Some(4_096))
}

/// A GraphQL document.
pub(super) fn query() -> ObjectBuilder {
    let about = "The GraphQL document, of at most 128 KiB: its operations, queries and mutations, are what can be invoked.";
    text(about, DOCUMENT).format(format("graphql"))
}

/// From where a portal may be called.
pub(super) fn addresses_or_null() -> ObjectBuilder {
    let about = "From where it may be used: addresses and CIDR ranges, separated by spaces; null or empty for everywhere.";
    or_null(text(about, "192.0.2.1/32 198.51.100.0/24")).format(format("ip-ranges"))
}

/// From where a token may be used.
pub(super) fn token_addresses_or_null() -> ObjectBuilder {
    let about =
        "From where it may be used, within the portal's own: addresses and CIDR ranges, separated by spaces.";
    addresses_or_null().description(Some(about))
}

/// Where an upstream is.
pub(super) fn url() -> ObjectBuilder {
    let about = "The GraphQL API that its portals run against: an absolute http:// or https:// URL.";
    text(about, "https://graphql.buildkite.com/v1").pattern(Some(HTTP_URL)).max_length(Some(2_048))
}

/// What goes to an upstream and never comes out.
pub(super) fn credential_or_null() -> ObjectBuilder {
    let about = "The credential that goes to the upstream as `Authorization: Bearer …`; it goes in and never comes out.";
    let text = or_null(text(about, "bkua_0123456789abcdef"));
    text.pattern(Some(VISIBLE_ASCII)).max_length(Some(8_192)).write_only(true)
}

/// What the upstream tells of itself.
pub(super) fn schema_or_null() -> ObjectBuilder {
    let about = "The schema of the upstream in GraphQL's schema definition language, at most 4 MiB: documents that are saved from then on must be valid against it, and it checks the variables of all calls. Null for none.";
    let text = or_null(text(about, "type Query { viewer: String }")).format(format("graphql-schema"));
    text.max_length(Some(4 << 20)).write_only(true)
}

/// The name for people of an organization.
pub(super) fn organization_name() -> ObjectBuilder {
    name().examples(["My organization"])
}

/// The name in URLs of an organization.
pub(super) fn organization_slug() -> ObjectBuilder {
    slug()
        .description(Some("Its name in URLs, which cannot be another than it is."))
        .examples(["my-organization"])
}

/// The name in URLs of an organization that is to be made.
pub(super) fn organization_slug_or_null() -> ObjectBuilder {
    slug_or_null().examples(["my-organization"])
}

/// The name of a header field that goes to an upstream; those of the connection, the body and the credential cannot be
/// set.
pub(super) fn header_name() -> ObjectBuilder {
    let name = ObjectBuilder::new().schema_type(Type::String);
    name.pattern(Some(FIELD_NAME)).min_length(Some(1)).max_length(Some(100))
}

/// The value of a header field that goes to an upstream.
pub(super) fn header_value() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(FIELD_VALUE)).max_length(Some(4_096))
}

/// Who signs tokens that a portal trusts.
pub(super) fn issuer() -> ObjectBuilder {
    let about = "The issuer, letter for letter as its tokens name it in `iss`: an https:// URL.";
    text(about, "https://token.actions.githubusercontent.com")
        .pattern(Some(ISSUER_URL))
        .max_length(Some(2_048))
}

/// What a person is called.
pub(super) fn person() -> ObjectBuilder {
    name().description(Some("Their name.")).examples(["Ada Lovelace"])
}

/// What a person is called who may be a user already.
pub(super) fn person_or_null() -> ObjectBuilder {
    or_null(person()).description(Some("Their name, where they are no user yet."))
}

/// A password to be set.
pub(super) fn password() -> ObjectBuilder {
    text("At least 12 characters, and at most 256 bytes.", "correct horse battery staple")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .min_length(Some(12))
        .max_length(Some(256))
}

/// A password of somebody who may have one already.
pub(super) fn password_or_null() -> ObjectBuilder {
    let about =
        "Their password, of at least 12 characters and at most 256 bytes, where they are no user yet.";
    or_null(password()).description(Some(about))
}

/// A name in a GraphQL document.
pub(super) fn graphql_name() -> ObjectBuilder {
    let name = ObjectBuilder::new().schema_type(Type::String);
    name.pattern(Some(GRAPHQL_NAME)).min_length(Some(1)).max_length(Some(255))
}

/// What a token may run.
pub(super) fn operations_or_null() -> ArrayBuilder {
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(graphql_name().examples(["triggerBuild"]))
        .description(Some("The operations that it may run; all where they are not given."))
        .min_items(Some(1))
        .max_items(Some(100))
        .unique_items(true)
}

/// Where a person gets letters.
pub(super) fn email() -> ObjectBuilder {
    let about = "Their address; no two users have one that differs in case alone.";
    text(about, "ada@example.com").pattern(Some(EMAIL)).min_length(Some(3)).max_length(Some(254))
}

/// Where a person gets letters, for whom there is another name.
pub(super) fn email_or_null() -> ObjectBuilder {
    or_null(email()).description(Some("The user's address, where their `uuid` is not given."))
}

/// What an access token is to be good for.
pub(super) fn scopes() -> ArrayBuilder {
    let scope = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(SCOPES));
    ArrayBuilder::new()
        .items(scope)
        .description(Some("What it is to be good for."))
        .min_items(Some(1))
        .max_items(Some(32))
        .examples([["read_portals"]])
}
