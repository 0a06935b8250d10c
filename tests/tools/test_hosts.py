"""Jobs on several hosts: network namespaces, whose packets this process carries."""

import fcntl
import heapq
import os
import re
import selectors
import shutil
import socket
import struct
import subprocess
import threading
import time
from contextlib import ExitStack, suppress

import pytest
import torch

from conftest import (
    ENVIRONMENT,
    ROOT,
    find_processes,
    kill_tree,
    wait_until,
    with_packages,
)

TUN = "/dev/net/tun"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.access(TUN, os.W_OK) or os.geteuid() != 0 or not shutil.which("ip"),
        reason=f"needs root, iproute2 and {TUN}",
    ),
]

# From <linux/if_tun.h>: an interface whose packets a process reads and writes.
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x1, 0x1000

# Loaded by Python where it starts: a clock that is an hour late.
LATE_CLOCK = """
import builtins, datetime, time
from types import SimpleNamespace

class Late(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.now(tz) - datetime.timedelta(hours=1)

def import_late(name, globals=None, *rest, **others):
    module = import_(name, globals, *rest, **others)
    if name == "datetime" and "rendezvous" in (globals or {}).get("__name__", ""):
        return SimpleNamespace(**{**vars(module), "datetime": Late})
    return module

import_, builtins.__import__ = builtins.__import__, import_late
time_ = time.time
time.time = lambda: time_() - 3600
"""


class Network:
    """Hosts with an address each.

    Attributes:
        addresses (list[str]): Of the hosts.
        delay (float): Seconds that a packet takes.
        unplugged (set[int]): Hosts that no packet reaches or leaves.
    """

    def __init__(self, hosts):
        self.addresses = [f"10.77.0.{i + 1}" for i in range(hosts)]
        self.delay = 0.0
        self.unplugged = set()
        self._names = [f"mmresizer-{os.getpid()}-{i}" for i in range(hosts)]
        self._ends = []
        self._is_open = True
        self._thread = threading.Thread(target=self._carry)

    def __enter__(self):
        for i, (name, address) in enumerate(
            zip(self._names, self.addresses, strict=True)
        ):
            end = os.open(TUN, os.O_RDWR)
            self._ends.append(end)
            device = f"r{os.getpid()}-{i}"
            request = struct.pack("16sH", device.encode(), IFF_TUN | IFF_NO_PI)
            fcntl.ioctl(end, TUNSETIFF, request)
            for command in (
                f"netns add {name}",
                f"link set {device} netns {name} mtu 16000",
                f"-n {name} addr add {address}/24 dev {device}",
                f"-n {name} link set {device} up",
                f"-n {name} link set lo up",
            ):
                subprocess.run(["ip", *command.split()], check=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_open = False
        if self._thread.is_alive():
            self._thread.join()
        for end in self._ends:
            os.close(end)
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name])

    def command(self, host):
        """Returns the start of a command that a host executes."""
        return ["ip", "netns", "exec", self._names[host]]

    def _carry(self):
        selector = selectors.DefaultSelector()
        for host, end in enumerate(self._ends):
            selector.register(end, selectors.EVENT_READ, host)
        hosts = {socket.inet_aton(a): i for i, a in enumerate(self.addresses)}
        under_way, number = [], 0
        while self._is_open:
            pause = under_way[0][0] - time.monotonic() if under_way else 0.05
            for key, _ in selector.select(min(max(pause, 0), 0.05)):
                packet = os.read(key.fd, 1 << 16)
                target = hosts.get(packet[16:20])  # the destination in IPv4's header
                if target is not None and not {key.data, target} & self.unplugged:
                    arrival = time.monotonic() + self.delay
                    heapq.heappush(under_way, (arrival, number, target, packet))
                    number += 1
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, target, packet = heapq.heappop(under_way)
                with suppress(OSError):  # the host is gone
                    os.write(self._ends[target], packet)


@pytest.fixture
def make_network():
    probe = ["ip", "netns", "add", f"mmresizer-{os.getpid()}"]
    if subprocess.run(probe).returncode:
        pytest.skip("network namespaces cannot be made here")
    subprocess.run(["ip", "netns", "del", probe[-1]], check=True)
    with ExitStack() as stack:
        yield lambda hosts: stack.enter_context(Network(hosts))


class Job:
    """A job of one process on each host of a network."""

    def __init__(self, network, config, folder):
        self.work_dir = folder / "run"
        self._network, self._folder, self._config = network, folder, config
        self._logs = [folder / f"{i}.log" for i in range(len(network.addresses))]
        self.nodes = []

    def start(self, *arguments, host_env=None, **env):
        """Starts all nodes; ``host_env`` has settings for single hosts."""
        first = self._network.addresses[0]
        for i, address in enumerate(self._network.addresses):
            settings = {
                "NNODES": str(len(self._network.addresses)),
                "PET_LOCAL_ADDR": address,  # no name server knows the host
                "NODE_RANK": str(i),  # not read, as the next, with RDZV_ENDPOINT
                "MASTER_ADDR": first,
                **env,
                **(host_env or {}).get(i, {}),
            }
            self.nodes.append(
                subprocess.Popen(
                    [
                        *self._network.command(i),
                        "bash",
                        "tools/dist_train.sh",
                        self._config,
                        "1",
                        "--work-dir",
                        self.work_dir,
                        *arguments,
                    ],
                    cwd=ROOT,
                    env={**ENVIRONMENT, **with_packages(self._folder), **settings},
                    stdout=self._logs[i].open("w"),
                    stderr=subprocess.STDOUT,
                )
            )
        return self

    def late_clock(self):
        """Returns the environment of a host whose clock is an hour late."""
        late = self._folder / "late"
        late.mkdir()
        (late / "sitecustomize.py").write_text(LATE_CLOCK)
        return with_packages(late)

    def show(self, host=None):
        """Returns what a host, or all, have printed."""
        logs = self._logs if host is None else [self._logs[host]]
        return "".join(log.read_text() for log in logs if log.exists())

    def wait_for(self, name):
        """Waits for a file in the folder of the run."""

        def is_there():
            assert all(node.poll() is None for node in self.nodes), self.show()
            return (self.work_dir / name).exists()

        wait_until(is_there, show=self.show)

    def wait(self):
        """Returns the statuses of the nodes; none of their processes is left."""
        wait_until(lambda: None not in [n.poll() for n in self.nodes], show=self.show)
        wait_until(lambda: not find_processes(str(self.work_dir)), 30, self.show)
        return [node.returncode for node in self.nodes]

    def weights(self, name):
        path = self.work_dir / name
        return torch.load(path, weights_only=False)["state_dict"]


