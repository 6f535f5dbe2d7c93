//! What a client says (RFC 6143, 7.5, and the registry of RFB extensions for the resizing and QEMU's keys).

use bytes::{Buf as _, BytesMut};

use super::format::PixelFormat;
use crate::console::guest::Pointer;

/// The most encodings that a client may list; noVNC has about twenty.
const MOST_ENCODINGS: u16 = 1024;
/// The longest clipboard, in bytes: what QEMU takes.
const LONGEST_CUT: u64 = 1 << 20;

/// A part of the screen, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    /// The upper edge.
    pub(super) y: u16,
    /// From the upper edge to the lower.
    pub(super) height: u16,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// Pixels from now on have this format.
    Format(PixelFormat),
    /// The client understands these.
    Encodings(Vec<i32>),
    /// The client wants to see a part of the screen.
    Request {
        /// Only what has changed.
        incremental: bool,
        /// Which part.
        area: Area,
    },
    /// A key.
    Key {
        /// Its X11 keysym.
        keysym: u32,
        /// Pressed or let go.
        down: bool,
    },
    /// The pointer.
    Pointer(Pointer),
    /// The client's clipboard, which is not kept.
    CutText,
    /// The client wants another size of the screen.
    Resize {
        /// Pixels from left to right.
        width: u16,
        /// Pixels from top to bottom.
        height: u16,
        /// Whether the layout of monitors fits into that.
        sound: bool,
    },
}

/// What cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// Unknown, or not announced.
    #[error("message of type {0}")]
    Kind(u8),
    /// A pixel format that cannot be.
    #[error("pixel format without sense")]
    Format,
    /// Larger than allowed.
    #[error("message of type {0} is too large")]
    TooLarge(u8),
}

/// Reads messages off what was received.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// How much of a clipboard is still to be passed over.
    skip: u64,
}

impl Reader {
    /// The next message; `None` while it is not all there.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        let skipped = buffer.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        buffer.advance(skipped);
        self.skip -= skipped as u64;
        let Some(kind) = buffer.first().copied() else {
            return Ok(None);
        };
        let Some(length) = length(kind, buffer)? else {
            return Ok(None);
        };
        if buffer.len() < length {
            return Ok(None);
        }
        let mut body = buffer.split_to(length).freeze();
        body.advance(1);
        Ok(Some(match kind {
            0 => Message::Format(
                PixelFormat::decode(body.get(3..).unwrap_or_default()).ok_or(Malformed::Format)?,
            ),
            2 => {
                body.advance(3);
                Message::Encodings(std::iter::from_fn(|| body.try_get_i32().ok()).collect())
            }
            3 => {
                let incremental = body.get_u8() != 0;
                let (_x, y, _width, height) =
                    (body.get_u16(), body.get_u16(), body.get_u16(), body.get_u16());
                Message::Request {
                    incremental,
                    area: Area { y, height },
                }
            }
            4 => {
                let down = body.get_u8() != 0;
                body.advance(2);
                Message::Key {
                    keysym: body.get_u32(),
                    down,
                }
            }
            5 => {
                let buttons = body.get_u8();
                let (x, y) = (body.get_u16(), body.get_u16());
                Message::Pointer(Pointer { x, y, buttons })
            }
            6 => {
                body.advance(3);
                // A negative length is the extended clipboard's.
                let size = u64::from(body.get_i32().unsigned_abs());
                if size > LONGEST_CUT {
                    return Err(Malformed::TooLarge(kind));
                }
                self.skip = size;
                Message::CutText
            }
            251 => {
                body.advance(1);
                let (width, height) = (body.get_u16(), body.get_u16());
                body.advance(2);
                let mut sound = body.has_remaining();
                while body.remaining() >= 16 {
                    body.advance(4);
                    let (x, y, w, h) = (body.get_u16(), body.get_u16(), body.get_u16(), body.get_u16());
                    body.advance(4);
                    let inside = |from: u16, size: u16, all: u16| {
                        size > 0 && u32::from(from) + u32::from(size) <= u32::from(all)
                    };
                    sound &= inside(x, w, width) && inside(y, h, height);
                }
                Message::Resize { width, height, sound }
            }
            255 => {
                body.advance(1);
                let down = body.get_u16() != 0;
                let (keysym, code) = (body.get_u32(), body.get_u32());
                Message::Key {
                    keysym: if keysym == 0 { of_scancode(code) } else { keysym },
                    down,
                }
            }
            other => return Err(Malformed::Kind(other)),
        }))
    }
}

