//! What one client has seen, and the updates that bring it up to what is to be seen.
//!
//! Only bands that look different are sent, raw or, if the client knows zlib, compressed in one stream for the whole
//! connection. The client asks for each update, so a slow one is sent little.

use std::collections::VecDeque;

use bytes::{BufMut as _, BytesMut};
use flate2::{Compress, Compression, FlushCompress};

use super::format::{Colour, PixelFormat};
use super::message::Area;
use super::picture::{Band, Picture, bands_in};
use super::stage::status;
use crate::console::font::CELL_HEIGHT;

const RAW: i32 = 0;
const ZLIB: i32 = 6;
const DESKTOP_SIZE: i32 = -223;
const QEMU_KEYS: i32 = -258;
const EXTENDED_DESKTOP_SIZE: i32 = -308;

/// Why the size is what it is.
#[derive(Debug, Clone, Copy)]
enum Because {
    /// It is so by itself.
    Server = 0,
    /// This client asked.
    Client = 1,
}

/// How the client can be told of another size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resizing {
    Unknown,
    Plain,
    Extended,
}

#[derive(Debug)]
enum Piece {
    Bytes(BytesMut),
    Band(usize),
}

/// One client's view.
#[derive(Debug)]
pub(super) struct View {
    format: PixelFormat,
    size: (u16, u16),
    zlib: Option<Compress>,
    resizing: Resizing,
    keys_told: bool,
    /// What the client has; `None` where it has nothing right.
    seen: Vec<Option<Band>>,
    generation: u64,
    wanted: bool,
    told: BytesMut,
    picture: Vec<Band>,
    pieces: VecDeque<Piece>,
}

impl View {
    /// Nothing seen yet.
    pub(super) fn new(width: u16, height: u16) -> Self {
        Self {
            format: PixelFormat::OWN,
            size: (width, height),
            zlib: None,
            resizing: Resizing::Unknown,
            keys_told: false,
            seen: vec![None; bands_in(height)],
            generation: 0,
            wanted: false,
            told: BytesMut::new(),
            picture: Vec::new(),
            pieces: VecDeque::new(),
        }
    }

    /// The pixels' format.
    pub(super) fn format(&self) -> PixelFormat {
        self.format
    }

    /// Pixels have another format from now on, those that were seen too.
    pub(super) fn set_format(&mut self, format: PixelFormat) {
        self.format = format;
        self.forget(0, self.seen.len());
        if format.is_mapped() {
            self.told.put_slice(&[1, 0, 0, 0]);
            self.told.put_u16(u16::try_from(Colour::ALL.len()).unwrap_or(0));
            for level in Colour::ALL.iter().flat_map(|colour| colour.rgb()) {
                self.told.put_u16(u16::from(level) * 257);
            }
        }
    }

    /// The client understands these encodings.
    pub(super) fn set_encodings(&mut self, list: &[i32]) {
        let knows = |encoding| list.contains(&encoding);
        // The stream goes on where it was, should the client change its mind twice.
        if knows(ZLIB) && self.zlib.is_none() {
            self.zlib = Some(Compress::new(Compression::fast(), true));
        } else if !knows(ZLIB) && self.zlib.is_some() {
            self.zlib = None;
        }
        self.resizing = match (knows(EXTENDED_DESKTOP_SIZE), knows(DESKTOP_SIZE)) {
            (true, _) => Resizing::Extended,
            (false, true) => Resizing::Plain,
            (false, false) => Resizing::Unknown,
        };
        if self.resizing == Resizing::Extended {
            self.tell_size(Because::Server, status::DONE);
        }
        if knows(QEMU_KEYS) && !self.keys_told {
            self.keys_told = true;
            let (width, height) = self.size;
            self.told.put_slice(&[0, 0, 0, 1]);
            rectangle(&mut self.told, [0, 0, width, height], QEMU_KEYS);
        }
    }

    fn tell_size(&mut self, because: Because, status: u16) {
        let (width, height) = self.size;
        self.told.put_slice(&[0, 0, 0, 1]);
        if self.resizing == Resizing::Extended {
            rectangle(
                &mut self.told,
                [because as u16, status, width, height],
                EXTENDED_DESKTOP_SIZE,
            );
            self.told.put_slice(&[1, 0, 0, 0]);
            self.told.put_u32(0);
            for value in [0, 0, width, height] {
                self.told.put_u16(value);
            }
            self.told.put_u32(0);
        } else {
            rectangle(&mut self.told, [0, 0, width, height], DESKTOP_SIZE);
        }
    }

    /// The client's wish for another size was granted or not.
    pub(super) fn resized(&mut self, width: u16, height: u16, status: u16) {
        if status == status::DONE {
            self.set_size((width, height));
        }
        if self.resizing == Resizing::Extended {
            self.tell_size(Because::Client, status);
        }
    }

