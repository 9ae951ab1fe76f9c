//! Fetches the jars of Pravega with Maven.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Cache, CacheError, Fetch, jars};
use crate::process::Launch;
use crate::progress::{Progress, size};
use crate::tools;

/// The newest release in the registry.
const VERSION: &str = "0.13.0";
const POM: &str = include_str!("../../pravega/pom.xml");

impl Cache {
    /// The jars of Pravega, ZooKeeper and BookKeeper in a fixed order; fetched if they are not there.
    pub async fn pravega(&self, progress: Progress) -> Result<Vec<PathBuf>, CacheError> {
        let item = format!("pravega-{VERSION}");
        let home = self.root().join(&item);
        if !home.is_dir() {
            let _lock = self.lock(&item, progress).await?;
            if !home.is_dir() {
                self.fetch_pravega(&item, &home, progress).await?;
            }
        }
        jars(&home.join("lib"))
    }

    async fn fetch_pravega(&self, item: &str, home: &Path, progress: Progress) -> Result<(), CacheError> {
        let maven = tools::maven()?;
        let staging = self.staging(item)?;
        let ready = staging.path().join("ready");
        let pom = staging.path().join("pom.xml");
        let failed = |source| CacheError::Folder { path: pom.clone(), source };
        fs::create_dir(&ready).map_err(failed)?;
        fs::write(&pom, POM).map_err(failed)?;

        let mut task = progress.task(format!("fetching Pravega {VERSION} (Maven)"));
        let fetch = Fetch {
            what: format!("Pravega {VERSION}"),
            with: "mvn",
            launch: Launch::new(maven)
                .args(["--batch-mode", "--file"])
                .arg(&pom)
                .arg("dependency:copy-dependencies")
                .arg(format!("-DoutputDirectory={}", ready.join("lib").display())),
            log: staging.path().join("mvn.log"),
        };
        fetch
            .run(|log| {
                let (files, kilobytes) = downloaded(&fs::read_to_string(log).unwrap_or_default());
                task.at(&match files {
                    0 => "looking what this machine has already".to_owned(),
                    _ => format!("{files} files, {}", size(kilobytes * 1000)),
                });
            })
            .await?;
        let count = jars(&ready.join("lib"))?.len();
        let bytes = super::bytes_in(&ready);
        Self::publish(&ready, home)?;
        task.done(&format!("{count} jars, {}", size(bytes)));
        Ok(())
    }
}

/// How many files Maven says it has downloaded, and how many kB.
fn downloaded(log: &str) -> (usize, u64) {
    let sizes: Vec<u64> = log
        .lines()
        .filter(|line| line.contains("Downloaded from"))
        .filter_map(|line| {
            let (_, rest) = line.rsplit_once('(')?;
            let mut words = rest.split_whitespace();
            let number: f64 = words.next()?.parse().ok()?;
            let factor = match words.next()? {
                "MB" => 1000.0,
                "kB" => 1.0,
                _ => 0.001,
            };
            // A rough figure for people; nothing is decided by it.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
            Some((number * factor) as u64)
        })
        .collect();
    (sizes.len(), sizes.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_maven_downloads() {
        let log = "[INFO] Downloading from central: a.jar\n\
            [INFO] Downloaded from central: a.jar (35 kB at 168 kB/s)\n\
            [INFO] Downloaded from central: b.jar (7.4 MB at 24 MB/s)\n\
            [INFO] Downloaded from central: c.pom (512 B at 1 kB/s)\n";
        assert_eq!(downloaded(log), (3, 7435));
    }
}
