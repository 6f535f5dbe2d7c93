//! Reading a posted form, with an error for each field that is wrong.

use std::collections::BTreeMap;

use serde::Serialize;

/// What is wrong with the fields of a form, by the field's name. A template shows `errors.description` at the field.
pub type FieldErrors = BTreeMap<String, String>;

/// A posted form.
///
/// Each reader gives a value in any case and notes what is wrong; look at [`Form::errors`] when all fields are read, and
/// answer with the page, the errors and status 422 if there are any.
///
/// ```
/// # use portico_sdk::{Form, Request, Method};
/// # let request = Request { method: Method::Post, path: "create".into(), query: vec![],
/// #     form: vec![("note".into(), " before the upgrade ".into())] };
/// let mut form = request.form();
/// let note = form.text("note", 200);
/// let all = form.checked("all");
/// assert!(form.errors().is_empty());
/// assert_eq!((note.as_str(), all), ("before the upgrade", false));
/// ```
#[derive(Clone, Debug)]
pub struct Form<'a> {
    fields: &'a [(String, String)],
    errors: FieldErrors,
}

impl<'a> Form<'a> {
    pub(crate) fn new(fields: &'a [(String, String)]) -> Self {
        Self {
            fields,
            errors: FieldErrors::new(),
        }
    }

    /// The value as it was sent, the first if there are several; none if the field is missing.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of a name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = name.to_owned();
        self.fields
            .iter()
            .filter(move |(key, _)| *key == name)
            .map(|(_, value)| value.as_str())
    }

    /// One line of text, without blanks at its ends; empty if the field is missing. At most `longest` characters, and no
    /// control characters.
    pub fn text(&mut self, name: &str, longest: usize) -> String {
        let text = self.raw(name).unwrap_or_default().trim();
        if text.chars().count() > longest {
            self.refuse(name, format!("Use at most {longest} characters"));
        } else if text.contains(char::is_control) {
            self.refuse(name, "Use one line of plain text");
        }
        text.to_owned()
    }

    /// As [`Form::text`], but it must not be empty.
    pub fn required(&mut self, name: &str, longest: usize) -> String {
        let text = self.text(name, longest);
        if text.is_empty() {
            self.refuse(name, "Fill this in");
        }
        text
    }

    /// A whole number within bounds; the lower bound if it is not one.
    pub fn number(&mut self, name: &str, bounds: std::ops::RangeInclusive<i64>) -> i64 {
        match self.raw(name).unwrap_or_default().trim().parse::<i64>() {
            Ok(number) if bounds.contains(&number) => number,
            _ => {
                self.refuse(
                    name,
                    format!("Enter a whole number from {} to {}", bounds.start(), bounds.end()),
                );
                *bounds.start()
            }
        }
    }

    /// A time of day, `HH:MM`, as minutes since midnight; none if the field is empty.
    pub fn time_of_day(&mut self, name: &str) -> Option<u16> {
        let text = self.raw(name).unwrap_or_default().trim();
        if text.is_empty() {
            return None;
        }
        let minute = parse_time(text);
        if minute.is_none() {
            self.refuse(name, "Enter a time from 00:00 to 23:59");
        }
        minute
    }

    /// Whether a checkbox is ticked. Browsers leave a field out that is not.
    pub fn checked(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// Notes that a field is wrong. The first note of a field stays.
    pub fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.errors
            .entry(name.to_owned())
            .or_insert_with(|| message.into());
    }

    /// What is wrong so far.
    pub fn errors(&self) -> &FieldErrors {
        &self.errors
    }

    /// The values that were sent, for showing the form again.
    pub fn values(&self) -> impl Serialize + use<'a> {
        self.fields
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect::<BTreeMap<_, _>>()
    }
}

fn parse_time(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn every_wrong_field_is_noted_with_its_own_message() {
        let fields = fields(&[
            ("long", "ééééé"),
            ("lines", "a\nb"),
            ("count", "11"),
            ("time", "24:00"),
        ]);
        let mut form = Form::new(&fields);
        form.text("long", 4);
        form.text("lines", 40);
        form.required("missing", 4);
        assert_eq!(form.number("count", 1..=10), 1);
        assert_eq!(form.time_of_day("time"), None);
        let errors = form.errors();
        assert_eq!(errors.len(), 5);
        assert_eq!(errors["long"], "Use at most 4 characters");
        assert_eq!(errors["missing"], "Fill this in");
        assert_eq!(errors["count"], "Enter a whole number from 1 to 10");
    }

    #[test]
    fn right_fields_are_read_without_a_note() {
        let fields = fields(&[
            ("a", " ééé "),
            ("n", "10"),
            ("t", "23:59"),
            ("day", "monday"),
            ("day", "friday"),
        ]);
        let mut form = Form::new(&fields);
        assert_eq!(form.text("a", 3), "ééé");
        assert_eq!(form.number("n", 1..=10), 10);
        assert_eq!(form.time_of_day("t"), Some(23 * 60 + 59));
        assert_eq!(form.time_of_day("none"), None);
        assert_eq!(form.all("day").collect::<Vec<_>>(), ["monday", "friday"]);
        assert!(form.errors().is_empty());
    }
}
