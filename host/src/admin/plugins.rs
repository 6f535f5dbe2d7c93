//! Plugins by command.

use std::collections::BTreeSet;

use super::protocol::{AdminAnswer, AdminFailure, InstallPlugin, PluginView};
use super::service::{Admin, record_failure};
use crate::domain::{HttpOrigin, Origin, PluginApproval, PluginId, Settings};
use crate::provider::{Approve, approve};

impl Admin {
    pub(super) async fn plugins(&self) -> Result<AdminAnswer, AdminFailure> {
        let failed = |error| record_failure(&error);
        let plugins = self.parts.records.plugins().await.map_err(failed)?;
        let products = self.parts.records.products().await.map_err(failed)?;
        let views = plugins.into_iter().map(|record| {
            let plugin = record.value;
            let users = products.iter().filter(|product| {
                product
                    .value
                    .permissions
                    .iter()
                    .any(|permission| permission.plugin == plugin.id)
            });
            PluginView {
                health: self.parts.reload.health(&plugin.id),
                products: users.map(|product| product.value.id.to_string()).collect(),
                id: plugin.id,
                version: plugin.description.version,
                title: plugin.description.title,
                digest: plugin.digest,
                imports: plugin.imports,
                scopes: plugin.description.scopes,
                permissions: plugin.description.permissions,
                origin: plugin.origin,
            }
        });
        Ok(AdminAnswer::Plugins(views.collect()))
    }

    pub(super) async fn install_plugin(&self, wanted: InstallPlugin) -> Result<AdminAnswer, AdminFailure> {
        let _turn = self.turn.lock().await;
        let inspector = &self.parts.inspector;
        let shown = wanted.file.display().to_string();
        let component = inspector.inspect(&wanted.file).await;
        let component = component
            .map_err(|error| AdminFailure::refused(format!("`{shown}`: {}", error.message), error.hint))?;
        if component.digest != wanted.digest {
            let message = format!(
                "`{shown}` was changed since it was looked at: its digest is `{}`",
                component.digest
            );
            return Err(AdminFailure::refused(message, "run the command again"));
        }
        let missing: Vec<_> = component
            .imports
            .keys()
            .filter(|import| !wanted.imports.contains(*import))
            .collect();
        if !missing.is_empty() {
            let message = format!("`{shown}` imports {missing:?}, which is not approved");
            return Err(AdminFailure::refused(
                message,
                "approve it with `--approve`; without it the plugin does not load",
            ));
        }
        let existing = match self.parts.records.plugin(&component.id).await {
            Ok(existing) => Some(existing.value),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(record_failure(&error)),
        };
        if let Some(existing) = existing.as_ref().filter(|plugin| plugin.origin == Origin::File) {
            let message = format!("plugin `{}` is approved by the provider's file", existing.id);
            return Err(AdminFailure::refused(
                message,
                "change its entry there and run `portico apply`",
            ));
        }
        let kept = inspector.keep(&wanted.file, &component.digest).await;
        kept.map_err(|error| AdminFailure::refused(format!("`{shown}`: {}", error.message), error.hint))?;
        let imports: BTreeSet<String> = wanted.imports;
        let approval = PluginApproval {
            // Settings of an earlier version stay; whether they still fit, the load says.
            settings: existing.map_or_else(Settings::default, |plugin| plugin.settings),
            origin: Origin::Panel,
            ..approve(
                &component,
                &Approve::Imports(imports),
                wanted.file,
                wanted.http_origins.into_iter().map(HttpOrigin::public).collect(),
            )
        };
        self.parts
            .records
            .put_plugin(&approval)
            .await
            .map_err(|error| record_failure(&error))?;
        let text = format!(
            "{} {}, digest {}",
            approval.id, approval.description.version, approval.digest
        );
        self.log("plugin.install", Some(approval.id.to_string()), text)
            .await;
        Ok(AdminAnswer::Done {
            notes: self.parts.reload.reload().await,
        })
    }

    pub(super) async fn remove_plugin(&self, id: &PluginId) -> Result<AdminAnswer, AdminFailure> {
        let _turn = self.turn.lock().await;
        let failed = |error| record_failure(&error);
        let plugin = self.parts.records.plugin(id).await.map_err(failed)?.value;
        if plugin.origin == Origin::File {
            let message = format!("plugin `{id}` is approved by the provider's file");
            return Err(AdminFailure::refused(
                message,
                "remove its entry there and run `portico apply`",
            ));
        }
        self.parts.records.remove_plugin(id).await.map_err(failed)?;
        self.log(
            "plugin.remove",
            Some(id.to_string()),
            "approval removed, data kept".to_owned(),
        )
        .await;
        Ok(AdminAnswer::Done {
            notes: self.parts.reload.reload().await,
        })
    }
}
