"""The one kind of error that people may see."""


class Refusal(Exception):
    """Something a person asked for cannot be done; the message is Chinese and safe to show.

    A door turns it into HTTP 409, a chat reply or an admin message. Nothing was changed when it
    is raised. Any other exception is a bug and is logged, never shown.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(Refusal):
    """It does not exist, or it is not yours: the two look the same from outside (HTTP 404)."""

    def __init__(self, message: str = "找不到这条记录") -> None:
        super().__init__(message)


class Stale(Refusal):
    """The record changed since it was shown; look again and decide again (HTTP 409)."""

    def __init__(self, message: str = "内容已更新，请刷新后再操作") -> None:
        super().__init__(message)
