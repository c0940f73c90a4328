//! Several messages as one, for people: what waited while a receiver could not be reached, and what
//! belongs together.

use super::words::{Words, cut};

/// Alerts listed by name before the rest is counted.
const MOST_LISTED: usize = 20;
/// A title in the list is cut here, so that the list fits every receiver's limit.
const MOST_TITLE: usize = 120;

/// One message for several; a single one stays as it is. `late` tells that they waited.
pub fn digest(words: Vec<Words>, late: bool, public_url: Option<&str>) -> Option<Words> {
    if words.len() < 2 {
        return words.into_iter().next();
    }
    let over = words.iter().filter(|w| w.over).count();
    let going_on = words.len() - over;
    let on = if going_on == 1 { "1 message".to_owned() } else { format!("{going_on} messages") };
    let ended = if over == 1 { "1 alert is over".to_owned() } else { format!("{over} alerts are over") };
    let counted = match (going_on, over) {
        (_, 0) => on,
        (0, _) => ended,
        _ => format!("{on}, and {ended}"),
    };
    let title = if late { format!("While this receiver could not be reached: {counted}") } else { counted };
    let severity = words.iter().filter(|w| !w.over).map(|w| w.severity).max();
    let severity = severity.unwrap_or_else(|| words.iter().map(|w| w.severity).max().unwrap_or_default());
    // What goes on comes first, the most urgent of it at the top.
    let mut listed: Vec<&Words> = words.iter().collect();
    listed.sort_by_key(|w| (w.over, std::cmp::Reverse(w.severity)));
    let mut facts: Vec<(&'static str, String)> =
        listed.iter().take(MOST_LISTED).map(|w| (w.severity_name(), cut(&w.title, MOST_TITLE))).collect();
    if let more @ 1.. = words.len().saturating_sub(MOST_LISTED) {
        facts.push(("more", format!("{more} further ones; the dashboard lists all")));
    }
    let link = public_url.map(|url| format!("{}/#/alerts", url.trim_end_matches('/')));
    Some(Words { title, facts, link, severity, over: going_on == 0 })
}

#[cfg(test)]
mod tests {
    use super::super::message::samples;
    use super::super::words::words;
    use super::*;
    use crate::drift::severity::Severity;

    #[test]
    fn what_goes_on_comes_before_what_is_over() {
        let firing = words(&samples::read(&samples::alert("drift.alarm.firing")), None);
        let over = words(&samples::read(&samples::alert("drift.alarm.resolved")), None);
        let one = digest(vec![firing.clone()], true, None).expect("one");
        assert_eq!(one, firing, "one message stays as it is");
        let both = digest(vec![over, firing], true, Some("https://d.example")).expect("both");
        assert_eq!(both.title, "While this receiver could not be reached: 1 message, and 1 alert is over");
        assert!(both.facts[0].1.starts_with("Drift: ") && both.facts[1].1.starts_with("Over: "), "{both:?}");
        assert_eq!((both.severity, both.over), (Severity::Critical, false));
        assert_eq!(both.link.as_deref(), Some("https://d.example/#/alerts"));
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let firing = words(&samples::read(&samples::alert("drift.alarm.firing")), None);
        let many = digest(vec![firing; 500], false, None).expect("many");
        assert_eq!((many.title.as_str(), many.facts.len()), ("500 messages", MOST_LISTED + 1));
        assert_eq!(many.facts[MOST_LISTED].1, "480 further ones; the dashboard lists all");
    }
}
