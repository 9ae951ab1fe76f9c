//! The generator's writers on the real Pravega, one scene after the other: first on a plain one that
//! they share, then on one with TLS and users.
//! `cargo test -p sluice-e2e --test load -- --ignored [NAME]`

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use sluice_e2e::generator::metrics;
use sluice_e2e::lab::{Kind, Lab};
use sluice_e2e::writing::{Ended, SCOPE, Writer, Writing};
use sluice_lab::pravega::{ADMIN, GUEST};
use sluice_lab::{Pravega, RunDir, Scaling};
use tokio::time::{Instant, sleep};

/// Long enough for anything on two busy cores.
const LONG: Duration = Duration::from_mins(2);

fn main() -> Result<()> {
    let lab = Lab::new()?;
    macro_rules! scenes {
        ($($kind:ident $scene:path),* $(,)?) => { vec![$(lab.trial(Kind::$kind, stringify!($scene), $scene)),*] };
    }
    let scenes = scenes![
        Plain every_shape_keeps_its_rate,
        Plain nothing_is_lost_over_scalings_and_restarts,
        Plain sigterm_in_mid_flight_loses_nothing,
        Plain as_fast_as_it_goes_with_hot_keys,
        Plain another_policy_is_refused_or_updated,
        Plain a_stream_sealed_or_deleted_ends_the_run,
        Plain a_store_that_is_full_or_dead_is_given_up,
        Secure a_user_with_the_right_writes_over_tls,
        Secure without_the_right_nothing_begins,
    ];
    lab.run(scenes).exit()
}

/// Name and flags of each shape, all of 30 s.
const SHAPES: [(&str, &[&str]); 9] = [
    ("constant", &["--rate", "300/s", "--duration", "30s"]),
    ("sinusoid", &["--median", "300/s", "--period", "20s", "--phase", "-3", "--duration", "30s"]),
    // The sample's own wave, from just after the trough past the crest, 157 times as fast.
    ("sample", &["--median", "3000/10s", "--time-compression", "157", "--duration", "30s"]),
    ("step", &["--steps", "100/s:10s,600/s:10s,50/s:10s"]),
    ("ramp", &["--from", "0/s", "--to", "600/s", "--over", "30s"]),
    (
        "spike",
        &["--base", "100/s", "--peak", "1500/s", "--at", "12s", "--rise", "2s", "--hold", "3s", "--duration", "30s"],
    ),
    ("random-walk", &["--low", "50/s", "--high", "500/s", "--seed", "7", "--over", "30s"]),
    ("trace", &["--between", "linear", "--time-compression", "60", "--trace"]),
    ("chain", &["--shape-file"]),
];

async fn every_shape_keeps_its_rate(pravega: &mut Pravega) -> Result<()> {
    let folder = RunDir::fresh()?;
    let trace = folder.path().join("trace.csv");
    fs::write(&trace, "time,rate\n0m,100\n10m,600\n20m,50\n30m,300\n")?;
    let chain = folder.path().join("chain.toml");
    fs::write(
        &chain,
        "repeat = 2\n[[piece]]\nfrom = \"0/s\"\nto = \"400/s\"\nover = \"5s\"\n\n\
         [[piece]]\nrate = \"400/s\"\nlength = \"5s\"\n\n[[piece]]\nsteps = [\"100/s:3s\", \"200/s:2s\"]\n",
    )?;
    // A machine that was busy at the very end may have one more try.
    let mut late = Vec::new();
    for round in ["first", "second"] {
        let mut running: Vec<(&str, Writing, Writer)> = Vec::new();
        for (name, flags) in SHAPES.iter().filter(|(name, _)| round == "first" || late.contains(name)) {
            let mut flags = flags.to_vec();
            let file = match *name {
                "trace" => trace.to_string_lossy(),
                "chain" => chain.to_string_lossy(),
                _ => "".into(),
            };
            flags.extend(Some(&*file).filter(|file| !file.is_empty()));
            let mut writing = Writing::to(pravega, &format!("{name}-{round}"))?;
            let writer = writing.write(name, &flags)?;
            running.push((name, writing, writer));
        }
        late.clear();
        for (name, writing, writer) in running {
            let ended = writer.ends(0, LONG).await?;
            ended.all_acknowledged()?;
            ensure!(ended.count("written") == ended.count("due"), "{name}: {}", ended.summary);
            let (wanted, got) = (ended.number("wanted_rate"), ended.number("rate"));
            let off = (got / wanted - 1.0) * 100.0;
            let (events, behind) = (ended.count("written"), ended.number("max_behind_seconds"));
            println!(
                "  {name}: wanted {wanted}/s, got {got}/s ({off:+.2} %), {events} events, at most {behind} s late"
            );
            if off.abs() > 0.5 {
                late.push(name);
            }
            writing.close();
        }
        if late.is_empty() {
            folder.passed();
            return Ok(());
        }
    }
    anyhow::bail!("more than 0.5 % off, twice: {late:?}")
}

