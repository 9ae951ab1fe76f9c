//! The busy reader on the real Pravega: nothing is lost, and what comes twice is explained.
//! `cargo test -p sluice-e2e --test readers -- --ignored [NAME]`

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use serde_json::Value;
use sluice_e2e::{
    lab::{Kind, Lab},
    peers::credentials_for_pravega_rotate_without_a_restart,
    reading::{LONG, Reading, SCOPE, number, wait},
};
use sluice_lab::{Pravega, Scaling, rig::Agent};
use tokio::time::sleep;

fn main() -> Result<()> {
    let lab = Lab::new()?;
    macro_rules! scenes {
        ($($kind:ident $scene:path),* $(,)?) => { vec![$(lab.trial(Kind::$kind, stringify!($scene), $scene)),*] };
    }
    let scenes = scenes![
        Plain nothing_is_lost_over_scalings_kills_and_restarts,
        Plain a_reader_that_was_frozen_is_struck_off_and_joins_again,
        Plain the_end_of_a_stream_is_told_from_its_absence,
        Plain an_agent_keeps_one_reader_for_each_segment,
        Plain readers_share_the_segments_and_hand_them_over,
        Plain what_retention_has_cut_off_is_said,
        // The last: it takes what the others stand on away.
        Plain an_outage_that_lasts_is_given_up,
        Secure readers_share_a_stream_over_tls,
        Secure credentials_for_pravega_rotate_without_a_restart,
    ];
    lab.run(scenes).exit()
}

/// `sluice run --no-flink`: as many readers as segments, up and down, and nothing lost between them.
async fn an_agent_keeps_one_reader_for_each_segment(pravega: &mut Pravega) -> Result<()> {
    let scene = Reading::open(pravega, "followed", 1).await?;
    let load = scene.load("load", 0, &["--shape", "constant", "--rate", "200/s", "--duration", "20m"])?;
    let mut agent = Agent::start(&scene.run, &scene.agent_plan(pravega)?).await?;
    for segments in [1, 3, 2] {
        scene.scale(segments).await?;
        agent.wait_in_step(segments.into(), LONG).await?;
    }
    load.stop().await?;
    agent.stop().await;
    // The readers outlive the agent; they end when there is nothing left to read.
    scene.admin.seal(SCOPE, &scene.stream).await?;
    wait("all is read", LONG, async || Ok(scene.reconcile(&["load"]).is_ok())).await?;
    scene.run.passed();
    Ok(())
}

async fn nothing_is_lost_over_scalings_kills_and_restarts(pravega: &mut Pravega) -> Result<()> {
    let scene = Reading::open(pravega, "all", 2).await?;
    let keys = ["--routing-key", "round-robin", "--routing-keys", "64"];
    let steady = [&["--shape", "constant", "--rate", "500/s", "--duration", "20m", "--writers", "2"], &keys[..]];
    let load = scene.load("load", 0, &steady.concat())?;
    let quick = ["--reader-timeout", "9s", "--routing-keys", "64"];
    // This one saves its positions so seldom that it has something unsaved when it is killed.
    let seldom = ["--save-every", "4s", "--reader-timeout", "12s", "--routing-keys", "64"];
    let (mut first, mut second) = (scene.reader("first", &quick)?, scene.reader("second", &quick)?);
    let mut doomed = scene.reader("doomed", &seldom)?;
    scene.wait_held(&mut [&mut first, &mut second, &mut doomed], 2).await?;
    scene.scale(4).await?;
    scene.wait_held(&mut [&mut first, &mut second, &mut doomed], 4).await?;
    wait("the doomed one has a segment", LONG, async || Ok(doomed.metric("segments").await? > 0)).await?;

    doomed.wait_saved().await?;
    sleep(Duration::from_secs(1)).await;
    doomed.process.kill();
    let mut third = scene.reader("third", &quick)?;
    wait("the dead one is noticed", LONG, async || {
        let mut noticed = 0;
        for reader in [&first, &second, &third] {
            noticed += reader.metric("readers_struck_off_total").await.unwrap_or_default();
        }
        Ok(noticed == 1)
    })
    .await?;
    scene.wait_held(&mut [&mut first, &mut second, &mut third], 4).await?;
    scene.scale(2).await?;
    scene.wait_held(&mut [&mut first, &mut second, &mut third], 2).await?;

    pravega.kill_controller(0)?;
    let read = first.metric("events_total").await? + second.metric("events_total").await?;
    pravega.start_controller(0).await?;
    pravega.kill_segment_store();
    sleep(Duration::from_secs(2)).await;
    pravega.start_segment_store()?;
    let first_ended = first.stop().await?;
    ensure!(first_ended["positions_saved"] == true, "{first_ended}");
    wait("reading goes on", LONG, async || {
        Ok(second.metric("events_total").await? + third.metric("events_total").await? > read + 1_000)
    })
    .await?;

    // The same ids at other places: what a writer's retry makes of the stream.
    for name in ["again", "once"] {
        let few = scene.load(name, 7, &["--shape", "constant", "--rate", "500/s", "--events", "50"])?;
        few.finish(LONG).await?;
    }
    let written = load.stop().await?;
    sleep(Duration::from_secs(2)).await;
    let mut out_of_order = number(&first_ended, "out_of_order");
    for reader in [second, third] {
        wait("all is read", LONG, async || Ok(reader.metric("lag_bytes").await.ok() == Some(0))).await?;
        out_of_order += number(&reader.stop().await?, "out_of_order");
    }
    let account = scene.reconcile(&["load", "once"])?;
    ensure!(number(&account, "lost") == 0, "{account}");
    ensure!(number(&account, "different") == written.events() + 50, "{account}");
    let redelivered = number(&account, "redelivered");
    ensure!((1..=500 * 10).contains(&redelivered), "{redelivered} redelivered after a kill: {account}");
    let duplicates = number(&account, "duplicates");
    ensure!((50..=50 + written.retries).contains(&duplicates), "{duplicates} duplicates: {account}");
    ensure!(out_of_order == 0 || written.retries > 0, "{out_of_order} out of order");
    scene.run.passed();
    Ok(())
}

