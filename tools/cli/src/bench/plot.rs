//! A roofline, and time against length.

use std::path::{Path, PathBuf};

use drdiff::Error;
use drdiff::files::{write_whole, write_with};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::raster::Raster;
use super::report::{Report, Row};
use crate::Failure;

const SIZE: (u32, u32) = (1800, 900);

/// A file that will hold the picture.
pub struct Picture {
    path: PathBuf,
    vector: bool,
}

impl Picture {
    /// Refuses a name that ends in neither .png nor .svg.
    pub fn new(path: &Path) -> Result<Self, Error> {
        let vector = match path.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => true,
            Some("png") => false,
            _ => return Err(Error::argument("the plot's file", path.display(), "a name that ends in .png or .svg")),
        };
        Ok(Self { path: path.to_owned(), vector })
    }

    pub fn write(&self, report: &Report) -> Result<(), Failure> {
        if self.vector {
            let mut text = String::new();
            draw(&SVGBackend::with_string(&mut text, SIZE).into_drawing_area(), report)
                .map_err(|error| format!("cannot draw {}: {error}", self.path.display()))?;
            return Ok(write_whole(&self.path, text.as_bytes())?);
        }
        let mut pixels = vec![0; SIZE.0 as usize * SIZE.1 as usize * 3];
        draw(&Raster { pixels: &mut pixels, size: SIZE }.into_drawing_area(), report)
            .map_err(|error| format!("cannot draw {}: {error}", self.path.display()))?;
        Ok(write_with(&self.path, |file| {
            let mut encoder = png::Encoder::new(file, SIZE.0, SIZE.1);
            encoder.set_color(png::ColorType::Rgb);
            encoder.write_header()?.write_image_data(&pixels)?;
            Ok(())
        })?)
    }
}

type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, report: &Report) -> Drawn<B> {
    area.fill(&WHITE)?;
    let area = area.titled(&report.device, ("sans-serif", 20))?;
    let (left, right) = area.split_horizontally(SIZE.0 / 2);
    roofline(&left, report)?;
    lengths(&right, report)?;
    area.present()
}

/// A range of powers of ten around all values; from 1 to 10 where there are none.
fn around(values: impl IntoIterator<Item = f64>) -> std::ops::Range<f64> {
    let logs: Vec<f64> = values.into_iter().filter(|value| *value > 0.0).map(f64::log10).collect();
    let (low, high) =
        logs.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &log| (low.min(log), high.max(log)));
    match logs.is_empty() {
        true => 1.0..10.0,
        false => 10_f64.powf((low - 0.1).floor())..10_f64.powf((high + 0.1).ceil()),
    }
}

fn number(value: &f64) -> String {
    if *value >= 1e5 || *value < 1e-3 { format!("{value:e}") } else { format!("{value}") }
}

/// Values by a key, in the order of their first appearance.
fn grouped<T>(items: impl IntoIterator<Item = (String, T)>) -> Vec<(String, Vec<T>)> {
    let mut groups: Vec<(String, Vec<T>)> = Vec::new();
    for (key, item) in items {
        match groups.iter_mut().find(|(of, _)| *of == key) {
            Some((_, items)) => items.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups
}

/// FLOPs a second over FLOPs a byte; above the points, what the device did at most.
fn roofline<B: DrawingBackend>(area: &DrawingArea<B, Shift>, report: &Report) -> Drawn<B> {
    let point = |row: &Row| (row.flops / row.bytes, row.gflops_per_second);
    let rows = || report.rows.iter().filter(|row| row.flops > 0.0 && row.bytes > 0.0);
    let roof = report.peaks.as_ref().map(|peaks| (peaks.copy_gbytes_per_second, peaks.product_gflops_per_second));
    let ridge = roof.map(|(copy, product)| product / copy);
    let xs = around(rows().map(|row| point(row).0).chain(ridge));
    let ys = around(rows().map(|row| point(row).1).chain(roof.map(|(_, product)| product)));
    let mut chart = ChartBuilder::on(area)
        .caption("roofline", ("sans-serif", 18))
        .margin(20)
        .x_label_area_size(60)
        .y_label_area_size(90)
        .build_cartesian_2d(xs.clone().log_scale(), ys.clone().log_scale())?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("FLOPs a byte").y_desc("GFLOP/s").x_label_formatter(&number).y_label_formatter(&number);
    mesh.label_style(("sans-serif", 16)).light_line_style(WHITE).draw()?;
    if let (Some((copy, product)), Some(ridge)) = (roof, ridge) {
        let start = xs.start.max(ys.start / copy);
        let line = [(start, start * copy), (ridge, product), (xs.end, product)];
        chart
            .draw_series(LineSeries::new(line, BLACK.stroke_width(2)))?
            .label("copy, product")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], BLACK.stroke_width(2)));
    }
    for (place, (op, rows)) in grouped(rows().map(|row| (row.op.clone(), row))).into_iter().enumerate() {
        let color = Palette99::pick(place).to_rgba();
        // What the device would not take by itself is hollow.
        let dot =
            move |row: &Row| Circle::new(point(row), 5, if row.taken { color.filled() } else { color.stroke_width(1) });
        chart
            .draw_series(rows.into_iter().map(dot))?
            .label(op)
            .legend(move |(x, y)| Circle::new((x + 8, y), 5, color.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .margin(20)
        .label_font(("sans-serif", 16))
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()
}

/// The case without its length: what is drawn as one line.
fn family(row: &Row) -> String {
    let length = row.n.to_string();
    let parts = row.case.split(' ').map(|part| match part.split_once('=') {
        Some((name, value)) if value == length => format!("{name}=*"),
        _ => part.to_owned(),
    });
    format!("{} {}", row.op, parts.collect::<Vec<_>>().join(" "))
}

/// Milliseconds over length, of the ways that the device takes by itself.
fn lengths<B: DrawingBackend>(area: &DrawingArea<B, Shift>, report: &Report) -> Drawn<B> {
    let taken = || report.rows.iter().filter(|row| row.taken);
    let mut chart = ChartBuilder::on(area)
        .caption("time against length", ("sans-serif", 18))
        .margin(20)
        .x_label_area_size(60)
        .y_label_area_size(90)
        .build_cartesian_2d(
            around(taken().map(|row| row.n as f64)).log_scale(),
            around(taken().map(|row| row.median)).log_scale(),
        )?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc("length").y_desc("ms").x_label_formatter(&number).y_label_formatter(&number);
    mesh.label_style(("sans-serif", 16)).light_line_style(WHITE).draw()?;
    let lines = grouped(taken().map(|row| (family(row), (row.n as f64, row.median))));
    for (place, (label, mut points)) in lines.into_iter().enumerate() {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let color = Palette99::pick(place).to_rgba();
        chart.draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?;
        let series = chart.draw_series(points.iter().map(|&point| Circle::new(point, 4, color.filled())))?;
        // A legend of single points would hide the lines.
        if points.len() > 1 {
            series.label(label).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .margin(20)
        .label_font(("sans-serif", 16))
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_all_values_that_a_logarithm_has() {
        assert_eq!(around([]), 1.0..10.0);
        assert_eq!(around([0.0]), 1.0..10.0);
        assert_eq!(around([3.0]), 1.0..10.0);
        assert_eq!(around([20.0, 0.5, 0.0]), 0.1..100.0);
    }

    #[test]
    fn what_has_a_key_stands_together() {
        let items = [("a", 1), ("b", 2), ("a", 3)].map(|(key, item)| (key.to_owned(), item));
        assert_eq!(grouped(items), [("a".to_owned(), vec![1, 3]), ("b".to_owned(), vec![2])]);
    }
}
