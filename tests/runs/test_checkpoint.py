"""Saving, restoring and, above all, noticing that what comes back is not what was saved."""

import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from gen.devices import mesh
from gen.errors import InputError
from gen.runs import digests
from gen.runs.checkpoint import Checkpoints
from gen.tasks.state import TrainState


def make_state(step: int, width: int = 8) -> TrainState:
    """A small state of every kind of leaf that training has; different values at each step."""
    key = jax.random.fold_in(jax.random.key(0), step)
    params = {
        "layers": [{"kernel": jax.random.normal(key, (16, width))}, {"kernel": jax.random.normal(key, (3, 3, 8, 16))}],
        "embed": jax.random.normal(key, (16, 8), jnp.bfloat16),
    }
    roles = {"generator": params, "discriminator": jax.tree.map(lambda x: -x, params)}
    opt_state = {role: optax.adam(1e-3).init(tree) for role, tree in roles.items()}
    return TrainState(jnp.int32(step), roles, opt_state, {"generator": jax.tree.map(lambda x: 2 * x, params)})


def abstract(state, sharding=None):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), state)


def assert_same(tree, other):
    assert jax.tree.structure(tree) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        assert isinstance(a, jax.Array)
        assert a.dtype == b.dtype
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory):
    """A folder with the valid steps 1 and 2; copy it before harming it."""
    folder = tmp_path_factory.mktemp("two") / "checkpoints"
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(1, make_state(1))
        checkpoints.save(2, make_state(2))
    return folder


@pytest.fixture
def folder(two_steps, tmp_path):
    return shutil.copytree(two_steps, tmp_path / "checkpoints")


def flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def test_round_trip_is_exact(folder):
    with Checkpoints(folder) as checkpoints:
        state, step = checkpoints.restore(abstract(make_state(0)))
        assert step == 2
        assert_same(state, make_state(2))
        assert state.params["generator"]["embed"].dtype == ml_dtypes.bfloat16
        assert_same(checkpoints.restore(abstract(make_state(0)), step=1)[0], make_state(1))


def test_special_values_keep_their_bits(tmp_path):
    bits = np.array(
        [0x7FC00001, 0xFF800000, 0x80000000, 0x00000001], np.uint32
    )  # a NaN with payload, -inf, -0, denormal
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(0, {"x": jnp.asarray(bits.view(np.float32))}, wait=True)
        restored, _ = checkpoints.restore({"x": jax.ShapeDtypeStruct((4,), jnp.float32)})
    assert np.asarray(restored["x"]).tobytes() == bits.tobytes()


def test_a_saved_state_may_be_donated_at_once(tmp_path):
    train = jax.jit(lambda state: jax.tree.map(lambda x: x * 0 + 7, state), donate_argnums=0)
    with Checkpoints(tmp_path) as checkpoints:
        state = {"big": jnp.arange(2.0**18), "small": jnp.float32(3)}
        checkpoints.save(1, state)
        state = train(train(state))
        checkpoints.save(2, state)
        jax.block_until_ready(train(state))
        for step, last in ((1, 2.0**18 - 1), (2, 7.0)):
            restored, _ = checkpoints.restore(abstract({"big": jnp.zeros(2**18), "small": jnp.float32(0)}), step=step)
            assert float(restored["big"][-1]) == last
        assert float(train(restored)["big"][0]) == 7  # what was restored can be donated too


