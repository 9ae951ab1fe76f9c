"""Makes the dashboards: `dashboards.py FOLDER`, or `dashboards.py --check FOLDER` to compare and to validate.

The three views of the sample (workload, stream segments, TaskManagers) and the agent. What a panel is put
together from is in parts.py.
"""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard as Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from parts import AnyPanel, bars, board, lines, number, of_pipeline, of_stream, states

RATE = "[$__rate_interval]"
SHOWN = "[$__range]"

SOURCE = 'operator_name=~"Source:.*"'


def rate(metric: str, window: str = RATE) -> str:
    return f"rate({metric}{window})"


def total(expression: str, *by: str) -> str:
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum({expression})"


def largest(expression: str, *by: str) -> str:
    return f"max by ({', '.join(by)}) ({expression})" if by else f"max({expression})"


def quantile(number: float, histogram: str) -> str:
    return f"histogram_quantile({number}, {total(rate(histogram), 'le')})"


def mean_per_change(histogram: str, *by: str) -> str:
    """The mean over the time that is shown; absent where there was none."""
    sums, counts = (total(f"increase({of_pipeline(f'{histogram}_{part}')}{SHOWN})", *by) for part in ("sum", "count"))
    return f"{sums} / ({counts} > 0)"


def follow() -> AnyPanel:
    """The one panel that tells whether the job follows its stream."""
    return lines(
        "Segments, TaskManagers and parallelism in step",
        "The number of segments, as the agent reads it from the controller, and what follows it.",
        (total(of_stream("sluice_stream_segments", 'namespace="$namespace"', 'job="$job"')), "segments"),
        (largest(of_pipeline("sluice_task_managers", 'state="wanted"')), "TaskManagers wanted"),
        (largest(of_pipeline("sluice_task_managers", 'state="registered"')), "TaskManagers registered"),
        (largest(of_pipeline("sluice_parallelism", 'state="running"')), "parallelism"),
        steps=True,
        span=24,
    )


def workload() -> Builder:
    latency = 'data_generator_write_ack_latency_seconds_bucket{namespace="$namespace"}'
    return board(
        "sluice-workload",
        "Workload",
        "What is written into the stream, and whether the job keeps up with it.",
        {
            "Written and read": [
                lines(
                    "Events per second",
                    "Written, as Pravega's segment stores count it; read, as the job's source counts it.",
                    (total(rate(of_stream("pravega_segmentstore_segment_write_events_total"))), "written"),
                    (
                        total(rate(of_pipeline("flink_taskmanager_job_task_operator_numRecordsIn", SOURCE))),
                        "read by the job",
                    ),
                    unit="cps",
                ),
                lines(
                    "Bytes per second",
                    "Of Pravega's segment stores.",
                    (total(rate(of_stream("pravega_segmentstore_segment_write_bytes_total"))), "written"),
                    (total(rate(of_stream("pravega_segmentstore_segment_read_bytes_total"))), "read"),
                    unit=units.BytesPerSecondSI,
                ),
                lines(
                    "Not read yet",
                    "Records behind the job's source, estimated from the bytes in its segments.",
                    (
                        total(
                            f"clamp_min({of_pipeline('flink_taskmanager_job_task_operator_pendingRecords', SOURCE)}, 0)"
                        ),
                        "pending records",
                    ),
                ),
                follow().span(12),
            ],
            "Data generator": [
                lines(
                    "Load",
                    "What the shape wants and what Pravega has acknowledged.",
                    ('sum(data_generator_write_wanted_rate{namespace="$namespace"})', "wanted"),
                    (
                        total(rate('data_generator_write_events_acknowledged_total{namespace="$namespace"}')),
                        "acknowledged",
                    ),
                    unit="cps",
                    span=8,
                ),
                lines(
                    "From the intended time to the acknowledgement",
                    "A generator that cannot keep up counts the time that an event was late.",
                    (quantile(0.5, latency), "half of the events"),
                    (quantile(0.99, latency), "99 %"),
                    unit=units.Seconds,
                    span=8,
                ),
                lines(
                    "Behind its schedule",
                    "Of the writer that is furthest behind.",
                    ('max(data_generator_write_behind_seconds{namespace="$namespace"})', "behind"),
                    unit=units.Seconds,
                    span=8,
                ),
            ],
        },
    )


