"""Running DAGs on the real scheduler, as a person would by Airflow's REST API."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console

from demo.airflow import Api, TaskFailed

_RUN_SECONDS = 300.0
_LOOK_SECONDS = 0.4
"""Between two looks at a run: each look costs the API server what the tasks want from it."""
_TASKS_SECONDS = 1.6
"""Between two looks at its tasks: such a look costs several times as much."""
_ENDED = ("success", "failed")
_THINKING_SECONDS = 3.0


class Job:
    """Runs DAGs on the real scheduler and shows how far they are."""

    def __init__(self, api: Api, console: Console) -> None:
        self._api, self._console = api, console
        self._told: set[tuple[str, int]] = set()
        self._asked_at: dict[str, float] = {}  # by task instance, each try its own

    def start(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Trigger a DAG once the DAG processor has read it."""
        deadline = time.monotonic() + 60
        while dag_id not in self._api.dag_ids():
            if errors := self._api.import_errors():
                raise RuntimeError(f"DAG {dag_id!r} cannot be read: {errors[0]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"DAG {dag_id!r} was not found: expected one of {sorted(self._api.dag_ids())}")
            time.sleep(0.3)
        self._api.unpause(dag_id)
        return self._api.trigger(dag_id, conf)

    def finish(
        self, dag_id: str, run_id: str, look: Callable[[], None] = lambda: None, *, answer: str | None = None
    ) -> int:
        """Wait for the run, asking `look` to show progress, and answer what it asks with `answer`; how often it asked.

        TaskFailed with the logs' tails when it fails, and when it asks and there is no answer.
        """
        answered = 0
        deadline = time.monotonic() + _RUN_SECONDS
        next_tasks = time.monotonic() + _TASKS_SECONDS
        while (state := self._api.run_state(dag_id, run_id)) not in _ENDED:
            if time.monotonic() > deadline:
                tasks = {task["task_id"]: task["state"] for task in self._api.tasks(dag_id, run_id)}
                raise TaskFailed(f"run {run_id!r} of {dag_id!r} is still {state} after {_RUN_SECONDS:g} s: {tasks}")
            look()
            if time.monotonic() > next_tasks:
                answered += self._attend(dag_id, run_id, answer)
                next_tasks = time.monotonic() + _TASKS_SECONDS
            time.sleep(_LOOK_SECONDS)
        look()
        # A run by hand has nothing to do when a scheduled one came first: that one counts as well.
        for failed in (run["dag_run_id"] for run in self._api.runs(dag_id) if run["state"] == "failed"):
            raise self._api.failure(dag_id, failed)
        return answered

    def log_of(self, dag_id: str, run_id: str, task_id: str) -> list[str]:
        """The lines of a task's log, as they were logged."""
        [task] = [task for task in self._api.tasks(dag_id, run_id) if task["task_id"] == task_id]
        return self._api.log(task, 1000).splitlines()

    def _attend(self, dag_id: str, run_id: str, answer: str | None) -> int:
        """Tell what failed and answer what is asked, by one look at the tasks of all runs of the DAG."""
        tasks = self._api.tasks(dag_id, "~", state=("up_for_retry", "awaiting_input"))
        self._tell_retries([task for task in tasks if task["state"] == "up_for_retry"])
        return self._answer(
            [task for task in tasks if task["state"] == "awaiting_input" and task["dag_run_id"] == run_id], answer
        )

    def answer(self, dag_id: str, run_id: str, answer: str | None) -> int:
        """Answer what the run asks now; how many questions. TaskFailed when it asks and there is no answer.

        A question is answered some seconds after it was asked, as a person would: a task that goes on before the
        scheduler has noticed that it paused is taken for one that was killed, and tried again.
        """
        return self._answer(self._api.tasks(dag_id, run_id, state="awaiting_input"), answer)

    def _answer(self, asking: Sequence[Mapping[str, Any]], answer: str | None) -> int:
        answered = 0
        for task in asking:
            if answer is None:
                raise TaskFailed(f"task {task['task_id']!r} of {task['dag_id']!r} asks for an approval: expected none")
            asked_at = self._asked_at.setdefault(task["id"], time.monotonic())
            if time.monotonic() - asked_at > _THINKING_SECONDS * 3 ** (task["try_number"] - 1):
                self._api.answer(task, answer)
                answered += 1
        return answered

    def _tell_retries(self, waiting: Sequence[Mapping[str, Any]]) -> None:
        """Say once for each try that failed why it did, while Airflow waits to try again; also for scheduled runs,
        which those by hand may wait for.
        """
        for task in waiting:
            attempt = (task["id"], task["try_number"])
            if attempt not in self._told:
                self._told.add(attempt)
                name = f"{task['dag_id']}.{task['task_id']} [{task['map_index']}]"
                self._console.print(
                    f"  {name} failed and will be tried again:\n{self._api.log(task, 12)}", markup=False
                )
