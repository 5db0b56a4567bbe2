"""Golden outputs of the published implementation of each model family: `transformers`, on the CPU, in single precision.

    python3 -m venv target/golden && target/golden/bin/pip install -r gpu-verifier/tests/golden/requirements.txt
    target/golden/bin/python gpu-verifier/tests/golden/make.py            # writes *.json beside this file
    target/golden/bin/python gpu-verifier/tests/golden/make.py --check    # compares with what is there

Weights are not stored: they follow from the seed by the rule in `src/testmodel.rs`, written here a second time. Names and
shapes of tensors are those of `transformers`' own modules, so that they are compared too. The Rust test `golden` makes the
same weights, runs the same tokens, and compares.
"""

import argparse
import hashlib
import json
import pathlib
import sys

import numpy
import torch
import transformers

SEED = 11
TOKENS = 40
ROWS = [0, 1, 7, 8, 9, 20, 31, 39]

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 288,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "torch_dtype": "bfloat16",
}
QWEN2 = LLAMA | {
    "architectures": ["Qwen2ForCausalLM"],
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 3,
}
QWEN3 = QWEN2 | {"architectures": ["Qwen3ForCausalLM"], "head_dim": 32, "attention_bias": False, "rope_scaling": None}

CASES = {
    "llama": LLAMA,
    "llama_one_kv_head": LLAMA | {"num_key_value_heads": 1, "rope_scaling": None},
    "llama_biases_and_head_dim": LLAMA
    | {"attention_bias": True, "mlp_bias": True, "head_dim": 24, "num_key_value_heads": 4},
    "llama_tied_linear": LLAMA | {"tie_word_embeddings": True, "rope_scaling": {"type": "linear", "factor": 4.0}},
    "llama_dynamic": LLAMA | {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
    "llama_llama3": LLAMA
    | {
        "head_dim": 32,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "llama_yarn_in_full": LLAMA
    | {
        "head_dim": 32,
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 4.0,
            "attention_factor": 1.3,
            "beta_fast": 16.0,
            "beta_slow": 2.0,
            "original_max_position_embeddings": 128,
            "truncate": False,
        },
    },
    "qwen2": QWEN2 | {"tie_word_embeddings": True},
    "qwen2_window": QWEN2 | {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "qwen2_yarn": QWEN2
    | {
        "rope_theta": 10000.0,
        "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128},
    },
    "qwen3": QWEN3,
    "qwen3_tied": QWEN3 | {"tie_word_embeddings": True, "num_key_value_heads": 4},
    "qwen3_biases_and_layer_types": QWEN3
    | {
        "attention_bias": True,
        "use_sliding_window": True,
        "sliding_window": 5,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    # As newer files write it; translated below for the version that runs here.
    "qwen3_rope_parameters": {k: v for k, v in QWEN3.items() if k not in ("rope_theta", "rope_scaling")}
    | {
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": 2.0,
            "original_max_position_embeddings": 256,
        }
    },
}

GAINS = [("lm_head", 2.5), ("q_proj", 1.4), ("k_proj", 1.4), ("o_proj", 1.5), ("gate_proj", 1.5), ("up_proj", 1.5)]


def stream(layers: int, name: str, count: int) -> numpy.ndarray:
    """`count` outputs of SplitMix64, seeded by the tensor's name."""
    digest = hashlib.sha256(f"tandem test model/{SEED}/{layers}/{name}".encode()).digest()
    start = int.from_bytes(digest[:8], "big")
    u64 = numpy.uint64
    with numpy.errstate(over="ignore"):
        z = u64(start) + numpy.arange(1, count + 1, dtype=u64) * u64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> u64(30))) * u64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> u64(27))) * u64(0x94D049BB133111EB)
        return z ^ (z >> u64(31))


def tensor(layers: int, name: str, shape: torch.Size) -> torch.Tensor:
    f32 = numpy.float32
    z = stream(layers, name, shape.numel())
    if len(shape) == 1 and not name.endswith(".bias"):
        values = f32(0.5) + (z >> numpy.uint64(48)).astype(f32) / f32(65536)
    else:
        lanes = [(z >> numpy.uint64(16 * lane)) & numpy.uint64(0xFFFF) for lane in range(4)]
        total = sum(lane.astype(numpy.int64) for lane in lanes) - 131070
        if name == "model.embed_tokens.weight":
            deviation = f32(1)
        elif len(shape) == 1:
            deviation = f32(0.5)
        else:
            gain = next((gain for part, gain in GAINS if part in name), 1.0)
            deviation = f32(gain) / numpy.sqrt(f32(shape[1]))
        values = total.astype(f32) / f32(37837) * deviation
    assert values.dtype == f32
    return torch.from_numpy(values).reshape(shape).to(torch.bfloat16).to(torch.float32)


def load(config: dict) -> torch.nn.Module:
    fields = dict(config)
    if newer := fields.pop("rope_parameters", None):
        newer = dict(newer)
        fields["rope_theta"] = newer.pop("rope_theta")
        fields["rope_scaling"] = newer
    del fields["torch_dtype"]
    family = fields["architectures"][0].removesuffix("ForCausalLM")
    made = getattr(transformers, family + "Config")(**fields)
    made._attn_implementation = "eager"
    model = getattr(transformers, family + "ForCausalLM")(made).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensor(config["num_hidden_layers"], name, parameter.shape))
    return model


def run(config: dict) -> dict:
    tokens = [256] + [(i * 2654435761 + 40503 >> 7) % 256 for i in range(1, TOKENS)]
    model = load(config)
    with torch.no_grad():
        hidden = model.model(torch.tensor([tokens]), use_cache=False).last_hidden_state[0]
        assert hidden.dtype == torch.float32
        rounded = hidden.to(torch.bfloat16)
        # What is committed is rounded, and logits are a function of it.
        logits = model.lm_head(rounded[-1].to(torch.float32))
    bits = rounded.view(torch.int16).numpy().astype("<u2")
    return {
        "config": config,
        "seed": SEED,
        "tokens": tokens,
        "rows": ROWS,
        "parameters": sum(p.numel() for p in model.parameters()),
        "hidden_bf16": [bits[row].tobytes().hex() for row in ROWS],
        "last_logits_f32": logits.numpy().astype("<f4").tobytes().hex(),
    }


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--check", action="store_true", help="compare with the files, write nothing")
    check = arguments.parse_args().check
    torch.set_num_threads(1)
    folder = pathlib.Path(__file__).parent
    differing = []
    for name, config in CASES.items():
        path = folder / f"{name}.json"
        text = json.dumps(run(config), indent=1) + "\n"
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            differing.append(name)
    print(f"{len(CASES)} cases, differing: {', '.join(differing) or 'none'}" if check else f"{len(CASES)} cases written")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
