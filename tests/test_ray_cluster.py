import os
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from traitscope.errors import ConfigError, MissingError
from traitscope.ray_cluster import open_cluster


def test_ray_that_is_not_installed_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    wanted = r"The search needs the package 'ray'.*pip install 'traitscope\[ray\]'"
    with pytest.raises(MissingError, match=wanted), open_cluster(why="The search"):
        pass


def listening() -> list[str]:
    """Addresses at which the processes below this one listen."""
    processes = psutil.Process().children(recursive=True)
    addresses = []
    for process in [psutil.Process(), *processes]:
        with suppress(psutil.NoSuchProcess):  # one that has just ended listens no more
            connections = process.net_connections("inet")
            addresses += [c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN]
    return addresses


@pytest.mark.slow
def test_a_started_cluster_is_heard_by_this_machine_alone_and_leaves_nothing() -> None:
    before = dict(os.environ)
    with open_cluster(why="this test", cpus=2) as ray:
        place = Path(ray._private.worker._global_node.get_temp_dir_path())
        assert place.is_dir()
        assert ray.get(ray.remote(lambda: 6 * 7).remote()) == 42
        assert {ip.removeprefix("::ffff:") for ip in listening()} == {"127.0.0.1"}
        with open_cluster(why="a part of this test") as same:
            assert same is ray
        assert ray.is_initialized()
    assert not ray.is_initialized()
    assert not place.exists()
    assert dict(os.environ) == before


def test_a_cluster_that_is_not_there_is_told_at_once() -> None:
    with (
        pytest.raises(ConfigError, match=r"no Ray cluster at '127\.0\.0\.1:1'.*ray start --head"),
        open_cluster("127.0.0.1:1", why="this test"),
    ):
        pass
