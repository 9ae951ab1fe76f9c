//! Scenes of the agent and peers that are encrypted and want to know who asks, with files that are
//! replaced while it runs.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use sluice_lab::{
    Pravega, RunDir, Scaling,
    flink::RestSecurity,
    pravega::GUEST,
    rig::{Agent, AgentPlan, binary},
};

use crate::scene::{LONG, SCOPE, Scene, Setting};

/// Long enough for a look or two.
const SOON: Duration = Duration::from_secs(20);

/// A user who may only read is enough. A wrong password and a wrong CA are named, and mended without a
/// restart of the agent.
pub async fn credentials_for_pravega_rotate_without_a_restart(pravega: &mut Pravega) -> Result<()> {
    let security = pravega.security().context("no security")?.clone();
    let run = RunDir::fresh()?;
    let admin = pravega.admin();
    admin.create_scope(SCOPE).await?;
    admin.create_stream(SCOPE, "rotating", Scaling::fixed(2)).await?;
    let file = |name: &str| run.path().join(name);
    let (ca, password, token) = (file("ca.pem"), file("password"), file("token"));
    // A certificate, but not one that has signed the controllers'.
    let other_ca = security.ca_file().with_file_name("server.pem");
    let right_password = fs::read(security.password_file(GUEST))?;
    let plan = |name: &str, flags: &[&str]| AgentPlan {
        name: name.into(),
        controllers: pravega.controllers(),
        scope: SCOPE.into(),
        stream: "rotating".into(),
        flink_url: None,
        task_manager_command: "sleep 1000".into(),
        pool_dir: file("pool"),
        flags: [&["--dry-run", "--pravega-ca", path(&ca)], flags].concat().into_iter().map(str::to_owned).collect(),
    };

    fs::copy(&other_ca, &ca)?;
    fs::write(&password, "not the password\n")?;
    let basic = plan("basic", &["--pravega-username", GUEST, "--pravega-password-file", path(&password)]);
    let mut agent = Agent::start(&run, &basic).await?;
    said(&mut agent, "TLS: invalid peer certificate").await?;
    fs::copy(security.ca_file(), &ca)?;
    said(&mut agent, "check --pravega-username and --pravega-password-file").await?;
    fs::write(&password, &right_password)?;
    agent.wait("the segments are read", SOON, |look| look.segments() == Some(2)).await?;
    // The password was changed at Pravega, say, and then in the file.
    fs::write(&password, "not the password\n")?;
    agent.wait("stale", LONG, |look| look.reason() == "stale").await?;
    fs::write(&password, &right_password)?;
    agent.wait("read again", SOON, |look| look.reason() != "stale" && look.segments() == Some(2)).await?;
    agent.stop().await;

    // Pravega's own handler knows no bearer tokens: what shows is that the token arrives and is judged.
    fs::write(&token, "a.bearer.token\n")?;
    let mut agent = Agent::start(&run, &plan("bearer", &["--pravega-token-file", path(&token)])).await?;
    said(&mut agent, "check --pravega-token-file").await?;
    agent.stop().await;
    run.passed();
    Ok(())
}

