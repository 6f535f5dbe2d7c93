//! A grid of characters with a cursor: what a text mode screen is.

/// The smallest grid, columns and rows.
pub(crate) const SMALLEST: (usize, usize) = (20, 5);
/// The largest grid: 5120×2160 pixels hold no more.
pub(crate) const LARGEST: (usize, usize) = (568, 135);

/// A text screen.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    columns: usize,
    rows: usize,
    lines: Vec<Vec<char>>,
    column: usize,
    row: usize,
}

impl Terminal {
    /// An empty screen; sizes are brought into their limits.
    pub(crate) fn new(columns: usize, rows: usize) -> Self {
        let columns = columns.clamp(SMALLEST.0, LARGEST.0);
        let rows = rows.clamp(SMALLEST.1, LARGEST.1);
        Self {
            columns,
            rows,
            lines: vec![vec![' '; columns]; rows],
            column: 0,
            row: 0,
        }
    }

    /// The cursor's column and row.
    pub(crate) fn cursor(&self) -> (usize, usize) {
        (self.column.min(self.columns.saturating_sub(1)), self.row)
    }

    /// The characters of a row.
    pub(crate) fn row(&self, row: usize) -> &[char] {
        self.lines.get(row).map_or(&[], Vec::as_slice)
    }

    /// The rows as text, without the blanks at their ends.
    pub(crate) fn text(&self) -> Vec<String> {
        self.lines
            .iter()
            .map(|line| line.iter().collect::<String>().trim_end().to_owned())
            .collect()
    }

    /// Writes text; `\n` begins a new line.
    pub(crate) fn write(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '\n' => self.new_line(),
                other if other.is_control() => {}
                other => self.put(other),
            }
        }
    }

    fn put(&mut self, character: char) {
        if self.column >= self.columns {
            self.new_line();
        }
        let place = self
            .lines
            .get_mut(self.row)
            .and_then(|line| line.get_mut(self.column));
        if let Some(place) = place {
            *place = character;
        }
        self.column += 1;
    }

    fn new_line(&mut self) {
        self.column = 0;
        self.row += 1;
        if self.row >= self.rows {
            self.row = self.rows.saturating_sub(1);
            self.lines.rotate_left(1);
            if let Some(last) = self.lines.last_mut() {
                last.fill(' ');
            }
        }
    }

    /// Takes back the character before the cursor, over the edge of a line too.
    pub(crate) fn rub_out(&mut self) {
        if self.column == 0 {
            if self.row == 0 {
                return;
            }
            self.row -= 1;
            self.column = self.columns;
        }
        self.column -= 1;
        let place = self
            .lines
            .get_mut(self.row)
            .and_then(|line| line.get_mut(self.column));
        if let Some(place) = place {
            *place = ' ';
        }
    }

    /// Empties the screen.
    pub(crate) fn clear(&mut self) {
        for line in &mut self.lines {
            line.fill(' ');
        }
        (self.column, self.row) = (0, 0);
    }

    /// Takes another size; the lines around the cursor stay, long ones are cut.
    pub(crate) fn resize(&mut self, columns: usize, rows: usize) {
        let mut next = Self::new(columns, rows);
        let above = (self.row + 1).saturating_sub(next.rows);
        for (new, old) in next.lines.iter_mut().zip(self.lines.iter().skip(above)) {
            for (to, from) in new.iter_mut().zip(old) {
                *to = *from;
            }
        }
        next.row = self.row - above;
        next.column = self.column.min(next.columns);
        *self = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(terminal: &Terminal) -> (usize, usize) {
        (terminal.columns, terminal.lines.len())
    }

    fn shown(terminal: &Terminal) -> String {
        terminal.text().join("\n").trim_end().to_owned()
    }

    #[test]
    fn long_lines_wrap_and_a_full_screen_scrolls() {
        let mut terminal = Terminal::new(20, 5);
        terminal.write("0123456789012345678901\n");
        assert_eq!(shown(&terminal), "01234567890123456789\n01");
        terminal.write("a\nb\nc\nd");
        assert_eq!(shown(&terminal), "01\na\nb\nc\nd");
        assert_eq!(terminal.cursor(), (1, 4));
    }

    #[test]
    fn rubbing_out_goes_back_over_the_edge_and_stops_at_the_top() {
        let mut terminal = Terminal::new(20, 5);
        terminal.write("012345678901234567890");
        terminal.rub_out();
        terminal.rub_out();
        assert_eq!(shown(&terminal), "0123456789012345678");
        for _ in 0..50 {
            terminal.rub_out();
        }
        assert_eq!((shown(&terminal).as_str(), terminal.cursor()), ("", (0, 0)));
    }

    #[test]
    fn a_smaller_screen_keeps_the_lines_up_to_the_cursor() {
        let mut terminal = Terminal::new(40, 10);
        terminal.write("1\n2\n3\n4\n5\n6\n7: ");
        terminal.resize(30, 5);
        assert_eq!(shown(&terminal), "3\n4\n5\n6\n7:");
        assert_eq!(terminal.cursor(), (3, 4));
        terminal.resize(40, 10);
        assert_eq!(terminal.cursor(), (3, 4));
    }

    #[test]
    fn sizes_stay_within_their_limits() {
        assert_eq!(size(&Terminal::new(0, 0)), SMALLEST);
        assert_eq!(size(&Terminal::new(usize::MAX, usize::MAX)), LARGEST);
    }
}
