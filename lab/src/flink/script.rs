//! Writes the script that starts a `TaskManager`. The agent runs it in Sluice's process-pool target,
//! the lab runs it too: both start exactly the same thing.

use crate::process::Launch;
use crate::run_dir::RunDir;

/// The text of the script around the Java command.
pub fn text(run: &RunDir, java: &Launch) -> String {
    format!(
        r#"#!/bin/sh
# Starts one Flink TaskManager in the foreground. Its id comes from SLUICE_TASK_MANAGER_ID.
set -eu
id=${{SLUICE_TASK_MANAGER_ID:?set it to the id of the TaskManager}}

# A pid file (pid, start time, name): the lab stops whatever still runs when the run ends, and knows
# by the start time that it is no stranger. Both stay the same over the exec below.
stat=$(cat "/proc/$$/stat")
set -- ${{stat##*) }}
printf '%s %s %s\n' "$$" "${{20}}" "$id" >'{pids}'/"$id.pid"

exec >>'{logs}'/"$id.log" 2>&1
exec {java} -Dtaskmanager.resource-id="$id"
"#,
        pids = run.pids().display(),
        logs = run.logs().display(),
        java = java.to_shell(),
    )
}
