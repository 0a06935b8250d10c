"""Images on threads of their own."""

import multiprocessing
import re
import sys
import threading
from unittest.mock import Mock

import pytest
import torch
from torch.__config__ import parallel_info
from torch.utils.checkpoint import checkpoint

from mmresizer.models import LearnedResizer
from mmresizer.models.resizers.fast import pool
from mmresizer.models.resizers.fast.pool import count_threads, map_images, map_parts

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Three threads in a test, on any machine, and torch's number behind it."""
    monkeypatch.setattr(pool, "_read_quota", lambda: 64)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


@pytest.mark.parametrize(("batch", "at_a_time"), [(1, 1), (2, 2), (7, 1), (7, 3)])
def test_order_and_values(batch, at_a_time):
    x = torch.arange(batch * 4.0).reshape(batch, 1, 2, 2)
    assert torch.equal(map_images(lambda y: 2 * y, at_a_time, False, x), 2 * x)


def test_each_thread_has_one_core(threads):
    seen = set()
    together = threading.Barrier(threads)

    def look(part):
        together.wait(10)  # all of them work at a time
        found = re.search(r"omp_get_max_threads\(\) : (\d+)", parallel_info())
        seen.add((threading.get_ident(), int(found[1]), count_threads()))
        return part

    assert map_parts(look, range(threads), CPU) == [*range(threads)]
    assert len(seen) == threads
    assert {(omp, cores) for _, omp, cores in seen} == {(1, 1)}
    assert torch.get_num_threads() == threads
    with_default = []
    late = threading.Thread(target=lambda: with_default.append(torch.get_num_threads()))
    late.start(), late.join()
    assert with_default == [threads]


def test_errors_reach_the_caller():
    def fail(x):
        raise ValueError("of a part")

    with pytest.raises(ValueError, match="of a part"):
        map_parts(fail, range(4), CPU)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_modes_of_the_caller(context):
    with context():
        y = map_images(lambda x: x + 1, 1, False, torch.rand(4, 1, 2, 2))
    assert not y.requires_grad
    assert y.is_inference() is (context is torch.inference_mode)


def double(x, queue):
    queue.put(map_images(lambda y: 2 * y, 1, False, x).tolist())


def test_a_fork_has_threads_of_its_own():
    x = torch.ones(4, 1, 1, 1)
    map_images(lambda y: y, 1, False, x)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=double, args=(x, queue))
    process.start()
    try:
        assert queue.get(timeout=60) == (2 * x).tolist()
    finally:
        process.kill()
        process.join()


def test_the_number_of_threads_does_not_change_an_image():
    torch.manual_seed(0)
    resizer = LearnedResizer(112).eval()
    x = torch.rand(5, 3, 300, 300)
    results = []
    for number in (2, 3, 5):  # with one, torch's own interpolation rounds otherwise
        torch.set_num_threads(number)
        with torch.no_grad():
            results.append(resizer(x))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("with_cp", [True, False])
