"""Which device profile is for a device: its own, else that of a group, of a rule, or the tenant's default."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from fnmatch import translate
from typing import Final, TypeAlias

import attrs

from lwm2m_engine.paths import Path
from lwm2m_server.profiles.mapping import ProfileMapping
from lwm2m_server.store.definitions import DeviceProfile, ProfileRule
from lwm2m_server.store.records import Device

MANUFACTURER: Final = Path("/3/0/0")
MODEL: Final = Path("/3/0/1")

GroupOf: TypeAlias = Callable[[Device, Collection[str]], str | None]
"""Which of some groups a device is in, by name; the first one."""
Known: TypeAlias = Callable[[Device, Path], object]
"""The last value of a Resource that is known."""


@attrs.frozen(slots=True)
class Assigned:
    """A profile, and why it is the one."""

    profile: DeviceProfile
    by: str
    """``device``, ``group``, ``rule`` or ``default``"""
    group: str | None = None
    rule: ProfileRule | None = None


@attrs.frozen(slots=True, eq=False)
class _Pattern:
    """A rule, ready to be asked."""

    profile: DeviceProfile
    rule: ProfileRule
    endpoint: re.Pattern[str] | None
    described: tuple[tuple[Path, re.Pattern[str]], ...]

    @classmethod
    def of(cls, profile: DeviceProfile, rule: ProfileRule) -> _Pattern:
        wanted = ((MANUFACTURER, rule.manufacturer), (MODEL, rule.model))
        described = tuple((path, re.compile(translate(text))) for path, text in wanted if text is not None)
        endpoint = None if rule.endpoint is None else re.compile(translate(rule.endpoint))
        return cls(profile, rule, endpoint, described)

    def fits(self, device: Device, known: Known) -> bool:
        if self.endpoint is not None:
            name = device.endpoint if device.endpoint is not None else device.name
            if self.endpoint.match(name) is None:
                return False
        for path, pattern in self.described:
            value = known(device, path)
            if not isinstance(value, str) or pattern.match(value) is None:
                return False
        return True


class Assignments:
    """The profiles of one tenant at one time, and what each was made into."""

    def __init__(self, profiles: Sequence[DeviceProfile], former: Assignments | None = None) -> None:
        """``former`` has what need not be made again."""
        self._profiles = {profile.name: profile for profile in profiles}
        self._aliases = {name: profile for profile in profiles for name in profile.former}
        self._of_group = {group: profile for profile in profiles for group in profile.groups}
        patterns = (_Pattern.of(profile, rule) for profile in profiles for rule in profile.rules)
        self._patterns = sorted(patterns, key=lambda one: (one.rule.priority, one.profile.name))
        self._default = next((profile for profile in profiles if profile.is_default), None)
        self._mappings: dict[str, tuple[DeviceProfile, ProfileMapping]] = {}
        if former is not None:
            self._mappings |= former._mappings

    def named(self, name: str) -> DeviceProfile | None:
        """By its name, or one it had and is still assigned by."""
        return self._profiles.get(name) or self._aliases.get(name)

    def mapping(self, profile: DeviceProfile) -> ProfileMapping:
        """The same object for as long as the profile says the same."""
        found = self._mappings.get(profile.name)
        if found is None or found[0].document != profile.document:
            mapping = ProfileMapping.of(profile.document["transportConfiguration"])
            found = self._mappings[profile.name] = profile, mapping
        return found[1]

    def of(self, device: Device, group_of: GroupOf, known: Known) -> Assigned | None:
        return next(self._all(device, group_of, known), None)

    def _all(self, device: Device, group_of: GroupOf, known: Known) -> Iterator[Assigned]:
        """In the order in which they count."""
        own = self.named(device.profile) if device.profile is not None else None
        if own is not None:
            yield Assigned(own, "device")
        group = group_of(device, self._of_group.keys()) if self._of_group else None
        if group is not None:
            yield Assigned(self._of_group[group], "group", group=group)
        for pattern in self._patterns:
            if pattern.fits(device, known):
                yield Assigned(pattern.profile, "rule", rule=pattern.rule)
        if self._default is not None:
            yield Assigned(self._default, "default")
