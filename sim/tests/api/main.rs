//! Tests of the simulator over real TLS, by a client that knows nothing of PVE but what it is told.
//!
//! `lab` starts a simulator and calls it; `viewer` looks at consoles; each other module proves one area.

mod agent;
mod backups;
mod checks;
mod clone;
mod cloudinit;
mod config;
mod console;
mod create;
mod ctl;
mod datacenter;
mod faults;
mod files;
mod firewall;
mod groups;
mod lab;
mod login;
mod migration;
mod nodes;
mod pools;
mod power;
mod roles;
mod rrd;
mod snapshots;
mod storage;
mod tasks;
mod users;
mod viewer;