async fn a_reader_that_was_frozen_is_struck_off_and_joins_again(pravega: &mut Pravega) -> Result<()> {
    let scene = Reading::open(pravega, "frozen", 2).await?;
    let load = scene.load("load", 0, &["--shape", "constant", "--rate", "300/s", "--duration", "20m"])?;
    let quick = ["--reader-timeout", "3s"];
    let (mut awake, mut frozen) = (scene.reader("awake", &quick)?, scene.reader("frozen", &quick)?);
    wait("one segment each", LONG, async || {
        Ok(awake.metric("segments").await.ok() == Some(1) && frozen.metric("segments").await.ok() == Some(1))
    })
    .await?;
    frozen.process.pause();
    awake.wait_said("struck off").await?;
    wait("both segments", LONG, async || Ok(awake.metric("segments").await? == 2)).await?;
    frozen.process.resume();
    frozen.wait_said("It joins again").await?;
    wait("one segment each", LONG, async || {
        Ok(awake.metric("segments").await? == 1 && frozen.metric("segments").await? == 1)
    })
    .await?;
    let written = load.stop().await?;
    sleep(Duration::from_secs(3)).await;
    for reader in [awake, frozen] {
        reader.stop().await?;
    }
    let account = scene.reconcile(&["load"])?;
    ensure!(number(&account, "different") == written.events(), "{account}");
    scene.run.passed();
    Ok(())
}

async fn the_end_of_a_stream_is_told_from_its_absence(pravega: &mut Pravega) -> Result<()> {
    let mut scene = Reading::open(pravega, "sealed", 3).await?;
    let few = ["--shape", "constant", "--rate", "5000/s", "--events", "10000"];
    scene.load("load", 0, &few)?.finish(LONG).await?;
    scene.scale(2).await?;
    scene.admin.seal(SCOPE, "sealed").await?;
    let summary = scene.reader("to-the-end", &[])?.finish().await?;
    ensure!(summary["ended_by"] == "end of stream" && number(&summary, "events") == 10_000, "{summary}");
    ensure!(number(&summary, "segments_finished") == 6, "{summary}");

    scene.stream = "nothing".into();
    let said = scene.reader("missing", &[])?.fail(73, Duration::from_secs(20)).await?;
    ensure!(said.contains("--stream readers/nothing does not exist"), "{said}");

    // So slow that the stream is gone before it is read.
    scene.stream = "deleted".into();
    scene.admin.create_stream(SCOPE, "deleted", Scaling::fixed(1)).await?;
    let many = ["--shape", "constant", "--rate", "10000/s", "--events", "20000"];
    scene.load("lots", 0, &many)?.finish(LONG).await?;
    let slow = ["--iterations", "100", "--reader-group", "slow"];
    let mut reader = scene.reader("slow", &slow)?;
    reader.wait_said("reads segment").await?;
    reader.process.pause();
    scene.admin.delete(SCOPE, "deleted").await?;
    reader.process.resume();
    let said = reader.fail(73, LONG).await?;
    ensure!(said.contains("--stream readers/deleted was deleted while it was read"), "{said}");
    scene.run.passed();
    Ok(())
}

