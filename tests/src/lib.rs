//! What the end-to-end tests share: a cluster, a panel and browsers, started anew for each test.
//!
//! - [`setup`]: what a test wants to be different, and the files of the panel, from `seed/`.
//! - [`world`]: [`World`], the simulator and the panel's folder together; starting, stopping, killing, applying.
//! - [`panel`]: the two ways to run a panel: in this process, or as the program `portico`.
//! - [`browser`] and [`page`]: what a customer's browser does and sees, without scripts.
//! - [`customer`]: what he does on the pages of a service, and how he learns what came of it.
//! - [`smtp`]: a mail server.
//! - [`wait`]: waiting for something with a deadline.
//! - [`target`]: where cargo has put the plugins and programs.
//!
//! Not here: tests. They are in `e2e/`.

pub mod browser;
pub mod customer;
pub mod page;
pub mod panel;
pub mod setup;
pub mod smtp;
pub mod target;
pub mod wait;
pub mod world;

pub use self::browser::Browser;
pub use self::page::Page;
pub use self::setup::Setup;
pub use self::wait::until;
pub use self::world::World;
