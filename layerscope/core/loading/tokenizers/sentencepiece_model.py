"""Converts tokenizer.model, the file of the sentencepiece library, for a checkpoint without tokenizer.json.

The converters of transformers 5 drop the normalizer (`LlamaTokenizer`) or the dummy prefix (the others), so
this module has its own. The result must give the ids of sentencepiece itself on the texts of `probe`.
"""

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers
from transformers import PreTrainedTokenizerFast

from layerscope.core.loading.tokenizers.probe import TEXTS
from layerscope.core.tokenization.literal import encode_literally
from layerscope.core.tokenization.token_ids import CONVERTED
from layerscope.errors import ModelError

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4  # types of a piece, in sentencepiece_model.proto
_BPE = 2  # type of a model; the other one that language models use is unigram
_SPACE = "▁"


def read_sentencepiece(folder: Path, source: str) -> Any:
    """The tokenizer of tokenizer.model with the special tokens and the chat template of the other files.

    Raises: ModelError if the sentencepiece package is missing or the file cannot be converted exactly.
    """
    try:
        from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2
    except ImportError as error:
        raise ModelError(
            f"{source} has a tokenizer.model, but no tokenizer.json: "
            "install the packages sentencepiece and protobuf."
        ) from error
    content = (folder / "tokenizer.model").read_bytes()
    try:
        reference = SentencePieceProcessor(model_proto=content or b"empty")
    except RuntimeError as error:  # Llama 3 has a file of tiktoken with this name
        raise ModelError(
            f"tokenizer.model of {source} is not a file of sentencepiece: "
            "put the tokenizer.json of the model into its folder."
        ) from error
    protocol: Any = sentencepiece_model_pb2  # its classes are made when it is imported
    file = protocol.ModelProto.FromString(content)
    converted = convert(file)
    for text in (*TEXTS, *(f"a {piece.piece}b" for piece in file.pieces if piece.type == _USER_DEFINED)):
        if encode_literally(converted, text, add_special_tokens=False).ids != reference.encode(text):
            raise ModelError(
                f"tokenizer.model of {source} cannot be converted exactly (it differs for {text!r}): "
                "put the tokenizer.json of the model into its folder."
            )
    wrapper: Any = PreTrainedTokenizerFast
    tokenizer = wrapper.from_pretrained(
        folder, tokenizer_object=converted, local_files_only=True, **{CONVERTED: True}
    )
    if file.normalizer_spec.precompiled_charsmap:
        tokenizer.init_kwargs[CONVERTED] = reference  # for `check_normalization`
    for name, token in (("bos_token", reference.bos_id()), ("eos_token", reference.eos_id())):
        if getattr(tokenizer, name) is None and token >= 0:
            setattr(tokenizer, name, file.pieces[token].piece)
    return tokenizer


def convert(file: Any) -> Tokenizer:
    """The tokenizer of a `ModelProto`."""
    bpe = file.trainer_spec.model_type == _BPE
    tokenizer = Tokenizer(_bpe(file) if bpe else _unigram(file))
    tokenizer.normalizer = _normalizer(file.normalizer_spec)
    tokenizer.add_tokens(
        [
            AddedToken(piece.piece, normalized=False, special=piece.type != _USER_DEFINED)
            for piece in file.pieces
            if piece.type in (_UNKNOWN, _CONTROL, _USER_DEFINED)
        ]
    )
    return tokenizer


def _bpe(file: Any) -> models.BPE:
    """sentencepiece merges the two pieces whose concatenation has the best score."""
    ids = {piece.piece: i for i, piece in enumerate(file.pieces)}
    mergeable = {piece.piece for piece in file.pieces if piece.type in (_NORMAL, _USER_DEFINED)}
    merges = [
        (-piece.score, ids[piece.piece], ids[left], ids[right], left, right)
        for piece in file.pieces
        if piece.type == _NORMAL
        for end in range(1, len(piece.piece))
        if (left := piece.piece[:end]) in mergeable and (right := piece.piece[end:]) in mergeable
    ]
    return models.BPE(
        vocab=ids,
        merges=[merge[-2:] for merge in sorted(merges)],
        unk_token=file.pieces[file.trainer_spec.unk_id].piece,
        fuse_unk=True,
        byte_fallback=file.trainer_spec.byte_fallback,
    )


def _unigram(file: Any) -> models.Unigram:
    pieces = [(piece.piece, piece.score) for piece in file.pieces]
    return models.Unigram(pieces, file.trainer_spec.unk_id, file.trainer_spec.byte_fallback)


def _normalizer(spec: Any) -> normalizers.Sequence:
    steps: list[Any] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(_SPACE))
    return normalizers.Sequence([*steps, normalizers.Replace(" ", _SPACE)])
