//! The command line as a user meets it when something is wrong: one clear line that names the flag
//! and what was seen, and the documented exit code. No Pravega is needed.

#![allow(clippy::disallowed_methods, reason = "a test of real deadlines")]

use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_data-generator"));
    for (name, _) in std::env::vars() {
        if name.starts_with("DATA_GENERATOR_") {
            command.env_remove(name);
        }
    }
    command.args(args).output().expect("the program starts")
}

fn write(args: &[&str]) -> Output {
    let mut all = vec!["write", "--scope", "s", "--stream", "t"];
    all.extend(args);
    run(&all)
}

/// Asserts the exit code, that standard error holds every word, and that it is one line besides what
/// clap adds.
fn refused(output: &Output, code: i32, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not in: {stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(output.stdout.is_empty(), "{:?}", output.stdout);
}

/// An address where nothing listens.
fn dead_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    listener.local_addr().expect("bound").to_string()
}

#[test]
fn bad_values_name_their_flag_and_what_was_seen() {
    for (args, words) in [
        (&["--rate", "-5/s"][..], &["--rate", "-5", "below zero"][..]),
        (&["--rate", "fast"], &["--rate", "\"fast\""]),
        (&["--steps", "100/s"], &["--steps", "rate:duration"]),
        (&["--steps", "100/s:30s,-1/s:3s"], &["--steps", "below zero"]),
        (&["--steps", "100/s:0s"], &["--steps", "above zero"]),
        (&["--period", "0s"], &["--period is zero"]),
        (&["--period", "soon"], &["--period", "soon"]),
        (&["--median", "10/s", "--amplitude", "20/s"], &["--amplitude 20/s", "median 10/s", "below zero"]),
        (&["--shape", "constant"], &["--shape constant needs --rate"]),
        (&["--shape", "step"], &["--shape step needs --steps"]),
        (&["--shape", "sinusoid", "--rate", "1/s"], &["--rate belongs to --shape constant"]),
        (&["--rate", "1/s", "--steps", "1/s:1s"], &["--steps belongs to --shape step"]),
        (&["--from", "-1/s", "--to", "5/s", "--over", "3s"], &["--from", "below zero"]),
        (&["--from", "1/s", "--to", "5/s"], &["--shape ramp needs --over"]),
        (&["--base", "5/s", "--peak", "-5/s"], &["--peak", "below zero"]),
        (&["--high", "5/s", "--start", "9/s", "--over", "1m"], &["--start 9/s", "high 5/s"]),
        (&["--high", "5/s", "--over", "9999h", "--every", "1ms"], &["--every", "at most 1000000"]),
        (&["--trace", "/nowhere.csv"], &["--trace /nowhere.csv", "No such file"]),
        (&["--shape-file", "/nowhere.toml"], &["--shape-file /nowhere.toml", "No such file"]),
        (&["--shape-file", "/nowhere.toml", "--rate", "1/s"], &["--rate and --shape-file"]),
        (&["--rate", "1/s", "--time-compression", "0"], &["--time-compression 0"]),
        (&["--rate", "1/s", "--time-compression", "-1"], &["--time-compression -1"]),
        (&["--max", "--rate", "1/s"], &["--max and --rate"]),
        (&["--routing-key", "zipf", "--zipf-exponent", "-1"], &["--zipf-exponent", "0 to 20"]),
        (&["--controller", "http://a:1"], &["--controller", "http://a:1"]),
        (&["--controller", "tcp://a"], &["--controller", "tcp://a", "host:port"]),
        (&["--controller", "tls://localhost:1"], &["--controller tls://localhost:1", "--tls-ca"]),
        (
            &["--controller", "tls://localhost:1", "--tls-ca", "/nowhere.pem"],
            &["--tls-ca /nowhere.pem", "No such file"],
        ),
        (&["--tls-ca", "/etc/hostname"], &["--tls-ca", "not TLS"]),
        (&["--username", "u", "--password-file", "/nowhere"], &["--password-file /nowhere", "No such file"]),
        (&["--username", "u"], &["--password-file"]),
        (&["--password", "p"], &["--username"]),
        (&["--username", "u", "--password", "p", "--password-file", "f"], &["--password", "--password-file"]),
        (&["--metrics-address", "somewhere"], &["--metrics-address", "somewhere"]),
        (&["--event-size", "10"], &["--event-size", "64"]),
        (&["--duration", "0s"], &["--duration", "zero"]),
        (&["--writers", "0"], &["--writers"]),
        (&["--target-rate", "0"], &["--target-rate"]),
        (&["--retention", "forever"], &["--retention", "forever"]),
        (&["--log", "a=b=c"], &["--log", "a=b=c"]),
    ] {
        refused(&write(args), 2, words);
    }
}

#[test]
fn a_line_of_a_trace_or_of_a_shape_file_is_named() -> std::io::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str, text: &str| -> std::io::Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let bad = file("bad.csv", "time,rate\n0,100\n60,lots\n")?;
    refused(&write(&["--trace", &bad]), 2, &["--trace", &bad, "line 3, column 4", "\"lots\""]);
    let below = file("below.csv", "0,100\n60,-7\n")?;
    refused(&write(&["--trace", &below]), 2, &["line 2, column 4", "-7", "below zero"]);
    let chain = file("chain.toml", "[[piece]]\nrate = \"1/s\"\nlength = \"1s\"\n\n[[piece]]\ntrace = \"bad.csv\"\n")?;
    let words = ["--shape-file", &chain, "line 5, column 1", "piece 2", "bad.csv", "line 3, column 4"];
    refused(&write(&["--shape-file", &chain]), 2, &words);
    Ok(())
}

#[test]
fn bad_names_are_refused_before_anyone_is_asked() {
    let output = run(&["write", "--scope", "a/b", "--stream", "t"]);
    refused(&output, 2, &["--scope", "a/b"]);
    let output = run(&["write", "--stream", "t"]);
    refused(&output, 2, &["--scope"]);
}

#[test]
fn nobody_listening_is_one_line_at_once() {
    let (one, two) = (dead_address(), dead_address());
    let started = Instant::now();
    let output = write(&["--controller", &format!("tcp://{one},tcp://{two}")]);
    refused(&output, 69, &["--controller", &one, &two, "refused"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_unknown_host_is_named() {
    let output = write(&["--controller", "tcp://nowhere.invalid:9090"]);
    refused(&output, 69, &["--controller tcp://nowhere.invalid:9090"]);
}

#[test]
fn a_peer_that_accepts_and_says_nothing_is_left_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("bound");
    let started = Instant::now();
    let output = write(&["--controller", &format!("tcp://{address}"), "--call-timeout", "3s"]);
    let waited = started.elapsed();
    refused(&output, 69, &["no answer", &address.to_string(), "--call-timeout"]);
    assert!(waited >= Duration::from_secs(2) && waited < Duration::from_secs(8), "{waited:?}");
}

#[test]
fn help_tells_environment_and_exit_codes() {
    let output = run(&["write", "--help"]);
    let help = String::from_utf8_lossy(&output.stdout);
    for word in ["DATA_GENERATOR_CONTROLLER", "DATA_GENERATOR_STEPS", "Exit codes", "74"] {
        assert!(help.contains(word), "{word}");
    }
}
