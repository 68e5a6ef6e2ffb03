//! JSON near a valid one: bytes alone seldom get past the parser.

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Number, Value};

/// `base` with up to four places changed.
///
/// # Errors
/// Where the input is used up.
pub fn edited(base: &Value, u: &mut Unstructured<'_>) -> Result<Value> {
    let mut all = base.clone();
    for _ in 0..u.int_in_range(1..=4)? {
        let graft = u.ratio(1, 4)?.then(|| node(base, u).cloned()).transpose()?;
        edit(&mut all, graft, u)?;
    }
    Ok(all)
}

/// A place in `value`.
fn node<'a>(value: &'a Value, u: &mut Unstructured<'_>) -> Result<&'a Value> {
    let mut at = value;
    while u.ratio(4, 5)? {
        at = match at {
            Value::Array(list) if !list.is_empty() => &list[u.choose_index(list.len())?],
            Value::Object(map) if !map.is_empty() => {
                let index = u.choose_index(map.len())?;
                map.values().nth(index).unwrap_or(at)
            }
            _ => return Ok(at),
        };
    }
    Ok(at)
}

fn edit(value: &mut Value, graft: Option<Value>, u: &mut Unstructured<'_>) -> Result<()> {
    match value {
        Value::Array(list) if !list.is_empty() && u.ratio(7, 8)? => {
            let index = u.choose_index(list.len())?;
            match u.int_in_range(0..=9)? {
                0 => drop(list.remove(index)),
                1 => list.push(list[index].clone()),
                2 => list.swap(0, index),
                _ => edit(&mut list[index], graft, u)?,
            }
        }
        Value::Object(map) if !map.is_empty() && u.ratio(15, 16)? => {
            let index = u.choose_index(map.len())?;
            let Some(key) = map.keys().nth(index).cloned() else { return Ok(()) };
            match u.int_in_range(0..=15)? {
                0 => drop(map.remove(&key)),
                1 => {
                    let new = text(u)?;
                    let copy = map[&key].clone();
                    map.insert(new, copy);
                }
                _ => edit(&mut map[&key], graft, u)?,
            }
        }
        _ => {
            *value = match graft {
                Some(graft) => graft,
                None => fresh(u)?,
            };
        }
    }
    Ok(())
}

fn fresh(u: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match u.int_in_range(0..=9)? {
        0 => Value::Null,
        1 => Value::Bool(u.arbitrary()?),
        2 => Value::Array(Vec::new()),
        3 => Value::Object(Map::new()),
        4 => text(u)?.into(),
        5 => Number::from_f64(u.arbitrary()?).map_or(Value::Null, Value::Number),
        6 => (*u.choose(&[0.0, -0.0, 1e-46, 1e-40, 1e-6, 0.5, 1.0, 1.5, -1.0, 30.0, 3e38, 1e39, 1.7e308])?).into(),
        7 => u.arbitrary::<i64>()?.into(),
        8 => {
            let power = 1_u64 << u.int_in_range(0..=63)?;
            power.wrapping_add(u.int_in_range(0..=2)?).wrapping_sub(1).into()
        }
        _ => u.int_in_range(0..=9_u64)?.into(),
    })
}

/// Words that formats know, and others.
///
/// # Errors
/// Where the input is used up.
pub fn text(u: &mut Unstructured<'_>) -> Result<String> {
    let words =
        ["", " ", "the", "<eos>", "Ġthe", "é", "日本", "\u{feff}", "\u{0}", "\\", "..", "/", "(", "[^\\s]+|\\s"];
    match u.int_in_range(0..=3)? {
        0 => Ok((*u.choose(&words)?).to_owned()),
        1 => {
            let letters = ["a", "b", "e", " ", "\n", "Ġ", "é", "▁", "##", "\u{301}", "🙂", "\u{10ffff}"];
            (0..u.int_in_range(0..=6)?).map(|_| Ok(*u.choose(&letters)?)).collect()
        }
        _ => {
            let len = u.int_in_range(0..=24)?;
            let len = len.min(u.len());
            Ok(String::from_utf8_lossy(u.bytes(len)?).into_owned())
        }
    }
}
