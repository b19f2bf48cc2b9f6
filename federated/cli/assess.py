"""`fedprofile node assess`: the impact assessment of a contract, as a document to file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["assess"]

HOME = Path("fedprofile-node")


def assess(
    contract: Annotated[
        str, typer.Argument(help="A proposal or job: the id that `node jobs` shows.")
    ],
    lang: Annotated[str, typer.Option("--lang", help="en or zh.")] = "en",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A file, .html or .md; the screen, as Markdown, without."),
    ] = None,
    home: Annotated[Path, typer.Option("--home", help="The node's folder.")] = HOME,
) -> None:
    """Write the impact assessment that an officer must file, from the contract itself.

    That is the signed one where the job has one, and the draft before. Purpose, lawful basis, data,
    recipients, what each party learns in bits and counts, necessity, attacks measured, safeguards,
    retention and rights, in English or Chinese. What only people can say stands in [brackets].
    """
    from dataclasses import replace

    from federated.approval.policy_file import load_policy
    from federated.assess.document import assessment
    from federated.assess.render import to_html, to_markdown
    from federated.assess.words import LANGUAGES
    from federated.cli.officer import inbox_of
    from federated.node.row_bits import row_bits_of
    from federated.node.signed_contract import signed_contract
    from federated.store.files import write_atomic
    from psi.protocol import MisuseError

    if lang not in LANGUAGES:
        raise MisuseError(f"--lang: {lang!r} found, {' or '.join(LANGUAGES)} allowed")
    if out is not None and out.suffix not in (".html", ".md"):
        raise MisuseError(f"--out: {out.name} found, a name that ends with .html or .md needed")
    inbox, place = inbox_of(home)
    request = inbox.find(contract).request
    signed = signed_contract(place, request.session)
    request = replace(request, contract=signed or request.contract)
    bits, _ = row_bits_of(request, place)
    policy = load_policy(place.policy)
    made = assessment(request.contract, request.me, policy, bits, lang, signed=signed is not None)
    if out is None:
        typer.echo(to_markdown(made), nl=False)
        return
    text = to_html(made) if out.suffix == ".html" else to_markdown(made)
    write_atomic(out, text, private=True)
    typer.echo(f"the assessment is in {out}: fill in what stands in [brackets]")
