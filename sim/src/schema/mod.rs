//! How parameters are declared and checked.
//!
//! An endpoint lists its parameters as [`Property`] values; [`check`] holds a request against them and gives
//! [`Params`] or the `errors` map in PVE's words. Text formats (node names, CIDR, property strings) are
//! functions in [`mod@format`]; property strings with named parts are in [`property_string`].
//!
//! Not here: which endpoint takes what (`api`), and rules that need the state of a VM (`config`).

pub(crate) mod format;
pub(crate) mod property_string;

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::options::Major;

/// A value as it came in, before any check.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    /// A scalar; JSON numbers and booleans are already text.
    Text(String),
    /// A repeated form key or a JSON array.
    List(Vec<String>),
    /// A JSON object, which no parameter takes.
    Object,
    /// A form key without `=`, or JSON's null: as good as left out where the parameter is known.
    Null,
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `0` or `1`.
    Boolean,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// Text.
    Text,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Text => "string",
        }
    }
}

/// Checks a text: given the parameter's name (for messages of nested parts) and the value.
pub(crate) type Format = fn(&str, &str) -> Result<(), String>;

/// One declared parameter, or one family of numbered parameters (`net0`…`net31`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Property {
    /// Its name, without the number.
    pub(crate) name: &'static str,
    /// For a family: the highest number.
    pub(crate) last_index: Option<u16>,
    /// Its type.
    pub(crate) kind: Kind,
    optional: bool,
    minimum: Option<i64>,
    maximum: Option<i64>,
    max_length: Option<usize>,
    array: bool,
    min_length: Option<usize>,
    pattern: Option<fn(&str) -> bool>,
    choices: &'static [&'static str],
    numbered_choices: Option<(&'static str, u16)>,
    format: Option<Format>,
    requires: Option<&'static str>,
    list: bool,
    since: Major,
}

impl Property {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            last_index: None,
            kind,
            optional: false,
            minimum: None,
            maximum: None,
            max_length: None,
            array: false,
            min_length: None,
            pattern: None,
            choices: &[],
            numbered_choices: None,
            format: None,
            requires: None,
            list: false,
            since: Major::V8,
        }
    }

    /// A required text.
    pub(crate) const fn text(name: &'static str) -> Self {
        Self::new(name, Kind::Text)
    }

    /// A required boolean.
    pub(crate) const fn boolean(name: &'static str) -> Self {
        Self::new(name, Kind::Boolean)
    }

    /// A required whole number.
    pub(crate) const fn integer(name: &'static str) -> Self {
        Self::new(name, Kind::Integer)
    }

    /// A required number.
    pub(crate) const fn number(name: &'static str) -> Self {
        Self::new(name, Kind::Number)
    }

    /// May be left out.
    pub(crate) const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// A family of optional parameters numbered 0 to `last`.
    pub(crate) const fn numbered(mut self, last: u16) -> Self {
        self.last_index = Some(last);
        self.optional = true;
        self
    }

    /// The smallest number allowed.
    pub(crate) const fn at_least(mut self, minimum: i64) -> Self {
        self.minimum = Some(minimum);
        self
    }

    /// The largest number allowed.
    pub(crate) const fn at_most(mut self, maximum: i64) -> Self {
        self.maximum = Some(maximum);
        self
    }

    /// The greatest length in characters.
    pub(crate) const fn no_longer_than(mut self, length: usize) -> Self {
        self.max_length = Some(length);
        self
    }

    /// The smallest length in characters.
    pub(crate) const fn no_shorter_than(mut self, length: usize) -> Self {
        self.min_length = Some(length);
        self
    }

    /// The text must match a pattern, which this function knows.
    pub(crate) const fn pattern(mut self, matches: fn(&str) -> bool) -> Self {
        self.pattern = Some(matches);
        self
    }

    /// Only these values.
    pub(crate) const fn one_of(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }

    /// These values too: a name with a number from 0 to `last` behind it.
    pub(crate) const fn or_numbered(mut self, name: &'static str, last: u16) -> Self {
        self.numbered_choices = Some((name, last));
        self
    }

    /// The text must have this format.
    pub(crate) const fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// One element or more: a repeated form key or a JSON array. [`Params`] has them joined by NUL.
    pub(crate) const fn array(mut self) -> Self {
        self.array = true;
        self
    }

    /// Each element of the list text must have this format; a repeated key is joined with commas.
    pub(crate) const fn list_of(mut self, format: Format) -> Self {
        self.format = Some(format);
        self.list = true;
        self
    }

    /// Only together with that other parameter.
    pub(crate) const fn requires(mut self, other: &'static str) -> Self {
        self.requires = Some(other);
        self
    }

    /// Unknown before PVE 9.
    pub(crate) const fn new_in_9(mut self) -> Self {
        self.since = Major::V9;
        self
    }

    /// Whether `name` is this parameter or one of this family.
    pub(crate) fn covers(&self, name: &str) -> bool {
        let Some(last) = self.last_index else {
            return self.name == name;
        };
        numbered(name, self.name, last)
    }

    fn accept(&self, name: &str, raw: &Raw) -> Result<String, String> {
        let text = match raw {
            Raw::Text(text) => text.clone(),
            Raw::List(items) if self.list => items.join(","),
            Raw::List(items) if self.array => items.join("\0"),
            Raw::List(_) => return Err(format!("type check ('{}') failed - got ARRAY", self.kind.name())),
            Raw::Object => return Err(format!("type check ('{}') failed - got HASH", self.kind.name())),
            Raw::Null => return Err("property is missing and it is not optional".to_owned()),
        };
        self.accept_text(name, &text)?;
        Ok(text)
    }

    /// Checks one text against type, format, bounds and choices, in PVE's order.
    pub(crate) fn accept_text(&self, name: &str, text: &str) -> Result<(), String> {
        let right_type = match self.kind {
            Kind::Boolean => text == "0" || text == "1",
            Kind::Integer => is_integer(text),
            Kind::Number => is_number(text),
            Kind::Text => true,
        };
        if !right_type {
            return Err(format!(
                "type check ('{}') failed - got '{text}'",
                self.kind.name()
            ));
        }
        if let Some(format) = self.format {
            let checked = if self.list {
                format::items(text).try_for_each(|item| format(name, item))
            } else {
                format(name, text)
            };
            checked.map_err(|reason| format!("invalid format - {reason}\n"))?;
        }
        if self.pattern.is_some_and(|matches| !matches(text)) {
            return Err("value does not match the regex pattern".to_owned());
        }
        let length = text.chars().count();
        if let Some(min) = self.min_length.filter(|min| length < *min) {
            return Err(format!("value must be at least {min} characters long"));
        }
        if let Some(max) = self.max_length.filter(|max| length > *max) {
            return Err(format!("value may only be {max} characters long"));
        }
        if let Ok(number) = text.parse::<f64>()
            && self.kind != Kind::Text
        {
            if let Some(max) = self
                .maximum
                .filter(|max| number > crate::units::float_of_signed(*max))
            {
                return Err(format!("value must have a maximum value of {max}"));
            }
            if let Some(min) = self
                .minimum
                .filter(|min| number < crate::units::float_of_signed(*min))
            {
                return Err(format!("value must have a minimum value of {min}"));
            }
        }
        if !self.choices.is_empty() && !self.is_choice(text) {
            let numbered = self.numbered_choices.into_iter();
            let numbered = numbered.flat_map(|(name, last)| (0..=last).map(move |n| format!("{name}{n}")));
            let plain = self.choices.iter().map(|choice| (*choice).to_owned());
            let all = plain.chain(numbered).collect::<Vec<_>>().join(", ");
            return Err(format!(
                "value '{text}' does not have a value in the enumeration '{all}'"
            ));
        }
        Ok(())
    }

    fn is_choice(&self, text: &str) -> bool {
        let numbered = self
            .numbered_choices
            .is_some_and(|(name, last)| numbered(text, name, last));
        numbered || self.choices.contains(&text)
    }
}

