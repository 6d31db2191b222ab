//! The properties of a JSON body: taken one by one, every problem told at once.

use crate::answer::Refusal;
use model::{Fault, Reason};
use proto::{
    registry::v1::{Header, Headers, OptionalNumber, OptionalText},
    time::{self, Timestamp},
};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use std::fmt;

/// The properties of a body; those that nobody takes are ignored, whatever they are.
#[derive(Debug)]
pub(super) struct Properties {
    entries: Vec<(String, Box<RawValue>)>,
    problems: Vec<String>,
}

impl Properties {
    /// Reads a JSON object, strictly; nothing counts as an empty one.
    ///
    /// # Errors
    ///
    /// `BadRequest` with line and column.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Refusal> {
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self { entries: Vec::new(), problems: Vec::new() });
        }
        let read = serde_json::from_slice::<Entries>(text);
        let entries = read.map_err(|error| {
            let message = if error.is_data() && error.line() <= 1 && error.column() == 0 {
                "the body must be a JSON object".to_owned()
            } else {
                format!("the body is not a JSON object: {error}")
            };
            Fault::new(Reason::BadRequest, message)
        })?;
        Ok(Self { entries: entries.0, problems: Vec::new() })
    }

    /// Properties that were taken from somewhere else.
    pub(super) fn new(entries: Vec<(String, Box<RawValue>)>) -> Self {
        Self { entries, problems: Vec::new() }
    }

    /// The same for a change, where null may clear what was there.
    pub(super) fn change(self) -> Self {
        self
    }

    /// The same for a creation, where null says no more than nothing.
    pub(super) fn creation(mut self) -> Self {
        self.entries.retain(|(_, value)| value.get() != "null");
        self
    }

    /// A text that must be there.
    pub(super) fn required_text(&mut self, name: &str) -> String {
        self.require(name);
        self.text(name).unwrap_or_default()
    }

    /// A list of texts that must be there.
    pub(super) fn required_list(&mut self, name: &str) -> Vec<String> {
        self.require(name);
        self.take(name, "a list of strings", |text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// A whole number that must be there.
    pub(super) fn required_whole_number(&mut self, name: &str) -> u32 {
        self.require(name);
        self.whole_number(name).unwrap_or_default()
    }

    /// One of a few words, which must be there.
    pub(super) fn required_word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        self.require(name);
        self.word(name, words)
    }

    fn require(&mut self, name: &str) {
        if !self.entries.iter().any(|(key, _)| key == name) {
            self.problems.push(format!("{name} is required"));
        }
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.read(name, "a string", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    /// A text that null clears.
    pub(super) fn clearable_text(&mut self, name: &str) -> Option<OptionalText> {
        self.read(name, "a string or null", |value| match value {
            Value::String(text) => Some(OptionalText { value: Some(text) }),
            Value::Null => Some(OptionalText { value: None }),
            _ => None,
        })
    }

    /// True or false.
    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.read(name, "true or false", |value| value.as_bool())
    }

    /// A whole number.
    pub(super) fn whole_number(&mut self, name: &str) -> Option<u32> {
        self.read(name, "a whole number of at least 0", |value| whole_number(&value))
    }

    /// A whole number that null clears.
    pub(super) fn clearable_number(&mut self, name: &str) -> Option<OptionalNumber> {
        self.read(name, "a whole number of at least 0, or null", |value| match value {
            Value::Null => Some(OptionalNumber { value: None }),
            value => Some(OptionalNumber { value: Some(whole_number(&value)?) }),
        })
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.read(name, &names.join(" or "), |value| {
            let text = value.as_str()?;
            words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning)
        })
    }

    /// Header fields: an object of strings, null for none.
    pub(super) fn headers(&mut self, name: &str) -> Option<Headers> {
        self.take(name, "an object whose values are strings", |text| {
            let fields: Option<Fields> = serde_json::from_str(text).ok()?;
            Some(Headers { headers: fields.map(|fields| fields.0).unwrap_or_default() })
        })
    }

    /// An object of strings that must be there, in its order.
    pub(super) fn required_texts(&mut self, name: &str) -> Vec<Header> {
        self.require(name);
        self.headers(name).map(|texts| texts.headers).unwrap_or_default()
    }

    /// A list of names, at least one.
    pub(super) fn names(&mut self, name: &str) -> Option<Vec<String>> {
        self.take(name, "a list of at least one string", |text| {
            serde_json::from_str(text).ok().filter(|names: &Vec<String>| !names.is_empty())
        })
    }

    /// An object of objects, each read by `read` from its members, whose values stay as they are written.
    pub(super) fn objects<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl Fn(String, Vec<(String, Box<RawValue>)>) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.take(name, expected, |text| {
            let objects: Entries = serde_json::from_str(text).ok()?;
            let members = |text: &RawValue| Some(serde_json::from_str::<Entries>(text.get()).ok()?.0);
            objects.0.into_iter().map(|(name, object)| read(name, members(&object)?)).collect()
        })
    }

    /// What cannot be there.
    pub(super) fn none<T>(&mut self, name: &str, expected: &str) -> Option<T> {
        self.take(name, expected, |_| None)
    }

    /// A time.
    pub(super) fn time(&mut self, name: &str) -> Option<Timestamp> {
        self.read(name, "a time such as 2026-08-26T03:22:45.555Z", |value| {
            time::parse(value.as_str()?).map(time::write)
        })
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// `ValidationFailed` with every problem.
    pub(super) fn finish(self) -> Result<(), Fault> {
        self.problems().map_or(Ok(()), |problems| Err(invalid(&problems)))
    }

    /// Every problem; nothing where there is none.
    pub(super) fn problems(self) -> Option<String> {
        (!self.problems.is_empty()).then(|| self.problems.join(", "))
    }

    fn read<T>(&mut self, name: &str, expected: &str, read: impl Fn(Value) -> Option<T>) -> Option<T> {
        self.take(name, expected, |text| read(serde_json::from_str(text).ok()?))
    }

    fn take<T>(&mut self, name: &str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let index = self.entries.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.entries.swap_remove(index);
        let taken = read(value.get());
        if taken.is_none() {
            self.problems.push(format!("{name} must be {expected}"));
        }
        taken
    }
}

