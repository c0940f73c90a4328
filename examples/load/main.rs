//! Sustained load with a real broker and a real Postgres, a soak, and the join of labels.
//!
//!     load rates            records a second and CPU a million records, with 1 and 4 replicas
//!     load soak MINUTES     memory, file descriptors, threads and tables over time; fails if they grow
//!     load labels MILLIONS  predictions of a fortnight, labels of 1 % up to a week later: bytes and memory

mod bed;
mod labels;
mod rates;
mod soak;

use anyhow::bail;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = tempfile::tempdir()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["rates"] => rates::rates(directory.path()).await,
        ["soak", minutes] => soak::soak(directory.path(), minutes.parse()?).await,
        ["labels", millions] => labels::labels(directory.path(), millions.parse()?).await,
        _ => bail!("load rates | load soak MINUTES | load labels MILLIONS"),
    }
}
