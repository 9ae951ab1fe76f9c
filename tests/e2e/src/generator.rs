//! What the scenes of writers and of readers ask the data generator.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Result, ensure};
use serde_json::Value;
use sluice_lab::{rest, rig::binary};

/// The metrics of a generator that serves them on this port.
pub async fn metrics(port: u16) -> Result<String> {
    let answer = rest::client().get(format!("http://127.0.0.1:{port}/metrics")).send().await?;
    Ok(answer.error_for_status()?.text().await?)
}

/// What `reconcile` says of the ledgers in this folder and these summaries of writers.
pub fn reconcile(ledgers: &Path, written: &[PathBuf]) -> Result<Value> {
    let mut command = Command::new(binary("data-generator")?);
    command.arg("reconcile").arg(ledgers).arg("--json").arg("--written").args(written);
    let Output { status, stdout, stderr } = command.output()?;
    let said = String::from_utf8_lossy(&stdout);
    ensure!(status.success(), "{said}{}", String::from_utf8_lossy(&stderr));
    println!("{}", said.trim());
    Ok(serde_json::from_str(&said)?)
}
