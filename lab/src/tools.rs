//! The programs of the machine that the lab needs, and what to install if one is missing.

use std::path::PathBuf;
use std::process::Command;

use thiserror::Error;

/// The oldest Java that all the products here run with.
const OLDEST_JAVA: u32 = 11;

/// A tool that is missing or too old. The message is one line and names the Debian package.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MissingTool {
    /// No Java at all.
    #[error(
        "java is missing: Java 11 or newer runs Pravega and Flink; install it with: apt install openjdk-17-jre-headless"
    )]
    Java,
    /// A Java that is too old.
    #[error(
        "{path} is Java {found}, too old: 11 or newer is needed; install it with: apt install openjdk-17-jre-headless"
    )]
    OldJava {
        /// Where it is.
        path: String,
        /// Its version.
        found: u32,
    },
    /// No Maven.
    #[error("mvn is missing: Maven fetches the jars of Pravega; install it with: apt install maven")]
    Maven,
    /// No Python.
    #[error("python3 is missing: its pip fetches Flink; install it with: apt install python3 python3-pip")]
    Python,
    /// Python without pip.
    #[error("python3 has no pip module: it fetches Flink; install it with: apt install python3-pip")]
    Pip,
    /// No Prometheus, and no apt to fetch it with.
    #[error("prometheus and promtool are missing: put them on the path (on Debian: apt install prometheus)")]
    Prometheus,
}

/// A Java to run things with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Java {
    /// The program.
    pub program: PathBuf,
    /// Its version, for example 17.
    pub major: u32,
    /// The same in full, for example `17.0.15`.
    pub version: String,
}

/// Finds Java: `$JAVA_HOME/bin/java` if that is set, else `java` on the path.
pub fn java() -> Result<Java, MissingTool> {
    let program = std::env::var_os("JAVA_HOME")
        .map(|home| PathBuf::from(home).join("bin/java"))
        .filter(|java| java.is_file())
        .or_else(|| find_program("java"))
        .ok_or(MissingTool::Java)?;
    let answer = Command::new(&program).arg("-version").output().map_err(|_| MissingTool::Java)?;
    let (version, major) = parse_java_version(&String::from_utf8_lossy(&answer.stderr)).ok_or(MissingTool::Java)?;
    if major < OLDEST_JAVA {
        let path = program.display().to_string();
        return Err(MissingTool::OldJava { path, found: major });
    }
    Ok(Java { program, major, version })
}

/// Finds Maven.
pub fn maven() -> Result<PathBuf, MissingTool> {
    find_program("mvn").ok_or(MissingTool::Maven)
}

/// Finds a Python that has pip.
pub fn python() -> Result<PathBuf, MissingTool> {
    let python = find_program("python3").ok_or(MissingTool::Python)?;
    let pip = Command::new(&python).args(["-m", "pip", "--version"]).output();
    if pip.is_ok_and(|answer| answer.status.success()) { Ok(python) } else { Err(MissingTool::Pip) }
}

/// Finds apt, which fetches Prometheus where it is not installed.
pub fn apt() -> Result<PathBuf, MissingTool> {
    find_program("apt-get").ok_or(MissingTool::Prometheus)
}

/// The first file of that name in the folders of `PATH`.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// One line about each tool, and whether all are there.
#[must_use]
pub fn report() -> (Vec<String>, bool) {
    let found = [
        java().map(|java| format!("java {} ({})", java.version, java.program.display())),
        maven().map(|mvn| format!("mvn ({})", mvn.display())),
        python().map(|python| format!("python3 with pip ({})", python.display())),
    ];
    let complete = found.iter().all(Result::is_ok);
    let lines = found
        .into_iter()
        .map(|tool| match tool {
            Ok(line) => format!("ok       {line}"),
            Err(missing) => format!("missing  {missing}"),
        })
        .collect();
    (lines, complete)
}

/// The version in what `java -version` prints, in full and in short: `"17.0.15"` is 17, `"1.8.0_392"`
/// is 8.
fn parse_java_version(text: &str) -> Option<(String, u32)> {
    let version = text.split('"').nth(1)?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    let major = match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok()?,
        major => major,
    };
    Some((version.to_owned(), major))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_versions_of_java() {
        for (text, major) in [
            ("openjdk version \"17.0.15\" 2025-04-15", Some(17)),
            ("openjdk version \"1.8.0_392\"", Some(8)),
            ("java version \"21\" 2023-09-19 LTS", Some(21)),
            ("openjdk version \"26-ea\" 2026-03-17", Some(26)),
            ("command not found", None),
        ] {
            assert_eq!(parse_java_version(text).map(|(_, major)| major), major, "{text}");
        }
    }

    #[test]
    fn a_missing_tool_is_one_line_with_the_package() {
        for missing in [
            MissingTool::Java,
            MissingTool::OldJava { path: "/usr/bin/java".into(), found: 8 },
            MissingTool::Maven,
            MissingTool::Python,
            MissingTool::Pip,
            MissingTool::Prometheus,
        ] {
            let message = missing.to_string();
            assert!(!message.contains('\n') && message.contains("apt install "), "{message}");
        }
    }
}
