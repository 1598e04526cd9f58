"""The one exception that means "the input is wrong", as opposed to "we have a bug"."""


class DnaError(Exception):
    """A fault that the person at the keyboard can mend.

    The message is one line: what is wrong, where, and what to do about it. The command line prints
    it without a traceback and exits with code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """``text`` without its line breaks; spaces inside a line, as in a file's name, stay."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip())
