"""The house rules, read from the source: who may import whom, what may be used where, and that documents keep in step.

A rule takes one module of gen and yields what is wrong in it. Beside each rule stands a module that breaks it.
"""

from __future__ import annotations

import ast
import configparser
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gen

ROOT = pathlib.Path(__file__).parents[1]

# The rooms (modules and packages) of gen, from the top down: each imports only what stands below it. Those of one line
# know nothing of each other. CONTRIBUTING.md shows the same list with what is in each.
ROOMS = """
main sample refine score latents evaluate compare audit convert verify checkpoint export studio
studio_app
api
training
integrity
publishing
auditing comparing converting
evaluation verification
refining
sampling
runs
features
report
outputs
provenance
tasks
data
image_io
devices processes
config membership
cli
audit_checks augment imaging losses metrics models watermark
jpeg_tables npz text workers
files
errors
"""
DEPTH = {room: depth for depth, line in enumerate(ROOMS.split("\n")) for room in line.split()}
# Costly or optional, so imported where they are used; gen itself must be importable without them.
LAZY = {
    "tensorflow_datasets",
    "importlib_resources",
    "grain",
    "c2pa",
    "cryptography",
    "jax2onnx",
    "onnxruntime",
    "tensorboard",
    "xprof",
    "scipy",
    "tensorflow",
    "array_record",
    "pyarrow",
}
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
SCALARS = {"int", "float", "bool", "str"}


class Module(NamedTuple):
    """One source file: its path from the root of the checkout, with /, and its syntax tree."""

    path: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.path.split("/")[1].removesuffix(".py")


def imports(module: Module, tree: ast.AST | None = None) -> Iterator[tuple[str, ...]]:
    """The dotted names that a module imports, as tuples; `from a import b` gives ("a", "b")."""
    package = module.path.split("/")[:-1]
    for node in ast.walk(tree or module.tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = package[: len(package) + 1 - node.level] if node.level else []
            origin += node.module.split(".") if node.module else []
            yield from ((*origin, alias.name) for alias in node.names)


def functions(module: Module) -> Iterator[tuple[ast.FunctionDef, bool]]:
    """The public functions and the public methods (and whether it is one), `__call__` among them."""
    for node in module.tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node, False
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and (method.name == "__call__" or method.name[0] != "_"):
                    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in method.decorator_list)
                    yield method, not static


def rooms(module: Module) -> Iterator[str]:
    """A room is on the list, and imports only what stands below it, or itself."""
    if module.room == "__init__":  # which every program and every library that uses gen imports first
        cheap = {"os", "signal", "sys", "types"}
        yield from (f"gen/__init__.py imports {'.'.join(name)}" for name in imports(module) if name[0] not in cheap)
    elif module.room not in DEPTH:
        yield f"the room {module.room} is not on the list: enter it in ROOMS and in CONTRIBUTING.md"
    else:
        for name in imports(module):
            other = name[1] if name[0] == "gen" else module.room
            if other not in (module.room, "__version__") and DEPTH.get(other, -1) <= DEPTH[module.room]:
                yield f"{module.room} imports {other}, which does not stand below it"


def orbax(module: Module) -> Iterator[str]:
    """Only checkpoint.py imports orbax."""
    if module.path != "gen/runs/checkpoint.py" and any(name[0] == "orbax" for name in imports(module)):
        yield "imports orbax"


def modules(module: Module) -> Iterator[str]:
    """Only models/ subclasses Module, and nothing imports nnx."""
    for node in ast.walk(module.tree):
        bases = [ast.unparse(base).split(".")[-1] for base in node.bases] if isinstance(node, ast.ClassDef) else []
        if "Module" in bases and module.room != "models":
            yield "a Module outside gen/models/"
    if any("nnx" in name for name in imports(module)):
        yield "imports nnx"


