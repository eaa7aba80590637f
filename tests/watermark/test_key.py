"""What a key gives: the same everywhere and always, random signs, and every carrier for one purpose."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from gen.watermark import frame, key
from gen.watermark.key import BLOCKS, SYNC_SHARE, carriers

OWNER = key(b"the secret of the tests")


def test_the_carriers_are_those_of_the_first_version():  # else no mark that was made before is found again
    known = carriers(OWNER, 64)
    signs = (known.signs.real + 2 * known.signs.imag).astype(np.int8).tobytes()
    order = np.concatenate(known.order).astype("<i4").tobytes()
    digest = hashlib.sha256(signs + known.sync.tobytes() + order).hexdigest()
    assert digest[:16] == "8c79653816751869"


@pytest.mark.parametrize("size", frame.SIZES)
def test_every_carrier_of_the_band_has_one_purpose(size):
    known, band = carriers(OWNER, size), frame.band(size)
    np.testing.assert_array_equal(np.abs(known.signs.real), band)
    np.testing.assert_array_equal(np.abs(known.signs.imag), band)
    used = np.concatenate([np.flatnonzero(known.sync) + part * band.size for part in (0, 1)] + list(known.order))
    assert len(known.order) == len(BLOCKS[size])
    np.testing.assert_array_equal(np.sort(used), np.flatnonzero(np.stack([band, band])))
    assert known.sync.sum() == round(SYNC_SHARE[size] * band.sum())


def test_signs_of_keys_and_sizes_are_unrelated():
    def fit(a, b):
        return float(np.sum(a.real * b.real + a.imag * b.imag) / np.sqrt(np.sum(np.abs(a) ** 2)))

    signs = [carriers(key(b"one of many secrets, %d" % i), 256).signs for i in range(20)]
    others = [fit(signs[i], signs[j]) for i in range(20) for j in range(i)]
    assert np.std(others) == pytest.approx(1, abs=0.2)  # as of independent signs
    assert max(map(abs, others)) < 4.5
    assert abs(fit(signs[0][:, :33], np.resize(carriers(key(b"one of many secrets, 0"), 64).signs, (256, 33)))) < 4.5
