"""Which processes belong together, by the environment and by flags; half an answer is refused."""

import pytest

from gen.errors import InputError
from gen.membership import Membership, membership

STEP = {"SLURM_STEP_NUM_TASKS": "2"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"SLURM_STEP_NUM_TASKS": "1"}, None),
        (STEP, Membership()),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, None),
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, Membership()),
        ({"GEN_DISTRIBUTED": "1"}, Membership()),
        ({"GEN_DISTRIBUTED": "0"}, None),
        ({"GEN_DISTRIBUTED": "1", "JAX_COORDINATOR_ADDRESS": "a:1"}, Membership("a:1")),
        (
            {"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"},
            Membership("a:1", 2, 1),
        ),
        # A Slurm step with one task a node: all GPUs of the node are of this process.
        (
            STEP | {"SLURM_STEP_TASKS_PER_NODE": "1(x2)", "SLURM_GPUS_ON_NODE": "4"},
            Membership(local_devices=(0, 1, 2, 3)),
        ),
        (STEP | {"SLURM_STEP_TASKS_PER_NODE": "1,1", "CUDA_VISIBLE_DEVICES": "2,5"}, Membership(local_devices=(0, 1))),
        (STEP | {"SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_GPUS_ON_NODE": "4"}, Membership()),
        (
            STEP | {"SLURM_STEP_TASKS_PER_NODE": "1(x2)", "SLURM_GPUS_ON_NODE": "4", "JAX_LOCAL_DEVICE_IDS": "3"},
            Membership(),
        ),
        (STEP | {"SLURM_STEP_TASKS_PER_NODE": "1(x2)"}, Membership()),
    ],
)
def test_the_environment_says_who_belongs_together(environ, expected):
    assert membership(environ) == expected


def test_arguments_say_who_belongs_together_whatever_the_environment_says():
    found = membership(STEP, coordinator="[::1]:99", num_processes=3, process_id=2)
    assert found == Membership("[::1]:99", 3, 2)


@pytest.mark.parametrize(
    ("environ", "arguments", "told"),
    [
        (
            {"JAX_COORDINATOR_ADDRESS": "a:1"},
            {},
            "JAX_COORDINATOR_ADDRESS without JAX_NUM_PROCESSES and JAX_PROCESS_ID",
        ),
        ({"JAX_NUM_PROCESSES": "2"}, {}, "JAX_NUM_PROCESSES without JAX_COORDINATOR_ADDRESS and JAX_PROCESS_ID"),
        ({"JAX_PROCESS_ID": "one"}, {}, "JAX_PROCESS_ID is 'one'; allowed: a whole number"),
        ({}, {"coordinator": "a:1"}, "--coordinator without --num_processes and --process_id"),
        ({}, {"process_id": 0}, "--process_id without --coordinator and --num_processes"),
        ({}, {"coordinator": "a", "num_processes": 2, "process_id": 0}, "--coordinator is 'a'; allowed: HOST:PORT"),
        ({}, {"coordinator": "a:0", "num_processes": 2, "process_id": 0}, "HOST:PORT"),
        ({}, {"coordinator": "a:1", "num_processes": 0, "process_id": 0}, "--num_processes is 0; allowed: 1 or more"),
        ({}, {"coordinator": "a:1", "num_processes": 2, "process_id": 2}, "--process_id is 2; allowed: 0 to 1"),
    ],
)
def test_half_an_answer_is_refused(environ, arguments, told):
    with pytest.raises(InputError, match=told):
        membership(environ, **arguments)
