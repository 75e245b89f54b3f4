//! Lines over time, as an SVG that can be read on a light page and on a dark one.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::report::number;

/// In pixels.
const SIZE: (u32, u32) = (960, 320);

/// Of the palette of Okabe and Ito, made for the colour-blind too.
const COLORS: [RGBColor; 3] = [RGBColor(0, 114, 178), RGBColor(230, 159, 0), RGBColor(213, 94, 0)];

/// One or a few lines.
pub(crate) struct Lines {
    /// What is shown.
    pub(crate) title: String,
    /// What the values count, for the axis.
    pub(crate) unit: String,
    /// Names, and points: seconds, and a value.
    pub(crate) series: Vec<(String, Vec<(f64, f64)>)>,
    /// Whether the axis is logarithmic, and all values are above 0; it begins at 0 otherwise.
    pub(crate) log: bool,
}

impl Lines {
    /// Writes it as an SVG.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let cannot = || format!("cannot write {}", path.display());
        fs::write(path, self.svg().with_context(cannot)?).with_context(cannot)
    }

    fn svg(&self) -> Result<String> {
        let points = || self.series.iter().flat_map(|(_, points)| points);
        ensure!(points().next().is_some(), "{:?} has no points", self.title);
        let seconds = points().fold(0f64, |most, (at, _)| most.max(*at)).max(1.0);
        let most = points().fold(0f64, |most, (_, value)| most.max(*value));
        let least = points().fold(f64::MAX, |least, (_, value)| least.min(*value));
        ensure!(!self.log || least > 0.0, "{:?} has values that a logarithm cannot show", self.title);
        let mut svg = String::new();
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        // The error of a drawing on a String cannot outlive it.
        let drawn = if self.log {
            let range =
                10f64.powf(least.log10().floor())..10f64.powf(most.log10().ceil().max(least.log10().floor() + 1.0));
            self.draw(&root, seconds, range.log_scale())
        } else {
            self.draw(&root, seconds, 0.0..(most * 1.3).max(1.0))
        };
        drawn.and_then(|()| root.present()).map_err(|error| anyhow!("{error}"))?;
        drop(root);
        Ok(svg)
    }

    fn draw<B: DrawingBackend, Y>(
        &self,
        area: &DrawingArea<B, plotters::coord::Shift>,
        seconds: f64,
        axis: Y,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..seconds, axis)?;
        let unit = if self.log { format!("{} (logarithmic)", self.unit) } else { self.unit.clone() };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .y_label_formatter(&|value| number(*value))
            .x_label_formatter(&|value| number(*value))
            .x_desc("seconds")
            .y_desc(unit)
            .label_style(("sans-serif", 14))
            .draw()?;
        for ((name, points), color) in self.series.iter().zip(COLORS.iter().cycle()) {
            chart
                .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], color.stroke_width(2)));
        }
        if self.series.len() > 1 {
            chart
                .configure_series_labels()
                .background_style(WHITE.mix(0.8))
                .label_font(("sans-serif", 14))
                .position(SeriesLabelPosition::UpperLeft)
                .draw()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(log: bool, points: Vec<(f64, f64)>) -> Lines {
        let series = vec![("p50".into(), points.clone()), ("p99 & more".into(), points)];
        Lines { title: "Latency".into(), unit: "ms".into(), series, log }
    }

    #[test]
    fn each_series_has_a_line_and_a_name() {
        for log in [false, true] {
            let svg = lines(log, vec![(0.0, 1.0), (1.0, 20.0)]).svg().unwrap();
            for color in ["#0072B2", "#E69F00"] {
                let lines = svg.lines().filter(|line| line.starts_with("<polyline") && line.contains(color));
                assert_eq!(lines.count(), 2, "{color}: its line and that of the legend\n{svg}");
            }
            assert!(svg.contains("p99 &amp; more"), "{svg}");
            assert_eq!(svg.contains("ms (logarithmic)"), log);
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        assert!(lines(false, Vec::new()).svg().unwrap_err().to_string().ends_with("has no points"));
        let error = lines(true, vec![(0.0, 0.0)]).svg().unwrap_err().to_string();
        assert!(error.ends_with("has values that a logarithm cannot show"), "{error}");
    }
}
