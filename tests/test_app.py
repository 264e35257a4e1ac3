"""What is wired together: the root key, and what is refused before anything starts."""

import json

import pytest

from addonry.app import open_app
from addonry.model.errors import DataDirectoryBusy, InvalidParameter
from addonry.settings import Settings


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(data_directory=tmp_path / "data", chart_mirror="http://127.0.0.1:9/none")


async def test_the_root_key_is_written_once_for_its_owner_only_and_again_when_lost(settings):
    async with open_app(settings) as app:
        written = json.loads(settings.root_key_file.read_text())
        credential = await app.service.access.credential(written["access_key_id"])
        assert credential.secret == written["access_key_secret"]
        assert settings.root_key_file.stat().st_mode & 0o777 == 0o600
    settings.root_key_file.unlink()
    async with open_app(settings) as app:
        assert json.loads(settings.root_key_file.read_text()) == written
        assert len(await app.service.access.keys()) == 1


async def test_one_addonry_at_a_time_works_on_a_data_directory(settings):
    async with open_app(settings):
        with pytest.raises(DataDirectoryBusy):
            async with open_app(settings):
                pass


async def test_a_helm_that_is_not_there_is_told_at_the_start(settings, tmp_path):
    named = Settings(data_directory=tmp_path / "data", helm_binary="/nonexistent/helm")
    with pytest.raises(InvalidParameter, match="ADDONRY_HELM"):
        async with open_app(named):
            pass
