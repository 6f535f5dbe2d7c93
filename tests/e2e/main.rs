//! The panel with its plugins against the simulator, over HTTP: what a customer's browser sees and Proxmox gets.
//!
//! Each test has a world of its own. One file a subject:
//!
//! - `access`: who gets in, and what of whom is seen;
//! - `courier`: mails to a real server, and HTTP to other services, by a plugin;
//! - `rates`: how often somebody may ask;
//! - `power`: the overview, start, stop, reboot;
//! - `snapshots`: take, roll back, remove, quota, lifetime;
//! - `outage`: Proxmox busy, down, moved, without rights;
//! - `provider`: applying provider files to a panel that runs;
//! - `commands`: the command line;
//! - `upkeep`: jobs that failed, what is left of removed services, lost components;
//! - `kill`: `kill -9` at random moments;
//! - `viewers`: the load of many viewers on Proxmox.

#[cfg(test)]
mod access;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod courier;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod power;
#[cfg(test)]
mod provider;
#[cfg(test)]
mod rates;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod upkeep;
#[cfg(test)]
mod viewers;
