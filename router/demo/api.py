"""The admin API of the demo's router, as far as the demo reads and uses it."""

from types import TracebackType
from typing import Any, Self

import aiohttp

from router.demo.protocol import NAME
from router.errors import RouterError


class Api:
    """The router at `admin`, about the demo's one deployment. Raises RouterError for any answer but a good one."""

    def __init__(self, admin: str) -> None:
        self._base = f"{admin}/api/v1/deployments/{NAME}"
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2.0))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def deployment(self) -> dict[str, Any]:
        return await self._call("GET", "")

    async def act(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """Posts an action, such as rollback or switch, and returns what took effect."""
        return await self._call("POST", f"/{action}", body)

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            async with self._session.request(method, self._base + path, json=body) as answer:
                content: dict[str, Any] = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise RouterError(f"{method} {self._base}{path}: {str(error) or type(error).__name__}") from error
        if answer.status >= 400:
            raise RouterError(f"{method} {self._base}{path}: {answer.status} {content.get('detail', '')}")
        return content
