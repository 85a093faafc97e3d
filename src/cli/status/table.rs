//! Tables for people: columns as wide as what is in them, numbers to the right.

/// A table that is being filled.
#[derive(Debug)]
pub(in crate::cli) struct Table {
    rows: Vec<Vec<String>>,
}

// === impl Table ===

impl Table {
    /// With these names above the columns.
    pub(in crate::cli) fn new(names: &[&str]) -> Self {
        Self {
            rows: vec![names.iter().map(|&name| name.to_owned()).collect()],
        }
    }

    /// One more line; cells at its end may be left out.
    pub(in crate::cli) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// All of it, a line each.
    pub(in crate::cli) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let column = |at: usize| self.rows.iter().filter_map(move |row| row.get(at));
        let width = |at| {
            column(at)
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let numbers: Vec<bool> = (0..columns)
            .map(|at| column(at).skip(1).all(|cell| number(cell)))
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).zip(&numbers);
            let cells: Vec<String> = cells
                .map(|((cell, width), number)| {
                    let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
                    if *number {
                        format!("{blanks}{cell}")
                    } else {
                        format!("{cell}{blanks}")
                    }
                })
                .collect();
            text += cells.join("  ").trim_end();
            text.push('\n');
        }
        text
    }
}

/// Whether a cell is a number, perhaps with a unit, or says that there is none.
fn number(cell: &str) -> bool {
    cell.is_empty() || cell == "-" || cell.starts_with(|c: char| c.is_ascii_digit())
}

/// A number, or that it is not known.
pub(in crate::cli) fn count(n: Option<impl ToString>) -> String {
    n.map_or("-".to_owned(), |n| n.to_string())
}

/// How many in a second, or that it is not known.
pub(super) fn rate(per_second: Option<f64>) -> String {
    match per_second {
        None => "-".to_owned(),
        Some(n) if n >= 100.0 => format!("{n:.0}"),
        Some(n) => format!("{n:.1}"),
    }
}

/// Bytes in the unit that people read.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A time, or that it is not known.
pub(in crate::cli) fn seconds(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(s) if s < 1.0 => format!("{:.0} ms", s * 1e3),
        Some(s) if s < 120.0 => format!("{s:.1} s"),
        Some(s) if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        Some(s) => format!("{:.0} h", s / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right_and_nothing_trails() {
        let mut table = Table::new(&["NAME", "LAG", "WHY"]);
        table.row(["a".into(), count(Some(12_345)), String::new()]);
        table.row(["表.redis".into(), count(None::<u64>), "no broker".into()]);
        assert_eq!(
            table.text(),
            "NAME       LAG  WHY\na        12345\n表.redis      -  no broker\n"
        );
    }

    #[test]
    fn times_are_short() {
        let shown = [0.0123, 5.25, 600.0, 90_000.0].map(|s| seconds(Some(s)));
        assert_eq!(shown, ["12 ms", "5.2 s", "10 min", "25 h"]);
    }
}
