"""Health of a node and a hub: numbers, an exit code, an endpoint on loopback, word of events."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federated.cli import doctor, metrics
from federated.cli.deciding import to_log_and
from federated.cli.health import health_of_hub, health_of_node
from federated.cli.hub import app as hub_app
from federated.cli.node import app
from federated.node.measures import Health, Measure, text_format
from federated.wire.hub_home import HubHome
from psi.protocol import EnvironmentFailed, MisuseError
from tests.e2e.hub_world import free_port
from tests.unit.states.conftest import called, scene
from tests.unit.states.scene import Scene

__all__ = ["called", "scene"]

LINE = re.compile(r'fedprofile_node_\w+(\{\w+="[\w-]+"\})? -?[\d.]+(e[+-]?\d+)?')


def health(scene: Scene, code: int) -> dict[str, Any]:
    words = ["health", "--json", "--home", str(scene.home.path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == code, done.output
    return dict(json.loads(done.stdout))


def test_a_node_says_how_it_is(scene: Scene) -> None:
    hub = 'version = 1\nname = "bureau"\nhub = "mounted"\n'
    (scene.home.path / "node.toml").write_text(hub)  # it has no certificate here
    found = health(scene, 0)
    assert (found["well"], found["up"], found["connected"]) == (True, 1, 1)
    assert (found["jobs"]["waiting"], found["jobs"]["done"]) == (1, 0)
    assert 0 <= found["oldest_waiting_seconds"] < 60
    assert found["memory_bytes"] > 1 << 20
    assert found["disk_free_bytes"] == pytest.approx(shutil.disk_usage(scene.folder).free, rel=0.1)

    end = metrics.serve_metrics(port := free_port(), lambda: _of(scene), "fedprofile_node")
    with pytest.raises(EnvironmentFailed, match=f"--metrics-port {port}"):
        metrics.serve_metrics(port, lambda: _of(scene), "fedprofile_node")
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    numbers = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in numbers), numbers
    assert 'fedprofile_node_jobs{state="waiting"} 1' in numbers
    assert "bank" not in text  # nobody's name
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/jobs")
    end()

    assert scene.node is not None
    scene.node.fleet.connected.clear()
    scene.node.fleet.trouble = "the hub's certificate does not hold"
    (problem,) = health(scene, 7)["problems"]
    assert re.fullmatch(
        r"it is not connected to the hub since [\d-]+ [\d:]+ UTC: the hub's certificate .*", problem
    )
    why = re.fullmatch(r"the hub is not reached since .* UTC \(the hub's .*\)", scene.row()["why"])
    assert why
    assert why.group() in scene.say("jobs")
    scene.node.fleet.connected.set()
    scene.policy("[proposals\n")
    assert "policy.toml" in health(scene, 7)["problems"][0]
    scene.policy("")
    listed = scene.home.path / "officers.json"
    listed.write_text("{}")
    assert "officers" in health(scene, 7)["problems"][0]
    assert "officers" in doctor._officers(scene.home)
    shown = CliRunner().invoke(app, ["jobs", "--home", str(scene.home.path)])
    assert shown.exit_code == 0
    assert "until it is put back no call is heard" in shown.output
    assert scene.session.hex()[:8] in shown.output
    listed.unlink()
    assert doctor._officers(scene.home) == ""
    scene.stop()
    assert health(scene, 7)["problems"] == ["no node runs here"]
    (scene.home.path / "node.toml").write_text('version = 1\nname = "bureau"\nhub = "hub:1"\n')
    assert "its certificate cannot be read" in health(scene, 7)["problems"][1]


def _of(scene: Scene) -> Health:
    return health_of_node(scene.home)


def test_a_hub_says_how_it_is(tmp_path: Path) -> None:
    place = HubHome.create(tmp_path / "hub", ["localhost"], free_port(), "127.0.0.1")
    found = health_of_hub(place)
    assert found.problems == ("the hub is not running",)
    done = CliRunner().invoke(hub_app, ["health", "--home", str(place.path)])
    assert done.exit_code == 7
    assert "BAD  the hub is not running" in done.output
    assert "certificate_days" in done.output


def test_the_text_has_one_kind_a_name() -> None:
    jobs = [Measure("jobs", "by state", n, {"state": s}) for n, s in ((1, "done"), (2, "failed"))]
    assert text_format(Health(tuple(jobs), ("bad",)), "x").splitlines() == [
        "# HELP x_well 1 where nothing is wrong",
        "# TYPE x_well gauge",
        "x_well 0",
        "# HELP x_jobs by state",
        "# TYPE x_jobs gauge",
        'x_jobs{state="done"} 1',
        'x_jobs{state="failed"} 2',
    ]


@pytest.fixture
def told() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that takes what is posted to it."""
    came: list[dict[str, Any]] = []

    class Takes(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    server = http.server.HTTPServer(("127.0.0.1", 0), Takes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", came
    server.shutdown()


def test_word_of_a_waiting_proposal_and_of_a_jobs_end(
    tmp_path: Path, told: tuple[str, list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    address, came = told
    tell = metrics.notifier(address)
    waits = to_log_and(tell)
    waits(type("Asked", (), {"id": "3fa9c1d2"})(), "waits for an officer's word")
    tell("ended", "3fa9c1d2", "done")
    _until(lambda: len(came) == 2)
    came.sort(key=lambda one: one["event"], reverse=True)
    assert [(one["event"], one["job"], one["state"]) for one in came] == [
        ("waiting", "3fa9c1d2", "waiting"),
        ("ended", "3fa9c1d2", "done"),
    ]
    assert set(came[0]) == {"event", "job", "state", "time"}

    file = tmp_path / "said"
    metrics.notifier(f"tee {file}")("ended", "3fa9c1d2", "failed")
    _until(lambda: file.exists() and "failed" in file.read_text())
    metrics.notifier("/no/such/command")("ended", "3fa9c1d2", "done")
    _until(lambda: "was not told" in caplog.text)


@pytest.mark.parametrize("target", ["http://monitor.example/x", "http://10.0.0.1:9/", "http://"])
def test_word_of_jobs_does_not_go_unprotected_over_a_network(target: str) -> None:
    with pytest.raises(MisuseError, match="https:// allowed"):
        metrics.notifier(target)
    for here in (
        "http://127.0.0.1:9/",
        "http://[::1]:9/",
        "http://localhost/",
        "https://a.example/",
    ):
        metrics.notifier(here)


def _until(true: Any) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
