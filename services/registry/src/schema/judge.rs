//! A document held against the schema.

use super::{Schema, in_the_schema, located, problems, sorted, used};
use apollo_compiler::{
    diagnostic::Diagnostic,
    parser::Parser,
    validation::{DiagnosticData, DiagnosticList},
};
use model::document::{Problem, undescribed};

/// Deeper than any document that gets here.
const MAX_DEPTH: usize = 500;

/// What is allowed, though the specification forbids it: the first two are warned of already, and a number that is too
/// large is for the upstream to judge.
const TOLERATED: &[&str] = &["UnusedVariable", "UnusedFragment", "FloatCoercionError", CONFLICTING];
/// Fields of one name with different types. Where they differ only in whether they can be null, upstreams run it, and
/// published programs send it.
const CONFLICTING: &str = "ConflictingFieldType";

impl Schema {
    /// Holds `source` against the schema, which the rules that need none have let pass.
    ///
    /// What is returned is allowed but worth a look: what is deprecated. At most 100 warnings.
    ///
    /// # Errors
    ///
    /// What the schema does not have, or not so; at most 100 problems.
    pub(crate) fn judge(&self, source: &str) -> Result<Vec<Problem>, Vec<Problem>> {
        let mut parser = Parser::new().recursion_limit(MAX_DEPTH);
        let parsed = parser.parse_executable(&self.0, undescribed(source), "query");
        let (document, errors) = match parsed {
            Ok(parsed) => match parsed.validate(&self.0) {
                Ok(valid) => (valid.into_inner(), None),
                Err(broken) => (broken.partial, Some(broken.errors)),
            },
            Err(broken) => (broken.partial, Some(broken.errors)),
        };
        let mut found = errors.iter().flat_map(|errors| problems(errors, TOLERATED)).collect::<Vec<_>>();
        let (lax, strict) = errors.iter().flat_map(conflicts).partition::<Vec<_>, _>(|conflict| conflict.lax);
        found.extend(strict.into_iter().map(|conflict| conflict.problem));
        let used = used::of(&self.0, &document);
        found.extend(used.broken);
        if !found.is_empty() {
            return Err(sorted(found));
        }
        let mut warnings = used.deprecated;
        warnings.extend(lax.into_iter().map(|conflict| conflict.problem));
        Ok(sorted(warnings))
    }
}

/// Fields of one name with different types.
struct Conflict {
    problem: Problem,
    /// Whether they differ only in whether they can be null.
    lax: bool,
}

fn conflicts(errors: &DiagnosticList) -> Vec<Conflict> {
    let conflict = |diagnostic: Diagnostic<'_, DiagnosticData>| {
        let error = diagnostic.error;
        (error.unstable_error_name() == Some(CONFLICTING)).then(|| {
            let place = diagnostic.line_column_range().map(|range| range.start);
            let types = error.unstable_compat_message().as_deref().and_then(types_in);
            let told = types.as_ref().map(|[one, other]| format!(": `{one}` and `{other}`"));
            let message = format!("{}{}", in_the_schema(error), told.unwrap_or_default());
            Conflict { problem: located(place, message), lax: types.is_some_and(|types| are_lax(&types)) }
        })
    };
    errors.iter().filter_map(conflict).collect()
}

/// The two types that a message has after `types "`.
fn types_in(message: &str) -> Option<[String; 2]> {
    let (_, types) = message.split_once("conflicting types \"")?;
    let mut types = types.split('"').filter(|text| !text.trim().is_empty());
    let name = |text: &str| text.trim().trim_end_matches(" and").to_owned();
    Some([name(types.next()?), name(types.next()?)])
}

fn are_lax([one, other]: &[String; 2]) -> bool {
    one.replace('!', "") == other.replace('!', "")
}
