//! The panel itself: everything between the browser and the plugins, and between the plugins and the world.

pub mod activity;
pub mod admin;
pub mod assets;
pub mod auth;
pub mod capability;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod housekeeping;
pub mod jobs;
pub mod live;
pub mod mail;
pub mod plugins;
pub mod provider;
pub mod secret;
pub mod serve;
pub mod store;
pub mod view;
pub mod web;
