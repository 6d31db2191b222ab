//! Keys that no variable is declared for, and what may have been meant.

use super::short;
use crate::{
    document::Variable,
    fault::{PathSegment, VariableFault},
};

/// The most characters of a name that are looked at for what was meant: one for each bit of a word.
const LOOKED_AT: usize = 64;

/// The most names of a schema's type that are looked at for it: a call can be wrong a hundred times.
const MOST_NAMES: usize = 1_000;

/// Says that nothing is declared by the name `key`, and which of `declared` is nearest to it.
///
/// It takes a step for each character of each declared name, of which a document has as many as it has bytes.
pub(super) fn fault(key: &str, declared: &[Variable]) -> VariableFault {
    let variable = short(key);
    let message = match nearest(key, declared.iter().map(|variable| variable.name.as_str())) {
        Some(nearest) => {
            format!("variable `${variable}` is not declared by the operation: is `${nearest}` meant?")
        }
        None => format!("variable `${variable}` is not declared by the operation, which has none"),
    };
    VariableFault { path: vec![PathSegment::Key(variable.clone())], variable, message }
}

/// Which of `names` is nearest to `key`, if there is any.
fn nearest<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let sought = Pattern::new(key);
    names.min_by_key(|name| sought.distance(name))
}

/// Which of `names` `key` was meant for, where at least half of it is right: `: is … meant?`, or nothing.
pub(super) fn meant<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> String {
    let near = |name: &&str| Pattern::new(key).distance(name) * 2 <= key.len().max(name.len());
    nearest(key, names.take(MOST_NAMES))
        .filter(near)
        .map(|name| format!(": is `{name}` meant?"))
        .unwrap_or_default()
}

/// A name that others are compared with; case counts for nothing.
struct Pattern {
    /// Where in the name each ASCII character stands, the first place in the lowest bit.
    places: [u64; 128],
    length: usize,
}

impl Pattern {
    fn new(name: &str) -> Self {
        let mut pattern = Self { places: [0; 128], length: 0 };
        for (at, character) in name.chars().take(LOOKED_AT).enumerate() {
            pattern.length = at + 1;
            // What is not ASCII is in no declared name.
            if let Some(places) = place(character).and_then(|place| pattern.places.get_mut(place)) {
                *places |= 1 << at;
            }
        }
        pattern
    }

    /// How many characters must be put in, left out or replaced to make one name of the other.
    ///
    /// Myers' algorithm as Hyyrö gives it: a column of the table of distances at a time, its differences as bits.
    fn distance(&self, name: &str) -> usize {
        let name = name.chars().take(LOOKED_AT);
        let Some(last) = self.length.checked_sub(1) else { return name.count() };
        let (mut more, mut less, mut distance) = (u64::MAX, 0_u64, self.length);
        for character in name {
            let same = place(character).and_then(|place| self.places.get(place)).copied().unwrap_or_default();
            let down = same | less;
            let across = ((same & more).wrapping_add(more) ^ more) | same;
            let (right_more, right_less) = (less | !(across | more), more & across);
            distance += usize::from(right_more >> last & 1 == 1);
            distance -= usize::from(right_less >> last & 1 == 1);
            let (right_more, right_less) = (right_more << 1 | 1, right_less << 1);
            more = right_less | !(down | right_more);
            less = right_more & down;
        }
        distance
    }
}

fn place(character: char) -> Option<usize> {
    let byte = u8::try_from(character).ok().filter(u8::is_ascii)?;
    Some(usize::from(byte.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Type;
    use proptest::prelude::*;

    fn distance(a: &str, b: &str) -> usize {
        Pattern::new(a).distance(b)
    }

    /// Levenshtein's distance by its definition, a row of the table at a time.
    fn defined(a: &str, b: &str) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (done, left) in a.bytes().enumerate() {
            let above = std::mem::replace(&mut row, vec![done + 1]);
            for (at, right) in b.bytes().enumerate() {
                let replaced = above[at] + usize::from(left != right);
                row.push(replaced.min(above[at + 1] + 1).min(row[at] + 1));
            }
        }
        row[b.len()]
    }

    #[test]
    fn distances_are_levenshteins() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("ID", "id", 0),
            ("größe", "grosse", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn distances_are_as_defined(a in "[a-d]{0,64}", b in "[a-d]{0,64}") {
            prop_assert_eq!(distance(&a, &b), defined(&a, &b));
        }
    }

    #[test]
    fn what_is_meant_is_found_among_any_number_of_names() {
        let variable = |number| Variable {
            name: format!("variable{number}"),
            r#type: Type::Named("Int".to_owned()),
            default: None,
            used: true,
        };
        let mut declared: Vec<_> = (0..5_000).map(variable).collect();
        declared.push(Variable { name: "pipelineSlug".to_owned(), ..variable(0) });
        let message = fault("pipeline_slug", &declared).message;
        assert!(message.ends_with("is `$pipelineSlug` meant?"), "{message}");
    }
}
