"""The limit on uploads, where it can still save anything: before the server has read the body.

Django's ASGI handler stores a whole body on disk before any middleware runs, so this wraps it from outside.
"""

from __future__ import annotations

from webapp.refusals import Application, Message, Receive, Refusal, Scope, Send, refuse


class TooLong(Exception):
    """A body without an announced length has passed the limit."""


class UploadLimit:
    """Answers 413 to a body with a file of more than ``limit`` bytes: by its announced length, or while it is counted.

    ``wrapping`` more bytes are let through for the other fields of the form and what is around the file.
    """

    def __init__(self, application: Application, limit: int, wrapping: int = 1_000_000) -> None:
        self.application = application
        self.limit = limit
        self.most = limit + wrapping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > self.most:
            await self._refuse(scope, send, int(announced))
            return
        read = 0
        begun = False

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.most:
                raise TooLong
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.application(scope, counted, noted)
        except TooLong:
            if not begun:
                await self._refuse(scope, send, read)

    async def _refuse(self, scope: Scope, send: Send, size: int) -> None:
        """413, and what to do about it."""
        megabytes = self.limit / 1e6
        detail = f"The upload has {size / 1e6:,.0f} MB or more; this server takes {megabytes:,.0f} MB."
        remedy = (
            "Compress the file with gzip or split it; whoever runs the server can raise FERRY_MAX_UPLOAD_MB."
        )
        refusal = Refusal(
            413, "too-large", "The body is too large", detail, remedy, back="/libraries/", field="file"
        )
        await refuse(scope, send, refusal, ((b"connection", b"close"),))
