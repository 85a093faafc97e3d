//! The nearest right spelling of a wrong one.

/// The candidate nearest to `wrong`, if it is near enough to have been meant: at most one edit in three
/// characters, where swapping two neighbours is one edit and case does not count.
pub(crate) fn did_you_mean<'c>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    // Longer than any name there is: not worth a table of its length squared.
    const LONGEST: usize = 256;
    if wrong.len() > LONGEST {
        return None;
    }
    let allowed = (wrong.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (distance(wrong, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `"a", "b" or "c"` with the joining word given; `none` where there are none.
pub(crate) fn listed<'c>(names: impl IntoIterator<Item = &'c str>, joined_by: &str) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} {joined_by} {last}", rest.join(", ")),
    }
}

/// Optimal string alignment.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (above[j] + usize::from(x != y))
                .min(above[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row[j + 1] = best;
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_named_and_the_far_are_not() {
        let names = ["index", "mapping", "in_flight", "linger"];
        for (wrong, expected) in [
            ("indx", Some("index")),
            ("inedx", Some("index")),
            ("Index", Some("index")),
            ("inflight", Some("in_flight")),
            ("in-flight", Some("in_flight")),
            ("maping", Some("mapping")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(wrong, names), expected, "{wrong}");
        }
    }

    #[test]
    fn names_are_listed_as_a_sentence_would() {
        assert_eq!(listed([], "or"), "none");
        assert_eq!(listed(["a"], "or"), "\"a\"");
        assert_eq!(listed(["a", "b", "c"], "or"), "\"a\", \"b\" or \"c\"");
    }
}
