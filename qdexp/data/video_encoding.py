# pyright: basic
"""From a folder of videos to latents in raw files: resumable, with one clip in memory."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from safetensors.torch import save

from qdexp.config.data_config import LEAST_HELD_OUT, DataConfig
from qdexp.data.autoencoder import Autoencoder
from qdexp.data.canonical import canonical_sha256
from qdexp.data.latent_cache import Encoded
from qdexp.data.manifest import Problem, Source, defining_fields
from qdexp.data.pca3d import Pca3d
from qdexp.data.shard import StoredClips
from qdexp.data.split import HELD_OUT, TRAIN, lone_split, sides_of, spread
from qdexp.data.video_folder import Inventory, VideoFile
from qdexp.data.video_part import Part, encode_part, finished_part, raw_file
from qdexp.data.video_reader import VideoReader
from qdexp.errors import DataError

FITTED_CLIPS = 64
"""Training clips whose patches `pca3d` is fitted to."""

FITTED_BYTES = 1 << 26
"""Bytes of their pixels, at most: fewer clips where they are large."""

PLACES = 4
"""Places in a video that they are from, where there are few videos: each costs a seek."""


@dataclass(frozen=True, kw_only=True)
class EncodingProgress:
    """How far an encoding is; videos that an earlier attempt encoded count in `share` alone.

    Args:
        name: The video that is being read.
        share: Share of the videos' bytes that is encoded.
        own_share: Share that this attempt has encoded.
        num_clips: Clips that this attempt has encoded.
    """

    name: str
    share: float
    own_share: float
    num_clips: int


Watch = Callable[[EncodingProgress], None]


class VideoEncoding:
    """Encodes an inventory into raw files below a folder.

    Args:
        config: What clips are, and which autoencoder.
        inventory: The videos.
        parts: Where raw files are; an interruption leaves them for the next attempt.
        given: The autoencoder, or None where it is fitted to training clips.
        watch: Hears of every clip.
    """

    def __init__(
        self,
        config: DataConfig,
        inventory: Inventory,
        parts: Path,
        *,
        given: Autoencoder | None,
        watch: Watch,
    ) -> None:
        self._config = config
        self._inventory = inventory
        self._parts = parts
        self._given = given
        self._watch = watch
        self._is_lone = False
        self._num_clips = 0
        self._own_bytes = 0

    def run(self) -> Encoded:
        """Encodes what is not encoded yet.

        Sides are those of the videos that have clips. Where only a bad file stood on a side,
        another video moves there, and all is encoded again: `pca3d` is fitted to one side only.

        Raises:
            DataError: No video has clips, or an only one has less than two.
            OSError: The disk cannot be written.
        """
        candidates = self._inventory.videos
        parts: dict[str, Part] = {}
        while True:
            sides, self._is_lone = self._sides(candidates), len(candidates) == 1
            autoencoder = self._given or self._fitted(candidates, sides)
            folder = self._parts / self._name(autoencoder)
            folder.mkdir(parents=True, exist_ok=True)
            parts |= self._encode(candidates, autoencoder, folder)
            good = [video for video in candidates if parts[video.sha256].num_clips]
            if not good:
                raise _no_clips(self._problems(parts))
            is_as_fitted = self._is_lone == (len(good) == 1)
            if is_as_fitted and self._sides(good) == {v.sha256: sides[v.sha256] for v in good}:
                return self._collected(good, parts, folder, autoencoder)
            candidates = tuple(good)

    def _sides(self, videos: Sequence[VideoFile]) -> dict[str, str]:
        return sides_of([video.sha256 for video in videos], self._config.held_out_share)

    def _name(self, autoencoder: Autoencoder) -> str:
        """Returns the name of what exactly this autoencoder makes of exactly these clips."""
        plain = autoencoder.to_plain()
        plain.pop("folder", None)
        if tensors := plain.pop("tensors", None):
            plain["sha256"] = hashlib.sha256(save(tensors)).hexdigest()
        return canonical_sha256({**defining_fields(self._config), "autoencoder": plain})[:16]

    def _fitted(self, videos: Sequence[VideoFile], sides: Mapping[str, str]) -> Pca3d:
        """Fits components to clips spread over the training videos.

        Raises:
            DataError: None of these videos has a clip.
        """
        config = self._config
        size = 3 * config.num_frames * config.height * config.width
        num_clips = max(1, min(FITTED_CLIPS, FITTED_BYTES // size))
        fitted_to = [video for video in videos if sides[video.sha256] == TRAIN] or list(videos)
        problems: dict[str, str] = {}
        clips = list(islice(self._spread_clips(fitted_to, num_clips, problems), num_clips))
        if not clips:
            others = [video for video in videos if sides[video.sha256] != TRAIN]
            clips = list(islice(self._spread_clips(others, num_clips, problems), num_clips))
        if not clips:
            raise _no_clips([Problem(name=name, problem=why) for name, why in problems.items()])
        return Pca3d.fit(torch.from_numpy(np.stack(clips)))

    def _spread_clips(
        self, videos: Sequence[VideoFile], num_clips: int, problems: dict[str, str]
    ) -> Iterator[UInt8[np.ndarray, "3 f h w"]]:
        """Yields clips from several places of every video; an only one's end is held out."""
        wanted = -(-num_clips // max(1, len(videos)))
        places = min(PLACES, wanted)
        step = (self._share_trained_on(videos[0]) if self._is_lone and videos else 1) / places
        for video in videos:
            parts = [(step * place, step * (place + 1)) for place in range(places)]
            num_found = 0
            for start, stop in parts:
                reader = VideoReader(video.path, self._config, start=start, stop=stop)
                yield from islice(reader.clips(), -(-wanted // places))
                num_found += reader.num_clips
            if num_found == 0:  # the parts are shorter than a clip; the first is never held out
                reader = VideoReader(video.path, self._config)
                yield from islice(reader.clips(), 1)
                if reader.problem and reader.num_clips == 0:
                    problems[video.name] = reader.problem

    def _share_trained_on(self, only: VideoFile) -> float:
        """Returns the share of an only video before its held-out clips, which are at least two."""
        config, share = self._config, self._config.held_out_share
        limit = min(FITTED_CLIPS, math.ceil(2 * LEAST_HELD_OUT / share))
        count = sum(1 for _ in islice(VideoReader(only.path, config).clips(), limit))
        if count in (0, limit):  # the share is more than the least
            return 1 - share
        step = config.num_frames - config.overlap
        first = lone_split(count, config)[1].start
        return first * step / ((count + 1) * step + config.overlap)

    def _encode(
        self, videos: Sequence[VideoFile], autoencoder: Autoencoder, folder: Path
    ) -> dict[str, Part]:
        total = sum(video.num_bytes for video in videos) or 1
        done = 0
        parts: dict[str, Part] = {}
        for video in videos:
            part = finished_part(folder, video)
            if part is None:

                def step(share: float, video: VideoFile = video, done: int = done) -> None:
                    self._num_clips += 1
                    self._tell(video, done, share * video.num_bytes, total)

                part = encode_part(folder, video, self._config, autoencoder, step)
                self._own_bytes += video.num_bytes
            done += video.num_bytes
            parts[video.sha256] = part
        return parts

    def _tell(self, video: VideoFile, done: int, read: float, total: int) -> None:
        self._watch(
            EncodingProgress(
                name=video.name,
                share=(done + read) / total,
                own_share=(self._own_bytes + read) / total,
                num_clips=self._num_clips,
            )
        )

    def _collected(
        self,
        videos: Sequence[VideoFile],
        parts: Mapping[str, Part],
        folder: Path,
        autoencoder: Autoencoder,
    ) -> Encoded:
        """Returns all clips in the order in which they will be used.

        Raises:
            DataError: An only video has no clips for one of the sides.
        """
        counts = [parts[video.sha256].num_clips for video in videos]
        train, held_out = self._divided(videos, counts)
        files = tuple(raw_file(folder, video) for video in videos)
        sources = [
            Source(
                name=video.name,
                sha256=video.sha256,
                num_train_clips=len(learned),
                num_held_out_clips=len(kept),
            )
            for video, learned, kept in zip(videos, train, held_out, strict=True)
        ]
        return Encoded(
            autoencoder=autoencoder,
            train=self._stored(train, files),
            held_out=self._stored(held_out, files),
            sources=sources,
            problems=self._problems(parts),
            notes=[*self._notes(videos, parts), *_lone_notes(sources)],
        )

    def _divided(
        self, videos: Sequence[VideoFile], counts: Sequence[int]
    ) -> tuple[list[range], list[range]]:
        """Returns each video's clips to train on, and those held out.

        Raises:
            DataError: An only video has no clips for one of the sides.
        """
        if len(videos) > 1:
            sides = self._sides(videos)
            train, held_out = (
                [
                    range(count if sides[video.sha256] == side else 0)
                    for video, count in zip(videos, counts, strict=True)
                ]
                for side in (TRAIN, HELD_OUT)
            )
            return train, held_out
        first, last = lone_split(counts[0], self._config)
        if not first:
            raise DataError(
                f"{videos[0].name}: expected enough clips to hold some out, found {counts[0]}: "
                "add videos, or take a lower data.num_frames or data.stride"
            )
        return [first], [last]

    def _notes(self, videos: Sequence[VideoFile], parts: Mapping[str, Part]) -> list[str]:
        own = [(video.name, parts[video.sha256].note) for video in videos]
        return [*self._inventory.notes, *(f"{name}: {note}" for name, note in own if note)]

    def _stored(self, clips: Sequence[range], files: tuple[Path, ...]) -> StoredClips:
        places, config = spread(clips), self._config
        return StoredClips(
            shape=(16, 1 + config.num_frames // 4, config.height // 8, config.width // 8),
            files=files,
            places=places,
            labels=np.zeros((len(places), 0), np.int64),
            sources=places[:, 0].copy(),
        )

    def _problems(self, parts: Mapping[str, Part]) -> list[Problem]:
        found = [*self._inventory.problems]
        for video in self._inventory.videos:
            if problem := parts[video.sha256].problem:
                kept = parts[video.sha256].num_clips
                found.append((video.name, f"{problem}; {kept} clips kept" if kept else problem))
        return [Problem(name=name, problem=problem) for name, problem in sorted(found)]


def _lone_notes(sources: Sequence[Source]) -> list[str]:
    if len(sources) > 1:
        return []
    only = sources[0]
    return [
        f"{only.name}: the only video, so its last clips are held out ({only.num_held_out_clips}, "
        f"with {only.num_train_clips} to train on); another video would be a harder test"
    ]


def _no_clips(problems: Sequence[Problem]) -> DataError:
    listed = "\n".join(f"  {problem}" for problem in problems)
    return DataError(f"expected a video with at least one clip, found none:\n{listed}")