/// Whether a text is a name with a number from 0 to `last` behind it.
fn numbered(text: &str, name: &str, last: u16) -> bool {
    text.strip_prefix(name).is_some_and(|digits| {
        (1..=3).contains(&digits.len())
            && (digits.len() == 1 || !digits.starts_with('0'))
            && digits.bytes().all(|b| b.is_ascii_digit())
            && digits.parse::<u16>().is_ok_and(|n| n <= last)
    })
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.len() <= 18 && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    let first = text.strip_prefix(['-', '+']).unwrap_or(text).bytes().next();
    first.is_some_and(|b| b.is_ascii_digit() || b == b'.') && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Parameters that passed their checks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// The value, if it was given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of a required parameter; empty when the endpoint forgot to require it.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Whether a boolean was given as 1.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("1")
    }

    /// A whole number, if it was given.
    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    /// Adds what the server knows better than the request.
    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// All but these.
    pub(crate) fn without(&self, names: &[&str]) -> Self {
        let mut rest = self.0.clone();
        rest.retain(|name, _| !names.contains(&name.as_str()));
        Self(rest)
    }

    /// The same with one under another name.
    pub(crate) fn renamed(&self, before: &str, after: &str) -> Self {
        let mut all = self.0.clone();
        if let Some(value) = all.remove(before) {
            all.insert(after.to_owned(), value);
        }
        Self(all)
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// What is wrong, by parameter.
#[derive(Debug, Default)]
struct Errors(IndexMap<String, String>);

impl Errors {
    /// Adds a text; a second one about the same parameter follows the first after a backslash and an `n`, because
    /// PVE joins them by `'\n'`, which Perl leaves as it is.
    fn add(&mut self, name: &str, text: &str) {
        match self.0.get_mut(name) {
            Some(before) => {
                before.push_str("\\n");
                before.push_str(text);
            }
            None => {
                self.0.insert(name.to_owned(), text.to_owned());
            }
        }
    }
}

/// Holds the given values against the declared ones.
///
/// # Errors
/// The `errors` map: every parameter that is missing, unknown or malformed, with PVE's text.
pub(crate) fn check<'a>(
    declared: impl Iterator<Item = &'a Property>,
    given: &BTreeMap<String, Raw>,
    major: Major,
) -> Result<Params, IndexMap<String, String>> {
    let mut errors = Errors::default();
    let mut accepted = BTreeMap::new();
    let declared = declared.collect::<Vec<_>>();
    let missing = |p: &&&Property| !p.optional && p.since <= major && !given.contains_key(p.name);
    for property in declared.iter().filter(missing) {
        errors.add(property.name, "property is missing and it is not optional");
    }
    for (name, raw) in given {
        match declared
            .iter()
            .find(|property| property.covers(name) && property.since <= major)
        {
            None => {
                errors.add(
                    name,
                    "property is not defined in schema and the schema does not allow additional properties",
                );
            }
            Some(property) if *raw == Raw::Null && property.optional => {}
            Some(property) => {
                match property.accept(name, raw) {
                    Ok(text) => {
                        accepted.insert(name.clone(), text);
                    }
                    Err(reason) => {
                        errors.add(name, &reason);
                    }
                }
                if let Some(other) = property.requires.filter(|other| !given.contains_key(*other)) {
                    errors.add(other, &format!("missing property required by '{name}'"));
                }
            }
        }
    }
    if errors.0.is_empty() {
        Ok(Params(accepted))
    } else {
        Err(errors.0)
    }
}

#[cfg(test)]
mod tests;