def test_keeps_the_newest_steps_and_never_writes_one_twice(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (10, 9, 20, 30):
            checkpoints.save(step, {"x": jnp.float32(step)})
        checkpoints.save(30, {"x": jnp.float32(-1)})
        checkpoints.wait()
        assert checkpoints.steps() == [20, 30]
        checkpoints.save(20, {"x": jnp.float32(-1)}, wait=True)
        part, step = checkpoints.restore_part({"x": jax.ShapeDtypeStruct((), jnp.float32)})
        assert (float(part["x"]), step) == (30, 30)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["20", "30"]


def test_nothing_saved_yet(tmp_path):
    with Checkpoints(tmp_path / "none") as checkpoints:
        assert checkpoints.restore(abstract(make_state(0))) is None
        with pytest.raises(InputError, match="there is none at all"):
            checkpoints.restore_part({"x": jax.ShapeDtypeStruct((), jnp.float32)})
        with pytest.raises(InputError, match=r"no checkpoint 5 in .*allowed: none yet"):
            checkpoints.restore(abstract(make_state(0)), step=5)
    assert not (tmp_path / "none").exists()


def test_a_failed_save_is_raised_by_the_next_call(tmp_path, monkeypatch):
    with Checkpoints(tmp_path) as checkpoints:
        monkeypatch.setattr("gen.runs.digests.write", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        checkpoints.save(1, {"x": jnp.float32(1)})
        with pytest.raises(OSError, match="disk full"):
            checkpoints.wait()
        monkeypatch.undo()
        assert checkpoints.steps() == []
        checkpoints.save(2, {"x": jnp.float32(2)})
    assert [path.name for path in tmp_path.iterdir()] == ["2"]


KILL = {
    "when save returns": "checkpoints.save(2, state(2)); kill()",  # the background may be anywhere, not begun or done
    "before the step has its name": "gen.runs.digests.write = kill; checkpoints.save(2, state(2), wait=True)",
}


@pytest.mark.parametrize("moment", KILL)
def test_a_killed_save_leaves_a_valid_folder(tmp_path, moment):
    program = f"""
import os, pathlib, signal, sys
import jax.numpy as jnp
import gen.runs.checkpoint
state = lambda step: {{"x": jnp.full(2**22, step)}}
kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with gen.runs.checkpoint.Checkpoints(pathlib.Path(sys.argv[1])) as checkpoints:
    checkpoints.save(1, state(1), wait=True)
    {KILL[moment]}
"""
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], env={**os.environ, "PYTHONPATH": "."})
    assert killed.returncode == -signal.SIGKILL
    with Checkpoints(tmp_path) as checkpoints:
        state, step = checkpoints.restore({"x": jax.ShapeDtypeStruct((2**22,), jnp.int32)})
        assert (state["x"] == step).all()
        if moment == "before the step has its name":
            assert step == 1
            assert (tmp_path / "saving-2").is_dir()
        checkpoints.save(2, {"x": jnp.full(2**22, 2)})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


@pytest.mark.parametrize("whole", [True, False])
def test_every_flipped_bit_is_noticed(two_steps, tmp_path, caplog, capfd, whole):
    """100 flips, half of them in files chosen by size, half by turns in every file: the step before is always used."""
    draw = random.Random(0)
    files = sorted(path.relative_to(two_steps / "2") for path in (two_steps / "2").rglob("*") if path.is_file())
    sizes = [(two_steps / "2" / file).stat().st_size for file in files]
    assert len(files) > 8
    first, wanted = make_state(1), abstract(make_state(0))
    damaged = tmp_path / "checkpoints"
    for file in [*draw.choices(files, sizes, k=50), *(files * 50)[:50]]:
        shutil.copytree(two_steps, damaged)
        flip(damaged / "2" / file, draw.randrange(8 * (damaged / "2" / file).stat().st_size))
        caplog.clear()
        with Checkpoints(damaged) as checkpoints:
            if whole:
                state, step = checkpoints.restore(wanted)
                assert_same(state, first)
            else:
                part, step = checkpoints.restore_part({"ema_params": wanted.ema_params})
                assert_same(part["ema_params"], first.ema_params)
        assert step == 1
        (message,) = caplog.messages
        assert message.startswith(f"checkpoint 2 is corrupt ({file.as_posix()} ")
        shutil.rmtree(damaged)
    assert capfd.readouterr().err == ""


def test_wrong_values_in_files_that_match_their_digests_are_noticed(folder, caplog):
    """As if orbax had written other values than it was given: the files of step 1 under the leaf digests of step 2."""
    leaves = digests.read(folder / "2", 2).leaves
    shutil.rmtree(folder / "2")
    shutil.copytree(folder / "1", folder / "2")
    (folder / "2" / "DIGESTS").unlink()
    digests.write(folder / "2", 2, {}, leaves)
    with Checkpoints(folder) as checkpoints:
        state, step = checkpoints.restore(abstract(make_state(0)))
    assert step == 1
    assert_same(state, make_state(1))
    assert "checkpoint 2 is corrupt (step differs from what was saved)" in caplog.text


