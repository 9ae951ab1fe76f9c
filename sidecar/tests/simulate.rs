//! `sluice simulate` as it is typed: what `docs/simulate.md` shows is what is printed, and input that
//! cannot be used is named.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

fn sluice() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sluice"))
}

/// Runs a line of the shell where `sluice` is on the path, and none of its flags is in the environment.
fn shell(line: &str) -> Output {
    let path = format!("{}:{}", sluice().parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SLUICE_")) {
        command.env_remove(name);
    }
    command.args(["-c", line]).env("PATH", path).current_dir(env!("CARGO_TARGET_TMPDIR")).output().unwrap()
}

/// Every block of the document that begins with `$ ` is run again. `make docs` writes what is printed.
#[test]
fn the_document_shows_what_is_printed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/simulate.md");
    let kept = fs::read_to_string(&path).unwrap();
    let mut made = String::new();
    let mut rest = kept.as_str();
    let mut runs = 0;
    while let Some((before, block)) = rest.split_once("```text\n$ ") {
        let (block, after) = block.split_once("\n```").unwrap();
        let (command, _) = block.split_once('\n').unwrap_or((block, ""));
        let output = shell(command);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        let printed: Vec<_> = printed.lines().map(str::trim_end).collect();
        let printed = printed.join("\n");
        write!(made, "{before}```text\n$ {command}\n{}\n```", printed.trim_end()).unwrap();
        rest = after;
        runs += 1;
    }
    made += rest;
    assert!(runs >= 3, "{runs} commands in the document");
    if std::env::var_os("SLUICE_UPDATE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
    } else {
        assert!(kept == made, "docs/simulate.md is not what the program says: run `make docs`");
    }
}

#[test]
fn what_cannot_be_used_is_named_with_its_line() {
    for (flags, text, code, named) in [
        ("-", "0,1\n60,two\n", 65, &["standard input: line 2:", "\"two\" is not a number of segments"][..]),
        ("-", "", 65, &["at least two lines"]),
        ("-", "seconds,rate\n0,1\n9,2\n", 65, &["holds rates", "--target-rate"]),
        ("- --target-rate 100", "seconds,segments\n0,1\n9,2\n", 65, &["holds segments", "--target-rate"]),
        ("/nowhere/day.csv", "", 65, &["/nowhere/day.csv", "cannot be read"]),
        ("--max-task-managers 5000", "", 65, &["--max-task-managers 5000", "2000"]),
        ("--also 'x=--min-task-managers 9 --max-task-managers 2'", "", 65, &["--also x", "--min-task-managers 9"]),
        ("--also 'x=--ratio 2'", "", 65, &["--also x", "--ratio"]),
        ("--duration 1m --svg /nowhere/day.svg", "", 65, &["--svg /nowhere/day.svg"]),
        ("--min-task-managers 0", "", 78, &["--min-task-managers 0"]),
        ("--target-rate -5", "", 2, &["--target-rate", "above zero"]),
        ("--target-rate NaN", "", 2, &["--target-rate", "above zero"]),
        ("--hpa-tolerance 10", "", 2, &["--hpa-tolerance", "0.1 is 10 %"]),
        ("--scrape-interval 0s", "", 2, &["--scrape-interval", "at least 1s"]),
        ("--start-time 1500ms", "", 2, &["--start-time", "whole seconds"]),
        ("--duration 400days", "", 2, &["--duration", "92days"]),
        ("--also calm", "", 2, &["--also", "NAME=FLAGS"]),
        ("--also 'calm=--nonsense'", "", 2, &["--also", "--nonsense"]),
        ("--also 'calm=--cooldown-up soon'", "", 2, &["--also", "--cooldown-up"]),
        ("--flink-version new", "", 2, &["--flink-version", "1.20"]),
    ] {
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {} simulate {flags}", sluice().display())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may have refused before it reads.
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{flags}: {said}");
        for part in named {
            assert!(said.contains(part), "{flags} does not say {part}: {said}");
        }
        assert!(!said.contains("panicked") && output.stdout.is_empty(), "{flags}: {said}");
    }
}

/// As with `sluice simulate … | head -n 1`, whose reader is gone before everything is printed.
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (reader, nobody_reads) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(sluice()).args(["simulate", "--duration", "10m"]).stdout(nobody_reads).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
