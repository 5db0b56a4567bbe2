"""The same forward passes with PyTorch and transformers: what `tandem-verifier bench gpu` compares itself with.

Takes one JSON object as its argument: {"config": a Llama config.json, "prefill": [lengths], "packed": [lengths], "runs": n,
"matrix": side}; prints one on its last line. Weights are random, bf16; attention is PyTorch's scaled dot product (SDPA).
A packed batch is run in each way that people would, and the fastest counts: one sequence after the other, all padded to
the longest, and padded in groups of eight of about the same length.
"""

import json
import statistics
import sys
import time


def main():
    import torch
    import transformers

    plan = json.loads(sys.argv[1])
    device = plan.get("device", "cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no card")
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None

    def median(run):
        run()
        wait()
        times = []
        for _ in range(plan["runs"]):
            start = time.perf_counter()
            run()
            wait()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    side = plan["matrix"]
    a, b = (torch.randn(side, side, device=device).to(torch.bfloat16) for _ in range(2))
    matrix = 2 * side**3 / median(lambda: torch.matmul(a, b.T)) / 1e12
    del a, b

    config = transformers.LlamaConfig(**plan["config"], attn_implementation="sdpa", use_cache=False)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = transformers.LlamaModel(config).eval()

    def tokens(lengths):
        width = max(lengths)
        ids = torch.zeros(len(lengths), width, dtype=torch.long, device=device)
        mask = torch.zeros_like(ids)
        for row, length in enumerate(lengths):
            ids[row, :length] = torch.randint(config.vocab_size, (length,), device=device)
            mask[row, :length] = 1
        return {"input_ids": ids} if min(lengths) == width else {"input_ids": ids, "attention_mask": mask}

    def timed(groups):
        batches = [tokens(group) for group in groups]

        def run():
            for batch in batches:
                model(**batch)

        return median(run)

    with torch.inference_mode():
        prefill = [timed([[length]]) for length in plan["prefill"]]
        lengths = sorted(plan["packed"])
        ways = {
            "one by one": [[length] for length in lengths],
            "padded": [lengths],
            "padded in groups of eight": [lengths[i : i + 8] for i in range(0, len(lengths), 8)],
        }
        packed = {way: timed(groups) for way, groups in ways.items()}
    best = min(packed, key=packed.get)
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "device": torch.cuda.get_device_name() if device == "cuda" else device,
                "matrix_teraflops": matrix,
                "prefill_seconds": prefill,
                "packed_seconds": packed[best],
                "packed_how": best,
            }
        )
    )


if __name__ == "__main__":
    main()