async fn nothing_is_lost_over_scalings_and_restarts(pravega: &mut Pravega) -> Result<()> {
    let admin = pravega.admin();
    let mut writing = Writing::to(pravega, "restarts")?;
    let flags = ["--scaling", "fixed", "--writers", "2", "--rate", "1000/s", "--duration", "45s"];
    let mut writer = writing.write("restarts", &[&flags[..], &["--routing-key", "round-robin"]].concat())?;
    writer.wait_said("writing constant", LONG).await?;
    sleep(Duration::from_secs(4)).await;
    admin.scale_to(SCOPE, &writing.stream, 3).await?;
    sleep(Duration::from_secs(1)).await;

    pravega.kill_controller(0)?;
    writer.wait_said("the controller is away", Duration::from_secs(15)).await?;
    pravega.start_controller(0).await?;
    writer.wait_said("the controller answers again", LONG).await?;

    pravega.kill_segment_store();
    sleep(Duration::from_secs(2)).await;
    pravega.start_segment_store()?;
    writer.wait_said("acknowledgements are coming again", LONG).await?;
    admin.scale_to(SCOPE, &writing.stream, 2).await?;

    let ended = writer.ends(0, LONG).await?;
    ended.all_acknowledged()?;
    ensure!(ended.count("written") == 45_000, "{}", ended.summary);
    ensure!(ended.segments() == [1, 3, 2], "{:?}", ended.segments());
    ended.told(&[
        "has 3 segments now, it had 1",
        "no acknowledgement from writers/restarts",
        "away     the controller",
    ])?;
    reconciled(&writing, &ended)?;
    writing.close();
    Ok(())
}

/// Nothing lost, nothing that was not written, and no more duplicates than the writer has retried.
fn reconciled(writing: &Writing, ended: &Ended) -> Result<()> {
    let proof = writing.prove()?;
    let count = |name: &str| proof[name].as_u64();
    ensure!(count("lost") == Some(0), "{proof}");
    ensure!(count("duplicates").is_some_and(|duplicates| duplicates <= ended.count("retries")), "{proof}");
    Ok(())
}

async fn sigterm_in_mid_flight_loses_nothing(pravega: &mut Pravega) -> Result<()> {
    let mut writing = Writing::to(pravega, "sigterm")?;
    let port = writing.run.port()?;
    let address = format!("127.0.0.1:{port}");
    let flags = ["--rate", "3000/s", "--writers", "4", "--metrics-address", &address];
    let mut writer = writing.write("sigterm", &flags)?;
    writer.wait_said("writing constant", LONG).await?;
    sleep(Duration::from_secs(4)).await;
    let metrics = metrics(port).await?;
    for name in ["events_acknowledged_total", "behind_seconds", "segments 1", "ack_latency_seconds_bucket"] {
        ensure!(metrics.contains(&format!("data_generator_write_{name}")), "no {name} in {metrics}");
    }
    writer.terminate();
    let ended = writer.ends(0, Duration::from_secs(20)).await?;
    ended.all_acknowledged()?;
    ensure!(ended.summary["ended_by"] == "signal", "{}", ended.summary);
    reconciled(&writing, &ended)?;
    writing.close();
    Ok(())
}

