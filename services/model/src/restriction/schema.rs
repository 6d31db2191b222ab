//! JSON Schemas (draft 2020-12) that one variable's value is checked against.
//!
//! They are read strictly: a keyword that would not be checked is refused, for its author believes that it is. None can
//! refer to another, so that a check takes a step for each value and each schema in it at most, and patterns run in time
//! that is linear in the text.

use super::text;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};

/// The most patterns of one token's schemas.
pub(super) const MAX_PATTERNS: usize = 16;
/// The most schemas within one schema, itself included.
const MAX_SCHEMAS: usize = 64;
/// The most bytes of a compiled pattern: steps that each byte of a text can take.
const MAX_PATTERN_BYTES: usize = 32 << 10;
/// The most bytes that are kept for the states which a pattern has been in.
const MAX_STATES_BYTES: usize = 256 << 10;
/// The most characters of what a caller is told of a schema.
const MAX_TOLD_CHARS: usize = 300;
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A schema, compiled.
#[derive(Debug)]
pub(super) struct Schema {
    validator: Validator,
    /// Whether it says of itself that null will do.
    pub(super) nullable: bool,
}

impl Schema {
    /// Reads a schema; its patterns are taken from `patterns`, which are left.
    ///
    /// A schema that names no `type` is for the type that its keywords are about: by the letter, `pattern` lets every
    /// value pass that is no string, and so would let a caller pass who sends an array or null.
    ///
    /// # Errors
    ///
    /// What was expected.
    pub(super) fn parse(text: &str, patterns: &mut usize) -> Result<Self, String> {
        let Value::Object(mut schema) = text::read(text)? else { return Err("must be an object".to_owned()) };
        let mut left = Left { schemas: MAX_SCHEMAS, patterns };
        left.object(&schema)?;
        let said = ["type", "const", "enum"].iter().any(|keyword| schema.contains_key(*keyword));
        let types = about(&schema);
        if !said && !types.is_empty() {
            schema.insert("type".to_owned(), types.into());
        }
        let nullable = nullable(&schema);
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(
                PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_STATES_BYTES),
            )
            .offline();
        let validator = options.build(&Value::Object(schema)).map_err(|error| {
            let at = error.instance_path().to_string();
            let at = if at.is_empty() { String::new() } else { format!(" at {at}") };
            format!("is no schema of draft 2020-12 that can be checked{at}: {}", told(&error.to_string()))
        })?;
        Ok(Self { validator, nullable })
    }

    /// Passes a value that is valid.
    ///
    /// # Errors
    ///
    /// What was expected, without the value.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        self.validator.validate(value).map_err(|error| {
            let at = error.instance_path().to_string();
            let what = if at.is_empty() { "the value".to_owned() } else { format!("what is at {at}") };
            told(&error.masked_with(what).to_string())
        })
    }
}

/// Whether `value`, a text that was checked, is valid against each of the schemas.
pub(super) fn allow(schemas: &[String], value: &str) -> bool {
    let Ok(value) = text::read(value) else { return false };
    schemas.iter().all(|text| match Schema::parse(text, &mut { MAX_PATTERNS }) {
        Ok(schema) => (schema.nullable || !value.is_null()) && schema.check(&value).is_ok(),
        Err(_) => false,
    })
}

/// What a schema's keywords may still take.
struct Left<'a> {
    schemas: usize,
    patterns: &'a mut usize,
}

