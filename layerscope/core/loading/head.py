"""The language model head, which only analyses need."""

from safetensors import safe_open
from torch import Tensor, nn

from layerscope.core.loading.matmul import use_onednn
from layerscope.core.model import Model
from layerscope.errors import ModelError
from layerscope.names import MatrixProduct

_NAME = "lm_head.weight"


def load_head(model: Model) -> nn.Linear:
    """The head: normed residual (…, D) → logits of the next token (…, V), V the size of the vocabulary.

    Takes V · D numbers of memory, unless the head is tied to the embedding and PyTorch's own product is used
    (oneDNN needs a reordered copy).

    Raises: ModelError if the head is not tied and is not in the files of the model.
    """
    weight = read_head(model)
    head = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    head.weight = nn.Parameter(weight, requires_grad=False)
    if model.matmul == MatrixProduct.ONEDNN:
        use_onednn(head)
    return head


def read_head(model: Model) -> Tensor:
    """The weights of the head, (V, D) in the dtype and on the device of the model.

    A tied head is the embedding itself; any other head is read from the files of the model now.

    Raises: ModelError if the head is neither tied nor in the files, or if its shape is not the embedding's.
    """
    embedding: Tensor = model.module.embed_tokens.weight.detach()
    for path in sorted(model.folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            stored = file.keys()  # the file object does not support `in`
            if _NAME in stored:
                head = file.get_tensor(_NAME).to(model.device, embedding.dtype)
                return _with_shape_of(embedding, head, model.source)
    if not model.module.config.tie_word_embeddings:
        raise ModelError(
            f"The weights of {model.source} are incomplete ({_NAME} is missing): download them again."
        )
    return embedding


def _with_shape_of(embedding: Tensor, head: Tensor, source: str) -> Tensor:
    """On CUDA, a token id beyond the rows of the head would end the process."""
    if head.shape != embedding.shape:
        found, expected = tuple(head.shape), tuple(embedding.shape)
        raise ModelError(f"{_NAME} of {source} has shape {found} instead of {expected}: download it again.")
    return head
