"""Export a Hugging Face model, by id or directory, into a model directory. Runs in the `export` environment.

.venv-export/bin/python models/export.py sentence-transformers/all-MiniLM-L6-v2 .cache/models/exported
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
from pathlib import Path

from huggingface_hub import snapshot_download
from onnxruntime.quantization import QuantType, quantize_dynamic
from optimum.exporters.onnx import main_export
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules

from stream_engine.encoder import known
from stream_engine.encoder.fetch import fetch, obtain, read_pooling
from stream_engine.encoder.manifest import GRAPH, TOKENIZER, Golden, Manifest, Pooling, digest, save
from stream_engine.errors import StreamEngineError

MODES: dict[Pooling, str] = {"mean": "mean", "cls": "cls", "last": "lasttoken"}
SENTENCES = [one.text for one in known.DEFAULT.golden]


def main() -> int:
    """Make the directory, once it gives what sentence-transformers gives; else say what is wrong."""
    arguments = _parse()
    if arguments.destination.exists():
        print(f"{arguments.destination} is there already: remove it to export again")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        weights, product = Path(scratch, "weights"), Path(scratch, "model")
        weights.mkdir()
        product.mkdir()
        try:
            _export(arguments, _find(arguments, weights), product)
            fetch(arguments.model, arguments.destination, source=product)
        except StreamEngineError as error:
            print(error)
            return 1
    return 0


def _find(arguments: argparse.Namespace, weights: Path) -> Path:
    if Path(arguments.model).is_dir():
        return Path(arguments.model)
    if known.find(arguments.model):
        obtain(arguments.model, None, weights, print)
        return weights
    return Path(snapshot_download(arguments.model, revision=arguments.revision))


def _export(arguments: argparse.Namespace, source: Path, product: Path) -> None:
    model = known.find(arguments.model)
    pooling = arguments.pooling or read_pooling(source)
    reference = open_reference(source, pooling)
    reference.max_seq_length = arguments.max_length
    export(source, product, int8=arguments.int8)
    manifest = Manifest(
        id=arguments.id or (model.id if model else arguments.model),
        revision=revision(source),
        dimensions=reference.get_embedding_dimension(),
        pooling=pooling,
        max_length=arguments.max_length,
        prefix=arguments.prefix,
        precision="int8" if arguments.int8 else "fp32",
        licence=arguments.licence,
        files={name: digest(product / name) for name in (GRAPH, TOKENIZER)},
        golden=golden(reference, arguments.prefix),
    )
    save(manifest, product)
    print(f"{arguments.destination}: {manifest.fingerprint}")


def export(source: Path, destination: Path, *, int8: bool = False) -> None:
    """Put the graph and the tokenizer into `destination`; the graph pools where the source has `modules.json`."""
    library = "sentence_transformers" if (source / "modules.json").is_file() else "transformers"
    with tempfile.TemporaryDirectory(dir=destination) as scratch:
        main_export(str(source), scratch, task="feature-extraction", library_name=library)
        if int8:  # the presets (avx2, avx512_vnni) lose too much: cosine .963 against .992
            quantize_dynamic(
                Path(scratch, GRAPH),
                destination / GRAPH,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
            )
        else:
            shutil.move(Path(scratch, GRAPH), destination / GRAPH)
        published = source / TOKENIZER  # as it was published, not as transformers writes it again
        shutil.copyfile(published if published.is_file() else Path(scratch, TOKENIZER), destination / TOKENIZER)


def open_reference(source: Path, pooling: Pooling) -> SentenceTransformer:
    """The same model in torch; `pooling` counts where the source has no `modules.json`."""
    if (source / "modules.json").is_file():
        return SentenceTransformer(str(source), device="cpu")
    states = modules.Transformer(str(source))
    pool = modules.Pooling(states.get_embedding_dimension(), pooling_mode=MODES[pooling])
    return SentenceTransformer(modules=[states, pool], device="cpu")


def revision(source: Path) -> str:
    """A short hash of the weights: equal for equal weights, wherever they came from."""
    files = sorted(source.glob("*.safetensors")) or sorted(source.glob("pytorch_model*.bin"))
    if len(files) == 1:
        return digest(files[0])[:12]
    return hashlib.sha256("".join(digest(file) for file in files).encode()).hexdigest()[:12]


def golden(reference: SentenceTransformer, prefix: str) -> tuple[Golden, ...]:
    """The first components of some sentences' vectors, as sentence-transformers gives them."""
    rows = reference.encode([prefix + text for text in SENTENCES], normalize_embeddings=True)
    return tuple(
        Golden(text, tuple(round(float(x), 5) for x in row[:8])) for text, row in zip(SENTENCES, rows, strict=True)
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="an id of the Hugging Face hub, or a directory of its layout")
    parser.add_argument("destination", type=Path, help="the directory to make")
    parser.add_argument("--id", help="the name to go by; default: MODEL")
    parser.add_argument("--revision", help="of the hub; default: the newest")
    parser.add_argument("--pooling", choices=["mean", "cls", "last"], help="default: what the model says")
    parser.add_argument("--prefix", default="", help="put before every text, e.g. 'query: '")
    parser.add_argument("--max-length", type=int, default=64, help="tokens; longer texts are cut")
    parser.add_argument("--licence", default="unknown")
    parser.add_argument(
        "--int8", action="store_true", help="a quarter of the size, 1.3-1.5 times the speed, cosine .992"
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
