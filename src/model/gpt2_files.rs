//! GPT-2's own files of a tokenizer, `vocab.json` and `merges.txt`, as the `tokenizer.json` that they stand for.

use std::collections::HashMap;
use std::path::Path;

use serde_json::json;

use super::config::Config;
use crate::error::short;
use crate::files::{json as strict, utf8};
use crate::{Error, Result, memory};

/// Most bytes that the tables take for each byte of the files.
const READ: u64 = 12;

/// The bytes of a `tokenizer.json` of a byte-level BPE with this vocabulary (a JSON object, piece to id) and these merges
/// (a pair a line, the first to be made first; lines that begin with `#version` do not count). Errors call the files by
/// these paths.
///
/// # Errors
/// If a file is not what it should be, or the memory is refused.
pub(super) fn tokenizer_json(
    (vocab_path, vocab): (&Path, &[u8]),
    (merges_path, merges): (&Path, &[u8]),
    config: &Config,
) -> Result<Vec<u8>> {
    memory::room("the tokenizer", READ * (vocab.len() + merges.len()) as u64)?;
    let vocab: HashMap<String, u32> = strict::parse(vocab_path, utf8(vocab_path, vocab)?, "a vocabulary, piece to id")?;
    let mut pairs = Vec::new();
    for (index, line) in utf8(merges_path, merges)?.lines().enumerate() {
        if line.is_empty() || line.starts_with("#version") {
            continue;
        }
        let pair = line.split_once(' ').filter(|(a, b)| !a.is_empty() && !b.is_empty() && !b.contains(' '));
        let Some((first, second)) = pair else {
            let problem =
                format!("has `{}` in line {}, expected two pieces and a space between", short(line, 80), index + 1);
            return Err(Error::format(merges_path, problem));
        };
        for piece in [first, second, &format!("{first}{second}")] {
            if !vocab.contains_key(piece) {
                let problem = format!("merges to or from `{}` in line {}", short(piece, 80), index + 1);
                let problem = format!("{problem}, which {} lacks", vocab_path.display());
                return Err(Error::format(merges_path, problem));
            }
        }
        pairs.push([first, second]);
    }
    let ends = config.conventions.end_tokens.iter().filter_map(|end| Some((*end, vocab.get(*end)?)));
    let added: Vec<_> = ends
        .map(|(content, id)| {
            json!({ "id": id, "content": content, "special": true, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false })
        })
        .collect();
    let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    let file = json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": bytes,
        "decoder": bytes,
        "model": { "type": "BPE", "vocab": vocab, "merges": pairs },
    });
    Ok(file.to_string().into_bytes())
}
