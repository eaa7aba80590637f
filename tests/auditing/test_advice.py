"""What is said to expect of training."""

from gen.auditing.advice import RUNS, advice


def test_time_is_that_of_the_measured_run_at_its_size():
    (first, *_) = advice(50_000, side=32, classes=0, device="cpu")
    assert f"about {RUNS[0].images / RUNS[0].rate / 60:.0f} minutes of one core" in first
    assert "docs/benchmarks.md" in first
    assert "reckoned" not in first


def test_other_sizes_are_reckoned_and_powers_of_2():
    (first, *_) = advice(50_000, side=28, classes=0, device="cpu")
    assert "resolution=32" in first
    (large, *_) = advice(50_000, side=128, classes=0, device="cpu")
    assert "hours" in large
    assert "reckoned from 64 x 64" in large


def test_few_images_and_few_of_a_class_are_warned_of():
    told = " ".join(advice(500, side=32, classes=10, device="cpu"))
    assert "expect copies" in told
    assert "50 images a class are few" in told
    assert "expect copies" not in " ".join(advice(20_000, side=32, classes=0, device="cpu"))
    assert advice(0, side=32, classes=0, device="cpu") == []


def test_what_was_not_measured_is_said():
    assert any("was not measured" in line for line in advice(20_000, side=64, classes=0, device="NVIDIA H100"))


def test_the_size_suits_the_smallest_images():
    assert "64 x 64" in advice(20_000, side=None, classes=0, device="cpu", smallest=100)[0]
    assert "32 x 32" in advice(500, side=None, classes=0, device="cpu", smallest=100)[0]
