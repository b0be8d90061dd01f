//! The demo in a process of its own.
use crate::{error::Error, repository};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// The longest wait for a line.
const PATIENCE: Duration = Duration::from_secs(600);
/// Linux counts processor time in hundredths of a second, whatever the kernel's own tick is (`man 7 time`, USER_HZ).
const TICKS: f64 = 100.0;

/// A running demo; it is killed when it is dropped.
pub struct Demo {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    begun: Instant,
    addresses: HashMap<String, String>,
    log: PathBuf,
}

impl Demo {
    /// Starts the demo on a data directory, as fast as it can, every listener on a port that the system chooses.
    pub fn start(data_dir: &Path, from: &str, until: &str) -> Result<Self, Error> {
        let log = data_dir.with_extension("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_moneta"));
        command.args(["demo", "--speed", "0", "--listen", "127.0.0.1:0", "--from", from, "--until", until]);
        command.arg("--data-dir").arg(data_dir).current_dir(repository()).kill_on_drop(true);
        for listener in ["OPS__LISTEN", "INFERENCE__HTTP", "INFERENCE__GRPC"] {
            command.env(format!("MONETA__{listener}"), "127.0.0.1:0");
        }
        let stderr = std::fs::File::options().create(true).append(true).open(&log)?;
        let begun = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn()?;
        let Some(output) = child.stdout.take() else { return Err(Error::Proc { field: "standard output" }) };
        Ok(Self { child, lines: BufReader::new(output).lines(), begun, addresses: HashMap::new(), log })
    }

    /// Reads on until a line begins with `start`; the time since the process began.
    pub async fn until(&mut self, start: &str) -> Result<Duration, Error> {
        let outcome = match tokio::time::timeout(PATIENCE, self.read_until(start)).await {
            Ok(Ok(true)) => return Ok(self.begun.elapsed()),
            Ok(Ok(false)) => "ended",
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => "took too long",
        };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let log = lines[lines.len().saturating_sub(10)..].join("\n");
        Err(Error::Silent { line: start.to_owned(), outcome, log })
    }

    async fn read_until(&mut self, start: &str) -> std::io::Result<bool> {
        while let Some(line) = self.lines.next_line().await? {
            if let Some((name, address)) = line.split_once(" listens on ") {
                self.addresses.insert(name.to_owned(), address.trim().to_owned());
            }
            if line.starts_with(start) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The URL of a listener that it has told.
    pub fn url(&self, listener: &str) -> String {
        format!("http://{}", self.addresses.get(listener).map_or("", String::as_str))
    }

    /// Since the process began.
    pub fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Resident set, bytes.
    pub fn resident(&self) -> Result<f64, Error> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kilobytes.map(|kilobytes| kilobytes * 1024.0).ok_or(Error::Proc { field: "VmRSS" })
    }

    /// Processor time so far, seconds.
    pub fn processor_seconds(&self) -> Result<f64, Error> {
        let stat = self.proc("stat")?;
        // The name, in parentheses, may hold spaces: user and system time are the 12th and 13th field after it.
        let fields =
            stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).ok_or(Error::Proc { field: "stat" })?;
        let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        match ticks[..] {
            [user, system] => Ok((user + system) / TICKS),
            _ => Err(Error::Proc { field: "processor time" }),
        }
    }

    fn proc(&self, file: &str) -> Result<String, Error> {
        let path = PathBuf::from(format!("/proc/{}/{file}", self.child.id().unwrap_or_default()));
        std::fs::read_to_string(&path).map_err(|source| Error::Read { path, source })
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub async fn stop(mut self) -> Result<(), Error> {
        let pid = self.child.id().unwrap_or_default().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await?;
        // What it still prints is taken from it, so that it does not wait for a reader.
        while self.lines.next_line().await?.is_some() {}
        self.child.wait().await?;
        Ok(())
    }
}
