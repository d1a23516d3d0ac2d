"""Audio files nobody made on purpose: each is enhanced, or refused with exit code 2, in bounded time and memory."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from tests.stress.common import Limits, Row, World, run

LIMITS = Limits(seconds=60.0, megabytes=600)
RATE = 16000


def sound_files(folder: Path) -> list[Path]:
    """Valid files of several formats, from which others are made."""
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, (2000, 5)).astype(np.float32)
    files = []
    for name, kind in (("a.wav", "PCM_16"), ("b.wav", "PCM_24"), ("c.wav", "FLOAT"), ("d.flac", "PCM_16")):
        soundfile.write(folder / name, wave, RATE, kind)
        files.append(folder / name)
    return files


def spoiled(data: bytes, draw: random.Random) -> bytes:
    """Bytes flipped in the header or anywhere, cut off, repeated, or put in."""
    content = bytearray(data)
    how = draw.choice(("header", "header", "anywhere", "cut", "field", "insert"))
    if how in ("header", "anywhere"):
        end = 80 if how == "header" else len(content)
        for _ in range(draw.randint(1, 8)):
            content[draw.randrange(end)] = draw.randrange(256)
    elif how == "cut":
        del content[draw.randrange(len(content)) :]
    elif how == "insert":
        place = draw.randrange(80)
        content[place:place] = draw.randbytes(draw.randint(1, 50))
    else:
        place = draw.randrange(0, 76)
        number = draw.choice((0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, draw.getrandbits(32)))
        content[place : place + 4] = struct.pack("<I", number)
    return bytes(content)


def headers() -> Iterator[tuple[str, bytes]]:
    """WAV files whose header says what cannot be, or what nobody has."""
    for channels, rate, bits in ((0, RATE, 16), (64, RATE, 16), (5, 0, 16), (5, 2**32 - 1, 16), (5, RATE, 0)):
        samples = b"\1\0" * max(channels, 1) * 100
        block = max(channels * bits // 8, 0)
        form = struct.pack("<HHIIHH", 1, channels, rate, (rate * block) & 0xFFFFFFFF, block & 0xFFFF, bits)
        body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(samples)) + samples
        yield f"{channels} channels, {rate} Hz, {bits} bits", b"RIFF" + struct.pack("<I", len(body)) + body


def check(world: World, n_files: int, folder: Path) -> Iterator[Row]:
    """Enhances spoiled files; a third of them block by block."""
    folder.mkdir(parents=True, exist_ok=True)
    draw, codes, broken = random.Random(0), Counter[int](), []
    whole = [(path.suffix, path.read_bytes()) for path in sound_files(folder)]
    cases = [(".wav", data) for _, data in headers()]
    for number in range(n_files):
        suffix, data = cases[number] if number < len(cases) else draw.choice(whole)
        source = folder / f"spoiled{suffix}"
        source.write_bytes(data if number < len(cases) else spoiled(data, draw))
        verb = "stream" if number % 3 == 2 else "enhance"
        outcome = run([verb, world.teacher, source, folder / "out.wav"], folder / "log.txt", LIMITS)
        codes[outcome.code] += 1
        if not outcome.is_documented:
            broken.append(f"{number}: {outcome.code} {outcome.output[-200:]}")
        (folder / "out.wav").unlink(missing_ok=True)
    yield Row(
        "bad audio",
        "files",
        n_files,
        len(broken),
        f"{codes[0]} enhanced, {codes[2]} refused. {broken[0] if broken else ''}",
    )


def bomb(world: World, minutes: int, folder: Path) -> Iterator[Row]:
    """Enhances a small file that unpacks to gigabytes: silence in five channels."""
    with soundfile.SoundFile(folder / "bomb.flac", "w", RATE, 5, "PCM_16", format="FLAC") as file:
        for _ in range(minutes):
            file.write(np.zeros((RATE * 60, 5), dtype=np.int16))
    patient = Limits(seconds=3600.0, megabytes=LIMITS.megabytes)
    outcome = run(["enhance", world.teacher, folder / "bomb.flac", folder / "out.wav"], folder / "log.txt", patient)
    small, large = (folder / "bomb.flac").stat().st_size / 1e6, minutes * 60 * RATE * 5 * 4 / 1e9
    said = outcome.output.rpartition("/")[2] if outcome.is_documented else outcome.output[-200:]
    note = f"{small:.1f} MB of FLAC that unpack to {large:.1f} GB, in {LIMITS.megabytes} MB: {outcome.code}, {said}"
    yield Row("bad audio", "decompression bomb", 1, int(not outcome.is_documented), note)
