//! Reports as tables.

use super::compare::{Comparison, Pair};
use super::measure::quantiles;
use super::report::{Peaks, Row};

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub enum Format {
    Table,
    Md,
    Json,
    Csv,
}

/// Names of the columns that people read, and their widths; those after `case` and `kernels` are numbers.
const COLUMNS: [(&str, usize); 9] = [
    ("op", 18),
    ("case", 44),
    ("tier", 8),
    ("median ms", 10),
    ("spread", 7),
    ("GFLOP/s", 9),
    ("GB/s", 8),
    ("of peak", 11),
    ("kernels", 0),
];
const COMPARED: [(&str, usize); 8] = [
    ("op", 18),
    ("case", 44),
    ("then ms", 10),
    ("now ms", 10),
    ("times as fast", 13),
    ("noise", 7),
    ("verdict", 12),
    ("kernels", 0),
];

/// A share in percent.
fn percent(share: f64) -> String {
    match share {
        share if share < 0.01 => format!("{:.1}%", share * 100.0),
        share => format!("{:.0}%", share * 100.0),
    }
}

/// A rate; nothing where the work is not known.
fn rate(per_second: f64) -> String {
    if per_second > 0.0 { format!("{per_second:.2}") } else { String::new() }
}

/// Constants and files of kernels, without the family that the op's name says.
fn kernels(labels: &[String]) -> String {
    let names: Vec<_> =
        labels.iter().map(|label| label.split_once('/').map_or(label.as_str(), |(_, name)| name)).collect();
    names.join(" + ")
}

/// The share of the peak that is nearer, and which one that is.
fn of_peak(row: &Row) -> String {
    match (row.of_product, row.of_copy) {
        (Some(product), Some(copy)) if product > 0.0 && product >= copy => format!("{} flops", percent(product)),
        (_, Some(copy)) if copy > 0.0 => format!("{} bytes", percent(copy)),
        _ => String::new(),
    }
}

impl Format {
    fn row<const N: usize>(self, columns: &[(&str, usize); N], cells: [String; N]) -> String {
        match self {
            Self::Md => format!("| {} |\n", cells.join(" | ")),
            _ => {
                let padded = columns.iter().zip(&cells).map(|((name, width), cell)| match *name {
                    "op" | "case" | "tier" | "verdict" | "kernels" => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                });
                format!("{}\n", padded.collect::<Vec<_>>().join(" ").trim_end())
            }
        }
    }

    fn names<const N: usize>(self, columns: &[(&str, usize); N]) -> String {
        let names = self.row(columns, columns.map(|(name, _)| name.to_owned()));
        let rule =
            |name: &str| if matches!(name, "op" | "case" | "tier" | "verdict" | "kernels") { "---" } else { "--:" };
        match self {
            Self::Md => format!("{names}|{}|\n", columns.map(|(name, _)| rule(name)).join("|")),
            _ => names,
        }
    }

    pub fn head(self) -> String {
        match self {
            Self::Table | Self::Md => self.names(&COLUMNS),
            Self::Csv => "op,case,tier,kernels,taken,n,median_ms,min_ms,max_ms,spread,flops,bytes,gflops_per_second,\
                          gbytes_per_second,of_product,of_copy\n"
                .to_owned(),
            Self::Json => String::new(),
        }
    }

    /// A case; what the device would not take by itself is in brackets.
    pub fn line(self, row: &Row) -> String {
        let labels = kernels(&row.kernels);
        match self {
            Self::Table | Self::Md => {
                let labels = if row.taken { labels } else { format!("({labels})") };
                let cells = [
                    row.op.clone(),
                    row.case.clone(),
                    row.tier.clone(),
                    format!("{:.3}", row.median),
                    format!("±{}", percent(row.spread)),
                    rate(row.gflops_per_second),
                    rate(row.gbytes_per_second),
                    of_peak(row),
                    labels,
                ];
                self.row(&COLUMNS, cells)
            }
            Self::Csv => {
                let [min, _, _, _, max] = quantiles(&row.milliseconds);
                let share = |share: Option<f64>| share.map(|share| share.to_string()).unwrap_or_default();
                format!(
                    "{},\"{}\",{},\"{labels}\",{},{},{},{min},{max},{},{},{},{},{},{},{}\n",
                    row.op,
                    row.case.replace('"', "\"\""),
                    row.tier,
                    row.taken,
                    row.n,
                    row.median,
                    row.spread,
                    row.flops,
                    row.bytes,
                    row.gflops_per_second,
                    row.gbytes_per_second,
                    share(row.of_product),
                    share(row.of_copy),
                )
            }
            Self::Json => String::new(),
        }
    }

    pub fn peaks(self, peaks: &Peaks) -> String {
        if self == Self::Csv {
            return String::new();
        }
        let Peaks { copy_gbytes_per_second: copy, product_gflops_per_second: flops, product, product_kernels } = peaks;
        let by = if product_kernels.is_empty() { String::new() } else { format!(" by {}", kernels(product_kernels)) };
        format!(
            "\npeaks in the same runs: a copy of 64 MiB {copy:.2} GB/s, a product {product}{by} {flops:.2} GFLOP/s\n"
        )
    }

    pub fn comparison(self, comparison: &Comparison) -> String {
        let mut text = format!("\n{}", self.names(&COMPARED));
        for pair in &comparison.pairs {
            let Pair { op, case, old_ms, new_ms, ratio, noise, verdict, .. } = pair;
            let cells = [
                op.clone(),
                case.clone(),
                format!("{old_ms:.3}"),
                format!("{new_ms:.3}"),
                format!("{ratio:.3}"),
                format!("±{}", percent(*noise)),
                verdict.name().to_owned(),
                kernels(&pair.kernels),
            ];
            text += &self.row(&COMPARED, cells);
        }
        if comparison.alone > 0 {
            text += &format!("\n{} more are in one of the two files alone\n", comparison.alone);
        }
        for (what, ratio) in [("copy", comparison.copy), ("product", comparison.product)] {
            if let Some(ratio) = ratio {
                text += &format!("\nthe device's own {what} is {ratio:.2} times as fast as then\n");
            }
        }
        text
    }
}
