"""Settings: read once, the command line over the environment, each documented."""

from pathlib import Path

import pytest

from addonry.model.errors import InvalidParameter
from addonry.settings import VARIABLES, Settings, load_settings


def test_the_command_line_wins_over_the_environment_over_the_default():
    environment = {"ADDONRY_REGION": "eu", "ADDONRY_LISTEN": "127.0.0.1:1", "HOME": "/home/ada"}
    settings = load_settings(environment, listen="127.0.0.1:2", region=None)
    assert (settings.listen, settings.region, settings.scan_seconds) == ("127.0.0.1:2", "eu", 60.0)
    assert settings.data_directory == Path("/home/ada/.local/share/addonry")


def test_data_goes_where_xdg_says():
    assert load_settings({"XDG_DATA_HOME": "/x"}).data_directory == Path("/x/addonry")


@pytest.mark.parametrize("text", ["soon", "-1", "0", "1e", "nan"])
def test_a_period_that_is_none_is_refused_by_the_name_of_its_variable(text):
    with pytest.raises(InvalidParameter, match="ADDONRY_SCAN_SECONDS"):
        load_settings({"ADDONRY_SCAN_SECONDS": text})


def test_secrets_are_not_in_the_repr():
    assert "hunter2" not in repr(Settings(data_directory=Path("/x"), secret_key="hunter2"))


def test_every_setting_has_a_variable_and_a_row_in_the_reference():
    page = Path("docs/reference/settings.md").read_text()
    fields = set(Settings.__dataclass_fields__)
    assert fields == set(VARIABLES)
    rows = [
        line
        for name, variable in VARIABLES.items()
        for line in page.splitlines()
        if f"| `{name}` | `{variable}` |" in line
    ]
    assert len(rows) == len(fields)


def test_paths_are_absolute_whatever_folder_helm_works_in(monkeypatch, tmp_path):
    """Helm runs in a folder of its own, where a relative path would mean something else."""
    monkeypatch.chdir(tmp_path)
    settings = load_settings({"ADDONRY_CATALOG": "own", "ADDONRY_HELM": "bin/helm"}, data_directory=Path("data"))
    assert settings.data_directory == tmp_path / "data"
    assert settings.catalog_directory == tmp_path / "own"
    assert settings.helm_binary == str(tmp_path / "bin" / "helm")
    assert load_settings({"ADDONRY_HELM": "helm"}).helm_binary == "helm", "a bare name is looked for in PATH"


def test_a_switch_that_is_neither_on_nor_off_is_refused():
    """A typo must not open a door, nor shut one, without a word."""
    assert load_settings({"ADDONRY_BEHIND_PROXY": "Yes"}).behind_proxy
    assert not load_settings({"ADDONRY_BEHIND_PROXY": "off"}).behind_proxy
    with pytest.raises(InvalidParameter, match="ADDONRY_BEHIND_PROXY"):
        load_settings({"ADDONRY_BEHIND_PROXY": "maybe"})
