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
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                sys.exit(f"no {text!r} on the screen within {TIMEOUT_S} s:\n{self.screen}")
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            if not data:
                sys.exit(f"the program ended before {text!r}:\n{self.screen}")
            self.screen += data.decode(errors="replace")
        self.screen = self.screen.split(text, 1)[1]

    def close(self):
        """The exit code."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            # What is still written has to be read, or the program waits for ever.
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        sys.exit("the program did not end")


terminal = Terminal([sys.argv[1], "run", "-n", "400"])
terminal.expect("/help lists the commands")
terminal.type("/help\r")
terminal.expect("Ctrl-C stops an answer")
terminal.type("/adapter\r")
terminal.expect("no adapter")
terminal.type("/adapter triage-gentel\r")
terminal.expect("did you mean 'triage-gentle'")
terminal.type("/adapter triage-gentle\r")
terminal.expect("triage-gentle at scale 1")
terminal.type("Triage this support ticket: Urgent: Ion has been unreachable since Friday.\r")
terminal.expect('"queue"')
terminal.expect("answered")
terminal.type("/scale triage-gentle 0\r")
terminal.expect("triage-gentle at scale 0")
terminal.type("/clear\r")
terminal.type("Tell me a long story about a ship.\r")
# The line is echoed first; the answer is what comes after its end.
terminal.expect("ship.")
time.sleep(1.5)
terminal.type("\x03")
terminal.expect("answered")
terminal.type("/nonsense\r")
terminal.expect("unknown command /nonsense")
terminal.type("/exit\r")
code = terminal.close()
if code != 0:
    sys.exit(f"exit code {code}")
