//! `attention` called by name.

use super::{Attention, Pattern};
use crate::check::{Arguments, Call, Check, Output, parse};
use crate::{Error, Result};

pub(super) fn build(mut arguments: Arguments) -> Result<Call> {
    let hsa = arguments.choice("pattern", &[("dense", false), ("hsa", true)])?;
    let window: Option<usize> = arguments.given("window")?;
    let dilations = arguments.text("dilations").map(|text| dilations(&text)).transpose()?;
    let pattern = match (hsa, window, dilations) {
        (true, Some(window), dilations) => Pattern::Hsa { window, dilations: dilations.unwrap_or_default() },
        (true, None, _) => return Err(Error::argument("the setting `window`", "missing", "a number for pattern=hsa")),
        (false, None, None) => Pattern::Dense,
        (false, ..) => {
            return Err(Error::argument("pattern=dense", "given with window or dilations", "those for hsa alone"));
        }
    };
    let op = Attention { heads: arguments.given("heads")?, pattern, scale: arguments.given("scale")? };
    let [q, k, v] = ["q", "k", "v"].map(|name| arguments.tensor(name));
    let (q, k, v) = (q?, k?, v?);
    let rows = op.sizes(q.desc())?.rows;
    // An empty list is the same as none.
    let globals = arguments.optional("globals").filter(|globals| !globals.desc().is_empty());
    let lengths = arguments.optional("lengths");
    if let Some(list) = globals.as_ref().and_then(|globals| globals.as_u32()) {
        let sorted = list.windows(2).all(|pair| pair[0] < pair[1]);
        if !sorted || list.last().is_some_and(|&last| last as usize >= rows) {
            let found = if sorted { format!("up to {}", list[list.len() - 1]) } else { "not sorted".to_owned() };
            return Err(Error::argument("`globals`", found, format!("strictly sorted positions below {rows}")));
        }
    }
    let longest = lengths.as_ref().and_then(|lengths| lengths.as_u32()).and_then(|list| list.iter().max());
    if let Some(&longest) = longest.filter(|&&longest| longest as usize > rows) {
        return Err(Error::argument("`lengths`", longest, format!("at most the {rows} rows there are")));
    }
    arguments.finish("attention")?;
    let outputs = vec![Output::new("out", Check::Nmse(1e-9)), Output::new("lse", Check::Nmse(1e-9))];
    Ok(Call::new(op, vec![Some(q), Some(k), Some(v), globals, lengths], outputs))
}

/// `r:k,r:k`; empty for none.
fn dilations(text: &str) -> Result<Vec<(usize, usize)>> {
    let pairs = text.split(',').filter(|_| !text.trim().is_empty());
    let pair = |pair: &str| match pair.split_once(':') {
        Some((r, k)) => Ok((parse("dilations", r)?, parse("dilations", k)?)),
        None => Err(Error::argument("the setting `dilations`", format!("`{text}`"), "r:k,r:k")),
    };
    pairs.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Gen;
    use crate::graph::Graph;
    use crate::{Desc, Device, Tensor};

    fn refusal(shape: &[usize], settings: &[(&str, &str)], globals: Option<Vec<u32>>) -> String {
        let mut g = Gen::new(0, "attention");
        let mut arguments = Arguments::new();
        for name in ["q", "k", "v"] {
            arguments = arguments.with(name, g.normal(shape, 1.0));
        }
        for (name, value) in settings {
            arguments = arguments.set(name, value);
        }
        if let Some(list) = globals {
            arguments = arguments.with("globals", Tensor::u32([list.len()], list).unwrap());
        }
        let call = build(arguments).and_then(|call| call.prepare(&Device::Cpu, Default::default()));
        call.map(|_| ()).expect_err("accepted").to_string()
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let hsa = |dilations| [("pattern", "hsa"), ("window", "1"), ("dilations", dilations)];
        let shape = [5, 2, 4];
        for (text, error) in [
            (refusal(&[5, 1, 257], &[], None), "256"),
            (refusal(&[5, 0, 4], &[], None), "at least 1"),
            (refusal(&[5, 8], &[], None), "[B, N, H, Dh]"),
            (refusal(&shape, &[("heads", "3")], None), "3 heads"),
            (refusal(&shape, &[("scale", "inf")], None), "finite"),
            (refusal(&shape, &[("window", "3")], None), "hsa"),
            (refusal(&shape, &[("pattern", "hsa")], None), "window"),
            (refusal(&shape, &hsa("0:3"), None), "r of at least 1"),
            (refusal(&shape, &hsa("2"), None), "r:k"),
            (refusal(&shape, &hsa("2:3,"), None), "r:k"),
            (refusal(&shape, &hsa("2:-3"), None), "a whole number"),
            (refusal(&shape, &[("window", "0")], None), "hsa"),
            (refusal(&shape, &hsa(&["1:1"; 17].join(",")), None), "at most 16"),
            (refusal(&shape, &hsa(""), Some(vec![1, 1])), "not sorted"),
            (refusal(&shape, &hsa(""), Some(vec![1, 5])), "below 5"),
        ] {
            assert!(text.contains(error), "{text}");
        }
    }

    #[test]
    fn settings_of_any_size_are_computed_with() {
        let dilations = vec![(1, usize::MAX), (usize::MAX, usize::MAX)];
        let pattern = Pattern::Hsa { window: usize::MAX, dilations };
        let mut graph = Graph::new();
        let x = Some(graph.state(Desc::f32([2, 1, 1])));
        let op = Attention { pattern, ..Default::default() };
        let values = graph.push(op, &[x, x, x, None, None]);
        assert!(values.is_ok());
        assert_eq!(graph.costs()[0].1.flops, 16.0);
    }
}
