//! From the guest's types of the contract to the host's, and back.
//!
//! Both sides generate their own from the same WIT, field by field alike; the compiler sees to it that none is forgotten
//! here.

use portico_runtime::bindings as host;
use portico_sdk::bindings::exports::portico::plugin::guest as exports;
use portico_sdk::bindings::portico::plugin as guest;

/// A value of one side as the other side has it.
pub(crate) trait Cross<T> {
    fn cross(self) -> T;
}

macro_rules! same {
    ($($type:ty),+) => { $(
        impl Cross<$type> for $type {
            fn cross(self) -> $type { self }
        }
    )+ };
}
same!(bool, u8, u16, u32, u64, i64, f64, String, ());

impl<T: Cross<U>, U> Cross<Vec<U>> for Vec<T> {
    fn cross(self) -> Vec<U> {
        self.into_iter().map(Cross::cross).collect()
    }
}

impl<T: Cross<U>, U> Cross<Option<U>> for Option<T> {
    fn cross(self) -> Option<U> {
        self.map(Cross::cross)
    }
}

impl<T: Cross<U>, U, E: Cross<F>, F> Cross<Result<U, F>> for Result<T, E> {
    fn cross(self) -> Result<U, F> {
        self.map(Cross::cross).map_err(Cross::cross)
    }
}

impl<A: Cross<B>, B, X: Cross<Y>, Y> Cross<(B, Y)> for (A, X) {
    fn cross(self) -> (B, Y) {
        (self.0.cross(), self.1.cross())
    }
}

macro_rules! records {
    ($($from:ty => $to:ident :: $module:ident :: $name:ident { $($field:ident),+ $(,)? })+) => { $(
        impl Cross<$to::$module::$name> for $from {
            fn cross(self) -> $to::$module::$name {
                $to::$module::$name { $($field: self.$field.cross()),+ }
            }
        }
    )+ };
}

macro_rules! variants {
    ($($from:ty => $to:ty { $($case:ident $(($value:ident))?),+ $(,)? })+) => { $(
        impl Cross<$to> for $from {
            fn cross(self) -> $to {
                match self { $(Self::$case $(($value))? => <$to>::$case $(($value.cross()))?),+ }
            }
        }
    )+ };
}

// What the plugin asks for: from the played host to the runtime.
records! {
    guest::types::FieldError => host::types::FieldError { field, message }
    guest::types::Task => host::types::Task { id }
    guest::types::Address => host::types::Address { ip, prefix }
    guest::vm::StatusView => host::vm::StatusView {
        state, uptime, cpu, cores, memory_used, memory_total, rates, busy, age
    }
    guest::vm::Rates => host::vm::Rates { disk_read, disk_write, net_in, net_out }
    guest::vm::HardwareView => host::vm::HardwareView { cores, memory, disks, adapters }
    guest::vm::Disk => host::vm::Disk { role, size, read_limit, write_limit, read_iops, write_iops }
    guest::vm::Adapter => host::vm::Adapter { model, mac, rate, connected }
    guest::vm::NetworkView => host::vm::NetworkView { ipv4, ipv4_gateway, ipv6, ipv6_gateway, dns, domain }
    guest::snapshots::Snapshot => host::snapshots::Snapshot {
        name, description, time, with_memory, parent, phase, current
    }
    guest::snapshots::Ability => host::snapshots::Ability { possible, reason, newest_only }
    guest::provision::Applied => host::provision::Applied { changed, pending }
    guest::storage::Entry => host::storage::Entry { key, value, version }
    guest::http::Response => host::http::Response { status, headers, body }
    guest::jobs::JobView => host::jobs::JobView {
        id, kind, key, title, phase, due, started, ended, text, fraction
    }
}

variants! {
    guest::types::Error => host::types::Error {
        Denied(text), Busy(text), NotFound, Invalid(field), Quota(text), Unavailable, Conflict, Failed(text)
    }
    guest::vm::State => host::vm::State { Running, Stopped, Paused, Suspended, Unknown }
    guest::vm::DiskRole => host::vm::DiskRole { System, Additional }
    guest::snapshots::Phase => host::snapshots::Phase { Ready, Creating, Removing }
    guest::jobs::Phase => host::jobs::Phase { Waiting, Running, Done, Failed }
}

