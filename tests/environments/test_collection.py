from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import msgspec
import pytest
from filelock import FileLock

from harness.environments.collection import Environments
from harness.environments.interpreters import installed_packages
from harness.errors import UsageError, WorkplaceError
from harness.paths import user_cache
from harness.spec.implementations import GpuLimits

pytestmark = pytest.mark.heavy

RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"


def only_folder(environments: Environments) -> Path:
    (folder,) = (path for path in environments.root.iterdir() if path.is_dir())
    return folder


def test_an_environment_is_made_and_found_again(environments, make_toy) -> None:
    implementation = make_toy()
    assert environments.find(implementation) is None
    assert not environments.root.exists(), "looking must write nothing"

    lines: list[str] = []
    synced = environments.sync(implementation, progress=lines.append)

    assert synced.record.framework == "toy"
    assert synced.record.version == "1.0"
    assert synced.record.python == ".".join(map(str, sys.version_info[:3]))
    assert {"toyframe": "1.0", "toydep": "1.0"}.items() <= synced.record.packages.items()
    assert synced.size_bytes > 0
    assert synced.folder == str(environments.root / f"toy-{synced.record.key}")
    assert lines[0].startswith(f"making toy-{synced.record.key} with Python {RUNNING}.")
    assert "unpacking toyframe" in lines
    assert any(line.startswith("installing ") and line.endswith(" packages") for line in lines)

    again: list[str] = []
    assert environments.sync(implementation, progress=again.append) == synced
    assert environments.find(implementation) == synced
    assert again == []


def test_the_interpreter_is_not_resolved(made, make_toy) -> None:
    synced = made.find(make_toy())
    assert synced is not None
    assert synced.python == f"{synced.folder}/bin/python"
    assert Path(synced.python).resolve() != Path(synced.python)
    installed = installed_packages(Path(synced.python))
    assert installed is not None and "toyframe" in installed.packages


def test_by_default_the_users_cache_holds_the_environments() -> None:
    assert Environments().root == user_cache() / "environments"


def test_another_version_gets_an_environment_of_its_own(made, make_toy) -> None:
    implementation = make_toy()
    own = made.find(implementation)
    assert own is not None
    assert made.find(implementation, version="2.0") is None

    other = made.sync(implementation, version="2.0")

    assert other.record.version == "2.0"
    assert other.record.packages["toydep"] == "1.0", "the other pins are kept"
    assert other.folder != own.folder
    assert made.find(implementation) == own
    infos = made.listed([implementation])
    assert {(info.version, info.current) for info in infos} == {("1.0", True), ("2.0", True)}


def test_a_version_that_does_not_exist_is_an_error_and_leaves_nothing(
    environments, make_toy
) -> None:
    with pytest.raises(WorkplaceError) as caught:
        environments.sync(make_toy(), version="9.9")
    log = next(environments.root.glob("*.log"))
    assert str(caught.value) == (
        "The environment of toy could not be made: pip said «No matching distribution found for "
        f"toyframe==9.9» (all of its output: {log}): ask for a version of toyframe that exists and "
        f"suits Python {RUNNING} and the other lines of toy's requirements-cpu.txt, then try again"
    )
    assert "toyframe==9.9" in log.read_text()
    assert environments.listed([]) == ()


def test_a_version_that_is_none_is_an_error(environments, make_toy) -> None:
    with pytest.raises(UsageError, match="toy@newest: 'newest' is no version"):
        environments.sync(make_toy(), version="newest")


def test_a_package_that_the_requirements_do_not_bring_is_an_error(
    environments, make_toy, requirements
) -> None:
    with pytest.raises(WorkplaceError, match=r"has no toyother after pip's work.*`package`"):
        environments.sync(make_toy(package="toyother"))
    assert environments.listed([]) == ()


def test_without_a_requirements_file_a_device_is_an_error(environments, make_toy) -> None:
    with pytest.raises(WorkplaceError, match=r"toy has no requirements-gpu\.txt in .*--device"):
        environments.sync(make_toy(), "gpu:1")


def test_devices_have_environments_of_their_own(environments, make_toy, requirements) -> None:
    implementation = make_toy()
    implementation.requirements("gpu").write_text(requirements)
    on_gpu = environments.sync(implementation, "gpu:1")
    assert environments.find(implementation, "gpu") == on_gpu
    assert environments.find(implementation, "cpu") is None
    assert environments.listed([implementation])[0].device == "gpu"


def test_a_build_for_gpus_may_be_a_distribution_of_its_own(environments, make_toy, wheels) -> None:
    limits = GpuLimits(
        package="toyframe-cu12",
        cuda="12.5",
        least_driver="525",
        machine_code=("8.0",),
        memory_mib=1,
    )
    implementation = make_toy(gpu=limits)
    lines = f"--no-index\n--find-links {wheels.as_uri()}\ntoyframe-cu12\n"
    implementation.requirements("gpu").write_text(lines)
    record = environments.sync(implementation, "gpu", "3.0").record
    assert (record.package, record.version) == ("toyframe-cu12", "3.0")
    assert "toyframe" not in record.packages
    with pytest.raises(UsageError, match=r"toy@toyframe-cu12==2 asks for toyframe-cu12 itself"):
        environments.sync(implementation, "gpu", "toyframe-cu12==2")
    [listed] = environments.listed([implementation])
    assert listed.version == "3.0"


def break_marker(folder: Path) -> str:
    (folder / "levelfield.json").write_text('{"format_version": 1, "key": ')
    return "its record can't be read"


def raise_format(folder: Path) -> str:
    marker = msgspec.json.decode((folder / "levelfield.json").read_bytes())
    (folder / "levelfield.json").write_bytes(msgspec.json.encode({**marker, "format_version": 99}))
    return "its record can't be read"


