"""Topics and their targets."""

from pathlib import Path

import pytest

from onlooker.config.jobs import queue_of, queues
from onlooker.config.load import dump, load
from onlooker.config.section import ConfigError

ARN = "arn:aws:sns:eu-west-1:123456789012:Done"
OTHER = "arn:aws:sns:eu-west-1:123456789012:Other"


def loaded(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "onlooker.toml"
    path.write_text(text)
    config = load(path)
    path.write_text(dump(config))
    assert load(path) == config
    return config.topics


def test_targets(tmp_path: Path) -> None:
    text = f'[topics]\n"{ARN}" = "queue"\n"{OTHER}" = "queue:mine"\n"{ARN}2" = "sns"\n'
    topics = loaded(tmp_path, text + f'"{ARN}3" = "https://example.com/done"\n')
    assert queues(topics) == ["Done", "mine"]
    assert queue_of(ARN, topics) == "Done"
    assert queue_of(OTHER, topics) == "mine"
    assert queue_of(f"{ARN}2", topics) is None
    assert queue_of(f"{ARN}3", topics) is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Done = 'queue'", "no ARN of a topic; write one such as"),
        (f"'{ARN}' = 'sqs'", "'sqs' is no target; a target is"),
        (f"'{ARN}' = 'queue:a b'", "is no target"),
        (f"'{ARN}' = 'https://'", "is no target"),
        (f"'{ARN}' = 7", "Expected `str`"),
        (f"'{ARN}{'x' * 90}' = 'queue'", "up to 80 letters"),
    ],
)
def test_errors(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"onlooker\.toml") as caught:
        loaded(tmp_path, f"[topics]\n{line}\n")
    assert says in str(caught.value)
