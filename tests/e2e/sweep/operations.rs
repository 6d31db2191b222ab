//! What the document tells of each operation: which names its path has, and what its body may have.

use http::Method;
use serde_json::Value;
use std::fmt;

/// A property of a body by which a thing is named.
pub(super) struct Identifier {
    pub(super) operation: &'static str,
    pub(super) property: &'static str,
    /// The other organization's thing that is named instead.
    pub(super) thing: &'static str,
    /// How that is answered.
    pub(super) status: u16,
    /// Where the operator reads what the answer may show; empty where it may show nothing.
    pub(super) shows: &'static str,
}

/// Every such property there is. A slug that is given to a thing of one's own may be that of somebody else's too, and
/// users are the house's: whoever can name one can make them a member.
pub(super) const IDENTIFIERS: &[Identifier] = &[
    identifier("createOrganization", "slug", "organizations", 403),
    identifier("updateOrganization", "slug", "organizations", 403),
    identifier("createPortal", "slug", "gate", 201),
    identifier("updatePortal", "slug", "gate", 200),
    Identifier { shows: "/v2/users/{clerk}", ..identifier("createMember", "email", "clerk's email", 201) },
    Identifier { shows: "/v2/users/{clerk}", ..identifier("createMember", "user", "clerk", 201) },
    identifier("createInvitation", "email", "clerk's email", 201),
    identifier("acceptInvitation", "token", "invitation token", 403),
    identifier("createUser", "email", "clerk's email", 403),
    identifier("createSession", "email", "clerk's email", 401),
];

const fn identifier(
    operation: &'static str,
    property: &'static str,
    thing: &'static str,
    status: u16,
) -> Identifier {
    Identifier { operation, property, thing, status, shows: "" }
}

/// Properties of bodies that name nothing.
pub(super) const PLAIN: &[&str] = &[
    "allowed_ip_addresses",
    "audience",
    "coalesce",
    "code",
    "code_verifier",
    "conditions",
    "current_password",
    "description",
    "expires_at",
    "extra_variables",
    "issuer",
    "max_uses",
    "name",
    "operations",
    "password",
    "query",
    "rate_limit_per_minute",
    "revision",
    "role",
    "schema",
    "scopes",
    "upstream_headers",
    "upstream_timeout_seconds",
    "upstream_token",
    "upstream_url",
    "user_invokable",
    "variables",
];
/// Parameters that name nothing.
const PLAIN_PARAMETERS: &[&str] = &["page", "per_page", "If-Match"];

/// One operation of the document.
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: Method,
    pub(super) path: String,
    /// The names in its path, each by the segment before it, which says what it names.
    pub(super) slots: Vec<String>,
    /// The example of its body.
    pub(super) body: Value,
    /// What its body may have.
    pub(super) properties: Vec<String>,
    /// What its body must have.
    pub(super) required: Vec<String>,
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} {}", self.id, self.method, self.path)
    }
}

impl Operation {
    fn read(document: &Value, path: &str, method: &str, told: &Value) -> Self {
        let segments: Vec<_> = path.split('/').collect();
        let pairs = segments.windows(2).filter(|pair| pair[1].starts_with('{'));
        let slots: Vec<String> = pairs.map(|pair| pair[0].to_owned()).collect();
        let content = &told["requestBody"]["content"]["application/json"];
        let schema = resolved(document, &content["schema"]);
        // Those that there are to choose from have the same properties, and require others of them.
        let choices: Vec<&Value> =
            schema["oneOf"].as_array().map_or_else(|| vec![schema], |all| all.iter().collect());
        let requires = |choice: &Value, name: &Value| {
            choice["required"].as_array().is_some_and(|all| all.contains(name))
        };
        let names = |value: &Value| {
            value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
        };
        let mut required: Vec<_> = choices[0]["required"].as_array().into_iter().flatten().collect();
        required.retain(|name| choices.iter().all(|choice| requires(choice, name)));
        let operation = Self {
            id: told["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase().parse().unwrap(),
            path: path.to_owned(),
            slots,
            body: content["example"].clone(),
            properties: names(&choices[0]["properties"]),
            required: required.into_iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
        };
        for parameter in told["parameters"].as_array().into_iter().flatten() {
            let parameter = resolved(document, parameter);
            let name = parameter["name"].as_str().unwrap();
            let known = parameter["in"] == "path" || PLAIN_PARAMETERS.contains(&name);
            assert!(known, "nobody knows whether {name} of {operation} names a thing");
        }
        operation
    }

    /// Its path with each name replaced by what `name` gives for the place and the kind.
    pub(super) fn at(&self, name: impl Fn(usize, &str) -> String) -> String {
        let mut slots = self.slots.iter().enumerate();
        let segments = self.path.split('/').map(|segment| match segment.starts_with('{') {
            true => slots.next().map(|(slot, kind)| name(slot, kind)).unwrap_or_default(),
            false => segment.to_owned(),
        });
        segments.collect::<Vec<_>>().join("/")
    }
}

/// Every operation.
pub(super) fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap().iter();
    let told = paths.flat_map(|(path, item)| {
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, told)| Operation::read(document, path, method, told))
    });
    told.collect()
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).expect(reference),
        None => value,
    }
}
