//! `driftd reference list` and `activate`: what is kept in the store, and what models are compared with.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::{decode_reference, runtime, write_output};
use crate::cli::{Activate, ConfigFile};
use crate::clock;
use crate::config::{self, Config};
use crate::drift::guarantee::Guarantee;
use crate::drift::reference::Reference;
use crate::model::Manifest;
use crate::store::{KeptReference, ReferenceRow, ReferenceStore as _, SqlStore, TallyStore as _};

/// Lists all references of the store.
///
/// # Errors
/// If the configuration is invalid or the store cannot be read.
pub fn list(args: &ConfigFile) -> anyhow::Result<()> {
    let config = config::load(&args.config)?;
    let kept = runtime()?.block_on(async {
        let store = SqlStore::open(&config.store.0).await?;
        let kept = store.references().await?;
        store.close().await;
        anyhow::Ok(kept)
    })?;
    write_output(None, &table(&kept))
}

fn table(kept: &[KeptReference]) -> String {
    if kept.is_empty() {
        return "the store holds no reference; `driftd reference activate FILE` puts one there\n".to_owned();
    }
    let mut text = format!(
        "{:<17} {:<20} {:<10} {:<15} {:>9} {:>8} {:<12} {:<21} {:<21} used\n",
        "reference", "model", "version", "kind", "records", "windows", "guarantee", "from", "to"
    );
    for KeptReference { row, active, in_use } in kept {
        let guarantee: Option<Guarantee> = serde_json::from_str(&row.guarantee).ok();
        let used = match (active, in_use) {
            (true, true) => "active, in use",
            (true, false) => "active",
            (false, true) => "in use",
            (false, false) => "",
        };
        let second = |time: crate::drift::time::Timestamp| time.to_string().chars().take(19).collect::<String>();
        let _ = writeln!(
            text,
            "{:<17} {:<20} {:<10} {:<15} {:>9} {:>8} {:<12} {:<21} {:<21} {used}",
            row.reference_id,
            row.model,
            row.version,
            row.kind,
            row.records,
            row.windows,
            guarantee.map_or("unknown", |g| g.status.name()),
            second(row.first),
            second(row.last),
        );
    }
    text
}

/// Stores a reference file, or finds one of the store, and makes it its model's active one.
///
/// # Errors
/// If it does not fit the model's manifest, or the store cannot be written.
pub fn activate(args: &Activate) -> anyhow::Result<()> {
    let config = config::load(&args.config.config)?;
    runtime()?.block_on(async {
        let store = SqlStore::open(&config.store.0).await?;
        let reference = find(&store, &config, &args.reference).await?;
        let row = ReferenceRow::of(&reference, clock::now());
        store.activate(&row, clock::now()).await?;
        store.close().await;
        let mut text = format!("{} is active for model {}\n", row.reference_id, row.model);
        match pinned(&config, &row.model)? {
            Some(file) => {
                let _ =
                    writeln!(text, "but the configuration names `{file}`, which goes first: remove `reference` there");
            }
            None => text.push_str("a daemon that runs takes it at its next start\n"),
        }
        write_output(None, &text)
    })
}

async fn find(store: &SqlStore, config: &Config, what: &str) -> anyhow::Result<Reference> {
    let path = Path::new(what);
    let bytes = if path.exists() {
        std::fs::read(path).with_context(|| format!("the reference `{what}` cannot be read"))?
    } else {
        let kept = store.reference(what).await?;
        kept.with_context(|| format!("`{what}` is neither a file nor the id of a reference in the store"))?.body
    };
    let model = Reference::decode(&bytes).with_context(|| format!("`{what}`"))?.spec.name;
    for watched in &config.models {
        let manifest = Manifest::load(&watched.manifest)?;
        if manifest.spec.name == model {
            return decode_reference(&bytes, what, &manifest);
        }
    }
    bail!("the reference is of model `{model}`, which the configuration does not watch")
}

/// The file that the configuration names for a model.
fn pinned(config: &Config, model: &str) -> anyhow::Result<Option<String>> {
    for watched in &config.models {
        if Manifest::load(&watched.manifest)?.spec.name == model {
            return Ok(watched.reference.as_ref().map(|file| file.display().to_string()));
        }
    }
    Ok(None)
}
