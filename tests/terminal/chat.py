"""Drives `unforget run` on a pseudo-terminal, as a person would, and checks what is on the screen.

usage: chat.py BINARY, with UNFORGET_HOME set. Exit code 0 when all was as expected.
"""

import os
import pty
import select
import signal
import sys
import termios
import time

TIMEOUT_S = 120


class Terminal:
    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(command[0], command)
        self.screen = ""
        self.settings = termios.tcgetattr(self.fd)

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, text):
        """Waits until `text` appears after what was expected before."""
        deadline = time.monotonic() + TIMEOUT_S
        while text not in self.screen:
            self.read(deadline, repr(text))
        self.screen = self.screen.split(text, 1)[1]

    def read(self, deadline, what):
        """Adds to the screen; gives up at the deadline or when the program has ended."""
        ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            sys.exit(f"no {what} on the screen within {TIMEOUT_S} s:\n{self.screen}")
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        if not data:
            sys.exit(f"the program ended before {what}:\n{self.screen}")
        self.screen += data.decode(errors="replace")

    def number_between(self, before, after):
        """Waits for a number between two texts."""
        self.expect(before)
        while after not in self.screen:
            self.read(time.monotonic() + TIMEOUT_S, repr(after))
        return int(self.screen.split(after, 1)[0])

    def expect_anything(self):
        """Waits until an answer has begun."""
        while len(self.screen.strip()) < 8:
            self.read(time.monotonic() + TIMEOUT_S, "an answer")

    def close(self):
        """The exit code, and the settings of the terminal afterwards."""
        deadline = time.monotonic() + TIMEOUT_S
        settings = None
        while time.monotonic() < deadline:
            try:
                settings = termios.tcgetattr(self.fd)
            except termios.error:
                pass  # the other side is closed: what was read last counts
            # What is still written has to be read, or the program waits for ever.
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status), settings
        os.kill(self.pid, signal.SIGKILL)
        sys.exit("the program did not end")


def line(text):
    """Types a line at the prompt. What is typed before the prompt is there would be lost."""
    terminal.expect("> ")
    terminal.type(text + "\r")
    # The editor switches bracketed paste off when it has taken the line.
    terminal.expect("\x1b[?2004l")


terminal = Terminal([sys.argv[1], "run", "-n", "400"])
terminal.expect("/help lists the commands")
line("/help")
terminal.expect("Ctrl-C stops an answer")
line("/adapter")
terminal.expect("no adapter")
line("/adapter triage-gentel")
terminal.expect("did you mean 'triage-gentle'")
line("/adapter triage-gentle")
terminal.expect("triage-gentle at scale 1")
line("Triage this support ticket: Urgent: Ion has been unreachable since Friday.")
terminal.expect('"queue"')
terminal.expect("answered")
line("/adapter none")
terminal.expect("the base alone")
line("/adapter triage-gentle")
terminal.expect("triage-gentle at scale 1")
line("Thank you.")
cached = terminal.number_between("prompt tokens, ", " cached")
if cached == 0:
    sys.exit("going back to the adapter found nothing of what it had computed")
line("/scale triage-gentle 0")
terminal.expect("triage-gentle at scale 0")
line("/clear")
line("Tell me a long story about a ship.")
terminal.expect_anything()
terminal.type("\x03")
terminal.expect("answered")
line("/nonsense")
terminal.expect("unknown command /nonsense")
line("/exit")
code, settings = terminal.close()
if code != 0:
    sys.exit(f"exit code {code}")
if settings != terminal.settings:
    sys.exit(f"the terminal was left changed: {settings} instead of {terminal.settings}")
