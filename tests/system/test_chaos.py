"""A short chaos (tests/chaos/run.py): a few kills of anything, of each way to run Decant; then nothing is lost, twice, or left."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[1] / "chaos" / "run.py"
SEED = "short"  # whom it hits and after which pause; what they are doing then is another matter each time


@pytest.mark.parametrize("layout", ["apart", "served"])
def test_a_short_chaos(layout):
    """In a process of its own, which becomes the parent of whatever loses its own."""
    ended = subprocess.run([sys.executable, RUN, "--kills", "6", "--seed", SEED, "--layout", layout, "--engines", "image pdf", "--settled", "0"],
                           capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-3000:]
    assert "6 kills" in ended.stdout and "0 wrong" in ended.stdout
