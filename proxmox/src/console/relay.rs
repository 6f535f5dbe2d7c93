//! Carrying messages between a browser and PVE.
//!
//! Each direction takes a message, hands it on, and takes the next only when that has left. So nothing piles up here:
//! a browser that is slow makes PVE wait, and PVE's VNC server then sends fewer pictures, as it is asked for each.

use std::fmt::{self, Display};
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::socket::{ConsoleSocket, Inner, Received, farewell, parts, received};

/// The largest message that is taken from a browser, in bytes. noVNC's are far smaller, but for a clipboard.
const MAX_FROM_BROWSER: usize = 1024 * 1024;

/// What a browser sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrowserMessage {
    /// A binary message.
    Data(Bytes),
    /// A text message, which VNC has none of: it ends the relay.
    Text,
    /// A ping, which the web framework answers; a sign of life here.
    Ping(Bytes),
    /// A pong; a sign of life.
    Pong(Bytes),
    /// The browser leaves, perhaps with a code.
    Close(Option<u16>),
}

/// What is sent to a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToBrowser {
    /// A binary message.
    Data(Bytes),
    /// A ping without payload.
    Ping,
    /// The end, with a code of RFC 6455, 7.4.1.
    Close {
        /// The code.
        code: u16,
        /// A few words, for logs; no secret and no name of the provider's machines in them.
        reason: &'static str,
    },
}

/// The shortest and the longest that [`RelayLimits`] mean: timers take neither nothing nor an age.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// How long things may take. Each counts as at least a millisecond and at most a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayLimits {
    /// The longest a console may be open.
    pub lifetime: Duration,
    /// How often both sides are pinged, so that nobody between takes the connection for dead.
    pub keepalive: Duration,
    /// How long a side may give no sign of life, or not take what is sent to it. More than `keepalive`.
    pub silence: Duration,
    /// How long the farewell may take.
    pub farewell: Duration,
}

impl Default for RelayLimits {
    /// Four hours; a ping every 20 seconds; a minute of silence; two seconds for the farewell.
    fn default() -> Self {
        Self {
            lifetime: Duration::from_hours(4),
            keepalive: Duration::from_secs(20),
            silence: Duration::from_mins(1),
            farewell: Duration::from_secs(2),
        }
    }
}

impl RelayLimits {
    fn within_reason(self) -> Self {
        let each = |limit: Duration| limit.clamp(SHORTEST, LONGEST);
        Self {
            lifetime: each(self.lifetime),
            keepalive: each(self.keepalive),
            silence: each(self.silence),
            farewell: each(self.farewell),
        }
    }
}

/// Why a relay ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayEnd {
    /// The browser left, with this code if it gave one.
    BrowserLeft(Option<u16>),
    /// The browser gave no sign of life, or did not take what was sent to it.
    BrowserSilent,
    /// The browser's connection broke; what its web framework says.
    BrowserBroken(String),
    /// The browser sent text, or a message of more than 1 MiB; the code it was told.
    BrowserRefused(u16),
    /// PVE ended the connection: the VM was stopped or moved, the password was wrong, or an administrator did it.
    PveEnded,
    /// PVE gave no sign of life, or did not take what was sent to it.
    PveSilent,
    /// PVE's connection broke; how.
    PveBroken(String),
    /// The time was up.
    Lifetime,
    /// It was cancelled.
    Cancelled,
}

impl RelayEnd {
    /// What the browser is told; nothing when it left by itself.
    fn told(&self) -> Option<(u16, &'static str)> {
        match self {
            Self::BrowserLeft(_) | Self::BrowserBroken(_) => None,
            Self::BrowserSilent => Some((1001, "no sign of life")),
            Self::BrowserRefused(1003) => Some((1003, "only binary messages are taken")),
            Self::BrowserRefused(code) => Some((*code, "the message is too large")),
            Self::PveEnded => Some((1000, "the console ended")),
            Self::PveSilent | Self::PveBroken(_) => Some((1011, "the console is out of reach")),
            Self::Lifetime => Some((1008, "the time is up")),
            Self::Cancelled => Some((1001, "the panel is stopping")),
        }
    }

