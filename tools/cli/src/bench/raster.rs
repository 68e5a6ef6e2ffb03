//! Pixels for plotters, with a font of its own: a machine need not have any.

use std::convert::Infallible;

use font8x8::{BASIC_FONTS, UnicodeFonts as _};
use plotters::prelude::DrawingBackend;
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle as _, BackendTextStyle, DrawingErrorKind};

/// A letter's size at scale 1: eight by eight dots, twice as high as wide.
const LETTER: (i32, i32) = (8, 16);

/// A picture of three bytes a pixel.
pub struct Raster<'a> {
    pub pixels: &'a mut [u8],
    pub size: (u32, u32),
}

fn scale(size: f64) -> i32 {
    ((size / f64::from(LETTER.1)).round() as i32).max(1)
}

impl DrawingBackend for Raster<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn present(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Result<(), DrawingErrorKind<Infallible>> {
        let (width, height) = self.size;
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return Ok(()) };
        if x < width && y < height {
            let place = (y as usize * width as usize + x as usize) * 3;
            let (r, g, b) = color.rgb;
            for (pixel, value) in self.pixels[place..place + 3].iter_mut().zip([r, g, b]) {
                let mixed = f64::from(*pixel) + (f64::from(value) - f64::from(*pixel)) * color.alpha;
                *pixel = mixed.round() as u8;
            }
        }
        Ok(())
    }

    fn estimate_text_size<T: BackendTextStyle>(
        &self,
        text: &str,
        style: &T,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let scale = scale(style.size());
        Ok(((text.chars().count() as i32 * LETTER.0 * scale) as u32, (LETTER.1 * scale) as u32))
    }

    fn draw_text<T: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &T,
        at: BackendCoord,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        let scale = scale(style.size());
        let (width, height) = (text.chars().count() as i32 * LETTER.0 * scale, LETTER.1 * scale);
        let left = match style.anchor().h_pos {
            HPos::Left => 0,
            HPos::Center => -width / 2,
            HPos::Right => -width,
        };
        let top = match style.anchor().v_pos {
            VPos::Top => 0,
            VPos::Center => -height / 2,
            VPos::Bottom => -height,
        };
        let (turn, color) = (style.transform(), style.color().color());
        for (place, letter) in text.chars().enumerate() {
            let dots = BASIC_FONTS.get(letter).or_else(|| BASIC_FONTS.get('?')).unwrap_or_default();
            for y in 0..height {
                let row = dots[(y * 8 / height) as usize];
                for x in 0..LETTER.0 * scale {
                    if row >> (x / scale) & 1 == 1 {
                        let x = left + place as i32 * LETTER.0 * scale + x;
                        let (dx, dy) = turn.transform(x, top + y);
                        self.draw_pixel((at.0 + dx, at.1 + dy), color)?;
                    }
                }
            }
        }
        Ok(())
    }
}
