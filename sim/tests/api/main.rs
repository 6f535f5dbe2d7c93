//! Tests of the simulator over real TLS, by a client that knows nothing of PVE but what it is told.
//!
//! `lab` starts a simulator and calls it; `viewer` looks at consoles; each other module proves one area.

mod agent;
mod agent_files;
mod backups;
mod boot;
mod checks;
mod clone;
mod cloudinit;
mod config;
mod console;
mod create;
mod ctl;
mod datacenter;
mod destroy;
mod devices;
mod faults;
mod figures;
mod firewall;
mod ha;
mod habits;
mod lab;
mod login;
mod migrate;
mod migration;
mod move_disk;
mod nodes;
mod pending;
mod pools;
mod power;
mod quorum;
mod restore;
mod roles;
mod rrd;
mod security_groups;
mod snapshots;
mod storage;
mod tasks;
mod terminal;
mod uploads;
mod user_groups;
mod users;
mod viewer;
