"""The console command ``hardwired``: ``hardwired VERB FAMILY ...`` or ``hardwired VERB CONFIG``.

Exit codes: 0 done, or nobody reads the output any longer, 1 it failed (the reason is on stderr),
2 the arguments are wrong, 3 nothing was heard or a step of a check failed, 4 not all was delivered,
78 CONFIG can't be used, 130 the user stopped it (run ends so, with 0).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any

from ..version import program_version
from . import commands, dropin
from .examples import OF_FAMILIES, epilog
from .output import STOPPED, tell, watched_output

# What else is needed is imported where it is: an answer to --help takes no engine, nor asyncio.

LEVELS = ("debug", "info", "warning", "error")
VERB_HELP = {
    "decode": "read a recording and print what it says, one JSON object a line",
    "simulate": "play the device",
    "record": "record the wire, with what identifies you masked",
    "replay": "play a recording as the device",
    "probe": "try a link and say what is heard",
    "check": "check a CONFIG.toml, or with a family's name a file of its own",
    "set": "change settings of a device, and wait until it has confirmed them",
    "search": "look on the network for gateways",
    "read": "read single values of a device",
    "write": "write a setting of a device",
}


def _level(text: str) -> str:
    # A type, not choices: argparse applies it to the default from the environment too.
    if text.lower() not in LEVELS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is none of {', '.join(LEVELS)} (here or in HARDWIRED_LOG)"
        )
    return text.lower()


class _Version(argparse.Action):
    """Say the version, and end."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"hardwired {program_version()}")
        parser.exit()


def _top() -> argparse.ArgumentParser:
    """Return the parser of what stands before the verb."""
    top = argparse.ArgumentParser(prog="hardwired", description=__doc__)
    top.add_argument(
        "-V", "--version", action=_Version, nargs=0, help="show program's version number and exit"
    )
    top.add_argument(
        "--log-level",
        type=_level,
        default=os.environ.get("HARDWIRED_LOG") or None,
        metavar="{" + ",".join(LEVELS) + "}",
        help="how much to tell on stderr (default: HARDWIRED_LOG, else warning)",
    )
    return top


def list_of_verbs() -> argparse.ArgumentParser:
    """Return a parser that knows which verbs there are, and nothing of any."""
    top = _top()
    by_verb = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, text in {**commands.HELP, **VERB_HELP}.items():
        by_verb.add_parser(verb, help=text)
    return top


def parser(verb: str | None = None, family: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the command line; of one *verb* (of a *family*), or of all."""
    from .verbs import family_names, verbs  # noqa: PLC0415

    top = _top()
    by_verb = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    names = family_names()
    of_family = family in names and verb in verbs(family)
    if verb is not None and verb in commands.MODULES and not of_family:
        # Families are not imported where none is needed: the bridge starts on small machines.
        commands.add(verb, by_verb)
        return top
    if verb is None:
        for command in commands.MODULES:
            if command not in VERB_HELP:
                commands.add(command, by_verb)
    if of_family and family is not None:
        names = (family,)  # nor are all of them where one is named
    offered = {name: verbs(name) for name in names}
    for name_of_verb, text in VERB_HELP.items():
        families = {
            name: table[name_of_verb] for name, table in offered.items() if name_of_verb in table
        }
        if not families or verb not in (None, name_of_verb):
            continue
        by_family = by_verb.add_parser(
            name_of_verb,
            help=text,
            description=text,
            epilog=epilog(OF_FAMILIES.get(name_of_verb, ())),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        ).add_subparsers(dest="family", required=True, metavar="FAMILY")
        for name, entry in families.items():
            one = by_family.add_parser(name, help=entry.help, description=entry.help)
            if verb is None or of_family:  # else no family is named, and only their list is shown
                entry.configure(one)
            one.set_defaults(run=entry.run)
    return top


def _words(arguments: Sequence[str]) -> list[str]:
    """Return the arguments from the verb on, if it stands where it usually does."""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--log-level" and rest:
            rest.pop(0)
    return rest


def _terminate(number: int, frame: FrameType | None) -> None:
    """End on SIGTERM, which service managers send, as on Ctrl-C."""
    interrupt = signal.getsignal(signal.SIGINT)
    if not callable(interrupt):
        raise KeyboardInterrupt
    interrupt(number, frame)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    if arguments is not None:
        return _run(list(arguments))
    with watched_output() as output:
        if (program := dropin.program_of(sys.argv[0])) is not None:
            code = dropin.run(program, sys.argv[1:], main)
        else:
            code = _run(sys.argv[1:])
    return 0 if output.unread else code


def _run(arguments: list[str]) -> int:
    words = _words(arguments)
    if words[:1] == ["run"] and threading.current_thread() is threading.main_thread():
        # Until the bridge hears them: they would end it, and a small machine takes seconds.
        for number in (signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
    if not words or words[0] not in {*commands.MODULES, *VERB_HELP}:
        list_of_verbs().parse_args(arguments)
    try:
        options = parser(*words[:2]).parse_args(arguments)
        _log(options)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _terminate)
        code: int = options.run(options)
    except KeyboardInterrupt:
        return STOPPED
    except Exception as raised:
        error = _first(raised)
        if (failed := _exit_code(error)) is None:
            raise
        from hardwired_engines.masking import masked_text  # noqa: PLC0415

        tell(masked_text(f"hardwired: {_in_words(error)}"))
        return failed
    return code


def _log(options: argparse.Namespace) -> None:
    """Have the log on stderr. A verb itself says what its link lacks, unless a level is named."""
    import logging  # noqa: PLC0415

    level = options.log_level or "warning"
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if options.log_level is None and options.verb != "run":
        logging.getLogger("hardwired_engines.link.supervisor").setLevel(logging.ERROR)


def _first(error: Exception) -> Exception:
    """Return the error that has ended a group of tasks; one of no group is returned itself."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _exit_code(error: Exception) -> int | None:
    """Return the exit code for what went wrong; ``None``: it is a fault of the program."""
    from hardwired_engines.engine import EngineError, LinkError, Reason  # noqa: PLC0415
    from hardwired_engines.factory import SettingsError  # noqa: PLC0415
    from hardwired_engines.link.errors import CAN_NOT_OPEN  # noqa: PLC0415

    from ..bridge.sink import Unusable  # noqa: PLC0415
    from .arguments import WrongArguments  # noqa: PLC0415

    if isinstance(error, Unusable):
        return 78
    if isinstance(error, LinkError) and error.reason in CAN_NOT_OPEN:
        return 2 if error.reason is Reason.BAD_ADDRESS else 1
    if isinstance(error, (WrongArguments, SettingsError)):
        return 2
    expected = (EngineError, OSError, ValueError, ArithmeticError)
    return 1 if isinstance(error, expected) else None


def _in_words(error: Exception) -> str:
    """Return what went wrong without the system's number, and what to do about a link."""
    from hardwired_engines.engine import LinkError  # noqa: PLC0415

    from .advice import with_advice  # noqa: PLC0415

    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    return with_advice(str(error), error.reason if isinstance(error, LinkError) else None)


if __name__ == "__main__":
    sys.exit(main())
