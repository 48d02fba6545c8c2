"""A Ray cluster of two machines, simulated: two nodes of one core each, heard by loopback alone.

A program: it prints the address when both are there, and ends when its input does.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join(filter(None, [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH")]))
"""Where all processes find the package, and extractors of tests."""


@contextmanager
def two_nodes(place: Path) -> Iterator[str]:
    """Start the nodes, with their sockets and logs in a short path; gives the address."""
    # As of `ray_cluster`: or Ray would put the machine's own address in place of this one.
    ours = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    with (place / "nodes.txt").open("w") as log:
        nodes = subprocess.Popen(
            [sys.executable, __file__, place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | ours | {"PYTHONPATH": PATHS},
        )
    with nodes:
        assert nodes.stdout is not None
        address = nodes.stdout.readline().strip()
        assert address, (place / "nodes.txt").read_text()
        yield address
        assert nodes.stdin is not None
        nodes.stdin.close()


def _patiently(start: Callable[[], Any]) -> Any:
    """Start a node; Ray waits half a minute, which is too short for a machine that is busy."""
    for _ in range(5):
        with suppress(Exception):
            return start()
    return start()


def main() -> None:
    from ray.cluster_utils import Cluster

    how = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "include_dashboard": False}
    how["object_store_memory"] = 80 * 2**20
    nodes = _patiently(
        lambda: Cluster(initialize_head=True, head_node_args={**how, "temp_dir": sys.argv[1]})
    )
    _patiently(lambda: nodes.add_node(**how))
    print(nodes.address, flush=True)
    sys.stdin.read()
    nodes.shutdown()


if __name__ == "__main__":
    main()