def remove_marker(folder: Path) -> str:
    (folder / "levelfield.json").unlink()
    return "its making was cut off"


def remove_interpreter(folder: Path) -> str:
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to(folder / "gone" / "python")
    return "its interpreter doesn't run any more"


def change_a_package(folder: Path) -> str:
    (info,) = folder.glob("lib/*/site-packages/toydep-1.0.dist-info")
    metadata = info / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 1.1"))
    return "toydep 1.0 was installed, now 1.1 is"


def remove_a_package(folder: Path) -> str:
    (info,) = folder.glob("lib/*/site-packages/toydep-1.0.dist-info")
    shutil.rmtree(info)
    return "toydep 1.0 was installed, now none is"


@pytest.mark.parametrize(
    "damage",
    [
        break_marker,
        raise_format,
        remove_marker,
        remove_interpreter,
        change_a_package,
        remove_a_package,
    ],
)
def test_a_damaged_environment_is_not_used(made, make_toy, damage) -> None:
    implementation = make_toy()
    reason = damage(only_folder(made))

    assert made.find(implementation) is None
    (info,) = made.listed([implementation])
    assert (info.state, info.reason, info.version) == ("broken", reason, None)


@pytest.mark.parametrize("damage", [break_marker, remove_interpreter])
def test_a_damaged_environment_is_made_anew(made, make_toy, damage) -> None:
    implementation = make_toy()
    folder = only_folder(made)
    reason = damage(folder)
    (folder / "left-over").touch()

    lines: list[str] = []
    synced = made.sync(implementation, progress=lines.append)

    assert lines[0] == f"removing {folder.name}: {reason}"
    assert synced.folder == str(folder)
    assert not (folder / "left-over").exists()
    assert made.find(implementation) == synced


def test_packages_added_by_hand_are_recorded(made, make_toy) -> None:
    (packages,) = only_folder(made).glob("lib/*/site-packages")
    shutil.copytree(packages / "toydep-1.0.dist-info", packages / "extra-3.0.dist-info")
    (packages / "extra-3.0.dist-info" / "METADATA").write_text("Name: Ex.tra\nVersion: 3.0\n")
    synced = made.find(make_toy())
    assert synced is not None
    assert synced.record.packages["ex-tra"] == "3.0"


def test_a_listing_tells_what_is_there_and_still_wanted(made, make_toy, requirements) -> None:
    implementation = make_toy()
    (info,) = made.listed([implementation])
    assert info.framework == "toy"
    assert (info.version, info.device, info.state, info.reason) == ("1.0", "cpu", "complete", "")
    assert info.current
    assert info.place == str(only_folder(made))
    assert info.size_bytes > 0
    assert msgspec.json.decode(msgspec.json.encode(info), type=type(info)) == info

    (outdated,) = made.listed([make_toy(requirements.replace("toyframe==1.0", "toyframe==2.0"))])
    assert not outdated.current
    (unknown,) = made.listed([])
    assert not unknown.current
    (unserved,) = made.listed([make_toy(python=("3.4",))])
    assert not unserved.current


def test_an_environment_in_the_making_is_listed_as_such_and_not_removed(made, make_toy) -> None:
    folder = only_folder(made)
    with FileLock(f"{folder}.lock"):
        (info,) = made.listed([])
        assert info.state == "making"
        with pytest.raises(WorkplaceError, match="is being made by another run"):
            made.remove(folder.name)
    assert made.find(make_toy()) is not None


def test_an_environment_is_removed_with_its_log(made) -> None:
    folder = only_folder(made)
    (info,) = made.listed([])
    assert made.remove(folder.name) >= info.size_bytes
    assert not folder.exists()
    assert list(made.root.glob("*.log")) == []


def test_removing_what_is_not_there_names_what_is(made) -> None:
    folder = only_folder(made)
    with pytest.raises(WorkplaceError, match=rf"No environment toy-0 .*there are: {folder.name}"):
        made.remove("toy-0")
    with pytest.raises(WorkplaceError, match="there are: none"):
        Environments(made.root / "empty").remove("toy-0")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path, make_toy) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkplaceError, match=r"could not be made in .*XDG_CACHE_HOME"):
        Environments(tmp_path / "file" / "environments").sync(make_toy())


def test_without_an_interpreter_the_error_says_what_to_do(
    environments, make_toy, tmp_path, monkeypatch
) -> None:
    for name in ("HOME", "PATH", "PYENV_ROOT"):
        monkeypatch.setenv(name, str(tmp_path))
    implementation = make_toy(python=("3.5", "3.4"))
    with pytest.raises(WorkplaceError) as caught:
        environments.sync(implementation, others=["toy", "first", "second"])
    assert str(caught.value) == (
        f"No Python 3.4 or 3.5 for toy (found {RUNNING}): install one, "
        "or leave toy out with -f first -f second"
    )
    assert environments.find(implementation) is None


def test_settings_of_the_user_put_nothing_outside_the_environment(
    environments, make_toy, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("VIRTUALENV_SYSTEM_SITE_PACKAGES", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    synced = environments.sync(make_toy())
    assert "toyframe" in synced.record.packages
    assert not (tmp_path / "elsewhere").exists()
    config = Path(synced.folder, "pyvenv.cfg").read_text()
    assert "include-system-site-packages = false" in config


def test_an_interrupted_making_leaves_nothing(environments, make_toy) -> None:
    def interrupt(line: str) -> None:
        if line.startswith("unpacking"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        environments.sync(make_toy(), progress=interrupt)
    assert [path for path in environments.root.iterdir() if path.is_dir()] == []
    assert os.environ["XDG_CACHE_HOME"] in str(user_cache())
