//! The serial terminal behind `termproxy`: what a client and `termproxy` say to each other.
//!
//! The client begins with `USER:TICKET` and a line break and is answered `OK`; then it sends messages ([`Message`]) and
//! gets what the terminal writes. The serial line shows the same text as the VM's screen, which is drawn with the
//! control sequences of a VT100 whenever it changes.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::rfb::Stage;

/// How often the terminal looks whether there is something new.
const REFRESH: Duration = Duration::from_millis(40);
/// The longest line with a user and a ticket, in bytes.
const LONGEST_LOGIN: usize = 8192;
/// The longest piece of input, in bytes.
const LONGEST_INPUT: usize = 65_536;

/// Why a terminal ended before its client left.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the login is too long or not text")]
    Login,
    #[error("a message is malformed")]
    Malformed,
    #[error("the VM is gone")]
    Gone,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Message {
    /// `0:LENGTH:DATA`: input.
    Input(Vec<u8>),
    /// `1:COLUMNS:ROWS:`: the client's window has that size.
    Size { columns: usize, rows: usize },
    /// `2`: the client is still there.
    Ping,
}

/// Takes one message off the front of what was received; `None` while it is not all there.
fn next(buffer: &mut BytesMut) -> Result<Option<Message>, Ended> {
    /// A number up to the next colon, and how many bytes both take.
    fn number(bytes: &[u8]) -> Result<Option<(usize, usize)>, Ended> {
        let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match bytes.get(digits) {
            None if digits < 8 => Ok(None),
            Some(b':') if (1..8).contains(&digits) => {
                let text = bytes.get(..digits).unwrap_or_default();
                let text = std::str::from_utf8(text).map_err(|_| Ended::Malformed)?;
                let value = text.parse().map_err(|_| Ended::Malformed)?;
                Ok(Some((value, digits + 1)))
            }
            _ => Err(Ended::Malformed),
        }
    }
    let bytes = &**buffer;
    match (bytes.first(), bytes.get(1)) {
        (Some(b'2'), _) => {
            buffer.advance(1);
            Ok(Some(Message::Ping))
        }
        (None, _) | (Some(b'0' | b'1'), None) => Ok(None),
        (Some(b'0'), Some(b':')) => {
            let Some((length, used)) = number(bytes.get(2..).unwrap_or_default())? else {
                return Ok(None);
            };
            if length > LONGEST_INPUT {
                return Err(Ended::Malformed);
            }
            let Some(data) = bytes.get(2 + used..2 + used + length) else {
                return Ok(None);
            };
            let message = Message::Input(data.to_vec());
            buffer.advance(2 + used + length);
            Ok(Some(message))
        }
        (Some(b'1'), Some(b':')) => {
            let rest = bytes.get(2..).unwrap_or_default();
            let Some((columns, first)) = number(rest)? else {
                return Ok(None);
            };
            let Some((rows, second)) = number(rest.get(first..).unwrap_or_default())? else {
                return Ok(None);
            };
            buffer.advance(2 + first + second);
            Ok(Some(Message::Size { columns, rows }))
        }
        _ => Err(Ended::Malformed),
    }
}

/// Reads the line with which a client begins: the user and the ticket.
pub(super) async fn login<S>(stream: &mut S) -> Result<(String, String), Ended>
where
    S: AsyncRead + Unpin,
{
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => break,
            byte if line.len() < LONGEST_LOGIN => line.push(byte),
            _ => return Err(Ended::Login),
        }
    }
    let line = String::from_utf8(line).map_err(|_| Ended::Login)?;
    let (user, ticket) = line.split_once(':').ok_or(Ended::Login)?;
    Ok((user.to_owned(), ticket.to_owned()))
}

/// Shows a VM's text and takes its keys until one of both leaves.
pub(super) async fn serve<S>(stage: &Stage, stream: &mut S) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = BytesMut::with_capacity(4096);
    let (mut seen, mut height) = (0, usize::MAX);
    let mut keyboard = Keyboard::default();
    let mut refresh = tokio::time::interval(REFRESH);
    refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        while let Some(message) = next(&mut buffer)? {
            match message {
                Message::Input(data) => keyboard.press(stage, &data),
                Message::Size { rows, .. } => {
                    height = rows.max(1);
                    seen = 0;
                }
                Message::Ping => {}
            }
        }
        if let Some(text) = stage.text(seen) {
            seen = text.generation;
            stream.write_all(drawn(&text, height).as_bytes()).await?;
            stream.flush().await?;
        }
        tokio::select! {
            read = stream.read_buf(&mut buffer) => if read? == 0 {
                return Ok(());
            },
            _ = refresh.tick() => if !stage.lives() {
                return Err(Ended::Gone);
            },
        }
    }
}

/// The text on a screen.
#[derive(Debug, Clone)]
pub(in crate::console) struct Text {
    /// Changes with the text.
    pub(in crate::console) generation: u64,
    /// The rows, without the blanks at their ends.
    pub(in crate::console) rows: Vec<String>,
    /// The cursor's column and row.
    pub(in crate::console) cursor: (usize, usize),
}

