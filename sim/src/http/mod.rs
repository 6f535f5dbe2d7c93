//! The HTTPS face: connections, the order of checks, the forms of answers.
//!
//! [`tls`] makes or reads the certificate, [`server`] accepts connections, [`pipeline`] takes a request through
//! the checks in PVE's order: [`asked`] is the request, [`params`] reads its parameters, [`upload`] those that come with
//! a file, [`credentials`] finds what it shows, [`caller`] says who asks and whether they may, [`answer`] gives the
//! outcome its form, [`compression`] packs long answers. What endpoints do is in `api`.

pub(crate) mod answer;
mod asked;
mod caller;
mod compression;
mod credentials;
pub(crate) mod params;
pub(crate) mod pipeline;
pub(crate) mod server;
pub(crate) mod tls;
mod upload;
