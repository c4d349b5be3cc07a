"""Key files."""

from pathlib import Path

import pytest

from onlooker.durable_file import Occupied
from onlooker.record import curve_keys
from onlooker.record.curve_keys import BadKey


def test_only_a_whole_pair_is_read(tmp_path: Path) -> None:
    path = tmp_path / "server.key"
    pair = curve_keys.generate(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert curve_keys.read(path) == pair
    with pytest.raises(Occupied, match="is there already"):
        curve_keys.generate(path)
    with pytest.raises(BadKey, match="onlooker keys generate"):
        curve_keys.read(tmp_path / "none")
    path.write_text(path.read_text().replace(pair.public, "x" * 40))
    with pytest.raises(BadKey, match="do not belong together"):
        curve_keys.read(path)
    path.write_text("hello")
    with pytest.raises(BadKey, match="not a key file"):
        curve_keys.read(path)
    path.write_text(f"public = '{pair.public}'\nsecret = '{pair.secret} '\n")
    with pytest.raises(BadKey, match="not a key file") as told:
        curve_keys.read(path)
    assert pair.secret not in str(told.value)
    with pytest.raises(BadKey, match="'short' is no public key"):
        curve_keys.check("short")
