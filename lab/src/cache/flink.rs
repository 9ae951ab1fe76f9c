//! Fetches Flink with pip: its Python packages carry the jars. The Java registry has only the parts,
//! not the distribution.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Cache, CacheError, Fetch};
use crate::process::Launch;
use crate::progress::{Progress, size};
use crate::tools;

const PACKAGE: &str = "apache-flink-libraries";
/// Takes what the lab runs out of the package, and nothing else.
const UNPACK: &str = include_str!("unpack_flink.py");

/// A version of Flink that the lab can run: 1.17 to 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlinkVersion {
    major: u16,
    minor: u16,
    patch: u16,
}

impl FlinkVersion {
    /// The version that demo and tests use unless told otherwise.
    pub const DEFAULT: Self = Self { major: 1, minor: 20, patch: 5 };

    /// Whether it is this release line or a later one.
    #[must_use]
    pub fn is_at_least(self, major: u16, minor: u16) -> bool {
        (self.major, self.minor) >= (major, minor)
    }
}

impl FromStr for FlinkVersion {
    type Err = CacheError;

    fn from_str(text: &str) -> Result<Self, CacheError> {
        let numbers: Result<Vec<u16>, _> = text.split('.').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[major, minor, patch]) if matches!((major, minor), (1, 17..=20) | (2, 0..=3)) => {
                Ok(Self { major, minor, patch })
            }
            _ => Err(CacheError::Version(text.to_owned())),
        }
    }
}

impl fmt::Display for FlinkVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Cache {
    /// The folder of a Flink distribution: `lib/` holds what its processes run with, `plugins/` the
    /// metric reporters. Fetched if it is not there.
    pub async fn flink(&self, version: FlinkVersion, progress: Progress) -> Result<PathBuf, CacheError> {
        let item = format!("flink-{version}");
        let home = self.root().join(&item);
        if !home.is_dir() {
            let _lock = self.lock(&item, progress).await?;
            if !home.is_dir() {
                self.fetch_flink(version, &item, &home, progress).await?;
            }
        }
        Ok(home)
    }

    async fn fetch_flink(
        &self,
        version: FlinkVersion,
        item: &str,
        home: &Path,
        progress: Progress,
    ) -> Result<(), CacheError> {
        let python = tools::python()?;
        let staging = self.staging(item)?;
        let [downloads, scratch, ready] = ["downloads", "scratch", "ready"].map(|name| staging.path().join(name));
        for folder in [&downloads, &scratch, &ready] {
            fs::create_dir(folder).map_err(|source| CacheError::Folder { path: folder.clone(), source })?;
        }

        let what = format!("Flink {version}");
        let mut task = progress.task(format!("fetching {what} (pip, some 230 to 330 MB)"));
        let download = Fetch {
            what: what.clone(),
            with: "pip",
            // pip downloads into the folder for temporary files and keeps a copy in its own cache:
            // the first is put where progress can be seen, the second is not wanted.
            launch: Launch::new(&python)
                .args(["-m", "pip", "download", "--no-deps", "--no-cache-dir"])
                .args(["--disable-pip-version-check", "--progress-bar", "off", "--dest"])
                .arg(&downloads)
                .arg(format!("{PACKAGE}=={version}"))
                .env("TMPDIR", &scratch),
            log: staging.path().join("pip.log"),
        };
        download.run(|_| task.at(&size(super::largest_in(&scratch).max(super::largest_in(&downloads))))).await?;

        let unpack = Fetch {
            what: what.clone(),
            with: "python3",
            launch: Launch::new(&python).args(["-c", UNPACK]).arg(&downloads).arg(&ready),
            log: staging.path().join("unpack.log"),
        };
        unpack.run(|_| task.at(&format!("unpacked {}", size(super::bytes_in(&ready))))).await?;
        if !ready.join("lib").join(format!("flink-dist-{version}.jar")).is_file() {
            return Err(CacheError::Incomplete { what, missing: "flink-dist" });
        }
        let bytes = super::bytes_in(&ready);
        Self::publish(&ready, home)?;
        task.done(&format!("unpacked {}", size(bytes)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_between_1_17_and_2_3() {
        for good in ["1.17.2", "1.20.5", "2.0.0", "2.3.0"] {
            assert_eq!(good.parse::<FlinkVersion>().expect("good").to_string(), good);
        }
        for bad in ["1.16.3", "1.21.0", "2.4.0", "1.20", "latest", "1.20.5.1", ""] {
            assert!(bad.parse::<FlinkVersion>().is_err(), "{bad}");
        }
        assert!(FlinkVersion::DEFAULT.is_at_least(1, 19));
        assert!(!FlinkVersion::DEFAULT.is_at_least(2, 0));
    }
}
