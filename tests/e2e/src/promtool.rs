//! Runs promtool on what is shipped and on what is served.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use sluice_lab::cache::PrometheusTools;

/// Runs promtool in a folder; its complaints are the error.
pub fn promtool(tools: &PrometheusTools, folder: &Path, arguments: &[&str], input: &str) -> Result<()> {
    let mut child = Command::new(&tools.promtool)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("promtool")?;
    child.stdin.take().context("its input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    ensure!(output.status.success(), "promtool {}: {said}", arguments.join(" "));
    Ok(())
}

/// The metrics in the format before OpenMetrics, the only one that `promtool check metrics` reads: there
/// the name of a counter has its suffix everywhere, and there are neither units nor the type `info`.
#[must_use]
pub fn before_open_metrics(text: &str) -> String {
    let suffix = |name: &str| {
        let kind = text.lines().find_map(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '));
        match kind {
            Some("counter") => "_total",
            Some("info") => "_info",
            _ => "",
        }
    };
    let mut plain = String::new();
    for line in text.lines().filter(|line| !line.starts_with("# UNIT ") && *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what @ ("HELP" | "TYPE")), Some(name), Some(rest)) => {
                let rest = if what == "TYPE" && rest == "info" { "gauge" } else { rest };
                plain.extend(["# ", what, " ", name, suffix(name), " ", rest, "\n"]);
            }
            _ => plain.extend([line, "\n"]),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_infos_get_their_suffix() {
        let open = "# HELP a Things.\n# TYPE a counter\na_total 1\n# HELP b_seconds Time.\n# TYPE b_seconds gauge\n\
                    # UNIT b_seconds seconds\nb_seconds 2\n# HELP c Build.\n# TYPE c info\nc_info{v=\"1\"} 1\n# EOF\n";
        let plain = "# HELP a_total Things.\n# TYPE a_total counter\na_total 1\n# HELP b_seconds Time.\n\
                     # TYPE b_seconds gauge\nb_seconds 2\n# HELP c_info Build.\n# TYPE c_info gauge\nc_info{v=\"1\"} 1\n";
        assert_eq!(before_open_metrics(open), plain);
    }
}
