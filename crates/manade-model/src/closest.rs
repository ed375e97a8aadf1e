//! "Did you mean": the candidate that a misspelt name is nearest to.

/// The candidate nearest to `name`, where one is near enough to be meant. Case, `_` and `-` do not count, so that
/// `max_event` finds `maxEvent`; otherwise a third of the letters may differ
/// (Damerau-Levenshtein). Of equally near ones, the first with the same first letter is taken.
pub fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(name);
    let allowed = (wanted.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, candidate)| (*distance, plain(candidate).chars().next() != wanted.chars().next()))
        .map(|(_, candidate)| candidate)
}

/// The first letters decide long before the last: a very long name is not compared to its end.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).take(100).collect()
}

#[cfg(test)]
mod tests;
