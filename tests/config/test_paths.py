"""The user's folders, and the variable that moves the data."""

from pathlib import Path

import platformdirs
import pytest

from onlooker.config.paths import config_folder, data_folder


def test_the_variable_moves_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONLOOKER_DATA", raising=False)
    assert data_folder() == platformdirs.user_data_path("onlooker")
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    assert config_folder() == platformdirs.user_config_path("onlooker")
