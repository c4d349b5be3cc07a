"""The hub and the workers of other machines: what their loss says about frames."""

from tests.support.line import SETTINGS, Line, jobs

from onlooker.stream import messages


def test_the_silence_of_another_machines_worker_is_no_death_of_a_frame(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.offer("a.1")
    for number in range(SETTINGS.attempts + 1):
        name = f"box/d{number}"
        line.join(name, "detect", remote=True)
        assert jobs(line, name) == [0]
        for _ in range(8):
            line.now += 0.5
            line.say("a.1/beat", messages.Heartbeat("a.1"))
            line.tick()
        assert name not in line.hub.status().alive
    line.join("d", "detect")
    assert jobs(line, "d") == [0]


def test_a_worker_whose_machine_left_has_not_died_over_its_frame(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.offer("a.1")
    for number in range(SETTINGS.attempts + 1):
        line.join(f"d{number}", "detect", remote=True)
        assert jobs(line, f"d{number}") == [0]
        line.say(f"d{number}", messages.Died(f"d{number}", counted=False))
    line.join("d", "detect")
    assert jobs(line, "d") == [0]
