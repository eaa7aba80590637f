"""When a training is measured: at most 3 % of its time, by a clock that the test moves."""

from __future__ import annotations

import pytest

from gen.evaluation.pace import MOMENTS, SHARE, Pace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def measured(total: int, log_every: int, cost: float, *, every: int = -1, guess: float = 0.5) -> tuple[list, float]:
    """The steps at which a training of one step a second is measured, and the share of its time that this takes."""
    clock = Clock()
    pace, steps, spent = Pace(every, log_every, clock=clock), [], 0.0
    pace.begin(guess)
    for step in range(1, total + 1):
        clock.now += 1
        if pace.due(step, total):
            steps.append(step)
            clock.now += cost
            spent += cost
            pace.cost = cost
            pace.charge(cost)
    return steps, spent / (clock.now - 100)


def test_a_cheap_measurement_comes_in_each_part_of_the_training():
    steps, share = measured(3200, 10, 0.01)
    assert steps == list(range(100, 3201, 100))
    assert len(steps) == MOMENTS
    assert share < SHARE
    steps, _ = measured(1000, 7, 0.01)
    assert steps[-1] == 1000
    assert all(step % 7 == 0 for step in steps[:-1])  # where the run logs


@pytest.mark.parametrize("cost", [0.5, 1.0, 2.0, 5.0, 12.0])
def test_a_costly_one_comes_as_often_as_the_share_allows_and_at_the_end(cost):
    steps, share = measured(1000, 10, cost)
    assert share <= SHARE
    assert steps[-1] == 1000
    assert len(steps) >= min(MOMENTS, int(1000 * SHARE / cost)) - 2
    assert steps[0] * SHARE >= 1  # not before there is time for what was guessed


def test_what_is_never_worth_its_time_is_never_measured():
    assert measured(1000, 10, 40.0, guess=40.0) == ([], 0.0)
    assert measured(30, 1, 0.01) == ([], 0.0)  # half a minute


def test_a_wrong_guess_is_made_good():
    steps, share = measured(1000, 10, 8.0, guess=0.5)
    assert share <= SHARE
    assert steps[-1] == 1000


def test_what_is_asked_for_is_measured_whatever_it_costs():
    steps, _ = measured(25, 7, 1000.0, every=10)
    assert steps == [10, 20, 25]
