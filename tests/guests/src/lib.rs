//! Plugins that only the end-to-end tests install: small, well-behaved, and each there to reach a capability that no
//! plugin of the panel uses in a way a test needs. Each is an example of this package, in a folder of its name.
//!
//! Not here: hostile ones, which are in `tests/hostile/`.
