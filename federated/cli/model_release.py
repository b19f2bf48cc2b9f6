"""`fedprofile model release`: an officer says that rows may be scored by a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from federated.node.home import NodeHome
    from federated.scoring.model_file import ModelPart

__all__ = ["party_home", "release", "released_words"]

NODE = Path("fedprofile-node")
DAY = 24 * 3600
YEAR = 366 * DAY
_NOTE = 500


def party_home(home: Path | None) -> NodeHome:
    """The folder of a node, or of a hub's own party. Raises `InputError` where there is none."""
    from federated.node.home import NodeHome
    from psi.protocol import InputError

    place = home or NODE
    if home is None and not place.exists():
        raise InputError(
            f"no models: no {place} here",
            hint="name a node's or hub's folder by --home; after a run on one machine "
            "--models models/PARTY, beside its tables.toml",
        )
    party = place / "party"  # a hub's own
    return NodeHome.open(party if party.is_dir() else place)


def release(
    model: Annotated[
        str,
        typer.Argument(help="A model's id, its beginning, a task; or what `model export` wrote."),
    ],
    note: Annotated[
        str, typer.Option("--note", help="What you looked at, in a sentence: it is signed too.")
    ] = "",
    drift: Annotated[
        float | None,
        typer.Option("--drift", min=0, help="The most that a scoring's report says of drift."),
    ] = None,
    until: Annotated[
        str, typer.Option("--until", help="The last day, as 2027-11-30; a year if not given.")
    ] = "",
    key: Annotated[
        Path | None,
        typer.Option("--key", envvar="FEDPROFILE_OFFICER_KEY", help="Your own key: it signs."),
    ] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", help="A file of mode 0600; opens your key.")
    ] = None,
    home: Annotated[
        Path | None, typer.Option("--home", help="The folder of this party's node or hub.")
    ] = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take all releases of the model back instead.")
    ] = False,
) -> None:
    """Release this party's part of a model: rows may be scored by it where policy asks for that.

    Signed by an officer's own key, another's than of who had the model trained; where nobody signed
    for that training, two officers do it. An officer who may not read the party's models names the
    file that `fedprofile model export MODEL --out FILE.json` has written for him.
    """
    import time

    from federated.approval.released import remove_releases, standing, write_release
    from federated.cli.passphrase import passphrase
    from federated.keys.officers import OfficerKey, load_officers
    from federated.scoring.release import check_release, signed_release
    from federated.text import plain
    from psi.protocol import MisuseError, Refused

    place, looked = _looked(home, model)
    name = str(looked["model"])
    if withdraw:
        count = remove_releases(place.path, name)
        typer.echo(f"model {name}: {count} releases taken back")
        return
    listed = load_officers(place.path)
    if listed is None:
        raise MisuseError(
            f"{place.name} lists no officers, and an officer's own key releases a model",
            hint="fedprofile node officers key NAME, then officers add",
        )
    if key is None or not note:
        raise MisuseError(
            "a release is signed by your key and says what you looked at",
            hint='--key FILE --note "AUC by branch, reasons of 20 rows"',
        )
    now = int(time.time())
    of = _subject(place, looked)
    said = {
        "party": place.name,
        "model": name,
        "digest": of.digest,
        "task": str(looked["task"]),
        "quality": of.quality,
        "drift": "" if drift is None else f"{drift:g}",
        "note": plain(note, _NOTE),
        "made": now,
        "until": _until(until, now),
    }
    signed = signed_release(OfficerKey.load(key, passphrase(passphrase_file)), said)
    person = check_release(signed, listed)
    before = standing(place.path, of, listed, now)
    if person.key == before.maker.key:
        raise Refused(
            f"{person.name} had model {name} trained: another officer releases it",
            hint="fedprofile node officers lists them",
        )
    write_release(place.path, signed)
    state = standing(place.path, of, listed, now)
    typer.echo(f"model {name} of '{said['task']}': {plain(state.words, 2000)}")


def released_words(place: NodeHome, part: ModelPart) -> str:
    """How a model that is kept at a node stands with its officers."""
    import time

    from federated.approval.released import Subject, standing
    from federated.keys.officers import load_officers

    return standing(place.path, Subject.of(part), load_officers(place.path), time.time()).words


def _looked(home: Path | None, model: str) -> tuple[NodeHome, dict[str, Any]]:
    """The party's folder and what an officer is shown: of the store, or of an exported file."""
    import json

    from federated.scoring.store import ModelStore
    from psi.protocol import InputError

    place = party_home(home)
    if not model.endswith(".json"):
        part = ModelStore(place.models).find(model)
        about = {"model": part.id, "task": part.task, "party": part.party, "run": part.run}
        return place, about | {"hash": part.digest, "measured": dict(part.card)}
    try:
        found = json.loads(Path(model).read_text("utf-8"))
        texts = [found[name] for name in ("model", "task", "party", "run", "hash")]
        if not all(isinstance(text, str) for text in texts) or not isinstance(
            found["measured"], dict
        ):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{model}: not what fedprofile model export writes",
            hint="fedprofile model export MODEL --out FILE.json, by whoever runs the node",
        ) from None
    return place, found


def _subject(place: NodeHome, looked: dict[str, Any]) -> Any:
    from federated.approval.released import Subject
    from federated.scoring.model_file import is_id
    from federated.scoring.release import quality_of
    from psi.protocol import MisuseError

    name = str(looked["model"])
    if looked["party"] != place.name or not is_id(name):
        raise MisuseError(f"a part of {looked['party']} found, one of {place.name} needed")
    return Subject(
        party=place.name,
        model=name,
        digest=looked["hash"],
        run=looked["run"],
        quality=quality_of(looked["measured"]),
    )


def _until(text: str, now: int) -> int:
    """The second after the last day; a year from now where none is named."""
    from datetime import UTC, datetime, timedelta

    from psi.protocol import MisuseError

    if not text:
        return now + YEAR
    try:
        end = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
    except ValueError:
        raise MisuseError(f"--until {text!r} found, a day as 2027-11-30 needed") from None
    if end.timestamp() <= now:
        raise MisuseError(f"--until {text} found, a day to come needed")
    return int(end.timestamp())
