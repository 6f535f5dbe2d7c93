//! Building a [`Description`].

use schemars::{JsonSchema, schema_for};

use crate::bindings::exports::portico::plugin::guest::{MenuEntry, Target};
use crate::settings::NoSettings;
use crate::{Button, Description, Needs, Permission, Placement, Tone};

impl Description {
    /// A plugin with a title and nothing else.
    ///
    /// `id` is `[a-z][a-z0-9-]{0,39}` and part of addresses and permission names: it never changes. `version` is a semantic
    /// version, usually `env!("CARGO_PKG_VERSION")`.
    pub fn new(id: &str, version: &str, title: &str) -> Self {
        let none = schema::<NoSettings>();
        Self {
            id: id.into(),
            version: version.into(),
            title: title.into(),
            summary: String::new(),
            menu: None,
            buttons: Vec::new(),
            permissions: Vec::new(),
            provider_settings: none.clone(),
            product_settings: none,
            background: Vec::new(),
        }
    }

    /// One sentence for the provider.
    #[must_use]
    pub fn summary(mut self, summary: &str) -> Self {
        self.summary = summary.into();
        self
    }

    /// The entry in the sidebar of every page. `icon` is a name of the UI kit; entries are ordered by `order`.
    #[must_use]
    pub fn menu(mut self, label: &str, icon: &str, order: u16) -> Self {
        self.menu = Some(MenuEntry {
            label: label.into(),
            icon: icon.into(),
            order,
        });
        self
    }

    /// A button on the overview.
    #[must_use]
    pub fn button(mut self, button: Button) -> Self {
        self.buttons.push(button);
        self
    }

    /// A right that a product can grant, with a title for the provider and the scopes it stands for.
    ///
    /// A scope that no permission stands for is granted wherever the plugin is enabled: name here what makes the
    /// difference (`power.start`), and leave out what every page needs (`vm.read`).
    #[must_use]
    pub fn permission(mut self, name: &str, title: &str, scopes: &[&str]) -> Self {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.permissions.push(Permission {
            name: name.into(),
            title: title.into(),
            scopes,
        });
        self
    }

    /// The settings: one struct for what the provider sets once, one for what each product sets. Use
    /// [`NoSettings`] for the one that is not needed.
    ///
    /// Doc comments of the fields become the help texts. Give the structs `#[serde(deny_unknown_fields)]`, so that a
    /// setting that does not exist is refused and not ignored.
    #[must_use]
    pub fn settings<Provider: JsonSchema, Product: JsonSchema>(mut self) -> Self {
        self.provider_settings = schema::<Provider>();
        self.product_settings = schema::<Product>();
        self
    }

    /// A kind of job the plugin may start, with a sentence for the provider.
    #[must_use]
    pub fn background(mut self, kind: &str, purpose: &str) -> Self {
        self.background.push((kind.into(), purpose.into()));
        self
    }
}

fn schema<T: JsonSchema>() -> String {
    schema_for!(T).to_value().to_string()
}

impl Button {
    /// A button that sends an empty POST to a path under the plugin. It stands in the action bar.
    pub fn action(label: &str, icon: &str, path: &str) -> Self {
        Self::new(label, icon, Placement::ActionBar, Target::Action(path.into()))
    }

    /// A button that opens a page of the plugin. It stands among the management buttons.
    pub fn page(label: &str, icon: &str, path: &str) -> Self {
        Self::new(label, icon, Placement::Management, Target::Page(path.into()))
    }

    fn new(label: &str, icon: &str, placement: Placement, target: Target) -> Self {
        Self {
            label: label.into(),
            icon: icon.into(),
            placement,
            order: 0,
            tone: Tone::Neutral,
            permission: None,
            needs: Needs::Any,
            idle: false,
            target,
            confirm: None,
        }
    }

    /// Puts it elsewhere than usual.
    #[must_use]
    pub fn placed(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Buttons are ordered by this, then by label.
    #[must_use]
    pub fn order(mut self, order: u16) -> Self {
        self.order = order;
        self
    }

    /// How it looks.
    #[must_use]
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// The permission the product must grant; dimmed without it.
    #[must_use]
    pub fn permission(mut self, name: &str) -> Self {
        self.permission = Some(name.into());
        self
    }

    /// The state the VM must be in; dimmed in any other.
    #[must_use]
    pub fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    /// Dims it while another operation holds the VM.
    #[must_use]
    pub fn idle(mut self) -> Self {
        self.idle = true;
        self
    }

    /// Asks first: a question, and what will be lost.
    #[must_use]
    pub fn confirm(mut self, title: &str, message: &str) -> Self {
        self.confirm = Some((title.into(), message.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Product {
        /// How many there may be.
        quota: u32,
    }

    #[test]
    fn settings_become_schemas_with_the_doc_comments_and_refuse_unknown_names() {
        let description = Description::new("x", "1.0.0", "X").settings::<NoSettings, Product>();
        let schema: serde_json::Value = serde_json::from_str(&description.product_settings).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(
            schema["properties"]["quota"]["description"],
            "How many there may be."
        );
        assert_eq!(schema["required"], serde_json::json!(["quota"]));
        let none: serde_json::Value = serde_json::from_str(&description.provider_settings).unwrap();
        assert_eq!(none["type"], "object");
        assert_eq!(none["additionalProperties"], false);
    }
}
