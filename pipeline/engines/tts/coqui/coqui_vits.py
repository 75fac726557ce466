"""A VITS of Coqui's as plain functions that block: sentences to frames, frames to samples, in batches.

Only imported in the environment that has Coqui.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from TTS.config import load_config
from TTS.tts.models.vits import Vits
from TTS.tts.utils.helpers import generate_path, sequence_mask

from pipeline.engines.tts.coqui.coqui_engine import CoquiFrames, SentenceWork, Sound, WindowWork
from pipeline.engines.tts.coqui.coqui_phonemes import PHONEMIZER, Pronunciation, use_in_process_espeak
from pipeline.engines.tts.voice_windows import WindowPiece, without_long_pauses
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.languages import language_tag

_MARGINS: Final = (24, 34, 48, 64, 96)
_TOLERANCE: Final = 1e-4
"""Of full scale 1.0, as for Piper: -80 dB."""
_STEP: Final = 8
"""Windows are made longer to a multiple of so many frames: a GPU likes to see the same sizes again."""


class VitsVoice:
    """A loaded network. On a CPU it may be used from several threads."""

    def __init__(self, checkpoint: Path, config: Path, name: str, device: str) -> None:
        """`name`: what a voice without speakers is called."""
        use_in_process_espeak()
        model_config = load_config(str(config))
        if model_config.model_args.encoder_sample_rate:
            raise UnusableWeights(f"{config}: a VITS whose frames are interpolated cannot be streamed here.")
        if model_config.use_phonemes and not model_config.phonemizer:
            model_config.phonemizer = PHONEMIZER
        named = model_config.phoneme_language if model_config.use_phonemes else None
        self._language: str | None = language_tag(named) if named else None
        self._model: Any = Vits(model_config)
        self._model.load_checkpoint(model_config, str(checkpoint), eval=True)
        self._model.to(device)
        self._device = torch.device(device)
        self.sample_rate = int(model_config.audio.sample_rate)
        self.hop = int(model_config.audio.hop_length)
        """Samples of one frame."""
        self._speakers: dict[str, int | None] = _speakers(self._model) or {name: None}
        self._pronunciation = Pronunciation(self._model.tokenizer, self._language)
        self._margin = self._measured_margin()

    @property
    def voices(self) -> tuple[str, ...]:
        return tuple(self._speakers)

    @property
    def languages(self) -> Mapping[str, tuple[str, ...]]:
        """By its phonemes; a voice of letters does not say what it speaks."""
        return dict.fromkeys(self.voices, (self._language,) if self._language else ())

    def pronounce(self, text: str) -> list[WindowPiece]:
        """See `Pronunciation.pronounce`."""
        return self._pronunciation.pronounce(text)

    def frames(self, asked: Sequence[SentenceWork]) -> list[CoquiFrames]:
        """Say how long every phoneme is and sample the latents, of all sentences together."""
        with torch.inference_mode():
            return self._frames(asked)

    def samples(self, asked: Sequence[WindowWork]) -> list[Sound]:
        """The sound of each window, exactly as in the decoded whole, whatever it is decoded together with."""
        with torch.inference_mode():
            return self._samples(asked)

    def _frames(self, asked: Sequence[SentenceWork]) -> list[CoquiFrames]:
        model, device = self._model, self._device
        lengths = torch.tensor([len(one.sentence.ids) for one in asked], device=device)
        ids = torch.zeros((len(asked), int(lengths.max())), dtype=torch.long)
        for row, one in zip(ids, asked, strict=True):
            row[: len(one.sentence.ids)] = torch.tensor(one.sentence.ids)
        speaker = self._speaker([one.voice for one in asked])
        hidden, mean, log_scale, mask = model.text_encoder(ids.to(device), lengths, lang_emb=None)
        slowness = torch.tensor([model.length_scale / one.speed for one in asked], device=device)
        durations = torch.ceil(
            torch.exp(self._log_durations(hidden, mask, speaker)) * mask * slowness[:, None, None]
        )
        counts = durations.sum((1, 2)).clamp_min(1).long()
        frame_mask = sequence_mask(counts, None).to(mask.dtype).unsqueeze(1)
        path = generate_path(durations.squeeze(1), (mask * frame_mask.transpose(1, 2)).transpose(1, 2))
        mean, log_scale = mean @ path, log_scale @ path
        noise = torch.randn_like(mean) * torch.exp(log_scale) * model.inference_noise_scale
        latent = model.flow(mean + noise, frame_mask, g=speaker, reverse=True) * frame_mask
        per_id = durations.squeeze(1).float().cpu().numpy()
        made = []
        for at, one in enumerate(asked):
            kept, left = without_long_pauses(
                one.sentence,
                per_id[at, : len(one.sentence.ids)],
                speed=one.speed,
                hop_ms=1_000 * self.hop / self.sample_rate,
                at_marks={},
            )
            known = latent[at, :, : int(counts[at])][:, torch.from_numpy(kept).to(device)]
            made.append(CoquiFrames(known, None if speaker is None else speaker[at], left))
        return made

    def _samples(self, asked: Sequence[WindowWork]) -> list[Sound]:
        spans = [
            (max(0, one.start - self._margin), min(one.frames.count, one.end + self._margin)) for one in asked
        ]
        longest = max(last - first for first, last in spans)
        if len(asked) > 1:
            longest = -(-longest // _STEP) * _STEP
        latents = torch.zeros((len(asked), asked[0].frames.latent.shape[0], longest), device=self._device)
        for row, one, (first, last) in zip(latents, asked, spans, strict=True):
            row[:, : last - first] = one.frames.latent[:, first:last]
        speaker = None
        if asked[0].frames.speaker is not None:
            speaker = torch.stack([one.frames.speaker for one in asked])
        decoded = self._model.waveform_decoder(latents, g=speaker)[:, 0].float().cpu().numpy()
        return [
            sound[(one.start - first) * self.hop : (one.end - first) * self.hop]
            for sound, one, (first, _) in zip(decoded, asked, spans, strict=True)
        ]

    def _log_durations(self, hidden: Any, mask: Any, speaker: Any) -> Any:
        model = self._model
        if not model.args.use_sdp:
            return model.duration_predictor(hidden, mask, g=speaker, lang_emb=None)
        return model.duration_predictor(
            hidden,
            mask,
            g=speaker if model.args.condition_dp_on_speaker else None,
            reverse=True,
            noise_scale=model.inference_noise_scale_dp,
            lang_emb=None,
        )

    def _speaker(self, voices: Sequence[str]) -> Any:
        numbers = [self._speakers[voice] for voice in voices]
        if None in numbers:
            return None
        return self._model.emb_g(torch.tensor(numbers, device=self._device)).unsqueeze(-1)

    def _measured_margin(self) -> int:
        """The smallest number of frames to both sides with which a window sounds as in the whole."""
        total, start, end = 240, 110, 130
        noise = np.random.default_rng(0).standard_normal((self._model.args.hidden_channels, total))
        speaker = self._speaker(self.voices[:1])
        latent = torch.from_numpy(noise.astype(np.float32)).to(self._device)
        frames = CoquiFrames(latent, None if speaker is None else speaker[0], np.zeros(0, np.float32))
        self._margin = 0
        (whole,) = self.samples([WindowWork(frames, 0, total)])
        wanted = whole[start * self.hop : end * self.hop]
        for before, self._margin in pairwise((0, *_MARGINS)):
            (window,) = self.samples([WindowWork(frames, start, end)])
            if before < self._margin and np.max(np.abs(window - wanted)) < _TOLERANCE:
                return self._margin
        raise UnusableWeights(
            "The voice's decoder looks further than its windows can; it cannot be streamed."
        )


def _speakers(model: Any) -> dict[str, int | None]:
    """The speakers that the network knows by number; empty: it has one voice."""
    if not model.args.use_speaker_embedding:
        if model.args.use_d_vector_file:
            raise UnusableWeights("A VITS with speaker vectors in a file is not supported; use its ids.")
        return {}
    return {str(name): int(number) for name, number in model.speaker_manager.name_to_id.items()}
