//! The parameters of a request for a token: a JSON object or a form, each name once.

use model::{Fault, Reason};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{collections::HashSet, fmt};

/// What was sent; what nobody takes is ignored (RFC 6749, section 3.2).
#[derive(Default)]
pub(super) struct Parameters(Vec<(String, Given)>);

/// A value as it was sent.
enum Given {
    Text(String),
    Json(Box<RawValue>),
}

impl Parameters {
    /// Reads a JSON object.
    ///
    /// # Errors
    ///
    /// `BadRequest`, with line and column.
    pub(super) fn of_json(text: &[u8]) -> Result<Self, Fault> {
        // What the parser says of it never quotes a value, but it may quote a name.
        let refused = |error: serde_json::Error| {
            let (line, column) = (error.line(), error.column());
            let message =
                format!("the body is not a JSON object with each key once: line {line}, column {column}");
            Fault::new(Reason::BadRequest, message)
        };
        serde_json::from_slice(text).map_err(refused)
    }

    /// Reads a form (`application/x-www-form-urlencoded`).
    ///
    /// # Errors
    ///
    /// `BadRequest` for a name that is given twice.
    pub(super) fn of_form(text: &[u8]) -> Result<Self, Fault> {
        let mut names = HashSet::new();
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(text) {
            if !names.insert(name.clone()) {
                return Err(bad("a parameter is given twice"));
            }
            parameters.0.push((name.into_owned(), Given::Text(value.into_owned())));
        }
        Ok(parameters)
    }

    /// A text; one that is empty counts as not sent (RFC 6749, section 3.2).
    ///
    /// # Errors
    ///
    /// `BadRequest` for what is no text.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Fault> {
        let text = match self.take(name) {
            None => None,
            Some(Given::Text(text)) => Some(text),
            Some(Given::Json(json)) => {
                let read: Result<Option<String>, _> = serde_json::from_str(json.get());
                read.map_err(|_| bad(format!("{name} must be a string")))?
            }
        };
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// A text that has two names, of which one is used.
    ///
    /// # Errors
    ///
    /// `BadRequest` when both are, or for what is no text.
    pub(super) fn text_of_either(
        &mut self,
        name: &'static str,
        other: &'static str,
    ) -> Result<Option<String>, Fault> {
        match (self.text(name)?, self.text(other)?) {
            (Some(_), Some(_)) => Err(bad(format!("{name} and {other} are the same: send one of them"))),
            (text, None) | (None, text) => Ok(text),
        }
    }

    /// A whole number; one that is larger than any that makes sense is the largest there is.
    ///
    /// # Errors
    ///
    /// `BadRequest` for what is no such number.
    pub(super) fn whole_number(&mut self, name: &'static str) -> Result<Option<u32>, Fault> {
        let digits = match self.take(name) {
            Some(Given::Text(text)) if !text.is_empty() => text,
            Some(Given::Json(json)) if json.get() != "null" => json.get().trim_matches('"').to_owned(),
            None | Some(Given::Text(_) | Given::Json(_)) => return Ok(None),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad(format!("{name} must be a whole number")));
        }
        Ok(Some(digits.parse().unwrap_or(u32::MAX)))
    }

    /// Values of any kind by these names, as they are written in JSON; null is as much as nothing.
    ///
    /// # Errors
    ///
    /// `BadRequest` for what stands in a form, which can say a text alone: ignored, it would be thought to hold.
    pub(super) fn json(&mut self, names: &[&'static str]) -> Result<Vec<(String, Box<RawValue>)>, Fault> {
        let mut taken = Vec::new();
        for name in names {
            match self.take(name) {
                Some(Given::Json(json)) if json.get() != "null" => taken.push(((*name).to_owned(), json)),
                Some(Given::Text(text)) if !text.is_empty() => {
                    return Err(bad(format!("{name} can be asked for in a body of JSON alone")));
                }
                None | Some(Given::Json(_) | Given::Text(_)) => {}
            }
        }
        Ok(taken)
    }

    fn take(&mut self, name: &str) -> Option<Given> {
        let index = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.swap_remove(index).1)
    }
}

/// Refuses what breaks the form.
pub(super) fn bad(message: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(Reason::BadRequest, message)
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Parameters;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
        let mut names = HashSet::new();
        let mut parameters = Parameters::default();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom("a key stands twice"));
            }
            parameters.0.push((name, Given::Json(value)));
        }
        Ok(parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T>(read: Result<T, Fault>) -> String {
        let fault = read.err().expect("it is refused");
        assert_eq!(fault.reason(), Reason::BadRequest);
        fault.message().to_owned()
    }

    #[test]
    fn both_ways_of_writing_say_the_same() {
        let json = br#"{"client_id":"a","secret":"b","expires_in":15,"x":{"y":[1e999]},"n":null,"e":""}"#;
        let form = b"client_id=a&secret=%62&expires_in=15&x=%7B&n=&e=";
        for mut parameters in [Parameters::of_json(json).unwrap(), Parameters::of_form(form).unwrap()] {
            assert_eq!(parameters.text("client_id").unwrap().as_deref(), Some("a"));
            let secret = parameters.text_of_either("secret", "client_secret").unwrap();
            assert_eq!(secret.as_deref(), Some("b"));
            assert_eq!(parameters.whole_number("expires_in").unwrap(), Some(15));
            for absent in ["n", "e", "client_id", "nothing"] {
                assert_eq!(parameters.text(absent).unwrap(), None, "{absent}");
                assert_eq!(parameters.whole_number(absent).unwrap(), None, "{absent}");
            }
        }
    }

    #[test]
    fn what_is_sent_twice_leaves_open_which_counts() {
        assert!(message(Parameters::of_form(b"a=1&b=2&a=1")).contains("twice"));
        assert!(message(Parameters::of_form(b"a=1&%61=")).contains("twice"));
        assert!(message(Parameters::of_json(b"{\"a\":1,\n\"\\u0061\":1}")).contains("line 2"));
        let mut both = Parameters::of_form(b"secret=a&client_secret=a").unwrap();
        assert!(message(both.text_of_either("secret", "client_secret")).contains("client_secret"));
    }

    #[test]
    fn what_is_of_another_kind_is_refused() {
        for text in ["", "[]", "1", "{", "{\"a\":01}", "{} {}"] {
            message(Parameters::of_json(text.as_bytes()));
        }
        let json = |value: &str| Parameters::of_json(format!("{{\"a\":{value}}}").as_bytes()).unwrap();
        for value in ["1", "true", "[]", "{}"] {
            assert_eq!(message(json(value).text("a")), "a must be a string", "{value}");
        }
        for value in ["-1", "1.5", "1e1", "\"x\"", "\"\"", "true", "[]", "\" 1\""] {
            assert_eq!(message(json(value).whole_number("a")), "a must be a whole number", "{value}");
        }
        for value in ["-1", "1.5", "+1", "x", "%31%20"] {
            let mut form = Parameters::of_form(format!("a={value}").as_bytes()).unwrap();
            assert_eq!(message(form.whole_number("a")), "a must be a whole number", "{value}");
        }
        assert_eq!(json("99999999999999999999").whole_number("a").unwrap(), Some(u32::MAX));
    }
}
