"""Shows errors to browsers: a page instead of a problem object."""

import json

from fastapi import Request, Response

from app.api.html import render

# Programs read these: they always get problem objects.
PROGRAMS = ("/v1/", "/health/", "/metrics", "/openapi.json", "/static/", "/compare.csv")
OF_BODY = ("content-type", "content-length")


def for_reader(request: Request, problem: Response) -> Response:
    """The same error as a page, for a browser that requests a page; otherwise unchanged."""
    wants_page = "text/html" in request.headers.get("accept", "")
    if not wants_page or request.url.path.startswith(PROGRAMS):
        return problem
    shown = json.loads(bytes(problem.body))
    page = (
        render("sign_in.html", status_code=401, message="")
        if problem.status_code == 401
        else render("error.html", status_code=problem.status_code, problem=shown)
    )
    for name, value in problem.headers.items():
        if name not in OF_BODY:
            page.headers[name] = value
    return page
