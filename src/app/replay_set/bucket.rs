//! A bucket of an object store that speaks S3. Credentials and region are found as other tools of AWS find them:
//! in the environment (`AWS_ACCESS_KEY_ID`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …), by the role
//! of a pod or container, or of the machine.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, RetryConfig};

/// So much is sent at once. S3 wants 5 MiB at least and takes 10,000 parts, so a file may have 160 GB.
const PART: usize = 16 << 20;
/// A store that is away comes back within this, or somebody should look.
const RETRY: Duration = Duration::from_secs(60);
/// Tries after the first: throttling takes a few.
const MOST_RETRIES: usize = 5;
/// Where a machine of EC2 asks for its role; elsewhere nobody answers.
const MACHINE_ROLE: &str = "169.254.169.254";

/// Objects below a prefix.
pub struct Bucket {
    store: AmazonS3,
    name: String,
    prefix: Key,
}

impl Bucket {
    /// A bucket, as the environment tells how to reach it; nothing is asked of it yet.
    ///
    /// # Errors
    /// If the environment contradicts itself, or the prefix is none.
    pub fn of(name: &str, prefix: &str) -> anyhow::Result<Bucket> {
        // The provider is installed once for the process; a second call finds it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let retry = RetryConfig { max_retries: MOST_RETRIES, retry_timeout: RETRY, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(name).with_retry(retry);
        let endpoints = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
        if endpoints.iter().filter_map(|key| std::env::var(key).ok()).any(|url| url.starts_with("http://")) {
            // Who writes so means it.
            builder = builder.with_allow_http(true);
        }
        let store = builder.build().context("the settings of the object store (`AWS_…` in the environment)")?;
        let prefix = Key::parse(prefix).with_context(|| format!("`s3://{name}/{prefix}`"))?;
        Ok(Bucket { store, name: name.to_owned(), prefix })
    }

    /// Whether there is such an object. Who may write and not read cannot know: then there is none.
    ///
    /// # Errors
    /// If the store does not answer, there is no such bucket, or the credentials are none.
    pub async fn holds(&self, file: &str) -> anyhow::Result<bool> {
        match self.store.get(&self.key(file)).await {
            Ok(_) => Ok(true),
            Err(error) => match (&error, code(&error)) {
                (Error::NotFound { .. }, Some("NoSuchBucket")) => Err(self.words(&error)),
                (Error::NotFound { .. }, _) | (Error::PermissionDenied { .. }, Some("AccessDenied")) => Ok(false),
                _ => Err(self.words(&error)),
            },
        }
    }

    /// Sends a file. It is there whole, or it is not there.
    ///
    /// # Errors
    /// If the file cannot be read, or the store does not take it.
    pub async fn put(&self, name: &str, file: &Path) -> anyhow::Result<()> {
        let mut file = std::fs::File::open(file)?;
        let first = part(&mut file)?;
        if first.len() < PART {
            return self.store.put(&self.key(name), first.into()).await.map(drop).map_err(|error| self.words(&error));
        }
        let mut upload = self.store.put_multipart(&self.key(name)).await.map_err(|error| self.words(&error))?;
        let mut next = first;
        let sent = loop {
            if next.is_empty() {
                break upload.complete().await.map(drop).map_err(|error| self.words(&error));
            }
            if let Err(error) = upload.put_part(next.into()).await {
                break Err(self.words(&error));
            }
            match part(&mut file) {
                Ok(part) => next = part,
                Err(error) => break Err(error.into()),
            }
        };
        if sent.is_err() {
            // Parts of what never was an object are paid for; a store that is away cannot be told.
            let _ = upload.abort().await;
        }
        sent
    }

    /// Creates a small object; one that is there already stays as it is.
    ///
    /// # Errors
    /// If there is one, or the store does not take it.
    pub async fn create(&self, name: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&self.key(name), bytes.into(), options).await {
            Ok(_) => Ok(()),
            Err(error @ (Error::AlreadyExists { .. } | Error::Precondition { .. })) => {
                Err(anyhow!(error).context(format!("`{}` came to be in the meantime", self.url(name))))
            }
            Err(error) => Err(self.words(&error)),
        }
    }

    /// What an object is called.
    pub fn url(&self, name: &str) -> String {
        format!("s3://{}/{}", self.name, self.key(name))
    }

    fn key(&self, name: &str) -> Key {
        self.prefix.clone().join(name)
    }

    /// What is wrong, and what can be done.
    fn words(&self, error: &Error) -> anyhow::Error {
        let text = error.to_string();
        let said = match (code(error), between(&text, "<Message>", "</Message>")) {
            (Some(code), Some(message)) => format!(" (the store says `{code}`: {message})"),
            (Some(code), None) => format!(" (the store says `{code}`)"),
            (None, _) => String::new(),
        };
        let bucket = &self.name;
        match error {
            _ if text.contains(MACHINE_ROLE) => anyhow!(
                "there are no credentials for bucket `{bucket}`: set `AWS_ACCESS_KEY_ID` and \
                 `AWS_SECRET_ACCESS_KEY`, or give the pod or the machine a role"
            ),
            Error::NotFound { .. } => {
                anyhow!(
                    "there is no bucket `{bucket}`: create it, or look at `AWS_REGION` and `AWS_ENDPOINT_URL`{said}"
                )
            }
            Error::PermissionDenied { .. } if code(error).is_none_or(|code| code == "AccessDenied") => anyhow!(
                "the credentials may not write to bucket `{bucket}`: they need `s3:PutObject` and \
                 `s3:AbortMultipartUpload` below `{}`{said}",
                self.prefix
            ),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                anyhow!("the credentials for bucket `{bucket}` are not accepted{said}")
            }
            _ if said.is_empty() => anyhow!("bucket `{bucket}` cannot be reached: {text}"),
            _ => anyhow!("bucket `{bucket}` did not take it{said}"),
        }
    }
}

/// The next part of a file; empty at its end.
fn part(file: &mut std::fs::File) -> std::io::Result<Vec<u8>> {
    let mut part = Vec::new();
    file.take(PART as u64).read_to_end(&mut part)?;
    Ok(part)
}

/// S3's name of an error, from its answer.
fn code(error: &Error) -> Option<&'static str> {
    const KNOWN: [&str; 8] = [
        "NoSuchBucket",
        "NoSuchKey",
        "AccessDenied",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "RequestTimeTooSkewed",
    ];
    let text = error.to_string();
    let code = between(&text, "<Code>", "</Code>")?;
    KNOWN.into_iter().find(|known| *known == code)
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(begin)?.1.split_once(end)?.0)
}
