//! Forbidden words in any file of the repository.

use super::{Problem, SourceFile};

/// Put together here, so that this file does not hold them.
const WORDS: [(&str, &str); 6] = [
    (concat!("TO", "DO"), "finish it, or open an issue"),
    (concat!("FIX", "ME"), "mend it, or open an issue"),
    (concat!("XX", "X:"), "say what is meant"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("sha", "red/"), "a folder outside the project"),
];
/// Not ours to change, or data.
const EXEMPT: [&str; 3] = ["Cargo.lock", "LICENSE", "examples/flights/data/"];

pub fn check(file: &SourceFile) -> Vec<Problem> {
    if EXEMPT.iter().any(|exempt| file.path.starts_with(exempt)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        for (word, why) in WORDS {
            if line.match_indices(word).any(|(place, _)| stands_alone(line, place, word)) {
                found.push(Problem { path: file.path.clone(), line: number + 1, message: format!("{word}: {why}") });
            }
        }
    }
    found
}

/// Letters around a word make it another one; a path may go on behind its slash.
fn stands_alone(line: &str, place: usize, word: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    let after = &line[place + word.len()..];
    !line[..place].ends_with(letter) && (!word.ends_with(letter) || !after.starts_with(letter))
}