impl Left<'_> {
    fn schema(&mut self, schema: &Value) -> Result<(), String> {
        match schema {
            Value::Object(schema) => self.object(schema),
            Value::Bool(_) => self.count(),
            _ => Err("must have an object or a boolean wherever a schema stands".to_owned()),
        }
    }

    fn object(&mut self, schema: &Map<String, Value>) -> Result<(), String> {
        self.count()?;
        schema.iter().try_for_each(|(keyword, value)| self.keyword(keyword, value))
    }

    fn keyword(&mut self, keyword: &str, value: &Value) -> Result<(), String> {
        match keyword {
            "$schema" if value == DIALECT => Ok(()),
            "$schema" => Err(format!("must be of the dialect {DIALECT}")),
            "$comment" | "title" | "description" | "default" | "examples" | "deprecated" => Ok(()),
            "type" | "enum" | "const" | "minLength" | "maxLength" | "minimum" | "maximum"
            | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" | "minItems" | "maxItems"
            | "uniqueItems" | "minContains" | "maxContains" | "minProperties" | "maxProperties"
            | "required" | "dependentRequired" => Ok(()),
            "pattern" => self.pattern(),
            "items"
            | "contains"
            | "additionalProperties"
            | "propertyNames"
            | "not"
            | "if"
            | "then"
            | "else" => self.schema(value),
            "prefixItems" | "allOf" | "anyOf" | "oneOf" => {
                value.as_array().into_iter().flatten().try_for_each(|schema| self.schema(schema))
            }
            "properties" | "dependentSchemas" => {
                value.as_object().into_iter().flatten().try_for_each(|(_, schema)| self.schema(schema))
            }
            "patternProperties" => value.as_object().into_iter().flatten().try_for_each(|(_, schema)| {
                self.pattern()?;
                self.schema(schema)
            }),
            "format" => Err("has `format`, which is not checked: say it with `pattern`".to_owned()),
            "$ref" | "$dynamicRef" | "$recursiveRef" => {
                Err(format!("has `{keyword}`: write the schema itself where it is referred to"))
            }
            other => Err(format!("has `{}`, which is no keyword that is checked", told(other))),
        }
    }

    fn count(&mut self) -> Result<(), String> {
        let left = self.schemas.checked_sub(1);
        self.schemas = left.ok_or_else(|| format!("must have at most {MAX_SCHEMAS} schemas within it"))?;
        Ok(())
    }

    fn pattern(&mut self) -> Result<(), String> {
        let left = self.patterns.checked_sub(1);
        *self.patterns = left.ok_or_else(|| {
            format!("is one too many: all schemas together must have at most {MAX_PATTERNS} patterns")
        })?;
        Ok(())
    }
}

/// The types that a schema's own keywords are about.
fn about(schema: &Map<String, Value>) -> Vec<Value> {
    const ABOUT: [(&str, &[&str]); 4] = [
        ("string", &["pattern", "minLength", "maxLength"]),
        ("number", &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
        (
            "array",
            &[
                "items",
                "prefixItems",
                "contains",
                "minContains",
                "maxContains",
                "minItems",
                "maxItems",
                "uniqueItems",
            ],
        ),
        (
            "object",
            &[
                "properties",
                "patternProperties",
                "additionalProperties",
                "propertyNames",
                "required",
                "dependentRequired",
                "dependentSchemas",
                "minProperties",
                "maxProperties",
            ],
        ),
    ];
    let named = ABOUT.iter().filter(|(_, keywords)| keywords.iter().any(|word| schema.contains_key(*word)));
    named.map(|(name, _)| Value::from(*name)).collect()
}

/// Whether a schema says in so many words that null will do.
fn nullable(schema: &Map<String, Value>) -> bool {
    let is_null = |word: &Value| word == "null";
    match (schema.get("type"), schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(types)), ..) => types.iter().any(is_null),
        (Some(word), ..) => is_null(word),
        (None, Some(values), _) => values.as_array().is_some_and(|values| values.contains(&Value::Null)),
        (None, None, constant) => constant == Some(&Value::Null),
    }
}

