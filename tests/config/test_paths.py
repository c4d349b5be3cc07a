"""The user's folders, and the variable that moves the data."""

from pathlib import Path

import platformdirs
import pytest

from onlooker.config.paths import config_folder, data_folder, models_folder
from onlooker.config.section import ConfigError


def test_the_variable_moves_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONLOOKER_DATA", raising=False)
    assert data_folder() == platformdirs.user_data_path("onlooker")
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    assert config_folder() == platformdirs.user_config_path("onlooker")


def test_a_user_without_a_home_folder_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ONLOOKER_DATA", "ONLOOKER_MODELS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(platformdirs, "user_data_path", lambda: Path("~/.local/share"))
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda: Path("~/.cache"))
    with pytest.raises(ConfigError, match="no home folder; set HOME, or ONLOOKER_DATA"):
        data_folder()
    with pytest.raises(ConfigError, match="no home folder; set HOME, or ONLOOKER_MODELS"):
        models_folder()
