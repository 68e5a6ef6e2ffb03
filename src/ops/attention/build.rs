//! `attention` called by name.

use super::{Attention, CAUSAL, DILATIONS, GLOBALS, LENGTHS, PACKED, PATTERN, Pattern, Q, SCALE, WINDOW};
use crate::op::{Arguments, Op, parse};
use crate::{Error, Result};

pub(super) fn build(arguments: &mut Arguments) -> Result<Box<dyn Op>> {
    let hsa = arguments.choice(PATTERN, &[("dense", false), ("hsa", true)])?;
    let window: Option<usize> = arguments.given(WINDOW)?;
    let dilations = arguments.text(DILATIONS).map(|text| dilations(&text)).transpose()?;
    let pattern = match (hsa, window, dilations) {
        (true, Some(window), dilations) => Pattern::Hsa { window, dilations: dilations.unwrap_or_default() },
        (true, None, _) => return Err(Error::argument("the setting `window`", "missing", "a number for pattern=hsa")),
        (false, None, None) => Pattern::Dense,
        (false, ..) => {
            return Err(Error::argument("pattern=dense", "given with window or dilations", "those for hsa alone"));
        }
    };
    let (scale, causal) = (arguments.given(SCALE)?, arguments.setting(CAUSAL)?);
    let op = Attention { heads: arguments.given(PACKED)?, pattern, scale, causal };
    // An empty list is the same as none.
    if arguments.peek(GLOBALS).is_some_and(|globals| globals.desc().is_empty()) {
        arguments.take(GLOBALS)?;
    }
    let Some(q) = arguments.peek(Q) else { return Ok(Box::new(op)) };
    op.check_heads(q.desc())?;
    let rows = op.rows(q.desc());
    if let Some(list) = arguments.peek(GLOBALS).and_then(|globals| globals.as_u32()) {
        let sorted = list.windows(2).all(|pair| pair[0] < pair[1]);
        if !sorted || list.last().is_some_and(|&last| last as usize >= rows) {
            let found = if sorted { format!("up to {}", list[list.len() - 1]) } else { "not sorted".to_owned() };
            return Err(Error::argument("`globals`", found, format!("strictly sorted positions below {rows}")));
        }
    }
    let longest = arguments.peek(LENGTHS).and_then(|lengths| lengths.as_u32()).and_then(|list| list.iter().max());
    if let Some(longest) = longest.filter(|&&longest| longest as usize > rows) {
        return Err(Error::argument("`lengths`", longest, format!("at most the {rows} rows there are")));
    }
    Ok(Box::new(op))
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
    use super::super::ENTRY;
    use super::*;
    use crate::graph::{Call, Graph};
    use crate::{Desc, Device, Tensor};

    fn refusal(shape: &[usize], settings: &[(&str, &str)], globals: Option<Vec<u32>>) -> String {
        refusal_of([shape; 3], settings, globals)
    }

    fn refusal_of(shapes: [&[usize]; 3], settings: &[(&str, &str)], globals: Option<Vec<u32>>) -> String {
        let mut arguments = Arguments::new();
        for (name, shape) in ["q", "k", "v"].into_iter().zip(shapes) {
            arguments = arguments.with(name, Tensor::zeros(Desc::f32(shape)).unwrap());
        }
        for (name, value) in settings {
            arguments = arguments.set(name, value);
        }
        if let Some(list) = globals {
            arguments = arguments.with("globals", Tensor::u32([list.len()], list).unwrap());
        }
        let call = Call::by_name(&ENTRY, arguments).and_then(|call| call.prepare(&Device::Cpu, Default::default()));
        call.map(|_| ()).expect_err("accepted").to_string()
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let hsa = |dilations| [("pattern", "hsa"), ("window", "1"), ("dilations", dilations)];
        let shape = [5, 2, 4];
        // q, k and v of so many heads; packed where `heads` is given.
        let grouped = |counts: [usize; 3], heads: Option<&str>| {
            let shape = |count: usize| if heads.is_some() { vec![1, 5, count * 4] } else { vec![5, count, 4] };
            let [q, k, v] = counts.map(shape);
            let settings: Vec<_> = heads.map(|heads| ("heads", heads)).into_iter().collect();
            refusal_of([&q, &k, &v], &settings, None)
        };
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
            (refusal(&shape, &[("causal", "1")], None), "`causal` is `1`, expected true or false"),
            (grouped([4, 3, 3], None), "k is f32 [5, 3, 4], expected a number of heads that divides the 4 of q"),
            (grouped([3, 4, 4], None), "divides the 3 of q"),
            (grouped([4, 2, 1], None), "v is f32 [5, 1, 4], expected f32 [5, 2, 4]"),
            (grouped([4, 0, 0], None), "sizes of at least 1"),
            (grouped([4, 3, 3], Some("4")), "divides the 4 of q"),
            (refusal_of([&[1, 5, 8], &[1, 5, 6], &[1, 5, 6]], &[("heads", "2")], None), "whole heads of 4, as q has"),
            (refusal_of([&[1, 5, 8], &[1, 5, 0], &[1, 5, 0]], &[("heads", "2")], None), "sizes of at least 1"),
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
