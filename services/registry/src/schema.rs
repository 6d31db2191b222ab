//! An upstream's schema: read when an organization is given it, asked when a document is saved.
//!
//! What is wrong with a schema or a document is told as [`Problem`]s, with line and column. Nothing here touches the
//! store, and nothing but this names the validator.

mod judge;
mod kept;
mod once;
mod reach;
mod used;

pub(crate) use kept::Schemas;

use apollo_compiler::{
    diagnostic::Diagnostic,
    parser::{LineColumn, Parser},
    validation::{DiagnosticData, DiagnosticList, Valid},
};
use model::document::Problem;

/// How deep values and types of a schema may be nested.
const MAX_DEPTH: usize = 100;
/// The most tokens of a schema: one of 4 MiB has as many where half of it describes.
const MAX_TOKENS: usize = 1_000_000;
/// How many problems are told.
const MAX_PROBLEMS: usize = 100;

/// The most characters of a message.
const MAX_MESSAGE_CHARS: usize = 400;

/// What a newer specification has and the validator does not know.
const ONE_OF: &str = "oneOf";
const ONE_OF_DEFINITION: &str = "directive @oneOf on INPUT_OBJECT";

/// What a schema may have that it should not: it keeps nobody from judging documents.
const TOLERATED: &[&str] = &["UndefinedDirective"];

/// A schema that documents can be held against.
pub(crate) struct Schema(Valid<apollo_compiler::Schema>);

impl Schema {
    /// Reads a schema in GraphQL's language for that.
    ///
    /// A member that is defined twice counts as it was first, as in schemas that are published that way. Directives that
    /// nobody defines are ignored.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in its order; at most 100 problems.
    pub(crate) fn read(source: &str) -> Result<Self, Vec<Problem>> {
        let mut parser = Parser::new().recursion_limit(MAX_DEPTH).token_limit(MAX_TOKENS);
        let mut parsed =
            parser.parse_ast(source, "schema").map_err(|broken| problems(&broken.errors, &[]))?;
        once::keep_first(&mut parsed);
        let builder = apollo_compiler::Schema::builder();
        let mut builder = builder.adopt_orphan_extensions().ignore_builtin_redefinitions().add_ast(&parsed);
        if !once::defines_directive(&parsed, ONE_OF) {
            builder = builder.parse(ONE_OF_DEFINITION, "oneOf");
        }
        let built = builder.build().map_err(|broken| problems(&broken.errors, &[]))?;
        match built.validate() {
            Ok(valid) => Ok(Self(valid)),
            Err(broken) => match problems(&broken.errors, TOLERATED) {
                found if found.is_empty() => Ok(Self(Valid::assume_valid(broken.partial))),
                found => Err(found),
            },
        }
    }
}

/// What the validator found, in the order of the source; not what has a name of `tolerated`.
fn problems(found: &DiagnosticList, tolerated: &[&str]) -> Vec<Problem> {
    let counts = found.iter().filter(|diagnostic| {
        let name = diagnostic.error.unstable_error_name();
        !name.is_some_and(|name| tolerated.contains(&name))
    });
    let problem = |diagnostic: Diagnostic<'_, DiagnosticData>| {
        let place = diagnostic.line_column_range().map(|range| range.start);
        located(place, in_the_schema(&diagnostic.error))
    };
    sorted(counts.map(problem).collect())
}

/// A message of the validator, which calls "this document" what is the schema here.
fn in_the_schema(error: &impl ToString) -> String {
    error.to_string().replace(" in this document", " in the schema")
}

fn located(place: Option<LineColumn>, message: String) -> Problem {
    let counted = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (line, column) = place.map_or((1, 1), |place| (counted(place.line), counted(place.column)));
    Problem { message: short(&message), line, column }
}

/// A message in one line, cut short where the names and types in it are long.
fn short(message: &str) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match message.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message,
    }
}

/// The first of `found`.
fn sorted(mut found: Vec<Problem>) -> Vec<Problem> {
    found.sort_by_key(|problem| (problem.line, problem.column));
    found.dedup();
    found.truncate(MAX_PROBLEMS);
    found
}

#[cfg(test)]
mod tests;
