"""Which device profile is for a device: its own, else that of a group, of a rule, or the tenant's default."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from fnmatch import translate
from functools import cached_property
from typing import Protocol, TypeAlias

import attrs

from lwm2m_server.profiles.mapping import ProfileMapping
from lwm2m_server.store.definitions import DeviceProfile, ProfileRule
from lwm2m_server.store.finding import Case, Cases, Members
from lwm2m_server.store.records import Described


class Candidate(Protocol):
    """A device, or the part of it that is asked for: ``Device`` or ``Subject``."""

    @property
    def node(self) -> int: ...
    @property
    def tenant(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def endpoint(self) -> str | None: ...
    @property
    def profile(self) -> str | None: ...


GroupOf: TypeAlias = Callable[[Candidate, Collection[str]], str | None]
"""Which of some groups a device is in, by name; the first one."""
Describe: TypeAlias = Callable[[int], Described]
"""What the device of a node says it is."""


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
    manufacturer: re.Pattern[str] | None
    model: re.Pattern[str] | None

    @classmethod
    def of(cls, profile: DeviceProfile, rule: ProfileRule) -> _Pattern:
        return cls(profile, rule, *map(_compiled, (rule.endpoint, rule.manufacturer, rule.model)))

    def fits(self, device: Candidate, describe: Describe) -> bool:
        name = device.endpoint if device.endpoint is not None else device.name
        if not _fits(self.endpoint, name):
            return False
        if self.manufacturer is None and self.model is None:
            return True
        described = describe(device.node)
        return _fits(self.manufacturer, described.manufacturer) and _fits(self.model, described.model)


class Assignments:
    """The profiles of one tenant at one time, and what each was made into."""

    def __init__(self, profiles: Sequence[DeviceProfile], former: Assignments | None = None) -> None:
        """``former`` has what need not be made again."""
        self._profiles = {profile.name: profile for profile in profiles}
        self._aliases = {name: profile for profile in profiles for name in profile.former}
        self._of_group = {group: profile for profile in profiles for group in profile.groups}
        patterns = (_Pattern.of(profile, rule) for profile in profiles for rule in profile.rules)
        self._patterns = sorted(patterns, key=lambda one: (one.rule.priority, one.profile.name))
        self.asks_what_they_are = any(one.manufacturer or one.model for one in self._patterns)
        """Whether it matters what devices say they are."""
        self._default = next((profile for profile in profiles if profile.is_default), None)
        self._mappings: dict[str, tuple[DeviceProfile, ProfileMapping]] = {}
        if former is not None:
            self._mappings |= former._mappings

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._profiles)

    @property
    def default(self) -> DeviceProfile | None:
        """The one of devices that no other is for."""
        return self._default

    @cached_property
    def has_power(self) -> bool:
        """Whether any profile says when devices listen."""
        return any(self.mapping(profile).power is not None for profile in self._profiles.values())

    @cached_property
    def has_versions(self) -> bool:
        """Whether any profile says which version Objects have that are announced without one."""
        return any(self.mapping(profile).version is not None for profile in self._profiles.values())

    @property
    def groups(self) -> Collection[str]:
        """Names of those that have a profile."""
        return self._of_group.keys()

    def of_group(self, group: str) -> DeviceProfile | None:
        return self._of_group.get(group)

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

    def of(self, device: Candidate, group_of: GroupOf, describe: Describe) -> Assigned | None:
        return next(self._all(device, group_of, describe), None)

    def cases(self, profile: DeviceProfile, members: Callable[[str], Members]) -> Cases | None:
        """Which devices a profile is for, in the words of a store; ``None`` if that takes a look at what they
        say they are, or a pattern that only Python knows."""
        patterns = [one.rule.endpoint or "*" for one in self._patterns]
        if self.asks_what_they_are or any("[" in pattern for pattern in patterns):
            return None
        names = self._profiles.keys() | self._aliases.keys()
        own = {name for name in names if self.named(name) is profile}
        found = [Case(True, assigned=own), Case(False, assigned=names - own)]
        found += [
            Case(self._of_group[group] is profile, members=members(group)) for group in sorted(self._of_group)
        ]
        found += [
            Case(one.profile is profile, pattern=pattern)
            for one, pattern in zip(self._patterns, patterns, strict=True)
        ]
        return Cases(found, self._default is profile)

    def _all(self, device: Candidate, group_of: GroupOf, describe: Describe) -> Iterator[Assigned]:
        """In the order in which they count."""
        own = self.named(device.profile) if device.profile is not None else None
        if own is not None:
            yield Assigned(own, "device")
        group = group_of(device, self._of_group.keys()) if self._of_group else None
        if group is not None:
            yield Assigned(self._of_group[group], "group", group=group)
        for pattern in self._patterns:
            if pattern.fits(device, describe):
                yield Assigned(pattern.profile, "rule", rule=pattern.rule)
        if self._default is not None:
            yield Assigned(self._default, "default")


def _compiled(text: str | None) -> re.Pattern[str] | None:
    return None if text is None else re.compile(translate(text))


def _fits(pattern: re.Pattern[str] | None, text: object) -> bool:
    return pattern is None or (isinstance(text, str) and pattern.match(text) is not None)
