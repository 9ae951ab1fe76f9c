//! The lab's own Pravega: does it start, scale, survive its kills, and leave nothing behind?

use std::time::Duration;

use sluice_lab::{Pravega, RunDir, Scaling, pid_file};

#[tokio::test]
#[ignore = "starts real Pravega"]
async fn two_controllers_one_of_which_may_die() -> anyhow::Result<()> {
    let run = RunDir::fresh()?;
    let mut pravega = Pravega::builder(&run).controllers(2).start().await?;
    let admin = pravega.admin();

    assert!(admin.create_stream("dna", "load", Scaling::fixed(1)).await?);
    assert!(!admin.create_stream("dna", "load", Scaling::fixed(1)).await?, "it is there already");
    for segments in [3, 2] {
        let scaled = admin.scale_to("dna", "load", segments).await?;
        assert_eq!(scaled.len(), segments as usize);
        assert!(scaled.windows(2).all(|pair| (pair[0].to - pair[1].from).abs() < 1e-9), "no gap: {scaled:?}");
    }

    pravega.kill_controller(0)?;
    assert_eq!(admin.segments("dna", "load").await?.len(), 2, "the other controller answers");
    pravega.start_controller(0).await?;
    assert_eq!(pravega.running().len(), 5);

    admin.truncate_to_current("dna", "load").await?;
    admin.seal("dna", "load").await?;
    assert!(admin.segments("dna", "load").await?.is_empty(), "a sealed stream has no current segments");
    assert!(admin.delete("dna", "load").await?);
    assert!(!admin.delete("dna", "load").await?);
    assert!(admin.segments("dna", "load").await.is_err());

    pravega.stop().await?;
    assert!(pid_file::leftovers(&run.pids()).is_empty());
    run.passed();
    Ok(())
}

#[tokio::test]
#[ignore = "starts real Pravega"]
async fn dropping_it_leaves_no_process() -> anyhow::Result<()> {
    let run = RunDir::fresh()?;
    let pravega = Pravega::builder(&run).start().await?;
    let processes: Vec<_> =
        pravega.running().iter().filter_map(|(name, pid)| pid_file::PidFile::of(*pid, name)).collect();
    assert_eq!(processes.len(), 4);
    drop(pravega);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(processes.iter().all(|process| !process.is_alive()), "{processes:?}");
    run.passed();
    Ok(())
}
