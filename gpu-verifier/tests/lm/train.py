"""Trains the two small language models beside this file on the text of this repository.

    python3 -m venv target/lm && target/lm/bin/pip install -r gpu-verifier/tests/lm/requirements.txt
    target/lm/bin/python gpu-verifier/tests/lm/train.py tokenizer
    target/lm/bin/python gpu-verifier/tests/lm/train.py base
    target/lm/bin/python gpu-verifier/tests/lm/train.py base --phase 1
    target/lm/bin/python gpu-verifier/tests/lm/train.py base --phase 2
    target/lm/bin/python gpu-verifier/tests/lm/train.py small

The corpus is that of COMMIT, whatever lies in the working tree, so that it can be made again. One file in twenty, chosen by
the hash of its path, is held out. Seeds are fixed; the last bits of the weights still depend on the processor and on the
number of threads, so a second run gives another model that is as good, not the same file.
"""

import argparse
import hashlib
import json
import math
import pathlib
import random
import re
import subprocess
import time

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).parent
COMMIT = "b0864a7"
KINDS = (".md", ".rs", ".sol", ".py", ".toml")
SPECIAL = ["<|begin|>", "<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>"]
BEGIN, END, PAD = 0, 1, 2
VOCAB = 2048
LENGTH = 512
PASSAGE = 1200

SHAPES = {
    "base": {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 6, "num_attention_heads": 6,
             "num_key_value_heads": 2, "head_dim": 32},
    "small": {"hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 3,
              "num_key_value_heads": 1, "head_dim": 32},
}
TRAINING = {
    "base": [{"steps": 520, "batch": 4, "rate": 4e-3}, {"steps": 600, "batch": 4, "rate": 2.5e-3},
             {"steps": 350, "batch": 4, "rate": 2e-3}],
    "small": [{"steps": 1000, "batch": 4, "rate": 4e-3}],
}
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def git(*arguments):
    return subprocess.run(["git", "-C", str(HERE), *arguments], check=True, capture_output=True).stdout


def corpus():
    """(path, text) of every file of the corpus."""
    names = git("ls-tree", "-r", "--name-only", "--full-tree", COMMIT).decode().splitlines()
    names = [name for name in names if name.endswith(KINDS)]
    wanted = "".join(f"{COMMIT}:{name}\n" for name in names).encode()
    stored = subprocess.run(["git", "-C", str(HERE), "cat-file", "--batch"], input=wanted, check=True,
                            capture_output=True).stdout
    files = []
    for name in names:
        head, _, stored = stored.partition(b"\n")
        size = int(head.split()[2])
        files.append((name, stored[:size].decode()))
        stored = stored[size + 1 :]
    return files


def held_out(name):
    return hashlib.sha256(name.encode()).digest()[0] % 20 == 0


def passages(name, text):
    """Pieces that begin and end where a reader would pause, and for sections of the documentation a question too."""
    if name.endswith(".md"):
        for section in re.split(r"(?m)^(?=#{1,4} )", text):
            heading, _, body = section.partition("\n")
            for piece in cut(section):
                yield piece
            if heading.startswith("#") and body.strip():
                answer = next(cut(body.strip()))
                yield f"<|user|>{heading.strip('# ')}?<|end|><|assistant|>{answer}"
    else:
        yield from cut(text)


def cut(text):
    piece = ""
    for paragraph in re.split(r"(?<=\n)\n", text):
        if piece and len(piece) + len(paragraph) > PASSAGE:
            yield piece.strip("\n")
            piece = ""
        piece += ("\n" if piece else "") + paragraph
    if piece.strip():
        yield piece.strip("\n")


