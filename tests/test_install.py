"""What an editable install must do: `import gen` finds the package from anywhere."""

from __future__ import annotations

import configparser
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def test_gen_is_found_in_a_folder_that_holds_a_checkout_called_gen(tmp_path):
    """A folder on the path wins over the namespace package that the checkout would be; a finder of setuptools does not.

    setuptools puts the folder on the path where package_dir says that packages lie at the top.
    """
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["options"]["package_dir"].split() == ["=", "."]
    (tmp_path / "gen" / "docs").mkdir(parents=True)
    command = [sys.executable, "-c", "import gen.provenance; print(gen.__file__)"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(ROOT / "gen" / "__init__.py")


def test_what_is_no_program_but_belongs_to_the_package_is_installed_with_it():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    named = {path for text in setup["options.package_data"]["gen"].split() for path in (ROOT / "gen").glob(text)}
    files = {path for path in (ROOT / "gen").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert named == files
