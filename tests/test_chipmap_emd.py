"""Pictures in the makers' own files: a small Velox EMD written here, and a stand-in for the GPL reader."""

import json
import sys
import types

import numpy as np
import pytest

from chipmap import InputError
from chipmap.read import read_picture

h5py = pytest.importorskip("h5py")
IMAGE = np.random.default_rng(0).integers(0, 4000, (12, 16)).astype(np.uint16)
META = {"Optics": {"AccelerationVoltage": "200000", "FullScanFieldOfView": {"x": "2.7148363970517e-006", "y": "2.7148363970517e-006"}},
        "Scan": {"ScanArea": {"left": "0.482421875", "top": "0.49609375", "right": "0.513671875", "bottom": "0.52734375"}},
        "BinaryResult": {"Detector": "HAADF", "PixelSize": {"width": "5.3024148e-009", "height": "5.3024148e-009"}, "PixelUnitX": "m", "PixelUnitY": "m"}}


def emd(path, frames, meta=META, pictures=1):
    with h5py.File(path, "w") as file:
        for n in range(pictures):
            group = file.create_group(f"Data/Image/{n:032x}")
            group["Data"] = frames
            text = np.zeros((6000, frames.shape[2]), np.uint8)
            raw = np.frombuffer(json.dumps(meta).encode(), np.uint8)
            text[:len(raw)] = raw[:, None]
            group["Metadata"] = text
    return path


def test_a_velox_picture_with_its_metadata(tmp_path):
    got = read_picture(emd(tmp_path / "a.emd", IMAGE[..., None]))
    np.testing.assert_array_equal(got.image, IMAGE)
    assert got.pixel_size_m == (5.3024148e-9, 5.3024148e-9) and got.pixel_size_source == "Velox BinaryResult PixelSize"
    assert (got.instrument["beam_kv"], got.instrument["detector"], got.notes) == (200.0, "HAADF", [])
    assert got.instrument["field_width_m"] == pytest.approx(16 * 5.3024148e-9, rel=1e-4)


def test_frames_are_averaged_and_contradictions_told(tmp_path):
    frames = np.stack([IMAGE, IMAGE + 2], 2)
    got = read_picture(emd(tmp_path / "a.emd", frames, {**META, "Scan": {"ScanArea": {"left": "0", "right": "1"}}}))
    np.testing.assert_array_equal(got.image, IMAGE + np.float32(1))
    assert "mean of 2 frames" in got.notes and any("field width" in note and "5.302 nm" in note for note in got.notes)


def test_bad_emd_files_get_one_sentence(tmp_path):
    with pytest.raises(InputError, match="holds 2 pictures \\(HAADF, HAADF\\)"):
        read_picture(emd(tmp_path / "two.emd", IMAGE[..., None], pictures=2))
    with pytest.raises(InputError, match="no tag of the file gives a pixel size"):
        read_picture(emd(tmp_path / "bare.emd", IMAGE[..., None], {}))
    data = (tmp_path / "bare.emd").read_bytes()
    (tmp_path / "cut.emd").write_bytes(data[:len(data) // 2])
    with pytest.raises(InputError, match="no readable Velox EMD"):
        read_picture(tmp_path / "cut.emd")
    with h5py.File(tmp_path / "none.emd", "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="holds 0 pictures"):
        read_picture(tmp_path / "none.emd")


def reader(monkeypatch, kind, answer):
    fake = types.ModuleType(f"rsciio.{kind}")
    fake.file_reader = answer
    monkeypatch.setitem(sys.modules, "rsciio", types.ModuleType("rsciio"))
    monkeypatch.setitem(sys.modules, f"rsciio.{kind}", fake)


def signal(data, units="nm", title="BSE"):
    axes = [{"name": name, "size": n, "scale": 2.5, "units": units} for name, n in zip("yx", data.shape)]
    return {"data": data, "axes": axes, "metadata": {"General": {"title": title}, "Acquisition_instrument": {"SEM": {"beam_energy": 15.0}}}}


def test_a_makers_file_by_the_opt_in_reader(tmp_path, monkeypatch):
    (tmp_path / "a.bcf").write_bytes(b"not looked at here")
    cube = {**signal(IMAGE), "data": np.zeros((12, 16, 30))}
    reader(monkeypatch, "bruker", lambda path: [signal(IMAGE), cube])
    got = read_picture(tmp_path / "a.bcf")
    np.testing.assert_array_equal(got.image, IMAGE)
    assert got.pixel_size_m == pytest.approx((2.5e-9,) * 2) and "axes" in got.pixel_size_source
    assert (got.instrument["vendor"], got.instrument["beam_kv"], got.instrument["signal"]) == ("Bruker", 15.0, "BSE")
    reader(monkeypatch, "bruker", lambda path: [signal(IMAGE, "")])
    with pytest.raises(InputError, match="no tag of the file"):
        read_picture(tmp_path / "a.bcf")
    reader(monkeypatch, "bruker", lambda path: [signal(IMAGE), signal(IMAGE, title="SE")])
    with pytest.raises(InputError, match=r"holds 2 pictures \(BSE, SE\)"):
        read_picture(tmp_path / "a.bcf")


def test_without_the_reader_the_remedy_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.dm4").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "rsciio.digitalmicrograph", None)
    with pytest.raises(InputError, match="needs rosettasciio .GPL."):
        read_picture(tmp_path / "a.dm4")


def test_the_real_reader_refuses_rubbish_in_one_sentence(tmp_path):
    pytest.importorskip("rsciio")
    for suffix in (".bcf", ".dm3", ".spd"):
        (tmp_path / f"a{suffix}").write_bytes(b"rubbish" * 100)
        with pytest.raises(InputError, match="no readable") as error:
            read_picture(tmp_path / f"a{suffix}")
        assert "\n" not in str(error.value)


def test_the_gpl_reader_is_not_loaded_by_default():
    import subprocess
    code = "import sys, chipmap.read, chipmap.pipeline; sys.exit(any(m.startswith('rsciio') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], env={**__import__("os").environ, "PYTHONPATH": ":".join(sys.path)}).returncode == 0
