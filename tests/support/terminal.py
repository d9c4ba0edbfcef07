"""A terminal driven by keys: a real tmux, in which a command line of ours runs as a person would run it."""
import os
import shutil
import subprocess
import tempfile

import pytest

from support.control_plane import wait_for


class Terminal:
    def __init__(self, directory, environment, command):
        self.place = tempfile.mkdtemp(prefix="keys")
        self.base = ["tmux", "-S", os.path.join(self.place, "s"), "-f", "/dev/null"]
        # The session outlives its command, so that the screen and the exit code can be seen.
        subprocess.run([*self.base, "new-session", "-d", "-s", "me", "-x", "150", "-y", "40", "-c", str(directory), *command,
                        ";", "set-option", "-w", "remain-on-exit", "on"], env=environment, check=True)

    def tmux(self, *words):
        return subprocess.run([*self.base, *words], capture_output=True, text=True, check=True).stdout

    def screen(self):
        return self.tmux("capture-pane", "-p", "-t", "me")

    def keys(self, *keys):
        self.tmux("send-keys", "-t", "me", *keys)

    def nudge(self):
        """tmux 3.3a now and then misses that a child has ended (about one time in forty), until the next signal."""
        subprocess.run(["pkill", "-CHLD", "-f", r"^\S*tmux .*(buoy-terminals|/keys)"], check=False)

    def wait(self, text):
        def shown():
            self.nudge()
            return text in self.screen()
        try:
            wait_for(shown, f"'{text}' on the screen")
        except pytest.fail.Exception as failure:
            pytest.fail(f"{failure}; there is:\n{self.screen()}")

    def end(self):
        """Waits for the command's end: its exit code."""
        status = lambda: self.tmux("list-panes", "-t", "me", "-F", "#{pane_dead} #{pane_dead_status}").split()  # noqa: E731
        def ended():
            self.nudge()
            return len(status()) == 2  # tmux may see the end of the terminal before that of the process
        wait_for(ended, "the end of the command")
        return int(status()[1])

    def close(self):
        subprocess.run([*self.base, "kill-server"], capture_output=True)
        shutil.rmtree(self.place, ignore_errors=True)
