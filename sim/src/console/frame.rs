//! WebSocket frames (RFC 6455) as pveproxy takes and sends them: masked by the client, never fragmented, without
//! extensions, at most 128 KiB.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// The largest payload of a frame, in bytes.
pub(super) const MAX_PAYLOAD: usize = 128 * 1024;

/// A frame of a client, unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// Text or binary: pveproxy does not tell them apart.
    Data(Bytes),
    /// The client leaves.
    Close,
    /// Wants a pong with the same payload.
    Ping(Bytes),
    /// Needs nothing.
    Pong,
}

/// What pveproxy dies with on a frame that it does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// FIN is not set.
    #[error("received fragmented websocket frame")]
    Fragmented,
    /// An extension's bit is set.
    #[error("received websocket frame with RSV flags")]
    Extension,
    /// The mask is missing.
    #[error("received unmasked websocket frame from client")]
    Unmasked,
    /// More than 128 KiB.
    #[error("received too large websocket frame (len = {0})")]
    TooLarge(u64),
    /// Of no known kind.
    #[error("received unhandled websocket opcode {0}")]
    Opcode(u8),
}

/// Takes one frame off the front of what was received; `None` while it is not all there.
pub(super) fn decode(buffer: &mut BytesMut) -> Result<Option<Frame>, Refused> {
    let [first, second, rest @ ..] = &**buffer else {
        return Ok(None);
    };
    let (opcode, short) = (first & 0x0F, second & 0x7F);
    if first & 0x80 == 0 {
        return Err(Refused::Fragmented);
    }
    if first & 0x70 != 0 {
        return Err(Refused::Extension);
    }
    if second & 0x80 == 0 {
        return Err(Refused::Unmasked);
    }
    let (length, header) = match short {
        126 => match rest.first_chunk::<2>() {
            Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 4),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(bytes) => (u64::from_be_bytes(*bytes), 10),
            None => return Ok(None),
        },
        length => (u64::from(length), 2),
    };
    let size = match usize::try_from(length) {
        Ok(size) if size <= MAX_PAYLOAD => size,
        _ => return Err(Refused::TooLarge(length)),
    };
    if buffer.len() < header + 4 + size {
        return Ok(None);
    }
    buffer.advance(header);
    let mask = buffer.split_to(4);
    let mut payload = buffer.split_to(size);
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    match opcode {
        1 | 2 => Ok(Some(Frame::Data(payload.freeze()))),
        8 => Ok(Some(Frame::Close)),
        9 => Ok(Some(Frame::Ping(payload.freeze()))),
        10 => Ok(Some(Frame::Pong)),
        other => Err(Refused::Opcode(other)),
    }
}

/// What kind of frame is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Binary data.
    Binary,
    /// The answer to a ping.
    Pong,
}

/// The header of a frame to a client.
pub(super) fn header(kind: Kind, length: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(10);
    out.put_u8(match kind {
        Kind::Binary => 0x82,
        Kind::Pong => 0x8A,
    });
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=125), _) => out.put_u8(length),
        (_, Ok(length)) => {
            out.put_u8(126);
            out.put_u16(length);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(length as u64);
        }
    }
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        out.put_u8(first);
        let header = header(Kind::Binary, payload.len());
        out.put_u8(header[1] | 0x80);
        out.put_slice(&header[2..]);
        let mask = [1, 2, 3, 4];
        out.put_slice(&mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        out
    }

    #[test]
    fn frames_of_all_length_forms_are_unmasked() {
        for length in [0, 1, 125, 126, 65_535, 65_536, MAX_PAYLOAD] {
            let payload = (0..length)
                .map(|n| u8::try_from(n % 251).unwrap())
                .collect::<Vec<_>>();
            let mut buffer = masked(0x82, &payload);
            buffer.put_u8(0xFF);
            assert_eq!(decode(&mut buffer), Ok(Some(Frame::Data(payload.into()))));
            assert_eq!(&buffer[..], [0xFF], "what follows stays");
        }
    }

    #[test]
    fn a_frame_that_is_cut_anywhere_waits_for_the_rest() {
        let whole = masked(0x82, &[7; 300]);
        for end in 0..whole.len() {
            let mut part = BytesMut::from(&whole[..end]);
            assert_eq!(decode(&mut part), Ok(None), "{end}");
            assert_eq!(part.len(), end, "nothing is taken");
        }
    }

    #[test]
    fn pings_pongs_and_closes_are_told_apart() {
        assert_eq!(decode(&mut masked(0x89, b"x")), Ok(Some(Frame::Ping("x".into()))));
        assert_eq!(decode(&mut masked(0x8A, b"x")), Ok(Some(Frame::Pong)));
        assert_eq!(
            decode(&mut masked(0x88, &1000_u16.to_be_bytes())),
            Ok(Some(Frame::Close))
        );
    }

    #[test]
    fn what_pveproxy_does_not_take_is_refused_in_its_words() {
        let mut unmasked = BytesMut::from(&[0x82, 1, 7][..]);
        let mut endless = BytesMut::from(&[0x82, 0xFF, 255, 255, 255, 255, 255, 255, 255, 255][..]);
        assert_eq!(decode(&mut unmasked), Err(Refused::Unmasked));
        assert_eq!(decode(&mut endless), Err(Refused::TooLarge(u64::MAX)));
        assert_eq!(decode(&mut masked(0x02, b"x")), Err(Refused::Fragmented));
        assert_eq!(decode(&mut masked(0xC2, b"x")), Err(Refused::Extension));
        assert_eq!(decode(&mut masked(0x83, b"x")), Err(Refused::Opcode(3)));
        let large = vec![0; MAX_PAYLOAD + 1];
        assert_eq!(decode(&mut masked(0x82, &large)), Err(Refused::TooLarge(131_073)));
    }
}
