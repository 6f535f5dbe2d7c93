//! The client against a small server on this machine, by its public face only.
//!
//! `wire` is about requests, trust and hostile answers, `delivery` about what is sent where and how often, `api`
//! about each call, `backups` about storages, backups and restores, `config` about reading VM configs;
//! `support` is the server.

#[cfg(test)]
mod api;
#[cfg(test)]
mod backups;
#[cfg(test)]
mod config;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod support;
#[cfg(test)]
mod wire;
