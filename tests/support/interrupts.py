"""Programs under test that are sent Ctrl-C."""

import signal


def hear_interrupts() -> None:
    """As ``preexec_fn``: hear Ctrl-C, though a shell may have started the suite deaf to it.

    Jobs that a script sends to the background ignore the interrupt, and so do their children.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
