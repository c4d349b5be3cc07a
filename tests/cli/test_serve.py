"""`onlooker serve`: the API alone, of a configuration that may name more."""

from pathlib import Path

import pytest

from onlooker.cli import serve
from onlooker.config.schema import Config


def test_it_leaves_what_belongs_to_the_streams_to_another_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`onlooker stream` may run beside it, with the same file."""
    file = tmp_path / "onlooker.toml"
    file.write_text(
        '[streams.door]\nurl = "rtsp://10.0.0.7/1"\n'
        '[serve]\nworkers = 3\n[metrics]\nlisten = "127.0.0.1:9464"\n'
    )
    found: list[Config] = []
    monkeypatch.setattr(
        serve, "run_program", lambda reload, watched, api, jobs: found.extend([reload(), api])
    )
    serve.serve(host=None, port=8600, workers=None, config=file)
    for config in found:
        assert (config.serve.port, config.serve.workers) == (8600, 3)
        assert config.streams == {}
        assert config.metrics.listen is None
    assert len(found) == 2
