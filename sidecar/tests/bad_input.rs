//! Configurations that cannot be acted on: one clear line that names the flag and what was seen.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Command, Stdio},
};

/// Runs `sluice run` with `extra` flags and answers exit code and standard error.
fn run(extra: &[&str]) -> (Option<i32>, String) {
    let pool = tempfile::tempdir().unwrap();
    let pool = pool.path().display().to_string();
    let controller = if extra.contains(&"--pravega-ca") { "tls://127.0.0.1:1" } else { "tcp://127.0.0.1:1" };
    let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["run", "--task-manager-command", "sleep 60", "--pool-dir", &pool])
        .args(["--pravega-controller", controller, "--scope", "dna", "--stream", "reads"])
        .args(extra)
        .env("SLUICE_LISTEN", "127.0.0.1:0")
        .env_remove("KUBECONFIG")
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn each_names_its_flag_and_what_was_seen() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("ca.pem");
    fs::write(&garbage, "not a certificate").unwrap();
    let garbage = garbage.display().to_string();
    for (extra, code, named) in [
        (
            &["--min-task-managers", "5", "--max-task-managers", "2"][..],
            78,
            &["--min-task-managers 5", "--max-task-managers 2"][..],
        ),
        (&["--pravega-ca", "/nowhere/ca.pem"], 78, &["--pravega-ca", "/nowhere/ca.pem"]),
        (&["--pravega-ca", &garbage], 78, &["--pravega-ca", &garbage]),
        (&["--flink-url", "localhost:8081"], 78, &["--flink-url", "localhost:8081"]),
        (&["--staleness", "1s"], 78, &["--staleness"]),
        (&["--settle", "soon"], 2, &["--settle", "soon"]),
        (&["--ratio", "0"], 2, &["--ratio"]),
        (&["--listen", "nowhere"], 2, &["--listen", "nowhere"]),
        (&["--log", "sluice=loud"], 2, &["--log", "sluice=loud"]),
    ] {
        let (status, said) = run(extra);
        assert_eq!(status, Some(code), "{extra:?}: {said}");
        for text in named {
            assert!(said.contains(text), "{extra:?} does not name {text}: {said}");
        }
        assert!(!said.contains("panicked"), "{extra:?}: {said}");
    }
}

#[test]
fn an_address_that_cannot_be_one_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["plan", "--pravega-controller", "http//x", "--scope", "s", "--stream", "t"])
        .args(["--task-manager-command", "sleep 60", "--pool-dir"])
        .arg(std::env::temp_dir().join("sluice-no-pool"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("--pravega-controller") && said.contains("http//x"), "{said}");
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let (status, said) = {
        let pool = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(["run", "--listen", "127.0.0.1:0", "--pravega-controller", "tcp://127.0.0.1:1"])
            .args(["--scope", "s", "--stream", "t", "--task-manager-command", "/nowhere/taskmanager.sh", "--pool-dir"])
            .arg(pool.path())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(status, Some(78), "{said}");
    assert!(said.contains("--task-manager-command") && said.contains("/nowhere/taskmanager.sh"), "{said}");
}

/// As in the JobManager's pod, where a sidecar that ends would keep the JobManager down.
#[test]
fn an_address_that_is_taken_is_waited_for_where_it_is_to_hold() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut agent = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["run", "--on-bad-config", "hold", "--listen", &taken.local_addr().unwrap().to_string()])
        .args(["--pravega-controller", "tcp://127.0.0.1:1", "--scope", "s", "--stream", "t", "--no-flink"])
        .args(["--deployment", "tm", "--no-lease"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(agent.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("trying again")));
    let pid = rustix::process::Pid::from_child(&agent);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(agent.wait().unwrap().success());
}
