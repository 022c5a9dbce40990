"""The command ``lwm2m``: runs the CLI, or says what to install. Standard library only.

A bare ``pip install lwm2m-engine`` brings the library without click, aiocoap or Starlette; the
command exists all the same, and a traceback would be a poor greeting.
"""

from __future__ import annotations

import sys
from importlib import import_module

OWN = ("lwm2m_engine", "lwm2m_server", "lwm2m_plugins")
OFFLINE_COMMANDS = ("decode", "encode", "convert", "completion", "models", "plugins")
"""What the extra ``cli`` is enough for."""
MISSING = 2


def main() -> int:
    """Run the command line; the exit code is 2 when a dependency is absent."""
    try:
        import_module("lwm2m_server.cli.main").main()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in OWN:
            raise
        print(advice(package, sys.argv[1:]), file=sys.stderr)  # noqa: T201
        return MISSING
    return 0


def advice(package: str, arguments: list[str]) -> str:
    """What to install so that this command line works."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    extra = "cli" if command in OFFLINE_COMMANDS else "server"
    return (
        f"{f'lwm2m {command}'.rstrip()} needs the package {package!r}, which is not installed:\n\n"
        f"    pip install 'lwm2m-engine[{extra}]'\n"
    )


if __name__ == "__main__":
    sys.exit(main())