/// A number without a fraction; one that is too large for any property stays too large.
fn whole_number(value: &Value) -> Option<u32> {
    // A JSON number with a fraction of zero is whole too.
    let whole = value.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0);
    let number = value.as_u64().or_else(|| format!("{:.0}", whole?.abs()).parse().ok());
    number.map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// What breaks a rule, in the words of this API.
pub(super) fn invalid(problems: &str) -> Fault {
    Fault::new(Reason::ValidationFailed, format!("Validation failed: {problems}"))
}

/// The entries of an object, each key once; what a value is shows when it is taken.
struct Entries(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Entries;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Vec::new();
        let mut keys = std::collections::HashSet::new();
        while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if !keys.insert(key.clone()) {
                return Err(A::Error::custom("a key stands twice"));
            }
            entries.push((key, value));
        }
        Ok(Entries(entries))
    }
}

/// Header fields in their order; one that is given twice is there twice, for whoever judges them.
struct Fields(Vec<Header>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectOfStrings)
    }
}

struct ObjectOfStrings;

impl<'de> Visitor<'de> for ObjectOfStrings {
    type Value = Fields;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = map.next_entry()? {
            fields.push(Header { name, value });
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told_at_once() {
        let mut properties =
            Properties::parse(br#"{"a":1,"b":"yes","c":-1,"d":[],"e":"never","f":"x","h":["a",1],"z":{}}"#)
                .unwrap();
        properties.text("a");
        properties.boolean("b");
        properties.whole_number("c");
        properties.headers("d");
        properties.time("e");
        properties.word("f", &[("reject", 1), ("ignore", 2)]);
        properties.required_text("g");
        properties.required_list("h");
        properties.required_list("i");
        let fault = properties.finish().unwrap_err();
        assert_eq!(
            fault.message(),
            "Validation failed: a must be a string, b must be true or false, \
             c must be a whole number of at least 0, d must be an object whose values are strings, \
             e must be a time such as 2026-08-26T03:22:45.555Z, f must be \"reject\" or \"ignore\", g is required, \
             h must be a list of strings, i is required"
        );
    }

    #[test]
    fn what_nobody_takes_is_ignored_whatever_it_is() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for value in ["1e999", &deep, "\"\\ud800\"", "{\"a\":1,\"a\":2}", "-0", "null"] {
            let text = format!("{{\"name\":\"a\", \"z\": {value} }}");
            let mut properties = Properties::parse(text.as_bytes()).unwrap();
            assert_eq!(properties.required_text("name"), "a");
            assert!(properties.finish().is_ok());
            let mut properties = Properties::parse(text.as_bytes()).unwrap();
            assert_eq!(properties.boolean("z"), None);
            assert_eq!(
                properties.finish().unwrap_err().message(),
                "Validation failed: z must be true or false"
            );
        }
    }

    #[test]
    fn header_fields_keep_their_order_and_those_given_twice() {
        let read = |text: &str| {
            let mut properties = Properties::parse(format!("{{\"h\":{text}}}").as_bytes()).unwrap();
            let headers = properties.headers("h").map(|headers| headers.headers);
            let pairs =
                headers.map(|headers| headers.into_iter().map(|h| (h.name, h.value)).collect::<Vec<_>>());
            (pairs, properties.finish().is_ok())
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = vec![pair("X-B", "1"), pair("X-A", "2"), pair("X-B", "3")];
        assert_eq!(read(r#"{"X-B":"1","X-A":"2","X-B":"3"}"#), (Some(fields), true));
        assert_eq!(read("null"), (Some(Vec::new()), true));
        for bad in ["[]", "1", "\"a\"", "{\"a\":1}", "{\"a\":null}", "[[\"a\",\"b\"]]"] {
            assert_eq!(read(bad), (None, false), "{bad}");
        }
    }

    #[test]
    fn null_clears_in_a_change_and_says_nothing_in_a_creation() {
        let text = br#"{"description":null,"name":null}"#;
        let mut change = Properties::parse(text).unwrap();
        assert_eq!(change.clearable_text("description").unwrap().value, None);
        assert!(change.text("name").is_none());
        assert!(change.finish().unwrap_err().message().contains("name must be a string"));
        let mut creation = Properties::parse(text).unwrap().creation();
        assert!(creation.text("description").is_none());
        creation.required_text("name");
        assert!(creation.finish().unwrap_err().message().contains("name is required"));
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_place() {
        for (text, part) in [
            ("[1]", "JSON object"),
            ("{\"a\":1,\n\"a\":2}", "line 2"),
            ("{\"a\":}", "column 6"),
            ("{} {}", "trailing"),
            ("{\"a\":\"\\u00\"}", "line 1"),
            ("{\"a\":\"\\x\"}", "line 1"),
            ("{\"a\":01}", "line 1"),
        ] {
            let refusal = Properties::parse(text.as_bytes()).unwrap_err();
            assert_eq!(refusal.fault.reason(), Reason::BadRequest, "{text}");
            assert!(refusal.fault.message().contains(part), "{text}: {}", refusal.fault.message());
        }
        assert!(Properties::parse(b"\xff").is_err());
        assert!(Properties::parse(b" \n").unwrap().finish().is_ok());
    }
}