fn told(text: &str) -> String {
    match text.char_indices().nth(MAX_TOLD_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Schema, String> {
        Schema::parse(text, &mut { MAX_PATTERNS })
    }

    fn passes(schema: &str, value: &str) -> bool {
        allow(&[schema.to_owned()], value)
    }

    #[test]
    fn a_schema_without_a_type_is_for_what_its_keywords_are_about() {
        let schema = r#"{"pattern":"^release/"}"#;
        for (value, expected) in [
            (r#""release/1""#, true),
            (r#""main""#, false),
            ("null", false),
            ("5", false),
            (r#"["main"]"#, false),
            (r#"{"a":"release/"}"#, false),
        ] {
            assert_eq!(passes(schema, value), expected, "{value}");
        }
        assert!(passes(r#"{"type":["string","null"],"pattern":"^release/"}"#, "null"));
        assert!(passes(r#"{"minimum":3,"maximum":5}"#, "4.5"));
        assert!(!passes(r#"{"minimum":3}"#, "\"4\""));
        assert!(!passes(r#"{"items":{"type":"string"}}"#, "\"a\""));
        assert!(!passes(r#"{"properties":{"a":{"const":1}},"required":["a"]}"#, "[]"));
        assert!(passes(r#"{"enum":[null,1]}"#, "null"));
        assert!(!passes(r#"{"not":{"const":1}}"#, "null"), "null passes where it is named alone");
    }

    #[test]
    fn what_would_not_be_checked_is_refused() {
        for (schema, part) in [
            ("true", "object"),
            ("[]", "object"),
            (r#"{"patern":"a"}"#, "`patern`"),
            (r#"{"format":"email"}"#, "pattern"),
            (r##"{"$ref":"#"}"##, "$ref"),
            (r#"{"items":{"$ref":"http://127.0.0.1:1/a.json"}}"#, "$ref"),
            (r#"{"properties":{"a":{"$dynamicRef":"file:///etc/passwd"}}}"#, "$dynamicRef"),
            (r#"{"$id":"http://a/"}"#, "$id"),
            (r#"{"$defs":{}}"#, "$defs"),
            (r#"{"$schema":"http://json-schema.org/draft-07/schema#"}"#, "dialect"),
            (r#"{"allOf":[1]}"#, "wherever a schema stands"),
            (r#"{"type":"text"}"#, "type"),
            (r#"{"minLength":"a"}"#, "minLength"),
            (r#"{"pattern":"("}"#, "pattern"),
            (r#"{"pattern":"(?=a)"}"#, "pattern"),
            (r#"{"pattern":"(a)\\1"}"#, "pattern"),
            (r#"{"const":1,"const":2}"#, "twice"),
            (r#"{"items":{"const":1,"const":2}}"#, "twice"),
            (r#"{"const":1.00000000000000000001}"#, "digits"),
        ] {
            let problem = parse(schema).err().unwrap_or_else(|| panic!("{schema} passes"));
            assert!(problem.contains(part), "{schema}: {problem}");
        }
    }

    #[test]
    fn schemas_and_patterns_are_bounded() {
        let many = |count: usize| format!(r#"{{"allOf":[{}]}}"#, vec!["{}"; count].join(","));
        assert!(parse(&many(MAX_SCHEMAS - 1)).is_ok());
        assert!(parse(&many(MAX_SCHEMAS)).is_err());
        let mut left = 1;
        assert!(Schema::parse(r#"{"pattern":"a"}"#, &mut left).is_ok());
        assert!(Schema::parse(r#"{"patternProperties":{"a":{}}}"#, &mut left).is_err());
        assert!(parse(r#"{"pattern":"(a{100}){1000}"}"#).is_err(), "a pattern that takes much room");
    }

    #[test]
    fn a_refusal_says_what_was_expected_and_not_what_came() {
        let schema = parse(r#"{"properties":{"a":{"pattern":"^b"}}}"#).unwrap();
        let problem = schema.check(&serde_json::json!({"a": "hunter2"})).unwrap_err();
        assert!(
            problem.contains("^b") && problem.contains("/a") && !problem.contains("hunter2"),
            "{problem}"
        );
    }
}
