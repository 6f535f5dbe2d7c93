//! Tests of the simulator over real TLS, by a client that knows nothing of PVE but what it is told.
//!
//! `lab` starts a simulator and calls it; each other module proves one area.

mod checks;
mod config;
mod ctl;
mod faults;
mod firewall;
mod lab;
mod login;
mod power;
mod snapshots;
mod tasks;
