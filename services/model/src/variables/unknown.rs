//! Keys that no variable is declared for, and what may have been meant.

use super::short;
use crate::{
    document::Variable,
    fault::{PathSegment, VariableFault},
};

/// The most characters of a name, and the most names, that are looked at for what was meant.
const LOOKED_AT: usize = 64;

/// Says that nothing is declared by the name `key`, and which of `declared` is nearest to it.
pub(super) fn fault(key: &str, declared: &[Variable]) -> VariableFault {
    let variable = short(key);
    let names = declared.iter().take(LOOKED_AT).map(|variable| variable.name.as_str());
    let message = match names.min_by_key(|name| distance(key, name)) {
        Some(nearest) => {
            format!("variable `${variable}` is not declared by the operation: is `${nearest}` meant?")
        }
        None => format!("variable `${variable}` is not declared by the operation, which has none"),
    };
    VariableFault { path: vec![PathSegment::Key(variable.clone())], variable, message }
}

/// How many characters must be put in, left out or replaced to make `a` of `b`; case counts for nothing.
fn distance(a: &str, b: &str) -> usize {
    let characters = |text: &str| {
        text.chars().take(LOOKED_AT).map(|character| character.to_ascii_lowercase()).collect::<Vec<_>>()
    };
    let (a, b) = (characters(a), characters(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (done, left) in a.iter().enumerate() {
        let mut diagonal = done;
        let mut before = done + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (slot, right) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(left != right);
            diagonal = *slot;
            before = replaced.min(diagonal + 1).min(before + 1);
            *slot = before;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("ID", "id", 0),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
