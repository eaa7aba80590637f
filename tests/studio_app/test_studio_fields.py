"""Fields of requests, and the queue of jobs."""

import time

import pytest

from gen.errors import InputError
from gen.studio_app.fields import Fields
from gen.studio_app.jobs import MOST_WAITING, Busy, Job, Jobs


@pytest.mark.parametrize("value", [True, 1.0, "1", [1], -1, 11])
def test_a_whole_number_is_nothing_else(value):
    with pytest.raises(InputError, match="whole number from 0 to 10"):
        Fields({"a": value}).whole("a", 0, 10)
    assert Fields({"a": 10}).whole("a", 0, 10) == 10


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", True, 2])
def test_a_number_is_finite_and_within_bounds(value):
    with pytest.raises(InputError, match="number from 0 to 1"):
        Fields({"a": value}).number("a", 0, 1)
    assert Fields({}).number("a", 0, 1, 0.5) == 0.5


def test_what_is_missing_or_left_over_is_named():
    with pytest.raises(InputError, match="a is missing"):
        Fields({}).text("a", 10)
    with pytest.raises(InputError, match="no field 'b'"):
        Fields({"b": 1}).end()
    with pytest.raises(InputError, match="must be an object"):
        Fields([1])


def waited(job: Job) -> Job:
    while not job.ended:
        time.sleep(0.001)
    return job


def test_jobs_are_done_in_order_and_tell_what_became_of_them():
    jobs, done = Jobs(), []
    first = jobs.add(lambda job: done.append(1))
    second = jobs.add(lambda job: done.append(2) or "result")

    def wrong(job):
        raise InputError("one line")

    def fault(job):
        raise ZeroDivisionError("inside")

    assert (waited(second).result, waited(first).state, done) == ("result", "done", [1, 2])
    assert waited(jobs.add(wrong)).error == "one line"
    failed = waited(jobs.add(fault))
    assert "mistake in gen" in failed.error
    assert "inside" not in failed.error
    jobs.close()


def test_a_job_is_stopped_at_its_next_batch_and_too_many_are_refused():
    jobs = Jobs()

    def long(job):
        for _ in job.each(range(10_000), 10_000):
            time.sleep(0.01)

    running = jobs.add(long)
    while running.state == "waiting":
        time.sleep(0.001)
    for _ in range(MOST_WAITING):
        jobs.add(lambda job: None)
    with pytest.raises(Busy):
        jobs.add(lambda job: None)
    running.stop()
    assert waited(running).state == "stopped"
    assert 0 < running.share < 1
    jobs.close()
