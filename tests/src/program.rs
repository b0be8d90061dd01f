//! The program as other processes see it: started, read, stopped, killed.
use serde_json::Value;
use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::eventually;

/// The repository's root, which is the program's working directory: models, knowledge and `.moneta` lie there.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The program that was built beside this test.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join("moneta");
    assert!(path.is_file(), "{} is not there: build it first with `cargo build -p moneta`", path.display());
    path
}

/// The program with a command line, on a data directory; every listener on a port that the system chooses.
pub fn moneta(data_dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(repository()).args(args).arg("--data-dir").arg(data_dir);
    for listener in ["OPS__LISTEN", "INFERENCE__HTTP", "INFERENCE__GRPC", "GATEWAY__LISTEN"] {
        command.env(format!("MONETA__{listener}"), "127.0.0.1:0");
    }
    command.env("MONETA__LOG", "info").env("RUST_BACKTRACE", "1");
    command
}

/// A port that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What a command answered.
#[derive(Debug)]
pub struct Output {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// How it ended, in words.
    pub status: String,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Output {
    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("not JSON ({error}): {}\n{}", self.out, self.err))
    }
}

/// Runs a command to its end, whatever the end is.
pub fn outcome(data_dir: &Path, args: &[&str]) -> Output {
    let output = moneta(data_dir, args).stdin(Stdio::null()).output().unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        status: output.status.to_string(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a command that must succeed.
pub fn run(data_dir: &Path, args: &[&str]) -> Output {
    let output = outcome(data_dir, args);
    let (command, status) = (args.join(" "), &output.status);
    assert_eq!(output.code, 0, "moneta {command} failed ({status}):\n{}\n{}", output.out, tail(&output.err));
    output
}

/// A running process of the platform. It is killed when it is dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    log: PathBuf,
}

impl Program {
    /// Starts a process. Its log goes to `NAME.log` in the folder, after what earlier processes of the name wrote.
    pub fn start(mut command: Command, name: &str, logs: &Path) -> Self {
        let log = logs.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (output, collected) = (child.stdout.take().unwrap(), Arc::clone(&lines));
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                collected.lock().unwrap().push(line);
            }
        });
        Self { name: name.to_owned(), child, lines, log }
    }

    /// What it has printed so far.
    pub fn printed(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The end of its log, for the message of a failure.
    pub fn log_tail(&self) -> String {
        tail(&std::fs::read_to_string(&self.log).unwrap_or_default())
    }

    /// Where one of its listeners is, if it has said so.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        let start = format!("{listener} listens on ");
        self.lines.lock().unwrap().iter().find_map(|line| line.strip_prefix(&start)?.trim().parse().ok())
    }

    /// Where one of its listeners is, once it has said so.
    ///
    /// # Panics
    /// When the process ends before that, or takes longer than two minutes.
    pub async fn listening(&mut self, listener: &str) -> SocketAddr {
        let what = format!("{} says where {listener} listens", self.name);
        eventually(&what, Duration::from_secs(120), async || {
            let address = self.address(listener);
            if address.is_none()
                && let Some(status) = self.ended()
            {
                panic!("{} ended ({status}) before {listener} listened:\n{}", self.name, self.log_tail());
            }
            address
        })
        .await
    }

    /// The most memory that it has ever held, bytes; 0 where the system does not say.
    pub fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        kilobytes.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or_default() << 10
    }

    /// Its exit status, once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub async fn end(&mut self, patience: Duration) -> ExitStatus {
        let what = format!("{} ends by itself", self.name);
        eventually(&what, patience, async || self.ended()).await
    }

    /// SIGKILL: the process stops where it stands.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM: the process finishes what it has in hand.
    pub async fn stop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let status = self.end(Duration::from_secs(60)).await;
        assert!(status.success(), "{} stopped with {status}:\n{}", self.name, self.log_tail());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
