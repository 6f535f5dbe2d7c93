//! What is to be seen, in bands one line of text high, and how a band becomes pixels.

use bytes::BytesMut;

use super::format::{Colour, PixelFormat};
use crate::console::Guest;
use crate::console::font::{self, CELL_HEIGHT, CELL_WIDTH};

/// Rows of a cell that the cursor fills.
const CURSOR: std::ops::Range<u16> = 13..15;
/// How far the pointer's cross reaches from its middle, in pixels.
const POINTER_ARM: i32 = 4;

/// The pointer as far as a band shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cross {
    x: i32,
    /// From the band's upper edge, so it may be negative.
    y: i32,
    pressed: bool,
}

impl Cross {
    fn covers(self, x: i32, y: i32) -> bool {
        let (dx, dy) = ((x - self.x).abs(), (y - self.y).abs());
        dx.min(dy) == 0 && dx.max(dy) <= POINTER_ARM
    }
}

/// One line of the screen. Bands that are equal look equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Band {
    cells: Vec<char>,
    cursor: Option<usize>,
    cross: Option<Cross>,
}

/// The whole screen at one time.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    /// Width and height.
    pub(super) pixels: (u16, u16),
    /// Which change of the screen it shows.
    pub(super) generation: u64,
    /// From top to bottom.
    pub(super) bands: Vec<Band>,
}

/// How many bands a height has; the last may be cut.
pub(super) fn bands_in(height: u16) -> usize {
    usize::from(height.div_ceil(CELL_HEIGHT))
}

impl Picture {
    /// What a guest shows.
    pub(super) fn of(guest: &Guest) -> Self {
        let (terminal, pixels) = (guest.terminal(), guest.pixels());
        let (column, row) = terminal.cursor();
        let bands = (0_i32..).take(bands_in(pixels.1)).zip(0..);
        let bands = bands.map(|(number, index)| {
            let top = number * i32::from(CELL_HEIGHT);
            let cross = guest.pointer().map(|pointer| Cross {
                x: i32::from(pointer.x),
                y: i32::from(pointer.y) - top,
                pressed: pointer.buttons != 0,
            });
            let reach = -POINTER_ARM..i32::from(CELL_HEIGHT) + POINTER_ARM;
            Band {
                cells: terminal.row(index).to_vec(),
                cursor: (index == row).then_some(column),
                cross: cross.filter(|cross| reach.contains(&cross.y)),
            }
        });
        Self {
            pixels,
            generation: guest.generation(),
            bands: bands.collect(),
        }
    }
}

impl Band {
    /// Adds the band's pixels, row by row.
    pub(super) fn draw(&self, out: &mut BytesMut, format: &PixelFormat, width: u16, height: u16) {
        let glyphs = self
            .cells
            .iter()
            .map(|cell| font::glyph(*cell))
            .collect::<Vec<_>>();
        for y in 0..height {
            for x in 0..width {
                let cell = usize::from(x / CELL_WIDTH);
                let row = glyphs.get(cell).and_then(|glyph| glyph.get(usize::from(y)));
                let lit = row.is_some_and(|row| row >> (x % CELL_WIDTH) & 1 == 1)
                    || (self.cursor == Some(cell) && CURSOR.contains(&y));
                let cross = self
                    .cross
                    .filter(|cross| cross.covers(i32::from(x), i32::from(y)));
                let colour = match (cross, lit) {
                    (Some(Cross { pressed: true, .. }), _) => Colour::Red,
                    (Some(_), _) => Colour::Yellow,
                    (None, true) => Colour::Grey,
                    (None, false) => Colour::Black,
                };
                format.put(out, colour);
            }
        }
    }
}