/// The length of a message by its first bytes; `None` while those are not there.
fn length(kind: u8, buffer: &[u8]) -> Result<Option<usize>, Malformed> {
    let counted = |at: usize| buffer.get(at).map(|count| usize::from(*count));
    Ok(match kind {
        0 => Some(20),
        2 => match buffer.get(2..4).and_then(|bytes| bytes.first_chunk::<2>()) {
            Some(count) if u16::from_be_bytes(*count) > MOST_ENCODINGS => {
                return Err(Malformed::TooLarge(kind));
            }
            Some(count) => Some(4 + 4 * usize::from(u16::from_be_bytes(*count))),
            None => None,
        },
        3 => Some(10),
        4 | 6 => Some(8),
        5 => Some(6),
        251 => counted(6).map(|screens| 8 + 16 * screens),
        255 => match buffer.get(1) {
            Some(0) => Some(12),
            Some(_) => return Err(Malformed::Kind(kind)),
            None => None,
        },
        other => return Err(Malformed::Kind(other)),
    })
}

/// The keysym of a key by its place on a keyboard of US layout, for the few that have a text or an effect here.
fn of_scancode(code: u32) -> u32 {
    const ROWS: [(u32, &str); 4] = [
        (0x02, "1234567890-="),
        (0x10, "qwertyuiop[]"),
        (0x1E, "asdfghjkl;'`"),
        (0x2B, "\\zxcvbnm,./"),
    ];
    match code {
        0x0E => 0xFF08,
        0x1C => 0xFF0D,
        0x1D => 0xFFE3,
        0x38 => 0xFFE9,
        0x39 => 0x20,
        0xD3 => 0xFFFF,
        _ => ROWS
            .iter()
            .find_map(|(first, keys)| {
                let place = usize::try_from(code.checked_sub(*first)?).ok()?;
                keys.as_bytes().get(place).copied()
            })
            .map_or(0, u32::from),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut as _;

    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Message>, Malformed> {
        let (mut reader, mut buffer) = (Reader::default(), BytesMut::from(bytes));
        let mut out = Vec::new();
        while let Some(message) = reader.next(&mut buffer)? {
            out.push(message);
        }
        Ok(out)
    }

    #[test]
    fn messages_are_read_one_after_the_other_and_byte_by_byte() {
        let mut bytes = vec![2, 0, 0, 2, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x21];
        bytes.extend([3, 1, 0, 1, 0, 2, 0, 3, 0, 4]);
        bytes.extend([4, 1, 0, 0, 0, 0, 0, 0x61]);
        bytes.extend([5, 1, 0, 9, 0, 8]);
        bytes.extend([6, 0, 0, 0, 0, 0, 0, 3, b'a', b'b', b'c']);
        bytes.extend([255, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x1E]);
        let expected = vec![
            Message::Encodings(vec![0, -223]),
            Message::Request {
                incremental: true,
                area: Area { y: 2, height: 4 },
            },
            Message::Key {
                keysym: 0x61,
                down: true,
            },
            Message::Pointer(Pointer {
                x: 9,
                y: 8,
                buttons: 1,
            }),
            Message::CutText,
            Message::Key {
                keysym: 0x61,
                down: true,
            },
        ];
        assert_eq!(all(&bytes).unwrap(), expected);
        let (mut reader, mut buffer, mut out) = (Reader::default(), BytesMut::new(), Vec::new());
        for byte in bytes {
            buffer.put_u8(byte);
            out.extend(reader.next(&mut buffer).unwrap());
        }
        assert_eq!(out, expected);
    }

    #[test]
    fn a_layout_must_have_a_monitor_and_fit() {
        let ask = |screens: &[[u16; 4]]| {
            let mut bytes = vec![251, 0, 4, 0, 3, 0, u8::try_from(screens.len()).unwrap(), 0];
            for screen in screens {
                bytes.put_u32(0);
                for value in screen {
                    bytes.put_u16(*value);
                }
                bytes.put_u32(0);
            }
            match all(&bytes).unwrap().remove(0) {
                Message::Resize { width, height, sound } => {
                    assert_eq!((width, height), (1024, 768));
                    sound
                }
                other => panic!("{other:?}"),
            }
        };
        assert!(ask(&[[0, 0, 1024, 768]]));
        assert!(!ask(&[]));
        assert!(!ask(&[[1, 0, 1024, 768]]));
        assert!(!ask(&[[0, 0, 1024, 768], [0, 65_535, 1, 65_535]]));
    }

    #[test]
    fn what_is_unknown_or_too_large_is_refused_before_it_is_received() {
        assert_eq!(all(&[150]), Err(Malformed::Kind(150)));
        assert_eq!(all(&[255, 1]), Err(Malformed::Kind(255)));
        assert_eq!(all(&[2, 0, 0xFF, 0xFF]), Err(Malformed::TooLarge(2)));
        assert_eq!(
            all(&[6, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF]),
            Err(Malformed::TooLarge(6))
        );
        assert_eq!(all(&[6, 0, 0, 0, 0x80, 0, 0, 0]), Err(Malformed::TooLarge(6)));
        assert_eq!(all(&[0; 20]), Err(Malformed::Format));
    }

    #[test]
    fn any_bytes_are_messages_or_refused_and_never_more() {
        for seed in 0..2_000 {
            let bytes = (0..64)
                .map(|n| u8::try_from(crate::units::mix(seed, n) & 0xFF).unwrap())
                .collect::<Vec<_>>();
            let _ = all(&bytes);
        }
    }
}
