"""Writes a LangFlow checkpoint with random weights, for timing and memory: the real ones need a download.

    python checkpoint.py --output DIR [--blocks 12 --hidden 768 --vocab 50257 --seed 0]

The files are those of a published checkpoint (config.json, model.safetensors) but for the tokenizer, which
`drdiff denoise` does not need. Values are drawn so that activations stay near 1 through all blocks.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

TIME_FEATURES = 256


def tensors(vocab: int, hidden: int, cond: int, blocks: int, heads: int, seed: int) -> dict[str, np.ndarray]:
    """Every tensor of a checkpoint by its published name."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, scale: float | None = None) -> np.ndarray:
        deviation = shape[-1] ** -0.5 if scale is None else scale
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(deviation)

    def linear(name: str, outputs: int, inputs: int) -> dict[str, np.ndarray]:
        return {
            f"{name}.weight": normal(outputs, inputs),
            f"{name}.bias": normal(outputs, scale=0.02),
        }

    def near_one() -> np.ndarray:
        return 1 + normal(hidden, scale=0.1)

    all_tensors = {
        "backbone.vocab_embed.embedding": normal(vocab, hidden, scale=1.0),
        "backbone.self_cond_proj.weight": normal(hidden, 2 * hidden) * np.float32(0.3),
        "backbone.rotary_emb.inv_freq": (10000.0 ** (-np.arange(0, hidden // heads, 2) / (hidden // heads))).astype(
            np.float32
        ),
        "proposal.loc": np.array(4.723, np.float32),
        "proposal.scale": np.array(0.852, np.float32),
        "proposal.entropy": np.array(7.02, np.float32),
        **linear("backbone.sigma_map.mlp.0", cond, TIME_FEATURES),
        **linear("backbone.sigma_map.mlp.2", cond, cond),
        "backbone.output_layer.norm_final.weight": near_one(),
        **linear("backbone.output_layer.adaLN_modulation", 2 * hidden, cond),
        **linear("backbone.output_layer.linear", vocab, hidden),
    }
    for i in range(blocks):
        block = f"backbone.blocks.{i}"
        all_tensors |= {
            f"{block}.norm1.weight": near_one(),
            f"{block}.norm2.weight": near_one(),
            f"{block}.attn_qkv.weight": normal(3 * hidden, hidden),
            f"{block}.attn_out.weight": normal(hidden, hidden),
            **linear(f"{block}.mlp.0", 4 * hidden, hidden),
            **linear(f"{block}.mlp.2", hidden, 4 * hidden),
            **linear(f"{block}.adaLN_modulation", 6 * hidden, cond),
        }
    return all_tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--vocab", type=int, default=50257)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--cond", type=int, default=128)
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    config = {
        "model_type": "LangFlow",
        "vocab_size": args.vocab,
        "hidden_size": args.hidden,
        "cond_dim": args.cond,
        "n_blocks": args.blocks,
        "n_heads": args.heads,
        "model_length": args.length,
    }
    args.output.mkdir(parents=True, exist_ok=True)
    weights = tensors(args.vocab, args.hidden, args.cond, args.blocks, args.heads, args.seed)
    save_file(weights, args.output / "model.safetensors")
    (args.output / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    count = sum(tensor.size for tensor in weights.values())
    print(f"{args.output}: {count / 1e6:.0f} M parameters")


if __name__ == "__main__":
    main()
