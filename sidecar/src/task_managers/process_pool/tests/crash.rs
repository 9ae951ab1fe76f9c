//! The agent is killed at every moment there is, and the next one goes on: no TaskManager runs that
//! is not on record, none runs twice, and the wish that was on record is carried out.

use std::process::{Command, Stdio};

use super::*;
use crate::{
    clock,
    task_managers::process_pool::process::{Gated, boot_id},
};

#[tokio::test]
async fn task_managers_outlive_the_agent_and_are_adopted() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    pool.set_replicas(TaskManagers(3), &[]).await.unwrap();
    let before = settle(&lab, &pool).await;
    let pids = lab.pids();
    drop(pool);
    assert_eq!(lab.running(), pids);

    let pool = lab.open();
    assert_eq!(pool.observe().await.unwrap(), before);
    assert_eq!(lab.pids(), pids);
    pool.set_replicas(TaskManagers(1), &["taskmanager-1".to_owned(), "taskmanager-3".to_owned()]).await.unwrap();
    assert_eq!(ids(&settle(&lab, &pool).await), ["taskmanager-2"]);
    pool.shut_down().await.unwrap();
    assert_eq!(lab.running(), [] as [i32; 0]);
}

#[tokio::test]
async fn one_that_died_while_no_agent_ran_is_started_again() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    pool.set_replicas(TaskManagers(2), &[]).await.unwrap();
    settle(&lab, &pool).await;
    drop(pool);
    let dead = lab.recorded()[0].1;
    kill(dead, Signal::KILL); // A zombie now: this process is its parent and has not waited for it.
    let pool = lab.open();
    let seen = observe_until(&pool, "it is known to be dead", |seen| seen.ready == TaskManagers(1)).await;
    assert_eq!(ids(&seen), ["taskmanager-2"]);
    assert_eq!(ids(&settle(&lab, &pool).await), ["taskmanager-1", "taskmanager-2"]);
    assert!(!Path::new(&format!("/proc/{dead}")).exists(), "no zombie is left");
}

#[tokio::test]
async fn killed_after_the_wish_was_written_and_before_anything_was_started() {
    let lab = Lab::new(STAYS);
    lab.write_record(&json!({
        "version": 1, "next_number": 3,
        "members": [
            { "id": "taskmanager-1", "wanted": true, "process": null },
            { "id": "taskmanager-2", "wanted": true, "process": null },
        ]
    }));
    let pool = lab.open();
    assert_eq!(ids(&settle(&lab, &pool).await), ["taskmanager-1", "taskmanager-2"]);
}

#[tokio::test]
async fn killed_after_the_wish_was_written_and_before_anything_was_stopped() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    pool.set_replicas(TaskManagers(3), &[]).await.unwrap();
    settle(&lab, &pool).await;
    drop(pool);
    let mut record = lab.record();
    record["members"][0]["wanted"] = json!(false);
    record["members"][2]["wanted"] = json!(false);
    lab.write_record(&record);
    let pool = lab.open();
    assert_eq!(ids(&settle(&lab, &pool).await), ["taskmanager-2"]);
}

#[tokio::test]
async fn killed_while_the_record_was_written() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    pool.set_replicas(TaskManagers(1), &[]).await.unwrap();
    settle(&lab, &pool).await;
    drop(pool);
    fs::write(lab.pool_dir().join("pool.json.new"), r#"{"version":1,"next_num"#).unwrap();
    let pids = lab.pids();
    let pool = lab.open();
    pool.set_replicas(TaskManagers(2), &[]).await.unwrap();
    settle(&lab, &pool).await;
    assert!(lab.pids().contains(&pids[0]));
}

#[tokio::test]
async fn killed_between_making_a_process_and_recording_it() {
    let lab = Lab::new("echo ran; exec sleep 600");
    let pool = lab.open();
    let gated = spawn_gated(&lab, "taskmanager-1");
    let pid = gated.identity.pid;
    assert_eq!(lab.running(), [pid]);
    // Dropping closes the pipe, as the end of the agent does.
    drop(gated);
    wait_for("the process has ended", || lab.running().is_empty()).await;
    assert_eq!(lab.log("taskmanager-1"), "", "the command was never run");
    drop(pool);
}

