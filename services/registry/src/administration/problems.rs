//! What is wrong with what was sent: all of it at once, so that nobody must try ten times.

use crate::record::Moment;
use model::{Fault, Reason};
use proto::time::{self, Timestamp};
use std::{fmt::Display, time::SystemTime};

/// How many problems are told, and in how many characters: a refusal travels in the trailers of gRPC, twice, and its
/// clients take some kilobytes of these.
const MAX_TOLD: usize = 20;
const MAX_TOLD_CHARS: usize = 4_000;
/// How many characters of a name are worth a column.
const MAX_NAME_CHARS: usize = 255;
const MAX_DESCRIPTION_CHARS: usize = 4_096;

/// Collects what is wrong.
#[derive(Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    /// Adds a problem, in words that begin with the property.
    pub(crate) fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// Takes what was read of `property`, or notes why it was not.
    pub(crate) fn take<Value, Error: Display>(
        &mut self,
        property: &str,
        read: Result<Value, Error>,
    ) -> Option<Value> {
        read.map_err(|error| self.add(format!("{property}: {error}"))).ok()
    }

    /// Checks a name for people.
    pub(crate) fn check_name(&mut self, name: &str) {
        let characters = name.chars().count();
        if name.trim().is_empty() {
            self.add("name must not be blank");
        } else if name.chars().any(char::is_control) {
            self.add("name must not have control characters");
        } else if characters > MAX_NAME_CHARS {
            self.add(format!("name must have at most {MAX_NAME_CHARS} characters, it has {characters}"));
        }
    }

    /// Checks what something is for.
    pub(crate) fn check_description(&mut self, description: Option<&str>) {
        let characters = description.map_or(0, |text| text.chars().count());
        if characters > MAX_DESCRIPTION_CHARS {
            self.add(format!(
                "description must have at most {MAX_DESCRIPTION_CHARS} characters, it has {characters}"
            ));
        }
    }

    /// Reads when something is to end by itself, which must be after `now`.
    pub(crate) fn read_end(&mut self, sent: Option<Timestamp>, now: SystemTime) -> Option<Moment> {
        match sent.map(time::read)? {
            Some(end) if end > now && time::text(end).is_some() => Some(Moment::from(end)),
            _ => {
                self.add("expires_at must be a time in the future");
                None
            }
        }
    }

    /// Passes when there is nothing wrong.
    ///
    /// # Errors
    ///
    /// VALIDATION_FAILED with all that is wrong, up to a bound.
    pub(crate) fn verdict(self) -> Result<(), Fault> {
        self.told().map_or(Ok(()), |told| Err(invalid(told)))
    }

    /// All that is wrong, up to a bound; nothing where nothing is.
    pub(crate) fn told(mut self) -> Option<String> {
        let mut room = MAX_TOLD_CHARS;
        let fits = |problem: &&String| match room.checked_sub(problem.chars().count()) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        };
        let told = self.0.iter().take(MAX_TOLD).take_while(fits).count();
        // The first is told in any case, as far as there is room.
        if let Some(first) = self.0.first_mut().filter(|_| told == 0)
            && let Some((end, _)) = first.char_indices().nth(MAX_TOLD_CHARS)
        {
            first.truncate(end);
            first.push('…');
        }
        let more = self.0.len().saturating_sub(told.max(1));
        self.0.truncate(told.max(1));
        if more > 0 {
            self.0.push(format!("and {more} more"));
        }
        (!self.0.is_empty()).then(|| self.0.join(", "))
    }
}

/// VALIDATION_FAILED for one reason.
pub(crate) fn invalid(problem: impl Display) -> Fault {
    Fault::new(Reason::ValidationFailed, format!("Validation failed: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_fits_into_a_refusal_and_counts_the_rest() {
        let told = |problems: Vec<String>| Problems(problems).told();
        assert_eq!(told(vec![]), None);
        assert_eq!(told(vec!["a".to_owned(), "b".to_owned()]).unwrap(), "a, b");
        let many = told(vec!["a".to_owned(); MAX_TOLD + 3]).unwrap();
        assert!(many.ends_with("a, and 3 more"), "{many}");
        let long = told(vec!["ä".repeat(MAX_TOLD_CHARS / 3); 5]).unwrap();
        assert!(long.ends_with("ä, and 2 more"), "{long}");
        let one = told(vec!["ä".repeat(MAX_TOLD_CHARS + 1), "b".to_owned()]).unwrap();
        assert!(one.ends_with("ä…, and 1 more"), "{one}");
        for text in [many, long, one] {
            assert!(text.chars().count() <= MAX_TOLD_CHARS + 50);
        }
    }
}
