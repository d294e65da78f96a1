"""Sends requests to a service, repeats them where that is safe, and turns problems into exceptions."""

import ssl
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import IO, Any, TypeVar

import httpx
from pydantic import ValidationError

from layerscope.addresses import is_loopback
from layerscope.client.errors import ServiceUnreachableError, UnexpectedAnswerError, error_of
from layerscope.client.states import ProblemState, Received

FIRST_PAUSES = (0.2, 0.4, 0.8)  # seconds, before a service has answered for the first time
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # afterwards: a service that restarts needs a few seconds
LONGEST_PAUSE = 60.0  # a longer Retry-After is left to the caller
RETRIED = (429, 503)

Content = TypeVar("Content", bound=Received)


class Transport:
    """A connection to one service. `timeout`: the seconds that an answer may take."""

    def __init__(self, url: str, key: str | None, timeout: float) -> None:
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ServiceUnreachableError(f"{url!r} is not an address: {error}.") from error
        if address.scheme not in ("http", "https") or not address.host:
            raise ServiceUnreachableError(f"{url!r} is not an address such as http://127.0.0.1:8000.")
        self.url = url.rstrip("/")
        self._timeout, self._has_answered = timeout, False
        self._http = httpx.Client(
            base_url=self.url,
            headers={"User-Agent": "layerscope-client"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            # Reading the certificates of the machine takes 50 ms. Redirects are not followed.
            verify=True if address.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            trust_env=not is_loopback(address.host),  # a proxy cannot reach this machine
        )

        self._closing = weakref.finalize(self, self._http.close)  # for callers that do not close the client

    def close(self) -> None:
        self._closing()

    def read(self, kind: type[Content], method: str, path: str, **options: Any) -> Content:
        """The JSON of an answer. Raises: ClientError."""
        with self.answered(method, path, **options) as answer:
            content = answer.read()
        try:
            return kind.model_validate_json(content)
        except ValidationError as error:
            raise self._unexpected(answer) from error

    @contextmanager
    def answered(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool | None = None,
        wait: float = 0,
        body: IO[bytes] | bytes = b"",
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        """A successful answer whose content is not read yet.

        Args:
            repeatable: whether the request may be performed twice; by default only GET may. Requests that
                were certainly not performed are repeated in any case.
            wait: seconds that the service may wait before it answers, in addition to the timeout.
        Raises: ClientError.
        """
        safe = method == "GET" if repeatable is None else repeatable
        timeout = httpx.Timeout(self._timeout + wait, connect=min(self._timeout, 10.0))
        for pause in (*self._pauses(), None):
            if not isinstance(body, bytes):
                body.seek(0)
            request = self._http.build_request(
                method, path, headers=headers, params=params or None, content=body or None, timeout=timeout
            )
            answer = self._try(request, safe, is_last=pause is None)
            if answer is not None:
                self._has_answered = True
                given = _seconds(answer)
                if answer.status_code not in RETRIED or pause is None or (given or 0) > LONGEST_PAUSE:
                    break
                answer.close()
                pause = pause if given is None else given
            time.sleep(pause or 0)
        assert answer is not None
        with closing(answer):
            self._check(answer)
            yield answer

    def _pauses(self) -> tuple[float, ...]:
        return PAUSES if self._has_answered else FIRST_PAUSES

    def _try(self, request: httpx.Request, safe: bool, is_last: bool) -> httpx.Response | None:
        """None: the request can be repeated. Raises: ServiceUnreachableError."""
        try:
            return self._http.send(request, stream=True)
        except httpx.TransportError as error:
            was_not_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            if is_last or not (safe or was_not_sent):
                raise self._unreachable(error) from error
        return None

    def _unreachable(self, error: httpx.TransportError) -> ServiceUnreachableError:
        what = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
        reason = f" ({error})" if str(error) else ""
        return ServiceUnreachableError(
            f"The service at {self.url} {what}{reason}. Start it with `layerscope up`, or name its address."
        )

    def _unexpected(self, answer: httpx.Response) -> UnexpectedAnswerError:
        return UnexpectedAnswerError(
            f"{answer.url} answered {answer.status_code}, but not as a Layerscope service does: check the "
            "address."
        )

    def _check(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        answer.read()
        try:
            problem = ProblemState.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._unexpected(answer) from error
        raise error_of(problem, _seconds(answer), answer.headers.get("X-Request-Id"))

    @contextmanager
    def interruptions(self) -> Iterator[None]:
        """Raises: ServiceUnreachableError if the content of an answer ends early."""
        try:
            yield
        except httpx.TransportError as error:
            raise self._unreachable(error) from error


def _seconds(answer: httpx.Response) -> float | None:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else None
