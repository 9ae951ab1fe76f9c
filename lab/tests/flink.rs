//! The lab's own Flink, with the busy reader on a real stream. Needs the job's jar: `make jobs`. Another
//! version than the default is tried with, for example, `SLUICE_LAB_FLINK=2.3.0`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sluice_lab::{BusyReader, Flink, FlinkVersion, Mode, Pravega, RunDir, Scaling, pid_file};

const LIMIT: Duration = Duration::from_mins(2);

/// What the adaptive strategy stands on: the job starts at the width that is asked for, and a slot that
/// it leaves alone shows as free soon.
#[tokio::test]
#[ignore = "starts real Pravega and Flink"]
async fn an_adaptive_job_leaves_alone_what_it_is_not_asked_to_take() -> anyhow::Result<()> {
    let version = std::env::var("SLUICE_LAB_FLINK").unwrap_or_else(|_| FlinkVersion::DEFAULT.to_string());
    let run = RunDir::fresh()?;
    let pravega = Pravega::builder(&run).start().await?;
    pravega.admin().create_stream("dna", "load", Scaling::fixed(2)).await?;
    let job = reader(&version, &pravega)?;
    let mut flink = Flink::builder(&run, &version).mode(Mode::Adaptive).job(job).start().await?;
    flink.start_task_manager("tm-1")?;
    flink.wait_running(1, LIMIT).await?;
    flink.start_task_manager("tm-2")?;
    let mut managers = flink.task_managers().await?;
    for _ in 0..240 {
        if managers.len() == 2 && managers.iter().map(|manager| manager.free_slots).sum::<u32>() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        managers = flink.task_managers().await?;
    }
    assert_eq!(managers.iter().map(|manager| manager.free_slots).sum::<u32>(), 1, "{managers:?}");
    assert!(flink.job_status().await?.runs_at(1));
    flink.stop().await;
    pravega.stop().await?;
    run.passed();
    Ok(())
}

fn reader(version: &str, pravega: &Pravega) -> anyhow::Result<BusyReader> {
    Ok(BusyReader {
        jar: BusyReader::jar_in(Path::new("..").canonicalize()?.as_path(), version.parse()?),
        controller: pravega.controller_uri(),
        scope: "dna".into(),
        stream: "load".into(),
        iterations: 1,
        from_now_on: false,
        ledger: None,
        trace: None,
    })
}

#[tokio::test]
#[ignore = "starts real Pravega and Flink"]
async fn a_reactive_job_takes_what_the_lab_and_others_start() -> anyhow::Result<()> {
    let version = std::env::var("SLUICE_LAB_FLINK").unwrap_or_else(|_| FlinkVersion::DEFAULT.to_string());
    let run = RunDir::fresh()?;
    let pravega = Pravega::builder(&run).start().await?;
    pravega.admin().create_stream("dna", "load", Scaling::fixed(2)).await?;
    let reader = reader(&version, &pravega)?;
    let mut flink = Flink::builder(&run, &version)
        .mode(Mode::Reactive)
        .job(reader)
        .checkpoint_interval(Duration::from_secs(1))
        .high_availability(pravega.zookeeper())
        .start()
        .await?;
    flink.start_task_manager("tm-1")?;
    flink.wait_running(1, LIMIT).await?;
    flink.wait_checkpoint(LIMIT).await?;

    // As the agent would do it: with the script, and not as a child of the lab.
    let mut foreign = Command::new(flink.task_manager_script()).env("SLUICE_TASK_MANAGER_ID", "tm-2").spawn()?;
    flink.wait_running(2, LIMIT).await?;
    let mut ids: Vec<String> = flink.task_managers().await?.into_iter().map(|manager| manager.id).collect();
    ids.sort();
    assert_eq!(ids, ["tm-1", "tm-2"]);

    assert!(flink.kill_task_manager("tm-1"));
    flink.wait_running(1, LIMIT).await?;

    // The JobManager comes back and carries the same job on, from a checkpoint.
    let job = flink.job_id().to_owned();
    let before = flink.wait_checkpoint(LIMIT).await?;
    flink.kill_job_manager();
    flink.start_job_manager().await?;
    assert_eq!(flink.job_id(), job);
    flink.wait_running(1, LIMIT).await?;
    let after = flink.wait_checkpoint(LIMIT).await?;
    assert!(after.last > before.last, "it counts on: {before:?}, {after:?}");

    flink.stop().await;
    pravega.stop().await?;
    assert_eq!(pid_file::leftovers(&run.pids()).len(), 1, "only the one that others started");
    run.passed();
    drop(run);
    assert!(!foreign.wait()?.success(), "it was stopped with the run");
    Ok(())
}
