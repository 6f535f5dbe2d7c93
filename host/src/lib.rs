//! The panel itself: everything between the browser and the plugins, and between the plugins and the world.

pub mod auth;
pub mod clock;
pub mod domain;
pub mod mail;
pub mod provider;
pub mod secret;
pub mod store;
