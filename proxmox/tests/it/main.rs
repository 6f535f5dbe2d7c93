//! The client against a small server on this machine, by its public face only.
//!
//! `transport` is about what goes over the wire, `api` about each call, `config` about reading VM configs,
//! `support` is the server.

#[cfg(test)]
mod api;
#[cfg(test)]
mod config;
#[cfg(test)]
mod support;
#[cfg(test)]
mod transport;