HARM = {
    "truncated": lambda step: [os.truncate(f, f.stat().st_size // 2) for f in step.glob("ocdbt.process_0/d/*")],
    "emptied": lambda step: [os.truncate(f, 0) for f in step.rglob("manifest.ocdbt")],
    "a file missing": lambda step: (step / "_METADATA").unlink(),
    "a folder missing": lambda step: shutil.rmtree(step / "d"),
    "digests missing": lambda step: (step / "DIGESTS").unlink(),
    "digests empty": lambda step: os.truncate(step / "DIGESTS", 0),
    "all missing": lambda step: (shutil.rmtree(step), step.mkdir()),
}


@pytest.mark.parametrize("harm", HARM)
def test_damaged_steps_are_set_aside_and_training_goes_on(folder, harm, caplog):
    HARM[harm](folder / "2")
    with Checkpoints(folder) as checkpoints:
        state, step = checkpoints.restore(abstract(make_state(0)))
        assert step == 1
        assert_same(state, make_state(1))
        assert checkpoints.steps() == [1]
        checkpoints.save(2, make_state(2))
        state, step = checkpoints.restore(abstract(make_state(0)))
        assert step == 2
        assert_same(state, make_state(2))
    assert (folder / "corrupt-2").is_dir()
    (message,) = caplog.messages
    assert message.startswith("checkpoint 2 is corrupt (")
    assert message.endswith("): kept as corrupt-2, going on from checkpoint 1")
    assert "\n" not in message


def test_a_second_corrupt_step_of_the_same_number_is_kept_too(folder):
    for _ in range(2):
        (folder / "2" / "DIGESTS").unlink()
        with Checkpoints(folder) as checkpoints:
            assert checkpoints.restore(abstract(make_state(0)))[1] == 1
            checkpoints.save(2, make_state(2))
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2", "corrupt-2", "corrupt-2-again"]


def test_an_asked_step_is_never_replaced(folder, caplog):
    (folder / "2" / "_METADATA").unlink()
    with Checkpoints(folder) as checkpoints:
        for restore, wanted in (
            (checkpoints.restore, abstract(make_state(0))),
            (checkpoints.restore_part, {"step": jax.ShapeDtypeStruct((), jnp.int32)}),
        ):
            with pytest.raises(InputError, match=r"no valid checkpoint in .*checkpoints.*checkpoint 2: ") as raised:
                restore(wanted, step=2)
            assert "\n" not in str(raised.value)
        with pytest.raises(InputError, match=r"no checkpoint 3 in .*; allowed: 1, 2"):
            checkpoints.restore(abstract(make_state(0)), step=3)
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"]
    assert not caplog.messages


def test_no_valid_step_at_all(folder):
    for step in ("1", "2"):
        (folder / step / "DIGESTS").unlink()
    with Checkpoints(folder) as checkpoints:
        with pytest.raises(InputError, match=r"no valid checkpoint in .*2: DIGESTS.*1: DIGESTS"):
            checkpoints.restore(abstract(make_state(0)))
        assert checkpoints.steps() == [1, 2]


def test_partial_restore_reads_roles(folder, caplog):
    (folder / "2" / "DIGESTS").unlink()
    before = sorted(folder.rglob("*"))
    wanted = {
        "ema_params": {"generator": abstract(make_state(0).ema_params["generator"])},
        "step": abstract(jnp.int32(0)),
    }
    with Checkpoints(folder) as checkpoints:
        part, step = checkpoints.restore_part(wanted)
    assert step == int(part["step"]) == 1
    assert_same(part["ema_params"], make_state(1).ema_params)
    assert sorted(folder.rglob("*")) == before
    assert caplog.messages[0].endswith(": using checkpoint 1")


def test_other_shapes_and_names_in_one_line(folder):
    wanted = abstract(make_state(0, width=4))
    with Checkpoints(folder) as checkpoints:
        with pytest.raises(InputError) as raised:
            checkpoints.restore(wanted)
        name = "params/discriminator/layers/0/kernel"
        assert str(raised.value) == (
            f"{name} is float32[16, 8] in the checkpoint {folder / '2'}, but float32[16, 4] in this model"
        )
        with pytest.raises(
            InputError, match=r"params/new is absent in the checkpoint .*, but float32\[2\] in this model"
        ):
            checkpoints.restore_part({"params": {"new": jax.ShapeDtypeStruct((2,), jnp.float32)}})
        with pytest.raises(InputError, match=r"ema_params/generator/embed is in the checkpoint .*, but absent in this"):
            checkpoints.restore(abstract(make_state(0)).replace(ema_params={}))
        assert checkpoints.steps() == [1, 2]


def test_restores_onto_any_devices(tmp_path):
    one, eight = mesh(1, 1, devices=jax.devices()[:1]), mesh(2, 4)
    state = {"kernel": jnp.arange(256.0).reshape(16, 16), "step": jnp.int32(5)}
    split = {"kernel": NamedSharding(eight, P(None, "fsdp")), "step": NamedSharding(eight, P())}
    whole = jax.tree.map(lambda _: NamedSharding(one, P()), split)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, jax.device_put(state, whole), wait=True)
        for step, shardings in ((1, split), (2, whole)):  # 1 -> 8 devices, then 8 -> 1
            wanted = jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), state, shardings)
            restored, used = checkpoints.restore(wanted)
            assert used == step
            assert restored["kernel"].sharding == shardings["kernel"]
            assert_same(restored, state)
            checkpoints.save(step + 1, restored, wait=True)