def segments() -> Builder:
    return board(
        "sluice-segments",
        "Stream segments",
        "How many segments the stream has, and how the load spreads over them.",
        {
            "Segments": [
                follow(),
                lines(
                    "What Pravega's own metric says",
                    "The gauge that the HPA pipeline of Pravega's sample scales on, one line per controller, beside "
                    "the number that the controller answers when it is asked. It goes stale when a controller "
                    "restarts, is dropped after three minutes without a change, and controllers may disagree.",
                    (of_stream("pravega_controller_segments_count"), "gauge of {{host}}"),
                    (
                        largest(of_stream("sluice_stream_segments", 'namespace="$namespace"', 'job="$job"')),
                        "asked",
                    ),
                    steps=True,
                ),
                lines(
                    "Epoch",
                    "Goes up by one with each scale event of the stream.",
                    (largest(of_stream("sluice_stream_epoch", 'namespace="$namespace"', 'job="$job"')), "epoch"),
                    steps=True,
                ),
            ],
            "Load per segment": [
                lines(
                    "Events written to each segment, per second",
                    "Of Pravega's segment stores. A stream is split where it is hot.",
                    (
                        total(rate(of_stream("pravega_segmentstore_segment_write_events_total")), "segment", "epoch"),
                        "{{segment}}.{{epoch}}",
                    ),
                    unit="cps",
                ),
                lines(
                    "Segments that each subtask reads",
                    "Of the job's own source. No subtask should have more than segments over parallelism, rounded up.",
                    (
                        largest(of_pipeline("flink_taskmanager_job_task_operator_assignedSegments"), "subtask_index"),
                        "subtask {{subtask_index}}",
                    ),
                    steps=True,
                ),
                lines(
                    "Splits and merges",
                    "As the controllers count them.",
                    (total(of_stream("pravega_controller_segment_splits")), "splits"),
                    (total(of_stream("pravega_controller_segment_merges")), "merges"),
                    steps=True,
                ),
                lines(
                    "Age of the reading",
                    "How old the agent's last good reading of the segments is.",
                    (
                        largest(of_pipeline("sluice_observation_age_seconds", 'source="pravega"'), "scope", "stream"),
                        "{{scope}}/{{stream}}",
                    ),
                    unit=units.Seconds,
                ),
            ],
        },
    )


def task_managers() -> Builder:
    def subtasks(title: str, description: str, metric: str, unit: str = units.Short, scale: str = "") -> AnyPanel:
        query = (largest(of_pipeline(metric), "tm_id") + scale, "{{tm_id}}")
        return lines(title, description, query, unit=unit)

    return board(
        "sluice-task-managers",
        "Flink TaskManagers",
        "How many TaskManagers there are, and what each of them does.",
        {
            "Number": [
                follow(),
                lines(
                    "TaskManagers by state",
                    "As the agent sees them: asked for at their owner, ready there, registered at Flink, wanted, and "
                    "without work.",
                    (largest(of_pipeline("sluice_task_managers"), "state"), "{{state}}"),
                    steps=True,
                ),
                lines(
                    "Slots",
                    "As the JobManager counts them.",
                    (largest(of_pipeline("flink_jobmanager_taskSlotsTotal")), "all"),
                    (largest(of_pipeline("flink_jobmanager_taskSlotsAvailable")), "free"),
                    steps=True,
                ),
            ],
            "Work": [
                subtasks(
                    "Busy",
                    "The busiest task of each TaskManager.",
                    "flink_taskmanager_job_task_busyTimeMsPerSecond",
                    units.PercentUnit,
                    " / 1000",
                ),
                lines(
                    "Events read per second",
                    "By each TaskManager.",
                    (
                        total(rate(of_pipeline("flink_taskmanager_job_task_operator_numRecordsIn", SOURCE)), "tm_id"),
                        "{{tm_id}}",
                    ),
                    unit="cps",
                ),
                subtasks("Heap", "Used.", "flink_taskmanager_Status_JVM_Memory_Heap_Used", units.BytesSI),
                subtasks("CPU", "Of the machine.", "flink_taskmanager_Status_JVM_CPU_Load", units.PercentUnit),
            ],
            "Job": [
                lines(
                    "Restarts",
                    "Flink counts a rescale as a restart.",
                    (largest(of_pipeline("flink_jobmanager_job_numRestarts")), "restarts"),
                    steps=True,
                    span=8,
                ),
                lines(
                    "Checkpoints",
                    "Since the JobManager started.",
                    (largest(of_pipeline("flink_jobmanager_job_numberOfCompletedCheckpoints")), "completed"),
                    (largest(of_pipeline("flink_jobmanager_job_numberOfFailedCheckpoints")), "failed"),
                    steps=True,
                    span=8,
                ),
                lines(
                    "Time of the last checkpoint",
                    "A change waits for one.",
                    (f"{largest(of_pipeline('flink_jobmanager_job_lastCheckpointDuration'))} / 1000", "checkpoint"),
                    unit=units.Seconds,
                    span=8,
                ),
            ],
        },
    )


