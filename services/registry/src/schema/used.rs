//! What a document uses of a schema: what of that is deprecated, and a rule that the validator does not know.

use super::{MAX_PROBLEMS, ONE_OF, located};
use apollo_compiler::{
    ExecutableDocument, Name, Node, Schema,
    ast::{self, InputValueDefinition, Value},
    executable::{Field, Selection, SelectionSet},
    parser::SourceMap,
    schema,
    validation::Valid,
};
use model::document::Problem;

/// What was found in a document.
#[derive(Default)]
pub(super) struct Used {
    /// Fields, arguments, input fields and values of enums that are deprecated.
    pub(super) deprecated: Vec<Problem>,
    /// Objects that must have exactly one field, and have not.
    pub(super) broken: Vec<Problem>,
}

/// Looks through `document`.
pub(super) fn of(schema: &Valid<Schema>, document: &ExecutableDocument) -> Used {
    let mut walk = Walk { schema, sources: &document.sources, used: Used::default() };
    for operation in document.operations.iter() {
        for variable in &operation.variables {
            if let Some(default) = &variable.default_value {
                walk.value(&variable.ty, default);
            }
        }
        walk.selections(&operation.selection_set);
    }
    document.fragments.values().for_each(|fragment| walk.selections(&fragment.selection_set));
    walk.used
}

struct Walk<'a> {
    schema: &'a Valid<Schema>,
    sources: &'a SourceMap,
    used: Used,
}

impl Walk<'_> {
    fn selections(&mut self, set: &SelectionSet) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => self.field(&set.ty, field),
                Selection::InlineFragment(fragment) => self.selections(&fragment.selection_set),
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn field(&mut self, owner: &str, field: &Node<Field>) {
        let definition = &field.definition;
        let name = format_args!("field `{owner}.{}`", field.name);
        self.note(field, &definition.directives, &name);
        for argument in &field.arguments {
            if let Some(defined) = definition.argument_by_name(&argument.name) {
                let name = format_args!("argument `{}` of `{owner}.{}`", argument.name, field.name);
                self.input(argument, defined, &name, &argument.value);
            }
        }
        self.selections(&field.selection_set);
    }

    fn input<Place>(
        &mut self,
        place: &Node<Place>,
        defined: &InputValueDefinition,
        name: &std::fmt::Arguments<'_>,
        value: &Node<Value>,
    ) {
        self.note(place, &defined.directives, name);
        self.value(&defined.ty, value);
    }

    fn value(&mut self, r#type: &ast::Type, value: &Node<Value>) {
        let name = r#type.inner_named_type();
        match &**value {
            Value::List(items) => items.iter().for_each(|item| self.value(r#type, item)),
            Value::Enum(chosen) => {
                let schema = self.schema;
                if let Some(defined) = schema.get_enum(name).and_then(|defined| defined.values.get(chosen)) {
                    self.note(value, &defined.directives, &format_args!("value `{chosen}` of `{name}`"));
                }
            }
            Value::Object(fields) => {
                let schema = self.schema;
                if let Some(object) = schema.get_input_object(name) {
                    self.object(object, value, fields);
                }
            }
            Value::Null
            | Value::Variable(_)
            | Value::String(_)
            | Value::Float(_)
            | Value::Int(_)
            | Value::Boolean(_) => {}
        }
    }

    fn object(
        &mut self,
        object: &schema::InputObjectType,
        value: &Node<Value>,
        fields: &[(Name, Node<Value>)],
    ) {
        let is_one = matches!(fields, [(_, only)] if !only.is_null());
        if object.directives.has(ONE_OF) && !is_one && self.used.broken.len() < MAX_PROBLEMS {
            let message = format!("`{}` must have exactly one of its fields, and that not null", object.name);
            let place = value.line_column_range(self.sources).map(|range| range.start);
            self.used.broken.push(located(place, message));
        }
        for (name, value) in fields {
            if let Some(defined) = object.fields.get(name) {
                self.input(value, defined, &format_args!("input field `{}.{name}`", object.name), value);
            }
        }
    }

    /// Notes what is deprecated.
    fn note<Place>(
        &mut self,
        place: &Node<Place>,
        directives: &ast::DirectiveList,
        name: &std::fmt::Arguments<'_>,
    ) {
        let Some(deprecated) = directives.get("deprecated") else { return };
        if self.used.deprecated.len() >= MAX_PROBLEMS {
            return;
        }
        let reason = deprecated.specified_argument_by_name("reason").and_then(|reason| reason.as_str());
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let place = place.line_column_range(self.sources).map(|range| range.start);
        self.used.deprecated.push(located(place, format!("{name} is deprecated{reason}")));
    }
}
