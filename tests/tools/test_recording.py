"""Recordings: which commands were run between two moments."""

from kdumpwrap.tools.recording import Recording
from kdumpwrap.tools.run import run


def test_a_recording_holds_what_was_run_meanwhile() -> None:
    run("true")
    with Recording() as outer:
        with Recording() as inner:
            run("true", stdin=b"1\n")
        run("false", ok=(1,))
    assert [one.text for one in inner.commands] == ["printf '%s\\n' 1 | true"]
    assert [one.text for one in outer.commands] == ["printf '%s\\n' 1 | true", "false"]