def agent() -> Builder:
    cost = ("strategy", "direction")
    return board(
        "sluice-agent",
        "Agent",
        "What Sluice decides and why, what its changes cost the job, and how well it sees.",
        {
            "Now": [
                number(
                    "Holds for",
                    "The reason; none while it begins a change.",
                    (of_pipeline("sluice_holding") + " == 1", "{{reason}}"),
                    "string",
                ),
                number(
                    "Ready",
                    "Everything is known and fresh, and there is a job.",
                    (largest(of_pipeline("sluice_ready")), "ready"),
                    units.BoolYesNo,
                    span=3,
                ),
                number(
                    "Missing",
                    "Subtasks that the job lacks; below zero: has too many.",
                    (of_pipeline("job:sluice_parallelism_missing:max"), "missing"),
                    span=3,
                ),
                number(
                    "In step",
                    "Part of the looks of the last hour.",
                    (of_pipeline("job:sluice_in_step:ratio_rate1h"), "in step"),
                    units.PercentUnit,
                ),
                number(
                    "Restarts left",
                    "That the budget still allows within this hour.",
                    (of_pipeline("sluice_restart_budget_left"), "left"),
                    span=3,
                ),
                number(
                    "Agents that act",
                    "Exactly one leads.",
                    (total(of_pipeline("sluice_leader")), "leaders"),
                    span=3,
                ),
                number("Version", "Of the agent.", (of_pipeline("sluice_build_info"), "{{version}}"), "string"),
            ],
            "Decisions": [
                follow(),
                states(
                    "Holds",
                    "Why nothing was changed, over time.",
                    (largest(of_pipeline("sluice_holding"), "reason") + " > 0", "{{reason}}"),
                ),
                states(
                    "Pods do not come",
                    "Why, as Kubernetes tells it.",
                    (largest(of_pipeline("sluice_shortage"), "cause") + " > 0", "{{cause}}"),
                ),
                lines(
                    "Decisions per second",
                    "One at each look.",
                    (
                        total(rate(of_pipeline("sluice_decisions_total")), "decision", "reason") + " > 0",
                        "{{decision}} {{reason}}",
                    ),
                    unit="cps",
                    span=8,
                ),
                lines(
                    "Changes of the last hour",
                    "By how they ended.",
                    (of_pipeline("job_outcome:sluice_changes:increase1h") + " > 0", "{{outcome}}"),
                    steps=True,
                    span=8,
                ),
                lines(
                    "Rest left",
                    "Until the next change up or down may restart the job.",
                    (largest(of_pipeline("sluice_cooldown_left_seconds"), "direction"), "{{direction}}"),
                    unit=units.Seconds,
                    span=8,
                ),
            ],
            "What each change cost, mean over the time shown": [
                bars(
                    "Job not running",
                    "In the last restart of a change, by Flink's data.",
                    (mean_per_change("sluice_change_downtime_seconds", *cost), "{{strategy}} {{direction}}"),
                    units.Seconds,
                    span=6,
                ),
                bars(
                    "Input read twice",
                    "From the checkpoint that the job went back to until it stopped.",
                    (mean_per_change("sluice_change_replayed_input_seconds", *cost), "{{strategy}} {{direction}}"),
                    units.Seconds,
                    span=6,
                ),
                bars(
                    "Records read twice",
                    "About: the input at the rate before the change.",
                    (mean_per_change("sluice_change_replayed_records", *cost), "{{strategy}} {{direction}}"),
                    span=6,
                ),
                bars(
                    "Until it had caught up",
                    "From the end of the change.",
                    (mean_per_change("sluice_change_recovery_seconds", *cost), "{{strategy}} {{direction}}"),
                    units.Seconds,
                    span=6,
                ),
                bars(
                    "Phases",
                    "From the decision until each was reached.",
                    (
                        mean_per_change("sluice_change_phase_seconds", *cost, "phase"),
                        "{{strategy}} {{direction}}: {{phase}}",
                    ),
                    units.Seconds,
                    span=12,
                ),
                bars(
                    "Restarts in all",
                    "Of the job, by all changes of the time shown.",
                    (
                        total(f"increase({of_pipeline('sluice_job_restarts_total')}{SHOWN})", *cost) + " > 0",
                        "{{strategy}} {{direction}}",
                    ),
                    span=6,
                ),
                bars(
                    "Rescale, by Flink's account",
                    "Flink 2.3 and later tell how long a rescale took.",
                    (mean_per_change("sluice_change_rescale_seconds", *cost), "{{strategy}} {{direction}}"),
                    units.Seconds,
                    span=6,
                ),
            ],
            "Health of the sources": [
                lines(
                    "Age of the readings",
                    "Beyond --staleness Sluice holds.",
                    (largest(of_pipeline("sluice_observation_age_seconds"), "source"), "{{source}}"),
                    unit=units.Seconds,
                ),
                lines(
                    "Failed calls per second",
                    "By peer and kind of error.",
                    (
                        total(rate(of_pipeline("sluice_source_errors_total")), "source", "kind") + " > 0",
                        "{{source}} {{kind}}",
                    ),
                    unit="cps",
                ),
                lines(
                    "Time of a look",
                    "At all peers together.",
                    (quantile(0.5, of_pipeline("sluice_look_seconds_bucket")), "half of the looks"),
                    (quantile(0.99, of_pipeline("sluice_look_seconds_bucket")), "99 %"),
                    unit=units.Seconds,
                ),
                lines(
                    "Calls that change something",
                    "Per second, by action and result.",
                    (
                        total(rate(of_pipeline("sluice_actions_total")), "action", "result") + " > 0",
                        "{{action}} {{result}}",
                    ),
                    unit="cps",
                ),
                lines(
                    "TaskManagers without work",
                    "What spares and stragglers cost.",
                    (rate(of_pipeline("sluice_idle_task_manager_seconds_total")), "idle TaskManagers"),
                ),
                lines(
                    "Believed to be had at most",
                    "After fewer TaskManagers came than were asked for.",
                    (of_pipeline("sluice_capacity_task_managers"), "TaskManagers"),
                    steps=True,
                ),
            ],
        },
    )


def main(arguments: list[str]) -> int:
    check = arguments[:1] == ["--check"]
    folder = Path(arguments[-1])
    register_default_plugins()
    wrong = []
    for builder in (workload(), segments(), task_managers(), agent()):
        made = builder.build()
        file = folder / f"{made.uid}.json"
        text = json.dumps(made, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
        if not check:
            file.write_text(text)
            continue
        kept = file.read_text() if file.exists() else ""
        # What the schema does not know is lost on the way through the SDK's model.
        through = json.dumps(Dashboard.from_json(json.loads(kept or "{}")), cls=JSONEncoder, indent=2, sort_keys=True)
        if kept != text or through + "\n" != kept:
            wrong.append(str(file))
    for file_name in wrong:
        print(f"{file_name} is not what deploy/grafana/source says: run `make dashboards`", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
