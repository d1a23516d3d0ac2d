"""The built-in voices: who speaks, what they say, and the program that says it with espeak-ng.

:mod:`simulate.synthetic` takes the tables from here and runs this file as a separate program, with one job as
JSON on standard input: a :class:`Voice` as a dictionary and ``"sentences": {WAV to write: text}``. Only that
program loads the library, which is under the GPL; importing this file does not.
"""

from __future__ import annotations

import ctypes
import json
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Names and values of speak_lib.h.
RETRIEVAL = 1
DO_NOT_EXIT = 0x8000
RATE, VOLUME, PITCH, PITCH_RANGE = 1, 2, 3, 4
UTF8 = 1

QUIET = 40
"""Volume in percent: at 100 a third of the voices clip inside the library."""

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Voice:
    """A synthetic speaker.

    Attributes:
        language: whose rules read the English sentences: the accent.
        variant: of espeak-ng: the throat.
        pitch, pitch_range: 0 to 100, relative to the variant.
        rate: words per minute.
    """

    language: str
    variant: str
    pitch: int
    pitch_range: int
    rate: int

    @property
    def name(self) -> str:
        """The speaker in the manifest and in file names."""
        return f"{self.language}_{self.variant}".lower()


# No variant stands twice, so that no throat is shared between the splits.
VOICES = {
    "train": (
        Voice("en-us", "m1", 45, 55, 165),
        Voice("en-us", "f2", 50, 50, 170),
        Voice("en", "m3", 60, 60, 175),
        Voice("en-gb-x-rp", "f3", 55, 60, 160),
        Voice("en-gb-scotland", "m4", 35, 45, 170),
        Voice("de", "f5", 42, 50, 160),
        Voice("en-us-nyc", "m7", 50, 70, 180),
        Voice("fr", "f1", 62, 55, 165),
        Voice("en-029", "klatt3", 55, 50, 165),
        Voice("it", "Annie", 45, 45, 170),
        Voice("es", "ed", 55, 60, 175),
        Voice("sv", "f4", 40, 60, 160),
        Voice("de", "m2", 28, 40, 160),
        Voice("en", "belinda", 52, 70, 165),
        Voice("nl", "Storm", 50, 55, 165),
        Voice("pt-br", "steph", 50, 60, 170),
    ),
    "valid": (
        Voice("en-us", "m6", 75, 50, 165),
        Voice("en", "linda", 48, 60, 165),
        Voice("es-419", "Nguyen", 50, 50, 175),
        Voice("nb", "shelby", 55, 50, 165),
        Voice("pl", "david", 50, 60, 160),
        Voice("en-gb-x-gbclan", "Andrea", 40, 50, 150),
    ),
    "test": (
        Voice("en-us", "adam", 55, 60, 170),
        Voice("en", "Alicia", 45, 55, 175),
        Voice("fr", "m8", 45, 50, 165),
        Voice("da", "aunty", 50, 60, 165),
        Voice("it", "Marco", 45, 55, 185),
        Voice("en-gb-x-gbcwmd", "grandma", 50, 50, 165),
    ),
}

