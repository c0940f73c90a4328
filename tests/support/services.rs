//! A broker and a database of one test's own, which it may stop, kill and start again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One service in a directory of its own; stopped when dropped.
pub struct Own {
    script: PathBuf,
    directory: PathBuf,
    again: Vec<(String, String)>,
}

impl Own {
    /// Starts an Apache Kafka; clients are told `advertised` instead of its own address.
    pub fn kafka(directory: &Path, advertised: Option<String>) -> Own {
        let mut own = Own::new("kafka", directory);
        own.again.extend(advertised.map(|address| ("KAFKA_ADVERTISED".to_owned(), address)));
        own.start();
        own.again.push(("KAFKA_PORTS".to_owned(), own.env("KAFKA_PORTS").trim_matches('"').to_owned()));
        own
    }

    /// Starts a Postgres, with more in its environment.
    pub fn postgres(directory: &Path, environment: &[(String, String)]) -> Own {
        let mut own = Own::new("postgres", directory);
        own.again.extend_from_slice(environment);
        own.start();
        let url = own.env("POSTGRES_URL");
        let port = url.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()).expect("a port").to_owned();
        own.again.push(("POSTGRES_PORT".to_owned(), port));
        own
    }

    fn new(name: &str, directory: &Path) -> Own {
        let script = super::root().join(format!("tests/services/{name}.sh"));
        Own { script, directory: directory.join(name), again: Vec::new() }
    }

    fn run(&self, what: &str) {
        let mut command = Command::new(&self.script);
        command.arg(what).arg(&self.directory).env_remove("KAFKA_PORTS").env_remove("POSTGRES_PORT");
        command.envs(self.again.iter().cloned()).stdout(Stdio::null());
        assert!(command.status().expect("the script runs").success(), "{what} {}", self.directory.display());
    }

    /// Starts it, or starts it again where it was.
    pub fn start(&self) {
        self.run("start");
    }

    /// Stops it as its operator would.
    pub fn stop(&self) {
        self.run("stop");
    }

    /// Ends it without warning.
    pub fn kill(&self) {
        let pid = std::fs::read_to_string(self.directory.join("pid")).expect("it runs");
        let status = Command::new("kill").args(["-KILL", pid.trim()]).status().expect("kill runs");
        assert!(status.success());
        while Path::new(&format!("/proc/{}/cmdline", pid.trim())).exists() {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            if state.contains(") Z ") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        // Where nobody reaps the dead, Postgres takes its predecessor for alive. Its children end
        // by themselves.
        std::thread::sleep(std::time::Duration::from_millis(300));
        let leftover = |name: &str| name == "postmaster.pid" || name.starts_with(".s.PGSQL.");
        for directory in [self.directory.clone(), self.directory.join("data")] {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                if leftover(&entry.file_name().to_string_lossy()) {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
        let _ = std::fs::remove_file(self.directory.join("env"));
    }

    /// Whether its process is there.
    pub fn runs(&self) -> bool {
        std::fs::read_to_string(self.directory.join("pid")).is_ok_and(|pid| {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            !state.is_empty() && !state.contains(") Z ")
        })
    }

    /// What it wrote down.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("postgres.log")).unwrap_or_default()
    }

    /// A value that it told at its start.
    pub fn env(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.directory.join("env")).expect("it runs");
        let all: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        all[name].to_owned()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = Command::new(&self.script).arg("stop").arg(&self.directory).stdout(Stdio::null()).status();
    }
}
