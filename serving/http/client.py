"""One way to ask a running server over HTTP: the commands of a terminal, and a router its predictors.

An answer is its JSON. What the server refuses is its own sentence with the status (`RefusedError`); a server that
cannot be reached, or answers no JSON, is away (`AwayError`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import httpx

NOTHING: Mapping[str, Any] = MappingProxyType({})
SECONDS = 30.0
"""An answer is waited for."""


class AwayError(RuntimeError):
    """No answer came; the message says why, for the caller to name the server and the remedy."""


class RefusedError(ValueError):
    """The server's refusal.

    Args:
        status: of the answer.
        sentence: the server's own; `None`: it gave none.
    """

    def __init__(self, status: int, sentence: str | None) -> None:
        super().__init__(sentence or f"status {status}")
        self.status, self.sentence = status, sentence


class Client:
    """A server, asked one request at a time; without a connection that stays.

    Args:
        url: its address, as http://127.0.0.1:8080.
        token: bearer token; `None`: none is sent.
    """

    def __init__(self, url: str, token: str | None = None, seconds: float = SECONDS) -> None:
        self.url, self._headers, self._seconds = url.rstrip("/"), _headers(token), seconds

    def ask(self, method: str, path: Sequence[str], *, body: Any = None, query: Mapping[str, str] | None = None) -> Any:
        """The answer to a request.

        Args:
            path: its parts, unquoted.
            body: sent as JSON; `None`: nothing is sent.

        Raises:
            RefusedError, AwayError.
        """
        url = "/".join([self.url, *(quote(part, safe=":") for part in path)])
        content: dict[str, Any] = {} if body is None else {"json": body}
        try:
            reply = httpx.request(method, url, headers=self._headers, params=query, timeout=self._seconds, **content)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise AwayError(str(error) or type(error).__name__) from error
        return _answer(reply)

    def plan(self, brief: Mapping[str, Any]) -> dict[str, Any]:
        """The plan of a brief, with the bundle and version that made it (`serving.kinds.creators`).

        Args:
            brief: as brief.yaml holds it. The client's seconds have to exceed those of the solver and its grace.

        Raises:
            RefusedError, AwayError.
        """
        return self._predicted("creators", [{"brief": brief}])[0]

    def journeys(
        self,
        questions: Sequence[Mapping[str, Any]],
        *,
        budget_left: Mapping[str, float] = NOTHING,
        lambdas: Mapping[str, float] = NOTHING,
        top: Mapping[str, int] = NOTHING,
    ) -> list[dict[str, Any]]:
        """An answer per question, in order: whether a user's next exposure is worth its price, and on which channel
        (`serving.kinds.journey`).

        Args:
            questions: `campaign_id`, `user_id` and `journey` each, and `costs` where prices differ
                (`serving.protocol.journey_request`).
            budget_left: by campaign, what its users among these may cost together, currency.
            lambdas: by campaign, a shadow price in place of the model's or of a budget.
            top: by campaign, how many of its users are allocated to at most.

        Raises:
            ValueError: nobody is asked about a campaign that money is told of.
            RefusedError, AwayError.
        """
        asked = [dict(one) for one in questions]
        for name, told in (("budget_left", budget_left), ("lambda", lambdas), ("top", top)):
            for campaign, value in told.items():
                of = [one for one in asked if one.get("campaign_id") == campaign]
                if not of:
                    raise ValueError(f"{name}: no question is of campaign {campaign!r}; leave it out")
                for one in of:
                    one[name] = value
        return self._predicted("journey", asked)

    def _predicted(self, model: str, instances: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """V1's answers to instances, one each."""
        told = self.ask("POST", ["v1", "models", f"{model}:predict"], body={"instances": list(instances)})
        found = told.get("predictions") if isinstance(told, dict) else None
        if not isinstance(found, list) or len(found) != len(instances):
            raise AwayError(f"model {model}: {repr(told)[:80]}; not one prediction per instance")
        return found


class AsyncClient:
    """Servers, asked from an event loop over connections that stay.

    Args:
        token: bearer token; `None`: none is sent.
        seconds: an answer is waited for.
    """

    def __init__(self, token: str | None = None, seconds: float = SECONDS) -> None:
        self._client = httpx.AsyncClient(headers=_headers(token), timeout=seconds)

    async def post(self, url: str, body: Any) -> Any:
        """The answer to a body, sent as JSON; raises `RefusedError`, `AwayError`."""
        try:
            reply = await self._client.post(url, json=body)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise AwayError(str(error) or type(error).__name__) from error
        return _answer(reply)

    async def close(self) -> None:
        await self._client.aclose()


def _headers(token: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def _answer(reply: httpx.Response) -> Any:
    try:
        content = reply.json()
    except ValueError:
        if reply.is_success:
            raise AwayError(f"status {reply.status_code} without JSON") from None
        raise RefusedError(reply.status_code, None) from None
    if reply.is_success:
        return content
    sentence = content.get("error") if isinstance(content, dict) else None
    raise RefusedError(reply.status_code, None if sentence is None else str(sentence))
