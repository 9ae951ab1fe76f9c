//! The docs: commands in blocks marked `sh test` run, and links lead somewhere.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use sluice_lab::rig::binary;

fn repository() -> Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?)
}

/// Every Markdown file of the repository, with its text.
fn documents() -> Result<BTreeMap<PathBuf, String>> {
    let mut documents = BTreeMap::new();
    let mut folders = vec![repository()?];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)?.flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type()?.is_dir() {
                if !name.starts_with('.') && !["target", "out", "node_modules"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path)?;
                documents.insert(path, text);
            }
        }
    }
    Ok(documents)
}

#[test]
fn commands_run() -> Result<()> {
    let programs = binary("sluice")?.parent().context("where the programs are")?.to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path: OsString = env::join_paths([programs].into_iter().chain(env::split_paths(&path)))?;
    let mut ran = 0;
    for (file, text) in documents()? {
        for block in blocks(&text) {
            let output = Command::new("sh")
                .args(["-euc", &block])
                .current_dir(repository()?)
                .env("PATH", &path)
                .output()
                .context("sh")?;
            let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
            ensure!(output.status.success(), "{}: {}\n{block}{said}", file.display(), output.status);
            ran += 1;
        }
    }
    ensure!(ran > 0, "no document has a block marked `sh test`");
    Ok(())
}

fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while lines.any(|line| line == "```sh test") {
        blocks.push(lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n") + "\n");
    }
    blocks
}

#[test]
fn links_lead_somewhere() -> Result<()> {
    let documents = documents()?;
    let mut broken = Vec::new();
    for (file, text) in &documents {
        let folder = file.parent().context("a folder")?;
        for link in links(text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { file.clone() } else { folder.join(path) };
            let Ok(target) = target.canonicalize() else {
                broken.push(format!("{}: {link}", file.display()));
                continue;
            };
            if !anchor.is_empty()
                && let Some(text) = documents.get(&target)
                && !anchors(text).any(|found| found == anchor)
            {
                broken.push(format!("{}: {link}, no such heading", file.display()));
            }
        }
    }
    ensure!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
    Ok(())
}

/// The targets of all links outside of code.
fn links(text: &str) -> Vec<String> {
    let mut code = false;
    let mut links = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            code = !code;
        }
        if code {
            continue;
        }
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        links.extend(targets.map(|(target, _)| target.to_owned()));
    }
    links
}

/// The anchors of headings, as they are made of their text.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}
