"""`qdexp encode`: a folder of videos becomes a folder of latents."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from pydantic import ValidationError

from qdexp.cli.encoding_display import encoding_display
from qdexp.cli.run_command import signals_interrupt
from qdexp.config.configuration import problem_of
from qdexp.config.data_config import FRAME_SIZES, LEAST_HELD_OUT, READING_FIELDS, DataConfig
from qdexp.config.presets import preset
from qdexp.config.sections import EvaluationConfig
from qdexp.errors import ConfigurationError, DataError, RequestError

if TYPE_CHECKING:
    from qdexp.data.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked on the command line.

    Args:
        videos: The folder of videos, or one video.
        out: The folder to write.
        fields: Fields of the configuration's section for data.
    """

    videos: Path
    out: Path
    fields: Mapping[str, Any]

    def config(self) -> DataConfig:
        """Returns the configuration that would read these videos.

        Raises:
            ConfigurationError: A value is not allowed, or does not fit another.
        """
        values = {"kind": "video_folder", "path": str(self.videos), **self.fields}
        try:
            return DataConfig.model_validate(values)
        except ValidationError as error:
            raise ConfigurationError(_in_options(_named(problem_of(error)))) from None


def encode(request: Request) -> int:
    """Encodes what is not encoded yet, prints how to use it; returns the exit code.

    Raises:
        RequestError: The request was wrong, or there is no clip in any video.
        InterruptedRunError: A signal stopped it; the same command goes on.
    """
    config = request.config()
    out = request.out.absolute()
    with signals_interrupt():
        manifest = _encoded(config, out)
    from qdexp.data.dataset import notices

    for line in notices(manifest):
        typer.echo(line, err=True)
    if manifest.held_out_shape[0] < LEAST_HELD_OUT:
        typer.echo(
            f"note: expected at least {LEAST_HELD_OUT} held-out clips, found "
            f"{manifest.held_out_shape[0]}, with which nothing can be trained: encode with a "
            "higher --held-out-share, a higher --overlap or a lower --num-frames into another "
            "folder, or add videos",
            err=True,
        )
    typer.echo(_usage(manifest, out))
    return 1 if manifest.problems else 0


def _encoded(config: DataConfig, out: Path) -> "Manifest":
    from qdexp.data.fingerprint import fingerprint
    from qdexp.data.hash_index import INDEX, HashIndex

    _check_can_be_folder(out)
    hashes = HashIndex(out.with_name(f"{out.name}.parts") / INDEX)
    try:
        _check_is_free(out, fingerprint(config, hashes))
        hashes.save()
        from qdexp.data.preparation import prepare_latents

        with encoding_display() as show:
            return prepare_latents(config, out, hashes=hashes, watch=show)
    except DataError as error:
        raise DataError(_in_options(str(error))) from error
    except OSError as error:
        raise DataError(
            f"{out}: expected a disk that can be written, found: {error}; free space and give the "
            "same command again, which goes on"
        ) from error


def _check_can_be_folder(out: Path) -> None:
    standing = next(path for path in (out, *out.parents) if path.exists())
    if not standing.is_dir():
        raise RequestError(f"--out: expected a folder, found a file: {standing}")


def _check_is_free(out: Path, identity: str) -> None:
    """Accepts a folder that is not there, is empty, or has these very latents, whole or not."""
    from qdexp.data.manifest import MANIFEST, Manifest

    names = sorted(path.name for path in out.iterdir()) if out.exists() else []
    if not names:
        return
    if MANIFEST not in names:
        raise RequestError(
            f"--out: expected a new folder, found {out} with {names[0]} in it: choose another"
        )
    try:
        found = Manifest.read_alone(out).fingerprint
    except DataError as error:
        raise RequestError(
            f"--out: expected a new folder, found {error}: choose another, or delete it"
        ) from None
    if found != identity:
        raise RequestError(
            f"--out: expected a new folder, found {out} with latents of other videos or by other "
            "options: choose another, or delete it"
        )


def _usage(manifest: "Manifest", out: Path) -> str:
    """Returns the section of a configuration, and the lines of a spec, that use these latents."""
    fields = {"kind": "latents", "path": json.dumps(str(out), ensure_ascii=False)}
    fields |= manifest.data_section
    lines = {name: str(value) for name, value in fields.items() if _is_needed(name, value)}
    section = [f"  {name}: {value}" for name, value in lines.items()]
    dotted = [f"  data.{name}: {value}" for name, value in lines.items()]
    if measured := _measured(manifest):
        section += ["evaluation:", *(f"  {name}: {value}" for name, value in measured.items())]
        dotted += [f"  evaluation.{name}: {value}" for name, value in measured.items()]
    return "\n".join(
        [
            f"{manifest.train_shape[0]} clips to train on and {manifest.held_out_shape[0]} held "
            f"out, of {len(manifest.sources)} videos, in {out}",
            "in a configuration:",
            "data:",
            *section,
            "in a spec:",
            "set:",
            *dotted,
        ]
    )


def _measured(manifest: "Manifest") -> dict[str, int]:
    """Returns what a preset must measure less of, where there are fewer held-out clips than it."""
    num_held_out, _, frames, rows, columns = manifest.held_out_shape
    usual = EvaluationConfig()
    if not LEAST_HELD_OUT <= num_held_out < usual.num_clips:
        return {}
    num_clips = min(num_held_out, preset("tiny").evaluation.num_clips)
    # patches of (1, 2, 2), the largest of all presets, make the fewest tokens
    available = num_clips * usual.num_levels * frames * (rows // 2) * (columns // 2)
    fields = {"num_clips": num_clips, "codebook_tokens": min(available, usual.codebook_tokens)}
    return fields | ({"curve_clips": num_clips} if num_clips < usual.curve_clips else {})


def _is_needed(name: str, value: object) -> bool:
    """Tells whether a configuration must say a field; sizes are said for their reader."""
    is_said = name not in (*READING_FIELDS, "autoencoder")
    return is_said or value != DataConfig.model_fields[name].default


def _named(problem: str) -> str:
    """Returns a message that begins with a field as one that begins with its section too."""
    problem = re.sub(r"^([a-z_]+): ", r"data.\1: ", problem)
    wrong = re.search(rf"multiple of {FRAME_SIZES.step}, found (\d+)$", problem)
    if wrong is None:
        return problem
    size = int(wrong[1])
    near = [max((s for s in FRAME_SIZES if s < size), default=None)]
    near += [min((s for s in FRAME_SIZES if s > size), default=None)]
    nearest = [str(each) for each in near if each]
    return f"{problem}; the nearest {'are' if len(nearest) > 1 else 'is'} {' and '.join(nearest)}"


def _in_options(problem: str) -> str:
    """Returns a message about fields as one about options."""
    return re.sub(
        r"\bdata\.([a-z_]+)(=(\S+))?",
        lambda found: f"--{found[1].replace('_', '-')}" + (f" {found[3]}" if found[3] else ""),
        problem.replace("data.path", "VIDEOS"),
    )