#[tokio::test]
async fn killed_between_recording_a_process_and_letting_it_go() {
    let lab = Lab::new("echo ran; exec sleep 600");
    let pool = lab.open();
    let gated = spawn_gated(&lab, "taskmanager-1");
    lab.write_record(&json!({
        "version": 1, "next_number": 2,
        "members": [{ "id": "taskmanager-1", "wanted": true, "process": gated.identity }]
    }));
    drop(pool);
    drop(gated);
    let pool = lab.open();
    settle(&lab, &pool).await;
    wait_for("it runs", || !lab.log("taskmanager-1").is_empty()).await;
    assert_eq!(lab.log("taskmanager-1"), "ran\n");
}

#[tokio::test]
async fn a_process_id_that_was_given_to_another_process_is_left_alone() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    pool.set_replicas(TaskManagers(2), &[]).await.unwrap();
    settle(&lab, &pool).await;
    drop(pool);
    // As if both had ended and their ids were taken: one by a later process of this boot, the other
    // after the machine was started anew.
    let strangers = lab.pids();
    let mut record = lab.record();
    let ticks = record["members"][0]["process"]["start_ticks"].as_u64().unwrap();
    record["members"][0]["process"]["start_ticks"] = json!(ticks - 1);
    record["members"][1]["process"]["boot_id"] = json!("another");
    lab.write_record(&record);

    let pool = lab.open();
    let seen = observe_until(&pool, "both run anew", |seen| seen.ready == TaskManagers(2)).await;
    assert_eq!(ids(&seen), ["taskmanager-1", "taskmanager-2"]);
    let members = lab.pids();
    assert!(strangers.iter().all(|pid| !members.contains(pid)));
    pool.shut_down().await.unwrap();
    assert_eq!(lab.running(), strangers, "never signalled");
}

/// The real thing: an agent that changes its mind as fast as it can is killed again and again.
#[tokio::test]
async fn killed_at_any_moment() {
    let lab = Lab::new("env | grep ^SLUICE_PASSWORD; exec sleep 600");
    lab.write_record(&json!({ "version": 1, "next_number": 1, "members": [] }));
    for round in 0..20_u64 {
        let mut agent = Command::new(std::env::current_exe().unwrap())
            .args([
                &format!("{}::agent_to_be_killed", module_path!().split_once("::").unwrap().1),
                "--exact",
                "--ignored",
            ])
            .env(AGENT_DIR, lab.dir.path())
            .env("SLUICE_PASSWORD", "the agent's own")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("the agent holds the pool", || {
            let holder = fs::read_to_string(lab.pool_dir().join("lock")).unwrap_or_default();
            holder.trim() == agent.id().to_string()
        })
        .await;
        tokio::time::sleep(Duration::from_millis(round * 7 % 60)).await;
        agent.kill().unwrap();
        agent.wait().unwrap();

        let pool = lab.open();
        let wanted = pool.observe().await.unwrap().replicas;
        let seen = settle(&lab, &pool).await;
        assert_eq!(seen.ready, wanted, "round {round}");
    }
    for log in fs::read_dir(lab.pool_dir().join("logs")).unwrap() {
        assert_eq!(fs::read_to_string(log.unwrap().path()).unwrap(), "", "a setting of the agent came through");
    }
}

const AGENT_DIR: &str = "POOL_UNDER_TEST";

/// Not a test: the agent that [`killed_at_any_moment`] runs and kills.
#[tokio::test]
#[ignore = "run by another test, as a process of its own"]
async fn agent_to_be_killed() {
    let Some(dir) = std::env::var_os(AGENT_DIR) else { return };
    let dir = PathBuf::from(dir);
    let command = vec![dir.join("task-manager").display().to_string()];
    let options = ProcessPoolOptions { dir: dir.join("pool"), command, stop_timeout: Duration::from_secs(10) };
    let pool = ProcessPool::open(options).unwrap();
    for replicas in (0..100).flat_map(|_| [3, 1, 4, 0, 5, 2]) {
        pool.set_replicas(TaskManagers(replicas), &[]).await.unwrap();
        pool.observe().await.unwrap();
    }
}

fn spawn_gated(lab: &Lab, id: &str) -> Gated {
    let log = lab.pool_dir().join("logs").join(format!("{id}.log"));
    Gated::spawn(&lab.options().command, id, &log, &boot_id().unwrap(), clock::now()).unwrap()
}
