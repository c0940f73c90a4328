//! Ids that are made from what they name, so that doing a step again writes the same rows.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// A stable id: a prefix and sixteen hexadecimal digits of a digest of what it names.
pub fn stable_id(prefix: &str, parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    digest.finalize()[..8].iter().fold(format!("{prefix}_"), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

#[cfg(test)]
mod tests {
    use super::stable_id;

    #[test]
    fn parts_are_told_apart() {
        assert_eq!(stable_id("al", &["a", "b"]), stable_id("al", &["a", "b"]));
        assert_ne!(stable_id("al", &["a", "b"]), stable_id("al", &["ab"]));
        assert_eq!(stable_id("al", &["a"]).len(), "al_".len() + 16);
    }
}
