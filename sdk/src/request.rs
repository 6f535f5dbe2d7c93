//! Reading a [`Request`].

use crate::{Form, Request};

impl Request {
    /// The form of a POST, to be read field by field.
    pub fn form(&self) -> Form<'_> {
        Form::new(&self.form)
    }

    /// The first value of a name in the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}
