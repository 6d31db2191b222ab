//! What a token may do less than its portal, as it lies in the store.

use model::restriction::{InvalidRestrictions, Narrowing, Parts};
use proto::grant::{NarrowingClaim, RestrictionsClaim};
use serde::{Deserialize, Serialize};

/// Restrictions; what is not there does not restrict.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Restrictions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operations: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) variables: Vec<Variable>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) allowed_ip_addresses: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_uses: Option<u32>,
    /// The revision of the portal with which the one document was saved that may be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) document_revision: Option<u64>,
}

/// What becomes of one variable. JSON stands in it as text, so that no number is rewritten.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Variable {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fixed: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) schemas: Vec<String>,
    /// The operations of which one must declare it, or of none any; nothing for those that may be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) declared_by: Option<Vec<String>>,
}

impl Restrictions {
    /// What of it the executor sees to.
    pub(crate) fn claim(&self) -> Option<RestrictionsClaim> {
        if self.operations.is_none() && self.variables.is_empty() {
            return None;
        }
        let claim = |Variable { name, fixed, schemas, declared_by }: Variable| NarrowingClaim {
            name,
            fixed,
            schemas,
            declared_by,
        };
        let variables = self.variables.iter().cloned().map(claim).collect();
        Some(RestrictionsClaim { operations: self.operations.clone(), variables })
    }
}

impl TryFrom<&Restrictions> for model::Restrictions {
    type Error = InvalidRestrictions;

    fn try_from(record: &Restrictions) -> Result<Self, InvalidRestrictions> {
        let Restrictions { operations, variables, allowed_ip_addresses, max_uses, document_revision } =
            record.clone();
        let declared_by = |variable: &Variable| Some((variable.name.clone(), variable.declared_by.clone()?));
        let declared_by = variables.iter().filter_map(declared_by).collect();
        let variable = |Variable { name, fixed, schemas, .. }| (name, Narrowing::new(fixed, schemas));
        Self::parse(Parts {
            operations,
            variables: variables.into_iter().map(variable).collect(),
            declared_by,
            allowed_ip_addresses,
            max_uses,
            revision: document_revision,
        })
    }
}

impl From<&model::Restrictions> for Restrictions {
    fn from(restrictions: &model::Restrictions) -> Self {
        let Parts { operations, variables, declared_by, allowed_ip_addresses, max_uses, revision } =
            restrictions.parts();
        let variable = |(name, narrowing): (String, Narrowing)| {
            let (fixed, schemas) = (narrowing.fixed().map(str::to_owned), narrowing.schemas().to_vec());
            let declared_by = declared_by.iter().find(|(variable, _)| *variable == name);
            Variable {
                name,
                fixed,
                schemas,
                declared_by: declared_by.map(|(_, operations)| operations.clone()),
            }
        };
        Self {
            operations,
            variables: variables.into_iter().map(variable).collect(),
            allowed_ip_addresses,
            max_uses,
            document_revision: revision,
        }
    }
}
