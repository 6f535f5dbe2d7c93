//! Tests of the simulator over real TLS, by a client that knows nothing of PVE but what it is told.
//!
//! `lab` starts a simulator and calls it; each other module proves one area.

mod backups;
mod checks;
mod config;
mod faults;
mod lab;
mod power;
mod snapshots;
mod storage;
mod tasks;
