//! What is refused before anything is started: a wrong command, a record that is none, a second
//! agent.

use super::*;

fn refused(options: ProcessPoolOptions) -> (&'static str, String) {
    let error = ProcessPool::open(options).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn a_command_that_cannot_be_run_names_the_flag_and_what_was_seen() {
    let lab = Lab::new(STAYS);
    let file = lab.dir.path().join("plain");
    fs::write(&file, "no program").unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&[], "is empty"),
        (&["", "x"], "is empty"),
        (&["/nowhere/taskmanager.sh"], "cannot read `/nowhere/taskmanager.sh`: No such file"),
        (&["no-such-program-here"], "no program `no-such-program-here` in any folder of PATH"),
        (&["/tmp"], "`/tmp` is a folder"),
        (&[file.to_str().unwrap()], "is not executable"),
    ];
    for (command, expected) in cases {
        let command = command.iter().map(ToString::to_string).collect();
        let (kind, message) = refused(ProcessPoolOptions { command, ..lab.options() });
        assert_eq!(kind, "command");
        assert!(message.starts_with("--task-manager-command: "), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    assert!(!lab.pool_dir().exists());
}

#[test]
fn a_program_in_path_is_found() {
    let lab = Lab::new(STAYS);
    let command = vec!["sleep".to_owned(), "600".to_owned()];
    ProcessPool::open(ProcessPoolOptions { command, ..lab.options() }).unwrap();
}

#[test]
fn a_record_that_is_none_is_never_taken_for_an_empty_pool() {
    let process =
        |pid: i64| json!({ "pid": pid, "start_ticks": 1, "boot_id": "b", "started_at": "2026-01-01T00:00:00Z" });
    let member = |id: &str, pid: i64| json!({ "id": id, "wanted": true, "process": process(pid) });
    let record = |members: Value| json!({ "version": 1, "next_number": 3, "members": members }).to_string();
    let cases = [
        (String::new(), "EOF"),
        ("not JSON".to_owned(), "expected"),
        (r#"{"version":1,"next_number":3,"mem"#.to_owned(), "EOF"),
        ("{}".to_owned(), "missing field"),
        (json!({ "version": 2, "next_number": 1, "members": [] }).to_string(), "version 2"),
        (record(json!([member("taskmanager-1", 0)])), "taskmanager-1 cannot be process 0"),
        (record(json!([member("taskmanager-1", 1)])), "taskmanager-1 cannot be process 1"),
        (record(json!([member("taskmanager-1", -5)])), "cannot be process -5"),
        (record(json!([member("taskmanager-3", 500)])), "`taskmanager-3` cannot be a member"),
        (record(json!([member("../../x", 500)])), "`../../x` cannot be a member"),
        (record(json!([member("taskmanager-1", 500), member("taskmanager-1", 501)])), "`taskmanager-1` cannot"),
    ];
    for (text, expected) in cases {
        let lab = Lab::new(STAYS);
        fs::create_dir_all(lab.pool_dir()).unwrap();
        fs::write(lab.pool_dir().join("pool.json"), &text).unwrap();
        let (kind, message) = refused(lab.options());
        assert_eq!(kind, "corrupt", "{message}");
        assert!(message.contains("pool.json") && message.contains(expected), "{message}");
        assert_eq!(fs::read_to_string(lab.pool_dir().join("pool.json")).unwrap(), text, "left as it is");
    }
}

#[tokio::test]
async fn a_second_agent_is_kept_out_but_may_look() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    let (kind, message) = refused(lab.options());
    assert_eq!(kind, "locked");
    let expected = format!("another agent (process {}) uses {}", std::process::id(), lab.pool_dir().display());
    assert!(message.contains(&expected) && message.contains("--pool-dir"), "{message}");

    let looking = ProcessPool::open_read_only(lab.options()).unwrap();
    pool.set_replicas(TaskManagers(2), &[]).await.unwrap();
    let seen = settle(&lab, &pool).await;
    assert_eq!(looking.observe().await.unwrap(), seen);
    assert_eq!(looking.set_replicas(TaskManagers(1), &[]).await.unwrap_err().kind(), "read_only");
    assert_eq!(looking.shut_down().await.unwrap_err().kind(), "read_only");
    assert_eq!(pool.observe().await.unwrap(), seen);

    drop(pool);
    lab.open();
}

#[tokio::test]
async fn looking_at_a_pool_that_has_never_been_leaves_no_trace() {
    let lab = Lab::new(STAYS);
    let looking = ProcessPool::open_read_only(lab.options()).unwrap();
    assert_eq!(looking.observe().await.unwrap().replicas, TaskManagers(0));
    assert!(!lab.pool_dir().exists());
}

#[tokio::test]
async fn looking_starts_nothing() {
    let lab = Lab::new(STAYS);
    lab.write_record(&json!({
        "version": 1, "next_number": 2, "members": [{ "id": "taskmanager-1", "wanted": true, "process": null }]
    }));
    let looking = ProcessPool::open_read_only(lab.options()).unwrap();
    let seen = looking.observe().await.unwrap();
    assert_eq!((seen.replicas, seen.ready), (TaskManagers(1), TaskManagers(0)));
    assert_eq!(lab.running(), [] as [i32; 0]);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let lab = Lab::new(STAYS);
    let (kind, message) = refused(ProcessPoolOptions { dir: lab.script().join("pool"), ..lab.options() });
    assert_eq!(kind, "io");
    assert!(
        message.contains("cannot make") && message.contains("task-manager/pool/logs: Not a directory"),
        "{message}"
    );
}

#[tokio::test]
async fn a_folder_that_is_taken_away_is_an_error_not_an_empty_pool() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    pool.set_replicas(TaskManagers(1), &[]).await.unwrap();
    settle(&lab, &pool).await;
    let pid = lab.pids()[0];
    fs::remove_dir_all(lab.pool_dir()).unwrap();
    assert_eq!(pool.observe().await.unwrap().ready, TaskManagers(1), "nothing has to be written");
    let error = pool.set_replicas(TaskManagers(2), &[]).await.unwrap_err();
    assert!(matches!(error, PoolError::Io { .. }), "{error}");
    assert_eq!(pool.observe().await.unwrap().replicas, TaskManagers(1), "what is not on record is not wanted");
    kill(pid, Signal::KILL);
}
