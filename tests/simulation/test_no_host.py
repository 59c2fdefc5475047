"""The model reaches no host, whatever it plays."""

import subprocess
import sys

PLAYED = """
import sys
sys.modules["libvirt"] = None
from autoscaler.simulation.ranking import Trial, report, tasks
from autoscaler.simulation.contest import play
from autoscaler.simulation.workload import Session
from policies.threshold import Threshold
from tests.simulation.plant import START, a_scenario, a_workload
trial = Trial("a test", a_scenario(2), a_workload(Session(100.0, 300.0, 8)), START.tzinfo, {"threshold": Threshold()})
done = report(trial, play(tasks(trial), 1, lambda share: None))
assert done.runs[0].moves, "memory has moved"
reached = ("autoscaler.hypervisors", "autoscaler.service", "autoscaler.store", "autoscaler.sources", "sqlalchemy")
print([name for name in reached if name in sys.modules])
"""


def test_a_whole_comparison_is_made_without_libvirt_and_all_that_leads_to_it() -> None:
    result = subprocess.run([sys.executable, "-c", PLAYED], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.strip()) == (0, "[]"), result.stderr
