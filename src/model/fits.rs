//! Whether a reference belongs to a model.

use std::io;

use sha2::{Digest as _, Sha256};

use super::Manifest;
use super::manifest::RawTokenizer;
use crate::drift::observation::HeadSource;
use crate::drift::reference::{Reference, ReferenceKind};
use crate::drift::words;

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
    if reference.heads == HeadSource::Inference && manifest.onnx.is_none() {
        reasons.push(
            "its heads were fed from the model's own answers, and the manifest names no model (`onnx`): fit it again \
             from records that carry production's answers"
                .to_owned(),
        );
    }
    if let Some(fitted_with) = &reference.tokenizer {
        reasons.extend(cut_otherwise(manifest, reference.kind, fitted_with)?);
    }
    Ok(reasons)
}

/// Said where a reference's texts were cut otherwise than the manifest's are.
fn cut_otherwise(manifest: &Manifest, kind: ReferenceKind, fitted_with: &str) -> io::Result<Option<String>> {
    Ok(match (&manifest.tokenizer, fitted_with) {
        (None, words::NAME) => None,
        (Some(raw), words::NAME) => Some(format!(
            "its texts were cut into words, and the manifest names the tokenizer `{}`: fit it again, or leave out \
             `tokenizer` and `onnx`",
            raw.file.display()
        )),
        (None, _) => Some(
            "its texts were cut by a tokenizer, and the manifest names none, so that texts are cut into words: fit it \
             again, or name the `tokenizer`"
                .to_owned(),
        ),
        (Some(_), _) if kind == ReferenceKind::OtherVersion => None,
        (Some(_), _) if fitted_with == cut_by(manifest)? => None,
        (Some(raw), _) => Some(format!(
            "it was fitted with another tokenizer than `{}`: fit it again, or name the tokenizer that the model was \
             exported with",
            raw.file.display()
        )),
    })
}

/// Said where the manifest asks for other segments than the reference knows.
pub fn segments_of_reference(manifest: &Manifest, reference: &Reference) -> Option<String> {
    let asked = manifest.spec.segments.as_ref().filter(|asked| reference.spec.segments.as_ref() != Some(*asked))?;
    let known: Vec<&String> = reference.segments.iter().map(|segment| &segment.tag).collect();
    let same = asked.len() == known.len() && asked.iter().all(|tag| known.contains(&tag));
    let list = |tags: &[&String]| match tags {
        [] => "none".to_owned(),
        tags => tags.iter().map(|tag| format!("`{tag}`")).collect::<Vec<_>>().join(", "),
    };
    (!same).then(|| {
        format!(
            "the manifest's `segments` are {}, and the reference was fitted with {}: the reference decides. Fit it again \
             to watch others",
            list(&asked.iter().collect::<Vec<_>>()),
            list(&known)
        )
    })
}

/// What the manifest's texts are cut by, as references note it: the SHA-256 of its tokenizer's file in hexadecimal, or
/// the name of the way words are cut.
///
/// # Errors
/// If the file cannot be read; it is told.
pub fn cut_by(manifest: &Manifest) -> io::Result<String> {
    let Some(RawTokenizer { file, .. }) = &manifest.tokenizer else { return Ok(words::NAME.to_owned()) };
    let told = |error: io::Error| {
        io::Error::new(error.kind(), format!("the tokenizer `{}` cannot be read: {error}", file.display()))
    };
    let bytes = std::fs::read(file).map_err(told)?;
    Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
