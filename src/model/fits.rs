//! Whether a reference belongs to a model.

use std::io;

use sha2::{Digest as _, Sha256};

use super::Manifest;
use crate::drift::reference::{Reference, ReferenceKind};

/// Why a reference cannot be used with a model; empty if it can.
///
/// # Errors
/// If the tokenizer cannot be read; its file is told.
pub fn misfits(manifest: &Manifest, reference: &Reference) -> io::Result<Vec<String>> {
    let (ours, theirs) = (&manifest.spec, &reference.spec);
    let mut reasons = Vec::new();
    let same_version = ours.version == theirs.version || reference.kind == ReferenceKind::OtherVersion;
    if ours.name != theirs.name || !same_version {
        reasons.push(format!(
            "it was fitted for `{}` version `{}`, the manifest describes `{}` version `{}`",
            theirs.name, theirs.version, ours.name, ours.version
        ));
    }
    if ours.tasks != theirs.tasks {
        reasons.push("tasks, kinds, classes or thresholds differ".to_owned());
    }
    if ours.embedding_dimension != theirs.embedding_dimension {
        let show = |d: Option<usize>| d.map_or_else(|| "no embedding".to_owned(), |d| format!("{d} dimensions"));
        reasons.push(format!(
            "it has {}, the manifest {}",
            show(theirs.embedding_dimension),
            show(ours.embedding_dimension)
        ));
    }
    if ours.attributes != theirs.attributes {
        reasons.push("attributes or their kinds differ".to_owned());
    }
    if let Some(fitted_with) = &reference.tokenizer
        && reference.kind != ReferenceKind::OtherVersion
        && *fitted_with != tokenizer_digest(manifest)?
    {
        reasons.push(format!(
            "it was fitted with another tokenizer than `{}`: fit it again, or name the tokenizer that the model was \
             exported with",
            manifest.tokenizer.file.display()
        ));
    }
    Ok(reasons)
}

/// SHA-256 of the manifest's tokenizer file, in hexadecimal.
///
/// # Errors
/// If it cannot be read; its file is told.
pub fn tokenizer_digest(manifest: &Manifest) -> io::Result<String> {
    let file = &manifest.tokenizer.file;
    let told = |error: io::Error| {
        io::Error::new(error.kind(), format!("the tokenizer `{}` cannot be read: {error}", file.display()))
    };
    let bytes = std::fs::read(file).map_err(told)?;
    Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
