"""Which devices a profile was assigned to by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lwm2m_server.store.histories import ValueReader
from lwm2m_server.store.records import Described, Subject

VERSION_8: Final = """
ALTER TABLE device ADD COLUMN profile TEXT;
CREATE INDEX device_profile ON device (tenant, profile) WHERE profile IS NOT NULL;
"""

_ASSIGNED = """SELECT node FROM device WHERE tenant = ? AND profile = ? AND node > ?
    ORDER BY node LIMIT ?"""
_MOVE = """UPDATE device SET profile = ?1 WHERE node IN
    (SELECT node FROM device WHERE tenant = ?2 AND profile = ?3 ORDER BY node LIMIT ?4)"""


_SUBJECT = "SELECT node, tenant, name, endpoint, profile FROM device"
_DESCRIBED = """SELECT json_extract(document, '$."/3/0/0"'), json_extract(document, '$."/3/0/1"')
    FROM inputs WHERE node = ?"""
_DESCRIBING: Final = ("3/0/0", "3/0/1")


class ProfileReader(ValueReader):
    """The part of a ``Reader`` that is about device profiles."""

    def assigned(self, tenant: str, profile: str, *, after: int = -1, limit: int) -> Sequence[int]:
        rows = self._execute(_ASSIGNED, (tenant, profile, after, limit)).fetchall()
        return [node for (node,) in rows]

    def subjects(self, tenant: str, *, after: int = -1, limit: int) -> Sequence[Subject]:
        query = f"{_SUBJECT} WHERE tenant = ? AND node > ? ORDER BY node LIMIT ?"
        return [Subject(*row) for row in self._execute(query, (tenant, after, limit)).fetchall()]

    def subject(self, node: int) -> Subject | None:
        row = self._execute(f"{_SUBJECT} WHERE node = ?", (node,)).fetchone()
        return None if row is None else Subject(*row)

    def described(self, node: int) -> Described:
        found = self._execute(_DESCRIBED, (node,)).fetchone() or (None, None)
        if None in found:
            # What no mapping reads is told all the same.
            told = self.latest_values(node)
            latest = (told[place].value if place in told else None for place in _DESCRIBING)
            found = [
                known if known is not None else value for known, value in zip(found, latest, strict=True)
            ]
        return Described(*(value if isinstance(value, str) else None for value in found))


class ProfileWriter(ProfileReader):
    """The part of a ``Transaction`` that is about device profiles."""

    def move_assigned(self, tenant: str, former: str, profile: str | None, limit: int) -> int:
        return self._execute(_MOVE, (profile, tenant, former, limit)).rowcount