def lazy(module: Module) -> Iterator[str]:
    """What costs at import is imported inside a function (or for the type checker alone)."""

    def at_import(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not typing_only:
                yield child
                yield from at_import(child)

    for node in at_import(module.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (f"imports {name[0]} at the top" for name in imports(module, node) if name[0] in LAZY)


def grouped_convolutions(module: Module) -> Iterator[str]:
    """No feature_group_count: its gradients are slow, and the partitioner gathers the batch for it."""
    for node in ast.walk(module.tree):
        if "feature_group_count" in (getattr(node, name, None) for name in ("arg", "value", "id", "attr")):
            yield f"line {node.lineno}: feature_group_count"


def image_open(module: Module) -> Iterator[str]:
    """Only image_io opens image files: with its list of formats, its limits, its one exception."""
    if module.room != "image_io":
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and node.attr == "open" and ast.unparse(node.value).endswith("Image"):
                yield f"line {node.lineno}: Image.open"
        if ("PIL", "Image", "open") in imports(module):
            yield "imports PIL.Image.open"


def pickles(module: Module) -> Iterator[str]:
    """Nothing unpickles, and nothing runs text as code."""
    yield from (f"imports {name[0]}" for name in imports(module) if name[0] in PICKLES)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
                yield f"line {node.lineno}: {node.func.id}"
            for keyword in node.keywords:
                refused = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg == "allow_pickle" and not refused:
                    yield f"line {node.lineno}: allow_pickle"


def docstrings(module: Module) -> Iterator[str]:
    """Every module, public class and public function says what it is for."""
    if not ast.get_docstring(module.tree):
        yield "no docstring"
    for node in module.tree.body:
        public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if public and not ast.get_docstring(node):
            yield f"{node.name}: no docstring"


def argument_order(module: Module) -> Iterator[str]:
    """`key` first (after a whole state), data before scalars, and a function of data takes its options by keyword."""
    for function, method in functions(module):
        positional = [*function.args.posonlyargs, *function.args.args][int(method) :]
        kinds = [ast.unparse(p.annotation).removesuffix(" | None") if p.annotation else "" for p in positional]
        is_data = [bool(re.search(r"Array|ndarray", kind)) for kind in kinds]
        if "key" in [p.arg for p in positional[1:]] and kinds[0] != "TrainState":
            yield f"{function.name}: key is not first"
        first_scalar = next((i for i, kind in enumerate(kinds) if kind in SCALARS), len(kinds))
        if any(is_data[first_scalar:]):
            yield f"{function.name}: data after the scalar {positional[first_scalar].arg}"
        for parameter in positional[len(positional) - len(function.args.defaults) :] if any(is_data) else []:
            yield f"{function.name}: the option {parameter.arg} is not keyword-only"


# Each rule with the paths and sources that it must refuse.
RULES: dict[Callable[[Module], Iterator[str]], list[tuple[str, str]]] = {
    rooms: [
        ("gen/losses.py", "from gen.config import Config"),
        ("gen/losses.py", "from gen import augment"),
        ("gen/models/r3gan.py", "def f():\n    import gen.losses"),
        ("gen/evaluation/html.py", "from gen.evaluate import main"),
        ("gen/tasks/gan.py", "from ..training import loop"),
        ("gen/cupboard.py", ""),
        ("gen/__init__.py", "import jax"),
    ],
    orbax: [
        ("gen/training/loop.py", "import orbax.checkpoint as ocp"),
        ("gen/training/loop.py", "from orbax import checkpoint"),
    ],
    modules: [
        ("gen/tasks/gan.py", "class Net(nn.Module): pass"),
        ("gen/tasks/gan.py", "class Net(Module): pass"),
        ("gen/models/x.py", "from flax import nnx"),
    ],
    lazy: [
        ("gen/data/tfds.py", "import tensorflow_datasets as tfds"),
        ("gen/data/tfds.py", "try:\n    from tensorflow_datasets.core import features\nexcept ImportError: pass"),
    ],
    grouped_convolutions: [
        ("gen/models/x.py", "nn.Conv(3, (3, 3), feature_group_count=4)"),
        ("gen/models/x.py", "conv(**{'feature_group_count': 4})"),
    ],
    image_open: [
        ("gen/x.py", "Image.open(path)"),
        ("gen/x.py", "PIL.Image.open(path, formats=FORMATS)"),
        ("gen/x.py", "from PIL.Image import open"),
    ],
    pickles: [
        ("gen/data/npz.py", "np.load(path, allow_pickle=True)"),
        ("gen/data/npz.py", "np.load(path, allow_pickle=trusted)"),
        ("gen/data/npz.py", "from pickle import load"),
        ("gen/config.py", "eval(text)"),
    ],
    docstrings: [
        ("gen/x.py", ""),
        ("gen/x.py", "'''Text.'''\ndef f(): pass"),
        ("gen/x.py", "'''Text.'''\nclass C: pass"),
    ],
    argument_order: [
        ("gen/x.py", "def f(images: jax.Array, key: jax.Array): pass"),
        ("gen/x.py", "def f(sigma: float, images: jax.Array): pass"),
        ("gen/x.py", "def f(size: int | None, images: np.ndarray | jax.Array): pass"),
        ("gen/x.py", "def f(images: jax.Array, sigma: float = 1.0): pass"),
        ("gen/x.py", "class C:\n    def __call__(self, z: jax.Array, key: jax.Array): pass"),
    ],
}


def sources(folder: str) -> list[pathlib.Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def name_of(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds(rule):
    found = [Module(name_of(path), ast.parse(path.read_text())) for path in sources("gen")]
    assert len(found) > 10
    assert [f"{module.path}: {problem}" for module in found for problem in rule(module)] == []


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [(rule, *example) for rule, examples in RULES.items() for example in examples],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_rule_notices(rule, path, source):
    assert list(rule(Module(path, ast.parse(source))))


def test_the_list_of_rooms_is_that_of_contributing():
    text = (ROOT / "CONTRIBUTING.md").read_text().split("```text\n")[2].split("```")[0]
    shown = [re.match(r" {2}((?:[a-z_]+/? )+) ", line) for line in text.splitlines()]
    assert [found[1].replace("/", "").split() for found in shown if found] == [
        line.split() for line in ROOMS.strip().split("\n")
    ]
    there = {name_of(path).split("/")[1].removesuffix(".py") for path in sources("gen")} - {"__init__"}
    assert there == set(DEPTH)


def test_tests_lie_in_the_folders_of_gen_under_names_of_their_own():
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    assert [path for path in files if not (ROOT / "gen" / path.parent.relative_to(ROOT / "tests")).is_dir()] == []
    assert len({path.name for path in files}) == len(files)  # tests are in no package: pytest imports them by name


def test_every_folder_of_gen_is_a_package():
    assert {name_of(path.parent) for path in sources("gen") if not (path.parent / "__init__.py").exists()} == set()


@pytest.mark.parametrize("path", sources("experiments"), ids=lambda path: path.stem)
def test_experiment_is_a_lab_note_with_get_config(path):
    tree = ast.parse(path.read_text())
    assert f"python -m gen.main --config {name_of(path)}" in " ".join((ast.get_docstring(tree) or "").split())
    assert "get_config" in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def test_there_are_experiments_and_benchmarks():
    assert {"shapes", "folder"} <= {path.stem for path in sources("experiments")}
    assert "train_step" in {path.stem for path in sources("benchmarks")}


@pytest.mark.parametrize("name", sorted(map(name_of, [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])))
def test_documents_name_files_that_exist(name):
    document = ROOT / name
    text = document.read_text()
    commands = "\n".join(re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    named = re.findall(r"(?:benchmarks|constraints|docs|experiments|gen|tests)/[\w./-]*\w|\./[\w.]+\.sh", commands)
    named += [f"{module.replace('.', '/')}.py" for module in re.findall(r"-m (gen\.[\w.]+)", commands)]
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img [^>]*src="([^"]+)"', text)
    local = [link.split("#")[0] for link in links if "://" not in link and link[0] != "#"]
    there = lambda path: (ROOT / path).exists() or (ROOT / path.removesuffix(".py") / "__main__.py").exists()  # noqa: E731
    assert [path for path in named if not there(path)] == []
    assert [path for path in local if not (document.parent / path).exists()] == []


@pytest.mark.parametrize("name", ["run", "test"])
def test_readme_has_the_commands_that_ci_runs(name):
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(rf"^<!-- command:{name} -->\n+```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert "pip install" in block
    assert {"run": "experiments/shapes.py", "test": "pytest"}[name] in block


def test_changelog_begins_with_this_version():
    versions = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == gen.__version__


@pytest.mark.parametrize("python", ["311", "312", "313"])
def test_constraints_pin_every_requirement_within_its_range(python):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    wanted = [setup["options"]["install_requires"], extras["test"], extras["dev"], extras["tensorboard"]]
    requirements = [Requirement(line) for text in wanted for line in text.split("\n") if line and line[0] != "#"]
    lines = (ROOT / f"constraints/py{python}.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    assert len(requirements) > 10
    for requirement in requirements:
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement
