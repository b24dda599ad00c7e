"""Is the process of a run still there? Asked by the daemon, so that a dead run gives its place up.

Dagster's own launcher leaves this to the server that started the process. Where that server was
killed with it, the run would count as running for ever.
"""

import os
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher

PROCESSES = Path("/proc")
STARTED = "Started process for run"
GRACE_S = 5.0  # of the two clocks: an event is logged after its process was started


class WatchedRunLauncher(DefaultRunLauncher):
    """Starts runs as Dagster does, and looks for their processes on this machine."""

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "WatchedRunLauncher":
        return cls(inst_data=inst_data)

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Running where the process that said it had started this run is the one of that number."""
        events = self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        for event in reversed(events):
            if STARTED in event.message and event.dagster_event:
                pid = event.dagster_event.engine_event_data.metadata["pid"].value
                if is_running(int(str(pid)), event.timestamp):
                    return CheckRunHealthResult(WorkerStatus.RUNNING)
                return CheckRunHealthResult(WorkerStatus.FAILED, f"process {pid} is no more")
        return CheckRunHealthResult(WorkerStatus.UNKNOWN, "no process said that it had started")


def is_running(pid: int, said_at: float) -> bool:
    """Whether the process that spoke at `said_at` (seconds since 1970) runs; not a later one."""
    try:
        fields = (PROCESSES / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return False
    state, ticks = fields[0], float(fields[19])
    booted = next(
        float(line.split()[1])
        for line in (PROCESSES / "stat").read_text().splitlines()
        if line.startswith("btime")
    )
    started_at = booted + ticks / os.sysconf("SC_CLK_TCK")
    return state not in "ZX" and started_at <= said_at + GRACE_S
