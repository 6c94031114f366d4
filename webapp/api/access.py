"""Who may read which library, and who may change anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from webapp.api.problems import BadParameter
from workers import libraries
from workers.errors import NotFound

if TYPE_CHECKING:
    from rest_framework.views import APIView


class ReadOrMember(BasePermission):
    """Anybody reads and searches; whoever changes something has logged in and has a role that may.

    A view names in ``rights`` what its changing methods need, as ``{"POST": "workers.add_library"}``.
    """

    message = "Your role may not do this. Ask an administrator for the role of a member."

    def has_permission(self, request: Request, view: APIView) -> bool:
        """True for reads, and for accounts with the right."""
        if request.method in SAFE_METHODS or getattr(view, "reads_only", False):
            return True
        if not (request.user and request.user.is_authenticated):
            return False
        right = getattr(view, "rights", {}).get(request.method)
        return right is None or request.user.has_perm(right)


class Entitled(BasePermission):
    """Accounts that have what ``view.rights`` names for the method; what it does not name, nobody may.

    ``rights`` maps a method to permissions that are all needed; none means that a log-in will do.
    """

    message = "Your role may not do this. Trainers start and manage jobs; administrators decide which model answers."

    def has_permission(self, request: Request, view: APIView) -> bool:
        """True for accounts with the rights, and for methods that the address does not take anyhow (405)."""
        if not (request.user and request.user.is_authenticated):
            return False
        method = "GET" if request.method == "HEAD" else request.method
        if method not in view.allowed_methods or method == "OPTIONS":
            return True
        needed = getattr(view, "rights", {}).get(method)
        return needed is not None and request.user.has_perms(needed)


def readable(request: Request, asked: Sequence[str] = ()) -> tuple[str, ...]:
    """The ids of the libraries to search: ``asked``, or every ready one that the caller may read.

    Raises BadParameter for one of ``asked`` that is not ready, not there or somebody else's (the last two get
    the same message).
    """
    known = {entry["id"]: entry["status"] for entry in libraries.list_libraries(request.user)}
    for identifier in asked:
        if identifier not in known:
            raise BadParameter(
                f"There is no library '{identifier[:60]}' that you may read.",
                field="library",
                remedy=f"You may read: {', '.join(list(known)[:20]) or 'none'}.",
            )
        if known[identifier] != "ready":
            raise BadParameter(
                f"The library '{identifier}' is not ready: it is {known[identifier]}.",
                field="library",
                remedy=f"See /api/v1/libraries/{identifier}/ for its state.",
            )
    return tuple(dict.fromkeys(asked)) or tuple(name for name, status in known.items() if status == "ready")


def check_readable(request: Request, library: str) -> None:
    """Raise NotFound unless the caller may read ``library`` (for addresses that name it in their path)."""
    if all(entry["id"] != library for entry in libraries.list_libraries(request.user)):
        raise NotFound(f"There is no library '{library[:60]}' that you may read.")
