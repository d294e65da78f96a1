"""The names of the contestants, and the functions that load them."""

ALL_COMPONENTS = "Layerscope, all components"
STUDY_LOOP = "study loop"

# module:function, so that a process imports only the libraries of its own contestant
OURS = {
    STUDY_LOOP: "benchmarks.contestants.transformers_loops:study_loop",
    "output_hidden_states": "benchmarks.contestants.transformers_loops:hidden_states",
    "Layerscope, block": "benchmarks.contestants.layerscope_core:block",
    ALL_COMPONENTS: "benchmarks.contestants.layerscope_core:all_components",
}
PEERS = {
    "TransformerLens": "benchmarks.contestants.peers:transformer_lens",
    "nnsight, causal model": "benchmarks.contestants.peers:nnsight_causal",
    "nnsight, base model": "benchmarks.contestants.peers:nnsight_base",
}
CONTESTANTS = OURS | PEERS
