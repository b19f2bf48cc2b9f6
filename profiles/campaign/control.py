"""Who is held back from every list of a campaign: drawn once by person, by a secret key.

A person is in the control group where a keyed hash of the person's name falls below the group's
share of all hashes. So the draw looks at nothing that a list is made of, is the same in all lists
of a campaign until it ends, and nobody who lacks the key can tell who is in it, or make somebody
land in it by choosing a name.

    campaigns/NAME.json   the campaign's key, share and days (0600); its loss draws another group

The file stands beside `tables.toml`, with what else is this party's own.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.store.files import disk_failed, locked, write_atomic
from federated.text import slug
from profiles.specs import CampaignSpec
from psi.identifiers.keys import key_buffer
from psi.kernels.blake2s import Blake2s
from psi.protocol.errors import InputError, JobError

__all__ = ["ControlGroup"]

_PERSON = b"control1"


@dataclass(frozen=True, repr=False)
class ControlGroup:
    """One campaign's key, and how many in 100 it holds back.

    Attributes:
        name: the campaign.
        share: of all people, from 0.01 to 0.5.
        began: the day of its first list, as 2026-07-01.
        days: how long it holds people back.
        key: 32 bytes as hexadecimal digits.
    """

    name: str
    share: float
    began: str
    days: int
    key: str

    @property
    def ends(self) -> date:
        """The first day on which it holds nobody back any more."""
        return date.fromisoformat(self.began) + timedelta(days=self.days)

    @classmethod
    def kept(
        cls, folder: Path, asked: CampaignSpec, today: date, file: str, *, begun: bool = False
    ) -> ControlGroup:
        """The campaign's group: the one in `folder`, or a new one.

        A job that had `begun` within the campaign has its lists, however late it ends.

        Raises:
            JobError: `file` asks for another share or number of days than the campaign began with,
                or it has ended.
            InputError: its file is damaged.
            EnvironmentFailed: it cannot be read or written.
        """
        path = folder / f"{slug(asked.name)}.json"
        try:
            with locked(folder / ".lock"):  # two jobs that begin together draw one group
                found = _read(path)
                if found is None:
                    found = cls(
                        asked.name,
                        asked.control,
                        today.isoformat(),
                        asked.days,
                        secrets.token_hex(32),
                    )
                    write_atomic(path, json.dumps(asdict(found)) + "\n")
        except OSError as error:
            raise disk_failed(f"cannot write {path}", error) from None
        if found.name != asked.name:
            raise JobError(
                f"{file}: [campaign] name: {asked.name!r} found, and {found.name!r} has its file",
                hint="names of campaigns differ in more than signs",
            )
        if (found.share, found.days) != (asked.control, asked.days):
            raise JobError(
                f"{file}: [campaign] {asked.name!r}: control = {asked.control}, "
                f"days = {asked.days} found; it began with {found.share} and {found.days}",
                hint="a group that changes on the way is no control group: keep it, or begin a "
                "campaign of another name",
            )
        if today >= found.ends and not begun:
            raise JobError(
                f"{file}: [campaign] {asked.name!r} has ended on {found.ends}",
                hint="a campaign of another name draws a new control group",
            )
        return found

    def holds_back(self, entities: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """`bool[rows]`: who of these people is in the control group; nobody without a name."""
        texts = pc.utf8_trim_whitespace(pa.chunked_array([entities]).cast(pa.large_string()))
        named = pc.is_valid(texts).to_numpy()
        data, offsets = key_buffer(texts.filter(pa.array(named)))
        drawn = np.zeros(len(named), bool)
        words = Blake2s(bytes.fromhex(self.key), _PERSON).strings(data, offsets)[:, 0]
        drawn[named] = words < np.uint64(round(self.share * 2**64))
        return drawn


def _read(path: Path) -> ControlGroup | None:
    try:
        found = ControlGroup(**json.loads(path.read_text("utf-8")))
        bytes.fromhex(found.key)
        date.fromisoformat(found.began)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise InputError(
            f"{path.name} was altered",
            hint="restore it: without it another control group is drawn, of people who were listed",
        ) from None
    return found