/// Flink's REST API under TLS, for those whom it knows: `check`, and an agent that follows the stream.
pub async fn flink_asks_for_a_certificate(pravega: &mut Pravega) -> Result<()> {
    let setting = Setting { secure: true, ..Setting::default() };
    let mut scene = Scene::open_as(pravega, "certificates", &setting).await?;
    let security = scene.flink.security().context("no security")?.clone();
    let file = |name: &str| scene.run.path().join(name);
    let (ca, certificate, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    fs::copy(security.ca_file(), &ca)?;
    let (ca_flag, identity) = (["--flink-ca", path(&ca)], ["--flink-client-certificate", path(&certificate)]);
    let identity = [identity[0], identity[1], "--flink-client-key", path(&key)];
    let name = ["--flink-tls-server-name", RestSecurity::NAME];
    let plan = scene.agent_plan();

    let found = check(&plan, &ca_flag)?;
    ensure!(found.contains("no encrypted connection to Flink"), "it let in a client that it does not know: {found}");
    fs::copy(security.client_certificate_file(), &certificate)?;
    fs::copy(security.client_key_file(), &key)?;
    for name in [&name[..], &[]] {
        let found = check(&plan, &[&ca_flag, &identity[..], name].concat())?;
        ensure!(found.contains("it knows the agent by its certificate"), "{found}");
    }
    let wrong_name = ["--flink-tls-server-name", "elsewhere"];
    let found = check(&plan, &[&ca_flag, &identity[..], &wrong_name].concat())?;
    ensure!(found.contains("not valid for name \"elsewhere\""), "{found}");
    let unencrypted =
        AgentPlan { flink_url: plan.flink_url.as_ref().map(|url| url.replace("https", "http")), ..plan.clone() };
    let found = check(&unencrypted, &[])?;
    ensure!(found.contains("it redirects to https://") || found.contains("not reached"), "{found}");

    // The CA is replaced by another while the agent runs, and back: it says which file and goes on.
    fs::copy(&certificate, &ca)?;
    let flags = [&ca_flag, &identity[..], &name].concat();
    let flags = flags.into_iter().map(str::to_owned).chain(plan.flags.clone()).collect();
    let mut agent = Agent::start(&scene.run, &AgentPlan { flags, ..plan }).await?;
    said(&mut agent, "no encrypted connection to Flink").await?;
    fs::copy(security.ca_file(), &ca)?;
    agent.wait_in_step(1, LONG).await?;
    scene.scale(2).await?;
    agent.wait_in_step(2, LONG).await?;
    fs::write(&key, "half a key")?;
    said(&mut agent, "what was read before is still used").await?;
    ensure!(agent.log()?.contains(path(&key)), "the log does not name the key");
    agent.wait("still in step", SOON, |look| look.reason() == "in_step").await?;
    agent.stop().await;
    scene.close().await;
    Ok(())
}

/// A REST API that is encrypted and asks nobody for a certificate: the CA is all that the agent needs.
pub async fn flink_is_encrypted_for_everyone(pravega: &mut Pravega) -> Result<()> {
    let any_client = ("security.ssl.rest.authentication-enabled".to_owned(), "false".to_owned());
    let setting = Setting { flink: "2.3.0".to_owned(), secure: true, options: vec![any_client], ..Setting::default() };
    let mut scene = Scene::open_as(pravega, "encrypted", &setting).await?;
    let security = scene.flink.security().context("no security")?;
    let (ca, other) = (security.ca_file(), security.client_certificate_file());
    let mut plan = scene.agent_plan();
    let found = check(&plan, &["--flink-ca", path(&other)])?;
    ensure!(found.contains("no encrypted connection to Flink"), "it trusts a CA that is another's: {found}");
    let found = check(&plan, &["--flink-ca", path(&ca)])?;
    ensure!(found.contains(", encrypted\n"), "{found}");
    plan.flags.extend(["--flink-ca", path(&ca)].map(str::to_owned));
    let mut agent = Agent::start(&scene.run, &plan).await?;
    for width in [2, 1] {
        scene.scale(width).await?;
        agent.wait_in_step(width.into(), LONG).await?;
    }
    agent.stop().await;
    scene.close().await;
    Ok(())
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap_or_default()
}

/// Waits until the agent has logged it.
async fn said(agent: &mut Agent, text: &str) -> Result<()> {
    let begun = tokio::time::Instant::now();
    while !agent.log()?.contains(text) {
        ensure!(begun.elapsed() < SOON, "the agent never said `{text}`: {}", agent.log()?);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// What `sluice check` finds, whether that is well or not.
fn check(plan: &AgentPlan, flags: &[&str]) -> Result<String> {
    let output = Command::new(binary("sluice")?).arg("check").args(plan.settings()).args(flags).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(!said.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}
