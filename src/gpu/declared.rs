//! The numbers that a WGSL text declares: its constants of type `u32` and the size of its workgroups. The build script
//! writes them out as Rust constants, so that the host counts tiles with the numbers that the kernel does; tests compare
//! them with naga's.

/// What a text declares.
#[derive(Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its `const NAME: u32 = ..;` at the start of a line, in order.
    pub constants: Vec<(String, u32)>,
    /// Threads of a workgroup along x, y and z.
    pub workgroup: [u32; 3],
}

/// Reads them. A value is a whole number or an earlier constant, or such combined by `+`, `-`, `*`, `/` and `%`.
///
/// # Errors
/// If a value is something else, or the text does not give a size for its workgroups: what, in words.
pub fn declared(text: &str) -> Result<Declared, String> {
    let mut constants = Vec::new();
    for line in text.lines() {
        let Some((name, value)) = line.strip_prefix("const ").and_then(|rest| rest.split_once(": u32 =")) else {
            continue;
        };
        let number = value.split_once(';').and_then(|(value, _)| sum(value, &constants));
        let number =
            number.ok_or_else(|| format!("`{line}`, expected a number, or a sum or product of earlier ones"))?;
        constants.push((name.to_owned(), number));
    }
    let size = text.split_once("@workgroup_size(").and_then(|(_, rest)| rest.split_once(')')).map(|(size, _)| size);
    let size = size.ok_or("it has no @workgroup_size")?;
    let mut workgroup = [1; 3];
    for (axis, part) in size.split(',').enumerate() {
        let threads = sum(part, &constants).filter(|&threads| threads > 0);
        match (workgroup.get_mut(axis), threads) {
            (Some(slot), Some(threads)) => *slot = threads,
            _ => return Err(format!("@workgroup_size({size}), expected up to three numbers above 0")),
        }
    }
    Ok(Declared { constants, workgroup })
}

/// A sum or difference of products, from the left.
fn sum(text: &str, constants: &[(String, u32)]) -> Option<u32> {
    match text.rfind(['+', '-']) {
        Some(at) => {
            let (left, right) = (sum(&text[..at], constants)?, product(&text[at + 1..], constants)?);
            if text[at..].starts_with('+') { left.checked_add(right) } else { left.checked_sub(right) }
        }
        None => product(text, constants),
    }
}

fn product(text: &str, constants: &[(String, u32)]) -> Option<u32> {
    match text.rfind(['*', '/', '%']) {
        Some(at) => {
            let (left, right) = (product(&text[..at], constants)?, value(&text[at + 1..], constants)?);
            match &text[at..=at] {
                "*" => left.checked_mul(right),
                "/" => left.checked_div(right),
                _ => left.checked_rem(right),
            }
        }
        None => value(text, constants),
    }
}

fn value(text: &str, constants: &[(String, u32)]) -> Option<u32> {
    let text = text.trim();
    if let Some((_, number)) = constants.iter().find(|(name, _)| name == text) {
        return Some(*number);
    }
    let digits = text.strip_suffix('u').unwrap_or(text);
    match digits.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_computed_in_order() {
        let text = "// const NOT: u32 = 1u;\nconst A: u32 = 32u;\nconst B: f32 = 1.0;\nconst C: u32 = 4u * A / 3u + 1u - 2;\n\
                    const D: u32 = 0xffu % 16u; // why\nfn f() {\n    const INNER: u32 = 5u;\n}\n\
                    @compute @workgroup_size(16, A / 4u) fn main() {}\n";
        let Declared { constants, workgroup } = declared(text).unwrap();
        assert_eq!(constants, [("A".to_owned(), 32), ("C".to_owned(), 41), ("D".to_owned(), 15)]);
        assert_eq!(workgroup, [16, 8, 1]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, named) in [
            ("const A: u32 = B;\n@workgroup_size(1)", "const A: u32 = B;"),
            ("const A: u32 = 1u - 2u;\n@workgroup_size(1)", "1u - 2u"),
            ("const A: u32 = 1u / 0u;\n@workgroup_size(1)", "1u / 0u"),
            ("const A: u32 = max(1u, 2u);\n@workgroup_size(1)", "max"),
            ("const A: u32 = 4294967296;\n@workgroup_size(1)", "4294967296"),
            ("const A: u32 =\n    1u;\n@workgroup_size(1)", "const A"),
            ("@workgroup_size(B)", "@workgroup_size(B)"),
            ("@workgroup_size(64, 0)", "@workgroup_size(64, 0)"),
            ("@workgroup_size(1, 1, 1, 1)", "@workgroup_size(1, 1, 1, 1)"),
            ("fn main() {}", "no @workgroup_size"),
        ] {
            let error = declared(text).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
