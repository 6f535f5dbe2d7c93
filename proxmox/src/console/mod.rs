//! A VM's screen, between a browser and PVE.
//!
//! [`Vm::vnc_proxy`](crate::Vm::vnc_proxy) opens a port, [`VncProxy::connect`](crate::VncProxy::connect) gives a
//! [`ConsoleSocket`] to it, and [`relay()`] carries messages between that and the browser's WebSocket until one of
//! them ends. What is carried (VNC) is not looked at: the browser gets the password and speaks VNC itself.
//!
//! The browser's side is a stream and a sink of [`BrowserMessage`]s, so that this crate knows no web framework.
//! With axum, `socket` being its `WebSocket`:
//!
//! ```ignore
//! let (sink, stream) = socket.split();
//! let from_browser = stream.map_ok(|message| match message {
//!     Message::Binary(data) => BrowserMessage::Data(data),
//!     Message::Text(_) => BrowserMessage::Text,
//!     Message::Ping(data) => BrowserMessage::Ping(data),
//!     Message::Pong(data) => BrowserMessage::Pong(data),
//!     Message::Close(frame) => BrowserMessage::Close(frame.map(|frame| frame.code)),
//! });
//! let to_browser = sink.with(|message| ready(Ok::<_, axum::Error>(match message {
//!     ToBrowser::Data(data) => Message::Binary(data),
//!     ToBrowser::Ping => Message::Ping(Bytes::new()),
//!     ToBrowser::Close { code, reason } => Message::Close(Some(CloseFrame { code, reason: reason.into() })),
//! })));
//! let report = relay(from_browser, to_browser, pve, &RelayLimits::default(), &stop).await;
//! ```
//!
//! In full, with channels in place of a browser:
//!
//! ```no_run
//! use futures_util::StreamExt as _;
//! use futures_channel::mpsc;
//! use portico_proxmox::console::{BrowserMessage, RelayLimits, ToBrowser, relay};
//! use portico_proxmox::{Error, Vm};
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn example(vm: Vm, stop: CancellationToken) -> Result<(), Error> {
//! let proxy = vm.vnc_proxy().await?;
//! let password = proxy.password().clone();
//! let pve = proxy.connect().await?;
//! let (browser_says, from_browser) = mpsc::channel::<BrowserMessage>(1);
//! let (to_browser, browser_hears) = mpsc::channel::<ToBrowser>(1);
//! let from_browser = from_browser.map(Ok::<_, std::convert::Infallible>);
//! // … `password` goes to the browser; the two other ends of the channels are its WebSocket …
//! let report = relay(from_browser, to_browser, pve, &RelayLimits::default(), &stop).await;
//! println!("{} after {} s", report.end, report.lasted.as_secs());
//! # Ok(())
//! # }
//! ```

mod relay;
mod socket;

pub use self::relay::{BrowserMessage, RelayEnd, RelayLimits, RelayReport, ToBrowser, relay};
pub use self::socket::{ConsoleSocket, SocketError};