async fn readers_share_the_segments_and_hand_them_over(pravega: &mut Pravega) -> Result<()> {
    let scene = Reading::open(pravega, "shared", 2).await?;
    let load = scene.load("load", 0, &["--shape", "constant", "--rate", "300/s", "--duration", "20m"])?;
    let mut three = scene.reader("three", &["--readers", "3"])?;
    scene.wait_held(&mut [&mut three], 2).await?;
    let mut one = scene.reader("one", &[])?;
    // Four readers, two segments: whoever has one keeps it.
    sleep(Duration::from_secs(3)).await;
    ensure!(three.metric("segments").await? == 2 && one.metric("segments").await? == 0, "something moved");
    scene.scale(4).await?;
    wait("one for each reader", LONG, async || {
        Ok(three.metric("segments").await? == 3 && one.metric("segments").await? == 1)
    })
    .await?;
    ensure!(three.stop().await?["positions_saved"] == true);
    scene.wait_held(&mut [&mut one], 4).await?;
    let written = load.stop().await?;
    wait("all is read", LONG, async || Ok(one.metric("lag_bytes").await.ok() == Some(0))).await?;
    sleep(Duration::from_secs(2)).await;
    one.stop().await?;
    let account = scene.reconcile(&["load"])?;
    // In good order nothing comes twice.
    ensure!(number(&account, "redelivered") == 0 && number(&account, "duplicates") == 0, "{account}");
    ensure!(number(&account, "delivered") == written.events(), "{account}");
    scene.run.passed();
    Ok(())
}

/// The last scene on its Pravega: it leaves Pravega without a segment store.
async fn an_outage_that_lasts_is_given_up(pravega: &mut Pravega) -> Result<()> {
    let scene = Reading::open(pravega, "away", 1).await?;
    let few = ["--shape", "constant", "--rate", "500/s", "--events", "500"];
    scene.load("load", 0, &few)?.finish(LONG).await?;
    let flags = ["--give-up-after", "6s", "--leave-timeout", "3s"];
    let mut reader = scene.reader("patient", &flags)?;
    wait("all is read", LONG, async || Ok(reader.metric("events_total").await.ok() == Some(500))).await?;
    pravega.kill_segment_store();
    reader.wait_said("trying again").await?;
    let summary = reader.summary.clone();
    let said = reader.fail(69, Duration::from_secs(40)).await?;
    ensure!(said.contains("given up after 6s (--give-up-after)"), "{said}");
    let summary: Value = serde_json::from_str(&fs::read_to_string(summary)?)?;
    ensure!(number(&summary, "events") == 500, "the summary is there all the same: {summary}");
    scene.run.passed();
    Ok(())
}

async fn readers_share_a_stream_over_tls(pravega: &mut Pravega) -> Result<()> {
    let scene = Reading::open(pravega, "tls", 2).await?;
    let load = scene.load("load", 0, &["--shape", "constant", "--rate", "300/s", "--duration", "20m"])?;
    let (mut first, mut second) = (scene.reader("first", &[])?, scene.reader("second", &[])?);
    wait("one segment each", LONG, async || {
        Ok(first.metric("segments").await.ok() == Some(1) && second.metric("segments").await.ok() == Some(1))
    })
    .await?;
    scene.scale(4).await?;
    scene.wait_held(&mut [&mut first, &mut second], 4).await?;
    first.stop().await?;
    scene.wait_held(&mut [&mut second], 4).await?;
    let written = load.stop().await?;
    sleep(Duration::from_secs(2)).await;
    wait("all is read", LONG, async || Ok(second.metric("lag_bytes").await.ok() == Some(0))).await?;
    second.stop().await?;
    let account = scene.reconcile(&["load"])?;
    ensure!(number(&account, "delivered") == written.events(), "{account}");
    scene.run.passed();
    Ok(())
}

/// Retention is quicker than a reader: what it has cut off is said, and what is left is read.
async fn what_retention_has_cut_off_is_said(pravega: &mut Pravega) -> Result<()> {
    let scene = Reading::open(pravega, "cut", 1).await?;
    let many = ["--shape", "constant", "--rate", "10000/s", "--events", "20000"];
    scene.load("old", 0, &many)?.finish(LONG).await?;
    let mut reader = scene.reader("slow", &["--iterations", "20", "--until-idle", "3s"])?;
    reader.wait_said("reads segment").await?;
    reader.process.pause();
    scene.scale(2).await?;
    let few = ["--shape", "constant", "--rate", "1000/s", "--events", "1000"];
    scene.load("new", 7, &few)?.finish(LONG).await?;
    scene.admin.truncate_to_current(SCOPE, "cut").await?;
    reader.process.resume();
    reader.wait_said("retention has cut it off").await?;
    let summary = reader.finish().await?;
    let of_new = summary["writers"].as_array().and_then(|writers| writers.iter().find(|w| w["writer"] == 7).cloned());
    ensure!(of_new.is_some_and(|writer| number(&writer, "events") == 1_000), "{summary}");
    scene.run.passed();
    Ok(())
}
