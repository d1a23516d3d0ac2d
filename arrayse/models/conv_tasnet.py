"""Conv-TasNet: a mask on a learned encoding of the wave, by dilated convolutions over time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, get_args

import torch
from annotated_types import Ge, MultipleOf
from torch import Tensor, nn

from arrayse.models.waveform import Analysis, Synthesis
from arrayse.taps import Taps

EPS = 1e-12
"""Added to variances."""

Norm = Literal["gLN", "cLN"]

BlockState = tuple[Tensor, Tensor, Tensor]
"""Statistics of the first norm, past frames of the depthwise convolution, statistics of the second norm."""

State = tuple[Tensor, Tensor, Tensor, tuple[BlockState, ...]]
"""Past samples, unfinished samples, statistics of the input norm, states of the blocks."""


class ConvTasNet(nn.Module):
    """Encoder, masks from a temporal convolutional network, decoder; one estimated source.

    Luo and Mesgarani, "Conv-TasNet: Surpassing Ideal Time-Frequency Magnitude Masking for Speech Separation",
    IEEE/ACM TASLP 27 (2019). The encoder is linear and the mask is bounded to (0, 1) by a sigmoid. As in the
    implementations with the known numbers of parameters, convolutions have no bias, every PReLU has one weight,
    and there are no skip paths: the mask is made from the output of the last block.

    Several microphones: the filters of the encoder are widened to all of them and summed, the network sees
    the sum, and the mask multiplies the part of the reference microphone. With one microphone this is the
    published network.

    Args:
        n_mics: microphones that the network hears.
        ref_channel: which of them the estimate belongs to.
        n_filters: filters of the encoder (N).
        win_length: samples of a filter (L); the hop is half of it.
        bottleneck: channels between the blocks (B).
        hidden: channels within a block (H).
        kernel_size: frames of a depthwise convolution (P).
        n_blocks: blocks per repeat (X), with dilations 1, 2, 4, ...
        n_repeats: repeats (R).
        norm: ``gLN`` normalises over channels and the whole utterance, ``cLN`` over channels and the frames so far.
        causal: whether convolutions see past frames only; needs ``cLN``.

    Raises:
        ValueError: an unknown norm, a causal network with gLN, an odd win_length, a ref_channel that is not heard.
    """

    domain = "time"

    def __init__(
        self,
        n_mics: int,
        ref_channel: int,
        n_filters: Annotated[int, Ge(1)] = 512,
        win_length: Annotated[int, Ge(2), MultipleOf(2)] = 16,
        bottleneck: Annotated[int, Ge(1)] = 128,
        hidden: Annotated[int, Ge(1)] = 512,
        kernel_size: Annotated[int, Ge(1)] = 3,
        n_blocks: Annotated[int, Ge(1)] = 8,
        n_repeats: Annotated[int, Ge(1)] = 3,
        norm: Norm = "gLN",
        causal: bool = False,
    ) -> None:
        super().__init__()
        if norm not in get_args(Norm):
            raise ValueError(f"norm: expected one of {', '.join(get_args(Norm))}, got {norm}")
        if causal and norm == "gLN":
            raise ValueError("norm: expected cLN for a causal network, got gLN, which needs the whole utterance")
        if win_length % 2:
            raise ValueError(f"win_length: expected an even number of samples, got {win_length}")
        if not 0 <= ref_channel < n_mics:
            raise ValueError(f"ref_channel: expected one of {n_mics} microphones from 0, got {ref_channel}")
        self.n_mics, self.ref_channel, self.causal, self.n_blocks = n_mics, ref_channel, causal, n_blocks
        self.block_samples = win_length // 2
        self.delay_samples = win_length - self.block_samples
        self.analysis = Analysis(n_mics, n_filters, win_length, self.block_samples)
        self.norm = build_norm(norm, n_filters)
        self.bottleneck = nn.Conv1d(n_filters, bottleneck, 1, bias=False)
        self.blocks = nn.ModuleList(
            Block(bottleneck, hidden, kernel_size, 2**position, norm, causal)
            for _ in range(n_repeats)
            for position in range(n_blocks)
        )
        self.mask = nn.Conv1d(bottleneck, n_filters, 1, bias=False)
        self.synthesis = Synthesis(n_filters, win_length, self.block_samples)
        middle = {f"mid_{repeat + 1}": bottleneck for repeat in range(n_repeats)}
        self.tap_channels = {"encoder_1": n_filters, **middle, "encoder_mask": n_filters}
        self.output_taps: dict[str, str] = {}

    def forward(self, wave: Tensor, taps: Taps) -> Tensor:
        """Enhances whole utterances.

        Args:
            wave: (batch, n_mics, n_samples), at least one sample.
            taps: receives ``encoder_1`` (the encoding of all microphones), ``mid_1`` to ``mid_R`` (what each repeat
                leaves) and ``encoder_mask``, each (batch, channel, 1, frame).

        Returns:
            (batch, n_samples) at the reference microphone.

        Raises:
            ValueError: another number of microphones, or no samples.
        """
        n_batch, n_samples = wave.shape[0], wave.shape[-1]
        padded = self.analysis.pad_end(wave)
        estimate, _ = self._run(padded, taps, self.initial_state(n_batch, wave.device))
        return estimate[:, self.delay_samples :][:, :n_samples]

    def initial_state(self, n_batch: int, device: torch.device) -> State:
        """State before the first sample."""
        blocks = tuple(block.initial_state(n_batch, device) for block in self._blocks())
        past, tail = self.analysis.initial_state(n_batch, device), self.synthesis.initial_state(n_batch, device)
        return past, tail, nothing_seen(n_batch, device), blocks

    def step(self, wave: Tensor, state: State) -> tuple[Tensor, State]:
        """Enhances the next samples of a stream; chained steps equal :meth:`forward`, ``delay_samples`` later.

        Args:
            wave: (batch, n_mics, a multiple of ``block_samples``).
            state: what the step before returned.

        Returns:
            (batch, n_samples) and the state after the last sample.

        Raises:
            ValueError: the network is not causal, another number of microphones, or samples that fill no blocks.
        """
        if not self.causal:
            raise ValueError("step: expected a causal network, got one whose convolutions see later frames")
        return self._run(wave, Taps(), state)

    def macs(self, n_samples: int) -> int:
        """Multiply-accumulates of one utterance: every weight is used once per frame; norms and PReLUs cost none."""
        weights = sum(parameter.numel() for parameter in self.parameters() if parameter.ndim > 1)
        reference = 0 if self.n_mics == 1 else self.analysis.conv.weight[:, 0].numel()
        return self.analysis.n_frames(n_samples) * (weights + reference)

    def _run(self, wave: Tensor, taps: Taps, state: State) -> tuple[Tensor, State]:
        past, tail, seen, block_states = state
        joined, past = self.analysis.join(wave, past)
        encoding = self.analysis(joined)
        taps.keep("encoder_1", encoding[:, :, None])
        reference = encoding if self.n_mics == 1 else self.analysis.channel(joined, self.ref_channel)
        x, seen = self.norm(encoding, seen)
        x = self.bottleneck(x)
        new_states: list[BlockState] = []
        for index, (block, block_state) in enumerate(zip(self._blocks(), block_states, strict=True), start=1):
            x, new_state = block(x, block_state)
            new_states.append(new_state)
            if index % self.n_blocks == 0:
                taps.keep(f"mid_{index // self.n_blocks}", x[:, :, None])
        with torch.autocast(x.device.type, enabled=False):  # 16 bits would leave -48 dB of error in the mask
            mask = torch.sigmoid(self.mask(x.to(self.mask.weight.dtype)))
        taps.keep("encoder_mask", mask[:, :, None])
        estimate, tail = self.synthesis(mask * reference, tail)
        return estimate, (past, tail, seen, tuple(new_states))

    def _blocks(self) -> Iterable[Block]:
        return (block for block in self.blocks if isinstance(block, Block))


class Block(nn.Module):
    """1×1 convolution, PReLU, norm, dilated depthwise convolution, PReLU, norm, 1×1 convolution, added to the input.

    Args:
        channels: channels of input and output.
        hidden: channels in between.
        kernel_size: frames of the depthwise convolution.
        dilation: frames between its weights.
        norm: ``gLN`` or ``cLN``.
        causal: whether it sees past frames only; else as many later ones as past ones (of an odd number, one less).
    """

    def __init__(self, channels: int, hidden: int, kernel_size: int, dilation: int, norm: Norm, causal: bool) -> None:
        super().__init__()
        self.hidden = hidden
        others = (kernel_size - 1) * dilation
        self.n_future = 0 if causal else others // 2
        self.n_past = others - self.n_future
        self.expand = nn.Conv1d(channels, hidden, 1, bias=False)
        self.prelu_1, self.norm_1 = nn.PReLU(), build_norm(norm, hidden)
        self.depthwise = nn.Conv1d(hidden, hidden, kernel_size, dilation=dilation, groups=hidden, bias=False)
        self.prelu_2, self.norm_2 = nn.PReLU(), build_norm(norm, hidden)
        self.contract = nn.Conv1d(hidden, channels, 1, bias=False)

    def initial_state(self, n_batch: int, device: torch.device) -> BlockState:
        """State before the first frame."""
        past = torch.zeros(n_batch, self.hidden, self.n_past, device=device)
        return nothing_seen(n_batch, device), past, nothing_seen(n_batch, device)

    def forward(self, x: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """(batch, channels, frame) → the same shape, and the state after the last frame."""
        seen_1, past, seen_2 = state
        y, seen_1 = self.norm_1(self.prelu_1(self.expand(x)), seen_1)
        n_batch, _, n_frames = y.shape
        joined = torch.cat([past.to(y.dtype), y, y.new_zeros(n_batch, self.hidden, self.n_future)], dim=-1)
        past = joined[..., n_frames : n_frames + self.n_past].clone()  # a view would keep all of joined
        y = self.depthwise(joined)
        y, seen_2 = self.norm_2(self.prelu_2(y), seen_2)
        return x + self.contract(y), (seen_1, past, seen_2)


class GlobalNorm(nn.Module):
    """gLN: every item normalised over channels and frames, then a gain and an offset per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels, eps=EPS)

    def forward(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channel, frame) → the same shape; nothing is remembered."""
        return self.norm(x), seen


class CumulativeNorm(nn.Module):
    """cLN: every frame normalised over channels and the frames up to it, then a gain and an offset per channel.

    The statistics are 64-bit means: sums, or a count in 32 bits, which stops at 2²⁴ frames, would drift in streams
    that run for hours.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Normalises the next frames of a stream.

        Args:
            x: (batch, channel, frame).
            seen: (3, batch, 1), 64 bits: frames so far, mean and mean square over them.

        Returns:
            (batch, channel, frame), at least 32 bits, and the statistics with these frames.
        """
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        mean = x.mean(dim=1, keepdim=True)
        variance = (x - mean).square().mean(dim=1).double()  # b t; var_mean is many times slower
        mean = mean[:, 0].double()
        n_before, mean_before, square_before = seen
        counts = n_before + torch.arange(1, x.shape[-1] + 1, device=x.device)
        means = mean_before + (mean - mean_before).cumsum(-1) / counts
        squares = square_before + (variance + mean.square() - square_before).cumsum(-1) / counts
        variances = (squares - means.square()).clamp(min=0)
        scale = (variances + EPS).rsqrt().where(variances > 0, 0.0)  # gains of silence, 10⁴ per norm, overflow backward
        y = (x - means[:, None].to(x.dtype)) * scale[:, None].to(x.dtype)
        seen = torch.stack([counts[:, -1:], means[:, -1:], squares[:, -1:]])
        return y * self.weight[:, None] + self.bias[:, None], seen


def build_norm(norm: Norm, channels: int) -> GlobalNorm | CumulativeNorm:
    """The norm of a name."""
    return GlobalNorm(channels) if norm == "gLN" else CumulativeNorm(channels)


def nothing_seen(n_batch: int, device: torch.device) -> Tensor:
    """Statistics of :class:`CumulativeNorm` before the first frame."""
    return torch.zeros(3, n_batch, 1, dtype=torch.float64, device=device)
