"""Images on threads of their own."""

import multiprocessing
import re
import threading

import pytest
import torch
from torch.__config__ import parallel_info

from mmresizer.models import LearnedResizer
from mmresizer.models.resizers.fast.pool import count_cores, map_images


@pytest.fixture(autouse=True)
def threads():
    """Three threads in a test, and torch's number behind it."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


@pytest.mark.parametrize(("batch", "at_a_time"), [(1, 1), (2, 2), (7, 1), (7, 3)])
def test_order_and_values(batch, at_a_time):
    x = torch.arange(batch * 4.0).reshape(batch, 1, 2, 2)
    assert torch.equal(map_images(lambda y: 2 * y, x, at_a_time), 2 * x)


def test_each_thread_has_one_core(threads):
    seen = set()
    together = threading.Barrier(threads)

    def look(x):
        together.wait(10)  # all of them work at a time
        found = re.search(r"omp_get_max_threads\(\) : (\d+)", parallel_info())
        seen.add((threading.get_ident(), int(found[1]), count_cores()))
        return x

    map_images(look, torch.rand(threads, 1, 2, 2), 1)
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
        map_images(fail, torch.rand(4, 1, 2, 2), 1)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_modes_of_the_caller(context):
    with context():
        y = map_images(lambda x: x + 1, torch.rand(4, 1, 2, 2), 1)
    assert not y.requires_grad
    assert y.is_inference() is (context is torch.inference_mode)


def double(x, queue):
    queue.put(map_images(lambda y: 2 * y, x, 1).tolist())


def test_a_fork_has_threads_of_its_own():
    x = torch.ones(4, 1, 1, 1)
    map_images(lambda y: y, x, 1)
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
