"""`sqa data`: corpora and weights, listed, fetched, checked, described and split."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import CorpusError, SettingsError
from . import progress

app = typer.Typer(help="Corpora and weights: list, fetch, check.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List corpora, encoders and networks with status, licence, size and location or source."""
    from ..corpora import registry
    from ..models import encoder_catalogue, weights

    for name, corpus in registry.everything().items():
        place = registry.find(name)
        size = f"{corpus.megabytes:4} MB" if corpus.megabytes else f"{'':7}"
        print(
            f"{name:15} {corpus.status:10} {size}  {corpus.licence:28} {place or 'not installed; ' + registry.how_to_get(name)}\n{'':15} {corpus.title}"
        )
    for name, listed in encoder_catalogue.ENCODERS.items():
        how = f"; run `sqa data fetch {name}`" if listed.repository else ""
        print(f"{name:20} encoder, {listed.repository or 'on no hub'}: {encoder_catalogue.find(name) or f'not installed{how}'}")
    installed = ", ".join(n for n in weights.OFFICIAL if n in weights.found_networks())
    print(
        f"{'nisqa-weights':15} {'weights':10} {4:4} MB  {'CC BY-NC-SA 4.0':28} {installed or 'not installed'}\n{'':15} NISQA's published networks"
    )


@app.command()
def fetch(
    names: Annotated[
        list[str], typer.Argument(help="Corpora, encoders by name or as owner/name or owner/name@commit on the hub, or nisqa-weights.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Accept the licence without being asked.")] = False,
) -> None:
    """Download into the cache. If it fails, repeat the command: complete files are kept, but for the asterisk prompts, which come as packages.
    Recordings, NISQA's networks and the encoders that `list` shows come at a pinned version and are compared with known hashes (of
    wav2vec2-large none is known). Any other encoder comes as its repository is today, unless a commit is named; each record keeps the hash
    of its weights."""
    from ..corpora import registry
    from ..models import encoder_catalogue, weights

    for name in names:
        if name in encoder_catalogue.ENCODERS or "/" in name:
            print(f"{name}: {encoder_catalogue.fetch(name)}")
            continue
        if name == "nisqa-weights":
            print(weights.LICENCE_NOTICE)
            if not yes and not typer.confirm("Fetch under this licence?"):
                raise SettingsError("Nothing was fetched.")
            print(f"{name}: {weights.fetch_official()}")
            continue
        if name not in registry.everything():
            raise SettingsError(
                f"There is no corpus or encoder {name!r}; corpora are {', '.join(registry.everything())}, encoders "
                f"{', '.join(encoder_catalogue.ENCODERS)} or any owner/name on the hub, and nisqa-weights are NISQA's networks."
            )
        corpus = registry.known(name)
        print(f"{name}: {corpus.title}, {corpus.licence}, {corpus.megabytes} MB")
        with progress.bar(None, name) as bar:
            place = registry.fetch(name, lambda _: bar.advance(bar.task_ids[0]))
        print(f"{name}: {place}")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What to call it: letters, digits, '_', '.' and '-'.")],
    folder: Annotated[
        Path, typer.Argument(help="A folder with a manifest.csv: one row per file, with the columns file, speaker and emotion.")
    ],
    language: Annotated[str, typer.Option(help="Of all files, such as de, if the manifest has no such column.")] = "",
    licence: Annotated[str, typer.Option(help="Of all files, if the manifest has no such column.")] = "",
) -> None:
    """Make a folder of your own known as a corpus. The files stay where they are and are not changed."""
    from ..corpora import registry

    with progress.bar(None, f"files of {name} measured") as bar:
        found = registry.add(name, folder, language, licence, lambda _: bar.advance(bar.task_ids[0]))
    emotions = f", {len(found.classes())} emotions" if "emotion" in found.table else ", no emotions"
    print(f"{name}: {len(found.table)} files, {found.table['speaker'].nunique()} speakers{emotions}, in {found.root}")
    if "emotion" in found.table:
        print(f"Use it: sqa data card {name}; sqa data split {name}; sqa run speech_models --profile paper -p corpora={name}")


@app.command()
def check(names: Annotated[list[str] | None, typer.Argument(help="Corpora; all that are installed if none is named.")] = None) -> None:
    """Compare the files on disk with a complete copy: files, names, rates, duplicates; exit status 1 if something differs."""
    from ..corpora import registry

    wrong = 0
    for name in names or [n for n in registry.everything() if registry.find(n)]:
        verify = registry.known(name).verify
        try:
            corpus = registry.load(name)
            problems, files = verify(corpus), f"{len(corpus.table)} files, "
        except CorpusError as e:  # the others are checked all the same
            problems, files = [str(e)], ""
        wrong += len(problems)
        print("\n".join([f"{name}: {files}{len(problems)} difference{'s' * (len(problems) != 1)}", *problems]))
    raise typer.Exit(int(wrong > 0))


@app.command()
def card(names: Annotated[list[str], typer.Argument(help="Corpora.")]) -> None:
    """Describe a corpus: what it holds, and what is wrong with its files."""
    from ..corpora import cards, registry, shared_audio
    from ..corpora.emotion import catalogue

    for name in names:
        known = registry.known(name)
        print(f"{name}: {known.title}, {known.licence}")
        if name in catalogue.CORPORA:
            about = catalogue.CORPORA[name]
            print(f"  {about.citation}\n  from {about.obtain}; names after {about.source}")
            unverified = [] if about.parser_verified else ["the parser has not met a real copy"]
            print("\n".join(f"  note: {note}" for note in (*about.notes, *unverified)))
        corpus = registry.load(name)
        with progress.bar(len(corpus.table), f"files of {name} compared with all others") as bar:
            shared = shared_audio.search(corpus, lambda: bar.advance(bar.task_ids[0]))
        for fact, value in cards.facts(corpus, shared).items():
            print(f"  {fact:40} {value}")


@app.command()
def split(
    name: Annotated[str, typer.Argument(help="A corpus of emotional speech.")],
    protocol: Annotated[
        Literal["speaker", "loso", "stratified"], typer.Option(help="Speaker-disjoint, leave-one-speaker-out, or stratified.")
    ] = "speaker",
    seed: Annotated[int, typer.Option(help="Seed among equally good splits.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the split to this CSV file.")] = None,
) -> None:
    """Split a corpus, and show sizes, class balance and leakage; the same split for the same seed."""
    from ..corpora import registry, splits

    corpus = registry.load(name)
    if "emotion" not in corpus.table:
        raise SettingsError(f"{name}: its files have no emotion labels to split by.")
    if out and not out.absolute().parent.is_dir():
        raise SettingsError(f"{out}: the folder to write to does not exist.")
    made = splits.make(corpus, protocol, seed)
    print(f"{made.name}, hash {made.hash}")
    print(splits.facts(made, corpus).round(3).to_string(index=False))
    if out:
        splits.write(made, out)
        print(out)
