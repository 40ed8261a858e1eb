"""Every end of the command's process: its exit code, and no traceback, whatever is around it.

1 and 4 are answers: a process ends with them only where a command returned them.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomllib

from harness import __version__, paths

pytestmark = pytest.mark.heavy

LEVELFIELD = f"{shlex.quote(sys.executable)} -m levelfield"
ANSWER = """
import os, sys
from harness import cli
def app(**how):
    from harness.console import Console
    console = Console()
    {body}
    return {code}
cli.app = app
import levelfield
levelfield.main()
"""
"""The command with a stand-in for what it is asked for."""
TALK = "[(console.say('progress'), console.result('an answer')) for _ in range(2000)]"


def shell(line: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """``line``, in which ``$LF`` is the command and whose exit code is that of its first part."""
    return subprocess.run(
        ["bash", "-c", f"LF={shlex.quote(LEVELFIELD)}; {line}\nexit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(paths.ROOT), **variables},
        capture_output=True,
        timeout=120,
    )


def stand_in(folder: Path, code: object, body: str = "pass") -> str:
    """A command that ends with ``code`` after ``body``."""
    path = folder / "stand_in.py"
    path.write_text(ANSWER.format(body=body, code=code), encoding="utf-8")
    return f"{shlex.quote(sys.executable)} {path}"


def check(done: subprocess.CompletedProcess[bytes], code: int) -> str:
    """It ended with ``code``, and said at most one line about that; what it said."""
    said = done.stderr.decode()
    assert done.returncode == code, said
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    return said


UNREAD = {
    "closed stdout": ">&-",
    "closed stderr": "2>&-",
    "all closed": "<&- >&- 2>&-",
    "stdin closed": "<&-",
    "nobody reads": "| true",
    "both, nobody reads": "2>&1 | true",
    "two lines are read": "2>&1 | head -2",
    "stdout opened for reading": "1</dev/null",
    "full stderr": "2>/dev/full",
}


@pytest.mark.parametrize("end", UNREAD.values(), ids=UNREAD)
@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_the_answer_s_whoever_reads(tmp_path, code, end):
    check(shell(f"{stand_in(tmp_path, code, TALK)} {end}", tmp_path), code)


@pytest.mark.parametrize("end", UNREAD.values(), ids=UNREAD)
@pytest.mark.parametrize(
    ("arguments", "code"), [("run --help", 0), ("list recipes", 0), ("cup", 2)]
)
def test_so_it_is_of_real_commands(tmp_path, arguments, code, end):
    check(shell(f"$LF {arguments} {end}", tmp_path), code)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4])
def test_an_answer_s_exit_code_is_that_of_the_process(tmp_path, code):
    assert check(shell(stand_in(tmp_path, code), tmp_path), code) == ""


@pytest.mark.parametrize("trap", ["''", "-"], ids=["ignored", "usual"])
def test_so_it_is_however_a_broken_pipe_is_signalled(tmp_path, trap):
    line = f"trap {trap} PIPE; {stand_in(tmp_path, 3, TALK)} 2>&1 | head -1"
    assert check(shell(line, tmp_path), 3) == ""


@pytest.mark.parametrize(("code", "expected"), [(0, 2), (1, 1), (3, 3), (4, 4)])
def test_an_answer_that_finds_no_room_is_no_success(tmp_path, code, expected):
    said = check(shell(f"{stand_in(tmp_path, code, TALK)} >/dev/full", tmp_path), expected)
    assert "levelfield: Standard output can't be written (No space left on device)" in said


def test_what_is_printed_lands_in_no_file_of_ours(tmp_path):
    body = (
        "record = open('record', 'w'); console.say('x'); console.result('x'); os.system('echo x'); "
        "record.write('y'); record.close()"
    )
    check(shell(f"{stand_in(tmp_path, 0, body)} <&- >&- 2>&-", tmp_path), 0)
    assert (tmp_path / "record").read_text() == "y"


def test_a_reader_that_is_late_gets_everything(tmp_path):
    code = stand_in(tmp_path, 4, "console.write(b'x' * 10**6)")
    read, write = os.pipe()
    os.set_blocking(write, False)
    process = subprocess.Popen(shlex.split(code), stdout=write, env=os.environ | {
        "PYTHONPATH": str(paths.ROOT)})  # fmt: skip
    os.close(write)
    with os.fdopen(read, "rb") as file:
        assert len(file.read()) == 10**6
    assert process.wait(60) == 4


ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "strict ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "utf-16": {"PYTHONIOENCODING": "utf-16"},
    "C": {"LC_ALL": "C"},
    "C and nothing else": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "no such locale": {"LC_ALL": "xx_XX.UTF-9"},
}


@pytest.mark.parametrize("variables", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("code", [0, 3])
def test_a_letter_that_can_t_be_written_is_replaced(tmp_path, variables, code):
    strange = "'2.1× −3 ☃ \\ud800 𝄞 \\x1b[31m'"
    body = (
        f"[show({strange}) for show in (console.say, console.warn, console.fail, console.result)]; "
    )
    body += f"console.table({strange}, ('a',), [({strange},)]); print({strange}); "
    body += f"Console(json=True).answer({{'a': {strange}}})"
    done = shell(stand_in(tmp_path, code, body), tmp_path, **variables)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert b"\x1b" not in done.stderr
    assert b"2.1" in done.stdout or b"2\x00.\x001" in done.stdout


SURROUNDINGS = {
    "a notebook's back end": {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
    "no back end": {"MPLBACKEND": "junk"},
    "warnings are errors": {"PYTHONWARNINGS": "error"},
    "no assertions": {"PYTHONOPTIMIZE": "2"},
    "no buffers": {"PYTHONUNBUFFERED": "1"},
    "development mode": {"PYTHONDEVMODE": "1"},
    "no home": {"HOME": "/nonexistent"},
    "strange sizes": {"COLUMNS": "0", "LINES": "junk", "TERMINAL_WIDTH": "junk"},
    "a dumb terminal": {"TERM": "dumb"},
    "no terminal": {"TERM": ""},
    "completion": {"_LEVELFIELD_COMPLETE": "junk", "_PYTHON__M_LEVELFIELD_COMPLETE": "junk"},
}


@pytest.mark.parametrize("variables", SURROUNDINGS.values(), ids=SURROUNDINGS)
@pytest.mark.parametrize("arguments", ["list recipes", "report nothing"])
def test_variables_for_others_change_nothing(tmp_path, variables, arguments):
    code = 2 if arguments == "report nothing" else 0
    check(shell(f"$LF {arguments}", tmp_path, **variables), code)


def test_warnings_as_errors_leave_pictures_alone(tmp_path):
    body = "from harness.report.charts import draw; import warnings; warnings.warn('x')"
    said = check(shell(stand_in(tmp_path, 0, body), tmp_path, PYTHONWARNINGS="error"), 0)
    assert said == ""


def in_the_way(folder: Path, name: str, content: str) -> dict[str, str]:
    """What makes ``import name`` find ``content``."""
    package = folder / "in the way" / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(content, encoding="utf-8")
    return {"PYTHONPATH": f"{package.parent}{os.pathsep}{paths.ROOT}"}


@pytest.mark.parametrize("name", ["harness", "impls", "benchmarks", "tests"])
def test_a_folder_of_our_packages_name_is_passed_over(tmp_path, name):
    variables = in_the_way(tmp_path, name, "raise SystemExit(1)")
    done = shell("$LF list recipes", tmp_path, **variables)
    check(done, 0)
    assert b"lenet-sgd" in done.stdout


@pytest.mark.parametrize(
    ("name", "command"),
    [("typer", "list recipes"), ("msgspec", "list recipes"), ("numpy", "report")],
)
@pytest.mark.parametrize(
    "content",
    ["", "import nonsense", "1 / 0", "raise SystemExit(1)", "raise OSError(28, 'No space')", "?"],
)
def test_a_library_that_can_t_be_loaded_is_one_line_and_2(tmp_path, name, command, content):
    done = shell(f"$LF {command}", tmp_path, **in_the_way(tmp_path, name, content))
    said = check(done, 2)
    assert len(said.splitlines()) == 1
    assert said.startswith("levelfield: ")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("1 / 0", "a mistake of levelfield's own: ZeroDivisionError: division by zero"),
        ("raise OSError(28, 'No space left on device')", "No space left on device: make room"),
        ("open('/proc/nothing', 'w')", "/proc/nothing: No such file"),
        ("sys.exit(1)", "SystemExit: 1"),
        ("sys.exit('a word')", "SystemExit: a word"),
        ("raise MemoryError", "Out of memory"),
        ("raise RecursionError('deep')", "RecursionError: deep"),
        ("raise EOFError", "EOFError"),
        ("raise ValueError('a\\nb\\x1b[31m')", "ValueError: a b [31m"),
        ("import nothing.at_all", "ModuleNotFoundError: No module named 'nothing'"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("sys.stdout.close(); 1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_nobody_foresaw_is_one_line_and_2(tmp_path, body, said):
    line = check(shell(stand_in(tmp_path, 0, body), tmp_path), 2)
    assert len(line.splitlines()) == 1
    assert said in line


@pytest.mark.parametrize("place", ["an import", "a command", "a command that wraps it"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_is_one_line_and_its_own_code(tmp_path, place, number):
    wait = "import time; open('here', 'w').close(); time.sleep(60)"
    wrap = "exec('''try:\\n {}\\nexcept BaseException: raise ImportError''')"
    if place == "an import":
        variables = in_the_way(tmp_path, "typer", wait)
        command = [sys.executable, "-m", "levelfield", "list", "recipes"]
    else:
        variables = {"PYTHONPATH": str(paths.ROOT)}
        body = wait if place == "a command" else wrap.format(wait)
        command = shlex.split(stand_in(tmp_path, 0, body))
    process = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | variables,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (tmp_path / "here").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number
    assert said.startswith("levelfield: Interrupted")
    assert len(said.splitlines()) == 1


def test_nohup_is_respected(tmp_path):
    body = "os.kill(os.getpid(), 1); console.result('still here')"
    done = shell(f"trap '' HUP; {stand_in(tmp_path, 4, body)}", tmp_path)
    check(done, 4)
    assert done.stdout == b"still here\n"


def test_the_installed_command_is_this_one():
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["scripts"] == {"levelfield": "levelfield:main"}


@pytest.mark.parametrize("name", ["__init__", "__main__", "process", "ours"])
def test_the_first_modules_import_nothing_that_takes_time(name):
    tree = ast.parse((paths.ROOT / "levelfield" / f"{name}.py").read_text(encoding="utf-8"))
    names = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    light = {"__future__", "errno", "io", "os", "sys", "importlib.machinery"}
    assert names <= light | {"levelfield", "levelfield.process", "levelfield.ours"}


@pytest.mark.parametrize("arguments", ["--version", "--help", "list recipes", "list runs"])
def test_what_draws_and_computes_is_not_waited_for(tmp_path, arguments):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "levelfield", *arguments.split()],
        env=os.environ | {"PYTHONPATH": str(paths.ROOT)}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "harness.cli" in loaded
    assert not loaded & {"numpy", "scipy", "matplotlib", "jinja2", "ruptures", "pandas"}


def test_python_m_harness_is_the_same(tmp_path):
    done = shell(f"{shlex.quote(sys.executable)} -m harness --version", tmp_path)
    assert done.stdout.decode() == f"levelfield {__version__}\n"
