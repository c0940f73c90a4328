//! Two-way tables: bringing one table to the margins of another, and how much two variables tell of
//! each other. Tables are row-major with a given number of columns.

/// Rounds of proportional fitting; each makes the error smaller by a factor.
const ROUNDS: usize = 50;
/// Relative error of the margins at which it is enough.
const ENOUGH: f64 = 1e-6;

/// The table with the associations of `table` and the margins of `margins`, by iterative proportional
/// fitting (Deming & Stephan 1940). Half a unit is added to each cell, so that one that was never seen
/// can be filled. All zeros if `margins` is.
pub fn rake(table: &[f64], margins: &[i64], columns: usize) -> Vec<f64> {
    let rows = table.len() / columns;
    let (row_target, column_target) = sums(&margins.iter().map(|m| *m as f64).collect::<Vec<_>>(), columns);
    let mut fitted: Vec<f64> = table.iter().map(|t| t + 0.5).collect();
    for _ in 0..ROUNDS {
        let (row_sums, _) = sums(&fitted, columns);
        scale(&mut fitted, columns, |row, _| ratio(row_target[row], row_sums[row]));
        let (_, column_sums) = sums(&fitted, columns);
        scale(&mut fitted, columns, |_, column| ratio(column_target[column], column_sums[column]));
        let (row_sums, _) = sums(&fitted, columns);
        let error = (0..rows).map(|row| (row_sums[row] - row_target[row]).abs()).fold(0.0, f64::max);
        if error <= ENOUGH * row_target.iter().sum::<f64>() {
            break;
        }
    }
    fitted
}

/// The table with the shares within rows of `table` and the shares of rows of `current`; it sums to what
/// `table` does. A row that `table` never saw is as in `current`: nothing can be said of it.
pub fn match_rows(table: &[f64], current: &[i64], columns: usize) -> Vec<f64> {
    let current: Vec<f64> = current.iter().map(|c| *c as f64).collect();
    let (known, _) = sums(table, columns);
    let (target, _) = sums(&current, columns);
    let size = ratio(table.iter().sum(), current.iter().sum());
    let cell = |i: usize| {
        let row = i / columns;
        if known[row] > 0.0 { table[i] / known[row] * target[row] * size } else { current[i] * size }
    };
    (0..table.len()).map(cell).collect()
}

/// The same table with rows and columns changed for each other; `columns` are those it has now.
pub fn transpose<T: Copy>(table: &[T], columns: usize) -> Vec<T> {
    (0..columns).flat_map(|column| table.iter().skip(column).step_by(columns).copied()).collect()
}

/// Mutual information in nats of the two variables of a table of counts; 0 for an empty one.
pub fn mutual_information(table: &[f64], columns: usize) -> f64 {
    let total: f64 = table.iter().sum();
    if total <= 0.0 {
        return 0.0;
    }
    let (rows, column_sums) = sums(table, columns);
    let term = |(i, count): (usize, &f64)| {
        let independent = rows[i / columns] * column_sums[i % columns] / total;
        if *count > 0.0 { count / total * (count / independent).ln() } else { 0.0 }
    };
    table.iter().enumerate().map(term).sum::<f64>().max(0.0)
}

fn ratio(target: f64, sum: f64) -> f64 {
    if sum > 0.0 { target / sum } else { 0.0 }
}

fn scale(table: &mut [f64], columns: usize, by: impl Fn(usize, usize) -> f64) {
    for (row, cells) in table.chunks_exact_mut(columns).enumerate() {
        cells.iter_mut().enumerate().for_each(|(column, cell)| *cell *= by(row, column));
    }
}

fn sums(table: &[f64], columns: usize) -> (Vec<f64>, Vec<f64>) {
    let rows = table.chunks_exact(columns).map(|row| row.iter().sum()).collect();
    let column = |c: usize| table.iter().skip(c).step_by(columns).sum();
    (rows, (0..columns).map(column).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raked_table_has_the_margins_and_keeps_the_odds() {
        let raked = rake(&[4_000.0, 1_000.0, 1_000.0, 4_000.0], &[500, 300, 100, 100], 2);
        let (rows, columns) = sums(&raked, 2);
        for (found, expected) in rows.iter().zip([800.0, 200.0]).chain(columns.iter().zip([600.0, 400.0])) {
            assert!((found - expected).abs() < 1e-2, "{raked:?}");
        }
        let odds = raked[0] * raked[3] / raked[1] / raked[2];
        assert!((odds - 16.0).abs() < 0.1, "odds {odds}");
    }

    #[test]
    fn matched_rows_keep_their_shares_and_take_the_others_sums() {
        let matched = match_rows(&[30.0, 10.0, 100.0, 60.0, 0.0, 0.0], &[5, 5, 3, 2, 4, 1], 2);
        let expected = [75.0, 25.0, 31.25, 18.75, 40.0, 10.0];
        assert!(matched.iter().zip(expected).all(|(m, e)| (m - e).abs() < 1e-9), "{matched:?}");
        assert_eq!(match_rows(&[1.0, 1.0], &[0, 0], 2), [0.0, 0.0]);
        assert_eq!(transpose(&[1, 2, 3, 4, 5, 6], 3), [1, 4, 2, 5, 3, 6]);
    }

    #[test]
    fn information_is_that_of_the_table() {
        assert!(mutual_information(&[25.0; 4], 2).abs() < 1e-12);
        assert!((mutual_information(&[50.0, 0.0, 0.0, 50.0], 2) - std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!(mutual_information(&[0.0; 4], 2), 0.0);
        assert!(rake(&[1.0; 4], &[0; 4], 2).iter().all(|cell| *cell == 0.0));
    }
}
