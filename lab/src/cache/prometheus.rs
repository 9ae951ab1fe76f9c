//! Finds Prometheus and promtool: those on the path, or else those in Debian's package, unpacked into the
//! cache without being installed.

use std::path::PathBuf;

use super::{Cache, CacheError, Fetch};
use crate::process::Launch;
use crate::progress::Progress;
use crate::tools;

const ITEM: &str = "prometheus-debian";

/// The two programs.
#[derive(Clone, Debug)]
pub struct PrometheusTools {
    /// The server.
    pub prometheus: PathBuf,
    /// Checks configurations, rules and metrics.
    pub promtool: PathBuf,
}

impl Cache {
    /// The programs of Prometheus; fetched with apt if they are not there.
    pub async fn prometheus(&self, progress: Progress) -> Result<PrometheusTools, CacheError> {
        if let (Some(prometheus), Some(promtool)) = (tools::find_program("prometheus"), tools::find_program("promtool"))
        {
            return Ok(PrometheusTools { prometheus, promtool });
        }
        let home = self.root().join(ITEM);
        if !home.is_dir() {
            let _lock = self.lock(ITEM, progress).await?;
            if !home.is_dir() {
                self.fetch_prometheus(&home, progress).await?;
            }
        }
        let programs = home.join("usr/bin");
        Ok(PrometheusTools { prometheus: programs.join("prometheus"), promtool: programs.join("promtool") })
    }

    async fn fetch_prometheus(&self, home: &std::path::Path, progress: Progress) -> Result<(), CacheError> {
        tools::apt()?;
        let staging = self.staging(ITEM)?;
        let mut task = progress.task("fetching Prometheus (Debian's package, 19 MB)".to_owned());
        let fetch = Fetch {
            what: "Prometheus".into(),
            with: "apt-get",
            launch: Launch::new("sh")
                .args(["-c", "cd \"$1\" && apt-get -q download prometheus && dpkg-deb -x prometheus_*.deb ready", "sh"])
                .arg(staging.path()),
            log: staging.path().join("apt.log"),
        };
        fetch.run(|_| task.at("downloading")).await?;
        let ready = staging.path().join("ready");
        if !ready.join("usr/bin/promtool").is_file() {
            return Err(CacheError::Incomplete { what: "Prometheus".into(), missing: "promtool" });
        }
        Self::publish(&ready, home)?;
        task.done("unpacked");
        Ok(())
    }
}
