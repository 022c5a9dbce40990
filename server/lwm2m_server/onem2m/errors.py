"""Why a oneM2M request is refused: one exception a response status code (TS-0004, 6.6.3).

``rsc`` is what ``X-M2M-RSC`` says, ``status`` the HTTP status that goes with it (TS-0009, 6.3.2). The
text is what the client reads in ``m2m:dbg``: what was wrong, and where.
"""

from __future__ import annotations

from typing import ClassVar


class OneM2MError(Exception):
    """Root of all refusals."""

    rsc: ClassVar[int]
    status: ClassVar[int]


class BadRequest(OneM2MError):
    rsc, status = 4000, 400


class ReleaseNotSupported(OneM2MError):
    rsc, status = 4001, 501


class NotFound(OneM2MError):
    rsc, status = 4004, 404


class NotAllowed(OneM2MError):
    rsc, status = 4005, 405


class Expired(OneM2MError):
    """Request timeout: what ``X-M2M-RET`` says is over."""

    rsc, status = 4008, 504


class UnsupportedMediaType(OneM2MError):
    rsc, status = 4015, 415


class NoPrivilege(OneM2MError):
    rsc, status = 4103, 403


class NameTaken(OneM2MError):
    rsc, status = 4105, 409


class NoMembers(OneM2MError):
    rsc, status = 4109, 403


class InvalidChildType(OneM2MError):
    rsc, status = 4108, 403


class MembersInconsistent(OneM2MError):
    rsc, status = 4110, 400


class AlreadyRegistered(OneM2MError):
    rsc, status = 4117, 403


class TooMuch(OneM2MError):
    """Discovery limit exceeded."""

    rsc, status = 4137, 400


class InternalError(OneM2MError):
    rsc, status = 5000, 500


class NotImplementedYet(OneM2MError):
    rsc, status = 5001, 501


class Unavailable(OneM2MError):
    """The store could not keep it; the same request may succeed later."""

    rsc, status = 5000, 503


class SubscriptionNotVerified(OneM2MError):
    """A target of the subscription does not want it, or cannot be asked."""

    rsc, status = 5204, 500


class NotAcceptable(OneM2MError):
    rsc, status = 5207, 406


class TooManyMembers(OneM2MError):
    rsc, status = 6010, 400
