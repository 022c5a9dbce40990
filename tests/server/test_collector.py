"""The garbage collector leaves alone what stays, and still finds what dies young."""

import gc
import subprocess
import sys

SCRIPT = """
import gc, weakref
from lwm2m_server import collector

class Node: pass

def cycle():
    node = Node()
    node.self = node
    return weakref.ref(node)

collector.relieve()
collector.relieve()
frozen = gc.get_freeze_count()
stays = [[number] for number in range(500_000)]
assert gc.get_freeze_count() - frozen > 300_000, gc.get_freeze_count() - frozen
assert sum(map(gc.get_count().__getitem__, (1, 2))) < 20
young = cycle()
more = [[number] for number in range(50_000)]
assert young() is None
assert len(gc.callbacks) == 1
"""


def test_what_stays_is_taken_out_and_young_cycles_are_found():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_is_changed_by_importing_it():
    import lwm2m_server.collector  # noqa: F401

    assert gc.isenabled()
    assert gc.get_threshold()[0] < 20_000