def test_orbax_does_not_chatter(folder, caplog, capfd):
    with caplog.at_level(logging.DEBUG), Checkpoints(folder) as checkpoints:
        checkpoints.save(3, make_state(3))
        checkpoints.restore(abstract(make_state(0)))
    assert not [record for record in caplog.records if record.name == "absl"]
    assert capfd.readouterr().err == ""


# -- Which step of which run


def corrupt(folder, **options):
    """The step that training goes on from, and what else is in the folder then."""
    with Checkpoints(folder, **options) as checkpoints:
        _, step = checkpoints.restore(abstract(make_state(0)))
    return step, sorted(path.name for path in folder.iterdir())


def test_steps_that_exchanged_their_names_are_noticed(folder, caplog):
    (folder / "1").rename(folder / "x")
    (folder / "2").rename(folder / "1")
    (folder / "x").rename(folder / "2")
    with Checkpoints(folder) as checkpoints:
        with pytest.raises(InputError) as raised:
            checkpoints.restore(abstract(make_state(0)))
        assert str(raised.value) == (
            f"no valid checkpoint in {folder} (checkpoint 2: it is step 1 under another name; "
            "checkpoint 1: it is step 2 under another name)"
        )
        assert checkpoints.steps() == [1, 2]


def test_a_step_copied_under_a_later_number_is_noticed(folder, caplog):
    shutil.copytree(folder / "1", folder / "200")
    assert corrupt(folder) == (2, ["1", "2", "corrupt-200"])
    assert "checkpoint 200 is corrupt (it is step 1 under another name): kept as corrupt-200" in caplog.text


@pytest.mark.parametrize("name", ["run", "config"])
def test_a_step_of_another_run_or_config_is_noticed(tmp_path, caplog, name):
    mine, other = {"run": "a" * 32, "config": "b" * 64}, {"run": "a" * 32, "config": "b" * 64} | {name: "c" * 64}
    for folder, identity, step in (("mine", mine, 1), ("other", other, 5)):
        with Checkpoints(tmp_path / folder, identity=identity, notes={"data": folder}) as checkpoints:
            checkpoints.save(step, make_state(step), wait=True)
    shutil.copytree(tmp_path / "other" / "5", tmp_path / "mine" / "5")
    assert digests.newest_marks(tmp_path / "mine") == other | {"data": "other"}
    assert corrupt(tmp_path / "mine", identity=mine, notes={"data": "new"}) == (1, ["1", "corrupt-5"])
    assert f"checkpoint 5 is corrupt (it is of another {name}: cccccccccccc, not {mine[name][:12]})" in caplog.text
    assert digests.newest_marks(tmp_path / "mine") == mine | {"data": "mine"}


def signed(text: str) -> bytes:
    """A DIGESTS whose own digest is right."""
    hashed = digests.hasher()
    hashed.update(text.encode())
    return hashed.hexdigest().encode() + b"\n" + text.encode()