    fn pve_is_there(&self) -> bool {
        !matches!(self, Self::PveEnded | Self::PveSilent | Self::PveBroken(_))
    }
}

impl Display for RelayEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BrowserLeft(Some(code)) => write!(f, "the browser left with code {code}"),
            Self::BrowserLeft(None) => f.write_str("the browser left"),
            Self::BrowserSilent => f.write_str("the browser gave no sign of life"),
            Self::BrowserBroken(how) => write!(f, "the browser's connection broke: {how}"),
            Self::BrowserRefused(code) => write!(f, "the browser's message was refused with code {code}"),
            Self::PveEnded => f.write_str("Proxmox ended the connection"),
            Self::PveSilent => f.write_str("Proxmox gave no sign of life"),
            Self::PveBroken(how) => write!(f, "the connection to Proxmox broke: {how}"),
            Self::Lifetime => f.write_str("the time was up"),
            Self::Cancelled => f.write_str("it was cancelled"),
        }
    }
}

/// How a relay went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayReport {
    /// Why it ended.
    pub end: RelayEnd,
    /// Bytes that were handed to the browser; the last message may not have left.
    pub to_browser: u64,
    /// Bytes that were handed to PVE; the last message may not have left.
    pub to_pve: u64,
    /// How long it lasted.
    pub lasted: Duration,
}

/// Carries messages until one side ends, the time is up or `stop` is cancelled; then says farewell to both.
///
/// At most one message of each direction is held at a time, so the memory of a relay does not grow with what a side
/// has to say or how slow the other is.
///
/// Dropping the future ends both connections without a farewell.
pub async fn relay<I, O, E, F>(
    from_browser: I,
    to_browser: O,
    pve: ConsoleSocket,
    limits: &RelayLimits,
    stop: &CancellationToken,
) -> RelayReport
where
    I: Stream<Item = Result<BrowserMessage, E>>,
    O: Sink<ToBrowser, Error = F>,
    E: Display,
    F: Display,
{
    let limits = &limits.within_reason();
    let began = Instant::now();
    let mut from_browser = pin!(from_browser);
    let mut to_browser = pin!(to_browser);
    let (mut to_pve, mut from_pve) = pve.inner.split();
    let (mut up, mut down) = (0, 0);
    let end = {
        let mut downwards = pin!(downwards(&mut from_pve, to_browser.as_mut(), limits, &mut down));
        let end = tokio::select! {
            () = stop.cancelled() => Halt::Now(RelayEnd::Cancelled),
            () = sleep(limits.lifetime) => Halt::Now(RelayEnd::Lifetime),
            end = upwards(from_browser.as_mut(), &mut to_pve, limits, &mut up) => end,
            end = &mut downwards => Halt::Now(end),
        };
        match end {
            Halt::Now(end) => end,
            // It may have ended while something was on its way there. What it said before is for the browser, and how
            // that ends tells more than that nothing can be sent.
            Halt::Unsent(end) => timeout(limits.farewell, downwards).await.unwrap_or(end),
        }
    };
    let browser = async {
        if let Some((code, reason)) = end.told() {
            to_browser.send(ToBrowser::Close { code, reason }).await.ok()?;
            // Until the browser has answered; what it still had to say is too late.
            while let Some(Ok(message)) = from_browser.next().await {
                if matches!(message, BrowserMessage::Close(_)) {
                    break;
                }
            }
        }
        to_browser.close().await.ok()
    };
    let pve = async {
        if end.pve_is_there() && to_pve.send(farewell()).await.is_ok() {
            while let Ok(Received::Data(_) | Received::Life) = received(from_pve.next().await) {}
        }
    };
    let (_, _) = tokio::join!(timeout(limits.farewell, browser), timeout(limits.farewell, pve));
    RelayReport {
        end,
        to_browser: down,
        to_pve: up,
        lasted: began.elapsed(),
    }
}

/// Why nothing more is carried towards PVE.
enum Halt {
    /// The relay ends so.
    Now(RelayEnd),
    /// PVE's connection takes nothing any more; the relay ends so if PVE does not end it itself.
    Unsent(RelayEnd),
}