/// Draws the rows around the cursor into a terminal of some height.
fn drawn(text: &Text, height: usize) -> String {
    let (column, row) = text.cursor;
    let first = (row + 1).saturating_sub(height);
    let mut out = "\x1b[H".to_owned();
    let rows = text.rows.iter().skip(first).take(height).collect::<Vec<_>>();
    for (at, line) in rows.iter().enumerate() {
        out.push_str(line);
        out.push_str("\x1b[K");
        if at + 1 < rows.len() {
            out.push_str("\r\n");
        }
    }
    // Writing into a text cannot fail.
    let _ = write!(out, "\x1b[J\x1b[{};{}H", row - first + 1, column + 1);
    out
}

/// Makes keys of what a terminal sends.
#[derive(Debug, Default)]
struct Keyboard {
    /// The beginning of a character that is not all there.
    partial: Vec<u8>,
    escape: Escape,
}

/// Where in a control sequence, such as that of an arrow key, the input is; nothing in the guest reacts to them.
#[derive(Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Begun,
    Sequence,
}

const CONTROL: u32 = 0xFFE3;

impl Keyboard {
    fn press(&mut self, stage: &Stage, data: &[u8]) {
        for keys in data.iter().filter_map(|byte| self.keys(*byte)) {
            let (control, keysym) = keys;
            if control {
                stage.key(CONTROL, true);
            }
            stage.key(keysym, true);
            stage.key(keysym, false);
            if control {
                stage.key(CONTROL, false);
            }
        }
    }

    /// The key that a byte completes, and whether control is held.
    fn keys(&mut self, byte: u8) -> Option<(bool, u32)> {
        match (&self.escape, byte) {
            (Escape::Begun, b'[' | b'O') => {
                self.escape = Escape::Sequence;
                return None;
            }
            (Escape::Sequence, 0x40..=0x7E) | (Escape::Begun, _) => {
                self.escape = Escape::None;
                return None;
            }
            (Escape::Sequence, _) => return None,
            (Escape::None, _) => {}
        }
        match byte {
            0x1B => {
                self.escape = Escape::Begun;
                None
            }
            b'\r' | b'\n' => Some((false, 0xFF0D)),
            0x08 | 0x7F => Some((false, 0xFF08)),
            b'\t' => Some((false, 0xFF09)),
            0x01..=0x1A => Some((true, u32::from(byte) + 0x60)),
            0x20..=0x7E => Some((false, u32::from(byte))),
            0x80..=0xFF => {
                self.partial.push(byte);
                let text = std::str::from_utf8(&self.partial).ok();
                let character = text.and_then(|text| text.chars().next()).map(u32::from);
                if character.is_some() || self.partial.len() >= 4 {
                    self.partial.clear();
                }
                // Latin-1 has keysyms of its own, all others are marked as Unicode.
                let keysym = |code| if code < 0x100 { code } else { code + 0x0100_0000 };
                character.map(|code| (false, keysym(code)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Message> {
        let mut buffer = BytesMut::from(bytes);
        std::iter::from_fn(|| next(&mut buffer).unwrap()).collect()
    }

    #[test]
    fn messages_are_told_apart_wherever_they_are_cut() {
        let bytes = b"1:80:24:0:3:a:b20:0:";
        let wanted = [
            Message::Size {
                columns: 80,
                rows: 24,
            },
            Message::Input(b"a:b".to_vec()),
            Message::Ping,
            Message::Input(Vec::new()),
        ];
        assert_eq!(all(bytes), wanted);
        for cut in 0..bytes.len() {
            let mut buffer = BytesMut::from(&bytes[..cut]);
            let mut found = std::iter::from_fn(|| next(&mut buffer).unwrap()).collect::<Vec<_>>();
            buffer.extend_from_slice(&bytes[cut..]);
            found.extend(std::iter::from_fn(|| next(&mut buffer).unwrap()));
            assert_eq!(found, wanted, "{cut}");
        }
    }

    #[test]
    fn what_is_no_message_ends_the_terminal() {
        for bytes in [
            &b"x"[..],
            b"0x",
            b"0:a:",
            b"0::",
            b"1:80:x:",
            b"0:12345678",
            b"0:99999:",
        ] {
            assert!(next(&mut BytesMut::from(bytes)).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn bytes_of_a_terminal_become_keys() {
        let mut keyboard = Keyboard::default();
        let bytes = "a\r\x7f\x03\x1b[A\x1b[3~ü語b";
        let keys = bytes.bytes().filter_map(|byte| keyboard.keys(byte));
        let wanted = [
            (false, 0x61),
            (false, 0xFF0D),
            (false, 0xFF08),
            (true, 0x63),
            (false, 0xFC),
            (false, 0x0100_8A9E),
            (false, 0x62),
        ];
        assert_eq!(keys.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_low_window_shows_the_rows_around_the_cursor() {
        let text = Text {
            generation: 1,
            rows: ["one", "two", "three", ""].map(str::to_owned).into(),
            cursor: (5, 2),
        };
        assert_eq!(drawn(&text, 2), "\x1b[Htwo\x1b[K\r\nthree\x1b[K\x1b[J\x1b[2;6H");
        assert!(drawn(&text, 50).contains("one\x1b[K\r\ntwo"));
    }
}
