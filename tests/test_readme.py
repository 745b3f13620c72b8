"""What the README shows works: its Python runs, its commands exist, its pictures and files are there."""

import pathlib
import re
import shlex

import pytest

ROOT = pathlib.Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.S)
SHELL = [line.split("#")[0].strip() for block in re.findall(r"```(?:sh|bash|console)\n(.*?)```", TEXT, re.S)
         for line in block.replace("\\\n", " ").splitlines() if line.strip()]
COMMANDS = [line.removeprefix("$ ") for line in SHELL]


@pytest.mark.parametrize("code", PYTHON)
def test_python_blocks_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("line", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_exist(line):
    targets = [w for w in shlex.split(line)[1:] if "=" not in w]
    known = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M)
    assert set(targets) <= set(known), line


@pytest.mark.parametrize("line", [c for c in COMMANDS if re.match(r"(chipmap|gridmap) ", c)])
def test_options_exist(line):
    """Every option shown is one the command knows, and every file named is in the repository."""
    import importlib

    import click
    words = shlex.split(line)
    main = importlib.import_module(f"{words[0]}.__main__").main
    command = main.get_command(click.Context(main), words[1]) if isinstance(main, click.Group) else main
    assert command is not None, line
    options = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    assert {w.split("=")[0] for w in words if w.startswith("-")} <= options, line


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", TEXT) + re.findall(r'(?:src|href)="([^"#]+)"', TEXT))))
def test_links_lead_somewhere(target):
    assert "://" in target or (ROOT / target).exists(), target


def test_the_house_in_contributing_is_the_house():
    """Every module CONTRIBUTING names is there."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for line in text.split("```")[3].splitlines()[2:]:
        for room, half in (("chipmap", line[:57]), ("gridmap", line[57:])):
            for name in re.findall(r"^ *(\w+\.py)", half):
                assert (ROOT / room / name).exists() or (ROOT / room / name.removesuffix(".py")).is_dir(), f"{room}/{name}"
    for stem in re.findall(r"^  (\w+)  ", text.split("```")[5].split("kernels/cukernels/")[1], re.M):
        assert (ROOT / "kernels" / "cukernels" / f"{stem}.py").exists(), stem
