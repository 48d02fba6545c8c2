"""Requests that lead to no job: a status, a word for programs, a sentence for people."""


class RefusedError(Exception):
    """A request that leads to no job.

    Attributes:
        status: of HTTP.
        code: one word for programs.
        after: seconds until it may be tried again, where that helps.
    """

    def __init__(self, status: int, code: str, reason: str, *, after: int | None = None) -> None:
        super().__init__(reason)
        self.status, self.code, self.after = status, code, after