async fn as_fast_as_it_goes_with_hot_keys(pravega: &mut Pravega) -> Result<()> {
    let mut writing = Writing::to(pravega, "max")?;
    let flags = ["--max", "--events", "100000", "--writers", "2", "--scaling", "fixed", "--min-segments", "4"];
    let writer = writing.write("max", &[&flags[..], &["--routing-key", "zipf", "--zipf-exponent", "1.5"]].concat())?;
    let ended = writer.ends(0, LONG).await?;
    ended.all_acknowledged()?;
    ensure!(ended.count("written") == 100_000 && ended.summary["wanted_rate"].is_null(), "{}", ended.summary);
    println!("  {}/s", ended.number("rate"));
    reconciled(&writing, &ended)?;
    writing.close();
    Ok(())
}

async fn another_policy_is_refused_or_updated(pravega: &mut Pravega) -> Result<()> {
    pravega.admin().create_stream(SCOPE, "policy", Scaling::fixed(2)).await?;
    let mut writing = Writing::to(pravega, "policy")?;
    let load = ["--rate", "100/s", "--duration", "1s"];
    let other = [&load[..], &["--scaling", "data-rate", "--target-rate", "50"]].concat();
    let ended = writing.write("refused", &other)?.ends(78, LONG).await?;
    ended.told(&["--stream writers/policy", "fixed, min segments 2", "data-rate 50 kB/s", "--update-stream"])?;
    let ended = writing.write("as-it-is", &load)?.ends(0, LONG).await?;
    ended.told(&["exists: scaling fixed, min segments 2"])?;
    let update = [&other[..], &["--update-stream", "--retention", "1h"]].concat();
    let ended = writing.write("updated", &update)?.ends(0, LONG).await?;
    ended.told(&["it had scaling fixed", "now scaling data-rate 50 kB/s", "retention 1h"])?;
    let again = [&other[..], &["--retention", "1h", "--delete-stream-on-exit"]].concat();
    let ended = writing.write("again", &again)?.ends(0, LONG).await?;
    ended.told(&["deleted writers/policy"])?;
    ensure!(pravega.admin().segments(SCOPE, "policy").await.is_err(), "it is still there");
    writing.close();
    Ok(())
}

async fn a_stream_sealed_or_deleted_ends_the_run(pravega: &mut Pravega) -> Result<()> {
    let admin = pravega.admin();
    for (stream, idle) in [("sealed", false), ("deleted", false), ("idle", true)] {
        let mut writing = Writing::to(pravega, stream)?;
        // The last one has sent everything for now: only a look at the stream can tell.
        let load = if idle { ["--steps", "200/s:2s,0/s:5m,1/s:1s"] } else { ["--rate", "400/s"] };
        let mut writer = writing.write(stream, &load)?;
        writer.wait_said("writing", LONG).await?;
        sleep(Duration::from_secs(4)).await;
        match stream {
            "deleted" => ensure!(admin.delete(SCOPE, stream).await?, "it was not there"),
            _ => admin.seal(SCOPE, stream).await?,
        }
        let ended = writer.ends(if idle { 73 } else { 74 }, Duration::from_secs(20)).await?;
        ended.told(&[&format!("--stream writers/{stream} was"), "while it was written to"])?;
        let acknowledged = ended.count("acknowledged");
        ensure!(acknowledged >= 400 && ended.summary["ended_by"] == "failure", "{}", ended.summary);
        if stream == "sealed" {
            // What was acknowledged is there; what was not may be, too.
            let proof = writing.prove()?;
            ensure!(proof["lost"] == 0, "{proof}");
            let ended = writing.write("afterwards", &load)?.ends(73, LONG).await?;
            ended.told(&["writers/sealed is sealed"])?;
        }
        writing.close();
    }
    Ok(())
}

