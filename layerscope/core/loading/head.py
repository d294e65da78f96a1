"""The language model head, which only analyses need."""

import torch
from safetensors import safe_open
from torch import Tensor, nn

from layerscope.core.families import FAMILIES
from layerscope.core.loading.checks.weights import stored_tensors, weight_files
from layerscope.core.loading.matmul import use_onednn
from layerscope.core.model import Model
from layerscope.errors import ModelError
from layerscope.names import MatrixProduct

_NAME = "lm_head.weight"
_BIAS = "lm_head.bias"


def load_head(model: Model) -> nn.Linear:
    """The head: normed residual (…, D) → logits of the next token (…, V), V the size of the vocabulary.

    Takes V · D numbers of memory, unless the head is tied to the embedding and PyTorch's own product is used
    (oneDNN needs a reordered copy). In families that scale or cap the logits the head does so, too.

    Raises: ModelError if the head is not tied and is not in the files of the model, or if it has a bias.
    """
    weight = read_head(model)
    head = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    head.weight = nn.Parameter(weight, requires_grad=False)
    if model.matmul == MatrixProduct.ONEDNN:
        use_onednn(head)
    _scale_and_cap(head, model)
    return head


def _scale_and_cap(head: nn.Linear, model: Model) -> None:
    """Lets the head return the logits that the model with a head returns, rounded as there."""
    family = FAMILIES[model.module.config.model_type]
    if family.logit_divisor is not None:
        divisor = getattr(model.module.config, family.logit_divisor)
        head.register_forward_hook(lambda _head, _args, logits: logits / divisor)
    if family.logit_cap is None:
        return
    cap = getattr(model.module.config, family.logit_cap)
    if cap is not None:
        head.register_forward_hook(lambda _head, _args, logits: torch.tanh(logits / cap) * cap)


def read_head(model: Model) -> Tensor:
    """The weights of the head, (V, D) in the dtype and on the device of the model.

    Read now from the files that contain the other weights. If there is none, a tied head is the embedding
    itself. (transformers also prefers the files if the configuration says that the head is tied.)

    Raises: ModelError if the head is neither tied nor in the files, if its shape is not the embedding's, or
        if it has a bias, which transformers ignores.
    """
    embedding: Tensor = model.module.embed_tokens.weight.detach()
    stored = stored_tensors(model.source, weight_files(model.source, model.folder))
    if _BIAS in stored:
        raise ModelError(
            f"The weights of {model.source} contain {_BIAS}, which transformers ignores, so the predictions "
            "would be those of another model: choose no analysis of the predictions."
        )
    if _NAME in stored:
        with safe_open(stored[_NAME].file, "pt") as file:
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