    fn set_size(&mut self, size: (u16, u16)) {
        self.size = size;
        self.generation = 0;
        self.seen = vec![None; bands_in(size.1)];
    }

    /// The client wants to be shown a part of the screen.
    pub(super) fn request(&mut self, incremental: bool, area: Area) {
        self.wanted = true;
        if !incremental {
            let end = bands_in(area.y.saturating_add(area.height));
            self.forget(usize::from(area.y / CELL_HEIGHT), end);
        }
    }

    fn forget(&mut self, from: usize, to: usize) {
        self.generation = 0;
        for band in self.seen.iter_mut().take(to).skip(from) {
            *band = None;
        }
    }

    /// What is said without being asked.
    pub(super) fn announcements(&mut self) -> BytesMut {
        self.told.split()
    }

    /// Whether the client waits for an update.
    pub(super) fn wants_update(&self) -> bool {
        self.wanted
    }

    /// Which change of the screen the client has seen; 0 when it has to look anew.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Compares a picture with what the client has and lays the update ready.
    pub(super) fn look(&mut self, picture: Picture) {
        if picture.pixels != self.size && self.resizing != Resizing::Unknown {
            self.set_size(picture.pixels);
            self.tell_size(Because::Server, status::DONE);
            let told = self.announcements();
            self.pieces.push_back(Piece::Bytes(told));
        }
        self.generation = picture.generation;
        self.picture = picture.bands;
        let pairs = self.seen.iter().zip(&self.picture);
        let changed = pairs
            .enumerate()
            .filter(|(_, (seen, now))| seen.as_ref() != Some(*now))
            .map(|(index, _)| index)
            .collect::<Vec<_>>();
        if changed.is_empty() {
            return;
        }
        self.wanted = false;
        let mut head = BytesMut::from(&[0, 0][..]);
        head.put_u16(u16::try_from(changed.len()).unwrap_or(0));
        self.pieces.push_back(Piece::Bytes(head));
        self.pieces.extend(changed.into_iter().map(Piece::Band));
    }

    /// The next part of the update to be sent.
    pub(super) fn next_piece(&mut self) -> Option<BytesMut> {
        match self.pieces.pop_front()? {
            Piece::Bytes(bytes) => Some(bytes),
            Piece::Band(index) => Some(self.band(index)),
        }
    }

    fn band(&mut self, index: usize) -> BytesMut {
        let mut out = BytesMut::new();
        let (width, all) = self.size;
        let top = u16::try_from(index).unwrap_or(0).saturating_mul(CELL_HEIGHT);
        let height = CELL_HEIGHT.min(all.saturating_sub(top));
        let Some(band) = self.picture.get(index) else {
            return out;
        };
        let mut pixels = BytesMut::new();
        band.draw(&mut pixels, &self.format, width, height);
        if let Some(seen) = self.seen.get_mut(index) {
            *seen = Some(band.clone());
        }
        let compressed = self.zlib.as_mut().and_then(|stream| compressed(stream, &pixels));
        if let Some(data) = compressed {
            rectangle(&mut out, [0, top, width, height], ZLIB);
            out.put_u32(u32::try_from(data.len()).unwrap_or(0));
            out.put_slice(&data);
        } else {
            rectangle(&mut out, [0, top, width, height], RAW);
            out.put_slice(&pixels);
        }
        out
    }
}

fn rectangle(out: &mut BytesMut, place: [u16; 4], encoding: i32) {
    for value in place {
        out.put_u16(value);
    }
    out.put_i32(encoding);
}

/// Adds to a zlib stream and gives what it makes of that; `None` if it breaks, which it does not.
fn compressed(stream: &mut Compress, input: &[u8]) -> Option<Vec<u8>> {
    let begin = stream.total_in();
    let mut out = Vec::with_capacity(input.len() / 16 + 128);
    loop {
        let done = usize::try_from(stream.total_in() - begin).ok()?;
        let rest = input.get(done..)?;
        stream.compress_vec(rest, &mut out, FlushCompress::Sync).ok()?;
        let done = usize::try_from(stream.total_in() - begin).ok()?;
        if done == input.len() && out.len() < out.capacity() {
            return Some(out);
        }
        out.reserve(out.capacity());
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, Decompress, FlushDecompress};

    use super::compressed;

    #[test]
    fn pieces_of_one_zlib_stream_come_out_as_they_went_in() {
        let mut stream = Compress::new(Compression::fast(), true);
        let mut reader = Decompress::new(true);
        for seed in 0..20_u64 {
            let input = (0..40_000)
                .map(|n| u8::try_from(crate::units::mix(seed, n) % 7).unwrap())
                .collect::<Vec<_>>();
            let data = compressed(&mut stream, &input).unwrap();
            let mut output = Vec::with_capacity(input.len() + 16);
            reader
                .decompress_vec(&data, &mut output, FlushDecompress::Sync)
                .unwrap();
            assert_eq!(output, input);
        }
    }
}
