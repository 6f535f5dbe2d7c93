//! Lists: tables for people, JSON for programs.

use serde::Serialize;

use super::{CliError, Console, Exit};

/// Prints the answer of a command that lists things: as JSON if asked for, else a row for each under the headings.
pub(super) fn list<T: Serialize, const N: usize>(
    console: &mut Console<'_>,
    json: bool,
    items: &[T],
    headings: [&str; N],
    cells: impl Fn(&T) -> [String; N],
) -> Result<Exit, CliError> {
    if json {
        console.print_json(&items)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&headings);
    for item in items {
        table.row(cells(item));
    }
    console.print(&table.render())?;
    Ok(Exit::Done)
}

/// Rows under headings, columns as wide as their content.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(|&heading| heading.to_owned()).collect()],
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    pub(super) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell: &String| cell.chars().count())
                .max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// The text without what a terminal would act on.
fn printable(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_control_characters_do_not_reach_the_terminal() {
        let mut table = Table::new(&["ID", "NAME"]);
        table.row(["anna".to_owned(), String::new()]);
        table.row(["b".to_owned(), "\u{1b}[31mred".to_owned()]);
        assert_eq!(table.render(), "ID    NAME\nanna  -\nb     \u{fffd}[31mred\n");
    }
}
