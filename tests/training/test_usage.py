"""What a step costs, against costs that are known."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import pytest
import tiny

from gen.errors import InputError
from gen.main import main, parse_command
from gen.training import loop, usage
from gen.training.monitor import tracker
from gen.training.usage import Profile, Usage, flops, peak


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L4", 121e12),
        ("TPU v5 lite", 197e12),
        ("TPU v5", 459e12),
    ],
)
def test_peaks_are_found_by_the_kind_of_a_device(kind, expected):
    assert peak(kind) == expected
    assert peak("cpu") is None


def test_operations_of_a_product_are_counted():
    compiled = jax.jit(lambda a, b: a @ b).lower(jnp.ones((64, 32)), jnp.ones((32, 16))).compile()
    assert flops(compiled) == pytest.approx(2 * 64 * 32 * 16, rel=0.05)


def test_time_is_split_and_operations_are_told_by_second(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(usage.time, "monotonic", lambda: now[0])
    used = Usage(1e12, "NVIDIA H100")

    def passes(seconds: float) -> None:
        now[0] += seconds

    for _ in range(4):
        used.step()
        with used.waiting():
            passes(0.5)
        passes(1.5)
    used.pause()
    passes(2.0)
    found = used.measure()
    assert (found["time_data"], found["time_write"]) == pytest.approx((2 / 10, 2 / 10))
    passes(1.0)  # what is written after the line counts in the next
    used.resume()
    used.step()
    passes(3.0)
    found = used.measure()
    assert found["time_write"] == pytest.approx(1 / 4)
    assert found["flops_per_second"] == pytest.approx(1e12 / 3)
    assert found["mfu"] == pytest.approx(1e12 / 3 / 989e12)


def test_a_profile_traces_the_steps_between(tmp_path):
    traced = Profile(tmp_path / "profile", 2, 3)
    ended = []
    for step in range(1, 6):
        traced.before(step)
        ended.append(traced.after(step, jnp.ones(2) + step))
    traced.close()
    assert ended == [False, False, True, False, False]
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))


def test_a_run_tells_what_it_costs_and_a_tracker_hears_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_PACKAGES", "listening")
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "listening.py").write_text(
        "heard = []\n"
        "def begin(workdir, config):\n"
        "    heard.append((workdir.name, config['seed']))\n"
        "    return lambda step, metrics: heard.append((step, metrics['d_loss'], metrics['time_data']))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings = tiny.config(total_images=32, log_every=2)
    assert loop.train(settings, tmp_path / "run", log_to="listening:begin", profile=(2, 3)) == 0
    import listening

    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert listening.heard[0] == ("run", 0)
    assert listening.heard[1:] == [(line["step"], line["d_loss"], line["time_data"]) for line in lines]
    assert all(0 <= line["time_data"] + line["time_write"] <= 1 for line in lines)
    assert all(line["flops_per_second"] > 0 for line in lines)
    assert list((tmp_path / "run" / "profile").rglob("*.xplane.pb"))


def test_a_tracker_must_be_allowed_and_make_a_function(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="--log_to names 'json:loads', outside the packages"):
        tracker("json:loads", tmp_path, tiny.config())
    monkeypatch.setenv("GEN_PACKAGES", "silent")
    (tmp_path / "silent.py").write_text("def begin(workdir, config):\n    return 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="--log_to=silent:begin returned int"):
        tracker("silent:begin", tmp_path, tiny.config())


@pytest.mark.parametrize("text", ["3", "3:", "a:b", "0:4", "5:4"])
def test_steps_to_trace_are_checked(text, tmp_path):
    with pytest.raises(InputError, match=r"--profile=.*allowed: START:STOP"):
        main(
            parse_command(
                ["gen.main", "--config=experiments/shapes.py", f"--workdir={tmp_path / 'run'}", f"--profile={text}"]
            )
        )
