//! What each op takes, so that calls get past the first check: sizes are letters, drawn once a call.

/// How a tensor is filled where it is not spoiled.
#[derive(Clone, Copy)]
pub enum Fill {
    /// f32, all kinds of values.
    Floats,
    /// f32, rising in (0, 1).
    Rising,
    /// f32, falling in (0, 1).
    Falling,
    /// u32, strictly sorted.
    Sorted,
    /// u32 of at most the size of this letter.
    UpTo(u8),
    /// u32 below the size of this letter.
    Below(u8),
    /// u32, all kinds of words.
    Words,
    /// u32, flag + 4 segment of rows `R` of which `A` are anchors.
    Info,
}

/// A tensor: name, contents, sizes, and whether a call can do without it.
pub struct Input(pub &'static str, pub Fill, pub &'static str, pub bool);

/// A setting: its name and what it may be; a capital letter alone stands for the size.
pub struct Setting(pub &'static str, pub &'static [&'static str]);

/// An op's tensors and settings.
pub struct Signature {
    /// As in the registry.
    pub name: &'static str,
    pub inputs: &'static [Input],
    pub settings: &'static [Setting],
}

const fn needs(name: &'static str, sizes: &'static str) -> Input {
    Input(name, Fill::Floats, sizes, false)
}

const fn takes(name: &'static str, sizes: &'static str) -> Input {
    Input(name, Fill::Floats, sizes, true)
}

/// Every op of the registry. `S` is one more than `s`; `W` is the length of a step row.
pub const ALL: &[Signature] = &[
    Signature {
        name: "attention",
        inputs: &[
            needs("q", "BNHD"),
            needs("k", "BNHD"),
            needs("v", "BNHD"),
            Input("globals", Fill::Sorted, "G", true),
            Input("lengths", Fill::UpTo(b'N'), "B", true),
        ],
        settings: &[
            Setting("pattern", &["dense", "hsa"]),
            Setting("window", &["", "0", "1", "2", "18446744073709551615"]),
            Setting("dilations", &["", "2:2", "1:1,3:2", "2:18446744073709551615", "18446744073709551615:2"]),
            Setting("heads", &["", "H"]),
            Setting("scale", &["", "1", "0", "-1e30", "3e38"]),
        ],
    },
    Signature {
        name: "experts",
        inputs: &[
            needs("x", "BND"),
            needs("router_logits", "BNE"),
            needs("gate", "FD"),
            needs("up", "FD"),
            needs("down", "DF"),
            takes("cost_bias", "E"),
            takes("residual", "BND"),
            takes("scale", "D"),
        ],
        settings: &[
            Setting("top_k", &["1", "2", "E"]),
            Setting("widths", &["F", "F,0", "0,F", "F,0,0"]),
            Setting("gate_offset", &["", "0", "1"]),
        ],
    },
    Signature {
        name: "router",
        inputs: &[
            needs("x", "BD"),
            needs("weight", "ED"),
            needs("bias", "E"),
            needs("difficulty", "B"),
            needs("difficulty_weight", "E"),
        ],
        settings: &[],
    },
    Signature {
        name: "vocab_expectation",
        inputs: &[needs("h", "BND"), needs("unembed", "VD"), needs("embed", "VE"), takes("skip", "BNE")],
        settings: &[],
    },
    Signature { name: "rounding", inputs: &[needs("x", "BND"), needs("table", "VD")], settings: &[] },
    Signature {
        name: "solver",
        inputs: &[
            needs("x", "ND"),
            needs("x0", "sND"),
            Input("alpha", Fill::Rising, "S", false),
            Input("sigma", Fill::Falling, "S", false),
        ],
        settings: &[Setting("order", &["", "1", "2"]), Setting("lower_order_final", &["", "true", "false"])],
    },
    Signature {
        name: "solver_step",
        inputs: &[
            needs("z", "BRD"),
            needs("x0", "BRD"),
            needs("history", "BRD"),
            Input("info", Fill::Info, "BR", false),
            needs("absorb", "D"),
            needs("prediction", "BRD"),
            takes("mean", "BAD"),
            Input("seeds", Fill::Words, "B2", true),
            needs("step", "W"),
        ],
        settings: &[Setting("anchors", &["A"])],
    },
    Signature {
        name: "bayes_query",
        inputs: &[needs("z", "BND"), needs("absorb", "D"), needs("step", "W")],
        settings: &[],
    },
    Signature {
        name: "segment_mean",
        inputs: &[needs("x0", "BRD"), Input("lengths", Fill::UpTo(b'R'), "B", false)],
        settings: &[Setting("anchors", &["A"])],
    },
    Signature {
        name: "finite_check",
        inputs: &[
            needs("x0", "BRD"),
            needs("z", "BRD"),
            needs("lse", "BR"),
            needs("entropy", "BR"),
            needs("h", "BRE"),
            Input("lengths", Fill::UpTo(b'R'), "B", false),
            needs("step", "W"),
            Input("report", Fill::Words, "2", false),
        ],
        settings: &[],
    },
    Signature {
        name: "noise",
        inputs: &[Input("seeds", Fill::Words, "B2", true)],
        settings: &[
            Setting("count", &["N", "1", "7"]),
            Setting("seed", &["", "18446744073709551615"]),
            Setting("stream", &["", "4294967295"]),
        ],
    },
    Signature {
        name: "linear",
        inputs: &[
            needs("x", "BND"),
            needs("weight", "ED"),
            takes("bias", "E"),
            takes("residual", "BNE"),
            takes("gate", "E"),
        ],
        settings: &[Setting("activation", &["", "none", "silu", "gelu"]), Setting("gate_offset", &["", "0", "1"])],
    },
    Signature {
        name: "norm",
        inputs: &[needs("x", "BND"), takes("modulation", "2D")],
        settings: &[
            Setting("kind", &["", "rms", "layer"]),
            Setting("eps", &["", "1e-5", "0"]),
            Setting("shift_offset", &["", "0", "D"]),
            Setting("scale_offset", &["", "0", "D", "1"]),
        ],
    },
    Signature {
        name: "rope",
        inputs: &[needs("x", "BN4"), needs("table", "N12")],
        settings: &[Setting("heads", &["1", "2", "4"]), Setting("rotary_dim", &["2", "0", "4"])],
    },
    Signature {
        name: "embedding",
        inputs: &[needs("table", "VD"), Input("ids", Fill::Below(b'V'), "BN", false)],
        settings: &[],
    },
    Signature {
        name: "time_embedding",
        inputs: &[needs("step", "W")],
        settings: &[Setting("dim", &["4", "6", "128", "D"])],
    },
];