SENTENCES = {
    "train": """\
The old fisherman carried a heavy basket of silver fish along the quiet harbour wall.
Please leave your muddy boots outside the kitchen door before you join us for supper.
A narrow path winds through the beech wood and comes out above the village church.
She checked the measurements twice, because the shelf had to fit between two thick pipes.
Our neighbour's yellow van would not start again, so we pushed it halfway up the hill.
Fresh ginger, chopped garlic and a pinch of sugar will give this thin broth some depth.
They shut the museum early on Thursday to move a huge bronze horse into the main hall.
If the judge agrees, the whole file could be reopened before the end of the month.
The choir was rehearsing something joyful while rain was drumming on the copper roof.
My youngest cousin measures every puddle with a wooden ruler and writes down the depth.
Nobody noticed that the third chair was missing until the guests began to sit down.
Thick smoke poured from the engine, and the pilot turned the plane towards the shore.
You should water these young tomatoes at dawn, never in the full heat of the afternoon.
The baker's daughter plays the oboe in a small orchestra on the far side of the river.
We waited for an hour at the junction, watching long freight trains roll slowly past.
A good joke is usually short, and the best ones leave the listener with a question.
Several large boulders had fallen overnight and blocked both lanes of the coastal road.
He pours his coffee into a blue enamel mug that once belonged to a lighthouse keeper.
The garage charged us far too much for changing one fuse and a cracked rubber hose.
Beyond the orchard there is a field where wild geese gather in the first cold weeks.
Choose a smooth pebble, paint it white, and draw a tiny face on it with a sharp pencil.
The lawyer's voice grew softer each time she came to an awkward part of the letter.
Both of the twins are allergic to walnuts, but they are very fond of chestnut puree.
Measure the width of the window first, then cut the cloth a little larger than you need.
A young fox was asleep on the warm lid of our compost box when I opened the shutters.
The early bus is always full of nurses who chat about their night on the wards.
Whoever borrowed the ladder should bring it back, since the gutter is leaking badly.
It took the divers nine days to lift the ancient jars from the floor of the bay.
I would rather walk to the theatre than search for a place to park in this weather.
The gardener has trimmed the hedge into shapes that look like owls, ships and teapots.
Fog covered the valley so thoroughly that only the tops of the poplars could be seen.
Her uncle repairs clocks, zithers, music boxes and other things with very small screws.
When the power failed, we lit six candles and went on playing cards until midnight.
The judge of the pie contest chewed thoughtfully and asked for another glass of water.
Put the fragile vase on the upper shelf, far away from the elbow of that clumsy boy.
A stubborn goat stood in the gateway and refused to let the postman reach the house.
They are building a cycle bridge over the railway, which should open in early autumn.
The rough sea threw foam over the pier and soaked everyone who had come to watch.
Once a year the whole street puts out long tables and shares soup, bread and cheese.
This fabric feels like velvet, yet it is woven from nothing but recycled plastic bottles.
The surgeon explained the procedure calmly and drew a little sketch on a paper towel.
An orange balloon drifted over the stadium and vanished behind a bank of grey cloud.
Our guide knew the name of every moth that came to the lamp beside the tent.
He apologised for being late and blamed a flock of sheep on the mountain road.
The photographs were taken through a dusty window, so their edges are slightly blurred.
She whistled the same cheerful tune all morning while she was mending the fishing nets.
The pharmacy on the square is closing, and the next one is two villages further north.
Do you remember the huge elm tree that used to throw its shade across our school yard?""",
    "valid": """\
The ferry leaves at half past seven, and it never waits for people who oversleep.
A thin layer of ice had formed on the pond, just strong enough to hold a sparrow.
We asked the waiter for a quieter table, as far as possible from the noisy fountain.
Many of the birch trees lost their upper branches during the great storm last March.
The choice between the two jobs was easy: one of them came with a view of the sea.
My grandfather kept his chess trophies in a shoe box underneath the attic stairs.
Stir the mixture gently, or the egg whites will collapse and the cake will not rise.
The actor forgot his line, paused, and then invented something far better on the spot.
Their new puppy chewed through a charger, two slippers and a corner of the carpet.
From the bell tower you can see five lakes, and on a clear day the northern glacier.
The committee voted for a cheaper plan that uses wood instead of steel and concrete.
If you hear a rattle under the bonnet, switch off the motor and call me straight away.
A soft breeze moved the curtains, and the smell of cut grass filled the whole room.
The treasure in the cave turned out to be a rusty bath and some broken garden tools.""",
    "test": """\
The mayor unveiled a bench in the park and was the very first person to sit on it.
Put three spoons of flour into the bowl, and add the warm milk a little at a time.
Heavy traffic made us miss the overture, but we heard the rest from the upper circle.
A pair of storks has nested on the brewery chimney each spring for nearly a decade.
The carpenter tapped along the panel until one of the boards gave a hollow sound.
You can borrow my thick jersey, for the evenings are chilly once the sun has gone.
The children found a message in a bottle, but its ink had been washed away long ago.
Every Sunday the chess club meets upstairs, above the shop that sells used bicycles.
Both engines were tested overnight, and neither showed the fault that had worried us.
She folded the map the wrong way and gave it back to the driver with a guilty smile.
The judge praised the young violinist for her tone, her courage and her strange choice.
A loose shingle was flapping in the wind and kept the whole household wide awake.
We usually buy our vegetables from a farmer who parks his truck beside the fountain.
He was so absorbed in the puzzle that he let the kettle boil until it was dry.""",
}


class Speaker:
    """One voice of espeak-ng in this process.

    Raises:
        ValueError: the library does not start, lacks the language or the variant, or refuses a parameter.
    """

    def __init__(self, voice: Voice) -> None:
        import espeakng_loader

        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = Path(espeakng_loader.get_data_path())
        self.sample_rate = self.library.espeak_Initialize(RETRIEVAL, 0, str(data).encode(), DO_NOT_EXIT)
        if self.sample_rate <= 0:
            raise ValueError(f"espeak-ng: expected a sample rate, got error {self.sample_rate} with data {data}")
        # Breathy variants draw noise, and the library seeds it with the time of day.
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        # ctypes keeps no reference to a callback: without this attribute it would be freed while in use.
        self.callback = CALLBACK(self._collect)
        self.library.espeak_SetSynthCallback(self.callback)
        # Where a variant is missing the library would speak the plain language.
        if not (data / "voices" / "!v" / voice.variant).is_file():
            raise ValueError(f"espeak-ng: expected a variant in {data}/voices/!v, got {voice.variant}")
        name = f"{voice.language}+{voice.variant}"
        self._check(self.library.espeak_SetVoiceByName(name.encode()), f"voice {name}")
        for parameter, value in (
            (RATE, voice.rate),
            (VOLUME, QUIET),
            (PITCH, voice.pitch),
            (PITCH_RANGE, voice.pitch_range),
        ):
            self._check(self.library.espeak_SetParameter(parameter, value, 0), f"parameter {parameter} = {value}")
        self.samples = bytearray()

    def _collect(self, samples: Any, n_samples: int, _events: int | None) -> int:
        """Keep a block of synthesised samples; 0 asks for more."""
        if samples and n_samples > 0:
            self.samples += ctypes.string_at(samples, 2 * n_samples)
        return 0

    @staticmethod
    def _check(status: int, what: str) -> None:
        if status != 0:
            raise ValueError(f"espeak-ng: expected {what} to be accepted, got status {status}")

    def say(self, text: str) -> bytes:
        """Speak a sentence.

        Returns:
            16-bit samples in the byte order of the machine, one channel, at ``sample_rate``.
        """
        self.samples.clear()
        encoded = text.encode() + b"\0"
        size = ctypes.c_size_t(len(encoded))
        self._check(self.library.espeak_Synth(encoded, size, 0, 0, 0, UTF8, None, None), f"text {text!r}")
        self._check(self.library.espeak_Synchronize(), "the end of the sentence")
        return bytes(self.samples)


def main() -> None:
    """Speak the sentences of the job on standard input."""
    job = json.load(sys.stdin)
    sentences = job.pop("sentences")
    speaker = Speaker(Voice(**job))
    for path, text in sentences.items():
        with wave.open(path, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(speaker.sample_rate)
            file.writeframes(speaker.say(text))


if __name__ == "__main__":
    main()
