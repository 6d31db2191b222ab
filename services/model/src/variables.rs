//! A caller's variables, coerced as the operation declares them (GraphQL October 2021, 6.1.2).
//!
//! It knows what the document itself tells: the built-in scalars, lists, non-null and defaults; and of the schema, what
//! it is given of enums and input objects. Of other named types it knows nothing, and their values pass byte for byte. A
//! number is never rewritten.

mod default;
mod unknown;
mod value;

use crate::{
    Fault, Reason,
    document::{Operation, Type, Variable},
    fault::{Details, PathSegment, VariableFault},
    input::InputTypes,
    json,
    portal::ExtraVariables,
};
use std::{borrow::Cow, collections::HashMap};
use value::Misfit;

/// The most bad variables that one answer tells of.
const MAX_FAULTS: usize = 100;
/// The most names of ignored variables that are kept; the others are ignored as well.
const MAX_IGNORED: usize = 100;
/// The most characters of a name that somebody invented and that is told back.
const MAX_NAME_CHARS: usize = 100;

/// Variables that can be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Coerced {
    /// A JSON object of the variables that the operation uses.
    pub json: Vec<u8>,
    /// The names that were left out because the operation does not declare them: at most 100, each cut
    /// after 100 characters.
    pub ignored: Vec<String>,
}

/// Coerces the JSON object in `body` to what `operation` declares, as far as `types` and the document tell.
///
/// An empty body counts as `{}`; space alone is no object. A variable that is declared and never used is checked like the others
/// and left out. A default takes the place of a missing variable where its JSON is plain from the document;
/// elsewhere (enums, input objects) the declaration in the operation's source does that upstream, as the upstream does
/// with the defaults that its schema has for fields of input objects.
///
/// # Errors
///
/// `BadRequest` when `body` is no JSON object, is nested over [`json::MAX_DEPTH`] or has a key twice at the
/// top; `VariablesInvalid` with one entry for each bad variable, at most 100.
pub fn coerce(
    operation: &Operation,
    types: &InputTypes,
    extra: ExtraVariables,
    body: &[u8],
) -> Result<Coerced, Fault> {
    let entries = if body.is_empty() { Ok(Vec::new()) } else { json::object(body) };
    let entries = entries.map_err(|invalid| {
        Fault::new(Reason::BadRequest, format!("the body is not a JSON object of variables: {invalid}"))
    })?;
    let declared = Declared::new(&operation.variables);
    let mut given: Vec<Option<&[u8]>> = vec![None; operation.variables.len()];
    let (mut ignored, mut faults) = (Vec::new(), Vec::new());
    for entry in &entries {
        match declared.index(&entry.key).and_then(|index| given.get_mut(index)) {
            Some(slot) => *slot = Some(entry.value),
            None if extra == ExtraVariables::Ignore && ignored.len() < MAX_IGNORED => {
                ignored.push(short(&entry.key));
            }
            None if extra == ExtraVariables::Reject && faults.len() < MAX_FAULTS => {
                faults.push(unknown::fault(&entry.key, &operation.variables));
            }
            None => {}
        }
    }
    let mut json = Vec::with_capacity(body.len() + 32);
    json.push(b'{');
    for (variable, given) in operation.variables.iter().zip(given) {
        // To say what was meant takes a look at all there is: not more often than it is told.
        if faults.len() == MAX_FAULTS {
            break;
        }
        if let Err(fault) = member(types, variable, given, &mut json) {
            faults.push(fault);
        }
    }
    json.push(b'}');
    if faults.is_empty() { Ok(Coerced { json, ignored }) } else { Err(invalid(faults)) }
}

fn invalid(faults: Vec<VariableFault>) -> Fault {
    let message = match faults.as_slice() {
        [only] => Cow::Owned(only.message.clone()),
        several => Cow::Owned(format!("{} variables are not what the operation declares", several.len())),
    };
    Fault::new(Reason::VariablesInvalid, message).with(Details::Variables(faults))
}

/// Writes a variable's name and value to `json`, unless there is nothing to send.
fn member(
    types: &InputTypes,
    variable: &Variable,
    given: Option<&[u8]>,
    json: &mut Vec<u8>,
) -> Result<(), VariableFault> {
    let start = json.len();
    if start > 1 {
        json.push(b',');
    }
    json.push(b'"');
    json.extend_from_slice(variable.name.as_bytes());
    json.extend_from_slice(b"\":");
    let sent = match (given, &variable.default) {
        (Some(value), _) => {
            value::write(types, &variable.r#type, value, json).map_err(|Misfit { path, message }| {
                let message = format!("variable `${}`{}: {message}", variable.name, shown(&path));
                let at = std::iter::once(PathSegment::Key(variable.name.clone()));
                VariableFault { variable: variable.name.clone(), path: at.chain(path).collect(), message }
            })?;
            true
        }
        (None, Some(default)) => default::write(&variable.r#type, default, json).is_some(),
        (None, None) if matches!(variable.r#type, Type::NonNull(_)) => {
            let message = format!("variable `${}` of type `{}` is required", variable.name, variable.r#type);
            let path = vec![PathSegment::Key(variable.name.clone())];
            return Err(VariableFault { variable: variable.name.clone(), path, message });
        }
        (None, None) => false,
    };
    if !sent || !variable.used {
        json.truncate(start);
    }
    Ok(())
}

/// A path as it is written behind a variable.
fn shown(path: &[PathSegment]) -> String {
    let step = |segment: &PathSegment| match segment {
        PathSegment::Key(key) => format!(".{key}"),
        PathSegment::Index(index) => format!("[{index}]"),
    };
    path.iter().map(step).collect()
}

/// A name, cut short where it is too long to be told back.
pub(crate) fn short(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// Finds declared variables by name.
enum Declared<'a> {
    /// So few that looking at each is fastest.
    Few(&'a [Variable]),
    Many(HashMap<&'a str, usize>),
}

impl<'a> Declared<'a> {
    fn new(variables: &'a [Variable]) -> Self {
        if variables.len() <= 16 {
            return Self::Few(variables);
        }
        let names = variables.iter().enumerate();
        Self::Many(names.map(|(index, variable)| (variable.name.as_str(), index)).collect())
    }

    fn index(&self, name: &str) -> Option<usize> {
        match self {
            Self::Few(variables) => variables.iter().position(|variable| variable.name == name),
            Self::Many(names) => names.get(name).copied(),
        }
    }
}
