//! Pixels in the form a client wants them (RFC 6143, 7.4).

use bytes::{Buf as _, BufMut as _, BytesMut};

/// What is drawn has one of these colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// Behind the text.
    Black,
    /// Text.
    Grey,
    /// The pointer.
    Yellow,
    /// The pointer while a button is pressed.
    Red,
}

impl Colour {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 4] = [Self::Black, Self::Grey, Self::Yellow, Self::Red];

    /// Red, green and blue.
    pub(super) fn rgb(self) -> [u8; 3] {
        match self {
            Self::Black => [0, 0, 0],
            Self::Grey => [0xAA, 0xAA, 0xAA],
            Self::Yellow => [0xFF, 0xFF, 0x55],
            Self::Red => [0xFF, 0x55, 0x55],
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Black => 0,
            Self::Grey => 1,
            Self::Yellow => 2,
            Self::Red => 3,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Channel {
    max: u16,
    shift: u8,
}

/// A pixel format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PixelFormat {
    bits: u8,
    depth: u8,
    big_endian: bool,
    /// Colours are numbers in a map.
    mapped: bool,
    channels: [Channel; 3],
}

impl PixelFormat {
    /// What the server has by itself, as QEMU does: 32 bits, blue in the lowest byte.
    pub(super) const OWN: Self = Self {
        bits: 32,
        depth: 24,
        big_endian: false,
        mapped: false,
        channels: [
            Channel { max: 255, shift: 16 },
            Channel { max: 255, shift: 8 },
            Channel { max: 255, shift: 0 },
        ],
    };

    /// Reads one; `None` when it makes no sense.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 16 {
            return None;
        }
        let (bits, depth) = (bytes.get_u8(), bytes.get_u8());
        let (big_endian, mapped) = (bytes.get_u8() != 0, bytes.get_u8() == 0);
        let max = [bytes.get_u16(), bytes.get_u16(), bytes.get_u16()];
        let shift = [bytes.get_u8(), bytes.get_u8(), bytes.get_u8()];
        let mut channels = [Channel { max: 0, shift: 0 }; 3];
        for (channel, (max, shift)) in channels.iter_mut().zip(max.into_iter().zip(shift)) {
            *channel = Channel { max, shift };
        }
        let fits = |channel: &Channel| {
            let width = u16::BITS - channel.max.leading_zeros();
            u32::from(channel.shift) + width <= u32::from(bits)
        };
        let good = if mapped {
            bits == 8
        } else {
            matches!(bits, 8 | 16 | 32) && channels.iter().all(fits)
        };
        good.then_some(Self {
            bits,
            depth,
            big_endian,
            mapped,
            channels,
        })
    }

    /// Writes it.
    pub(super) fn encode(&self) -> [u8; 16] {
        let [red, green, blue] = self.channels;
        let mut out = [0; 16];
        let mut rest = &mut out[..];
        rest.put_u8(self.bits);
        rest.put_u8(self.depth);
        rest.put_u8(u8::from(self.big_endian));
        rest.put_u8(u8::from(!self.mapped));
        for channel in [red, green, blue] {
            rest.put_u16(channel.max);
        }
        rest.put_slice(&[red.shift, green.shift, blue.shift]);
        out
    }

    /// Whether the client has to be told the map of colours.
    pub(super) fn is_mapped(&self) -> bool {
        self.mapped
    }

    /// Adds a pixel.
    pub(super) fn put(&self, out: &mut BytesMut, colour: Colour) {
        if self.mapped {
            out.put_u8(colour.number());
            return;
        }
        let mut pixel = 0_u32;
        for (channel, value) in self.channels.iter().zip(colour.rgb()) {
            let level = (u32::from(value) * u32::from(channel.max) + 127) / 255;
            pixel |= level << (u32::from(channel.shift) & 31);
        }
        let [_, _, high, low] = pixel.to_be_bytes();
        match (self.bits, self.big_endian) {
            (8, _) => out.put_u8(low),
            (16, true) => out.put_slice(&[high, low]),
            (16, false) => out.put_slice(&[low, high]),
            (_, true) => out.put_u32(pixel),
            (_, false) => out.put_u32_le(pixel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel(format: &PixelFormat, colour: Colour) -> Vec<u8> {
        let mut out = BytesMut::new();
        format.put(&mut out, colour);
        out.to_vec()
    }

    #[test]
    fn a_format_reads_back_as_it_was_written() {
        assert_eq!(
            PixelFormat::decode(&PixelFormat::OWN.encode()),
            Some(PixelFormat::OWN)
        );
    }

    #[test]
    fn the_format_of_novnc_has_red_first() {
        let novnc = [32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0];
        let format = PixelFormat::decode(&novnc).unwrap();
        assert_eq!(pixel(&format, Colour::Yellow), [0xFF, 0xFF, 0x55, 0]);
        assert_eq!(pixel(&PixelFormat::OWN, Colour::Yellow), [0x55, 0xFF, 0xFF, 0]);
    }

    #[test]
    fn sixteen_bits_and_maps_are_honoured_too() {
        let rgb565 = [16, 16, 1, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0, 0, 0, 0];
        let format = PixelFormat::decode(&rgb565).unwrap();
        assert_eq!(
            pixel(&format, Colour::Red),
            // 31, 21 and 10 in 5, 6 and 5 bits.
            [0xFA, 0xAA]
        );
        let mapped = [8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(pixel(&PixelFormat::decode(&mapped).unwrap(), Colour::Red), [3]);
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in [
            [24, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0],
            [32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 255, 0, 0, 0],
            [8, 8, 0, 1, 0xFF, 0xFF, 0, 3, 0, 3, 0, 3, 6, 0, 0, 0],
            [32, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(PixelFormat::decode(&wrong), None, "{wrong:?}");
        }
        assert_eq!(PixelFormat::decode(&[32]), None);
    }
}
