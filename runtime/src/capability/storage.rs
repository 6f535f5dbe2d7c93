//! The plugin's key-value store (`wit/storage.wit`).

use std::sync::Arc;

use async_trait::async_trait;

use super::{Effect, Function, bounds};
use crate::bindings::CapabilityError;
use crate::bindings::storage::{Entry, Host, Scope as Namespace};
use crate::scope::Scope;
use crate::state::CallState;

const USE: &[Scope] = &[Scope::StorageUse];
const GET: Function = Function::new("storage", "storage.get", USE, Effect::Read);
const SET: Function = Function::new("storage", "storage.set", USE, Effect::Write);
const DELETE: Function = Function::new("storage", "storage.delete", USE, Effect::Write);
const LIST: Function = Function::new("storage", "storage.list", USE, Effect::Read);
const SWAP: Function = Function::new("storage", "storage.compare-and-swap", USE, Effect::Write);

/// The functions of the interface.
pub const FUNCTIONS: &[Function] = &[GET, SET, DELETE, LIST, SWAP];

/// Length of a key, bytes.
const KEY: std::ops::RangeInclusive<usize> = 1..=256;
/// Length of a prefix or an `after`, bytes.
const PREFIX: std::ops::RangeInclusive<usize> = 0..=256;
/// Entries of a page.
const PAGE: std::ops::RangeInclusive<u32> = 1..=100;

/// Keeps the plugin's values, in one namespace for the service of the call and one for all services.
///
/// Keys have 1…256 bytes when they arrive here; the quotas (keys, bytes of a value, bytes in all) are the
/// implementation's. Writes are durable before they are acknowledged. They carry no call number: a plugin that must
/// not write twice compares and swaps.
#[async_trait]
pub trait StoragePort: Send + Sync {
    /// The entry of a key.
    ///
    /// # Errors
    /// `unavailable`.
    async fn get(&self, namespace: Namespace, key: String) -> Result<Option<Entry>, CapabilityError>;

    /// Writes and returns the new version.
    ///
    /// # Errors
    /// `quota`, `unavailable`.
    async fn set(&self, namespace: Namespace, key: String, value: Vec<u8>) -> Result<u64, CapabilityError>;

    /// Removes a key; one that is not there is no error.
    ///
    /// # Errors
    /// `unavailable`.
    async fn delete(&self, namespace: Namespace, key: String) -> Result<(), CapabilityError>;

    /// At most `limit` (1…100) entries whose key starts with `prefix` and is greater than `after`, in order.
    ///
    /// # Errors
    /// `unavailable`.
    async fn list(
        &self,
        namespace: Namespace,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Vec<Entry>, CapabilityError>;

    /// Writes only if the version still is `expected`; none means that the key must not exist.
    ///
    /// # Errors
    /// `conflict` if it is not; `quota`, `unavailable`.
    async fn compare_and_swap(
        &self,
        namespace: Namespace,
        key: String,
        expected: Option<u64>,
        value: Vec<u8>,
    ) -> Result<u64, CapabilityError>;
}

impl Host for CallState {
    async fn get(
        &mut self,
        namespace: Namespace,
        key: String,
    ) -> wasmtime::Result<Result<Option<Entry>, CapabilityError>> {
        let port = Arc::clone(&self.ports.storage);
        let checked = bounds::bytes("key", &key, KEY);
        self.gate(&GET, Scope::StorageUse, checked, move |_| async move {
            port.get(namespace, key).await
        })
        .await
    }

    async fn set(
        &mut self,
        namespace: Namespace,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<u64, CapabilityError>> {
        let port = Arc::clone(&self.ports.storage);
        let checked = bounds::bytes("key", &key, KEY);
        self.gate(&SET, Scope::StorageUse, checked, move |_| async move {
            port.set(namespace, key, value).await
        })
        .await
    }

    async fn delete(
        &mut self,
        namespace: Namespace,
        key: String,
    ) -> wasmtime::Result<Result<(), CapabilityError>> {
        let port = Arc::clone(&self.ports.storage);
        let checked = bounds::bytes("key", &key, KEY);
        self.gate(&DELETE, Scope::StorageUse, checked, move |_| async move {
            port.delete(namespace, key).await
        })
        .await
    }

    async fn list(
        &mut self,
        namespace: Namespace,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<Entry>, CapabilityError>> {
        let port = Arc::clone(&self.ports.storage);
        let checked = bounds::bytes("prefix", &prefix, PREFIX)
            .and_then(|()| bounds::bytes("after", after.as_deref().unwrap_or_default(), PREFIX))
            .and_then(|()| bounds::number("limit", limit, PAGE));
        self.gate(&LIST, Scope::StorageUse, checked, move |_| async move {
            port.list(namespace, prefix, after, limit).await
        })
        .await
    }

    async fn compare_and_swap(
        &mut self,
        namespace: Namespace,
        key: String,
        expected: Option<u64>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<u64, CapabilityError>> {
        let port = Arc::clone(&self.ports.storage);
        let checked = bounds::bytes("key", &key, KEY);
        self.gate(&SWAP, Scope::StorageUse, checked, move |_| async move {
            port.compare_and_swap(namespace, key, expected, value).await
        })
        .await
    }
}
