//! Glyphs of the text console: a 9×15 bitmap font in cells of VGA's text mode, 9×16 pixels.

use std::convert::Infallible;
use std::sync::LazyLock;

use embedded_graphics::Drawable as _;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::FONT_9X15;
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::text::{Baseline, Text};

/// Pixels of a cell from left to right.
pub(crate) const CELL_WIDTH: u16 = 9;
/// Pixels of a cell from top to bottom.
pub(crate) const CELL_HEIGHT: u16 = 16;

/// The rows of a glyph; bit 0 is the leftmost pixel.
pub(crate) type Glyph = [u16; CELL_HEIGHT as usize];

struct Cell(Glyph);

impl OriginDimensions for Cell {
    fn size(&self) -> Size {
        Size::new(u32::from(CELL_WIDTH), u32::from(CELL_HEIGHT))
    }
}

impl DrawTarget for Cell {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<BinaryColor>>,
    {
        for Pixel(Point { x, y }, colour) in pixels {
            let row = usize::try_from(y).ok().and_then(|y| self.0.get_mut(y));
            let place = u32::try_from(x).ok().filter(|x| *x < u32::from(CELL_WIDTH));
            if let (Some(row), Some(place), BinaryColor::On) = (row, place, colour) {
                *row |= 1 << place;
            }
        }
        Ok(())
    }
}

static GLYPHS: LazyLock<Vec<Glyph>> = LazyLock::new(|| (0..=u8::MAX).map(char::from).map(drawn).collect());

fn drawn(character: char) -> Glyph {
    let mut cell = Cell([0; CELL_HEIGHT as usize]);
    let mut buffer = [0; 4];
    let style = MonoTextStyle::new(&FONT_9X15, BinaryColor::On);
    let text = Text::with_baseline(
        character.encode_utf8(&mut buffer),
        Point::zero(),
        style,
        Baseline::Top,
    );
    // Drawing into a cell cannot fail.
    let _ = text.draw(&mut cell);
    cell.0
}

/// The glyph of a character; a question mark's for those that Latin-1 does not have.
pub(crate) fn glyph(character: char) -> Glyph {
    let index = if character.is_control() { '?' } else { character };
    let index = u8::try_from(index).unwrap_or(b'?');
    GLYPHS
        .get(usize::from(index))
        .copied()
        .unwrap_or([0; CELL_HEIGHT as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_differ_and_a_blank_is_empty() {
        assert_eq!(glyph(' '), [0; 16]);
        assert_ne!(glyph('a'), glyph('b'));
        assert_ne!(glyph('ü'), glyph('u'));
        assert!(glyph('M').iter().all(|row| *row < 1 << CELL_WIDTH));
    }

    #[test]
    fn characters_without_a_glyph_look_like_question_marks() {
        for character in ['語', '\u{7}', '\u{10FFFF}'] {
            assert_eq!(glyph(character), glyph('?'));
        }
    }
}
