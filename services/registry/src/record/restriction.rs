//! What a token may do less than its portal, as it lies in the store.

use model::restriction::{Narrowing, Parts};
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
}

impl Restrictions {
    /// What of it the executor sees to.
    pub(crate) fn claim(&self) -> Option<RestrictionsClaim> {
        if self.operations.is_none() && self.variables.is_empty() {
            return None;
        }
        let claim = |Variable { name, fixed, schemas }: Variable| NarrowingClaim { name, fixed, schemas };
        let variables = self.variables.iter().cloned().map(claim).collect();
        Some(RestrictionsClaim { operations: self.operations.clone(), variables })
    }
}

impl From<&model::Restrictions> for Restrictions {
    fn from(restrictions: &model::Restrictions) -> Self {
        let Parts { operations, variables, allowed_ip_addresses, max_uses, revision } = restrictions.parts();
        let variable = |(name, narrowing)| match narrowing {
            Narrowing::Fixed(value) => Variable { name, fixed: Some(value), schemas: Vec::new() },
            Narrowing::Checked(schemas) => Variable { name, fixed: None, schemas },
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
