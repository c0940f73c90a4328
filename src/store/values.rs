//! Many rows in one statement. Both databases take `values (…), (…)`; the text depends on the number of rows
//! alone, in powers of two, so that few statements are prepared.

use std::fmt::Write as _;

/// Most rows in one statement: with ten columns well below SQLite's 32,766 parameters.
const MOST: usize = 1_024;

/// Cuts rows into as many as one statement takes: first full ones, then ever smaller powers of two.
pub(super) fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let largest = 1 << rows.len().checked_ilog2()?;
        let (first, rest) = rows.split_at(largest.min(MOST));
        rows = rest;
        Some(first)
    })
}

/// `($1, $2), ($3, $4)` for so many rows of so many columns.
pub(super) fn placeholders(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            let comma = if column == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}${}", row * columns + column + 1);
        }
        text.push(')');
    }
    text
}

/// `$3, $4, $5` for so many values after so many others.
pub(super) fn list(after: usize, count: usize) -> String {
    (after + 1..=after + count).map(|i| format!("${i}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_few_shapes() {
        let rows: Vec<usize> = (0..2_500).collect();
        let sizes: Vec<usize> = chunks(&rows).map(<[usize]>::len).collect();
        assert_eq!(sizes, [1_024, 1_024, 256, 128, 64, 4]);
        assert_eq!(chunks(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        assert_eq!(chunks(&rows[..0]).count(), 0);
    }

    #[test]
    fn parameters_are_numbered_through() {
        assert_eq!((placeholders(2, 2), list(2, 3)), ("($1, $2), ($3, $4)".to_owned(), "$3, $4, $5".to_owned()));
    }
}