@pytest.mark.parametrize("keep", [True, False])
def test_gradients_are_those_of_the_whole_batch(keep, with_cp):
    """Of images and weights; a weight may be missing, or need none."""
    x = torch.randn(7, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    a, b = (torch.randn(2, 1, 1).double().requires_grad_(n) for n in (True, False))

    def function(x, a, none, b):
        assert none is None
        return (a * x).sin() + b * x

    d_y = torch.randn_like(x)
    expected = torch.autograd.grad(function(x, a, None, b), (x, a), d_y)
    y = map_images(function, 2, with_cp, x, a, None, b)
    for _ in range(1 + keep):
        found = torch.autograd.grad(y, (x, a), d_y, retain_graph=keep)
        torch.testing.assert_close(found, expected)


def test_images_without_gradients():
    x, a = torch.randn(7, 2, 3, 3), torch.randn(2, 1, 1, requires_grad=True)
    map_images(lambda x, a: a * x, 2, False, x, a).sum().backward()
    torch.testing.assert_close(a.grad, x.sum((0, 2, 3))[:, None, None])


def test_a_second_backward_pass_is_refused_as_by_torch():
    a = torch.randn(2, 1, 1, requires_grad=True)
    y = map_images(lambda x, a: a * x, 2, False, torch.randn(7, 2, 3, 3), a).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()


@pytest.mark.parametrize("with_cp", [True, False])
def test_checkpointing_by_others(with_cp):
    """Everything is computed again in the backward pass; the graphs are not kept."""
    calls = []

    def function(x, a):
        calls.append(torch.is_grad_enabled())
        return (a * x).sin()

    x = torch.randn(4, 2, 3, 3)
    a = torch.randn(2, 1, 1, requires_grad=True)
    expected = torch.autograd.grad((a * x).sin().sum(), a)[0]
    y = checkpoint(
        lambda x: map_images(function, 4, with_cp, x, a), x, use_reentrant=False
    )
    assert not any(calls)
    y.sum().backward()
    torch.testing.assert_close(a.grad, expected)


def test_without_threads_the_caller_works(monkeypatch):
    """As where a container limits their number, and while the interpreter ends."""
    monkeypatch.setattr(pool, "_pools", {})
    fail = Mock(side_effect=RuntimeError("can't start new thread"))
    monkeypatch.setattr(threading.Thread, "start", fail)
    names = map_parts(lambda part: threading.current_thread().name, range(4), CPU)
    assert names == [threading.current_thread().name] * 4


@pytest.mark.parametrize(
    "use",
    [
        "threading.Thread(target=serve).start()",  # the main thread ends before it
        "atexit.register(serve)",
    ],
)
def test_works_while_the_interpreter_ends(use, run, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"""
import atexit, threading, time
import torch
from mmresizer.models import LearnedResizer
torch.set_num_threads(2)
resizer, x = LearnedResizer(32).eval(), torch.rand(4, 3, 96, 96)

@torch.no_grad()
def serve():
    time.sleep(0.5)
    resizer(x)
    print("served")

serve()
{use}
""")
    status, output = run(sys.executable, script)
    assert status == 0, output
    assert output.count("served") == 2, output


def test_other_threads_keep_their_number(monkeypatch, threads):
    """Also one whose first call of torch comes while the pool is made."""
    seen = []
    for _ in range(10):
        monkeypatch.setattr(pool, "_pools", {})
        together = threading.Barrier(4)

        def work(together=together):
            together.wait(10)
            map_parts(lambda part: part, range(3), CPU)
            seen.append(torch.get_num_threads())

        callers = [threading.Thread(target=work) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert seen == [threads] * 40


@pytest.mark.parametrize("with_cp", [True, False])
@pytest.mark.parametrize("number", [1, 3])
def test_autocast_of_the_caller_does_not_hold(number, with_cp):
    torch.set_num_threads(number)
    seen = []

    def function(x, a):
        seen.append((a @ x).dtype)
        return a @ x

    x, a = torch.randn(4, 1, 2, 2), torch.randn(2, 2, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        map_images(function, 1, with_cp, x, a).sum().backward()
    assert set(seen) == {torch.float32}


@pytest.mark.parametrize(
    ("group", "files", "quota"),
    [
        ("0::/", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/job", {"job/cpu.max": "100000 100000\n"}, 1),
        ("0::/", {"cpu.max": "max 100000\n"}, 64),
        (
            "4:cpu,cpuacct:/a\n3:memory:/a",
            {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            3,
        ),
        (
            "4:cpu:/",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            64,
        ),
        ("", {}, 64),
    ],
)
def test_quota_of_a_container(group, files, quota, tmp_path, monkeypatch):
    monkeypatch.undo()
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    own = tmp_path / "own"
    own.write_text(group)
    monkeypatch.setattr(pool, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(pool, "_OWN_CGROUPS", own)
    monkeypatch.setattr(pool.os, "cpu_count", lambda: 64)
    assert pool._read_quota.__wrapped__() == quota


def test_never_more_threads_than_cores(monkeypatch):
    monkeypatch.setattr(pool, "_read_quota", lambda: 2)
    assert count_threads() == 2
    torch.set_num_threads(1)
    assert count_threads() == 1


@pytest.mark.parametrize(("at_a_time", "cores"), [(1, 3), (2, 1)])
@pytest.mark.parametrize("with_cp", [True, False])
def test_one_small_image_takes_one_core(at_a_time, cores, with_cp):
    """Cores that share it would wait for each other longer than they work."""
    seen = []

    def look(x, a):
        seen.append(count_threads())
        return a * x

    x, a = torch.randn(1, 1, 2, 2), torch.ones(1, requires_grad=True)
    with torch.no_grad():
        map_images(look, at_a_time, with_cp, x, a)
    map_images(look, at_a_time, with_cp, x, a).sum().backward()
    assert set(seen) == {cores}