@pytest.fixture
def make_job(demo_config, tmp_path):
    """Makes jobs of a config; kills what is left of them."""
    jobs = []

    def make_job(network, name="job", **changes):
        folder = tmp_path / name
        folder.mkdir()
        changes = {"env_cfg.dist_cfg.timeout": 30, **changes}
        config = demo_config(name=f"{name}.py", **changes)
        jobs.append(Job(network, config, folder))
        return jobs[-1]

    yield make_job
    for job in jobs:
        for node in job.nodes:
            kill_tree(node)


def assert_same_weights(job, other, name):
    a, b = job.weights(name), other.weights(name)
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert torch.equal(value, b[key]), key


def test_two_hosts_far_apart(make_network, make_job):
    """The weights are those of hosts that are near. The clock of one is wrong."""
    network = make_network(2)
    near = make_job(network, "near").start()
    assert near.wait() == [0, 0], near.show()
    network.delay = 0.05  # 100 ms there and back
    far = make_job(network, "far")
    far.start(host_env={1: far.late_clock()})
    assert far.wait() == [0, 0], far.show()
    assert_same_weights(near, far, "epoch_2.pth")


def test_three_hosts(make_network, make_job):
    """Elastic, too."""
    network = make_network(3)
    job = make_job(network).start()
    assert job.wait() == [0, 0, 0], job.show()
    assert "node 2 of 3: waits for the others at 10.77.0.1:29500" in job.show(2)
    elastic = make_job(network, "elastic").start(RDZV_ENDPOINT="10.77.0.1:29400")
    assert elastic.wait() == [0, 0, 0], elastic.show()
    # Ranks differ from host to host, and with them the images of each.
    assert (elastic.work_dir / "epoch_2.pth").exists()


def test_a_link_that_fails_for_a_while(make_network, make_job):
    """The job ends as if nothing had happened."""
    network = make_network(2)
    changes = {"train_cfg.max_epochs": 12}
    whole = make_job(network, "whole", **changes).start()
    assert whole.wait() == [0, 0], whole.show()
    cut = make_job(network, "cut", **changes).start()
    cut.wait_for("epoch_2.pth")
    network.unplugged.add(1)
    time.sleep(5)
    assert not (cut.work_dir / "epoch_12.pth").exists()
    network.unplugged.clear()
    assert cut.wait() == [0, 0], cut.show()
    assert_same_weights(whole, cut, "epoch_12.pth")


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_host_that_is_lost(make_network, make_job, is_killed):
    """The other one ends after the timeout, and the job goes on later.

    Its link is cut for good, or it stops as well.
    """
    network = make_network(2)
    changes = {"train_cfg.max_epochs": 40, "env_cfg.dist_cfg.timeout": 10}
    job = make_job(network, **changes).start()
    job.wait_for("epoch_2.pth")
    network.unplugged.add(1)
    if is_killed:
        kill_tree(job.nodes[1])
    statuses = job.wait()
    assert statuses == [1, -9 if is_killed else 1]
    sentence = r"\[rank 0\] error: lost another process of the job \(Timed out"
    assert re.search(sentence, job.show(0)), job.show(0)
    assert not (job.work_dir / "epoch_40.pth").exists()

    network.unplugged.clear()
    job.nodes.clear()
    job.start("--resume", "--cfg-options", "train_cfg.max_epochs=40")
    assert job.wait() == [0, 0], job.show()
    assert "Resume from" in job.show(0)
    assert (job.work_dir / "epoch_40.pth").exists()


def test_an_address_where_nobody_is(make_network, make_job):
    """Each node says where it waits, and stops after torchrun's timeout."""
    wrong = {1: {"MASTER_ADDR": "10.77.0.99"}}
    job = make_job(make_network(2)).start(host_env=wrong, PET_RDZV_CONF="timeout=10")
    assert job.wait() == [1, 1]
    assert "1/2 clients joined" in job.show(0)
    assert "waits for the others at 10.77.0.99:29500" in job.show(1)
    assert not job.work_dir.exists()


def test_clocks_that_differ(make_network, make_job):
    """torchrun takes a late host for dead, and the job does not begin without it."""
    job = make_job(make_network(2), **{"train_cfg.max_epochs": 100})
    job.start(
        host_env={1: job.late_clock()},
        RDZV_ENDPOINT="10.77.0.1:29400",
        PET_RDZV_CONF="keep_alive_interval=1,timeout=30",
    )
    assert job.wait() == [1, 1]
    assert "error: 1 of 2 nodes (NNODES) take part in the job" in job.show(0)
    assert not list(job.work_dir.glob("*.pth"))
