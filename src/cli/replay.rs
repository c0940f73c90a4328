//! Arguments of `driftd replay-set`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{ConfigFile, parse_time};
use crate::drift::time::Timestamp;

/// `driftd replay-set`
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The model's manifest: it names the tasks and their classes
    #[arg(long, short)]
    pub manifest: PathBuf,
    /// Records to draw from: JSONL, plain, .gz or .zst; may be repeated
    #[arg(long, short, required = true)]
    pub input: Vec<PathBuf>,
    /// Label records that belong to them by their id; may be repeated
    #[arg(long)]
    pub labels: Vec<PathBuf>,
    /// Where to write the records and `manifest.json`: a folder, or `s3://bucket/prefix`, reached by what the
    /// environment says (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`, or a role)
    #[arg(long, short, value_name = "FOLDER|URL")]
    pub output: Destination,
    /// How the records are written: JSON lines, or Parquet with typed columns
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// The retraining request that it is for: a file with what its hook was told, or its id in the store; names
    /// the alarm's time, the seed and the sizes. By its id an open request covers its alerts' time so far; what its
    /// hook was told, and the `manifest.json` of a set, draw the same again
    #[arg(long, value_name = "FILE|ID")]
    pub request: Option<String>,
    /// Where the store is, if the request is given by its id.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Begin of the alarm's time, where no request names it or it began earlier
    #[arg(long, value_parser = parse_time)]
    pub alarm_from: Option<Timestamp>,
    /// End of the alarm's time; later records are left out
    #[arg(long, value_parser = parse_time)]
    pub alarm_to: Option<Timestamp>,
    /// Everything random follows from it and from the records' ids; the request's id by default
    #[arg(long, value_name = "TEXT")]
    pub seed: Option<String>,
    /// Records in all, about; 10,000 by default, 50,000 for a reference
    #[arg(long, value_name = "N")]
    pub size: Option<u32>,
    /// Records of every class of every task, as far as there are so many; 50 by default
    #[arg(long, value_name = "N")]
    pub floor: Option<u32>,
    /// Share of records of the alarm's time, at most; 0.5 by default, and no more
    #[arg(long, value_name = "SHARE")]
    pub alarm_share: Option<f64>,
    /// Share of records that are never drawn, always the same ones, to judge models on; 0.1 by default
    #[arg(long, value_name = "SHARE")]
    pub holdout: Option<f64>,
    /// Leave out records of which no label is known
    #[arg(long)]
    pub labelled: bool,
    /// Write the whole records, texts included; without it only ids, labels, weights and strata
    #[arg(long)]
    pub with_text: bool,
    /// Draw from the held-out records instead, uniformly, for `driftd reference fit`
    #[arg(long, conflicts_with_all = ["floor", "alarm_share", "labelled"])]
    pub reference: bool,
}

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `records.jsonl`
    #[default]
    Jsonl,
    /// `records.parquet`
    Parquet,
}

/// Where a set is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of an object store.
    Bucket {
        /// Its name.
        name: String,
        /// What its objects' names begin with; may be empty.
        prefix: String,
    },
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Destination, String> {
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(Destination::Folder(text.into())) };
        if scheme != "s3" {
            return Err(format!("`{scheme}://` is not known; expected a folder or `s3://bucket/prefix`"));
        }
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() {
            return Err("expected the name of a bucket, as in `s3://bucket/prefix`".to_owned());
        }
        Ok(Destination::Bucket { name: name.to_owned(), prefix: prefix.trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Folder(folder) => write!(f, "{}", folder.display()),
            Destination::Bucket { name, prefix } => write!(f, "s3://{name}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_folder_or_a_bucket() {
        let bucket = |name: &str, prefix: &str| Destination::Bucket { name: name.into(), prefix: prefix.into() };
        for (text, expected) in [
            ("set", Destination::Folder("set".into())),
            ("/a/b", Destination::Folder("/a/b".into())),
            ("s3://b/p/q/", bucket("b", "p/q")),
            ("s3://b", bucket("b", "")),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for (wrong, why) in [("gs://b/p", "`gs://`"), ("s3:///p", "name of a bucket")] {
            assert!(wrong.parse::<Destination>().expect_err(wrong).contains(why), "{wrong}");
        }
    }
}
