//! Pages of lists: `?limit=` up to 500 and an opaque `?cursor=`.

use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::drift::time::Timestamp;
use crate::store::Page;

const DEFAULT_LIMIT: i64 = 100;
const MOST: i64 = 500;

/// Paging parameters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Rows at most, 1 to 500; 100 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[param(pattern = "^before-[0-9]{1,18}$")]
    cursor: Option<String>,
}

/// One page of a list, newest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct List<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

impl Paging {
    /// The page asked for.
    ///
    /// # Errors
    /// A 400 for a limit out of range or a cursor that is not ours.
    pub fn page(&self) -> Result<Page, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::wrong("limit", "must be between 1 and 500"));
        }
        let before_us = match &self.cursor {
            None => i64::MAX,
            Some(cursor) => cursor
                .strip_prefix("before-")
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| Problem::wrong("cursor", "is not one that this API gave"))?,
        };
        Ok(Page { limit, before_us })
    }
}

/// A page with the cursor that follows its oldest row. Rows that share that row's time are left for
/// the next page together, so that none is skipped.
pub fn list<R, T>(rows: Vec<R>, page: Page, time: impl Fn(&R) -> Timestamp, view: impl Fn(R) -> T) -> List<T> {
    let mut rows = rows;
    let full = rows.len() as i64 == page.limit;
    let oldest = rows.last().map(&time);
    let mut next_cursor = None;
    if let (true, Some(oldest)) = (full, oldest) {
        let kept = rows.iter().take_while(|row| time(row) > oldest).count();
        if kept > 0 {
            rows.truncate(kept);
            let last = rows.last().map(&time).map_or(oldest, |t| t);
            next_cursor = Some(format!("before-{}", last.micros()));
        } else {
            next_cursor = Some(format!("before-{}", oldest.micros()));
        }
    }
    List { data: rows.into_iter().map(view).collect(), next_cursor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let all = [9, 8, 8, 7, 5, 5, 4];
        let mut seen = Vec::new();
        let mut paging = Paging { limit: Some(3), cursor: None };
        loop {
            let page = paging.page().expect("valid");
            let rows: Vec<i64> = all.iter().copied().filter(|t| *t < page.before_us).take(3).collect();
            let list = list(rows, page, |t| Timestamp::from_micros(*t), |t| t);
            seen.extend(list.data);
            match list.next_cursor {
                Some(cursor) => paging.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn wrong_parameters_are_told() {
        for (limit, cursor) in [(Some(0), None), (Some(501), None), (None, Some("x".to_owned()))] {
            assert_eq!(Paging { limit, cursor }.page().expect_err("wrong").status, 400);
        }
    }
}