async fn a_store_that_is_full_or_dead_is_given_up(pravega: &mut Pravega) -> Result<()> {
    let mut writing = Writing::to(pravega, "store")?;
    let flags = ["--rate", "400/s", "--scaling", "fixed", "--give-up-after", "9s"];
    // Bookies that take no more: for a while that is waited for, and made up for.
    let mut writer = writing.write("pause", &[&flags[..], &["--duration", "16s"]].concat())?;
    writer.wait_said("writing", LONG).await?;
    sleep(Duration::from_secs(3)).await;
    pravega.pause_bookies();
    writer.wait_said("no acknowledgement from", Duration::from_secs(15)).await?;
    pravega.resume_bookies();
    let ended = writer.ends(0, LONG).await?;
    ended.all_acknowledged()?;
    ended.told(&["look at the segment store and its BookKeeper", "acknowledgements are coming again"])?;
    ensure!(ended.number("max_behind_seconds") < 2.0, "the window held it back: {}", ended.summary);

    for (name, first) in [("full", "100"), ("dead", "200")] {
        let mut writer = writing.write(name, &[&flags[..], &["--first-writer", first, "--window", "1000"]].concat())?;
        writer.wait_said("writing", LONG).await?;
        sleep(Duration::from_secs(3)).await;
        if name == "full" {
            pravega.pause_bookies();
        } else {
            pravega.kill_segment_store();
        }
        let since = Instant::now();
        let ended = writer.ends(74, Duration::from_secs(30)).await?;
        println!("  {name}: given up after {:.1} s", since.elapsed().as_secs_f64());
        if name == "full" {
            pravega.resume_bookies();
        } else {
            pravega.start_segment_store()?;
        }
        ended.told(&["--give-up-after", "no acknowledgement from", "events were not acknowledged"])?;
        let (written, acknowledged) = (ended.count("written"), ended.count("acknowledged"));
        ensure!(acknowledged > 0 && written == acknowledged + 1_000, "the window was full: {}", ended.summary);
        ensure!(ended.number("max_behind_seconds") > 3.0, "{}", ended.summary);
    }
    let proof = writing.prove()?;
    ensure!(proof["lost"] == 0, "{proof}");
    writing.close();
    Ok(())
}

async fn a_user_with_the_right_writes_over_tls(pravega: &mut Pravega) -> Result<()> {
    let mut writing = Writing::to(pravega, "tls")?.user(pravega, ADMIN);
    let flags = ["--rate", "500/s", "--writers", "2", "--duration", "20s", "--scaling", "fixed"];
    let mut writer = writing.write("tls", &flags)?;
    writer.wait_said("writing", LONG).await?;
    sleep(Duration::from_secs(3)).await;
    pravega.admin().scale_to(SCOPE, "tls", 3).await?;
    sleep(Duration::from_secs(2)).await;
    pravega.kill_controller(0)?;
    writer.wait_said("the controller is away", Duration::from_secs(15)).await?;
    pravega.start_controller(0).await?;
    let ended = writer.ends(0, LONG).await?;
    ended.all_acknowledged()?;
    ensure!(ended.segments() == [1, 3], "{:?}", ended.segments());
    reconciled(&writing, &ended)?;
    writing.close();
    Ok(())
}

async fn without_the_right_nothing_begins(pravega: &mut Pravega) -> Result<()> {
    pravega.admin().create_stream(SCOPE, "rights", Scaling::fixed(1)).await?;
    let flags = ["--rate", "100/s", "--duration", "1s", "--call-timeout", "15s"];
    let deadline = Duration::from_secs(20);
    // A user who may only look, on a stream that is there and on one that is not.
    for stream in ["rights", "missing"] {
        let mut writing = Writing::to(pravega, stream)?.user(pravega, GUEST);
        let ended = writing.write("guest", &flags)?.ends(77, deadline).await?;
        ended.told(&["PermissionDenied", "--username"])?;
        writing.close();
    }
    let mut nobody = Writing::to(pravega, "rights")?;
    let ended = nobody.write("nobody", &flags)?.ends(77, deadline).await?;
    ended.told(&["Unauthenticated"])?;
    let wrong = nobody.run.path().join("wrong.password");
    fs::write(&wrong, "not it\n")?;
    let user = ["--username", ADMIN, "--password-file", &wrong.to_string_lossy()];
    let ended = nobody.write("wrong", &[&flags[..], &user].concat())?.ends(77, deadline).await?;
    ended.told(&["Unauthenticated", "--password-file"])?;
    ensure!(!ended.said.contains("authorization"), "{}", ended.said);
    // Another authority than the one that signed the server's certificate.
    let stranger = RunDir::fresh()?;
    let other = stranger.path().join("other.pem");
    fs::write(&other, rcgen::generate_simple_self_signed(["localhost".to_owned()])?.cert.pem())?;
    let mut trusting = Writing::to(pravega, "rights")?.trust(&other);
    let ended = trusting.write("stranger", &flags)?.ends(69, deadline).await?;
    ended.told(&["--controller tls://localhost"])?;
    stranger.passed();
    trusting.close();
    nobody.close();
    Ok(())
}
