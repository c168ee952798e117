"""What all tests stand on."""

import signal

# What shells start in the background, and nohup, ignores interrupts, and so do all its children:
# writers that tests interrupt would go on, for gigabytes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