HOSTILE = {
    "null": "null",
    "a list": "[1]",
    "text": "x",
    "deep": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "no files": '{"step": 2, "marks": {}, "leaves": {}}',
    "files is null": '{"step": 2, "marks": {}, "leaves": {}, "files": null}',
    "no file at all": '{"step": 2, "marks": {}, "leaves": {}, "files": {}}',
    "more": '{"step": 2, "marks": {}, "leaves": {}, "files": {"a": "b"}, "more": 1}',
    "upwards": '{"step": 2, "marks": {}, "leaves": {}, "files": {"../1/_METADATA": "b"}}',
    "absolute": '{"step": 2, "marks": {}, "leaves": {}, "files": {"/dev/zero": "b"}}',
    "NUL": '{"step": 2, "marks": {}, "leaves": {}, "files": {"a\\u0000": "b"}}',
    "surrogate": '{"step": 2, "marks": {}, "leaves": {}, "files": {"\\udcff": "b"}}',
    "digest of another type": '{"step": 2, "marks": {}, "leaves": {}, "files": {"a": [1]}}',
    "leaf of another type": '{"step": 2, "marks": {}, "leaves": {"a": 3}, "files": {"a": "b"}}',
    "shape of another type": '{"step": 2, "marks": {}, "leaves": {"a": ["f", [-1], "c"]}, "files": {"a": "b"}}',
    "marks of another type": '{"step": 2, "marks": {"run": 1}, "leaves": {}, "files": {"a": "b"}}',
    "step of another type": '{"step": true, "marks": {}, "leaves": {}, "files": {"a": "b"}}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_digests_of_another_structure_are_corrupt(tmp_path, text):
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "DIGESTS").write_bytes(signed(text))
    with pytest.raises(digests.CorruptError, match=r"^DIGESTS is no table of digests$"):
        digests.read(tmp_path / "2", 2)
    assert digests.newest_marks(tmp_path) == {}


def test_what_is_no_regular_file_is_never_read(tmp_path):
    os.mkfifo(tmp_path / "DIGESTS")
    with pytest.raises(digests.CorruptError, match=r"/DIGESTS: not a regular file$"):
        digests.read(tmp_path, 2)
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("DIGESTS", "link"):
        with pytest.raises(digests.CorruptError, match=f"^{name}: not a regular file$"):
            digests.check_files(tmp_path, {name: "x"})


def test_only_folders_named_as_numbers_are_written_are_steps(folder):
    for name in ("٣٠٢", "007", "1e3", "-4", "saving-9"):
        (folder / name).mkdir()
    (folder / "999").write_text("mine")
    assert digests.steps(folder) == [1, 2]
    (folder / "3").mkdir()
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.restore(abstract(make_state(0)))[1] == 2  # the empty folder 3 is set aside
        checkpoints.save(999, make_state(999), wait=True)
        assert checkpoints.steps() == [1, 2, 999]
    assert (folder / "corrupt-999").read_text() == "mine"
    assert (folder / "corrupt-3").is_dir()


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(InputError, match=r"checkpoints is a file; checkpoints go into a folder of this name: move it$"):
        Checkpoints(tmp_path / "checkpoints")


def test_a_reader_lists_again_when_the_only_step_was_replaced(folder, monkeypatch, caplog):
    shutil.rmtree(folder / "1")
    read = digests.read

    def replaced(directory, step):
        if step == 2:
            with Checkpoints(folder, keep=1) as training:
                training.save(3, make_state(3), wait=True)
        return read(directory, step)

    with Checkpoints(folder) as checkpoints:
        monkeypatch.setattr("gen.runs.digests.read", replaced)
        part, step = checkpoints.restore_part({"step": abstract(jnp.int32(0))})
        assert step == int(part["step"]) == 3
    assert caplog.messages == []
    assert [path.name for path in folder.iterdir()] == ["3"]


def test_all_is_on_the_disk_before_a_step_has_its_name(tmp_path, monkeypatch):
    synced, rename = set(), type(tmp_path).rename
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda d: (synced.add(os.readlink(f"/proc/self/fd/{d}")), fsync(d)))

    def renamed(path, target):
        if path.name == "saving-1":
            inside = {str(found) for found in path.rglob("*")}
            assert {str(path / "DIGESTS"), str(path)} | inside <= synced
            synced.clear()
        return rename(path, target)

    monkeypatch.setattr(type(tmp_path), "rename", renamed)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"x": jnp.float32(1)}, wait=True)
    assert str(tmp_path) in synced


def test_threads_of_orbax_wait_longer_than_any_clock_is_set(tmp_path):
    """A clock that goes on by three months while one waits for another ends no save."""
    from orbax.checkpoint._src.futures.signaling_client import get_signaling_client
    from orbax.checkpoint._src.multihost import multihost

    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert multihost.coordination_timeout() > 5 * 365 * 86_400
        client, jumps = get_signaling_client(), iter([0.0, 90 * 86_400.0])
        threading.Timer(0.2, lambda: client.key_value_set("told", "yes")).start()
        with pytest.MonkeyPatch.context() as patch:
            real = time.time
            patch.setattr(time, "time", lambda: real() + next(jumps, 90 * 86_400.0))
            assert client.blocking_key_value_get("told", multihost.coordination_timeout()) == "yes"
        assert checkpoints.steps() == []
