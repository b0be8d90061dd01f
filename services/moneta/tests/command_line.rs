//! The command line's manners: closed pipes, mistyped folders, unknown configuration, a second process.
#![allow(clippy::unwrap_used)]
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

fn moneta(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moneta"));
    command.current_dir(folder).args(args).stdin(Stdio::null());
    for listener in ["OPS__LISTEN", "INFERENCE__HTTP", "INFERENCE__GRPC", "GATEWAY__LISTEN"] {
        command.env(format!("MONETA__{listener}"), "127.0.0.1:0");
    }
    command
}

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(folder: &Path, args: &[&str]) -> Ended {
    let output = moneta(folder, args).output().unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A process that runs market data alone, which needs nothing beside itself, until it is dropped.
struct Feed(Child, #[allow(dead_code)] BufReader<ChildStdout>);

impl Feed {
    fn start(folder: &Path, data: &str) -> Self {
        let args = ["run", "--services", "market-data", "--data-dir", data];
        let mut child = moneta(folder, &args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        // Kept open: a process whose output nobody reads any more ends.
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.contains("listens on"), "{line}");
        Self(child, output)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["features", "list"][..],
        &["features", "list", "--json"],
        &["config", "print"],
        &["config", "print", "--json"],
        &["run", "--services", "market-data", "--data-dir", "running"],
        &["market", "list", "--data-dir", "running"],
        &["--help"],
    ] {
        let mut child = moneta(folder.path(), args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!err.contains("panicked") && !err.contains("roken pipe"), "moneta {}: {err}", args.join(" "));
        assert_eq!(output.status.code(), Some(0), "moneta {}: {err}", args.join(" "));
    }
}

/// Whoever stops a process that is still starting does not wait for it to start first, nor for the watchdog.
#[test]
fn a_process_that_is_told_to_stop_while_it_starts_stops_in_order() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("firm")).unwrap();
    let args = ["run", "--services", "market-data,user,portfolio,trading,compliance", "--data-dir", "firm"];
    let mut child = moneta(folder.path(), &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut log, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{line}{rest}");
    assert!(!rest.contains("ended by force"), "{rest}");
    assert!(!line.contains('\u{1b}'), "no colours where nobody sees them: {line:?}");
}

#[test]
fn a_mistyped_data_directory_is_named_and_makes_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let prices = folder.path().join("A.csv");
    std::fs::write(&prices, "date,open,high,low,close,adj_close,volume\n2020-01-02,1,2,1,2,2,100\n").unwrap();
    for args in [
        &["models", "list"][..],
        &["models", "show", "forecast"],
        &["models", "history"],
        &["models", "gc"],
        &["market", "list"],
        &["market", "import", "A.csv"],
        &["features", "check"],
        &["decisions", "list"],
        &["audit", "verify"],
        &["audit", "export"],
        &["events", "tail"],
        &["events", "dead", "list"],
        &["backup", "safe", "--key-file", "key"],
    ] {
        let refused = run(folder.path(), &[args, &["--data-dir", "moneta-dtaa"]].concat());
        assert_eq!(refused.code, Some(2), "moneta {}: {}{}", args.join(" "), refused.out, refused.err);
        assert!(refused.err.contains("moneta-dtaa"), "moneta {}: {}", args.join(" "), refused.err);
        assert!(!folder.path().join("moneta-dtaa").exists(), "moneta {} made the folder", args.join(" "));
    }
}

#[test]
fn what_nobody_knows_in_the_configuration_is_refused_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let commands: [&[&str]; 7] = [
        &["config", "print"],
        &["market", "list"],
        &["models", "list"],
        &["events", "tail"],
        &["audit", "verify"],
        &["run", "--services", "market-data"],
        &["demo"],
    ];
    for (text, named, meant) in [
        ("[tradnig]\n", "tradnig", "trading"),
        ("[gateway]\nlisten = \"127.0.0.1:0\"\nlisten_too = 1\n", "listen_too", ""),
        ("[market_data]\nreferense_symbol = \"SP500\"\n", "referense_symbol", "reference_symbol"),
        ("data_dri = \"x\"\n", "data_dri", "data_dir"),
        ("[services.tradin]\naddress = \"a:1\"\n", "tradin", "trading"),
    ] {
        std::fs::write(folder.path().join("moneta.toml"), text).unwrap();
        for args in commands {
            let refused = run(folder.path(), &[args, &["--data-dir", "data"]].concat());
            let command = args.join(" ");
            assert_eq!(refused.code, Some(2), "moneta {command} with {text:?}: {}{}", refused.out, refused.err);
            assert!(refused.err.contains(named), "moneta {command}: {}", refused.err);
            assert!(refused.err.contains(meant), "moneta {command}: {}", refused.err);
        }
    }
    std::fs::remove_file(folder.path().join("moneta.toml")).unwrap();
    let output = moneta(folder.path(), &["config", "print"]).env("MONETA__TRADNIG__SEED", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "the environment is configuration too");
}

#[test]
fn a_second_process_with_the_same_service_is_refused_and_one_with_another_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = Feed::start(folder.path(), "data");
    let second = run(folder.path(), &["run", "--services", "market-data", "--data-dir", "data"]);
    assert_eq!(second.code, Some(1), "{}", second.err);
    for named in ["market-data", &first.0.id().to_string(), "--data-dir"] {
        assert!(second.err.contains(named), "{named} is not named: {}", second.err);
    }
    drop(first);
    drop(Feed::start(folder.path(), "data"));
}

#[cfg(unix)]
#[test]
fn everything_that_the_program_makes_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("A.csv"),
        "date,open,high,low,close,adj_close,volume\n2020-01-02,1,2,1,2,2,100\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("key"), "5e".repeat(32)).unwrap();
    let feed = Feed::start(folder.path(), "data");
    for args in [
        &["market", "import", "A.csv", "--data-dir", "data"][..],
        &["backup", "safe", "--key-file", "key", "--data-dir", "data"],
        &["verify-backup", "safe", "--key-file", "key"],
        &["restore", "safe", "--key-file", "key", "--data-dir", "back"],
    ] {
        let done = run(folder.path(), args);
        assert_eq!(done.code, Some(0), "moneta {}: {}{}", args.join(" "), done.out, done.err);
    }
    for made in ["data", "safe", "back"] {
        let mut folders = vec![folder.path().join(made)];
        while let Some(at) = folders.pop() {
            assert_eq!(std::fs::metadata(&at).unwrap().permissions().mode() & 0o077, 0, "{}", at.display());
            for entry in std::fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                let mode = std::fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(mode & 0o077, 0, "{} has {mode:o}", path.display());
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
    }
    drop(feed);
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_a_full_disk_cuts_off_is_a_failure_and_a_full_log_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for args in [&["features", "list"][..], &["features", "list", "--json"], &["config", "print"]] {
        let output = moneta(folder.path(), args).stdout(full()).stderr(Stdio::piped()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {told}");
        assert!(told.contains("could not be written whole") && told.contains("No space left"), "{args:?}: {told}");
        // Nor does it matter that nobody can be told.
        let output = moneta(folder.path(), args).stdout(full()).stderr(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
    }
    let args = ["run", "--services", "market-data", "--data-dir", "data"];
    let mut command = moneta(folder.path(), &args);
    command.env("MONETA__LOG", "debug").stdout(Stdio::piped()).stderr(full());
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.contains("listens on"), "{line}");
    let _running = Feed(child, output);
}
