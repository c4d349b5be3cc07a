"""The configuration file: where it is found, its round trip, and errors that say what to do."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.config.load import dump, load
from onlooker.config.schema import Config, Faces, Match, Pipeline, Text
from onlooker.config.section import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "onlooker.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_no_file_means_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONLOOKER_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load() == Config()


def test_the_file_in_the_current_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "[faces]\nmin_score = 0.5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONLOOKER_CONFIG", raising=False)
    assert load().faces.min_score == 0.5


def test_the_environment_names_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "[match]\nthreshold = 95\n")
    monkeypatch.setenv("ONLOOKER_CONFIG", str(path))
    assert load().match.threshold == 95


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[faces]\nmin_scroe = 0.5\n", "did you mean `min_score`"),
        ("[face]\nmin_score = 0.5\n", "did you mean `faces`"),
        ("[text]\nwhatever = 1\n", "known keys are enabled, size"),
        ("[faces]\nmin_score = 2.0\n", "< 1.0"),
        ("[faces]\nquality = 'BEST'\n", "BEST"),
        ("[faces]\nsharpness = 40\n", "known keys are enabled, size"),
        ("[record]\naccount = 'mine'\n", "account"),
        ("[runtime]\nprovider = 'gpu'\n", "known values are auto, cpu, openvino, cuda"),
        ("[streams.door]\npolicy = 'some'\nurl = 'a.mp4'\n", "known values are live, every"),
        (
            "[streams.yard]\nurl = 'a.mp4'\n[streams.door]\nurl = 'b.mp4'\nregion = [0, 0, 2, 1]\n",
            "`$.streams.door.region[2]`",
        ),
        ("[faces]\nattributes = ['SMILES']\n", "known values are ALL, AGE_RANGE"),
        ("[streams]\nurl = 'a.mp4'\n", "write [streams.NAME] above"),
        ("[stream.door]\nurl = 'a.mp4'\n", "did you mean `streams`?"),
        ("[streams.door]\nfps = 5\n", "missing required field `url` - at `$.streams.door`"),
        ("[streams.door]\nurl = 'a.mp4'\nmotion = 0.1\n", "did you mean `motion_threshold`?"),
        ("[streams.'a b']\nurl = 'a.mp4'\n", "a stream's name has 1 to 128 letters"),
        ("[streams.door]\nurl = 'a.mp4'\nspeed = 'fast'\n", 'write "max" or a factor'),
        (
            "[serve]\ncors_origins = ['*', 'http://a/']\n",
            'an origin is like "http://localhost:3000"',
        ),
        ("[serve]\ncors_origins = ['null']\n", "cors_origins[0]"),
        ("[faces\n", "Expected"),
        ("[workers]\nlisten = '0.0.0.0:5570'\n", "listen: 0.0.0.0:5570: write tcp://, an address"),
        (
            "[workers]\nlisten = 'tcp://127.0.0.1:5570'\n",
            "listen needs key: create one with `onlooker keys generate FILE`",
        ),
        ("[publish]\nclients = ['abc']\n", "clients needs key: create one with"),
        ("[metrics]\nlisten = '127.0.0.1:99999'\n", "127.0.0.1:99999: the port must be 1 to 65535"),
        (
            "[streams.door]\nurl = 'rstp://me:geheim@host/1'\n",
            "rstp:// is not supported; use one of rtsp://, rtsps://",
        ),
        ("[streams.door]\nurl = 'me:geheim@host/1'\n", "a URL begins with its scheme"),
        ("[streams.door]\nurl = 'rtsp:/me:geheim@host/1'\n", "a URL begins with its scheme"),
        ("[streams.'rtsp://me:geheim@host/1']\nfps = 5\n", "a stream's name has 1 to 128"),
        ("[streams.door]\nurl = 'rtsp://[host/1'\n", "it has no valid host and port"),
        ("[streams.door]\nurl = 'rtsp://me:geh/eim@host/1'\n", "must be encoded: %2F for /"),
        ("[streams.door]\nurl = 'rtsp://me:geh#eim@host/1'\n", "%23 for #"),
    ],
)
def test_errors_name_the_file_and_what_to_write(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=r"onlooker\.toml") as caught:
        load(path)
    assert says in str(caught.value)
    assert "geh" not in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.toml")


@given(
    st.builds(
        Config,
        faces=st.builds(Faces, enabled=st.booleans(), size=st.integers(64, 4096)),
        text=st.builds(Text, min_score=st.floats(0, 1)),
        match=st.builds(Match, collection=st.none() | st.text(max_size=20)),
        pipeline=st.builds(Pipeline, workers=st.integers(0, 64)),
    )
)
def test_a_dumped_configuration_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, value: Config
) -> None:
    path = written(tmp_path_factory.mktemp("config"), dump(value))
    assert load(path) == value


def test_a_delete_character_is_escaped(tmp_path: Path) -> None:
    value = Config(faces=Faces(embedder="a\x7fb"))
    assert load(written(tmp_path, dump(value))) == value