def make_tokenizer():
    """Byte-level BPE: every text has tokens, every sequence of tokens a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    texts = [text for name, text in corpus() if not held_out(name)]
    # The documentation is a tenth of the text and what prompts are taken from, so it counts three times.
    texts += 2 * [text for name, text in corpus() if not held_out(name) and name.endswith(".md")]
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", pair="<|begin|> $A $B", special_tokens=[("<|begin|>", BEGIN)])
    for shape in SHAPES:
        (HERE / shape).mkdir(exist_ok=True)
        tokenizer.save(str(HERE / shape / "tokenizer.json"), pretty=False)


def encode(tokenizer, texts):
    return [encoding.ids + [END] for encoding in tokenizer.encode_batch(list(texts))]


def windows(sequences, shuffle):
    """Sequences one after the other, cut into rows of one token more than a model sees."""
    sequences = list(sequences)
    shuffle.shuffle(sequences)
    stream = torch.tensor([token for sequence in sequences for token in sequence], dtype=torch.long)
    count = (len(stream) - 1) // LENGTH
    return [stream[i * LENGTH : i * LENGTH + LENGTH + 1] for i in range(count)]


def loss_of(model, rows):
    # Matrix products in bf16, five times as fast where the processor knows it; everything else in single precision.
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(rows[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())


def evaluate(model, rows):
    with torch.no_grad():
        return sum(loss_of(model, torch.stack(rows[i : i + 8])).item() * len(rows[i : i + 8])
                   for i in range(0, len(rows), 8)) / len(rows)


def train(which, phase, threads):
    """A further phase goes on from the weights that the one before has left."""
    plan = TRAINING[which][phase]
    torch.manual_seed(20 + phase)
    torch.set_num_threads(threads)
    shuffle = random.Random(20 + phase)
    tokenizer = Tokenizer.from_file(str(HERE / which / "tokenizer.json"))
    files = corpus()
    learned = [p for name, text in files if not held_out(name)
               for p in list(passages(name, text)) * (3 if name.endswith(".md") else 1)]
    kept = [p for name, text in files if held_out(name) for p in passages(name, text)]
    learned, kept = encode(tokenizer, learned), encode(tokenizer, kept)
    test = windows(kept, random.Random(1))
    print(f"{sum(map(len, learned))} tokens to learn, {len(test) * LENGTH} held out", flush=True)

    config = LlamaConfig(
        vocab_size=VOCAB, max_position_embeddings=LENGTH, rms_norm_eps=1e-5, rope_theta=10000.0,
        tie_word_embeddings=True, bos_token_id=BEGIN, eos_token_id=END, pad_token_id=PAD, attention_bias=False,
        mlp_bias=False, hidden_act="silu", initializer_range=0.04, **SHAPES[which])
    model = LlamaForCausalLM(config)
    if phase > 0:
        weights = load_file(str(HERE / which / "model.safetensors"))
        model.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, held-out loss {evaluate(model, test):.3f}", flush=True)

    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], betas=(0.9, 0.95))
    rows, started = [], time.time()
    for step in range(plan["steps"]):
        warm = min(1.0, (step + 1) / 60)
        rate = plan["rate"] * warm * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * step / plan["steps"])))
        for group in optimizer.param_groups:
            group["lr"] = rate
        if len(rows) < plan["batch"]:
            rows = windows(learned, shuffle)
        loss = loss_of(model, torch.stack([rows.pop() for _ in range(plan["batch"])]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 49 or step < 3:
            print(f"step {step + 1}: loss {loss.item():.3f}, {time.time() - started:.0f} s", flush=True)
    # What is kept is rounded, so what is reported is of the rounded model.
    model = model.to(torch.bfloat16).to(torch.float32)
    final = evaluate(model, test)
    print(f"{time.time() - started:.0f} s, held-out loss {final:.3f}, perplexity {math.exp(final):.2f}", flush=True)
    write(which, model, config)


def write(which, model, config):
    target = HERE / which
    tensors = {name: value.to(torch.bfloat16).contiguous() for name, value in model.state_dict().items()
               if name != "lm_head.weight"}
    save_file(tensors, str(target / "model.safetensors"), metadata={"format": "pt"})
    described = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": VOCAB, **SHAPES[which],
        "hidden_act": "silu", "max_position_embeddings": LENGTH, "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta, "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True,
        "bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": PAD, "torch_dtype": "bfloat16",
    }
    generation = {"bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": PAD, "do_sample": True, "temperature": 0.7}
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": SPECIAL[BEGIN], "eos_token": SPECIAL[END],
        "pad_token": SPECIAL[PAD], "additional_special_tokens": SPECIAL[3:], "model_max_length": LENGTH,
        "clean_up_tokenization_spaces": False, "chat_template": TEMPLATE,
    }
    for name, value in [("config", described), ("generation_config", generation), ("tokenizer_config", tokenizer)]:
        (target / f"{name}.json").write_text(json.dumps(value, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["tokenizer", *SHAPES])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--phase", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.what == "tokenizer":
        make_tokenizer()
        return
    train(arguments.what, arguments.phase, arguments.threads)


if __name__ == "__main__":
    main()
