import torch

from layerscope.core.transfer import download, upload


def test_upload_and_download() -> None:
    there = upload([3, 1, 2], "cpu")
    assert (there.dtype, there.tolist()) == (torch.int64, [3, 1, 2])
    assert download(there).wait() is there
    if torch.cuda.is_available():
        assert download(upload([3, 1, 2], "cuda:0") * 2).wait().tolist() == [6, 2, 4]
