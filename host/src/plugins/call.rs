//! Building a call of a plugin: what it is told, what it may do, and the ports it may do it by.

use std::sync::Arc;

use portico_runtime::Call;
use portico_runtime::bindings::context_types::{Context, ServiceView};
use portico_runtime::bindings::types::Address;
use serde_json::{Map, Value};

use super::Installed;
use super::access::Access;
use crate::capability::{Binding, Origin, Parts};
use crate::domain::{Customer, Product, Service};

/// Everything a call is about.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The service.
    pub service: Service,
    /// Its product.
    pub product: Product,
    /// Its owner.
    pub customer: Customer,
}

/// Builds a call.
pub fn build(
    parts: &Parts,
    subject: &Subject,
    installed: &Installed,
    request_id: &str,
    origin: Origin,
) -> Call {
    let Subject {
        service,
        product,
        customer,
    } = subject;
    let access = Access::of(product, installed);
    let addresses = &service.addresses;
    let v4 = addresses.ipv4.iter().map(|net| Address {
        ip: net.addr().to_string(),
        prefix: net.prefix_len(),
    });
    let v6 = addresses.ipv6.iter().map(|net| Address {
        ip: net.addr().to_string(),
        prefix: net.prefix_len(),
    });
    let context = Context {
        service: ServiceView {
            id: service.id.to_string(),
            hostname: service.hostname.clone(),
            product: product.title.clone(),
            addresses: v4.chain(v6).take(64).collect(),
        },
        permissions: access.permissions.into_iter().collect(),
        scopes: Vec::new(),
        settings: settings(product, installed).to_string(),
        locale: customer.locale.as_str().to_owned(),
        time_zone: customer.time_zone.as_str().to_owned(),
        now: parts.clock.now().as_second(),
        request_id: request_id.to_owned(),
    };
    let binding = Binding::new(
        parts.clone(),
        service.clone(),
        product.clone(),
        customer.clone(),
        Arc::clone(&installed.approval),
        Arc::clone(&installed.plugin),
        request_id.to_owned(),
        origin,
    );
    Call {
        context,
        scopes: access.scopes,
        ports: binding.ports(),
        customer: customer.id.to_string(),
    }
}

/// The provider's settings with the product's over them, secrets left out.
fn settings(product: &Product, installed: &Installed) -> Value {
    let mut merged = match installed.approval.settings.without_secrets() {
        Value::Object(settings) => settings,
        _ => Map::new(),
    };
    if let Some(Value::Object(over)) = product
        .settings
        .get(&installed.approval.id)
        .map(crate::domain::Settings::without_secrets)
    {
        merged.extend(over);
    }
    Value::Object(merged)
}
