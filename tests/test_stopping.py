"""Ctrl-C stops a long command at its next step, and what it has open is closed."""

import os
import signal
from threading import Event, Timer

import pytest

from hedgehouse.stopping import stoppable


def test_what_is_done_comes_back_and_what_is_raised_is_raised():
    told = []
    assert stoppable(lambda tell: tell("a", 1, 2) or 7, lambda *said: told.append(said)) == 7
    assert told == [("a", 1, 2)]

    def fails(tell):
        raise ValueError("no such venue")

    with pytest.raises(ValueError, match="no such venue"):
        stoppable(fails, lambda *_: None)


def test_a_signal_stops_it_at_the_next_step_and_closes_what_is_open():
    closed, waiting = [], Event()

    def endless(tell):
        try:
            step = 0
            while True:
                tell("step", step, 0)
                step += 1
                waiting.wait(0.01)
        finally:
            closed.append(True)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            stoppable(endless, lambda *_: None)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert closed == [True]
