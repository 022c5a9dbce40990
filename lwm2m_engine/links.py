"""CoRE link-format (RFC 6690) as LwM2M uses it: object lists, Discover answers, attributes."""

from __future__ import annotations

import attrs


@attrs.frozen(slots=True)
class Link:
    """One link: its target as written (``/3/0``) and its attributes in order.

    A valueless attribute has ``None``; a repeated one stands there as often as it was sent.
    """

    target: str
    attributes: tuple[tuple[str, str | None], ...] = ()

    def get(self, name: str) -> str | None:
        """The first value of an attribute."""
        return next((value for key, value in self.attributes if key == name), None)
