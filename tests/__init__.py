"""The tests. What they start is stopped as by Ctrl-C, which a shell's background jobs ignore."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