// What the plugin asks with: from the runtime to the played host.
records! {
    host::types::FieldError => guest::types::FieldError { field, message }
    host::types::Task => guest::types::Task { id }
    host::http::Request => guest::http::Request { method, url, headers, body, timeout }
    host::jobs::JobSpec => guest::jobs::JobSpec { kind, title, state, key, exclusive, operation, deadline }
    host::jobs::Calendar => guest::jobs::Calendar { time_zone, entries }
}

variants! {
    host::types::Error => guest::types::Error {
        Denied(text), Busy(text), NotFound, Invalid(field), Quota(text), Unavailable, Conflict, Failed(text)
    }
    host::storage::Scope => guest::storage::Scope { Service, Plugin }
    host::mail::Recipient => guest::mail::Recipient { Owner, Department }
    host::http::Method => guest::http::Method { Get, Post, Put, Patch, Delete }
    host::http::Body => guest::http::Body { Empty, Form(fields), Json(text), Bytes(bytes) }
    host::http::Value => guest::http::Value { Text(text), Secret(name), PrefixedSecret(both) }
    host::jobs::Weekday => guest::jobs::Weekday { Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday }
    host::log::Level => guest::log::Level { Debug, Info, Warn, Error }
}

// What the plugin is called with.
records! {
    guest::context_types::ServiceView => host::context_types::ServiceView { id, hostname, product, addresses }
    guest::context_types::Context => host::context_types::Context {
        service, permissions, scopes, settings, locale, time_zone, now, request_id
    }
    exports::Request => host::guest::Request { method, path, query, form }
    exports::Job => host::guest::Job { id, kind, state, step, started, attempt }
    exports::Outcome => host::guest::Outcome { task, ok, warnings, message, reason }
}

variants! {
    exports::Method => host::guest::Method { Get, Post }
    exports::Event => host::guest::Event { Started, TaskEnded(outcome), Woke, Continued }
}

// What the plugin answers.
records! {
    host::guest::View => exports_alias::guest::View { template, data }
    host::guest::PageResponse => exports_alias::guest::PageResponse { view, title, status }
    host::guest::Flash => exports_alias::guest::Flash { tone, text }
    host::guest::Redirection => exports_alias::guest::Redirection { path, flash }
    host::guest::Progress => exports_alias::guest::Progress { text, fraction }
    host::guest::Awaiting => exports_alias::guest::Awaiting { task, state, progress }
    host::guest::Sleeping => exports_alias::guest::Sleeping { until, state, progress }
    host::guest::Continuing => exports_alias::guest::Continuing { state, progress }
    host::guest::Failure => exports_alias::guest::Failure { reason, retryable }
    host::guest::Permission => exports_alias::guest::Permission { name, title, scopes }
    host::guest::MenuEntry => exports_alias::guest::MenuEntry { label, icon, order }
    host::guest::Button => exports_alias::guest::Button {
        label, icon, placement, order, tone, permission, needs, idle, target, confirm
    }
    host::guest::Description => exports_alias::guest::Description {
        id, version, title, summary, menu, buttons, permissions, provider_settings, product_settings, background
    }
}

/// The macro wants a module of a module.
mod exports_alias {
    pub(super) use portico_sdk::bindings::exports::portico::plugin::guest;
}

variants! {
    host::guest::FlashTone => exports::FlashTone { Success, Info, Warning, Danger }
    host::guest::Response => exports::Response { Page(page), Fragment(page), Redirect(redirection), Json(text) }
    host::guest::Step => exports::Step { AwaitTask(next), SleepUntil(next), Continue(next), Done(text), Failed(failure) }
    host::guest::Placement => exports::Placement { ActionBar, Management }
    host::guest::Tone => exports::Tone { Neutral, Primary, Success, Warning, Danger }
    host::guest::Needs => exports::Needs { Any, Running, Stopped, RunningOrPaused }
    host::guest::Target => exports::Target { Page(path), Action(path) }
}
