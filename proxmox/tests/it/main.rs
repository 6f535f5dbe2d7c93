//! The client against a small server on this machine, by its public face only.
//!
//! `wire` is about requests, trust and hostile answers, `delivery` about what is sent where and how often, `api`
//! about each call, `config` about reading VM configs, `firewall` about rules and their order; `backups` about
//! storages, backups and restores, `reinstall` about the calls of reinstallations, charts and the guest agent,
//! `quirks` about what surprises clients of real clusters, `property` about texts that must come back byte for byte;
//! `hostile` about answers that nobody would send; `task_end` about waiting for tasks; `console` about opening screens;
//! `support` is the server.

#[cfg(test)]
mod api;
#[cfg(test)]
mod backups;
#[cfg(test)]
mod config;
#[cfg(test)]
mod console;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod firewall;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod property;
#[cfg(test)]
mod quirks;
#[cfg(test)]
mod reinstall;
#[cfg(test)]
mod support;
#[cfg(test)]
mod task_end;
#[cfg(test)]
mod wire;