async fn upwards<I, E>(
    mut from_browser: Pin<&mut I>,
    to_pve: &mut SplitSink<Inner, Message>,
    limits: &RelayLimits,
    carried: &mut u64,
) -> Halt
where
    I: Stream<Item = Result<BrowserMessage, E>>,
    E: Display,
{
    let mut heard = Instant::now();
    let mut keepalive = interval_at(heard + limits.keepalive, limits.keepalive);
    keepalive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let parts = tokio::select! {
            message = from_browser.next() => match message {
                None => return Halt::Now(RelayEnd::BrowserLeft(None)),
                Some(Err(error)) => return Halt::Now(RelayEnd::BrowserBroken(error.to_string())),
                Some(Ok(BrowserMessage::Close(code))) => return Halt::Now(RelayEnd::BrowserLeft(code)),
                Some(Ok(BrowserMessage::Text)) => return Halt::Now(RelayEnd::BrowserRefused(1003)),
                Some(Ok(BrowserMessage::Data(data))) if data.len() > MAX_FROM_BROWSER => {
                    return Halt::Now(RelayEnd::BrowserRefused(1009));
                }
                Some(Ok(BrowserMessage::Data(data))) => parts(data),
                Some(Ok(BrowserMessage::Ping(_) | BrowserMessage::Pong(_))) => parts(Bytes::new()),
            },
            () = sleep_until(heard + limits.silence) => return Halt::Now(RelayEnd::BrowserSilent),
            _ = keepalive.tick() => {
                if let Err(end) = hand_to_pve(to_pve, Message::Ping(Bytes::new()), limits).await {
                    return end;
                }
                continue;
            }
        };
        for part in parts {
            *carried += part.len() as u64;
            if let Err(end) = hand_to_pve(to_pve, Message::Binary(part), limits).await {
                return end;
            }
        }
        heard = Instant::now();
    }
}

async fn hand_to_pve(
    to_pve: &mut SplitSink<Inner, Message>,
    message: Message,
    limits: &RelayLimits,
) -> Result<(), Halt> {
    match timeout(limits.silence, to_pve.send(message)).await {
        Err(_) => Err(Halt::Now(RelayEnd::PveSilent)),
        Ok(Err(error)) => Err(Halt::Unsent(match received(Some(Err(error))) {
            Ok(_) => RelayEnd::PveEnded,
            Err(error) => broken(&error),
        })),
        Ok(Ok(())) => Ok(()),
    }
}

fn broken(error: &dyn std::error::Error) -> RelayEnd {
    let cause = error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string);
    RelayEnd::PveBroken(cause)
}

async fn downwards<O, F>(
    from_pve: &mut SplitStream<Inner>,
    mut to_browser: Pin<&mut O>,
    limits: &RelayLimits,
    carried: &mut u64,
) -> RelayEnd
where
    O: Sink<ToBrowser, Error = F>,
    F: Display,
{
    let mut heard = Instant::now();
    let mut keepalive = interval_at(heard + limits.keepalive, limits.keepalive);
    keepalive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let data = tokio::select! {
            message = from_pve.next() => match received(message) {
                Ok(Received::Data(data)) => data,
                Ok(Received::Life) => Bytes::new(),
                Ok(Received::End) => return RelayEnd::PveEnded,
                Err(error) => return broken(&error),
            },
            () = sleep_until(heard + limits.silence) => return RelayEnd::PveSilent,
            _ = keepalive.tick() => {
                if let Err(end) = hand_to_browser(&mut to_browser, ToBrowser::Ping, limits).await {
                    return end;
                }
                continue;
            }
        };
        if !data.is_empty() {
            *carried += data.len() as u64;
            if let Err(end) = hand_to_browser(&mut to_browser, ToBrowser::Data(data), limits).await {
                return end;
            }
        }
        heard = Instant::now();
    }
}

async fn hand_to_browser<O, F>(
    to_browser: &mut Pin<&mut O>,
    message: ToBrowser,
    limits: &RelayLimits,
) -> Result<(), RelayEnd>
where
    O: Sink<ToBrowser, Error = F>,
    F: Display,
{
    match timeout(limits.silence, to_browser.send(message)).await {
        Err(_) => Err(RelayEnd::BrowserSilent),
        Ok(Err(error)) => Err(RelayEnd::BrowserBroken(error.to_string())),
        Ok(Ok(())) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
